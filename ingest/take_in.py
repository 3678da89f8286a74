"""One document from its original in the library to its chunks: the job 'add'. Read, clean, chunk, store.

The document appears in one transaction when it is complete; until then its pages are stored batch by batch, so that a
killed job goes on where it was. What the bytes are is decided by their hash: going through a job again is harmless.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ingest.chunk import VERSION as CHUNK_VERSION
from ingest.chunk import chunk_pages
from ingest.clean import clean_pages
from ingest.quality import read_badly
from ingest.read import Head, ReadLimits, Tail, read, resumable
from ingest.title import choose_title
from kb import duplicates
from kb.access import Principal
from kb.audit import noting
from kb.editions import DocumentDetails
from kb.errors import ReadError
from kb.jobs import Job, JobQueue, JobStopped
from kb.knowledge_base import KnowledgeBase
from kb.likeness import sketched
from kb.terms import storable
from kb.types import READ_STATES, Alike, Chunk, Document, DocumentKind, Language, Making, OutlineEntry, Page
from kb.worker import RunningJob

Step = Literal["read", "chunk", "store", "embed"]

KIND = "add"
EMBED_PRIORITY = 8
_BATCH_PAGES = 64
_BATCH_S = 2.0  # pages are stored at least this often, so that little is lost to a kill
_HEADROOM = 36  # tokens kept free in the embedder for the section path
_NAMED_PAGES = 12
_SMALL = 256 << 10  # bytes of a file that waits for nothing; each doubling waits behind it


@dataclass(slots=True)
class ReadSoFar:
    """What has been read of one document so far."""

    kind: DocumentKind = "pdf"
    total: int = 0
    pages: list[Page] = field(default_factory=list)
    outline: tuple[OutlineEntry, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    title: str = ""
    notes: tuple[str, ...] = ()


def submit_file(
    queue: JobQueue,
    name: str,
    sha256: str,
    size: int,
    details: DocumentDetails,
    *,
    draft: bool = False,
    by: Principal | str = "",
) -> Job:
    """Queue a file whose original is in the library already. Small files go before large ones.

    `by` is who uploaded it; without, it was uploaded earlier and is on record.
    """
    payload = {"file": name, "sha256": sha256, "bytes": size, "details": asdict(details), "draft": draft}
    priority = min(6, max(0, (size // _SMALL).bit_length()))
    record = noting(by, "uploaded", sha256[:16], sha256=sha256, bytes=size) if by else None
    return queue.submit(KIND, name, payload, priority=priority, key=f"{KIND}:{sha256}", record=record)


class TakeIn:
    """The handler of 'add' jobs."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self._kb = kb
        self._limits = ReadLimits.of(kb.settings)

    def __call__(self, job: RunningJob) -> Mapping[str, Any]:
        """Take the file in. Raises ReadError with the reason it was refused for, which its document keeps."""
        document = described(job.payload)
        known = self._kb.store.document(document.id)
        if known is not None and known.state in READ_STATES:
            return _result(known)
        try:
            return self._ingest(document, job)
        except ReadError as error:
            self._refuse(document, str(error), job)
        except UnicodeError as error:
            self._refuse(document, f"holds characters that cannot be stored ({error})", job)
        except OSError as error:
            self._refuse(document, f"cannot be read: {error.strerror or error}", job)
        raise AssertionError("not reached")

    def _refuse(self, document: Document, reason: str, job: RunningJob) -> None:
        self._kb.store.fail_document(replace(document, state="failed", reason=reason), guard=job.guard)
        raise ReadError(reason)

    def _ingest(self, document: Document, job: RunningJob) -> Mapping[str, Any]:
        reading = self._read(document, job)
        job.report("chunk", 0, 1)
        chunks, language, making = made_of(self._kb, document.id, reading)
        job.report("store", 0, 1)
        alike = duplicates.look_for(self._kb.store, document.id, making.text_hash, making.sketch)
        making = replace(making, alike=alike)
        stated = job.payload["details"]["title"]
        title = stated or storable(choose_title(reading.kind, reading.title, reading.pages, Path(document.file)))
        doubts = self._doubts(reading, alike, draft=job.payload["draft"])
        like = duplicates.told(self._kb.store, alike)
        finished = replace(
            document,
            title=title,
            kind=reading.kind,
            state="draft" if doubts else "ready",
            reason="; ".join(filter(None, (*doubts, *like, told(reading)))),
            pages=len(reading.pages),
            chunks=len(chunks),
            language=language,
            metadata=reading.metadata,
        )
        self._kb.store.finish_document(finished, chunks, making=making, guard=job.guard)
        return _result(finished, alike)

    def _doubts(self, reading: ReadSoFar, alike: Sequence[Alike], *, draft: bool) -> list[str]:
        """Why the document must be looked at before it is searched; empty if it need not be."""
        if draft or self._kb.settings.publish == "manual":
            return ["not published yet"]
        doubts = [read_badly(reading.pages)]
        if alike and alike[0].share == 1:
            doubts.append("not published: its text is in the library already")
        return [doubt for doubt in doubts if doubt]

    def _read(self, document: Document, job: RunningJob) -> ReadSoFar:
        """All pages, those of an earlier, killed try first. New ones are stored as they come."""
        store, name = self._kb.store, Path(document.file)
        reading = ReadSoFar(pages=self._earlier_pages(name, document))
        blob = store.blob(document)
        keeps = bool(resumable(name))
        batch: list[Page] = []
        flushed = time.monotonic()
        with closing(read(blob, self._limits, len(reading.pages) + 1, name=name)) as events:
            for event in events:
                if not isinstance(event, Page):
                    take(reading, event)
                    continue
                page = storable_page(event)
                batch.append(page)
                reading.pages.append(page)
                if len(batch) >= _BATCH_PAGES or time.monotonic() - flushed > _BATCH_S:
                    store.add_pages(document.id, batch, guard=job.guard)
                    batch, flushed = [], time.monotonic()
                try:
                    count = len(reading.pages)
                    job.report("read", count, max(reading.total, count), may_yield=keeps and not batch)
                except JobStopped:
                    store.add_pages(document.id, batch, guard=job.guard)
                    raise
        store.add_pages(document.id, batch, guard=job.guard)
        refuse_without_text(reading)
        return reading

    def _earlier_pages(self, name: Path, document: Document) -> list[Page]:
        store = self._kb.store
        if store.start_document(document) == 0:
            return []
        version = resumable(name)
        pages = list(store.pages(document.id)) if version else []
        if pages and all(page.number == i and page.reader.startswith(version) for i, page in enumerate(pages, start=1)):
            return pages
        store.drop_pages(document.id)
        return []


