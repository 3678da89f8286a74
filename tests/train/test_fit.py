"""A run in this process: it learns, goes on where it was killed, saves no nonsense, survives a full disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from kb.errors import UsageError
from kb.store import Store
from tests.train.training import RECIPE, losses, prepared
from train import checkpoints, fit
from train.recipe import Lora, Plan, Recipe
from train.runs import Runs


def test_a_run_learns_and_leaves_a_model_that_loads(store: Store, tmp_path: Path) -> None:
    run, plan = prepared(store, tmp_path / "base", neftune=1.0, recompute=True, accumulate=2)
    points: list[int] = []
    result = fit.fit(plan, lambda progress: points.append(progress.step))
    assert result.held_out_loss is not None
    assert result.held_out_loss_before is not None
    assert result.held_out_loss < result.held_out_loss_before - 0.05
    assert points == list(range(1, result.steps + 1))
    assert result.model is not None
    assert {path.suffix for path in result.model.iterdir()} <= {".json", ".safetensors", ".jinja"}  # no pickle
    model = fit.load_weights(result.model)
    assert model.generation_config.eos_token_id == fit.load_tokenizer(result.model).eos_token_id
    last = Runs(store).metrics(run)[-1]
    assert last["trained_tokens"] == 4 * plan_trained(plan)
    assert len(list(run.folder.glob("checkpoint-*"))) == 2


def plan_trained(plan: Plan) -> int:
    return int(plan.facts["train"]["trained_tokens"])


def test_a_run_that_was_killed_goes_on_with_the_same_losses(store: Store, tmp_path: Path) -> None:
    """Lost: a night of training, or a model that is not the one the seed makes. A half-written checkpoint is passed."""
    whole, plan = prepared(store, tmp_path / "base")
    fit.fit(plan)
    wanted = losses(Runs(store), whole)
    run, plan = prepared(store, tmp_path / "base")
    killed = RuntimeError("killed here")

    def kill(progress: Any) -> None:
        if progress.step == 5:
            raise killed

    with pytest.raises(RuntimeError, match="killed here"):
        fit.fit(plan, kill)
    torn = run.folder / "checkpoint-5"
    shutil.copytree(run.folder / "checkpoint-4", torn)
    (torn / "model.safetensors").write_bytes(b"cut")
    result = fit.fit(plan, resume=True)
    assert result.steps == len(wanted)
    assert losses(Runs(store), run) == pytest.approx(wanted, abs=1e-5)
    tokens = [point["tokens"] for point in Runs(store).metrics(run)]
    assert tokens == sorted(tokens)


def test_adapters_train_and_the_base_stays(store: Store, tmp_path: Path) -> None:
    _, plan = prepared(store, tmp_path / "base", lora=Lora(4, 8))
    result = fit.fit(plan)
    assert result.model is not None
    assert {path.name for path in result.model.glob("*.safetensors")} == {"adapter_model.safetensors"}
    assert result.held_out_loss is not None
    assert result.held_out_loss_before is not None
    assert result.held_out_loss < result.held_out_loss_before


def test_adapters_over_four_bit_weights_train(store: Store, tmp_path: Path) -> None:
    """On CPUs bitsandbytes wants widths of 64 and more, and layers without biases."""
    from tests.tiny_model import save_tiny_model

    _, plan = prepared(store, save_tiny_model(tmp_path / "base"), lora=Lora(4, 8, quantised=True), max_steps=12)
    result = fit.fit(plan)
    assert result.held_out_loss is not None
    assert result.held_out_loss_before is not None
    assert result.held_out_loss < result.held_out_loss_before


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost: the run goes on for hours and overwrites the good checkpoints with nonsense."""
    run, plan = prepared(store, tmp_path / "base")

    def spoil(progress: Any) -> None:
        if progress.step == 3:
            trainer = spoiled[0]
            with torch.no_grad():
                next(iter(trainer.model.parameters())).fill_(float("nan"))

    spoiled: list[Any] = []
    made = fit._Trainer.__init__

    def note(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        spoiled.append(self)

    monkeypatch.setattr(fit._Trainer, "__init__", note)
    with pytest.raises(fit.NotFinite, match=r"step 4 .*checkpoint-2 is the last good one.*--learning-rate"):
        fit.fit(plan, spoil)
    assert [path.name for path in run.folder.glob("checkpoint-*")] == ["checkpoint-2"]


def test_weights_that_are_no_numbers_are_never_saved(store: Store, tmp_path: Path) -> None:
    from tests.train.tiny import base_model

    base = base_model(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"][0] = float("inf")
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    run, plan = prepared(store, base)
    with pytest.raises(fit.NotFinite, match="no checkpoint was written yet"):
        fit.fit(plan)
    assert list(run.folder.glob("checkpoint-*")) == []


def test_a_full_disk_is_said_and_the_checkpoint_before_it_stays(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, plan = prepared(store, tmp_path / "base")
    free = shutil.disk_usage(tmp_path)
    room = checkpoints.check_room

    def little(where: Path, needed: int) -> None:
        if checkpoints.newest_complete(where):
            monkeypatch.setattr(shutil, "disk_usage", lambda path: free._replace(free=1 << 20))
        room(where, needed)

    monkeypatch.setattr(checkpoints, "check_room", little)
    with pytest.raises(checkpoints.DiskFull, match=r"checkpoint-2 is intact.*resume"):
        fit.fit(plan)
    monkeypatch.undo()
    assert fit.fit(plan, resume=True).steps == plan.recipe.max_steps or len(losses(Runs(store), run))


def test_a_run_that_is_asked_to_stop_leaves_a_checkpoint(store: Store, tmp_path: Path) -> None:
    run, plan = prepared(store, tmp_path / "base", save_every=100)
    result = fit.fit(plan, lambda progress: (run.folder / fit.CANCEL).touch() if progress.step == 3 else None)
    assert (result.stopped, result.steps, result.model) == (True, 4, None)
    newest = checkpoints.newest_complete(run.folder)
    assert newest is not None
    assert newest.name == "checkpoint-4"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"devices": 2}, "--zero 2"),
        ({"offload_optimizer": True}, "--zero"),
        ({"offload_parameters": True, "zero": 2}, "--zero 3"),
        ({"precision": "fp16"}, "bf16"),
        ({"hostfile": "/no/such", "zero": 2}, "hostfile"),
        ({"lora": Lora(quantised=True), "zero": 3}, "ZeRO-3|bitsandbytes"),
    ],
)
def test_recipes_that_cannot_run_are_refused_by_argument(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        Recipe(**changes).check(cuda=False)


def test_a_checkpoint_is_sealed_or_absent(tmp_path: Path) -> None:
    """Lost: a run resumes from what a full disk cut short."""
    for step in (1, 2, 3):
        written = tmp_path / checkpoints.WRITING / f"checkpoint-{step}"
        (written / "inner").mkdir(parents=True)
        (written / "weights").write_bytes(b"x" * 100)
        (written / "inner" / "state").write_bytes(b"y" * 10)
        checkpoints.seal(written, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-3"]
    assert checkpoints.newest_complete(tmp_path) == tmp_path / "checkpoint-3"
    (tmp_path / "checkpoint-3" / "inner" / "state").write_bytes(b"y")
    assert checkpoints.newest_complete(tmp_path) == tmp_path / "checkpoint-2"
    (tmp_path / checkpoints.WRITING / "checkpoint-4").mkdir()
    checkpoints.clear_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2"]


def test_the_optimizer_is_told_what_the_recipe_says() -> None:
    from train.deepspeed_config import deepspeed_config

    recipe = Recipe(zero=3, rows=2, accumulate=4, devices=2, precision="bf16", offload_parameters=True, clip=0.5)
    config = deepspeed_config(recipe, cuda=True, world=2)
    assert config["train_batch_size"] == 16
    assert config["gradient_clipping"] == 0.5
    assert config["bf16"]["enabled"]
    assert config["zero_optimization"]["stage"] == 3
    assert config["zero_optimization"]["offload_param"]["device"] == "cpu"
    assert "offload_optimizer" not in config["zero_optimization"]
    assert config["optimizer"]["params"]["lr"] == recipe.learning_rate


def test_the_recipe_is_read_back_as_it_was(store: Store, tmp_path: Path) -> None:
    run, plan = prepared(store, tmp_path / "base", lora=Lora(4, 8, quantised=False))
    assert Plan.load(run.folder) == plan
    assert plan.recipe.lora == Lora(4, 8)
    assert plan.recipe.epochs == RECIPE.epochs
    (run.folder / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="no training run"):
        Plan.load(run.folder)
