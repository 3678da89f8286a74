"""Documents cut anew and embedded anew when the chunker or the embedder has changed: the job 'rechunk'.

From the stored pages, beside the live chunks (kb.staging), document by document, then vectors batch by batch, then one
switch and a new index generation. The old one answers until the new one is complete; a kill is gone on from.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from ingest.cut import Cutting, batched, cutter
from ingest.read import Head, ReadLimits, Tail, read
from kb import staging
from kb.embed import embedding_text
from kb.errors import ReadError, StoreError
from kb.jobs import Job, JobQueue
from kb.knowledge_base import KnowledgeBase
from kb.types import READ_STATES, Document, OutlineEntry
from kb.worker import RunningJob

KIND = "rechunk"
_PRIORITY = 7  # before vectors that are missing, after everything that someone waits for
_BATCH = 256


def submit_rechunk(queue: JobQueue) -> Job:
    """Queue the cutting anew of all that was cut by another chunker, or for another embedder."""
    return queue.submit(KIND, "", {}, priority=_PRIORITY, key=KIND)


def stale(kb: KnowledgeBase) -> list[Document]:
    """The documents whose chunks were made by another chunker, with another limit, or for another embedder."""
    now = cutter(kb)
    found = []
    for document in kb.store.documents():
        if document.state in READ_STATES:
            making = kb.store.making(document.id)
            if making is None or making.cutter != now:
                found.append(document)
    return found


class Rechunk:
    """The handler of 'rechunk' jobs."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self._kb = kb
        self._limits = ReadLimits.of(kb.settings)

    def __call__(self, job: RunningJob) -> Mapping[str, Any]:
        """Cut, embed, switch. Documents that cannot be cut keep their chunks and are named in the result."""
        left = self._cut(job)
        made = self._embed(job)
        job.report("store", 0, 1)
        drop_past = self._kb.index.level_with(self._kb.store)
        switched = staging.switch(self._kb.store, self._kb.embedder.key, drop_past=drop_past, guard=job.guard)
        job.report("index", 0, 1)
        self._kb.renew_index()
        return {"documents": switched, "vectors": made, "left": left}

    def _cut(self, job: RunningJob) -> dict[str, str]:
        """Stage all stale documents; why those that could not be cut keep their chunks."""
        now = cutter(self._kb)
        done = staging.begin(self._kb.store, now)
        wanting = [document for document in stale(self._kb) if document.id not in done]
        left: dict[str, str] = {}
        for at, document in enumerate(wanting):
            job.report("chunk", at, len(wanting), may_yield=True)
            try:
                self._cut_one(document, now, job)
            except ReadError as error:
                left[document.file] = str(error)
        return left

    def _cut_one(self, document: Document, now: str, job: RunningJob) -> None:
        store = self._kb.store
        pages = partial(store.pages, document.id)
        outline = self._outline(document)
        cutting = Cutting(self._kb, document.id, document.kind, pages(), outline, again=pages)
        staging.stage(
            store,
            document.id,
            now,
            batched(cutting, _BATCH),
            lambda: cutting.left_out,
            self._kb.embedder.key,
            guard=job.guard,
        )

    def _outline(self, document: Document) -> tuple[OutlineEntry, ...]:
        """As it was noted; documents of earlier versions are asked for it again, their pages left alone."""
        making = self._kb.store.making(document.id)
        if making is not None and making.cutter:
            return making.outline
        if document.kind != "pdf":
            return ()
        outline: tuple[OutlineEntry, ...] = ()
        try:
            events = read(self._kb.store.blob(document), self._limits, document.pages + 1, name=Path(document.file))
            with closing(events):
                for event in events:
                    if isinstance(event, Head | Tail):
                        outline = outline or event.outline
        except (ReadError, StoreError):
            return ()  # the original is gone or damaged: headings are told by their looks alone
        return outline

    def _embed(self, job: RunningJob) -> int:
        """Vectors of the staged chunks that lack one, batch by batch."""
        kb = self._kb
        ids = staging.pending(kb.store, kb.embedder.languages)
        for start in range(0, len(ids), _BATCH):
            job.report("embed", start, len(ids), may_yield=True)
            chunks = staging.staged_by_id(kb.store, ids[start : start + _BATCH])
            if chunks:
                matrix = kb.embedder.encode([embedding_text(chunk) for chunk in chunks.values()])
                staging.add_vectors(kb.store, list(chunks), matrix, guard=job.guard)
        job.report("embed", len(ids), len(ids))
        return len(ids)
