"""One document from its original in the library to its chunks: the job 'add'. Read, clean, chunk, store.

Pages are stored, cleaned and cut as they come, and nothing is kept of them but what is packed, so that a book takes no
more memory than a leaflet. The document appears in one transaction when it is complete; its pages, stored batch by
batch until then, are where a killed job goes on. Going through a job again is harmless: the bytes' hash decides.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from ingest.cut import Cutting, batched
from ingest.read import ReadLimits, read, resumable
from ingest.so_far import ReadSoFar
from ingest.title import choose_title
from kb import duplicates
from kb.access import Principal
from kb.audit import noting
from kb.editions import DocumentDetails
from kb.errors import ReadError, UsageError
from kb.jobs import Job, JobQueue, JobStopped
from kb.knowledge_base import KnowledgeBase
from kb.terms import storable
from kb.types import READ_STATES, Alike, Document, Page
from kb.worker import RunningJob

Step = Literal["read", "chunk", "store", "embed"]

KIND = "add"
EMBED_PRIORITY = 8
_BATCH_PAGES = 64
_BATCH_S = 2.0  # pages are stored at least this often, so that little is lost to a kill
_BATCH_CHUNKS = 256
_SMALL = 256 << 10  # bytes of a file that waits for nothing; each doubling waits behind it


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
        """Take the file in. Raises ReadError with the reason it was refused for, which its document keeps, or
        UsageError if the original is gone."""
        document = described(job.payload)
        known = self._kb.store.document(document.id)
        if known is not None and known.state in READ_STATES:
            return _result(known)
        if not self._kb.store.has_blob(document):
            raise UsageError(f"{document.file} was removed meanwhile.")  # no row is made of it again
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
        store = self._kb.store
        reading = ReadSoFar()
        pages = started(self._pages(document, reading, job))
        again = partial(store.pages, document.id)
        cutting = Cutting(self._kb, document.id, reading.kind, pages, lambda: reading.outline, again=again)
        for batch in batched(cutting, _BATCH_CHUNKS):
            store.add_chunks(batch, guard=job.guard)  # searched once the document is finished
            if reading.complete:
                job.report("chunk", max(batch[-1].pages, default=0), reading.pages)
        job.report("store", 0, 1)
        making = cutting.making(reading.outline)
        alike = duplicates.look_for(store, document.id, making.text_hash, making.sketch)
        stated = job.payload["details"]["title"]
        title = stated or storable(choose_title(reading.kind, reading.title, reading.early, Path(document.file)))
        doubts = self._doubts(reading, alike, draft=job.payload["draft"])
        finished = replace(
            document,
            title=title,
            kind=reading.kind,
            state="draft" if doubts else "ready",
            reason="; ".join(filter(None, (*doubts, *duplicates.told(store, alike), reading.told()))),
            pages=reading.pages,
            chunks=cutting.count,
            language=cutting.language,
            metadata=reading.metadata,
        )
        store.finish_document(finished, making=replace(making, alike=alike), guard=job.guard)
        return _result(finished, alike)

    def _doubts(self, reading: ReadSoFar, alike: Sequence[Alike], *, draft: bool) -> list[str]:
        """Why the document must be looked at before it is searched; empty if it need not be."""
        if draft or self._kb.settings.publish == "manual":
            return ["not published yet"]
        doubts = [reading.tally.read_badly()]
        if alike and alike[0].share == 1:
            doubts.append("not published: its text is in the library already")
        return [doubt for doubt in doubts if doubt]

    def _pages(self, document: Document, reading: ReadSoFar, job: RunningJob) -> Iterator[Page]:
        """All pages, those of an earlier, killed try first. New ones are stored as they come.

        Raises ReadError if none of them has text.
        """
        store, name = self._kb.store, Path(document.file)
        for page in self._earlier_pages(name, document, job):
            reading.add(page)
            yield page
        blob = store.blob(document)
        keeps = bool(resumable(name))
        batch: list[Page] = []
        flushed = time.monotonic()
        with closing(read(blob, self._limits, reading.pages + 1, name=name)) as events:
            for event in events:
                if not isinstance(event, Page):
                    reading.take(event)
                    continue
                page = storable_page(event)
                batch.append(page)
                reading.add(page)
                if len(batch) >= _BATCH_PAGES or time.monotonic() - flushed > _BATCH_S:
                    store.add_pages(document.id, batch, guard=job.guard)
                    batch, flushed = [], time.monotonic()
                try:
                    job.report("read", reading.pages, max(reading.total, reading.pages), may_yield=keeps and not batch)
                except JobStopped:
                    store.add_pages(document.id, batch, guard=job.guard)
                    raise
                yield page
        store.add_pages(document.id, batch, guard=job.guard)
        reading.end()

    def _earlier_pages(self, name: Path, document: Document, job: RunningJob) -> Iterator[Page]:
        store = self._kb.store
        stored = store.start_document(document)
        store.drop_chunks(document.id, guard=job.guard)  # those that a killed try had cut
        version = resumable(name)
        if stored and version and store.pages_go_on(document.id, version):
            yield from store.pages(document.id)
        elif stored:
            store.drop_pages(document.id)


def started(pages: Iterator[Page]) -> Iterator[Page]:
    """The same pages, the first of them read already, so that what is known before it is known."""
    first = next(pages, None)
    return pages if first is None else chain([first], pages)


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