def cutter(kb: KnowledgeBase) -> str:
    """Names what chunks are cut by now: the chunker, its limit, and whose tokens it counts."""
    return f"{CHUNK_VERSION}/{_most_tokens(kb)}/{kb.embedder.key}"


def made_of(kb: KnowledgeBase, document: str, reading: ReadSoFar) -> tuple[list[Chunk], Language, Making]:
    """(chunks of what was read, the language of most, how they were made). Raises ReadError if there are no chunks."""
    chunks, left_out = cut(kb, document, reading.kind, reading.pages, reading.outline)
    language = Counter(chunk.language for chunk in chunks).most_common(1)[0][0]
    text_hash, sketch = sketched(chunk.text for chunk in chunks)
    return chunks, language, Making(cutter(kb), reading.outline, left_out, text_hash, sketch)


def cut(
    kb: KnowledgeBase, document: str, kind: DocumentKind, pages: Sequence[Page], outline: Sequence[OutlineEntry]
) -> tuple[list[Chunk], dict[int, str]]:
    """(chunks of the pages, why those pages that have text gave none). Raises ReadError if there are no chunks."""
    clean = clean_pages(pages)
    if not any(page.lines for page in clean):
        clean = list(pages)  # nothing but what looks like furniture: then it is the text
    made = chunk_pages(
        document,
        clean,
        outline=outline,
        count_tokens=kb.embedder.count_tokens,
        max_tokens=_most_tokens(kb),
        kind=kind,
    )
    chunks = list(made)
    if not chunks:
        raise ReadError("has no text that could be made into passages")
    used = {page for chunk in chunks for page in chunk.pages}
    left_out = {
        page.number: "a printed table of contents" if page.lines else "only running headers, footers or page numbers"
        for page, read in zip(clean, pages, strict=True)
        if read.lines and page.number not in used
    }
    return chunks, left_out


