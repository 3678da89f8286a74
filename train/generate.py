"""Items and an engine in, journalled examples out: many requests in flight, each paid for once.

Three parts in one event loop: a feeder that skips what the journal has, workers that ask, a writer that commits replies
in groups. A request that must wait (429, 5xx, timeout) gives its place to the next one; when everything fails all wait.
What is outstanding is bounded, so a million passages need no more memory than a hundred.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from kb.errors import ModelError
from kb.store import Store
from kb.types import QAExample
from train.engine import Engine, Refused, Reply, Retry, estimated_tokens
from train.journal import Journal, Outcome
from train.replies import Unreadable
from train.tasks import Item, Task

_FEED = 200  # items looked up in the journal at a time
_GROUP_S = 0.05  # a reply waits no longer for others to be committed with
_OUTSTANDING = 3  # requests at work or waiting to be tried again, times the concurrency
_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard to ask, and how much to spend (money of whatever currency the prices are in; 0 is no cap)."""

    concurrency: int = 8
    tries: int = 6
    max_tokens: int = 1024
    first_wait_s: float = 1.0
    budget: float = 0.0
    price_in: float = 0.0
    price_out: float = 0.0
    most: int = 0
    """Most requests in this run; 0 is no cap."""


@dataclass(slots=True)
class GenerationReport:
    """Counts of a run as they grow. `busy_s` is the summed time of requests in flight."""

    known: int = 0
    asked: int = 0
    done: int = 0
    unreadable: int = 0
    failed: int = 0
    retries: int = 0
    cut_off: int = 0
    examples: int = 0
    refused_by_check: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    stopped: str = ""
    busy_s: float = 0.0
    feeding_s: float = 0.0
    """Seconds during which there was work to give out."""
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def occupancy(self, concurrency: int) -> float:
        """Share of the configured places that were busy while there was work."""
        return self.busy_s / (concurrency * self.feeding_s) if self.feeding_s else 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would send: requests that are not journalled yet, tokens and cost by a sample."""

    requests: int
    known: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


def estimate(store: Store, task: Task, items: Iterable[Item], model: str, limits: Limits) -> Estimate:
    """Count what is to be asked; tokens from the first 200 requests, replies guessed at 150 tokens a wanted object."""
    journal = Journal(store)
    fresh = known = 0
    sample: list[int] = []
    wanted = 0
    for batch in _batches(items):
        paid = journal.paid([task.key(item, model) for item in batch])
        for item in batch:
            if task.key(item, model) in paid:
                known += 1
                continue
            fresh += 1
            if len(sample) < 200:
                sample.append(sum(estimated_tokens(message["content"]) for message in task.messages(item)))
                wanted += int({"n": 2, **task.wish, **item.wish}["n"])
    if limits.most:
        fresh = min(fresh, limits.most)
    mean = sum(sample) / len(sample) if sample else 0.0
    prompt = int(mean * fresh)
    completion = int(150 * (wanted / len(sample) if sample else 0) * fresh)
    cost = (prompt * limits.price_in + completion * limits.price_out) / 1e6
    return Estimate(fresh, known, prompt, completion, cost)


async def generate(
    store: Store,
    task: Task,
    items: Iterable[Item],
    engine: Engine,
    limits: Limits,
    report: GenerationReport,
    progress: Callable[[GenerationReport], None] | None = None,
) -> None:
    """Ask for every item whose reply is not journalled. What was received is committed however the run ends.

    Raises ModelError when no request can succeed; what was paid for is kept, and the next run goes on from there.
    """
    run = _Run(store, task, engine, limits, report, progress)
    await run.all(items)


@dataclass(slots=True)
class _Asked:
    item: Item
    key: str
    tries: int = 0


class _Run:
    def __init__(
        self,
        store: Store,
        task: Task,
        engine: Engine,
        limits: Limits,
        report: GenerationReport,
        progress: Callable[[GenerationReport], None] | None,
    ) -> None:
        self._journal = Journal(store)
        self._task = task
        self._engine = engine
        self._limits = limits
        self._report = report
        self._progress = progress
        self._places = asyncio.Semaphore(limits.concurrency * _OUTSTANDING)
        self._ready: asyncio.Queue[_Asked] = asyncio.Queue()
        self._ended: asyncio.Queue[Outcome | None] = asyncio.Queue()
        self._waiting: set[asyncio.Task[None]] = set()
        self._outstanding = 0
        self._fed = asyncio.Event()
        self._idle = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()
        self._failures = 0
        self._mean_cost = 0.0
        self._in_flight = 0
        self._last = time.monotonic()
        self._random = random.Random()

    async def all(self, items: Iterable[Item]) -> None:
        """Run feeder, workers and writer until nothing is outstanding."""
        writer = asyncio.create_task(self._write())
        workers = [asyncio.create_task(self._work()) for _ in range(self._limits.concurrency)]
        feeder = asyncio.create_task(self._feed(items))
        finished = asyncio.create_task(self._until_idle())
        try:
            done, _ = await asyncio.wait([feeder, finished, *workers, writer], return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                if task is not finished:
                    task.result()
        except asyncio.CancelledError:
            self._report.stopped = "interrupted"
            raise
        finally:
            for task in (feeder, finished, *workers, *self._waiting):
                task.cancel()
            await self._ended.put(None)
            with suppress(asyncio.CancelledError):
                await writer

    async def _until_idle(self) -> None:
        await self._fed.wait()
        while self._outstanding:
            self._idle.clear()
            await self._idle.wait()
        raise _AllDone

    # -- feeding -----------------------------------------------------------------------------------------------------

    async def _feed(self, items: Iterable[Item]) -> None:
        sent = 0
        async for batch in _in_thread(_batches(items)):
            keys = [self._task.key(item, self._engine.name) for item in batch]
            paid = await asyncio.to_thread(self._journal.paid, keys)
            for item, key in zip(batch, keys, strict=True):
                if key in paid:
                    self._report.known += 1
                    continue
                if self._limits.most and sent >= self._limits.most:
                    self._report.stopped = f"the {self._limits.most:,} requests asked for are sent"
                    self._all_fed()
                    return
                await self._places.acquire()
                if self._over_budget():
                    self._report.stopped = f"the budget of {self._limits.budget:g} is spent"
                    self._all_fed()
                    return
                sent += 1
                self._outstanding += 1
                await self._ready.put(_Asked(item, key))
        self._all_fed()

    def _all_fed(self) -> None:
        self._tick(0)
        self._fed.set()
        self._idle.set()

    def _tick(self, change: int) -> None:
        """Count requests in flight over time, while there is work to give out."""
        now = time.monotonic()
        if not self._fed.is_set():
            self._report.busy_s += self._in_flight * (now - self._last)
            self._report.feeding_s += now - self._last
        self._last = now
        self._in_flight += change

    def _over_budget(self) -> bool:
        """Whether one request more could pass the cap, those outstanding counted at the mean cost so far."""
        if not self._limits.budget:
            return False
        price = self._mean_cost or self._limits.max_tokens * self._limits.price_out / 1e6
        return self._report.cost + (self._outstanding + 1) * price > self._limits.budget

    # -- asking ------------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            asked = await self._ready.get()
            await self._open.wait()
            asked.tries += 1
            self._report.asked += 1
            self._tick(+1)
            try:
                reply = await self._engine.complete(
                    self._task.messages(asked.item), max_tokens=self._limits.max_tokens, key=asked.key
                )
            except Retry as failure:
                self._again(asked, failure)
            except Refused as failure:
                self._failures = 0
                await self._end(asked, None, str(failure))
            else:
                self._failures = 0
                await self._end(asked, reply, "")
            finally:
                self._tick(-1)

    def _again(self, asked: _Asked, failure: Retry) -> None:
        """Wait, with the place given to others; or give the request up; or, if everything fails, the run."""
        self._report.retries += 1
        self._failures += 1
        if self._failures > max(30, 6 * self._limits.concurrency):
            raise ModelError(
                f"The model endpoint failed {self._failures} times in a row, last with: {failure}. What was received "
                "is kept; look at the endpoint, then run the same command again."
            )
        if asked.tries >= self._limits.tries:
            self._keep(self._end(asked, None, f"given up after {asked.tries} tries: {failure}"))
            return
        wait = min(_LONGEST_WAIT_S, self._limits.first_wait_s * 2 ** (asked.tries - 1))
        wait = failure.after_s if failure.after_s is not None else wait * self._random.uniform(0.5, 1.0)
        if self._failures > self._limits.concurrency:  # not this request's trouble but the server's: all pause
            self._open.clear()
        self._keep(self._requeue(asked, wait))

    def _keep(self, coroutine: object) -> None:
        task = asyncio.ensure_future(coroutine)  # type: ignore[call-overload]
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _requeue(self, asked: _Asked, wait: float) -> None:
        await asyncio.sleep(wait)
        self._open.set()
        await self._ready.put(asked)

    async def _end(self, asked: _Asked, reply: Reply | None, reason: str) -> None:
        hit = asked.item.hit
        outcome = Outcome(
            asked.key,
            self._task.name,
            self._engine.name,
            hit.chunk.id if hit else "",
            "failed",
            reply,
            reason,
            asked.tries,
        )
        if reply is not None:
            outcome = self._parsed(outcome, asked.item, reply)
        await self._ended.put(outcome)

    def _parsed(self, outcome: Outcome, item: Item, reply: Reply) -> Outcome:
        try:
            made = self._task.parse(reply.text, item)
        except Unreadable as error:
            cut = " (cut off at its length limit)" if reply.cut_off else ""
            return replace(outcome, state="unreadable", reason=f"{error}{cut}")
        checked = tuple(self._checked(example) for example in made)
        return replace(outcome, state="done", examples=checked, reason="cut off" if reply.cut_off else "")

    def _checked(self, example: QAExample) -> QAExample:
        wrong = self._task.check(example)
        self._report.refused_by_check += bool(wrong)
        return replace(example, state="dropped", reason=f"{self._task.name}: {wrong}") if wrong else example

    # -- writing -----------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            first = await self._ended.get()
            group = [first]
            if first is not None:
                await asyncio.sleep(_GROUP_S)
                while not self._ended.empty():
                    group.append(self._ended.get_nowait())
            outcomes = [outcome for outcome in group if outcome is not None]
            new = await asyncio.to_thread(self._journal.write, outcomes)
            self._count(outcomes, new)
            if None in group:
                return

    def _count(self, outcomes: list[Outcome], new: int) -> None:
        report = self._report
        report.examples += new
        for outcome in outcomes:
            report.done += outcome.state == "done"
            report.unreadable += outcome.state == "unreadable"
            report.failed += outcome.state == "failed"
            if outcome.reply:
                report.cut_off += outcome.reply.cut_off
                report.prompt_tokens += outcome.reply.prompt_tokens
                report.completion_tokens += outcome.reply.completion_tokens
            self._outstanding -= 1
            self._places.release()
        paid = report.done + report.unreadable
        tokens = (report.prompt_tokens * self._limits.price_in, report.completion_tokens * self._limits.price_out)
        report.cost = sum(tokens) / 1e6
        self._mean_cost = report.cost / paid if paid else 0.0
        self._idle.set()
        if self._progress:
            self._progress(report)


class _AllDone(Exception):
    """Ends the wait for all parts: nothing is outstanding."""


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, _FEED)):
        yield batch


async def _in_thread(batches: Iterator[list[Item]]) -> AsyncIterator[list[Item]]:
    """The batches, each made in a thread: reading the catalog must not stop the workers."""
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        yield batch
