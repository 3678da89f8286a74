"""One document read again from its original: the job 'reread', for when reading has become better or went wrong.

The first reading is searched until the second is complete with its vectors; then the second takes its place in one
transaction. If the original cannot be read any more, the first stays. What an admin has noted of the document stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from ingest.cut import Cutting
from ingest.read import ReadLimits, read
from ingest.so_far import ReadSoFar
from ingest.take_in import storable_page
from kb import staging
from kb.editions import NOT_PUBLISHED
from kb.embed import embedding_text
from kb.errors import ReadError
from kb.jobs import Job, JobQueue
from kb.knowledge_base import KnowledgeBase
from kb.types import READ_STATES, Chunk, Document, Page
from kb.worker import RunningJob

KIND = "reread"
_PRIORITY = 3
_BATCH = 256


def submit_reread(queue: JobQueue, document: Document) -> Job:
    """Queue a second reading of a document that was read before."""
    return queue.submit(KIND, document.file, {"document": document.id}, priority=_PRIORITY, key=f"{KIND}:{document.id}")


class Reread:
    """The handler of 'reread' jobs."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self._kb = kb
        self._limits = ReadLimits.of(kb.settings)

    def __call__(self, job: RunningJob) -> Mapping[str, Any]:
        """Read it again. Raises ReadError if that is not possible; the first reading then stays."""
        kb = self._kb
        document = kb.store.document(job.payload["document"])
        if document is None or document.state not in READ_STATES:
            raise ReadError("is not in the library as a document that was read")
        reading = ReadSoFar()
        pages = list(self._pages(document, reading, job))
        job.report("chunk", 0, 1)
        cutting = Cutting(kb, document.id, reading.kind, pages, reading.outline, again=lambda: pages)
        chunks = list(cutting)
        made = self._vectors(document, chunks, job)
        job.report("store", 0, 1)
        again = replace(
            document,
            kind=reading.kind,
            reason="; ".join(filter(None, (*self._decided(document), reading.tally.read_badly(), reading.told()))),
            pages=reading.pages,
            language=cutting.language,
        )
        making = cutting.making(reading.outline)
        staging.replace_document(kb.store, again, pages, chunks, making, kb.embedder.key, made, guard=job.guard)
        return {"document": document.id, "pages": again.pages, "chunks": len(chunks), "reason": again.reason}

    def _decided(self, document: Document) -> list[str]:
        """Why it is not published, by now: that has nothing to do with how it was read."""
        now = self._kb.store.document(document.id) or document
        return [part for part in now.reason.split("; ") if part.startswith(NOT_PUBLISHED)]

    def _pages(self, document: Document, reading: ReadSoFar, job: RunningJob) -> Iterator[Page]:
        with closing(read(self._kb.store.blob(document), self._limits, name=Path(document.file))) as events:
            for event in events:
                if isinstance(event, Page):
                    page = storable_page(event)
                    reading.add(page)
                    job.report("read", reading.pages, max(reading.total, reading.pages))
                    yield page
                else:
                    reading.take(event)
        reading.end()

    def _vectors(self, document: Document, chunks: list[Chunk], job: RunningJob) -> dict[str, bytes]:
        """Vectors, by chunk id, of the chunks that say what none of the live ones does."""
        embedder = self._kb.embedder
        if document.state == "draft":
            return {}
        live = {(chunk.heading, chunk.text) for chunk in self._kb.store.chunks(document.id)}
        new = [c for c in chunks if (c.heading, c.text) not in live and embedder.knows(c.language)]
        made: dict[str, bytes] = {}
        for start in range(0, len(new), _BATCH):
            job.report("embed", start, len(new))
            part = new[start : start + _BATCH]
            matrix = embedder.encode([embedding_text(chunk) for chunk in part])
            made |= {chunk.id: row.astype("<f4").tobytes() for chunk, row in zip(part, matrix, strict=True)}
        return made
