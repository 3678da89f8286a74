"""Training under fire: several processes, kill -9 at random moments. `make faults` runs it; it takes minutes.

The recipes, losses and checkpoints of one undisturbed process are in tests/train.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.train import kill_rounds
from kb.store import Store
from tests.train.tiny import base_model, row
from tests.train.training import losses, prepared
from train import checkpoints, fit, launch
from train.recipe import Lora
from train.runs import Run, Runs
from train.templates import encode

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1800)]


def done(runs: Runs, run: Run) -> Run:
    ended = launch.carry_out(runs, run)
    assert ended.state == "done", f"{ended.reason}\n{run.log.read_text(errors='replace')[-2000:]}"
    return ended


def test_kills_lose_nothing(store: Store, tmp_path: Path) -> None:
    """Lost: a night of training, or a model that is not the one that the seed makes."""
    base = base_model(tmp_path / "base")
    tokenizer = fit.load_tokenizer(base)
    asked = [row(f"药{i}怎么用？", f"每次{i}mg，每天{i % 4}次。") for i in range(120)]
    examples = [encode(tokenizer, one["messages"], "chat") for one in asked]
    met = kill_rounds(store, base, examples, 10)
    assert met["kills"] == 10
    assert met["while a checkpoint was being written"] > 0


@pytest.mark.parametrize("zero", [2, 3])
def test_adapters_on_two_processes_train_as_on_one(store: Store, tmp_path: Path, zero: int) -> None:
    """Lost: adapters on several GPUs, which the seed's scripts could not."""
    runs = Runs(store)
    one, plan = prepared(store, tmp_path / "base", rows=2, lora=Lora(4, 8), max_steps=5, learning_rate=2e-2)
    fit.fit(plan)
    changes = {"rows": 1, "lora": Lora(4, 8), "max_steps": 5, "learning_rate": 2e-2}  # within the first epoch
    two, _ = prepared(store, tmp_path / "base", **changes, zero=zero, devices=2)
    ended = done(runs, two)
    assert losses(runs, two) == pytest.approx(losses(runs, one), abs=1e-4)
    assert (store.home / "models" / ended.model / "model.safetensors").is_file()


def test_two_processes_are_killed_and_go_on(store: Store, tmp_path: Path) -> None:
    """One of the two dies; the other must not wait for ever, and the run goes on with the same losses."""
    runs = Runs(store)
    quiet, _ = prepared(store, tmp_path / "base", rows=1, max_steps=12, zero=2, devices=2)
    done(runs, quiet)
    run, _ = prepared(store, tmp_path / "base", rows=1, max_steps=12, zero=2, devices=2)
    killed: list[int] = []

    def kill(progress: object) -> None:
        if not killed and checkpoints.newest_complete(run.folder):
            killed.append(_rank(run, 1))
            os.kill(killed[0], signal.SIGKILL)

    failed = launch.carry_out(runs, run, watch=kill)
    assert failed.state == "failed"
    assert "SIGKILL" in failed.reason
    done(runs, run)
    assert losses(runs, run) == pytest.approx(losses(runs, quiet), abs=1e-5)


def test_its_processes_end_with_the_one_that_records_it(store: Store, tmp_path: Path) -> None:
    """Lost: two sets of processes write the same checkpoints after a restart."""
    run, _ = prepared(store, tmp_path / "base", max_steps=100_000, save_every=5)
    command = [sys.executable, "-m", "cli", "train", "resume", run.id, "--home", str(store.home)]
    keeper = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    runs = Runs(store)
    end = time.monotonic() + 240
    while checkpoints.newest_complete(run.folder) is None and time.monotonic() < end:
        time.sleep(0.2)
    worker = _rank(run, 0)
    keeper.kill()
    keeper.wait()
    while Path(f"/proc/{worker}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not Path(f"/proc/{worker}").exists()
    assert runs.run(run.id).state == "interrupted"


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh here")
def test_a_hostfile_goes_to_deepspeeds_launcher_which_names_a_host_it_cannot_reach(
    store: Store, tmp_path: Path
) -> None:
    """Lost: a run over several machines hangs, or does not say which one is missing. (No `.invalid` resolves.)"""
    hosts = tmp_path / "hosts"
    hosts.write_text("vademecum-node.invalid slots=2\n")
    run, _ = prepared(store, tmp_path / "base", max_steps=3, zero=2, devices=2, hostfile=str(hosts))
    ended = launch.carry_out(Runs(store), run)
    assert ended.state == "failed"
    assert "host=vademecum-node.invalid was not reachable via ssh" in ended.reason


def _rank(run: Run, rank: int) -> int:
    """The process of that rank."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            said = (entry / "cmdline").read_bytes().decode(errors="replace")
            own = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "train.rank" in said and str(run.folder) in said and (rank == 0 or f"RANK={rank}" in own):
            return int(entry.name)
    raise AssertionError(f"no process of rank {rank}")
