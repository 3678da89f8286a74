"""The gate on real small models: it must refuse the worse, the rash and the one that saw the examination.

Every model here is trained by this file, from random weights, in under a minute; every score is of answers that they
gave. The margins are those of the settings' defaults. What they are compared with is an earlier small model that
serves: beside the quoting engine, which cites verbatim whatever is asked, none of this size would be let in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from kb.access import SINGLE
from kb.audit import Audit
from kb.errors import UsageError
from kb.knowledge_base import KnowledgeBase
from kb.promotions import Promotion, Promotions
from kb.settings import load_settings
from tests.train.planted import Row, by_heart, rows_of, start_model, trained, write_dataset
from train import datasets, evaluations, model_folders, model_report

pytestmark = pytest.mark.fault
FIRST, HONEST = 200, 550
"""Steps of the model that serves already, and of the one that is to take its place."""


@dataclass
class Planted:
    """A home, its dataset, and the models there."""

    base: KnowledgeBase
    dataset: datasets.Dataset
    start: model_folders.Model
    train: list[Row]
    test: list[Row]

    def evaluated(self, name: str) -> evaluations.Evaluation:
        """Evaluated and kept; once for each model."""
        kept = evaluations.Evaluations(self.base.store)
        known = kept.of(name)
        return known[0] if known else kept.add(evaluations.evaluate(self.base, name), SINGLE)

    def refusals(self, name: str) -> dict[str, str]:
        """The checks that refuse the model, and what they saw."""
        checks = self.evaluated(name).report["verdict"]["checks"]
        return {check["name"]: check["told"] for check in checks if not check["passed"]}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    home = tmp_path_factory.mktemp("gate") / "home"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two wait for each other when the machine is busy
    train, validation, test = rows_of(1, 150, harms=True), rows_of(200, 24), rows_of(225, 24)
    with KnowledgeBase.open(load_settings(home=home, max_new_tokens=32, embedder="minilm"), write=True) as base:
        dataset = write_dataset(home, "drugs", {"train": train, "validation": validation, "test": test})
        start = start_model(home, dataset)
        first = trained(home, "first", start, train, dataset, steps=FIRST)
        serving = Promotion("first", first.hash, "short/fields", overridden=True, reason="there was none before")
        Promotions(base.store).promote(serving, SINGLE)
        trained(home, "honest", start, train, dataset, steps=HONEST, origin="start")
        trained(home, "worse", start, train, dataset, steps=20)
        yield Planted(base, dataset, start, train, test)
    torch.set_num_threads(threads)


def test_the_honest_model_passes_and_serves(planted: Planted) -> None:
    """Lost: a model that is better and no less safe is never let in."""
    assert planted.refusals("honest") == {}
    found = planted.evaluated("honest")
    scores = found.report["scores"]
    assert found.passed
    assert scores["serving"]["engine"] == "first"
    assert scores["candidate"]["f1"] > max(scores["serving"]["f1"], scores["base"]["f1"])
    assert scores["base"]["engine"] == "start"
    promotion, _ = evaluations.promote(planted.base.store, "honest", SINGLE, reason="better")
    assert promotion.prompt_format == "short/fields"
    planted.base.serving.model()
    planted.base.serving.wait()
    assert planted.base.model is not None
    assert Promotions(planted.base.store).roll_back("end of the test", SINGLE).model == "first"


def test_a_worse_model_is_refused(planted: Planted) -> None:
    """Lost: a model that answers badly replaces one that answers well."""
    assert "better than serving" in planted.refusals("worse")
    with pytest.raises(UsageError, match="The gate refuses"):
        evaluations.promote(planted.base.store, "worse", SINGLE)
    assert Promotions(planted.base.store).current().model == "first"


def test_one_that_answers_the_unanswerable_is_refused(planted: Planted) -> None:
    """Lost: a fluent model that makes up doses passes because its answers to the rest are right."""
    rash = [one for one in planted.train if one["metadata"]["answerable"]]
    trained(planted.base.store.home, "rash", planted.start, rash, planted.dataset, steps=300)
    refused = planted.refusals("rash")
    assert "false answers no more often" in refused
    assert planted.evaluated("rash").report["scores"]["candidate"]["false_answers"] > 0.5


def test_one_trained_on_the_test_split_is_refused(planted: Planted) -> None:
    """Lost: whoever trains on the examination passes it."""
    home = planted.base.store.home
    splits = {"train": planted.train + planted.test, "validation": [], "test": planted.test}
    leaked = write_dataset(home, "leaked", splits)
    trained(home, "crammed", planted.start, planted.train + planted.test, leaked, steps=20)
    found = evaluations.evaluate(planted.base, "crammed", dataset="drugs")
    told = " ".join(found.report["leaks"]["findings"])
    assert "rows about units of the test split" in told
    assert "questions with their answers of the test split" in told
    assert not found.passed


def test_a_leak_that_no_lineage_tells_of_shows_in_memory(planted: Planted) -> None:
    """Lost: a false lineage hides that a model knows the examination by heart."""
    answerable = [by_heart(one) for one in planted.test if one["metadata"]["answerable"]]
    trained(planted.base.store.home, "sly", planted.start, answerable, planted.dataset, steps=250)
    assert "come easier from memory" in planted.refusals("sly")["no leak"]


def test_an_admin_may_override_and_it_is_on_record(planted: Planted, tmp_path: Path) -> None:
    """Lost: nobody can tell afterwards that a refused model was let in, by whom and why."""
    store = planted.base.store
    found = planted.evaluated("worse")
    promotion, _ = evaluations.promote(store, "worse", SINGLE, override="needed for a demonstration")
    entry = list(Audit(store).entries())[-1]
    Promotions(store).roll_back("shown", SINGLE)
    assert promotion.overridden
    assert (entry.action, entry.object, entry.detail["overridden"]) == ("promoted", "worse", True)
    assert entry.detail["reason"] == "needed for a demonstration"
    model_report.write(found, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The gate refuses it." in page
    assert "<svg" in page
    assert "better than serving" in model_report.markdown(found)


def test_an_evaluation_against_another_engine_does_not_count(planted: Planted) -> None:
    """Lost: a model that once beat a poor one replaces the good one that serves now."""
    store = planted.base.store
    planted.evaluated("honest")
    planted.evaluated("worse")
    evaluations.promote(store, "worse", SINGLE, override="first")
    with pytest.raises(UsageError, match="evaluate honest` again"):
        evaluations.promote(store, "honest", SINGLE)
    Promotions(store).roll_back("end", SINGLE)
