"""From a dataset version to a model of the home, through the command line and a training process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from kb.errors import UsageError
from kb.knowledge_base import KnowledgeBase
from tests.train.tiny import TINY, base_model
from train import datasets, fields, launch
from train.contexts import ContextPlan, PassageSearch
from train.convert import compare
from train.datasets import Dataset, DatasetPlan
from train.examples import Examples, Selection
from train.fit import load_tokenizer
from train.model_folders import base_of, verify
from train.model_folders import model as model_of
from train.prepare import Sft, packing_of, prepare_sft, steps_of
from train.recipe import Recipe
from train.runs import Runs
from train.templates import encode


def built(base: KnowledgeBase) -> Dataset:
    Examples(base.store).add(list(fields.generate(base.store, base.store.documents(), fields.FieldsReport())))
    plan = DatasetPlan(Selection(), ContextPlan("fields", 1, 0.1, 0), "short", (0.6, 0.2, 0.2), limit=90)
    return datasets.build(base.store, "drugs", plan, PassageSearch(base.store, base.retriever))


def test_a_dataset_becomes_a_model_with_its_lineage(base: KnowledgeBase, tmp_path: Path) -> None:
    """Lost: the whole room. Adapters, so that the merged model is one more thing that can be wrong."""
    dataset = built(base)
    start = base_model(tmp_path / "start")
    command = ["train", "sft", "drugs", "--model", str(start), "--name", "tuned", "--length", "256", "--epochs", "2"]
    command += ["--rows", "2", "--accumulate", "1", "--learning-rate", "0.01", "--lora", "--threads", "1", "--json"]
    result = CliRunner().invoke(cli.app, [*command, "--home", str(base.store.home)])
    assert result.exit_code == 0, result.output
    run = json.loads(result.stdout)["run"]
    assert (run["state"], run["model"], run["dataset_version"]) == ("done", "tuned", dataset.version)
    assert run["result"]["held_out_loss"] < run["result"]["held_out_loss_before"]
    model = model_of(base.store.home, "tuned")
    assert verify(model) == []
    assert model.lineage["dataset"]["hash"] == run["dataset_hash"]
    assert model.lineage["recipe"]["lora"]["rank"] == 16
    assert compare(start, model.folder).worst > 1e-3  # it has learned
    assert base_of(base.store.home, "tuned").run == run["run"]
    shown = CliRunner().invoke(cli.app, ["train", "runs", run["run"], "--json", "--home", str(base.store.home)])
    assert json.loads(shown.stdout)["metrics"][-1]["step"] == run["steps"]
    again = CliRunner().invoke(cli.app, [*command, "--home", str(base.store.home)])
    assert again.exit_code == 2
    assert "never overwritten" in again.output


def test_what_cannot_be_trained_on_is_counted_and_nothing_is_cut(base: KnowledgeBase, tmp_path: Path) -> None:
    dataset = built(base)
    start = base_of(base.store.home, str(base_model(tmp_path / "start")))
    runs = Runs(base.store)
    tokenizer = load_tokenizer(start.folder)
    lengths = sorted(len(encode(tokenizer, row["messages"], "chat")) for row in datasets.rows(dataset.train))
    length = lengths[len(lengths) // 2]
    run = prepare_sft(runs, base.store.home, Sft(dataset, start, Recipe(), length=length))
    left_out = run.facts["train"]["left_out"]
    assert left_out == {f"longer than {length} tokens": sum(one > length for one in lengths)}
    assert run.facts["train"]["examples"] + sum(left_out.values()) == dataset.manifest["counts"]["train"]
    assert (run.state, run.name) == ("queued", run.id)
    with pytest.raises(UsageError, match=r"no row to train on .*longer than 8 tokens"):
        prepare_sft(runs, base.store.home, Sft(dataset, start, Recipe(), length=8))
    with pytest.raises(UsageError, match=f"context has {TINY.context}"):
        prepare_sft(runs, base.store.home, Sft(dataset, start, Recipe(), length=4096))
    assert len(runs.runs()) == 1  # what is refused leaves no row


def test_alibi_models_are_padded_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bloom", "architectures": ["BloomForCausalLM"]}))
    how, told = packing_of(tmp_path, "auto")
    assert how == "none"
    assert "ALiBi" in told
    with pytest.raises(UsageError, match=r"ALiBi.*--packing none"):
        packing_of(tmp_path, "best-fit")


def test_a_process_that_dies_is_told_with_what_it_said_last(
    base: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost: a run that ran out of memory reads as running, or as failed for no reason."""
    start = base_of(base.store.home, str(base_model(tmp_path / "start")))
    runs = Runs(base.store)
    for script, said in (("raise SystemExit('no such kernel')", "code 1 after: no such kernel"), (_KILLED, "SIGKILL")):
        run = prepare_sft(runs, base.store.home, Sft(built(base), start, Recipe()))
        command = [([sys.executable, "-c", script], {})]
        monkeypatch.setattr(launch, "commands", lambda *args, command=command, **kwargs: command)
        ended = launch.carry_out(runs, run)
        assert ended.state == "failed"
        assert said in ended.reason
        assert "train resume" in ended.reason


_KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def test_steps_are_those_that_the_trainer_counts() -> None:
    assert steps_of(Recipe(epochs=1, rows=4), 9) == 3
    assert steps_of(Recipe(epochs=4, rows=2, devices=2, zero=2), 9) == 12
    assert steps_of(Recipe(epochs=0.2001, rows=1), 5) == 2
    assert steps_of(Recipe(max_steps=7), 9) == 7


def test_each_device_has_a_process_and_one_machine_after_another_deepspeeds_launcher(tmp_path: Path) -> None:
    two = launch.commands(Recipe(devices=2, zero=2), tmp_path, cuda=False)
    assert [own["RANK"] for _, own in two] == ["0", "1"]
    assert {own["WORLD_SIZE"] for _, own in two} == {"2"}
    hosts = tmp_path / "hosts"
    hosts.write_text("one slots=4\ntwo slots=4\n")
    [(command, _)] = launch.commands(Recipe(hostfile=str(hosts), zero=3), tmp_path, cuda=True)
    assert command[1:5] == ["-m", "deepspeed.launcher.runner", "--hostfile", str(hosts)]
