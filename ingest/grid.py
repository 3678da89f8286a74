"""Ruled lines in, the grids of tables out: which cells there are, and which rows and columns each spans.

Ruled lines that touch make a component; its distinct heights and places are the rows and columns; a cell goes on over
a border where no line is drawn. Open sides (tables without outer verticals) end where the level lines end. Boxes
around text and single frames are no tables: at least two rows and two columns must differ.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from kb.types import Box

_TOUCH = 3.0  # points within which lines meet
_SAME = 2.5  # points within which lines are one and the same border
_MOST_BORDERS = 200  # rows or columns beyond which this is a drawing
_LEAST_ROW = 6.0  # points: lower rows are double lines


@dataclass(frozen=True, slots=True)
class Cell:
    """Rows [top, bottom) and columns [left, right) of a grid, counted from its upper left corner."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Grid:
    """A table's borders: `ys` from top to bottom, `xs` from left to right."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    cells: tuple[Cell, ...]

    @property
    def box(self) -> Box:
        return self.xs[0], self.ys[-1], self.xs[-1], self.ys[0]

    def cell_at(self, x: float, y: float) -> Cell | None:
        """The cell around a point."""
        if not (self.xs[0] <= x <= self.xs[-1] and self.ys[-1] <= y <= self.ys[0]):
            return None
        column = min(bisect_right(self.xs, x) - 1, len(self.xs) - 2)
        row = next(i for i, (high, low) in enumerate(pairwise(self.ys)) if low <= y <= high)
        return next(c for c in self.cells if c.top <= row < c.bottom and c.left <= column < c.right)

    def row_box(self, row: int) -> Box:
        return self.xs[0], self.ys[row + 1], self.xs[-1], self.ys[row]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A level (or upright) line: where it runs, from where to where."""

    at: float
    low: float
    high: float


def find_grids(rules: Sequence[Box]) -> list[Grid]:
    """The grids among a page's ruled lines, top first."""
    level = _merged([_Rule((b + d) / 2, a, c) for a, b, c, d in rules if c - a >= d - b])
    upright = _merged([_Rule((a + c) / 2, b, d) for a, b, c, d in rules if c - a < d - b])
    grids = [grid for h, v in _components(level, upright) if (grid := _grid(h, v)) is not None]
    return sorted(grids, key=lambda grid: -grid.ys[0])


def rule_stacks(rules: Sequence[Box], grids: Sequence[Grid]) -> list[list[float]]:
    """Heights, top first, of level lines of one width that stand above one another outside all grids, and their ends.

    Tables of the journals have three such lines and no upright ones.
    """
    level = _merged([_Rule((b + d) / 2, a, c) for a, b, c, d in rules if c - a >= d - b])
    free = [r for r in level if not any(g.ys[-1] - _TOUCH <= r.at <= g.ys[0] + _TOUCH for g in grids)]
    stacks: dict[tuple[int, int], list[_Rule]] = defaultdict(list)
    for rule in sorted(free, key=lambda r: -r.at):
        key = next((k for k in stacks if abs(k[0] - rule.low) < 5 and abs(k[1] - rule.high) < 5), None)
        stacks[key or (round(rule.low), round(rule.high))].append(rule)
    return [[key[0], key[1], *(r.at for r in stack)] for key, stack in stacks.items() if len(stack) >= 3]


def _merged(rules: list[_Rule]) -> list[_Rule]:
    """Lines that go on one another, joined; double lines as one."""
    groups: list[list[_Rule]] = []
    for rule in sorted(rules, key=lambda r: r.at):
        if groups and rule.at - groups[-1][0].at <= _SAME:
            groups[-1].append(rule)
        else:
            groups.append([rule])
    done: list[_Rule] = []
    for group in groups:
        group.sort(key=lambda r: r.low)
        begun = group[0]
        for rule in group[1:]:
            if rule.low - begun.high <= _TOUCH:
                begun = _Rule(begun.at, begun.low, max(begun.high, rule.high))
            else:
                done.append(begun)
                begun = rule
        done.append(begun)
    return done


