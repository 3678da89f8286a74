"""Clean Pages in, Chunks out: passages that end at sentences, keep to their section and know where each line stood.

The document becomes one string in which lines are joined into paragraphs, and every line remembers its characters
there; a chunk is a slice of it, so that text and provenance cannot part. Sections come from ingest.headings, sentences
from kb.sentences; LangChain's recursive splitter cuts what is too long for one passage and has no sentence end.
Tokens are counted once per sentence, in one batch, because a tokenizer called by a splitter is a hundred times slower.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from ingest.clean import Joiner
from ingest.headings import FlatLine, Heading, heading_paths, top_rank
from ingest.paragraphs import headed_lines, paragraph_breaks
from kb.sentences import sentence_spans
from kb.terms import language_of
from kb.types import Box, Chunk, DocumentKind, LineRole, OutlineEntry, Page, Span

VERSION = 5
"""Raised whenever the same pages would give other chunks."""

TokenCounter = Callable[[Sequence[str]], list[int]]

PATH = " › "
_SEPARATORS = ["\n\n", "\n", "。", "！", "？", "；", ". ", "! ", "? ", "; ", "，", "、", ", ", " ", ""]
_CAPTION = re.compile(r"(?:续?表|Table|TABLE|Tab\.)\s*[\dA-Z一二三四五六七八九十]")
_SMALL = 0.4  # a chunk below this share of the limit takes in the next subsection
_TAIL = 0.2  # a last piece below this share joins the piece before it …
_OVER = 1.05  # … if that stays below this share


@dataclass(frozen=True, slots=True)
class _Placed:
    """Characters [start, end) of the document's string are line `line`'s."""

    start: int
    end: int
    page: int
    box: Box | None


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence (row, item, heading): what is never cut unless it is too long for a chunk by itself."""

    start: int
    end: int
    tokens: int
    lead: tuple[tuple[int, int], ...] = ()
    """For a table's row: its caption and heading rows, which a chunk that begins with it repeats."""
    lead_tokens: int = 0
    table: int = 0
    """For the first unit of a table: the tokens of the whole table."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Characters [start, end) of the document, behind those of `lead`, are a chunk under `heading`."""

    start: int
    end: int
    heading: str
    lead: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Section:
    """Units between two headings. `top`: a top-level section begins here, so no chunk may reach back."""

    path: tuple[str, ...]
    top: bool
    units: tuple[_Unit, ...]
    bare: bool = False
    """A heading with nothing under it, or a title before the first: it goes with what follows."""


def chunk_pages(
    document: str,
    pages: Iterable[Page],
    *,
    outline: Sequence[OutlineEntry] = (),
    count_tokens: TokenCounter,
    max_tokens: int,
    kind: DocumentKind = "pdf",
) -> Iterator[Chunk]:
    """Cut clean pages into chunks of at most about `max_tokens` tokens (a short last sentence may go 5% over)."""
    kept = [page for page in pages if page.lines]
    make = _record_sections if kind in ("records", "monographs") else _document_sections
    text, placed, sections = make(kept, outline, kind, count_tokens, max_tokens)
    starts = [one.start for one in placed]
    position = 0
    batch: list[_Piece] = []
    for piece in _packed(sections, max_tokens, text):
        batch.append(piece)
        if len(batch) == 256:
            yield from _finish(document, position, batch, text, placed, starts, count_tokens)
            position += len(batch)
            batch = []
    yield from _finish(document, position, batch, text, placed, starts, count_tokens)


def _finish(
    document: str,
    position: int,
    pieces: Sequence[_Piece],
    text: str,
    placed: Sequence[_Placed],
    starts: Sequence[int],
    count_tokens: TokenCounter,
) -> Iterator[Chunk]:
    parts = [[*piece.lead, (piece.start, piece.end)] for piece in pieces]
    bodies = ["\n".join(text[start:end] for start, end in part) for part in parts]
    tokens = count_tokens(bodies) if pieces else []
    made = zip(pieces, parts, bodies, tokens, strict=True)
    for at, (piece, part, body, count) in enumerate(made, start=position):
        yield Chunk(
            id=hashlib.sha256(f"{document}\0{at}\0{body}".encode()).hexdigest()[:20],
            document=document,
            position=at,
            text=body,
            heading=piece.heading,
            spans=tuple(_spans_of(part, placed, starts)),
            language=language_of(body),
            tokens=count,
        )


