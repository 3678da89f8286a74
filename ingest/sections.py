"""Clean Pages in, sections out one after another: the paragraphs between two headings, and where each line stood.

What is kept of the document meanwhile is its lines, packed (ingest.document_lines), and one section.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ingest.clean import Joiner
from ingest.document_lines import FlatLine
from ingest.headings import Heading, heading_paths, top_rank
from ingest.paragraphs import Outline, headed_lines, paragraph_breaks
from kb.types import Box, DocumentKind, LineRole, Page

_LONG_SECTION = 200_000  # characters: a longer one, as of a book without headings, is given part by part


@dataclass(frozen=True, slots=True)
class Placed:
    """Characters [start, end) of a text are a line's, which stands there."""

    start: int
    end: int
    page: int
    box: Box | None

    def shifted(self, by: int) -> Placed:
        return Placed(self.start + by, self.end + by, self.page, self.box)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Text, and where each line of it stands."""

    text: str
    placed: Sequence[Placed]


@dataclass(slots=True)
class Draft:
    """The paragraphs between two headings, each [start, end) of the text with the role of its lines."""

    path: tuple[str, ...]
    stretch: Stretch
    paragraphs: list[tuple[int, int]]
    roles: Mapping[tuple[int, int], LineRole]
    top: bool
    """A top-level section begins here, so no chunk may reach back."""
    headed: bool
    """Whether it comes under a heading at all."""
    bare: bool
    """A heading with nothing under it."""


class _Builder:
    """Joins lines into a stretch of text and remembers where each one went."""

    def __init__(self, joiner: Joiner) -> None:
        self._joiner = joiner
        self._parts: list[str] = []
        self._placed: list[Placed] = []
        self.length = 0

    def paragraph(self, lines: Sequence[FlatLine]) -> tuple[int, int]:
        """Append a paragraph; returns its characters' [start, end)."""
        if self._parts:
            self._append("\n")
        start = self.length
        texts = [line.text for line in lines]
        for i, line in enumerate(lines):
            text, glue = self._joiner.join(texts[i], texts[i + 1]) if i + 1 < len(lines) else (texts[i], "")
            self._placed.append(Placed(self.length, self.length + len(text), line.page, line.place))
            self._append(text + glue)
        return start, self.length

    def taken(self) -> Stretch:
        """What was built; the next stretch begins."""
        made = Stretch("".join(self._parts), self._placed)
        self._parts, self._placed, self.length = [], [], 0
        return made

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self.length += len(text)


def sections_of(pages: Iterable[Page], outline: Outline, kind: DocumentKind) -> Iterator[Draft]:
    """Lines → paragraphs → what stands between two headings."""
    lines, headings, notes = headed_lines(pages, outline, kind)
    builder = _Builder(Joiner(line.text for line in lines))
    by_first = {heading.first: i for i, heading in enumerate(headings)}
    paths = heading_paths(headings)
    top = top_rank(headings)
    breaks = paragraph_breaks(lines, kind)
    heading: Heading | None = None
    path: tuple[str, ...] = ()
    spans: list[tuple[int, int]] = []
    roles: dict[tuple[int, int], LineRole] = {}
    begun = False  # whether some of this section was given already

    def draft() -> Iterator[Draft]:
        if spans:
            is_top = heading is not None and heading.rank <= top and not begun
            bare = heading is not None and heading.last >= heading.first and len(spans) == 1 and not begun
            yield Draft(path, builder.taken(), spans, roles, is_top, heading is not None or begun, bare)

    at = 0
    while at < len(lines):
        new = by_first.get(at)
        if new is not None or (builder.length > _LONG_SECTION and not lines[at].in_table):
            yield from draft()
            spans, roles = [], {}
            begun = new is None
        if new is not None:
            heading, path = headings[new], paths[new]
        if new is not None and headings[new].last >= at:
            end = headings[new].last + 1
        else:
            end = at + 1
            while end < len(lines) and end not in by_first and not breaks[end]:
                end += 1
        group = [line for line in lines[at:end] if line.text.strip()]
        if group:
            span = builder.paragraph(group)
            spans.append(span)
            roles[span] = group[0].role
        for note in (note for i in range(at, end) for note in notes.get(i, ())):
            span = builder.paragraph(note)
            spans.append(span)
            roles[span] = "note"
        at = end
    yield from draft()


def records_of(pages: Iterable[Page]) -> Iterator[Draft]:
    """Each record is a section of its own."""
    builder = _Builder(Joiner(()))
    for page in pages:
        lines = [line for line in page.lines if line.text]
        spans = [builder.paragraph([FlatLine(x.text, page.number, x.box, 0.0, x.box)]) for x in lines]
        yield Draft((page.label,), builder.taken(), spans, dict.fromkeys(spans, "text"), True, True, False)