def _components(level: list[_Rule], upright: list[_Rule]) -> list[tuple[list[_Rule], list[_Rule]]]:
    parent = list(range(len(level) + len(upright)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, h in enumerate(level):
        for j, v in enumerate(upright, start=len(level)):
            if h.low - _TOUCH <= v.at <= h.high + _TOUCH and v.low - _TOUCH <= h.at <= v.high + _TOUCH:
                parent[root(i)] = root(j)
    found: dict[int, tuple[list[_Rule], list[_Rule]]] = defaultdict(lambda: ([], []))
    for i, rule in enumerate((*level, *upright)):
        found[root(i)][i >= len(level)].append(rule)
    return [(h, v) for h, v in found.values() if len(h) >= 2 and v]


def _borders(values: Sequence[float], least: float) -> list[float]:
    """The distinct places, ascending: near ones are one."""
    found: list[list[float]] = []
    for value in sorted(values):
        if found and value - found[-1][-1] <= least:
            found[-1].append(value)
        else:
            found.append([value])
    return [sum(group) / len(group) for group in found]


def _grid(level: list[_Rule], upright: list[_Rule]) -> Grid | None:
    left, right = min(h.low for h in level), max(h.high for h in level)
    xs = _borders([left, right, *(v.at for v in upright)], _TOUCH + 1)
    heights = [h.at for h in level]
    heights += _open_ends(upright, min(heights), max(heights))
    ys = _borders(heights, _LEAST_ROW)[::-1]
    if len(xs) < 3 or len(ys) < 3 or len(xs) > _MOST_BORDERS or len(ys) > _MOST_BORDERS:
        return None
    cells = _cells(xs, ys, level, upright)
    if len({(c.top, c.bottom) for c in cells}) < 2 or len({(c.left, c.right) for c in cells}) < 2:
        return None
    return Grid(tuple(xs), tuple(ys), tuple(cells))


def _open_ends(upright: list[_Rule], low: float, high: float) -> list[float]:
    """Where a row that a page's end cuts through ends or begins: most upright lines go on there, no level one does.

    At least three must agree, so that a frame with one line hanging from it does not grow.
    """
    below = [v.low for v in upright if v.low < low - _LEAST_ROW]
    above = [v.high for v in upright if v.high > high + _LEAST_ROW]
    return [sum(ends) / len(ends) for ends in (below, above) if len(ends) >= 3 and max(ends) - min(ends) <= _TOUCH]


def _cells(xs: list[float], ys: list[float], level: list[_Rule], upright: list[_Rule]) -> list[Cell]:
    """Elementary cells, joined where no line parts them."""
    rows, columns = len(ys) - 1, len(xs) - 1
    taken: set[tuple[int, int]] = set()
    cells: list[Cell] = []
    for row in range(rows):
        for column in range(columns):
            if (row, column) in taken:
                continue
            right = column + 1
            while right < columns and (row, right) not in taken:
                if _parted(upright, xs[right], ys[row], ys[row + 1]):
                    break
                right += 1
            bottom = row + 1
            while bottom < rows and all(
                (bottom, c) not in taken and not _parted(level, ys[bottom], xs[c], xs[c + 1])
                for c in range(column, right)
            ):
                bottom += 1
            cells.append(Cell(row, bottom, column, right))
            taken.update((r, c) for r in range(row, bottom) for c in range(column, right))
    return cells


def _parted(rules: Sequence[_Rule], at: float, a: float, b: float) -> bool:
    """Whether a line at `at` covers most of the way from a to b."""
    low, high = min(a, b), max(a, b)
    covered = sum(
        max(0.0, min(rule.high, high) - max(rule.low, low)) for rule in rules if abs(rule.at - at) <= _LEAST_ROW
    )
    return covered >= 0.6 * (high - low)