def _most_tokens(kb: KnowledgeBase) -> int:
    return min(kb.settings.chunk_tokens, kb.embedder.max_tokens - _HEADROOM)


def described(payload: Mapping[str, Any]) -> Document:
    """The document's row as it stands before anything was read."""
    details = payload["details"]
    return Document(
        id=payload["sha256"][:16],
        sha256=payload["sha256"],
        file=payload["file"],
        title=details["title"] or Path(payload["file"]).stem,
        kind="pdf",
        bytes=payload["bytes"],
        state="reading",
        added=datetime.now(UTC).isoformat(timespec="milliseconds"),
        edition=details["edition"],
        issued=details["issued"],
        supersedes=details["supersedes"],
        issuer=details["issuer"],
        collection=details["collection"],
    )


def _result(document: Document, alike: Sequence[Alike] = ()) -> dict[str, Any]:
    """What the job leaves behind for whoever waits for it."""
    return {
        "document": document.id,
        "pages": document.pages,
        "chunks": document.chunks,
        "reason": document.reason,
        "state": document.state,
        "alike": [asdict(one) for one in alike],
    }


def storable_page(page: Page) -> Page:
    """The page without half characters; almost always itself."""
    if storable(page.text) == page.text and storable(page.label) == page.label:
        return page
    lines = tuple(replace(line, text=storable(line.text)) for line in page.lines)
    return replace(page, lines=lines, label=storable(page.label))


def take(reading: ReadSoFar, event: Head | Tail) -> None:
    """Note what is not a page."""
    reading.metadata |= {key: value for key, value in event.metadata.items() if value}
    reading.outline = reading.outline or event.outline
    if isinstance(event, Head):
        reading.kind, reading.total, reading.title = event.kind, event.pages, event.title or _title_of(event.metadata)
    else:
        reading.notes = event.notes
        reading.title = reading.title or _title_of(event.metadata)


def _title_of(metadata: Mapping[str, str]) -> str:
    return metadata.get("title", "")


def refuse_without_text(reading: ReadSoFar) -> None:
    """Raise ReadError if there is no text at all."""
    if any(page.lines for page in reading.pages):
        return
    count = len(reading.pages)
    if reading.kind == "pdf":
        pages = "its only page" if count == 1 else f"any of its {count} pages"
        why = next((f": {page.note}" for page in reading.pages if page.note != "no text"), "")
        raise ReadError(f"no text on {pages}{why}")
    raise ReadError("has no text in it")


def told(reading: ReadSoFar) -> str:
    """What an admin should know of a document that was read: nothing is left out silently."""
    empty = [page.number for page in reading.pages if not page.lines]
    notes = [f"page {page.number}: {page.note}" for page in reading.pages if page.note and page.lines]
    parts = list(reading.notes)
    if empty:
        named = ", ".join(map(str, empty[:_NAMED_PAGES]))
        more = f" and {len(empty) - _NAMED_PAGES} more" if len(empty) > _NAMED_PAGES else ""
        verb = "has" if len(empty) == 1 else "have"
        parts.append(f"{len(empty)} of {len(reading.pages)} pages {verb} no text: {named}{more}")
    parts += notes[:5] + ([f"and {len(notes) - 5} more such pages"] if len(notes) > 5 else [])
    return "; ".join(parts)
