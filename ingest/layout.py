"""Characters with boxes in, lines in reading order out: what the reading child makes of one page.

pdfium gives characters in stream order, which is the right order on most pages. Only pages on which text of several
columns interleaves (row by row) are reordered, column by column; no order is safe everywhere, so all others are left
alone. A table is one piece of that order and comes row by row. All coordinates are points on the page as displayed,
from its lower left corner.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ingest.grid import Grid, find_grids, rule_stacks
from ingest.pieces import Characters, Piece, Word, page_pieces, rows_of, split_line_numbers, top_down
from ingest.tables import mark_aligned, stacked_grid, table_lines
from kb.types import Box, Line

CELL = "\t"
"""Stands between two pieces of one line that a wide gap parts: cells of a table row, mostly."""

_BESIDE_TABLE = 2  # lines that may stand between a table and its other half on the next page: header, page number
_CAPTION = re.compile(r"(?:表|Table|TABLE)\s*[\dA-Z一二三四五六七八九十]")
_IDEOGRAPH = re.compile("[\u3400-\u9fff]")
_ROWS = 6  # rows in which two columns must stand side by side before they are taken for columns
_SPANNING = 4  # lines from which on a cell beside the rows that follow it is taken to span them
_FONT_SHARE = 0.72  # a font's size over the height of the box that text recognition puts around its lines


@dataclass(frozen=True, slots=True)
class Recognised:
    """A piece of text that was recognised in a page's image, and where."""

    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class Before:
    """What the page before tells of this one: its last line number, and columns and head of a table at its foot."""

    number: int | None = None
    columns: tuple[float, ...] = ()
    head: str = ""


@dataclass(frozen=True, slots=True)
class Arranged:
    """A page's lines in reading order. Line numbers come after the text."""

    lines: list[Line]
    tables: int
    before: Before
    """What the next page must know."""


def page_lines(
    characters: Characters, width: float, before: Before | None = None, rules: Sequence[Box] = ()
) -> Arranged:
    """Put one page in order. `width` is the page's, in points; `rules` are its ruled lines (ingest.drawn)."""
    before = before or Before()
    grids = find_grids(rules)
    pieces, numbers = split_line_numbers(page_pieces(characters, grids), before.number)
    pieces, tables, foot = _with_tables(pieces, grids, rules, before)
    lines, starts = _joined(_rows_before_cells(_reading_order(_right_to_left(pieces), width)))
    plain = lines
    lines = mark_aligned(plain, starts)
    tables += sum(
        now.role != "text" == was.role and (i == 0 or lines[i - 1].role == "text")
        for i, (was, now) in enumerate(zip(plain, lines, strict=True))
    )
    last = int(numbers[-1].words[0].text) if numbers else None
    return Arranged([*lines, *_joined(numbers)[0]], tables, Before(last, *foot))


def _with_tables(
    pieces: list[Piece], grids: list[Grid], rules: Sequence[Box], before: Before
) -> tuple[list[Piece], int, tuple[tuple[float, ...], str]]:
    """(the pieces with one in place of each table's, how many tables, columns and head of one that ends the page)."""
    tables = 0
    foot: tuple[tuple[float, ...], str] = (), ""
    for stack in rule_stacks(rules, grids):
        grid = stacked_grid(stack, [p for p in pieces if p.place is None])
        if grid is not None:
            for piece in pieces:
                if piece.place is None and (cell := grid.cell_at((piece.x0 + piece.x1) / 2, piece.middle)):
                    piece.place = len(grids), cell
            grids = [*grids, grid]
    for number, grid in enumerate(grids):
        mine = [p for p in pieces if p.place and p.place[0] == number]
        above = [p for p in pieces if p.middle > grid.ys[0]]
        goes_on = _same(grid.xs, before.columns) and len(above) <= _BESIDE_TABLE and not any(map(_is_caption, above))
        lines = table_lines(grid, mine, goes_on=goes_on, head=before.head) if mine else []
        if not lines:
            for piece in mine:
                piece.place = None
            continue
        tables += not goes_on
        whole = Piece([Word("", grid.xs[0], grid.xs[-1])], grid.ys[-1], grid.ys[0], mine[0].size, -1000 - number)
        whole.rows = tuple(lines)
        chosen = set(map(id, mine))
        at = next(i for i, p in enumerate(pieces) if id(p) in chosen)
        pieces = [*pieces[:at], whole, *(p for p in pieces[at:] if id(p) not in chosen)]
        if sum(p.middle < grid.ys[-1] for p in pieces) <= _BESIDE_TABLE:
            foot = grid.xs, lines[0].text if lines[0].role == "head" else before.head if goes_on else ""
    return pieces, tables, foot


def _is_caption(piece: Piece) -> bool:
    return bool(_CAPTION.match(piece.text))


def _same(xs: Sequence[float], others: Sequence[float]) -> bool:
    return len(xs) == len(others) and all(abs(a - b) < 4 for a, b in zip(xs, others, strict=True))


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
        words = [Word(one.text, x0, x1)]
        pieces.append(Piece(words, y0, y1, size, 0))
    ordered: list[Piece] = []
    for row, members in enumerate(rows_of(pieces)):
        for piece in members:
            piece.line = row
            ordered.append(piece)
    return mark_aligned(*_joined(_reading_order(ordered, width)))