def _spans_of(parts: Sequence[tuple[int, int]], placed: Sequence[_Placed], starts: Sequence[int]) -> Iterator[Span]:
    """The spans of several pieces of the document's string that stand below one another in a chunk."""
    before = 0
    for start, end in parts:
        for span in _spans(start, end, placed, starts):
            yield replace(span, start=span.start + before, end=span.end + before)
        before += end - start + 1


def _spans(start: int, end: int, placed: Sequence[_Placed], starts: Sequence[int]) -> Iterator[Span]:
    """The lines within [start, end), each cut to it and counted from its beginning."""
    for one in placed[max(0, bisect_right(starts, start) - 1) :]:
        if one.start >= end:
            return
        low, high = max(one.start, start), min(one.end, end)
        if low < high:
            yield Span(low - start, high - start, one.page, (one.box,) if one.box else ())


# -- the document as one string ----------------------------------------------------------------------------------------


class _Builder:
    """Joins lines into the document's string and remembers where each one went."""

    def __init__(self, joiner: Joiner) -> None:
        self._joiner = joiner
        self._parts: list[str] = []
        self._length = 0
        self.placed: list[_Placed] = []

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def paragraph(self, lines: Sequence[FlatLine]) -> tuple[int, int]:
        """Append a paragraph; returns its characters' [start, end)."""
        if self._parts:
            self._append("\n")
        start = self._length
        texts = [line.text for line in lines]
        for i, line in enumerate(lines):
            text, glue = self._joiner.join(texts[i], texts[i + 1]) if i + 1 < len(lines) else (texts[i], "")
            self.placed.append(_Placed(self._length, self._length + len(text), line.page, line.place))
            self._append(text + glue)
        return start, self._length

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)


_Made = tuple[str, list[_Placed], list[_Section]]


def _document_sections(
    pages: Sequence[Page],
    outline: Sequence[OutlineEntry],
    kind: DocumentKind,
    count_tokens: TokenCounter,
    max_tokens: int,
) -> _Made:
    """Lines → paragraphs → sections between headings."""
    lines, headings, notes = headed_lines(pages, outline, kind)
    builder = _Builder(Joiner(line.text for line in lines))
    bounds: list[tuple[Heading | None, list[tuple[int, int]]]] = [(None, [])]
    roles: dict[tuple[int, int], LineRole] = {}
    by_first = {heading.first: heading for heading in headings}
    breaks = paragraph_breaks(lines, kind)
    at = 0
    while at < len(lines):
        heading = by_first.get(at)
        if heading is not None:
            bounds.append((heading, []))
        if heading is not None and heading.last >= at:
            end = heading.last + 1
        else:
            end = at + 1
            while end < len(lines) and end not in by_first and not breaks[end]:
                end += 1
        group = [line for line in lines[at:end] if line.text.strip()]
        if group:
            span = builder.paragraph(group)
            bounds[-1][1].append(span)
            roles[span] = group[0].role
        for note in (note for i in range(at, end) for note in notes.get(i, ())):
            span = builder.paragraph(note)
            bounds[-1][1].append(span)
            roles[span] = "note"
        at = end
    paths = heading_paths(headings)
    top = top_rank(headings)
    text = builder.text
    units = _units(text, roles, count_tokens, max_tokens)
    for _, spans in bounds:
        _lead_rows(spans, roles, units, text)
    sections: list[_Section] = []
    for i, (heading, spans) in enumerate(bounds):
        mine = tuple(unit for span in spans for unit in units[span])
        if mine:
            path = paths[i - 1] if i else ()
            title = heading is None and sum(unit.tokens for unit in mine) < _TAIL * max_tokens
            bare = title or (heading is not None and heading.last >= heading.first and len(spans) == 1)
            sections.append(_Section(path, heading is not None and heading.rank <= top, mine, bare))
    return text, builder.placed, sections


