"""One page's characters in, pieces of its lines out: words between wide gaps, with raised digits and marks in place.

Raised small digits become superscripts here, because only here their height is known: '10' and a raised '6' must never
be read as '106'. Some writers put all of a page's raised marks at its end; each goes back to its word. All coordinates
are points on the page as displayed, from its lower left corner.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from math import isnan, nan
from statistics import median

from ingest.grid import Cell, Grid
from kb.types import Box, Line

HYPHEN = "\ufffe"
"""What pdfium writes in place of a hyphen at a line's end (and then leaves out the line break)."""

_LINES = re.compile(rf"[^\r\n{HYPHEN}]*{HYPHEN}|[^\r\n{HYPHEN}]+")
_LINE_NUMBER = re.compile(r"[0-9]{1,4}")
_WORDS = re.compile(r"\S+")
_DIGITS = re.compile(r"[0-9]+")
_LOW_OR_HIGH = "gjpqyQ,;()[]{}（）《》【】|/\\'\"’”*-–−+^" + "\r\n"
_IDEOGRAPH = re.compile("[\u3400-\u9fff]")
_MARKS_ONLY = re.compile("[®™℠*†‡§]{1,2}")
_DIGITS_ONLY = re.compile(r"[-−–+⁻⁺]?[0-9⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}")
_SUPERSCRIPT = str.maketrans("0123456789+-−–", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻")
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_SMALLER = 0.85  # a superscript's character height, at most, of its neighbour's
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
    bold: Callable[[int], bool] = lambda _: False
    """Whether a character is set in a bold face, by index."""


Place = tuple[int, Cell]
"""The number of a grid and one of its cells."""


@dataclass(slots=True)
class Word:
    text: str
    x0: float
    x1: float


@dataclass(slots=True)
class Piece:
    """Words of one stream line between two wide gaps, within one cell if they stand in a table."""

    words: list[Word]
    y0: float
    y1: float
    size: float
    line: int
    place: Place | None = None
    bold: bool = False
    rows: tuple[Line, ...] = ()
    """The rows of a whole table, for which this piece stands in the order of the page."""
    x0: float = nan
    x1: float = nan
    """Those of its words, unless they are given."""

    def __post_init__(self) -> None:
        if isnan(self.x0):
            self.x0 = min(word.x0 for word in self.words)
            self.x1 = max(word.x1 for word in self.words)

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def middle(self) -> float:
        return (self.y0 + self.y1) / 2

    def shares_row(self, other: Piece) -> bool:
        """Whether the two stand side by side."""
        return abs(self.middle - other.middle) < 0.5 * min(self.y1 - self.y0, other.y1 - other.y0) + 0.5


def page_pieces(characters: Characters, grids: Sequence[Grid] = ()) -> list[Piece]:
    """The page's pieces in stream order; none reaches over the border of a table's cell."""
    characters.text = _mark_raised(characters)
    return _attach_strays(_rejoined(_pieces(characters, grids)))


def place_of(grids: Sequence[Grid], x: float, y: float) -> Place | None:
    """The cell around a point."""
    for number, grid in enumerate(grids):
        cell = grid.cell_at(x, y)
        if cell is not None:
            return number, cell
    return None


def top_down(pieces: list[Piece]) -> list[Piece]:
    """Rows from top to bottom, each from left to right."""
    return [piece for row in rows_of(pieces) for piece in row]


def rows_of(pieces: list[Piece]) -> list[list[Piece]]:
    """Pieces that stand side by side, from left to right; rows from top to bottom."""
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda p: -p.middle):
        if rows and rows[-1][0].shares_row(piece):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [sorted(row, key=lambda p: p.x0) for row in rows]


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


def _attach_strays(pieces: list[Piece]) -> list[Piece]:
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


def _attach(stray: Piece, pieces: list[Piece]) -> bool:
    digits = stray.words[0].text
    is_mark = bool(_MARKS_ONLY.fullmatch(digits))
    for host in pieces:
        if host is stray or host.place != stray.place or stray.size >= _SMALLER * host.size:
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


def _pieces(c: Characters, grids: Sequence[Grid]) -> Iterator[Piece]:
    for number, found in enumerate(_LINES.finditer(c.text)):
        start = found.start()
        words = [(start + w.start(), start + w.end()) for w in _WORDS.finditer(found.group())]
        if words:
            placed: list[tuple[int, int, Place | None]] = (
                list(_placed(c, words, grids)) if grids else [(start, end, None) for start, end in words]
            )
            yield from _pieces_of_line(c, placed, number)


def _placed(
    c: Characters, words: list[tuple[int, int]], grids: Sequence[Grid]
) -> Iterator[tuple[int, int, Place | None]]:
    """The words with the cells they stand in, cut where they run over a border."""

    def place(index: int) -> Place | None:
        return place_of(grids, (c.left[index] + c.right[index]) / 2, (c.bottom[index] + c.top[index]) / 2)

    for start, end in words:
        first, last = place(start), place(end - 1)
        if first == last:
            yield start, end, first
            continue
        begin, here = start, first
        for index in range(start + 1, end):
            there = place(index)
            if there != here:
                yield begin, index, here
                begin, here = index, there
        yield begin, end, here


