"""Durable jobs: rows in the store that a worker leases, renews and finishes once; what a kill leaves is taken up.

A lease runs out by the machine's monotonic clock (a boot id beside it: after a restart all are void), or at once if the
process that held it is gone. Each claim raises the job's fence; whoever holds an older one can no longer write, neither
the job's row nor (through `Lease.guard`) the work itself. A job whose worker died three times is put in quarantine.
What a kind of job does is registered by the rooms (kb.worker); its payload and result are JSON.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

import sqlalchemy as sa

from kb.errors import KBError, UsageError
from kb.schema import jobs
from kb.store import Guard, Store

JobState = Literal["queued", "running", "paused", "done", "failed", "cancelled", "quarantined"]
OVER: frozenset[JobState] = frozenset({"done", "failed", "cancelled", "quarantined"})

LEASE_S = 30.0
MOST_TRIES = 3
_PASSED_MOST = 20  # times a job gives way to smaller ones before it is seen through
_KEPT = 500  # finished jobs that are remembered


class LeaseLost(KBError):
    """Another worker has the job now; what this one still does must not count."""


class JobStopped(Exception):
    """Raised out of `report` in a job that is to stop now; `why` says how it goes on. Never caught for good."""

    def __init__(self, why: Literal["pause", "cancel", "yield", "shutdown"]) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Job:
    """One row. `done` of `total` counts what `step` goes through; `left_s` is estimated from its rate."""

    number: int
    kind: str
    subject: str
    """What it works on, as a person would name it: a file, a data set."""
    payload: Mapping[str, Any]
    state: JobState
    priority: int
    """Lower goes first."""
    key: str
    tries: int
    step: str
    done: int
    total: int
    left_s: float | None
    reason: str
    result: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    changed: str = ""

    @property
    def over(self) -> bool:
        return self.state in OVER


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a job until it expires; renewed by `JobQueue.renew`."""

    job: Job
    fence: int

    def guard(self, connection: sa.Connection) -> None:
        """Within a transaction of the store: raise LeaseLost if the job has gone to another worker."""
        query = sa.select(jobs.c.number).where(*self._mine())
        if connection.execute(query).first() is None:
            raise LeaseLost(f"Job {self.job.number} ({self.job.subject}) was taken over by another worker.")

    def _mine(self) -> tuple[sa.ColumnElement[bool], ...]:
        return jobs.c.number == self.job.number, jobs.c.fence == self.fence, jobs.c.state == "running"