def _record_sections(
    pages: Sequence[Page],
    outline: Sequence[OutlineEntry],
    kind: DocumentKind,
    count_tokens: TokenCounter,
    max_tokens: int,
) -> _Made:
    """Each record is a section of its own; each of its lines a unit, cut at sentences only if too long."""
    builder = _Builder(Joiner(()))
    spans = [
        [
            builder.paragraph([FlatLine(line.text, page.number, line.box, 0.0, line.box)])
            for line in page.lines
            if line.text
        ]
        for page in pages
    ]
    text = builder.text
    whole = [span for record in spans for span in record]
    counts = _counted(text, whole, count_tokens)
    too_long: dict[tuple[int, int], LineRole] = {span: "text" for span in whole if counts[span] > max_tokens}
    long = _units(text, too_long, count_tokens, max_tokens)
    sections = []
    for page, record in zip(pages, spans, strict=True):
        units = tuple(unit for span in record for unit in long.get(span) or (_Unit(*span, counts[span]),))
        sections.append(_Section((page.label,), True, units))
    return text, builder.placed, sections


# -- units -------------------------------------------------------------------------------------------------------------


def _units(
    text: str, paragraphs: Mapping[tuple[int, int], LineRole], count_tokens: TokenCounter, max_tokens: int
) -> dict[tuple[int, int], list[_Unit]]:
    """The sentences of each paragraph with their tokens; those longer than a chunk are cut by LangChain's splitter.

    A table's row is one unit, whatever sentences its cells hold.
    """
    sentences = {
        (a, b): [(a, b)] if role in ("head", "row") else [(a + s, a + e) for s, e in sentence_spans(text[a:b])]
        for (a, b), role in paragraphs.items()
    }
    counts = _counted(text, [span for spans in sentences.values() for span in spans], count_tokens)
    cut = {span: _cut(text, span, counts[span], max_tokens) for span in counts if counts[span] > max_tokens}
    counts |= _counted(text, [piece for pieces in cut.values() for piece in pieces], count_tokens)
    return {
        paragraph: [_Unit(*piece, counts[piece]) for span in spans for piece in cut.get(span, [span])]
        for paragraph, spans in sentences.items()
    }


def _lead_rows(
    spans: Sequence[tuple[int, int]],
    roles: Mapping[tuple[int, int], LineRole],
    units: dict[tuple[int, int], list[_Unit]],
    text: str,
) -> None:
    """Give each row of a section's tables its caption and heading rows, and the first unit the table's whole length."""
    at = 0
    while at < len(spans):
        end = at
        while end < len(spans) and roles[spans[end]] in ("head", "row"):
            end += 1
        if end == at:
            at += 1
            continue
        first = at - 1 if at and _CAPTION.match(text, *spans[at - 1]) else at
        lead = [] if first == at else [spans[first]]
        heads = at
        while heads < end and roles[spans[heads]] == "head":
            heads += 1
        for i in range(at, end):
            tokens = sum(unit.tokens for span in lead for unit in units[span])
            units[spans[i]] = [replace(unit, lead=tuple(lead), lead_tokens=tokens) for unit in units[spans[i]]]
            if i < heads:
                lead.append(spans[i])
        total = sum(unit.tokens for span in spans[first:end] for unit in units[span])
        units[spans[first]][0] = replace(units[spans[first]][0], table=total)
        at = end


def _counted(text: str, spans: Sequence[tuple[int, int]], count_tokens: TokenCounter) -> dict[tuple[int, int], int]:
    return dict(zip(spans, count_tokens([text[a:b] for a, b in spans]), strict=True)) if spans else {}


