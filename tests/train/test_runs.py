"""The registry of training runs and the folders of models: what was trained on what, and nothing half made."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kb.audit import Audit
from kb.errors import NotFound, StoreError, UsageError
from kb.store import Store
from tests.train.tiny import base_model
from train import model_folders
from train.environment import code_version, environment
from train.make_model import lineage
from train.recipe import Plan, Recipe
from train.runs import METRICS, Progress, Run, Runs


def run(name: str = "first", **values: object) -> Run:
    made = Run(
        kind="sft",
        name=name,
        base="/models/base",
        base_hash="ab12",
        dataset="drugs",
        dataset_version="0123456789ab",
        dataset_hash="cd34",
        arguments={"epochs": 1.0},
        seed=7,
        code=code_version(),
        environment={"python": "3.11"},
    )
    return replace(made, **values)  # type: ignore[arg-type]


def progress(step: int, loss: float = 2.0) -> Progress:
    return Progress(step, 10, loss, 1e-3, 50 * step, 100 * step, 2.0 * step, 300.0)


def test_a_run_remembers_what_it_was_made_from_and_where_it_is(store: Store) -> None:
    """Lost: nobody can say which data a model has seen."""
    runs = Runs(store)
    made = runs.create(run())
    assert (made.id, made.state, made.folder) == ("sft-1", "queued", store.home / "runs" / "sft-1")
    assert (made.dataset_hash, made.seed, made.arguments["epochs"]) == ("cd34", 7, 1.0)
    assert made.folder.is_dir()
    runs.begin(made.id)
    assert runs.report(made.id, progress(4)) == ""
    now = runs.run("1")
    assert (now.state, now.step, now.steps, now.left_s, now.tokens_per_s) == ("running", 4, 10, 12.0, 50.0)
    assert now.trained_tokens_per_s == 25.0
    done = runs.end(made.id, "done", result={"held_out_loss": 1.5}, model="first")
    assert (done.state, done.model, done.result["held_out_loss"], done.left_s) == ("done", "first", 1.5, None)
    assert [entry.action for entry in Audit(store).entries()] == ["trained"]
    assert [one.id for one in runs.runs()] == ["sft-1"]
    assert runs.runs(unfinished=True) == []


def test_a_run_is_cancelled_at_its_next_report(store: Store) -> None:
    runs = Runs(store)
    waiting, working = runs.create(run("a")), runs.create(run("b"))
    runs.begin(working.id)
    assert runs.cancel(waiting.id).state == "cancelled"
    assert runs.cancel(working.id).state == "running"
    assert runs.report(working.id, progress(1)) == runs.wanted(working.id) == "cancel"
    runs.end(working.id, "cancelled")
    with pytest.raises(UsageError, match="cancelled and cannot"):
        runs.cancel(working.id)
    runs.begin(working.id)  # resumed: what was wanted before is forgotten
    assert runs.report(working.id, progress(2)) == ""


def test_one_process_carries_a_run_out_and_a_dead_one_is_noticed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost: two processes write the same checkpoints, or a killed run reads as running for ever."""
    runs = Runs(store)
    made = runs.create(run())
    runs.begin(made.id)
    with pytest.raises(UsageError, match="carried out by process"):
        runs.begin(made.id)
    monkeypatch.setattr("train.runs.is_alive", lambda pid: False)
    lost = runs.run(made.id)
    assert lost.state == "interrupted"
    assert "resume" in lost.reason
    assert runs.begin(made.id).pid == lost.pid
    runs.end(made.id, "done", model="first")
    with pytest.raises(UsageError, match="is done"):
        runs.begin(made.id)