class JobQueue:
    """The jobs of one store. Every method is a short transaction, safe from any thread and process."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.monotonic,
        boot: str | None = None,
        alive: Callable[[int], bool] | None = None,
    ) -> None:
        """`clock`, `boot` and `alive` (is there such a process) are the machine's unless a test says otherwise."""
        self._store = store
        self._clock = clock
        self._boot = boot if boot is not None else boot_id()
        self._alive = alive or is_alive

    # -- for those who want something done -------------------------------------------------------------------------

    def submit(
        self,
        kind: str,
        subject: str,
        payload: Mapping[str, Any],
        *,
        priority: int = 5,
        key: str = "",
        record: Guard | None = None,
    ) -> Job:
        """Queue a job, durably. One that is not over and has the same `key` stands for it, paused no more.

        `record` runs in the transaction of a job that is new.
        """
        now = _now()
        with self._store.writing() as connection:
            if key:
                same = sa.select(jobs).where(jobs.c.key == key, jobs.c.state.not_in(OVER))
                row = connection.execute(same).first()
                if row is not None:
                    if row.state == "paused":
                        self._set(connection, row.number, state="queued", wanted="")
                    return _job(connection.execute(_by_number(row.number)).one())
            values = {
                "kind": kind,
                "subject": subject,
                "payload": json.dumps(dict(payload), ensure_ascii=False),
                "state": "queued",
                "priority": priority,
                "key": key,
                "created": now,
                "changed": now,
            }
            inserted = connection.execute(sa.insert(jobs), _EMPTY | values).inserted_primary_key
            assert inserted is not None
            number = inserted[0]
            _forget_old(connection)
            if record:
                record(connection)
            return _job(connection.execute(_by_number(number)).one())

    def job(self, number: int) -> Job:
        """Raises UsageError if there is none of this number."""
        with self._store.reading() as connection:
            row = connection.execute(_by_number(number)).one_or_none()
        if row is None:
            raise UsageError(f"No job {number}. `vademecum jobs` lists them.")
        return _job(row)

    def jobs(self, *, unfinished: bool = False, limit: int = 200) -> list[Job]:
        """The newest jobs, newest first."""
        query = sa.select(jobs).order_by(jobs.c.number.desc()).limit(limit)
        if unfinished:
            query = query.where(jobs.c.state.not_in(OVER))
        with self._store.reading() as connection:
            return [_job(row) for row in connection.execute(query)]

    def unfinished(self, kinds: Collection[str]) -> list[Job]:
        """All jobs of these kinds that are not over."""
        query = sa.select(jobs).where(jobs.c.state.not_in(OVER), jobs.c.kind.in_(list(kinds)))
        with self._store.reading() as connection:
            return [_job(row) for row in connection.execute(query)]

    def pause(self, number: int) -> Job:
        """Stop a job for now; a running one stops at its next step. Raises UsageError if it is over."""
        return self._ask(number, "pause", "paused", ("queued", "running", "paused"), "be paused")

    def cancel(self, number: int) -> Job:
        """Stop a job for good; a running one stops at its next step. Raises UsageError if it is over."""
        return self._ask(number, "cancel", "cancelled", ("queued", "running", "paused"), "be cancelled")

    def resume(self, number: int) -> Job:
        """Let a paused job go on. Raises UsageError if it is not paused."""
        return self._requeue(number, ("paused",), "go on: it is not paused")

    def retry(self, number: int) -> Job:
        """Try a failed, cancelled or quarantined job again, with all its tries. Raises UsageError if it is none."""
        return self._requeue(number, ("failed", "cancelled", "quarantined"), "be tried again: it did not fail")

    # -- for workers -------------------------------------------------------------------------------------------------

    def claim(
        self, worker: str, *, kinds: Collection[str] | None = None, only: Collection[int] | None = None
    ) -> Lease | None:
        """Lease the first job that is waiting (of these kinds, of these numbers); None if there is none.

        `worker` is '<process id>' or '<process id>/<anything>'.
        """
        with self._store.writing() as connection:
            self._void_leases(connection)
            query = sa.select(jobs).where(jobs.c.state == "queued")
            if kinds is not None:
                query = query.where(jobs.c.kind.in_(list(kinds)))
            if only is not None:
                query = query.where(jobs.c.number.in_(list(only)))
            else:
                ready = sa.or_(jobs.c.lease_until <= self._clock(), jobs.c.lease_boot != self._boot)
                query = query.where(ready)  # a job that failed for want of disk space waits before its next try
            row = connection.execute(query.order_by(jobs.c.priority, jobs.c.number).limit(1)).first()
            if row is None:
                return None
            self._set(
                connection,
                row.number,
                state="running",
                fence=row.fence + 1,
                tries=row.tries + 1,
                worker=worker,
                wanted="",
                lease_until=self._clock() + LEASE_S,
                lease_boot=self._boot,
                step_since=self._clock(),
                step_from=0,
            )
            return Lease(_job(connection.execute(_by_number(row.number)).one()), row.fence + 1)

    def renew(self, lease: Lease) -> str:
        """Prolong the lease; returns what is wanted of the job: '', 'pause' or 'cancel'. Raises LeaseLost."""
        return self._renewed(lease)

    def report(self, lease: Lease, step: str, done: int, total: int, *, begins: bool = False) -> str:
        """Note progress and prolong the lease, as `renew`. A step that `begins` starts a rate of its own."""
        if not begins:
            return self._renewed(lease, done=done, total=total)
        return self._renewed(lease, step=step, done=done, total=total, step_since=self._clock(), step_from=done)

    def smaller_waits(self, lease: Lease) -> bool:
        """Whether a job should give way: a clearly smaller one waits, and it has not given way too often."""
        with self._store.reading() as connection:
            row = connection.execute(_by_number(lease.job.number)).one_or_none()
            if row is None or row.passed >= _PASSED_MOST:
                return False
            query = sa.select(jobs.c.number).where(jobs.c.state == "queued", jobs.c.priority < row.priority - 1)
            return connection.execute(query.limit(1)).first() is not None

    def finish(self, lease: Lease, result: Mapping[str, Any]) -> None:
        """The job is done. Raises LeaseLost."""
        self._end(lease, state="done", result=json.dumps(dict(result), ensure_ascii=False), reason="")

    def fail(self, lease: Lease, reason: str) -> None:
        """The job cannot be done, and trying again would not help. Raises LeaseLost."""
        self._end(lease, state="failed", reason=reason)

    def set_back(self, lease: Lease, reason: str, wait_s: float) -> None:
        """The job failed for a reason that may pass: it waits and is tried again, thrice at most. Raises LeaseLost."""
        if lease.job.tries >= MOST_TRIES:
            self._end(lease, state="quarantined", reason=f"failed {lease.job.tries} times, last: {reason}")
        else:
            until = self._clock() + wait_s
            self._end(lease, state="queued", reason=reason, lease_until=until, lease_boot=self._boot)

    def stop(self, lease: Lease, stopped: JobStopped) -> None:
        """Put a job down that was told to stop; this try does not count. Raises LeaseLost."""
        states: dict[str, JobState] = {"pause": "paused", "cancel": "cancelled"}
        tries, passed = max(0, lease.job.tries - 1), int(stopped.why == "yield")
        state = states.get(stopped.why, "queued")
        self._end(lease, state=state, tries=tries, passed=jobs.c.passed + passed, lease_until=0.0)

    # -- pieces ------------------------------------------------------------------------------------------------------

    def _void_leases(self, connection: sa.Connection) -> None:
        """Take back the jobs of workers that are gone."""
        for row in connection.execute(sa.select(jobs).where(jobs.c.state == "running")).all():
            same_boot = row.lease_boot == self._boot
            pid = row.worker.partition("/")[0]
            gone = not same_boot or (pid.isdigit() and not self._alive(int(pid)))
            if not gone and row.lease_until > self._clock():
                continue
            asked: dict[str, JobState] = {"pause": "paused", "cancel": "cancelled"}
            at = f", last at {row.step}, {row.done:,} of {row.total:,}" if row.step else ""
            if row.wanted in asked:
                values: dict[str, Any] = {"state": asked[row.wanted]}
            elif row.tries >= MOST_TRIES:
                reason = f"its worker ended {row.tries} times while at it{at}"
                values = {"state": "quarantined", "reason": reason}
            else:
                values = {"state": "queued", "reason": f"its worker ended{at}; tried again"}
            self._set(connection, row.number, fence=row.fence + 1, worker="", wanted="", lease_until=0.0, **values)

    def _renewed(self, lease: Lease, **values: Any) -> str:
        with self._store.writing() as connection:
            mine = sa.update(jobs).where(*lease._mine())
            until = {"lease_until": self._clock() + LEASE_S, "lease_boot": self._boot, "changed": _now()}
            if connection.execute(mine.values(**until, **values)).rowcount == 0:
                raise LeaseLost(f"Job {lease.job.number} ({lease.job.subject}) was taken over by another worker.")
            return str(connection.execute(sa.select(jobs.c.wanted).where(jobs.c.number == lease.job.number)).scalar())

    def _end(self, lease: Lease, **values: Any) -> None:
        with self._store.writing() as connection:
            ended = sa.update(jobs).where(*lease._mine()).values(worker="", wanted="", changed=_now(), **values)
            if connection.execute(ended).rowcount == 0:
                raise LeaseLost(f"Job {lease.job.number} ({lease.job.subject}) was taken over by another worker.")

    def _ask(self, number: int, wanted: str, state: JobState, possible: Collection[str], told: str) -> Job:
        with self._store.writing() as connection:
            self._void_leases(connection)
            row = self._possible(connection, number, possible, told)
            if row.state == "running":
                self._set(connection, number, wanted=wanted)
            else:
                self._set(connection, number, state=state)
            return _job(connection.execute(_by_number(number)).one())

    def _requeue(self, number: int, possible: Collection[str], told: str) -> Job:
        with self._store.writing() as connection:
            self._possible(connection, number, possible, told)
            self._set(connection, number, state="queued", tries=0, reason="", lease_until=0.0, passed=0)
            return _job(connection.execute(_by_number(number)).one())

    def _possible(self, connection: sa.Connection, number: int, states: Collection[str], told: str) -> Any:
        row = connection.execute(_by_number(number)).one_or_none()
        if row is None:
            raise UsageError(f"No job {number}. `vademecum jobs` lists them.")
        if row.state not in states:
            raise UsageError(f"Job {number} ({row.subject}) is {row.state} and cannot {told}.")
        return row

    def _set(self, connection: sa.Connection, number: int, **values: Any) -> None:
        connection.execute(sa.update(jobs).where(jobs.c.number == number).values(changed=_now(), **values))