def _pieces_of_line(c: Characters, words: list[tuple[int, int, Place | None]], number: int) -> Iterator[Piece]:
    first, last = words[0][0], words[-1][1]
    here = words[0][2]
    size = _line_size(c, first, last)
    left_of, right_of = c.left, c.right
    part: list[Word] = []
    begin = first
    right = None
    for start, end, place in words:
        x0, x1, other0, other1 = left_of[start], right_of[end - 1], left_of[end - 1], right_of[start]
        if other0 < x0 or other1 > x1:  # written from right to left
            x0, x1 = min(x0, other0), max(x1, other1)
        if right is not None and (place != here or x0 - right > size > 0 or x0 < right - 3 * size < right):
            yield _piece(c, part, begin, start, size, number, here)
            part, begin, here = [], start, place
        text = c.text[start:end].replace(HYPHEN, "-")
        if part and text[0] in _SUPERSCRIPTS and right is not None and x0 - right < 0.6 * size:
            part[-1] = Word(part[-1].text + text, part[-1].x0, x1)  # '10 ⁹': the gap is the exponent's own
        else:
            part.append(Word(text, x0, x1))
        right = x1
    yield _piece(c, part, begin, last, size, number, here)


def _line_size(c: Characters, start: int, end: int) -> float:
    """Height of the line's characters; 0 for text that runs up or down the page, whose height says nothing.

    An ideograph is as wide as its font is large, so where there are some they tell: the cells of Latin letters in the
    same line may be half as tall again, those of other ideographs as flat as 一. Else the second tallest of five
    samples, because a single taller one may be an ornament.
    """
    if first := _IDEOGRAPH.search(c.text, start, end):
        step = (end - first.start()) // 3
        later = [_IDEOGRAPH.search(c.text, first.start() + k * step, end) or first for k in (1, 2)]
        widths = sorted(box[2] - box[0] for box in (c.cell(found.start()) for found in (first, *later)))
        if widths[1] > 0:
            return widths[1]
    samples = {start + (end - 1 - start) * k // 4 for k in range(5)}
    cells = [c.cell(i) for i in samples if not c.text[i].isspace()]
    heights = sorted(cell[3] - cell[1] for cell in cells)
    size = heights[-2] if len(heights) > 2 else heights[-1]
    narrow = size > 4 * max(cell[2] - cell[0] for cell in cells) > 0  # or all samples are letters such as i, l, t
    across = abs(c.left[end - 1] - c.left[start]) > abs(c.bottom[end - 1] - c.bottom[start])
    return 0.0 if narrow and not across else size


def _piece(
    c: Characters, words: list[Word], start: int, end: int, size: float, line: int, place: Place | None
) -> Piece:
    last = start + len(c.text[start:end].rstrip()) - 1
    bold = c.bold(start) and c.bold(last)
    # Words know only where they begin and end; text that runs up the page is widest in between.
    left, right = min(c.left[start:end]), max(c.right[start:end])
    low, high = min(c.bottom[start:end]), max(c.top[start:end])
    return Piece(words, low, high, size, line, place, bold, x0=left, x1=right)


def _rejoined(pieces: Iterable[Piece]) -> list[Piece]:
    """pdfium breaks the line behind a raised mark: what goes on right there on the same row belongs to it."""
    whole: list[Piece] = []
    for piece in pieces:
        before = whole[-1] if whole else None
        apart = before is None or before.line == piece.line or before.place != piece.place
        if before is None or apart or not _goes_on(before, piece):
            whole.append(piece)
            continue
        last, first = before.words[-1], piece.words[0]
        words = [*before.words, *piece.words]
        if first.x0 - last.x1 < 0.15 * max(before.size, piece.size):
            words = [*before.words[:-1], Word(last.text + first.text, last.x0, first.x1), *piece.words[1:]]
        low, high = min(before.y0, piece.y0), max(before.y1, piece.y1)
        whole[-1] = Piece(words, low, high, max(before.size, piece.size), before.line, before.place, before.bold)
    return whole


def _goes_on(before: Piece, piece: Piece) -> bool:
    size = max(before.size, piece.size)
    overlap = min(before.y1, piece.y1) - max(before.y0, piece.y0)
    low = min(before.y1 - before.y0, piece.y1 - piece.y0)
    return -0.4 * size < piece.x0 - before.x1 < 0.5 * size and overlap >= 0.5 * low


def split_line_numbers(pieces: list[Piece], last_number: int | None) -> tuple[list[Piece], list[Piece]]:
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
    numbers = [Piece(p.words[:1], p.y0, p.y1, p.size, -p.line - 1) for p in chain]
    text = [
        Piece(p.words[1:], p.y0, p.y1, p.size, p.line, p.place, p.bold) if id(p) in chosen else p
        for p in pieces
        if id(p) not in chosen or len(p.words) > 1
    ]
    return text, numbers


def _longest_count(pieces: list[Piece]) -> list[Piece]:
    """The longest run of pieces, from top to bottom, whose first words count up by one."""
    best: list[Piece] = []
    run: list[Piece] = []
    for piece in pieces:
        if run and int(piece.words[0].text) != int(run[-1].words[0].text) + 1:
            run = []
        run.append(piece)
        if len(run) > len(best):
            best = list(run)
    return best
