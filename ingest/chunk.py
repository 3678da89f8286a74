"""Clean Pages in, Chunks out: passages that end at sentences, keep to their section and know where each line stood.

Each section becomes one string in which lines are joined into paragraphs, and every line remembers its characters
there; a chunk is a slice of it, so that text and provenance cannot part. Sections come from ingest.headings, sentences
from kb.sentences; LangChain's recursive splitter cuts what is too long for one passage and has no sentence end.
Tokens are counted once per sentence, many at once, because a tokenizer called by a splitter is a hundred times slower.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import ceil

from ingest.paragraphs import Outline
from ingest.sections import Draft, Placed, Stretch, records_of, sections_of
from kb.sentences import sentence_spans
from kb.terms import language_of
from kb.types import Chunk, DocumentKind, Page, Span

VERSION = 7
"""Raised whenever the same pages would give other chunks."""

TokenCounter = Callable[[Sequence[str]], list[int]]

PATH = " › "
_SEPARATORS = ["\n\n", "\n", "。", "！", "？", "；", ". ", "! ", "? ", "; ", "，", "、", ", ", " ", ""]
_CAPTION = re.compile(r"(?:续?表|Table|TABLE|Tab\.)\s*[\dA-Z一二三四五六七八九十]")
_SMALL = 0.4  # a chunk below this share of the limit takes in the next subsection
_COUNTED_CHARACTERS = 100_000  # whose tokens are counted at once
_AT_ONCE = 256  # chunks
_TAIL = 0.2  # a last piece below this share joins the piece before it …
_OVER = 1.05  # … if that stays below this share


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

    def shifted(self, by: int) -> _Unit:
        lead = tuple((start + by, end + by) for start, end in self.lead)
        return _Unit(self.start + by, self.end + by, self.tokens, lead, self.lead_tokens, self.table)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Characters [start, end) of the stretch, behind those of `lead`, are a chunk under `heading`."""

    stretch: Stretch
    start: int
    end: int
    heading: str
    lead: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Section:
    """Units between two headings, of a text of their own."""

    path: tuple[str, ...]
    stretch: Stretch
    top: bool
    units: Sequence[_Unit]
    bare: bool = False
    """A heading with nothing under it, or a title before the first: it goes with what follows."""

    @property
    def tokens(self) -> int:
        return sum(unit.tokens for unit in self.units)


def chunk_pages(
    document: str,
    pages: Iterable[Page],
    *,
    outline: Outline = (),
    count_tokens: TokenCounter,
    max_tokens: int,
    kind: DocumentKind = "pdf",
) -> Iterator[Chunk]:
    """Cut clean pages into chunks of at most about `max_tokens` tokens (a short last sentence may go 5% over).

    What is kept of the document meanwhile is its lines, packed, and one section after another. `outline` may be a
    function that is called once all pages have come.
    """
    kept = (page for page in pages if page.lines)
    records = kind in ("records", "monographs")
    drafts = records_of(kept) if records else sections_of(kept, outline, kind)
    sections = _measured(drafts, count_tokens, max_tokens, whole_lines=records)
    pieces = _packed(sections, max_tokens)
    position = 0
    while batch := list(islice(pieces, _AT_ONCE)):
        yield from _finish(document, position, batch, count_tokens)
        position += len(batch)


def _finish(document: str, position: int, pieces: Sequence[_Piece], count_tokens: TokenCounter) -> Iterator[Chunk]:
    parts = [[*piece.lead, (piece.start, piece.end)] for piece in pieces]
    bodies = [
        "\n".join(piece.stretch.text[start:end] for start, end in part)
        for piece, part in zip(pieces, parts, strict=True)
    ]
    made = zip(pieces, parts, bodies, count_tokens(bodies), strict=True)
    for at, (piece, part, body, count) in enumerate(made, start=position):
        yield Chunk(
            id=hashlib.sha256(f"{document}\0{at}\0{body}".encode()).hexdigest()[:20],
            document=document,
            position=at,
            text=body,
            heading=piece.heading,
            spans=tuple(_spans_of(part, piece.stretch.placed)),
            language=language_of(body),
            tokens=count,
        )


def _spans_of(parts: Sequence[tuple[int, int]], placed: Sequence[Placed]) -> Iterator[Span]:
    """The spans of several pieces of a stretch that stand below one another in a chunk."""
    before = 0
    for start, end in parts:
        for span in _spans(start, end, placed):
            yield replace(span, start=span.start + before, end=span.end + before) if before else span
        before += end - start + 1


def _spans(start: int, end: int, placed: Sequence[Placed]) -> Iterator[Span]:
    """The lines within [start, end), each cut to it and counted from its beginning."""
    first = max(0, bisect_right(placed, start, key=_start_of) - 1)
    for at in range(first, len(placed)):
        one = placed[at]
        if one.start >= end:
            return
        low, high = max(one.start, start), min(one.end, end)
        if low < high:
            yield Span(low - start, high - start, one.page, (one.box,) if one.box else ())


def _start_of(one: Placed) -> int:
    return one.start


