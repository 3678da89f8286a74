"""Clean pages in, the lines that headings and paragraphs are found in; and where paragraphs begin.

Lines stand as on a page that is held so that it can be read. Sizes of both scripts are put on one scale before they are
compared. A paragraph begins where the layout says so: a wider gap, an indent, an item's mark, a line that ends early.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from ingest.asides import is_marked
from ingest.headings import FlatLine, Heading, find_headings, split_contents
from ingest.layout import runs_down, turned
from kb.types import DocumentKind, OutlineEntry, Page

_ITEM = re.compile(
    r"[●○•▪■□◆◇►➢✓✔▲△★☆※·*–—-]\s|[●○•▪■□◆◇►➢✓✔※]|[（(]\s?(?:\d{1,3}|[a-zA-Z]|[一二三四五六七八九十]{1,3})\s?[)）]"
    r"|\d{1,3}(?:\.\d{1,2}){0,4}\s?[.．、)）](?!\d)|[①-⑳]|[一二三四五六七八九十]{1,3}、|\[\d{1,3}\]|[a-z][.)]\s"
)
_SENTENCE_END = re.compile(r"[。！？!?：:；;.][”’」』）)\]]*$")
_IDEOGRAPH = re.compile("[\u3400-\u9fff]")
_PARAGRAPHS = frozenset({"docx", "html", "epub", "slides", "sheets"})  # kinds in which each line is a paragraph


Notes = Mapping[int, Sequence[Sequence[FlatLine]]]
"""The footnotes of a page, each its lines, by the index of the last line of the page's text."""


def headed_lines(
    pages: Iterable[Page], outline: Sequence[OutlineEntry], kind: DocumentKind
) -> tuple[list[FlatLine], list[Heading], Notes]:
    """The document's lines without a printed table of contents, the headings among them, the footnotes apart."""
    lines, contents = split_contents([line for page in pages for line in _flat(page)])
    lines, notes = _without_footnotes(_comparable(lines))
    headings = find_headings(lines, outline, contents, kind=kind, body_size=_body_size(lines))
    return lines, [heading for heading in headings if lines[heading.first].text.strip()], notes


def _without_footnotes(lines: Sequence[FlatLine]) -> tuple[list[FlatLine], Notes]:
    """A sentence goes on overleaf as if the footnotes of its page were not there."""
    text: list[FlatLine] = []
    notes: dict[int, list[list[FlatLine]]] = defaultdict(list)
    for line in lines:
        if line.role != "note" or line.box is None or not text:
            text.append(line)
        elif (begun := notes[len(text) - 1]) and not is_marked(line.text):
            begun[-1].append(line)
        else:
            begun.append([line])
    return text, notes


def _flat(page: Page) -> Iterator[FlatLine]:
    quarters = page.rotated // 90
    for line in page.lines:
        upright = line.box and turned(line.box, page.width, page.height, quarters)
        if upright and runs_down(line.text, upright, line.size):  # its top is where it begins
            x0, y0, x1, y1 = upright
            upright = (page.height - y1, x0, page.height - y0, x1)
        text = line.text
        head, _, rest = text.partition("\t")
        if line.role == "text" and rest and _ITEM.fullmatch(head + " "):
            text = f"{head} {rest}"  # the gap behind a bullet parts no cells
        yield FlatLine(text, page.number, upright, line.size, line.box, line.role, line.bold)


def _comparable(lines: Sequence[FlatLine]) -> list[FlatLine]:
    """The lines with sizes of both scripts on one scale, that of the script with more text.

    A Latin line's size is the height of its font's cells, often half as much again as that of the Chinese characters
    beside it: each 'Major Adverse Event' of a Chinese guideline would be larger than its running text.
    """
    sides: tuple[list[FlatLine], list[FlatLine]] = ([], [])
    for line in lines:
        sides[bool(_IDEOGRAPH.search(line.text))].append(line)
    less, more = sorted(sides, key=lambda side: sum(len(line.text) for line in side))
    wanted, given = _body_size(more), _body_size(less)
    if not wanted or not given:
        return list(lines)
    ideographs = less is sides[True]
    return [
        replace(line, size=line.size * wanted / given) if bool(_IDEOGRAPH.search(line.text)) == ideographs else line
        for line in lines
    ]


def _body_size(lines: Sequence[FlatLine]) -> float:
    """The size of running text: the largest that at least a tenth of the characters have."""
    weights: Counter[float] = Counter()
    for line in lines:
        if line.size > 0:
            weights[round(line.size, 1)] += len(line.text)
    total = sum(weights.values())
    return max((size for size, count in weights.items() if count * 10 >= total), default=0.0)


# -- paragraphs --------------------------------------------------------------------------------------------------------


