"""Clean pages in, the lines that headings and paragraphs are found in; and where paragraphs begin.

Lines stand as on a page that is held so that it can be read. Sizes of both scripts are put on one scale before they are
compared. A paragraph begins where the layout says so: a wider gap, an indent, an item's mark, a line that ends early.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from itertools import islice, pairwise

from ingest.asides import is_marked
from ingest.document_lines import DocumentLines, FlatLine
from ingest.headings import Heading, find_contents, find_headings, width_of
from ingest.layout import runs_down, turned
from kb.types import DocumentKind, OutlineEntry, Page

_ITEM = re.compile(
    r"[●○•▪■□◆◇►➢✓✔▲△★☆※·*–—-]\s|[●○•▪■□◆◇►➢✓✔※]|[（(]\s?(?:\d{1,3}|[a-zA-Z]|[一二三四五六七八九十]{1,3})\s?[)）]"
    r"|\d{1,3}(?:\.\d{1,2}){0,4}\s?[.．、)）](?!\d)|[①-⑳]|[一二三四五六七八九十]{1,3}、|\[\d{1,3}\]|[a-z][.)]\s"
)
_SENTENCE_END = re.compile(r"[。！？!?：:；;.][”’」』）)\]]*$")
_IDEOGRAPH = re.compile("[\u3400-\u9fff]")
_AROUND = 8  # lines before and after one that tell how wide its column is
_PARAGRAPHS = frozenset({"docx", "html", "epub", "slides", "sheets"})  # kinds in which each line is a paragraph


Notes = dict[int, list[list[FlatLine]]]
"""The footnotes of a page, each its lines, by the index of the last line of the page's text."""
Outline = Sequence[OutlineEntry] | Callable[[], Sequence[OutlineEntry]]
"""A document's bookmarks, or what tells them once all of its pages are here."""


def headed_lines(
    pages: Iterable[Page], outline: Outline, kind: DocumentKind
) -> tuple[Sequence[FlatLine], list[Heading], Notes]:
    """The document's lines without a printed table of contents, the headings among them, the footnotes apart."""
    read = DocumentLines(line for page in pages for line in _flat(page))
    listed, contents = find_contents(read)
    notes: Notes = defaultdict(list)
    lines = DocumentLines(_without_footnotes(_comparable(read, listed), notes))
    given = outline() if callable(outline) else outline
    headings = find_headings(lines, given, contents, kind=kind, body_size=_body_size(lines))
    return lines, [heading for heading in headings if lines[heading.first].text.strip()], notes


def _without_footnotes(lines: Iterable[FlatLine], notes: Notes) -> Iterator[FlatLine]:
    """A sentence goes on overleaf as if the footnotes of its page, which go to `notes`, were not there."""
    last = -1
    for line in lines:
        if line.role != "note" or line.box is None or last < 0:
            last += 1
            yield line
        elif (begun := notes[last]) and not is_marked(line.text):
            begun[-1].append(line)
        else:
            begun.append([line])


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


def _comparable(lines: Sequence[FlatLine], dropped: Set[int]) -> Iterator[FlatLine]:
    """The lines but for those `dropped`, sizes of both scripts on one scale, that of the script with more text.

    A Latin line's size is the height of its font's cells, often half as much again as that of the Chinese characters
    beside it: each 'Major Adverse Event' of a Chinese guideline would be larger than its running text.
    """
    latin, chinese = _Sizes(), _Sizes()
    for i, line in enumerate(lines):
        if i not in dropped:
            (chinese if _IDEOGRAPH.search(line.text) else latin).add(line)
    less, more = sorted((latin, chinese), key=lambda side: side.characters)
    wanted, given = more.body, less.body
    for i, line in enumerate(lines):
        if i in dropped:
            continue
        if wanted and given and bool(_IDEOGRAPH.search(line.text)) == (less is chinese):
            line = line._replace(size=line.size * wanted / given)
        yield line


class _Sizes:
    """How much text has which size."""

    def __init__(self) -> None:
        self.characters = 0
        self._weights: Counter[float] = Counter()

    def add(self, line: FlatLine) -> None:
        self.characters += len(line.text)
        if line.size > 0:
            self._weights[round(line.size, 1)] += len(line.text)

    @property
    def body(self) -> float:
        """The size of running text: the largest that at least a tenth of the characters have."""
        total = sum(self._weights.values())
        return max((size for size, count in self._weights.items() if count * 10 >= total), default=0.0)


def _body_size(lines: Iterable[FlatLine]) -> float:
    sizes = _Sizes()
    for line in lines:
        sizes.add(line)
    return sizes.body


# -- paragraphs --------------------------------------------------------------------------------------------------------


def paragraph_breaks(lines: Sequence[FlatLine], kind: DocumentKind) -> list[bool]:
    """For each line, whether a paragraph begins with it."""
    if kind in _PARAGRAPHS:
        return [True] * len(lines)
    if kind != "pdf":
        wrap = _wrap_width(lines)
        return [True, *(_breaks_text(before, line, wrap) for before, line in pairwise(lines))][: len(lines)]
    pitch = _pitch(lines)
    steps = zip(pairwise(lines), _right_edges(lines), strict=False)
    return [True, *(_breaks_layout(before, line, pitch, right) for (before, line), right in steps)][: len(lines)]


def _wrap_width(lines: Sequence[FlatLine]) -> int:
    """At which width a text file's lines are wrapped; 0 if each line is a paragraph."""
    widths = sorted(width_of(line.text) for line in lines if line.text.strip())
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
    return width_of(before.text) < 0.75 * wrap


def _pitch(lines: Sequence[FlatLine]) -> float:
    """The usual distance from line to line, as a multiple of the line's size."""
    steps: Counter[float] = Counter()
    for before, line in pairwise(lines):
        if before.box and line.box and before.page == line.page and line.size > 0:
            step = (before.box[1] + before.box[3] - line.box[1] - line.box[3]) / 2 / line.size
            if 0.5 < step < 4:
                steps[round(step, 1)] += 1
    return steps.most_common(1)[0][0] if steps else 1.2


def _right_edges(lines: Iterable[FlatLine]) -> Iterator[float]:
    """How far right the text around each line goes, in its column (a wide title among the lines does not count)."""
    rest = iter(lines)
    near = list(islice(rest, _AROUND + 1))
    at = 0
    while at < len(near):
        yield _right_edge(near[at], near)
        near += islice(rest, 1)
        if at == _AROUND:
            del near[0]
        else:
            at += 1


def _right_edge(line: FlatLine, near: Sequence[FlatLine]) -> float:
    if line.box is None:
        return 0.0
    x0, _, x1, _ = line.box
    page = line.page
    edges = [b[2] for one in near if one.page == page and (b := one.box) and b[0] < x1 and b[2] > x0]
    if len(edges) > 6:
        edges.sort()
        return max(x1, edges[-3])
    return max([x1, *edges])


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
