"""Pieces that stand in a grid in, one Line for each row of the table out; also tables that have no grid drawn.

A row's text is its cells, parted by tabs, empty ones too, so that a cell's place tells its column; lines within a cell
are joined. A short cell that spans rows is said in each of them ('痰湿内阻证' before every food of its group), a long
one in the first. The row's region is its box. Rows that head the columns have a role of their own: ingest.chunk repeats
them. What looks like a table but is none (a form's frames, a chart's axes) stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from ingest.grid import Cell, Grid
from ingest.pieces import Piece, rows_of
from kb.types import Box, Line, LineRole

_REPEATED = 40  # characters up to which a cell that spans rows is said in each
_LONGEST_CELL = 400  # mean characters of a cell beyond which this is a page in a frame
_LONGEST_HEAD = 40
_FORM_COLUMNS = 4
_MOST_HEADS = 3
_CJK = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef“”‘’…—"
_TIGHT = re.compile(f"[{_CJK}]$"), re.compile(f"^[{_CJK}]")
_BROKEN_WORD = re.compile(r"[a-z]{3}-$")
_NUMBERS = re.compile(r"[\s\d.,%±–~～×/()（）<>≤≥＜＞+-]*")
_HAS_DIGIT = re.compile(r"\d")
_ITEM = re.compile(r"\W{0,2}|[(（]?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4}|[一二三四五六七八九十]{1,3})[)）.．、]?")


def table_lines(grid: Grid, pieces: Sequence[Piece], *, goes_on: bool = False, head: str = "") -> list[Line]:
    """The rows of a grid; none if it is no table.

    `goes_on`: the table began on the page before, so that its first row heads nothing here unless it says `head` again.
    """
    inside: dict[Cell, list[Piece]] = {}
    for piece in pieces:
        assert piece.place is not None
        inside.setdefault(piece.place[1], []).append(piece)
    texts = {cell: _cell_text(found, grid.xs[cell.left], grid.xs[cell.right]) for cell, found in inside.items()}
    if not (goes_on and texts) and not _is_table(grid, texts):
        return []
    rows = [list(_row(grid, row, texts)) for row in range(len(grid.ys) - 1)]
    again = "\t".join(rows[0]) == head
    heads = int(again) if goes_on else _heads(grid, texts, rows)
    sizes = {
        row: [p.size for cell, found in inside.items() if cell.top == row for p in found] for row in range(len(rows))
    }
    usual = median(piece.size for piece in pieces)
    made: list[Line] = []
    for row, cells in enumerate(rows):
        if not any(cell.top == row for cell in texts):
            continue
        role: LineRole = "head" if row < heads else "row"
        size = round(median(sizes[row]) if sizes[row] else usual, 2)
        made.append(Line("\t".join(cells), _rounded(grid.row_box(row)), size, role))
    return made


def _is_table(grid: Grid, texts: dict[Cell, str]) -> bool:
    full = [row for row in range(len(grid.ys) - 1) if sum(cell.top <= row < cell.bottom for cell in texts) >= 2]
    if len(full) == 1 and len(texts) == len(grid.xs) - 1 >= _FORM_COLUMNS and all(cell.top == 0 for cell in texts):
        return True  # a form to be filled in: its columns are named and nothing else
    return (
        len(texts) >= 4
        and len(full) >= 2
        and 10 * len(texts) >= 3 * len(grid.cells)
        and sum(map(len, texts.values())) <= _LONGEST_CELL * len(texts)
    )


def _row(grid: Grid, row: int, texts: dict[Cell, str]) -> Iterator[str]:
    """The row's cells from left to right; one that spans columns is followed by empty ones."""
    for cell in sorted((c for c in grid.cells if c.top <= row < c.bottom), key=lambda c: c.left):
        text = texts.get(cell, "")
        yield text if cell.top == row or len(text) <= _REPEATED else ""
        for _ in range(cell.right - cell.left - 1):
            yield ""


def _cell_text(pieces: list[Piece], left: float, right: float) -> str:
    """The lines of a cell as one. Where the next word would still have fitted, the break was meant."""
    lines = rows_of(pieces)
    size = max((piece.size for piece in pieces), default=0.0)
    padding = min(max(0.0, min(piece.x0 for piece in pieces) - left), 0.8 * size)
    text = ""
    room = 0.0
    for row in lines:
        line = " ".join(piece.text for piece in row)
        first = line.split(" ", 1)[0]
        needed = 2.2 * size if first[:1] > "\u2e80" else (len(first) + 1) * 0.55 * size
        text = _with(text, line, room > needed)
        room = right - left - 2 * padding - (max(piece.x1 for piece in row) - min(piece.x0 for piece in row))
    return text


def _with(text: str, line: str, ended_early: bool) -> str:
    if not text:
        return line
    if _BROKEN_WORD.search(text) and line[:1].islower():
        return text[:-1] + line
    both_digits = text[-1:].isdigit() and line[:1].isdigit()
    tight = _TIGHT[0].search(text) or _TIGHT[1].search(line)
    return text + ("" if tight and not ended_early and not both_digits else " ") + line


