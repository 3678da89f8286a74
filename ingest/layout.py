"""Characters with boxes in, lines in reading order out: what the reading child makes of one page.

pdfium gives characters in stream order, which is the right order on most pages. Only pages on which text of several
columns interleaves (row by row) are reordered, column by column; no order is safe everywhere, so all others are left
alone. Raised small digits become superscripts here, because only here their height is known: '10' and a raised '6'
must never be read as '106'. All coordinates are points on the page as displayed, from its lower left corner.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from kb.types import Box, Line

HYPHEN = "\ufffe"
"""What pdfium writes in place of a hyphen at a line's end (and then leaves out the line break)."""

CELL = "\t"
"""Stands between two pieces of one line that a wide gap parts: cells of a table row, mostly."""

_LINES = re.compile(rf"[^\r\n{HYPHEN}]*{HYPHEN}|[^\r\n{HYPHEN}]+")
_LINE_NUMBER = re.compile(r"[0-9]{1,4}")
_DIGITS = re.compile(r"[0-9]+")
_LOW_OR_HIGH = "gjpqyQ,;()[]{}（）《》【】|/\\'\"’”*-–−+^" + "\r\n"
_IDEOGRAPH = re.compile("[\u3400-\u9fff]")
_MARKS_ONLY = re.compile("[®™℠*†‡§]{1,2}")
_DIGITS_ONLY = re.compile(r"[-−–+⁻⁺]?[0-9⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}")
_SUPERSCRIPT = str.maketrans("0123456789+-−–", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻")
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_ROWS = 6  # rows in which two columns must stand side by side before they are taken for columns
_SPANNING = 4  # lines from which on a cell beside the rows that follow it is taken to span them
_SMALLER = 0.85  # a superscript's character height, at most, of its neighbour's
_FONT_SHARE = 0.72  # a font's size over the height of the box that text recognition puts around its lines
_RAISE = 0.22  # how far its foot stands above its neighbour's, at least, in neighbour heights


@dataclass(slots=True)
class Characters:
    """One page's characters. Whitespace has no box: its left/bottom is +inf and its right/top -inf."""

    text: str
    left: Sequence[float]
    right: Sequence[float]
    bottom: Sequence[float]
    top: Sequence[float]
    cell: Callable[[int], Box]
    """The box of a character's whole cell (ascent to descent), by index: its height is the font's size."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A piece of text that was recognised in a page's image, and where."""

    text: str
    box: Box


@dataclass(slots=True)
class _Word:
    text: str
    x0: float
    x1: float


@dataclass(slots=True)
class _Piece:
    """Words of one stream line between two wide gaps."""

    words: list[_Word]
    y0: float
    y1: float
    size: float
    line: int
    x0: float = field(init=False)
    x1: float = field(init=False)

    def __post_init__(self) -> None:
        self.x0 = min(word.x0 for word in self.words)
        self.x1 = max(word.x1 for word in self.words)

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def middle(self) -> float:
        return (self.y0 + self.y1) / 2

    def shares_row(self, other: _Piece) -> bool:
        """Whether the two stand side by side."""
        return abs(self.middle - other.middle) < 0.5 * min(self.y1 - self.y0, other.y1 - other.y0) + 0.5


def page_lines(characters: Characters, width: float, last_number: int | None = None) -> tuple[list[Line], int | None]:
    """The page's lines in reading order, and the last number printed beside them, if lines are numbered.

    `width` is the page's, in points; `last_number` what the page before returned. Line numbers come after the text.
    """
    characters.text = _mark_raised(characters)
    pieces = _attach_strays(_rejoined(_pieces(characters)))
    pieces, numbers = _split_line_numbers(pieces, last_number)
    lines = [*_joined(_rows_before_cells(_reading_order(pieces, width))), *_joined(numbers)]
    return lines, int(numbers[-1].words[0].text) if numbers else None


def turned(box: Box, width: float, height: float, quarters: int) -> Box:
    """Where a box is after its page, of this size, was turned clockwise by quarter turns."""
    x0, y0, x1, y1 = box
    if quarters % 4 == 1:
        return y0, width - x1, y1, width - x0
    if quarters % 4 == 2:
        return width - x1, height - y1, width - x0, height - y0
    if quarters % 4 == 3:
        return height - y1, x0, height - y0, x1
    return box


def recognised_lines(found: Sequence[Recognised], width: float) -> list[Line]:
    """Lines in reading order from the pieces found in a page's image, which come in no order that can be trusted.

    Pieces side by side become one line with cells, as in text pages, unless they are columns of prose. Heights vary
    with the letters of a line, so that those near the usual one count as it: size is for telling headings.
    """
    if not found:
        return []
    usual = median(_FONT_SHARE * (one.box[3] - one.box[1]) for one in found)
    pieces = []
    for one in found:
        x0, y0, x1, y1 = one.box
        size = _FONT_SHARE * (y1 - y0)
        size = usual if abs(size - usual) < 0.25 * usual else size
        words = [_Word(one.text, x0, x1)]
        pieces.append(_Piece(words, y0, y1, size, 0))
    ordered: list[_Piece] = []
    for row, members in enumerate(_rows(pieces)):
        for piece in members:
            piece.line = row
            ordered.append(piece)
    return list(_joined(_reading_order(ordered, width)))


# -- superscripts ----------------------------------------------------------------------------------------------------


def _mark_raised(c: Characters) -> str:
    """The text with raised small digits written as superscripts, character for character."""
    changed: list[tuple[int, int]] = []
    raised: set[int] = set()
    for found in _DIGITS.finditer(c.text):
        start, end = found.span()
        last = end - 1
        steps_up = c.bottom[last] > c.bottom[start] + 0.5
        before = start - 2 if c.text[start - 1 : start] == " " else start - 1
        tells = before >= 0 and not steps_up and c.text[before] not in _LOW_OR_HIGH
        if tells and c.bottom[last] <= c.bottom[before] + 0.5:
            continue  # stands where its neighbour stands: the usual case, decided without asking pdfium
        neighbour = start if steps_up else _neighbour(c.text, start, end, raised)
        if neighbour is None or not _is_raised(c, last, neighbour):
            continue
        while last > start and _is_raised(c, last - 1, neighbour):
            last -= 1
        if last and c.text[last - 1] in "-−–+" and _is_raised(c, last - 1, neighbour):
            last -= 1
        changed.append((last, end))
        raised.update(range(last, end))
    if not changed:
        return c.text
    parts: list[str] = []
    at = 0
    for start, end in changed:
        parts += [c.text[at:start], c.text[start:end].translate(_SUPERSCRIPT)]
        at = end
    return "".join([*parts, c.text[at:]])


def _neighbour(text: str, start: int, end: int, raised: Set[int]) -> int | None:
    """The letter or digit beside text[start:end] on its line that its height is measured against."""
    for step, first in ((-1, start - 1), (1, end)):
        index = first
        while 0 <= index < len(text) and abs(index - first) < 6 and text[index] not in "\r\n":
            if text[index].isalnum() and index not in raised:
                return index
            index += step
    return None


def _is_raised(c: Characters, index: int, neighbour: int) -> bool:
    _, low, _, high = c.cell(index)
    _, base, _, top = c.cell(neighbour)
    full = top - base
    return 0 < high - low < _SMALLER * full and low - base > _RAISE * full and low < top


def _attach_strays(pieces: list[_Piece]) -> list[_Piece]:
    """Some writers put all raised digits and marks (®, †) of a page at its end: put each back behind its word."""
    strays = [p for p in pieces if len(p.words) == 1 and _is_stray(p.words[0].text)]
    if not strays or len(strays) == len(pieces):
        return pieces
    size = median(p.size for p in pieces if p.size > 0) if any(p.size > 0 for p in pieces) else 0.0
    kept = set(map(id, pieces))
    for stray in strays:
        if stray.size < _SMALLER * size and _attach(stray, pieces):
            kept.discard(id(stray))
    return [p for p in pieces if id(p) in kept]


def _is_stray(text: str) -> bool:
    return bool(_DIGITS_ONLY.fullmatch(text) or _MARKS_ONLY.fullmatch(text))


def _attach(stray: _Piece, pieces: list[_Piece]) -> bool:
    digits = stray.words[0].text
    is_mark = bool(_MARKS_ONLY.fullmatch(digits))
    for host in pieces:
        if host is stray or stray.size >= _SMALLER * host.size:
            continue
        height = host.y1 - host.y0
        raised = host.y0 + 0.25 * height < stray.y0 < host.y1 and stray.y1 < host.y1 + 0.5 * host.size
        lowered = host.y0 - 0.4 * height < stray.y0 <= host.y0 + 0.25 * height and stray.y1 < host.y1 - 0.2 * height
        if not raised and (is_mark or not lowered):
            continue
        mark = digits.translate(_SUPERSCRIPT) if raised else digits
        for word in host.words:
            if abs(stray.x0 - word.x1) < (0.5 if is_mark else 0.25) * host.size:  # a mark has room around it
                word.text, word.x1 = word.text + mark, max(word.x1, stray.x1)
            elif raised and abs(word.x0 - stray.x1) < 0.15 * host.size:
                word.text, word.x0 = mark + word.text, min(word.x0, stray.x0)
            else:
                continue
            host.x0, host.x1 = min(host.x0, word.x0), max(host.x1, word.x1)
            host.y0, host.y1 = min(host.y0, stray.y0), max(host.y1, stray.y1)
            return True
    return False


# -- lines and their pieces ------------------------------------------------------------------------------------------


def _pieces(c: Characters) -> Iterator[_Piece]:
    for number, found in enumerate(_LINES.finditer(c.text)):
        start = found.start()
        words = [(start + w.start(), start + w.end()) for w in re.finditer(r"\S+", found.group())]
        if words:
            yield from _pieces_of_line(c, words, number)


def _pieces_of_line(c: Characters, words: list[tuple[int, int]], number: int) -> Iterator[_Piece]:
    first, last = words[0][0], words[-1][1]
    size = _line_size(c, first, last)
    part: list[_Word] = []
    begin = first
    right = None
    for start, end in words:
        x0, x1 = min(c.left[start], c.left[end - 1]), max(c.right[start], c.right[end - 1])
        if right is not None and (x0 - right > size > 0 or x0 < right - 3 * size < right):
            yield _piece(c, part, begin, start, size, number)
            part, begin = [], start
        text = c.text[start:end].replace(HYPHEN, "-")
        if part and text[0] in _SUPERSCRIPTS and right is not None and x0 - right < 0.6 * size:
            part[-1] = _Word(part[-1].text + text, part[-1].x0, x1)  # '10 ⁹': the gap is the exponent's own
        else:
            part.append(_Word(text, x0, x1))
        right = x1
    yield _piece(c, part, begin, last, size, number)


def _line_size(c: Characters, start: int, end: int) -> float:
    """Height of the line's characters; 0 for text that runs up or down the page, whose height says nothing.

    An ideograph is as wide as its font is large, so where there are some they tell: the cells of Latin letters in the
    same line may be half as tall again, those of other ideographs as flat as 一. Else the second tallest of five
    samples, because a single taller one may be an ornament.
    """
    ideographs = [found.start() for found in _IDEOGRAPH.finditer(c.text, start, end)]
    if ideographs:
        widths = [box[2] - box[0] for box in (c.cell(ideographs[(len(ideographs) - 1) * k // 4]) for k in range(5))]
        if (middle := median(widths)) > 0:
            return middle
    samples = {start + (end - 1 - start) * k // 4 for k in range(5)}
    cells = [c.cell(i) for i in samples if not c.text[i].isspace()]
    heights = sorted(cell[3] - cell[1] for cell in cells)
    size = heights[-2] if len(heights) > 2 else heights[-1]
    return 0.0 if size > 4 * max(cell[2] - cell[0] for cell in cells) > 0 else size


def _piece(c: Characters, words: list[_Word], start: int, end: int, size: float, line: int) -> _Piece:
    piece = _Piece(words, min(c.bottom[start:end]), max(c.top[start:end]), size, line)
    # Words know only where they begin and end; text that runs up the page is widest in between.
    piece.x0, piece.x1 = min(c.left[start:end]), max(c.right[start:end])
    return piece


def _rejoined(pieces: Iterable[_Piece]) -> list[_Piece]:
    """pdfium breaks the line behind a raised mark: what goes on right there on the same row belongs to it."""
    whole: list[_Piece] = []
    for piece in pieces:
        before = whole[-1] if whole else None
        if before is None or before.line == piece.line or not _goes_on(before, piece):
            whole.append(piece)
            continue
        last, first = before.words[-1], piece.words[0]
        words = [*before.words, *piece.words]
        if first.x0 - last.x1 < 0.15 * max(before.size, piece.size):
            words = [*before.words[:-1], _Word(last.text + first.text, last.x0, first.x1), *piece.words[1:]]
        low, high = min(before.y0, piece.y0), max(before.y1, piece.y1)
        whole[-1] = _Piece(words, low, high, max(before.size, piece.size), before.line)
    return whole


def _goes_on(before: _Piece, piece: _Piece) -> bool:
    size = max(before.size, piece.size)
    overlap = min(before.y1, piece.y1) - max(before.y0, piece.y0)
    low = min(before.y1 - before.y0, piece.y1 - piece.y0)
    return -0.4 * size < piece.x0 - before.x1 < 0.5 * size and overlap >= 0.5 * low


def _split_line_numbers(pieces: list[_Piece], last_number: int | None) -> tuple[list[_Piece], list[_Piece]]:
    """(text, numbers): where a page's lines are numbered in the margin, as in drafts, the numbers stand apart.

    They count up by one down the left margin, beside half of the lines or more, or go on from the page before.
    """
    marked = sorted((p for p in pieces if _LINE_NUMBER.fullmatch(p.words[0].text)), key=lambda p: -p.middle)
    chain = _longest_count(marked)
    if not chain or len(chain) < (1 if int(chain[0].words[0].text) == (last_number or -9) + 1 else 5):
        return pieces, []
    edge = max(p.words[0].x1 for p in chain)
    chosen = set(map(id, chain))
    others = [p for p in pieces if id(p) not in chosen]
    beside = all(p.words[1].x0 > edge for p in chain if len(p.words) > 1)
    low, high = chain[-1].y0, chain[0].y1
    if not beside or any(p.x0 < edge for p in others if low < p.middle < high):
        return pieces, []
    goes_on = int(chain[0].words[0].text) == (last_number or -9) + 1
    if not goes_on and 2 * len(chain) < len({round(p.middle) for p in pieces}):
        return pieces, []
    numbers = [_Piece(p.words[:1], p.y0, p.y1, p.size, -p.line - 1) for p in chain]
    text = [
        _Piece(p.words[1:], p.y0, p.y1, p.size, p.line) if id(p) in chosen else p
        for p in pieces
        if id(p) not in chosen or len(p.words) > 1
    ]
    return text, numbers


def _longest_count(pieces: list[_Piece]) -> list[_Piece]:
    """The longest run of pieces, from top to bottom, whose first words count up by one."""
    best: list[_Piece] = []
    run: list[_Piece] = []
    for piece in pieces:
        if run and int(piece.words[0].text) != int(run[-1].words[0].text) + 1:
            run = []
        run.append(piece)
        if len(run) > len(best):
            best = list(run)
    return best


def _joined(pieces: Sequence[_Piece]) -> Iterator[Line]:
    """Neighbouring pieces of one stream line become one Line again."""
    at = 0
    while at < len(pieces):
        end = at + 1
        while end < len(pieces) and pieces[end].line == pieces[at].line and pieces[end].x0 >= pieces[end - 1].x1:
            end += 1
        group = pieces[at:end]
        box = (
            round(min(p.x0 for p in group), 2),
            round(min(p.y0 for p in group), 2),
            round(max(p.x1 for p in group), 2),
            round(max(p.y1 for p in group), 2),
        )
        text = group[0].text
        for before, piece in pairwise(group):
            text += (CELL if piece.x0 - before.x1 > piece.size else " ") + piece.text
        yield Line(text, box, round(group[0].size, 2))
        at = end


# -- cells that span rows ---------------------------------------------------------------------------------------------


def _rows_before_cells(pieces: list[_Piece]) -> list[_Piece]:
    """A table's tall cell that stands beside several rows is written with the first of them: read it after them all.

    Else its lines come between the first row and the second, and each row after it seems to go on from the cell.
    """
    ordered = list(pieces)
    at = 1
    while at < len(ordered):
        end = _cell_end(ordered, at)
        last = _rows_end(ordered, at, end) if end - at >= _SPANNING else end
        if last > end:
            ordered[at:last] = [*ordered[end:last], *ordered[at:end]]
        at = max(last, at + 1)
    return ordered


def _cell_end(pieces: Sequence[_Piece], at: int) -> int:
    """The end of the lines that stand close below one another, flush left, from `at` on; `at` if no row begins so."""
    before, first = pieces[at - 1], pieces[at]
    if before.x1 > first.x0 or not (before.line == first.line or before.shares_row(first)):
        return at
    end = at + 1
    while end < len(pieces):
        above, piece = pieces[end - 1], pieces[end]
        flush = abs(piece.x0 - first.x0) < 0.3 * first.size
        if not flush or not 0.5 * first.size < above.middle - piece.middle < 2.2 * first.size:
            break
        end += 1
    return end


def _rows_end(pieces: Sequence[_Piece], at: int, end: int) -> int:
    """The end of the rows from `end` on that stand left of the cell [at, end) and beside it; `end` if there are none.

    The first must stand higher than the cell's last two lines: the text goes back up.
    """
    left = min(piece.x0 for piece in pieces[at:end])
    low, high = pieces[end - 1].y0 - 2.5 * pieces[at].size, pieces[at].y1  # the last row may go on below it
    if end >= len(pieces) or pieces[end].middle <= pieces[end - 2].middle:
        return end
    last = end
    while last < len(pieces) and pieces[last].x1 <= left and low < pieces[last].middle < high:
        last += 1
    return last


# -- columns ---------------------------------------------------------------------------------------------------------


def _reading_order(pieces: list[_Piece], width: float) -> list[_Piece]:
    """Stream order, unless the stream hops between columns of prose: then column by column.

    A table read by columns loses which dose belongs to which drug, so whatever may be a table keeps its rows.
    """
    mates = [(a, b) for a, b in pairwise(pieces) if a.shares_row(b) and (a.x1 <= b.x0 or b.x1 <= a.x0)]
    if len(mates) < _ROWS:
        return pieces
    gutter = _gutter(mates, pieces, width)
    return pieces if gutter is None else _by_columns(pieces, *gutter, width)


def _gutter(
    mates: list[tuple[_Piece, _Piece]], pieces: list[_Piece], width: float
) -> tuple[float, float, float] | None:
    """(x, lowest y, highest y) of the white strip that parts most side-by-side pieces, if they are prose."""
    pairs = [(a, b) if a.x0 < b.x0 else (b, a) for a, b in mates]
    best: list[tuple[_Piece, _Piece]] = []
    for candidate in {left.x1 for left, _ in pairs}:
        over = [(left, right) for left, right in pairs if left.x1 <= candidate + 0.5 < right.x0]
        best = max(best, over, key=len)
    if len(best) < _ROWS:
        return None
    lefts, rights = [left for left, _ in best], [right for _, right in best]
    low, high = min(p.y0 for p in lefts + rights), max(p.y1 for p in lefts + rights)
    x = (max(p.x1 for p in lefts) + min(p.x0 for p in rights)) / 2
    across = sum(p.x0 < x - 1 and p.x1 > x + 1 for p in pieces if low < p.middle < high)
    if across > 0.3 * len(best) or not (_is_prose(lefts, width) and _is_prose(rights, width)):
        return None
    return x, low, high


def _is_prose(column: list[_Piece], width: float) -> bool:
    """Lines of a text column stand close together and are mostly full; cells of a table are apart, short or ragged."""
    widths = [p.x1 - p.x0 for p in column]
    extent = max(p.x1 for p in column) - min(p.x0 for p in column)
    full = sum(one >= 0.8 * extent for one in widths)
    heights = sorted((p.middle for p in column), reverse=True)
    pitch = median(above - below for above, below in pairwise(heights))
    return (
        median(widths) >= 0.18 * width
        and 2 * full >= len(column)
        and pitch <= 1.9 * median(max(p.size, p.y1 - p.y0) for p in column)
        and median(len(p.text.encode()) for p in column) >= 18
    )


def _by_columns(pieces: list[_Piece], x: float, low: float, high: float, width: float) -> list[_Piece]:
    """Order the pieces between `low` and `high` column by column; what spans the gutter parts them into bands."""
    rows = sorted(range(len(pieces)), key=lambda i: -pieces[i].middle)
    above = [p for p in pieces if p.y0 >= high]
    below = [p for p in pieces if p.y1 <= low]
    inside = [pieces[i] for i in rows if pieces[i].y0 < high and pieces[i].y1 > low]
    ordered = list(above)
    band: list[_Piece] = []
    for piece in inside:
        if piece.x0 < x - 1 and piece.x1 > x + 1:
            ordered += _columns_of(band, x, width)
            ordered.append(piece)
            band = []
        else:
            band.append(piece)
    ordered += _columns_of(band, x, width)
    ordered += below
    return ordered


def _columns_of(band: list[_Piece], x: float, width: float) -> list[_Piece]:
    left = _top_down([p for p in band if (p.x0 + p.x1) / 2 <= x])
    right = _top_down([p for p in band if (p.x0 + p.x1) / 2 > x])
    return _reading_order(left, width) + _reading_order(right, width)


def _top_down(pieces: list[_Piece]) -> list[_Piece]:
    """Rows from top to bottom, each from left to right."""
    return [piece for row in _rows(pieces) for piece in row]


def _rows(pieces: list[_Piece]) -> list[list[_Piece]]:
    """Pieces that stand side by side, from left to right; rows from top to bottom."""
    rows: list[list[_Piece]] = []
    for piece in sorted(pieces, key=lambda p: -p.middle):
        if rows and rows[-1][0].shares_row(piece):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [sorted(row, key=lambda p: p.x0) for row in rows]