def paragraph_breaks(lines: Sequence[FlatLine], kind: DocumentKind) -> list[bool]:
    """For each line, whether a paragraph begins with it."""
    if kind in _PARAGRAPHS:
        return [True] * len(lines)
    if kind != "pdf":
        wrap = _wrap_width(lines)
        return [i == 0 or _breaks_text(lines[i - 1], line, wrap) for i, line in enumerate(lines)]
    pitch = _pitch(lines)
    rights = _right_edges(lines)
    return [i == 0 or _breaks_layout(lines[i - 1], line, pitch, rights[i - 1]) for i, line in enumerate(lines)]


def _width(text: str) -> int:
    return sum(2 if c > "\u2e80" else 1 for c in text)


def _wrap_width(lines: Sequence[FlatLine]) -> int:
    """At which width a text file's lines are wrapped; 0 if each line is a paragraph."""
    widths = sorted(_width(line.text) for line in lines if line.text.strip())
    if not widths:
        return 0
    widest = widths[len(widths) * 95 // 100]
    near = sum(0.75 * widest <= width <= widest * 1.05 for width in widths)
    return widest if widest <= 160 and near * 4 >= len(widths) else 0


def _breaks_text(before: FlatLine, line: FlatLine, wrap: int) -> bool:
    if not wrap or not line.text.strip() or not before.text.strip():
        return True
    if (
        before.in_table
        or line.in_table
        or _ITEM.match(line.text)
        or line.text.startswith(("#", "|", ">", "```", "    "))
    ):
        return True
    return _width(before.text) < 0.75 * wrap


def _pitch(lines: Sequence[FlatLine]) -> float:
    """The usual distance from line to line, as a multiple of the line's size."""
    steps: Counter[float] = Counter()
    for before, line in pairwise(lines):
        if before.box and line.box and before.page == line.page and line.size > 0:
            step = (before.box[1] + before.box[3] - line.box[1] - line.box[3]) / 2 / line.size
            if 0.5 < step < 4:
                steps[round(step, 1)] += 1
    return steps.most_common(1)[0][0] if steps else 1.2


def _right_edges(lines: Sequence[FlatLine]) -> list[float]:
    """How far right the text around each line goes, in its column (a wide title among the lines does not count)."""
    edges: list[float] = []
    for i, line in enumerate(lines):
        if line.box is None:
            edges.append(0.0)
            continue
        x0, _, x1, _ = line.box
        near = (x.box for x in lines[max(0, i - 8) : i + 9] if x.box and x.page == line.page)
        found = sorted((b[2] for b in near if b[0] < x1 and b[2] > x0), reverse=True)
        edges.append(max(x1, found[2] if len(found) > 6 else found[0]))
    return edges


def _ends_early(before: FlatLine, line: FlatLine, right: float) -> bool:
    """Whether the next line's first word would still have fitted behind `before`: then the break was meant."""
    if before.box is None or line.box is None:
        return False
    room = right - before.box[2]
    size = max(line.size, 4.0)
    word = line.text.split(" ", 1)[0].split("\t", 1)[0]
    if word[:1] > "\u2e80":
        return room > 2.2 * size  # punctuation may not begin a line, so one or two characters' room means nothing
    letters = max(1, len(line.text))
    advance = min((line.box[2] - line.box[0]) / letters, size)
    return room > (len(word) + 2) * advance + 0.3 * size


def _breaks_layout(before: FlatLine, line: FlatLine, pitch: float, right: float) -> bool:
    """Whether `line` begins a paragraph after `before`; `right` is the edge of before's column."""
    if before.in_table or line.in_table or before.box is None or line.box is None or _ITEM.match(line.text):
        return True
    size = max(before.size, line.size, 4.0)
    if abs(before.size - line.size) > 0.15 * size and min(before.size, line.size) > 0:
        return True
    if before.text.endswith(("-", "\u00ad")) and line.text[:1].islower():
        return False
    ended = bool(_SENTENCE_END.search(before.text))
    early = _ends_early(before, line, right)
    if _is_row(before) or _is_row(line):
        return True
    step = (before.box[1] + before.box[3] - line.box[1] - line.box[3]) / 2
    if before.page != line.page or step < -0.5 * size or step > 12 * size:
        return ended or early  # the next page or column: it goes on there unless it had come to an end
    if step > 1.45 * pitch * size:
        return True
    indent = line.box[0] - before.box[0]
    if indent > 0.8 * size and not _ITEM.match(before.text):
        return True
    return early


def _is_row(line: FlatLine) -> bool:
    """Whether wide gaps part the line into cells; a gap after a bullet or number does not count."""
    head, _, rest = line.text.partition("\t")
    return bool(rest) and ("\t" in rest or len(head) > 6 or not _ITEM.match(head + " "))