def _measured(
    drafts: Iterator[Draft], count_tokens: TokenCounter, max_tokens: int, *, whole_lines: bool
) -> Iterator[_Section]:
    """The sections with their sentences counted, many at once. `whole_lines`: a line is cut only if it is too long."""
    while batch := list(_characters(drafts, _COUNTED_CHARACTERS)):
        units = _units(batch, count_tokens, max_tokens, whole_lines=whole_lines)
        for draft, mine in zip(batch, units, strict=True):
            _lead_rows(draft, mine)
            section = tuple(unit for span in draft.paragraphs for unit in mine[span])
            title = not draft.headed and sum(unit.tokens for unit in section) < _TAIL * max_tokens
            if section:
                yield _Section(draft.path, draft.stretch, draft.top, section, title or draft.bare)


def _characters(drafts: Iterator[Draft], most: int) -> Iterator[Draft]:
    """The next drafts, up to the one with which they have so many characters."""
    size = 0
    while size < most and (draft := next(drafts, None)):
        size += len(draft.stretch.text)
        yield draft


# -- units -------------------------------------------------------------------------------------------------------------


_Units = dict[tuple[int, int], list[_Unit]]
_Part = tuple[int, tuple[int, int], int, int]
"""The number of a draft, a paragraph of it, and [start, end) of some of that paragraph."""


def _units(drafts: Sequence[Draft], count_tokens: TokenCounter, max_tokens: int, *, whole_lines: bool) -> list[_Units]:
    """The sentences of each draft's paragraphs with their tokens; LangChain's splitter cuts those longer than a chunk.

    A table's row is one unit, whatever sentences its cells hold.
    """

    def counted(parts: Sequence[_Part]) -> list[int]:
        return count_tokens([drafts[n].stretch.text[start:end] for n, _, start, end in parts]) if parts else []

    def sentences(n: int, paragraph: tuple[int, int], start: int, end: int, _: int = 0) -> list[_Part]:
        found = sentence_spans(drafts[n].stretch.text[start:end])
        return [(n, paragraph, start + low, start + high) for low, high in found]

    def pieces(n: int, paragraph: tuple[int, int], start: int, end: int, tokens: int) -> list[_Part]:
        found = _cut(drafts[n].stretch.text, (start, end), tokens, max_tokens)
        return [(n, paragraph, low, high) for low, high in found]

    parts: list[_Part] = []
    for n, draft in enumerate(drafts):
        for span in draft.paragraphs:
            whole = whole_lines or draft.roles[span] in ("head", "row")
            parts += [(n, span, *span)] if whole else sentences(n, span, *span)
    counts = counted(parts)
    # A piece may come out too long, because tokens are shorter in one part of a sentence than in another: cut again.
    for finer in (sentences, pieces, pieces) if whole_lines else (pieces, pieces):
        finest = [finer(*part, count) if count > max_tokens else [] for part, count in zip(parts, counts, strict=True)]
        again = iter(counted([part for found in finest for part in found]))
        both = [
            (one, next(again) if found else count)
            for part, count, found in zip(parts, counts, finest, strict=True)
            for one in (found or [part])
        ]
        parts, counts = [part for part, _ in both], [count for _, count in both]
    units: list[_Units] = [{span: [] for span in draft.paragraphs} for draft in drafts]
    for (n, paragraph, start, end), count in zip(parts, counts, strict=True):
        units[n][paragraph].append(_Unit(start, end, count))
    return units


def _lead_rows(draft: Draft, units: _Units) -> None:
    """Give each row of a section's tables its caption and heading rows, and the first unit the table's whole length."""
    spans, roles = draft.paragraphs, draft.roles
    at = 0
    while at < len(spans):
        end = at
        while end < len(spans) and roles[spans[end]] in ("head", "row"):
            end += 1
        if end == at:
            at += 1
            continue
        first = at - 1 if at and _CAPTION.match(draft.stretch.text, *spans[at - 1]) else at
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


def _packed(sections: Iterable[_Section], max_tokens: int) -> Iterator[_Piece]:
    """The chunks. Small neighbouring subsections share one; top-level sections never do."""
    pending: list[_Section] = []
    size = 0
    for section in sections:
        tokens = section.tokens
        waiting = all(one.bare for one in pending)
        full = size + tokens > max_tokens and size >= _SMALL * max_tokens / 2
        if pending and not waiting and (section.top or full):
            carried = len(pending)
            while carried > 1 and pending[carried - 1].bare and not section.top:
                carried -= 1
            yield from _pieces(pending[:carried], max_tokens)
            pending = pending[carried:]
            size = sum(one.tokens for one in pending)
        pending.append(section)
        size += tokens
    if pending:
        yield from _pieces(pending, max_tokens)


def _joined(sections: Sequence[_Section]) -> tuple[Stretch, list[tuple[_Unit, _Section]]]:
    """The sections as one stretch of text, and their units in it."""
    if len(sections) == 1:
        return sections[0].stretch, [(unit, sections[0]) for unit in sections[0].units]
    placed: list[Placed] = []
    units: list[tuple[_Unit, _Section]] = []
    at = 0
    for section in sections:
        placed += (one.shifted(at) for one in section.stretch.placed)
        units += ((unit.shifted(at), section) for unit in section.units)
        at += len(section.stretch.text) + 1
    return Stretch("\n".join(section.stretch.text for section in sections), placed), units


def _pieces(sections: Sequence[_Section], max_tokens: int) -> Iterator[_Piece]:
    """The sections' units in chunks of about equal size."""
    stretch, units = _joined(sections)
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
            cut = i - 1 if i - 1 > begin and _introduces(stretch.text, units[i - 1][0]) else i
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
        yield _Piece(stretch, units[first][0].start, units[last - 1][0].end, PATH.join(heading), lead)


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
