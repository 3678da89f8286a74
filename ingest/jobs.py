"""The jobs of ingest: what is registered with a worker, and what is set right when one starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ingest import recut, reread
from ingest.recut import Rechunk
from ingest.reread import Reread
from ingest.take_in import EMBED_PRIORITY, KIND, TakeIn, submit_file
from kb.editions import DocumentDetails
from kb.jobs import Job, JobQueue, JobStopped
from kb.knowledge_base import KnowledgeBase
from kb.types import Document
from kb.worker import Handler, RunningJob, Worker

EMBED = "embed"
_PUBLISH_EVERY_S = 2.0
_TEND_EVERY_S = 5.0
_POLL_S = 0.5
_ORPHAN_S = 3600.0  # an original that belongs to nothing for this long is deleted


def handlers(kb: KnowledgeBase) -> dict[str, Handler]:
    """By kind of job."""
    return {KIND: TakeIn(kb), EMBED: _embedding(kb), recut.KIND: Rechunk(kb), reread.KIND: Reread(kb)}


def submit_embedding(queue: JobQueue) -> Job:
    """Queue the computing of the vectors that are missing; it gives way to everything else."""
    return queue.submit(EMBED, "", {}, priority=EMBED_PRIORITY, key=EMBED)


def _embedding(kb: KnowledgeBase) -> Handler:
    def embed(job: RunningJob) -> Mapping[str, Any]:
        stopped: list[JobStopped] = []

        def progress(done: int, total: int) -> None:
            try:
                job.report("embed", done, total, may_yield=True)
            except JobStopped as stop:  # the batch that is computed is committed first
                stopped.append(stop)

        made = kb.embed_pending(progress, lambda: bool(stopped) or job.stopped())
        if stopped:
            raise stopped[0]
        job.check()
        return {"vectors": made}

    return embed


def see_through(
    queue: JobQueue,
    worker: Worker,
    job: Job,
    watch: Callable[[Job], None],
    stopped: Callable[[], bool] = lambda: False,
) -> Job:
    """Run the job here and wait for its end; wait, too, if another process has it."""
    while not job.over and not stopped():
        lease = queue.claim(worker.name, only=[job.number])
        if lease is None:
            time.sleep(_POLL_S)
            job = queue.job(job.number)
            watch(job)
            if job.state == "paused":
                break
        else:
            job = worker.run_one(lease, waited_for=True, watch=watch)
    return job


def rechunk_here(kb: KnowledgeBase, watch: Callable[[Job], None]) -> Job:
    """Cut anew, here and now, all that another chunker or embedder was cut for."""
    queue = JobQueue(kb.store)
    return see_through(queue, Worker(queue, handlers(kb)), recut.submit_rechunk(queue), watch)


def reread_here(kb: KnowledgeBase, document: Document, watch: Callable[[Job], None]) -> Job:
    """Read a document again, here and now, and make it findable."""
    queue = JobQueue(kb.store)
    job = see_through(queue, Worker(queue, handlers(kb)), reread.submit_reread(queue, document), watch)
    kb.publish()
    return job


class Publisher:
    """Keeps the index level with the store while a worker adds documents: at once, but not for each of many."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self._kb = kb
        self._last = -1e9

    def publishing(self, handler: Handler, queue: JobQueue) -> Handler:
        """`handler`, and the index brought level after it; vectors are queued."""

        def run(job: RunningJob) -> Mapping[str, Any]:
            result = handler(job)
            submit_embedding(queue)
            more = any(other.state == "queued" for other in queue.unfinished([KIND]))
            if not more or time.monotonic() - self._last > _PUBLISH_EVERY_S:
                self._kb.publish()
                self._last = time.monotonic()
            return result

        return run


def background_handlers(kb: KnowledgeBase, queue: JobQueue) -> dict[str, Handler]:
    """For a worker on its own: what it adds is searchable at once, and its vectors follow."""
    plain = handlers(kb)
    publisher = Publisher(kb)
    return plain | {kind: publisher.publishing(plain[kind], queue) for kind in (KIND, reread.KIND)}


def set_right(kb: KnowledgeBase, queue: JobQueue) -> None:
    """What kills, cancelled jobs and older versions left: documents half read, originals of nothing, lacking vectors.

    A document that is being read without a job gets one, unless its job was cancelled (then it goes) or is in
    quarantine (then it says so).
    """
    waited_for = {str(job.payload.get("sha256")) for job in queue.unfinished([KIND])}
    last = {str(job.payload.get("sha256")): job for job in reversed(queue.jobs(limit=1000)) if job.kind == KIND}
    for document in kb.store.documents():
        if document.state != "reading" or document.sha256 in waited_for:
            continue
        job = last.get(document.sha256)
        if job is not None and job.state == "quarantined":
            kb.store.drop_chunks(document.id)  # its pages stay: they are gone on from if the job is tried again
            kb.store.change_document(document.id, state="failed", reason=job.reason)
        elif (job is not None and job.state == "cancelled") or not kb.store.has_blob(document):
            kb.store.remove_document(document)
        else:
            submit_file(queue, document.file, document.sha256, document.bytes, _noted(document))
    kb.store.sweep_blobs(keep=waited_for, older_than_s=_ORPHAN_S)


def _noted(document: Document) -> DocumentDetails:
    """The details that an admin gave, from the row of a document whose reading broke off."""
    title = "" if document.title == Path(document.file).stem else document.title
    return DocumentDetails(
        title, document.edition, document.issued, document.supersedes, document.issuer, document.collection
    )


class Tending:
    """What a worker does while it waits: sets right what was left, levels the index, asks for vectors."""

    def __init__(self, kb: KnowledgeBase, queue: JobQueue) -> None:
        self._kb = kb
        self._queue = queue
        self._revision = -1
        self._renewing = False
        self._looked = -1e9

    def __call__(self) -> None:
        if time.monotonic() - self._looked < _TEND_EVERY_S:
            return
        self._looked = time.monotonic()
        if self._kb.outdated and not self._renewing:
            recut.submit_rechunk(self._queue)
            self._renewing = True  # once: if it fails, its job says why, and can be tried again
        set_right(self._kb, self._queue)
        revision = self._kb.store.revision()
        if revision != self._revision:
            self._kb.publish()
            if self._kb.pending():
                submit_embedding(self._queue)
            self._revision = revision
