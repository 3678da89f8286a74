"""What is converted says what was trained: merged, gathered, in another precision; and nothing foreign is unpickled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import cli
from kb.errors import UsageError
from kb.store import Store
from tests.train.tiny import base_model
from tests.train.training import losses, prepared
from train import checkpoints, convert, fit, launch
from train.recipe import Lora
from train.runs import Runs


def test_merged_adapters_answer_as_the_adapted_model_does(store: Store, tmp_path: Path) -> None:
    """Lost: the model that serves is not the one that was trained."""
    from peft import PeftModel

    _, plan = prepared(store, tmp_path / "base", lora=Lora(4, 8), learning_rate=2e-2)
    result = fit.fit(plan)
    assert result.model is not None
    adapted = PeftModel.from_pretrained(fit.load_weights(plan.base), str(result.model)).eval()
    merged = fit.load_weights(convert.merge_adapters(plan.base, result.model, tmp_path / "merged")).eval()
    ids = torch.arange(5, 60)[None]
    with torch.inference_mode():
        wanted, found = adapted(ids).logits, merged(ids).logits
    assert float((wanted - found).abs().max()) < 1e-4
    assert convert.compare(plan.base, tmp_path / "merged").worst > 1e-2
    assert fit.load_tokenizer(tmp_path / "merged").chat_template


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_change_of_precision_stays_within_its_bound(tmp_path: Path, precision: convert.Precision) -> None:
    source = base_model(tmp_path / "base")
    target = convert.change_precision(source, tmp_path / "out", precision)
    found = convert.compare(source, target)
    assert found.worst <= convert.BOUNDS[precision]
    assert (found.worst == 0) == (precision == "fp32")
    assert json.loads((target / "config.json").read_text())["dtype"] == str(convert.DTYPES[precision])[6:]


def test_weights_that_fp16_cannot_hold_are_refused(tmp_path: Path) -> None:
    source = base_model(tmp_path / "base")
    model = fit.load_weights(source)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = 1e6
    model.save_pretrained(source)
    with pytest.raises(UsageError, match=r"1e\+06.*bf16"):
        convert.change_precision(source, tmp_path / "out", "fp16")


def test_foreign_training_states_are_never_opened(tmp_path: Path) -> None:
    """Lost: a checkpoint from elsewhere runs its code here."""
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    (folder / "latest").write_text("global_step1")
    with pytest.raises(UsageError, match="can run code"):
        convert.gather_checkpoint(folder, base_model(tmp_path / "base"), tmp_path / "out")


def test_zero_trains_as_one_process_does_and_its_shards_are_the_model(store: Store, tmp_path: Path) -> None:
    """One real launch of DeepSpeed in a process of its own; its kills and several processes are in tests/faults."""
    plain, plan = prepared(store, tmp_path / "base")
    alone = fit.fit(plan)
    run, _ = prepared(store, tmp_path / "base", zero=3, offload_optimizer=True, offload_parameters=True)
    runs = Runs(store)
    ended = launch.carry_out(runs, run)
    assert ended.state == "done", ended.reason
    assert losses(runs, run) == pytest.approx(losses(runs, plain), abs=5e-3)
    before, after = ended.result["held_out_loss_before"], ended.result["held_out_loss"]
    assert (before, after) == pytest.approx((alone.held_out_loss_before, alone.held_out_loss), abs=5e-3)
    assert after < before
    newest = checkpoints.newest_complete(run.folder)
    assert newest is not None
    assert (newest / "latest").is_file()
    out = tmp_path / "out"
    command = ["models", "convert", run.id, "--out", str(out), "--precision", "fp32", "--json"]
    result = CliRunner().invoke(cli.app, [*command, "--home", str(store.home)])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["largest_difference"] < 1e-5
    assert convert.compare(store.home / "models" / ended.model, out).worst < 1e-5
    again = CliRunner().invoke(cli.app, [*command, "--home", str(store.home)])
    assert again.exit_code == 2
