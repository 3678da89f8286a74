"""Pages in, what stands on them beside their text out: watermarks, print along the edge, and footnotes.

A watermark runs aslant; print along the edge runs up the margin. Both are dropped where they repeat on pages near one
another (a watermark also where it is much larger than the text). Footnotes stand at a page's foot in smaller type and
begin with a mark that the text above them has too: they stay, with a role of their own, so that the sentence they
interrupt can go on overleaf.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kb.types import Line, Page

_EDGE = 0.13  # share of the page's width at either side
_MUCH_LARGER = 2.0
_SMALLER = 0.93  # of the text's size, footnotes at most
_FOOT = 0.5  # share of the page's height in which footnotes may stand
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_MARK = re.compile(r"([¹²³⁰⁴-⁹]{1,3}|\d{1,3}(?=\s)|[*†‡§¶#]{1,3}|[①-⑳]|[\[［〔]\d{1,3}[\]］〕])\s*\S")


@dataclass(frozen=True, slots=True)
class Beside:
    """Lines of a page, by index, that are beside its text for certain, and those that are if they repeat."""

    certain: frozenset[int]
    repeating: Mapping[int, str]
    """What each says, digits apart."""


def beside_text(page: Page) -> Beside:
    """What may be a watermark or print along the edge."""
    certain: set[int] = set()
    repeating: dict[int, str] = {}
    usual = _usual_size(page.lines)
    for i, line in enumerate(page.lines):
        slanted = _is_slanted(line)
        if slanted and line.size >= _MUCH_LARGER * usual > 0:
            certain.add(i)
        elif slanted or _runs_up_the_edge(line, page.width):
            repeating[i] = re.sub(r"\d+", "#", re.sub(r"\s+", "", line.text))
    return Beside(frozenset(certain), repeating)


def lines_beside(near: Sequence[Beside], at: int, needed: int) -> set[int]:
    """The lines to drop of page `at`, by index; `near` are pages around it, of which `needed` must repeat them."""
    found = set(near[at].certain)
    for i, key in near[at].repeating.items():
        if sum(key in page.repeating.values() for j, page in enumerate(near) if j != at) >= needed > 0:
            found.add(i)
    return found


def _is_slanted(line: Line) -> bool:
    """Whether the line's box is much wider and much higher than its letters: it runs neither level nor upright."""
    if line.box is None or line.size <= 0 or len(line.text) < 3 or "\t" in line.text or line.role != "text":
        return False
    x0, y0, x1, y1 = line.box
    return min(x1 - x0, y1 - y0) > 1.8 * line.size


def _runs_up_the_edge(line: Line, width: float) -> bool:
    if line.box is None or len(line.text) < 6 or line.role != "text":
        return False
    x0, y0, x1, y1 = line.box
    return y1 - y0 > 4 * (x1 - x0) and (x1 < _EDGE * width or x0 > (1 - _EDGE) * width)


def _usual_size(lines: Sequence[Line]) -> float:
    """The size that most of the page's characters have."""
    weights: Counter[float] = Counter()
    for line in lines:
        if line.size > 0:
            weights[round(line.size, 1)] += len(line.text)
    return weights.most_common(1)[0][0] if weights else 0.0


def with_footnotes(page: Page) -> Page:
    """The page with the role 'note' for the lines of its footnotes."""
    usual = _usual_size(page.lines)
    first = len(page.lines)
    while first > 0 and _may_be_note(page.lines[first - 1], usual, page.height):
        first -= 1
    while first < len(page.lines) and not _is_marked(page.lines[first], page.lines[:first]):
        first += 1
    notes = page.lines[first:]
    tops = [line.box[3] for line in notes if line.box]
    if not tops or any(line.box and line.box[1] < max(tops) - 0.5 * usual for line in page.lines[:first]):
        return page  # something of the text stands beside or below them
    return replace(page, lines=(*page.lines[:first], *(replace(line, role="note") for line in notes)))


def _may_be_note(line: Line, usual: float, height: float) -> bool:
    small = 0 < line.size <= _SMALLER * usual
    return small and line.role == "text" and line.box is not None and line.box[3] < _FOOT * height


def is_marked(text: str) -> bool:
    """Whether a line begins as a footnote does."""
    return bool(_MARK.match(text))


def _is_marked(line: Line, above: Sequence[Line]) -> bool:
    """Whether the line begins with a mark that also stands in the text above it, behind a word."""
    mark = _MARK.match(line.text)
    if mark is None:
        return False
    raised = mark[1].translate(_RAISED)
    return any(other.text.find(raised, 1) > 0 for other in above)
