"""An evaluation under way: seen while it runs, stopped when asked, and what it had still to ask is not asked."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kb.audit import Audit
from kb.errors import UsageError
from kb.evaluate_answers import AnswerRow
from kb.extract import Extractor
from kb.store import Store
from train.examination import Asked, passage
from train.measure import Candidate, measure
from train.model_folders import Model
from train.runs import Runs
from train.under_way import EvaluationStopped, under_way

MODEL = Model("tuned", Path("/nowhere"), {"hash": "h", "dataset": {"name": "drugs", "version": "1"}})


class Counting:
    """The extractive engine, how often it was asked, and no faster than it is heard."""

    def __init__(self) -> None:
        self.asked = 0
        self.heard = threading.Semaphore(2)

    def __call__(self, question: str) -> Extractor:
        self.heard.acquire(timeout=0.3)
        self.asked += 1
        return Extractor()


def questions(n: int) -> list[Asked]:
    return [
        Asked(AnswerRow(f"q{i}", "利可君的适应证是什么？", ("用于白细胞减少。",), answerable=True),
              (passage("利可君\n适应证:用于白细胞减少。", 1),))
        for i in range(n)
    ]  # fmt: skip


def test_a_cancelled_evaluation_ends_at_its_next_report_and_asks_no_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost: an evaluation of hours that was started on the wrong model can only be killed."""
    monkeypatch.setattr("train.under_way._EVERY_S", 0.0)
    runs, engine, seen = Runs(store), Counting(), []

    def told(name: str, done: int, total: int) -> None:
        seen.append((name, done, total))
        engine.heard.release()
        if done == 3:
            runs.cancel("evaluate-1")

    def evaluated() -> None:
        with under_way(store, MODEL, told) as asking:
            assert (runs.run("evaluate-1").state, runs.run("evaluate-1").name) == ("running", "tuned")
            measure(Candidate("extractive", None, 1, engine), questions(40), [], asking)

    with pytest.raises(EvaluationStopped, match="models evaluate tuned"):
        evaluated()
    stopped = runs.run("evaluate-1")
    assert (stopped.state, stopped.step, stopped.steps, stopped.facts["engine"]) == ("cancelled", 3, 40, "extractive")
    assert seen[-1] == ("extractive", 3, 40)
    assert engine.asked < 8
    assert [entry.action for entry in Audit(store).entries()] == ["evaluated"]
    with pytest.raises(UsageError, match="cannot be cancelled"):
        runs.cancel("evaluate-1")


def test_one_that_is_cancelled_after_its_last_report_is_not_kept_either(store: Store) -> None:
    """Lost: whoever stopped it finds an evaluation all the same, and the model it was made of promoted on it."""
    runs = Runs(store)

    def evaluated() -> None:
        with under_way(store, MODEL, lambda engine, done, total: None, over="others/2") as asking:
            asking("tuned", 40, 40)
            runs.cancel("evaluate-1")

    with pytest.raises(EvaluationStopped, match="Nothing of it is kept"):
        evaluated()
    stopped = runs.run("evaluate-1")
    assert (stopped.state, stopped.reason) == ("cancelled", "")
    assert (stopped.dataset, stopped.dataset_version) == ("others", "2")  # what it was asked over, not its own


def test_an_evaluation_that_ends_by_itself_is_done_and_one_that_fails_says_why(store: Store) -> None:
    """Lost: the Models tab shows evaluations that run for ever."""
    runs = Runs(store)
    with under_way(store, MODEL, lambda engine, done, total: None) as asking:
        asking("tuned", 1, 1)
    assert runs.run("evaluate-1").state == "done"
    with pytest.raises(UsageError), under_way(store, MODEL, lambda engine, done, total: None):
        raise UsageError("no dataset")
    failed = runs.run("evaluate-2")
    assert (failed.state, failed.reason) == ("failed", "no dataset")
