"""Workers take jobs from the queue and run what is registered for their kind; the app keeps one as its own process.

A worker renews its lease from a thread of its own, so that a long step (a batch of vectors, one hard page) does not
cost it the job. It is built to be killed: what it leaves is taken up by the next one (kb.jobs).
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import IO, Any, Protocol

import structlog

from kb.errors import KBError, StoreError
from kb.jobs import Job, JobQueue, JobStopped, Lease, LeaseLost
from kb.store import Guard

_log = structlog.get_logger("vademecum")

_RENEW_S = 5.0
_REPORT_S = 0.5  # at most this often is progress written
_YIELD_S = 1.0  # at most this often is asked whether a smaller job waits
_IDLE_S = 1.0
_WAIT_AFTER_FAILURE_S = 20.0
_RESTART_MOST_S = 30.0
_END_S = 10.0


class RunningJob:
    """What a handler sees of its job. Every report may raise JobStopped, which the handler lets through."""

    def __init__(
        self,
        queue: JobQueue,
        lease: Lease,
        stopping: Callable[[], bool],
        watch: Callable[[Job], None] | None = None,
        *,
        gives_way: bool = True,
    ) -> None:
        self.job = lease.job
        self.guard: Guard = lease.guard
        """Passed to the store with what the job writes: nothing counts once the lease is lost."""
        self._queue = queue
        self._lease = lease
        self._stopping = stopping
        self._watch = watch
        self._gives_way = gives_way
        self._wanted = ""
        self._lost: LeaseLost | None = None
        self._step = ""
        self._reported = self._looked = -1e9
        self._since, self._from = 0.0, 0

    @property
    def payload(self) -> Mapping[str, Any]:
        return self.job.payload

    def report(self, step: str, done: int, total: int, *, may_yield: bool = False) -> None:
        """Note progress; stop here if that is wanted. `may_yield`: going on later from here loses next to nothing.

        Raises JobStopped, and LeaseLost if another worker has the job.
        """
        now = time.monotonic()
        if step != self._step or now - self._reported >= _REPORT_S or done == total:
            begins = step != self._step
            self._wanted = self._queue.report(self._lease, step, done, total, begins=begins)
            self._step, self._reported = step, now
            if begins:
                self._since, self._from = now, done
        if self._watch:
            gone = done - self._from
            left = (total - done) * (now - self._since) / gone if gone > 0 and done < total else None
            self._watch(replace(self.job, step=step, done=done, total=total, left_s=left))
        self.check()
        if may_yield and self._gives_way and now - self._looked >= _YIELD_S:
            self._looked = now
            if self._queue.smaller_waits(self._lease):
                raise JobStopped("yield")

    def check(self) -> None:
        """Raise JobStopped or LeaseLost if the job is to stop."""
        if self._lost:
            raise self._lost
        if self._wanted == "cancel":
            raise JobStopped("cancel")
        if self._wanted == "pause":
            raise JobStopped("pause")
        if self._stopping():
            raise JobStopped("shutdown")

    def stopped(self) -> bool:
        """Whether `check` would raise."""
        return bool(self._lost or self._wanted or self._stopping())

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease in the background while the block runs."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(_RENEW_S):
                try:
                    self._wanted = self._queue.renew(self._lease)
                except LeaseLost as lost:
                    self._lost = lost
                    return
                except StoreError as error:
                    _log.warning("a lease could not be renewed", job=self.job.number, reason=str(error))

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


class Handler(Protocol):
    """What a kind of job does. Going through it again, after a kill at any point, must be harmless."""

    def __call__(self, job: RunningJob) -> Mapping[str, Any]:
        """Do the job; returns its result. Raises KBError if it cannot be done (StoreError: perhaps later)."""


class Worker:
    """Runs jobs in this process, one at a time."""

    def __init__(
        self, queue: JobQueue, handlers: Mapping[str, Handler], *, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._queue = queue
        self._handlers = handlers
        self._stopping = stopping
        self.name = f"{os.getpid()}/{threading.get_ident()}"

    def run(self, *, only: Collection[int] | None = None, idle: Callable[[], None] | None = None) -> int:
        """Run jobs until none is left, or (with `idle`, called when there is nothing to do) until told to stop.

        Returns how many were run.
        """
        count = 0
        while not self._stopping():
            lease = self._queue.claim(self.name, kinds=self._handlers, only=only)
            if lease is not None:
                self.run_one(lease)
                count += 1
            elif idle is None:
                break
            else:
                idle()
                self._sleep()
        return count

    def run_one(self, lease: Lease, *, waited_for: bool = False, watch: Callable[[Job], None] | None = None) -> Job:
        """Run one leased job to its end or its stop; `watch` sees all its progress.

        `waited_for`: someone waits for this one, so it gives way to none, and a failure that may pass fails it too.
        """
        job = RunningJob(self._queue, lease, self._stopping, watch, gives_way=not waited_for)
        try:
            with job.kept():
                result = self._handlers[lease.job.kind](job)
            self._queue.finish(lease, result)
        except JobStopped as stop:
            stopped = stop
            self._ended(lambda: self._queue.stop(lease, stopped))
        except LeaseLost as lost:
            _log.warning("a job was lost to another worker", job=lease.job.number, reason=str(lost))
        except StoreError as error:
            reason, wait = str(error), _WAIT_AFTER_FAILURE_S * lease.job.tries
            if waited_for:
                self._ended(lambda: self._queue.fail(lease, reason))
            else:
                self._ended(lambda: self._queue.set_back(lease, reason, wait))
        except KBError as error:
            told = str(error)
            self._ended(lambda: self._queue.fail(lease, told))
        return self._queue.job(lease.job.number)

    def _ended(self, note: Callable[[], None]) -> None:
        """Note how a job ended; where even that fails (a full disk), its lease runs out and it is tried again."""
        try:
            note()
        except KBError as error:
            _log.warning("how a job ended could not be noted; it will be tried again", reason=str(error))

    def _sleep(self) -> None:
        end = time.monotonic() + _IDLE_S
        while time.monotonic() < end and not self._stopping():
            time.sleep(0.1)


class WorkerProcess:
    """A worker in a process of its own: started, watched, started again when it dies, stopped in good order."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """`command` must run jobs until its standard input is closed."""
        self._command = list(command)
        self._environment = dict(environment)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name="worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        with self._lock:
            return self._process.pid if self._process and self._process.poll() is None else None

    def stop(self, seconds: float) -> None:
        """Ask the process to put its job down and end; after `seconds` it is killed, which loses nothing."""
        self._stop.set()
        with self._lock:
            process = self._process
        if process is not None:
            _close(process.stdin)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._thread.join(seconds)

    def _watch(self) -> None:
        wait = 1.0
        while not self._stop.is_set():
            started = time.monotonic()
            with self._lock:
                self._process = process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, env=self._environment, start_new_session=True
                )
            code = process.wait()
            _close(process.stdin)
            if self._stop.is_set():
                return
            wait = 1.0 if time.monotonic() - started > _RESTART_MOST_S else min(2 * wait, _RESTART_MOST_S)
            _log.warning("the worker ended and is started again", code=code, in_s=wait)
            self._stop.wait(wait)


def end_with_parent(told: threading.Event) -> None:
    """Set `told` once standard input is closed: the parent wants an end, or is gone. Then end soon, in any case."""

    def watch() -> None:
        while sys.stdin.buffer.read(1 << 10):
            pass
        told.set()
        time.sleep(_END_S)
        os._exit(0)  # what was not finished is a job still

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with suppress(BrokenPipeError):
            pipe.close()