def _joined(pieces: Sequence[Piece]) -> tuple[list[Line], list[list[tuple[float, float]]]]:
    """Neighbouring pieces of one stream line become one Line again; also the (left, right) edges of its cells."""
    lines: list[Line] = []
    edges: list[list[tuple[float, float]]] = []
    at = 0
    while at < len(pieces):
        if pieces[at].rows:
            lines += pieces[at].rows
            edges += [[] for _ in pieces[at].rows]
            at += 1
            continue
        end = at + 1
        while end < len(pieces) and pieces[end].line == pieces[at].line and pieces[end].x0 >= pieces[end - 1].x1:
            end += 1
        if end == at + 1:
            piece = pieces[at]
            box = round(piece.x0, 2), round(piece.y0, 2), round(piece.x1, 2), round(piece.y1, 2)
            lines.append(Line(piece.text, box, round(piece.size, 2), bold=piece.bold))
            edges.append([(piece.x0, piece.x1)])
            at = end
            continue
        group = pieces[at:end]
        box = (
            round(min(p.x0 for p in group), 2),
            round(min(p.y0 for p in group), 2),
            round(max(p.x1 for p in group), 2),
            round(max(p.y1 for p in group), 2),
        )
        text = group[0].text
        cells = [(group[0].x0, group[0].x1)]
        for before, piece in pairwise(group):
            apart = piece.x0 - before.x1 > piece.size
            text += (CELL if apart else " ") + piece.text
            cells = [*cells, (piece.x0, piece.x1)] if apart else [*cells[:-1], (cells[-1][0], piece.x1)]
        lines.append(Line(text, box, round(group[0].size, 2), bold=all(piece.bold for piece in group)))
        edges.append(cells)
        at = end
    return lines, edges


# -- cells that span rows ---------------------------------------------------------------------------------------------


def _rows_before_cells(pieces: list[Piece]) -> list[Piece]:
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


def _cell_end(pieces: Sequence[Piece], at: int) -> int:
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


def _rows_end(pieces: Sequence[Piece], at: int, end: int) -> int:
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


# -- lines that run down the page --------------------------------------------------------------------------------------


def runs_down(text: str, box: Box, size: float) -> bool:
    """Whether a line is Chinese set from top to bottom: its ideographs stand below one another."""
    width, height = box[2] - box[0], box[3] - box[1]
    return 0 < width < 1.6 * size and height > 2.5 * width and len(_IDEOGRAPH.findall(text)) >= 3


def _right_to_left(pieces: list[Piece]) -> list[Piece]:
    """Lines that run down the page follow one another from the right; pdfium gives them from the left."""
    ordered: list[Piece] = []
    run: list[Piece] = []
    for piece in pieces:
        upright = piece.y1 - piece.y0 > 2.5 * (piece.x1 - piece.x0)
        if upright and runs_down(piece.text, (piece.x0, piece.y0, piece.x1, piece.y1), piece.size):
            run.append(piece)
        else:
            ordered += [*_tiers(run), piece]
            run = []
    return ordered + _tiers(run)


def _tiers(run: list[Piece]) -> list[Piece]:
    """Tiers from top to bottom, each from right to left."""
    tiers: list[list[Piece]] = []
    for piece in sorted(run, key=lambda p: -p.y1):
        if tiers and piece.y1 > tiers[-1][0].middle:
            tiers[-1].append(piece)
        else:
            tiers.append([piece])
    return [piece for tier in tiers for piece in sorted(tier, key=lambda p: -p.x0)]


# -- columns ---------------------------------------------------------------------------------------------------------


def _reading_order(pieces: list[Piece], width: float) -> list[Piece]:
    """Stream order, unless the stream hops between columns of prose: then column by column.

    A table read by columns loses which dose belongs to which drug, so whatever may be a table keeps its rows.
    """
    mates = [(a, b) for a, b in pairwise(pieces) if a.shares_row(b) and (a.x1 <= b.x0 or b.x1 <= a.x0)]
    if len(mates) < _ROWS:
        return pieces
    gutter = _gutter(mates, pieces, width)
    return pieces if gutter is None else _by_columns(pieces, *gutter, width)


def _gutter(mates: list[tuple[Piece, Piece]], pieces: list[Piece], width: float) -> tuple[float, float, float] | None:
    """(x, lowest y, highest y) of the white strip that parts most side-by-side pieces, if they are prose."""
    pairs = [(a, b) if a.x0 < b.x0 else (b, a) for a, b in mates]
    best: list[tuple[Piece, Piece]] = []
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


def _is_prose(column: list[Piece], width: float) -> bool:
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


def _by_columns(pieces: list[Piece], x: float, low: float, high: float, width: float) -> list[Piece]:
    """Order the pieces between `low` and `high` column by column; what spans the gutter parts them into bands."""
    rows = sorted(range(len(pieces)), key=lambda i: -pieces[i].middle)
    above = [p for p in pieces if p.y0 >= high]
    below = [p for p in pieces if p.y1 <= low]
    inside = [pieces[i] for i in rows if pieces[i].y0 < high and pieces[i].y1 > low]
    ordered = list(above)
    band: list[Piece] = []
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


def _columns_of(band: list[Piece], x: float, width: float) -> list[Piece]:
    left = top_down([p for p in band if (p.x0 + p.x1) / 2 <= x])
    right = top_down([p for p in band if (p.x0 + p.x1) / 2 > x])
    return _reading_order(left, width) + _reading_order(right, width)
