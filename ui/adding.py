"""Uploads become jobs at once, and a worker process works through them; any page can watch, and a closed page loses
nothing.

This process only starts the worker, takes up the index generations that it writes, and shows what the job rows say. An
upload is acknowledged when its original is in the library and its job is in the queue: both survive a kill.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from ingest.add import hash_of, spelt
from ingest.read import ReadLimits, check_size, check_type
from ingest.take_in import submit_file
from kb.access import Permission, Principal, require
from kb.conversations import Conversations
from kb.editions import DocumentDetails
from kb.errors import KBError
from kb.jobs import Job, JobQueue
from kb.knowledge_base import KnowledgeBase
from kb.settings import Settings
from kb.types import READ_STATES
from kb.worker import WorkerProcess

_log = structlog.get_logger("vademecum")

_LOOK_S = 0.5  # between two looks for a newer index generation
_WAIT_S = 0.1
_FORGET_S = 3600.0  # between two looks for what is older than may be kept


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
    job: int = 0
    """Number of its job; 0 if it needs none."""
    left_s: float | None = None
    state: str = ""
    """Of the document that was made: ready or draft."""


class Batch:
    """The files of one upload, as their jobs stand."""

    def __init__(self, queue: JobQueue, take_up: Callable[[], object], files: Sequence[FileState]) -> None:
        """`take_up` makes what the worker has published findable here; called before a file is said to be added."""
        self._queue = queue
        self._take_up = take_up
        self._files = tuple(files)
        self._lock = threading.Lock()

    @property
    def jobs(self) -> frozenset[int]:
        """The numbers of their jobs."""
        return frozenset(file.job for file in self._files)

    @property
    def files(self) -> tuple[FileState, ...]:
        """Each as it stands now: what is not added yet is looked up anew."""
        with self._lock:
            now = tuple(self._now(file) for file in self._files)
            if any(file.status == "added" and not before.status for before, file in zip(self._files, now, strict=True)):
                self._take_up()
            self._files = tuple(
                file if file.status == "added" else before for before, file in zip(self._files, now, strict=True)
            )
        return now

    @property
    def finished(self) -> bool:
        return all(file.status for file in self.files)

    def wait(self, seconds: float) -> bool:
        """Wait until all is done, at most `seconds`; whether it is."""
        end = time.monotonic() + seconds
        while not self.finished:
            if time.monotonic() >= end:
                return False
            time.sleep(_WAIT_S)
        return True

    def _now(self, file: FileState) -> FileState:
        if file.status or not file.job:
            return file
        try:
            return _state(file.name, self._queue.job(file.job))
        except KBError as error:  # the job was over long ago and is forgotten
            return FileState(file.name, status="stopped", reason=str(error), job=file.job)


class Adding:
    """The worker process and what it is given. `start` once, `stop` at the end."""

    def __init__(self, kb: KnowledgeBase, folder: Path) -> None:
        """`folder` is where uploads lie until the library has them; it is on the library's disk and ours to empty."""
        self._kb = kb
        self.folder = folder
        self.queue = JobQueue(kb.store)
        self._limits = ReadLimits.of(kb.settings)
        self._stopping = threading.Event()
        self.worker = WorkerProcess(*_command(kb.settings))
        self._thread = threading.Thread(target=self._look, name="index", daemon=True)
        self._warming = threading.Thread(target=self._warm_up, name="warm-up", daemon=True)
        self.latest: Batch | None = None

    def start(self) -> None:
        self.worker.start()
        self._thread.start()
        self._warming.start()

    def stop(self, seconds: float) -> bool:
        """Ask the worker to put its job down; whether all ended within about `seconds`."""
        self._stopping.set()
        self.worker.stop(seconds)
        self._thread.join(seconds)
        self._warming.join(seconds)
        return not (self._thread.is_alive() or self._warming.is_alive())

    def submit(
        self,
        principal: Principal,
        paths: Sequence[Path],
        details: DocumentDetails | None = None,
        *,
        draft: bool = False,
    ) -> Batch:
        """Take in files that lie in our folder; they are moved away. Any other path is left out, untouched.

        When this returns, each file that can be read is a job that survives whatever happens next. Raises AccessDenied.
        """
        require(principal, Permission.UPLOAD)
        ours = self.folder.resolve()
        mine = [path for path in paths if path.resolve().is_relative_to(ours)]
        files = [self._submitted(principal, path, details or DocumentDetails(), draft) for path in mine]
        batch = Batch(self.queue, self._take_up, files)
        self.latest = batch
        return batch

    def put_away(self, principal: Principal) -> None:
        """Show the latest upload no longer, if all of it is done. Raises AccessDenied."""
        require(principal, Permission.UPLOAD)
        if self.latest and self.latest.finished:
            self.latest = None

    def steer(self, principal: Principal, act: str, number: int) -> None:
        """Pause, resume or cancel a job, or try it again. Raises AccessDenied or UsageError."""
        require(principal, Permission.UPLOAD)
        steered = {
            "pause": self.queue.pause,
            "resume": self.queue.resume,
            "cancel": self.queue.cancel,
            "again": self.queue.retry,
        }
        steered[act](number)

    def others(self) -> list[Job]:
        """The jobs that are not over and not of the latest upload, oldest first."""
        shown = self.latest.jobs if self.latest else frozenset[int]()
        return [job for job in reversed(self.queue.jobs(unfinished=True)) if job.number not in shown]

    def _submitted(self, principal: Principal, path: Path, details: DocumentDetails, draft: bool) -> FileState:
        name = spelt(Path(path.name))
        try:
            check_type(path)
            check_size(path, self._limits)
            sha256 = hash_of(path)
            known = self._kb.store.document(sha256[:16])
            if known is not None and known.sha256 == sha256 and known.state in READ_STATES:
                reason = f"already in the library as {known.file}"
                return FileState(name, status="known", reason=reason, pages=known.pages, chunks=known.chunks)
            self._kb.store.put_blob(path, sha256)
            job = submit_file(self.queue, name, sha256, path.stat().st_size, details, draft=draft, by=principal)
            return _state(name, job)
        except (KBError, OSError) as error:
            return FileState(name, status="failed", reason=str(error))
        finally:
            path.unlink(missing_ok=True)

    def _look(self) -> None:
        """Take up what the worker publishes; now and then forget what is older than may be kept."""
        forgot = -_FORGET_S
        while not self._stopping.wait(_LOOK_S):
            self._take_up()
            if time.monotonic() - forgot > _FORGET_S:
                self._guarded("forgetting old questions", self._forget)
                forgot = time.monotonic()

    def _forget(self) -> None:
        if days := self._kb.settings.retention_days:
            Conversations(self._kb.store).purge(days)

    def _take_up(self) -> None:
        self._guarded("taking up the index", self._kb.refresh_index)

    def _warm_up(self) -> None:
        """Load what the first question would wait for; meanwhile what is added is found all the same."""
        self._guarded("warm-up", self._kb.warm_up)
        self._guarded("warm-up of the model", lambda: self._kb.model)  # its libraries take seconds to load

    def _guarded(self, what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except (KBError, OSError, ValueError) as error:
            _log.warning("background work broke off", work=what, reason=str(error))


def _state(name: str, job: Job) -> FileState:
    if job.state == "done":
        result = job.result
        reason, pages, chunks = str(result["reason"]), int(result["pages"]), int(result["chunks"])
        state = str(result.get("state", ""))
        return FileState(name, "", 0, 0, "added", reason, pages, chunks, job.number, state=state)
    if job.state in ("failed", "quarantined"):
        return FileState(name, status="failed", reason=job.reason, job=job.number)
    if job.state == "cancelled":
        return FileState(name, status="stopped", job=job.number)
    return FileState(name, step_of(job), job.done, job.total, job=job.number, left_s=job.left_s)


def step_of(job: Job) -> str:
    """What is being done for a job that is not over."""
    return "paused" if job.state == "paused" else job.step if job.state == "running" and job.step else "wait"


def _command(settings: Settings) -> tuple[list[str], dict[str, str]]:
    """How the worker is started, and its environment: the very settings that the app has."""
    command = [sys.executable, "-m", "cli", "jobs", "run", "--under-app", "--home", str(settings.home)]
    return command, {**os.environ, **{f"VADEMECUM_{name.upper()}": text for name, text in _spelt_out(settings)}}


def _spelt_out(settings: Settings) -> list[tuple[str, str]]:
    """The settings that were given, as environment variables hold them: lists and the like as JSON."""
    given: list[tuple[str, str]] = []
    for name in settings.model_fields_set:
        value: Any = getattr(settings, name)
        if hasattr(value, "get_secret_value"):
            value = value.get_secret_value()
        if value is not None:
            plain = isinstance(value, str | int | float | Path) and not isinstance(value, bool)
            given.append((name, str(value) if plain else json.dumps(value)))
    return given