def _cut(text: str, span: tuple[int, int], tokens: int, max_tokens: int) -> list[tuple[int, int]]:
    """Pieces of one long sentence, each within the limit as far as characters tell."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    start, end = span
    size = max(8, int((end - start) / tokens * max_tokens * 0.85))
    splitter = RecursiveCharacterTextSplitter(
        separators=_SEPARATORS, chunk_size=size, chunk_overlap=0, keep_separator="end", strip_whitespace=False
    )
    pieces: list[tuple[int, int]] = []
    at = start
    for piece in splitter.split_text(text[start:end]):
        found = text.index(piece, at, end)
        low, high = found + len(piece) - len(piece.lstrip()), found + len(piece.rstrip())
        at = found + len(piece)
        if low < high:
            pieces.append((low, high))
    return pieces


# -- packing -----------------------------------------------------------------------------------------------------------


def _packed(sections: Sequence[_Section], max_tokens: int, text: str) -> Iterator[_Piece]:
    """The chunks. Small neighbouring subsections share one; top-level sections never do."""
    pending: list[_Section] = []
    size = 0
    for section in sections:
        tokens = sum(unit.tokens for unit in section.units)
        waiting = all(one.bare for one in pending)
        full = size + tokens > max_tokens and size >= _SMALL * max_tokens / 2
        if pending and not waiting and (section.top or full):
            carried = len(pending)
            while carried > 1 and pending[carried - 1].bare and not section.top:
                carried -= 1
            yield from _pieces(pending[:carried], max_tokens, text)
            pending = pending[carried:]
            size = sum(unit.tokens for one in pending for unit in one.units)
        pending.append(section)
        size += tokens
    if pending:
        yield from _pieces(pending, max_tokens, text)


def _pieces(sections: Sequence[_Section], max_tokens: int, text: str) -> Iterator[_Piece]:
    """The sections' units in chunks of about equal size."""
    units = [(unit, section) for section in sections for unit in section.units]
    total = sum(unit.tokens for unit, _ in units)
    parts = max(1, ceil(total / max_tokens))
    target = total / parts
    begin = 0
    size = 0
    done: list[tuple[int, int]] = []
    for i, (unit, _) in enumerate(units):
        over = size + unit.tokens > max_tokens
        even = size >= target * 0.97 or (size + unit.tokens / 2 > target and size > _SMALL * max_tokens)
        fits = size >= _SMALL * max_tokens and size + unit.table > max_tokens >= unit.table > 0
        if i > begin and (over or even or fits):
            cut = i - 1 if i - 1 > begin and _introduces(text, units[i - 1][0]) else i
            while cut - 1 > begin and (units[cut - 1][0].start, units[cut - 1][0].end) in units[cut][0].lead:
                cut -= 1  # a table's caption and head go with its first rows
            done.append((begin, cut))
            begin, size = cut, units[cut][0].lead_tokens + sum(one.tokens for one, _ in units[cut:i])
        size += unit.tokens
    done.append((begin, len(units)))
    done = _without_tail(done, [unit.tokens for unit, _ in units], max_tokens)
    for first, last in done:
        heading = _common([section for _, section in units[first:last]])
        lead = units[first][0].lead
        yield _Piece(units[first][0].start, units[last - 1][0].end, PATH.join(heading), lead)


def _introduces(text: str, unit: _Unit) -> bool:
    """Whether the unit leads into the next one and should not be parted from it."""
    return unit.end - unit.start < 120 and text[unit.end - 1] in ":："


def _without_tail(done: list[tuple[int, int]], tokens: Sequence[int], max_tokens: int) -> list[tuple[int, int]]:
    if len(done) < 2:
        return done
    (a, _), (c, d) = done[-2:]
    small = sum(tokens[c:d]) < _TAIL * max_tokens
    return [*done[:-2], (a, d)] if small and sum(tokens[a:d]) <= _OVER * max_tokens else done


def _common(sections: Sequence[_Section]) -> tuple[str, ...]:
    """What the paths of all sections with text share; the most frequent path if that is nothing."""
    paths = [section.path for section in sections if not section.bare] or [sections[-1].path]
    shared: list[str] = []
    for titles in zip(*paths, strict=False):
        if len(set(titles)) > 1:
            break
        shared.append(titles[0])
    return tuple(shared) or Counter(paths).most_common(1)[0][0]