def _heads(grid: Grid, texts: dict[Cell, str], rows: Sequence[Sequence[str]]) -> int:
    """How many rows at the top name the columns: short, no figures, most columns named, and rows of data below."""
    first = [cell for cell in grid.cells if cell.top == 0]
    depth = max(cell.bottom for cell in first if texts.get(cell)) if any(texts.get(cell) for cell in first) else 1
    if depth == len(rows) or depth > _MOST_HEADS:
        depth = 1
    if len(rows) <= depth or len(first) == 1:
        return 0
    if all(cell.top == 0 for cell in texts):
        return 1
    named = [text for text in rows[depth - 1] if text]
    if len(named) * 2 <= len(rows[0]) or max(map(len, named)) > _LONGEST_HEAD:
        return 0
    if any(_NUMBERS.fullmatch(text) for text in named):
        return 0
    body = [text for row in rows[depth:] for text in row if text]
    longer = median(map(len, body)) if body else 0
    figures = sum(bool(_HAS_DIGIT.search(text)) for text in body)
    plain = sum(bool(_HAS_DIGIT.search(text)) for text in named)
    return (
        depth if len(rows[0]) > 2 or longer > median(map(len, named)) or figures > len(body) * plain / len(named) else 0
    )


def _rounded(box: Box) -> Box:
    x0, y0, x1, y1 = (round(value, 2) for value in box)
    return x0, y0, x1, y1


# -- tables with level lines only --------------------------------------------------------------------------------------


def stacked_grid(stack: Sequence[float], pieces: Sequence[Piece]) -> Grid | None:
    """The grid of a table with level lines only (`low x, high x, heights…` from ingest.grid), by its white columns."""
    low, high, *heights = stack
    inside = [p for p in pieces if low - 3 <= p.x0 and p.x1 <= high + 3 and heights[-1] < p.middle < heights[0]]
    if len(inside) < 4:
        return None
    size = median(p.size for p in inside) or 10.0
    parts = _white_columns([p for p in inside if p.x1 - p.x0 < 0.6 * (high - low)], size)
    if not parts:
        return None
    xs = (low, *parts, high)
    ys: list[float] = []
    for band, (top, bottom) in enumerate(pairwise(heights)):
        ys.append(top)
        here = [p for p in inside if bottom < p.middle < top]
        if band and here:
            ys += _row_borders(here, parts[0], size)
    ys.append(heights[-1])
    cells = [Cell(r, r + 1, c, c + 1) for r in range(len(ys) - 1) for c in range(len(xs) - 1)]
    return Grid(tuple(xs), tuple(ys), tuple(cells))


def _white_columns(pieces: Sequence[Piece], size: float) -> list[float]:
    """The middles of the strips, wider than a letter, that no piece touches."""
    found: list[float] = []
    right: float | None = None
    for piece in sorted(pieces, key=lambda p: p.x0):
        if right is not None and piece.x0 - right > size:
            found.append((right + piece.x0) / 2)
        right = piece.x1 if right is None else max(right, piece.x1)
    return found


def _row_borders(pieces: Sequence[Piece], first_column: float, size: float) -> list[float]:
    """Heights between rows: a row begins where its first column has text, or after a gap."""
    rows = rows_of(list(pieces))
    borders: list[float] = []
    for above, below in pairwise(rows):
        bottom, top = min(p.y0 for p in above), max(p.y1 for p in below)
        begins = any(p.x1 < first_column for p in below)
        if begins or bottom - top > 0.8 * size:
            borders.append((bottom + top) / 2)
    return borders


# -- tables without lines ----------------------------------------------------------------------------------------------


def mark_aligned(lines: Sequence[Line], starts: Sequence[Sequence[tuple[float, float]]]) -> list[Line]:
    """The lines, with the roles of rows for runs of three or more whose cells stand below one another.

    `starts` are the (left, right) edges of each line's cells.
    """
    made = list(lines)
    at = 0
    while at < len(made):
        end = at + 1
        while end < len(made) and _same_columns(made, starts, at, end):
            end += 1
        if end - at >= 3 and len(starts[at]) >= 2 and not _is_list(made[at:end]):
            texts = [line.text.split("\t") for line in made[at:end]]
            named = not any(_HAS_DIGIT.search(cell) for cell in texts[0])
            figures = sum(bool(_HAS_DIGIT.search(cell)) for row in texts[1:] for cell in row)
            for i in range(at, end):
                role: LineRole = "head" if i == at and named and figures >= len(texts) - 1 else "row"
                made[i] = Line(made[i].text, made[i].box, made[i].size, role)
        at = end
    return made


def _same_columns(
    lines: Sequence[Line], starts: Sequence[Sequence[tuple[float, float]]], first: int, other: int
) -> bool:
    if lines[other].role != "text" or lines[first].role != "text" or len(starts[first]) != len(starts[other]) < 99:
        return False
    above, below = lines[other - 1].box, lines[other].box
    size = max(lines[first].size, 6.0)
    if above is None or below is None or not 0 < above[1] - below[1] < 4 * size or len(starts[first]) < 2:
        return False
    return all(
        min(abs(a[0] - b[0]), abs(a[1] - b[1]), abs(a[0] + a[1] - b[0] - b[1]) / 2) < 0.8 * size
        for a, b in zip(starts[first], starts[other], strict=True)
    )


def _is_list(lines: Sequence[Line]) -> bool:
    """Whether the first cells are bullets or numbers of items, or the last ones are page numbers behind leaders."""
    first = [line.text.split("\t")[0] for line in lines]
    return all(map(_ITEM.fullmatch, first)) or sum(bool(re.search(r"[.…·]{4}", line.text)) for line in lines) > 1
