"""Jobs: nothing that was queued is lost, nothing is done by two workers, nothing that kills is tried for ever."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kb.errors import KBError, StoreError, UsageError
from kb.jobs import LEASE_S, MOST_TRIES, Job, JobQueue, JobStopped, LeaseLost
from kb.store import Store
from kb.worker import RunningJob, Worker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def queue_of(store: Store, clock: Clock, *, boot: str = "b", dead: tuple[int, ...] = ()) -> JobQueue:
    return JobQueue(store, clock=clock, boot=boot, alive=lambda pid: pid not in dead)


def test_small_jobs_go_first_and_equal_ones_in_order(store: Store, clock: Clock) -> None:
    queue = queue_of(store, clock)
    for name, priority in (("big", 6), ("small", 1), ("other small", 1)):
        queue.submit("add", name, {}, priority=priority)
    names = [lease.job.subject for _ in range(3) if (lease := queue.claim("1"))]
    assert names == ["small", "other small", "big"]
    assert queue.claim("1") is None


def test_the_same_work_is_queued_once(store: Store, clock: Clock) -> None:
    queue = queue_of(store, clock)
    first = queue.submit("add", "a", {}, key="k")
    assert queue.submit("add", "a", {}, key="k").number == first.number
    lease = queue.claim("1")
    assert lease is not None
    queue.finish(lease, {"pages": 3})
    assert queue.job(first.number).result == {"pages": 3}
    assert queue.submit("add", "a", {}, key="k").number != first.number


def test_a_dead_workers_lease_runs_out_and_its_zombie_is_fenced_off(store: Store, clock: Clock) -> None:
    queue = queue_of(store, clock)
    queue.submit("add", "a", {})
    old = queue.claim("1")
    assert old is not None
    assert queue.claim("2") is None
    clock.now += LEASE_S + 1
    new = queue.claim("2")
    assert new is not None
    assert new.job.number == old.job.number
    with pytest.raises(LeaseLost), store.writing() as connection:
        old.guard(connection)
    with store.writing() as connection:
        new.guard(connection)
    for late in (lambda: queue.finish(old, {}), lambda: queue.fail(old, "x"), lambda: queue.renew(old)):
        with pytest.raises(LeaseLost):
            late()
    assert queue.job(new.job.number).state == "running"


def test_leases_of_ended_processes_and_of_an_earlier_boot_are_void_at_once(store: Store, clock: Clock) -> None:
    queue = queue_of(store, clock)
    queue.submit("add", "a", {})
    assert queue.claim("77/1") is not None
    assert queue_of(store, clock, dead=(77,)).claim("2") is not None
    clock.now = 5.0  # the clock starts anew
    assert queue_of(store, clock, boot="later").claim("3") is not None


def test_what_kills_its_worker_three_times_is_put_in_quarantine(store: Store, clock: Clock) -> None:
    queue = queue_of(store, clock)
    number = queue.submit("add", "a", {}).number
    for _ in range(MOST_TRIES):
        lease = queue.claim("1")
        assert lease is not None
        queue.report(lease, "read", 17, 90, begins=True)
        clock.now += LEASE_S + 1
    assert queue.claim("1") is None
    job = queue.job(number)
    assert job.state == "quarantined"
    assert job.reason == "its worker ended 3 times while at it, last at read, 17 of 90"
    assert queue.retry(number).state == "queued"
    assert queue.claim("1") is not None


def test_pause_resume_cancel(store: Store, clock: Clock) -> None:
    queue = queue_of(store, clock)
    number = queue.submit("add", "a", {}).number
    assert queue.pause(number).state == "paused"
    assert queue.claim("1") is None
    queue.resume(number)
    lease = queue.claim("1")
    assert lease is not None
    queue.pause(number)
    assert queue.renew(lease) == "pause"
    queue.stop(lease, JobStopped("pause"))
    assert queue.job(number).state == "paused"
    assert queue.job(number).tries == 0, "being paused is no failed try"
    assert queue.cancel(number).state == "cancelled"
    with pytest.raises(UsageError, match="is cancelled"):
        queue.pause(number)
    with pytest.raises(UsageError, match="No job"):
        queue.cancel(99)


def test_the_estimate_comes_from_the_rate(store: Store, clock: Clock) -> None:
    queue = queue_of(store, clock)
    number = queue.submit("add", "a", {}).number
    lease = queue.claim("1")
    assert lease is not None
    queue.report(lease, "read", 100, 300, begins=True)  # a resumed job begins at 100: its rate counts from there
    assert queue.job(number).left_s is None
    clock.now += 10
    queue.report(lease, "read", 150, 300)
    assert queue.job(number).left_s == pytest.approx(30)


def test_a_big_job_gives_way_to_a_small_one_and_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb.worker._YIELD_S", 0.0)
    queue = JobQueue(store)
    done: list[str] = []
    pages: dict[str, int] = {}

    def read(job: RunningJob) -> Mapping[str, Any]:
        name = job.job.subject
        for page in range(pages.get(name, 0) + 1, 6):
            pages[name] = page
            if name == "big" and page == 2:
                queue.submit("add", "small", {}, priority=0)
            job.report("read", page, 5, may_yield=True)
        done.append(name)
        return {"pages": 5}

    queue.submit("add", "big", {}, priority=6)
    assert Worker(queue, {"add": read}).run() == 3
    assert done == ["small", "big"]
    assert all(job.state == "done" for job in queue.jobs())


def test_who_waits_for_a_job_is_told_how_long_it_will_take(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("kb.worker.time.monotonic", clock)
    queue, told = JobQueue(store), list[float | None]()

    def read(job: RunningJob) -> Mapping[str, Any]:
        for page in (101, 102, 104, 110):  # gone on with at page 101: the rate counts from there
            job.report("read", page, 110)
            clock.now += 10
        return {}

    queue.submit("add", "book", {})
    lease = queue.claim("1")
    assert lease is not None
    Worker(queue, {"add": read}).run_one(lease, watch=lambda job: told.append(job.left_s))
    assert told == [None, 80, 40, None]


def test_every_end_of_a_job_is_noted_with_its_reason(store: Store) -> None:
    queue = JobQueue(store)

    def handler(job: RunningJob) -> Mapping[str, Any]:
        if job.job.subject == "bad":
            raise KBError("has no pages")
        if job.job.subject == "disk":
            raise StoreError("The disk is full")
        if job.job.subject == "stopped":
            queue.cancel(job.job.number)
        job.report("read", 1, 1)
        return {}

    for name in ("bad", "disk", "stopped", "good"):
        queue.submit("add", name, {})
    Worker(queue, {"add": handler}).run()
    ended = {job.subject: (job.state, job.reason) for job in queue.jobs()}
    assert ended["bad"] == ("failed", "has no pages")
    assert ended["disk"] == ("queued", "The disk is full"), "it waits, and is tried again"
    assert ended["stopped"][0] == "cancelled"
    assert ended["good"] == ("done", "")


def test_jobs_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    with_job = Store(tmp_path)
    queue_of(with_job, clock).submit("add", "a", {"sha256": "x", "n": 3})
    with_job.close()
    again = Store(tmp_path)
    job: Job = queue_of(again, clock).jobs()[0]
    assert (job.subject, job.payload, job.state) == ("a", {"sha256": "x", "n": 3}, "queued")
    again.close()
