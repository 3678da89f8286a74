"""One background thread that reads what pages hand in; any page can watch it, and a closed page loses nothing.

On start it first finishes what an earlier run left, then adds batches in the order they came. Uploaded copies are
deleted once the library has its own. Durable jobs will replace this thread (kb.jobs); the interface can stay.
"""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from ingest.add import Added, Progress, add_paths
from kb.editions import DocumentDetails
from kb.errors import KBError, StoreError
from kb.knowledge_base import KnowledgeBase

_log = structlog.get_logger("vademecum")


@dataclass(frozen=True, slots=True)
class FileState:
    """One file of a batch: what is being done with it, then what came of it."""

    name: str
    step: str = "wait"
    done: int = 0
    total: int = 0
    status: str = ""
    """'' while it runs; then added, known, failed or stopped."""
    reason: str = ""
    pages: int = 0
    chunks: int = 0


class Batch:
    """The files of one upload. Written by the adding thread, read by pages."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self._files = [FileState(path.name) for path in paths]
        self._lock = threading.Lock()
        self._finished = threading.Event()

    @property
    def files(self) -> tuple[FileState, ...]:
        with self._lock:
            return tuple(self._files)

    @property
    def finished(self) -> bool:
        return self._finished.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait until all is done, at most `seconds`; whether it is."""
        return self._finished.wait(seconds)

    def note_progress(self, index: int, progress: Progress) -> None:
        with self._lock:
            state = self._files[index]
            self._files[index] = replace(state, step=progress.step, done=progress.done, total=progress.total)

    def note_outcome(self, index: int, status: str, reason: str = "", pages: int = 0, chunks: int = 0) -> None:
        with self._lock:
            state = self._files[index]
            self._files[index] = replace(state, status=status, reason=reason, pages=pages, chunks=chunks)

    def finish(self) -> None:
        """End the batch. A file without an outcome was interrupted."""
        with self._lock:
            self._files = [f if f.status else replace(f, status="stopped") for f in self._files]
        self._finished.set()


class Adding:
    """The thread and its queue. `start` once, `stop` at the end."""

    def __init__(self, kb: KnowledgeBase, folder: Path) -> None:
        """`folder` is where uploads lie until they are read; it is on the library's disk and ours to empty."""
        self._kb = kb
        self._folder = folder
        self._queue: queue.Queue[Batch | None] = queue.Queue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="adding", daemon=True)
        self.latest: Batch | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Ask it to end at the next step; whether it did within `seconds`."""
        self._stopping.set()
        self._queue.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def submit(self, paths: Sequence[Path]) -> Batch:
        """Queue files that lie in our folder; they are deleted afterwards. Any other path is left out, untouched."""
        ours = self._folder.resolve()
        batch = Batch([path for path in paths if path.resolve().is_relative_to(ours)])
        self.latest = batch
        self._queue.put(batch)
        return batch

    def _run(self) -> None:
        self._guarded("warm-up", self._warm_up)
        self._guarded("resuming", self._resume)
        self._guarded("embedding", self._embed)
        while (batch := self._queue.get()) is not None and not self._stopping.is_set():
            try:
                for index in range(len(batch.paths)):
                    self._add(batch, index)
            finally:
                batch.finish()  # no page may wait for ever, whatever happened
            self._guarded("embedding", self._embed)

    def _add(self, batch: Batch, index: int) -> None:
        path = batch.paths[index]
        try:
            if not self._stopping.is_set():
                (added,) = self._add_file(path, lambda progress: batch.note_progress(index, progress))
                status = "stopped" if self._stopping.is_set() and added.status == "failed" else added.status
                batch.note_outcome(index, status, added.reason, added.pages, added.chunks)
        except (KBError, OSError, ValueError) as error:
            batch.note_outcome(index, "failed", str(error))
        finally:
            path.unlink(missing_ok=True)

    def _add_file(
        self,
        path: Path,
        progress: Callable[[Progress], None] | None = None,
        details: DocumentDetails | None = None,
    ) -> list[Added]:
        return add_paths(
            self._kb, [path], details=details, progress=progress, cancelled=self._stopping.is_set, embed=False
        )

    def _warm_up(self) -> None:
        self._kb.warm_up()
        _ = self._kb.model  # its libraries take seconds to load

    def _resume(self) -> None:
        """Go on with documents that an earlier run was killed in; their originals are in the library already."""
        for document in self._kb.documents():
            if document.state != "reading" or self._stopping.is_set():
                continue
            path = self._folder / document.id / Path(document.file).name
            path.parent.mkdir(exist_ok=True)
            try:
                shutil.copyfile(self._kb.store.blob(document), path)
                title = "" if document.title == path.stem else document.title
                self._add_file(path, details=DocumentDetails(title, document.edition, document.issued))
            except (StoreError, ValueError) as error:
                self._kb.store.fail_document(replace(document, state="failed", reason=str(error)))
            finally:
                path.unlink(missing_ok=True)

    def _embed(self) -> None:
        """Compute the vectors that are missing; new files come first."""
        self._kb.embed_pending(cancelled=lambda: self._stopping.is_set() or not self._queue.empty())

    def _guarded(self, what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except (KBError, OSError, ValueError) as error:
            _log.warning("background work broke off", work=what, reason=str(error))
