"""How well a document was read: what an admin looks at before publishing it. Nothing of it is lost silently.

Made from the store alone, so that it can be asked for at any time; the pages' images stand beside it in the app.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kb.schema import chunks, pages
from kb.store import Store
from kb.types import Chunk, Document, PageSource

LEAST_CONFIDENCE = 0.8
"""Recognition of a page that is less sure than this should be looked at."""
_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class PageQuality:
    """One page of the document and what came of it."""

    number: int
    label: str
    source: PageSource
    confidence: float | None
    """Of its recognition; None if its text was its own."""
    chunks: int
    """How many chunks hold something of it."""
    tables: int
    rotated: int
    garbled: bool
    empty: bool
    """Whether nothing at all was read on it."""
    note: str
    """What was wrong with it or left out of it."""
    dropped: str
    """Why no chunk holds anything of it; empty if one does."""

    @property
    def unsure(self) -> bool:
        return self.confidence is not None and self.confidence < LEAST_CONFIDENCE


@dataclass(frozen=True, slots=True)
class Sample:
    """A chunk to be held against the page it comes from."""

    page: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class ReadQuality:
    """How well one document was read. The tuples of numbers are of pages, ascending."""

    document: Document
    pages: tuple[PageQuality, ...]
    samples: tuple[Sample, ...]
    """Spread evenly over the document, with the worst recognised page among them."""

    @property
    def empty(self) -> tuple[int, ...]:
        """Nothing was read on them; `dropped` says why."""
        return tuple(page.number for page in self.pages if page.empty)

    @property
    def recognised(self) -> tuple[int, ...]:
        """Read from their image."""
        return tuple(page.number for page in self.pages if page.source == "ocr")

    @property
    def unsure(self) -> tuple[int, ...]:
        """Recognised with a confidence below LEAST_CONFIDENCE."""
        return tuple(page.number for page in self.pages if page.unsure)

    @property
    def garbled(self) -> tuple[int, ...]:
        """Their own text layer was garbage."""
        return tuple(page.number for page in self.pages if page.garbled)

    @property
    def with_tables(self) -> tuple[int, ...]:
        return tuple(page.number for page in self.pages if page.tables)

    @property
    def tables(self) -> int:
        return sum(page.tables for page in self.pages)

    @property
    def dropped(self) -> tuple[PageQuality, ...]:
        """Pages of which nothing can be found, each with its reason."""
        return tuple(page for page in self.pages if page.dropped)

    @property
    def noted(self) -> tuple[PageQuality, ...]:
        """Pages that were read, but not wholly well."""
        return tuple(page for page in self.pages if page.note and not page.dropped)

    @property
    def confidence(self) -> float | None:
        """Mean over the recognised pages; None if there are none."""
        sure = [page.confidence for page in self.pages if page.confidence is not None]
        return sum(sure) / len(sure) if sure else None

    @property
    def chunks_per_page(self) -> float:
        """Chunks over pages that gave any."""
        with_text = len(self.pages) - len(self.dropped)
        return self.document.chunks / with_text if with_text else 0.0


def read_quality(store: Store, document: Document) -> ReadQuality:
    """How well `document` was read. A document that was refused has no pages; its reason says why."""
    counts = _chunks_by_page(store, document.id)
    with store.reading() as connection:
        facts = [column for column in pages.columns if column.name not in ("document", "lines")]
        query = sa.select(*facts, (sa.func.length(pages.c.lines) <= _EMPTY).label("empty"))
        query = query.where(pages.c.document == document.id).order_by(pages.c.number)
        rows = [_page(row, counts[row.number], document) for row in connection.execute(query)]
    return ReadQuality(document, tuple(rows), tuple(_samples(store, document, rows)))


_EMPTY = 10  # bytes of a page's packed lines when there are none


def _page(row: Any, count: int, document: Document) -> PageQuality:
    if count or document.state in ("reading", "failed"):
        dropped = ""
    else:
        unknown = "not noted: it was read by an earlier version" if not row.empty else "no text"
        dropped = row.left_out or row.note or unknown
    return PageQuality(
        number=row.number,
        label=row.label,
        source=row.source,
        confidence=row.confidence,
        chunks=count,
        tables=row.tables,
        rotated=row.rotated,
        garbled=bool(row.garbled),
        empty=bool(row.empty),
        note=row.note,
        dropped=dropped,
    )


def _chunks_by_page(store: Store, document: str) -> Counter[int]:
    """How many chunks hold something of each page."""
    counts: Counter[int] = Counter()
    mine = chunks.c.document == document
    first, last = chunks.c.first_page, chunks.c.last_page
    with store.reading() as connection:
        query = sa.select(first, last, sa.func.count()).where(mine, last <= first + 1).group_by(first, last)
        for one, other, count in connection.execute(query):
            counts.update(dict.fromkeys({one, other}, count))
        longer = list(connection.execute(sa.select(chunks.c.number).where(mine, last > first + 1)).scalars())
    for chunk in store.chunks_by_number(longer).values():  # a page between may have given it nothing
        counts.update(chunk.pages)
    return counts


def _samples(store: Store, document: Document, rows: Sequence[PageQuality]) -> list[Sample]:
    """A few chunks: evenly spread, and the first of the page whose recognition was least sure."""
    mine = sa.select(chunks.c.number).where(chunks.c.document == document.id)
    with store.reading() as connection:
        numbers = list(connection.execute(mine.order_by(chunks.c.position)).scalars())
        wanted = [numbers[at * len(numbers) // _SAMPLES] for at in range(min(_SAMPLES, len(numbers)))]
        sure = [(page.confidence, page.number) for page in rows if page.confidence is not None and page.chunks]
        if sure:
            of_page = mine.where(chunks.c.first_page <= min(sure)[1], chunks.c.last_page >= min(sure)[1])
            wanted += connection.execute(of_page.order_by(chunks.c.position).limit(1)).scalars()
    found = store.chunks_by_number(dict.fromkeys(wanted))
    return [Sample(min(chunk.pages, default=0), chunk) for chunk in sorted(found.values(), key=lambda c: c.position)]