_EMPTY: dict[str, Any] = {
    "tries": 0,
    "fence": 0,
    "worker": "",
    "lease_until": 0.0,
    "lease_boot": "",
    "wanted": "",
    "step": "",
    "done": 0,
    "total": 0,
    "step_since": 0.0,
    "step_from": 0,
    "passed": 0,
    "reason": "",
    "result": "{}",
}


def _by_number(number: int) -> sa.Select[Any]:
    return sa.select(jobs).where(jobs.c.number == number)


def _forget_old(connection: sa.Connection) -> None:
    newest = (
        sa.select(jobs.c.number).where(jobs.c.state.in_(OVER)).order_by(jobs.c.number.desc()).offset(_KEPT).limit(1)
    )
    last = connection.execute(newest).scalar()
    if last is not None:
        connection.execute(sa.delete(jobs).where(jobs.c.state.in_(OVER), jobs.c.number <= last))


def _job(row: Any) -> Job:
    return Job(
        number=row.number,
        kind=row.kind,
        subject=row.subject,
        payload=json.loads(row.payload),
        state=cast(JobState, row.state),
        priority=row.priority,
        key=row.key,
        tries=row.tries,
        step=row.step,
        done=row.done,
        total=row.total,
        left_s=_left(row),
        reason=row.reason,
        result=json.loads(row.result),
        created=row.created,
        changed=row.changed,
    )


def _left(row: Any) -> float | None:
    """Seconds until the step is over, at the rate it has had since it began."""
    gone = row.done - row.step_from
    took = row.lease_until - LEASE_S - row.step_since  # the last report's time: the lease runs from it
    if row.state != "running" or gone <= 0 or took <= 0 or row.total <= row.done:
        return None
    return float((row.total - row.done) * took / gone)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def boot_id() -> str:
    """Names the time since the machine started, which its monotonic clock counts."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(round((time.time() - time.monotonic()) / 60))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