def test_curves_are_thinned_and_a_step_passed_again_counts_once(store: Store) -> None:
    runs = Runs(store)
    made = runs.create(run())
    assert runs.metrics(made) == []
    lines = [json.dumps({"step": step, "loss": loss}) for step, loss in ((1, 9.0), (2, 8.0), (3, 7.0), (2, 5.0))]
    (made.folder / METRICS).write_text("\n".join(lines) + '\n{"step": 4, "lo')
    assert [(point["step"], point["loss"]) for point in runs.metrics(made)] == [(1, 9.0), (2, 5.0), (3, 7.0)]
    torn = '{"step": 4, "lo' + json.dumps({"step": 4, "loss": 4.0})  # its writer was killed, then the run went on
    after = json.dumps({"step": 5, "loss": 3.0})
    (made.folder / METRICS).write_text("\n".join([*lines, torn, after, ""]))
    assert [point["step"] for point in runs.metrics(made)] == [1, 2, 3, 5]
    (made.folder / METRICS).write_text("".join(json.dumps({"step": n, "loss": 1.0}) + "\n" for n in range(1, 2002)))
    thin = runs.metrics(made, most=100)
    assert len(thin) <= 101
    assert thin[-1]["step"] == 2001


def test_unknown_runs_are_named(store: Store) -> None:
    for key in ("sft-9", "9", "9" * 40, ""):
        with pytest.raises(NotFound, match="train runs"):
            Runs(store).run(key)


def test_a_model_folder_is_whole_named_and_verified(tmp_path: Path) -> None:
    """Lost: a model of unknown origin, or one that was changed after its evaluation, answers."""
    (tmp_path / "part").mkdir()
    written = base_model(tmp_path / "part" / "w")
    told = {"kind": "sft", "run": "sft-1", "base": {"name": "b", "hash": "1"}, "dataset": {"name": "d"}}
    made = model_folders.publish(tmp_path, "drugs-1", written, told)
    assert not written.exists()
    assert made.folder == tmp_path / "models" / "drugs-1"
    assert (made.kind, made.run) == ("sft", "sft-1")
    assert made.hash == model_folders.weights_hash(made.folder)
    assert model_folders.models(tmp_path) == [made] == [model_folders.model(tmp_path, "drugs-1")]
    assert "sft-1" in (made.folder / "README.md").read_text()
    assert model_folders.verify(made) == []
    (made.folder / "config.json").write_text("{}")
    assert model_folders.verify(made) == ["config.json"]
    base = model_folders.base_of(tmp_path, "drugs-1")
    assert (base.folder, base.run) == (made.folder, "sft-1")
    assert model_folders.base_of(tmp_path, str(made.folder)) == base  # by its path it is the same, lineage and all
    with pytest.raises(UsageError, match="never overwritten"):
        model_folders.check_name(tmp_path, "drugs-1")


def test_a_copy_of_a_model_can_be_trained_on(tmp_path: Path) -> None:
    """Lost: after days of training no model is made, because its base has a lineage from elsewhere."""
    (tmp_path / "part").mkdir()
    made = model_folders.publish(
        tmp_path,
        "first",
        base_model(tmp_path / "part" / "w"),
        {"kind": "sft", "run": "sft-1", "dataset": {"name": "d"}, "parents": []},
    )
    copy = Path(shutil.copytree(made.folder, tmp_path / "copy"))
    plan = Plan("sft-2", "sft", tmp_path, copy, tmp_path, Recipe(), packed=True)
    assert lineage(plan, run(base=str(copy)), {})["parents"] == []
    parents = lineage(plan, run(base="first"), {})["parents"]
    assert [(one["name"], one["hash"], one["dataset"]) for one in parents] == [("first", made.hash, {"name": "d"})]


def test_bases_that_could_run_code_or_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a model"):
        model_folders.base_of(tmp_path, "no-such")
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text("{}")
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UsageError, match="no safetensors"):
        model_folders.base_of(tmp_path, str(tmp_path / "pickled"))
    for name in ("../out", ".hidden", "", "a/b", "x" * 61):
        with pytest.raises(UsageError, match="not usable"):
            model_folders.check_name(tmp_path, name)
    with pytest.raises(NotFound):
        model_folders.model(tmp_path, "../../etc")
    (tmp_path / "models" / "broken").mkdir(parents=True)
    (tmp_path / "models" / "broken" / "lineage.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        model_folders.model(tmp_path, "broken")


def test_the_environment_is_recorded() -> None:
    found = environment()
    assert found["packages"]["torch"]
    assert found["cores"] >= 1
    assert code_version() == code_version()
