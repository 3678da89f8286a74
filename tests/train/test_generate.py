"""Generation against a scripted server with failures: nothing lost, nothing paid twice, the budget holds."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.generate import fill, journalled, server
from kb.errors import ModelError
from kb.store import Store
from train.engine import EndpointEngine
from train.examples import Examples, Selection
from train.generate import GenerationReport, Limits, estimate, generate
from train.items import Mix, passages
from train.journal import Journal
from train.tasks import all_tasks

TASK = all_tasks()["qa"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    fill(tmp_path / "home", 60)
    return tmp_path / "home"


@pytest.fixture
def opened(home: Path) -> Iterator[Store]:
    store = Store(home)
    yield store
    store.close()


def run(store: Store, address: str, **limits: float) -> GenerationReport:
    report = GenerationReport()
    chosen = Limits(**{"concurrency": 8, "tries": 12, "first_wait_s": 0.02, **limits})  # type: ignore[arg-type]

    async def whole() -> None:
        engine = EndpointEngine(address, "scripted", timeout_s=1.0, concurrency=8)
        try:
            await generate(store, TASK, passages(store, store.documents(), Mix(), ("zh",)), engine, chosen, report)
        finally:
            await engine.close()

    asyncio.run(whole())
    return report


def test_failures_are_tried_again_and_nothing_is_asked_twice(opened: Store, tmp_path: Path) -> None:
    """Lost: passages without examples, or a bill for the same reply twice."""
    log = tmp_path / "log"
    with server(log, "--low", "0", "--high", "0.02", "--failures", "0.4", "--hang", "3") as address:
        first = run(opened, address)
        assert (first.done + first.unreadable, first.failed) == (60, 0)
        assert first.retries > 0
        again = run(opened, address)
    assert (again.known, again.asked) == (60, 0)
    sends = Counter(log.read_text().split())
    assert len(sends) == 60
    assert max(sends.values()) == 1
    made = list(Examples(opened).stream(Selection()))
    assert len(made) == first.examples > 40
    assert {example.generator for example in made} == {"scripted"}
    account = Journal(opened).accounts()[0]
    assert (account.requests, account.prompt_tokens) == (60, 300 * 60)


def test_the_budget_is_not_passed(opened: Store, tmp_path: Path) -> None:
    """Lost: a bill larger than was allowed."""
    with server(tmp_path / "log", "--low", "0", "--high", "0.01", "--failures", "0") as address:
        report = run(opened, address, price_in=1000.0, price_out=0.0, budget=6.0, concurrency=2)
    assert 0 < report.cost <= 6.0
    assert "budget" in report.stopped


def test_the_estimate_counts_only_what_is_left(opened: Store, tmp_path: Path) -> None:
    items = list(passages(opened, opened.documents(), Mix(), ("zh",)))
    before = estimate(opened, TASK, items, "scripted", Limits(price_in=1.0))
    assert (before.requests, before.known) == (60, 0)
    assert before.prompt_tokens > 60 * 100
    with server(tmp_path / "log", "--low", "0", "--high", "0.01", "--failures", "0") as address:
        run(opened, address, most=20)
    after = estimate(opened, TASK, items, "scripted", Limits())
    assert (after.requests, after.known) == (40, 20)


def test_a_dead_endpoint_ends_the_run_and_says_so(opened: Store) -> None:
    """Lost: hours of waiting for a server that is not there."""
    with pytest.raises(ModelError, match="in a row"):
        run(opened, "http://127.0.0.1:9/v1", first_wait_s=0.001)
    assert Examples(opened).count(Selection()) == 0


@pytest.mark.fault
@pytest.mark.timeout(900)
def test_kills_lose_and_repeat_nothing_journalled(tmp_path: Path) -> None:
    """Lost: money, at every kill."""
    home, log = tmp_path / "home", tmp_path / "log"
    fill(home, 600)
    log.touch()
    before: set[str] = set()
    with server(log, "--low", "0.02", "--high", "0.2", "--hang", "2") as address:
        command = [sys.executable, "-m", "bench.generate", "--child", str(home), address, "16"]
        for wait in (1.5, 2.0, 2.5, 1.8, 700.0):
            sent = len(log.read_text().split())
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            try:
                process.wait(wait)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
            time.sleep(0.5)
            now = journalled(home)
            assert before <= now
            assert not before & set(log.read_text().split()[sent:])
            before = now
    assert len(before) == 600
