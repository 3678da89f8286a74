"""The verbs `train runs` and `train cancel`: what has been trained, what is being trained, and to stop it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import Home, Json, settings_of, verb

if TYPE_CHECKING:
    from kb.store import Store
    from train.runs import Run

RunKey = Annotated[str, typer.Argument(metavar="RUN", help="Id or number, as `train runs` lists it.")]
_LAST_POINTS = 8


@contextmanager
def open_store(home: Path | None, *, write: bool = False) -> Iterator[Store]:
    """The catalog without the home's lock: runs are written in short transactions, beside the app."""
    from kb.home import check_home
    from kb.store import Store

    store = Store(check_home(settings_of(home).home, create=False), read_only=not write)
    try:
        yield store
    finally:
        store.close()


def quiet() -> None:
    """Packages that training loads tell of kernels that they miss; none is needed."""
    for name in ("bitsandbytes", "DeepSpeed"):
        logging.getLogger(name).setLevel(logging.ERROR)


def list_runs(
    key: Annotated[str, typer.Argument(metavar="[RUN]", help="Show one run: its data, curve, log.")] = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List the training runs and the evaluations, newest first, or show one."""
    from train.runs import Runs

    with verb(as_json) as output, open_store(home) as store:
        runs = Runs(store)
        if not key:
            found = runs.runs()
            output.result = {"runs": [run_json(run) for run in found]}
            for run in found:
                output.say(run_line(run))
            output.say(f"{len(found)} runs." if found else "No runs yet. `vademecum train sft` starts one.")
            return
        run = runs.run(key)
        curve = runs.metrics(run)
        output.result = {"run": run_json(run), "metrics": curve}
        for name, value in run_json(run).items():
            output.say(f"{name:14} {value}")
        for point in curve[-_LAST_POINTS:]:
            output.say(f"step {point['step']:>7,}  loss {point['loss']:.4f}  lr {point['learning_rate']:.2e}")


def cancel(key: RunKey, as_json: Json = False, home: Home = None) -> None:
    """Stop a run at its next report: training writes a checkpoint to resume from; of an evaluation nothing is kept."""
    from train.runs import Runs

    with verb(as_json) as output, open_store(home, write=True) as store:
        run = Runs(store).cancel(key)
        output.result = {"run": run_json(run)}
        output.say("It stops at its next report." if run.state == "running" else f"Run {run.id} is {run.state}.")


def run_line(run: Run) -> str:
    """A run in one line."""
    where = f"step {run.step:,}/{run.steps:,}" if run.steps else ""
    loss = f"loss {run.loss:.4f}" if run.loss is not None else ""
    left = f"{_time(run.left_s)} left" if run.state == "running" and run.left_s is not None else ""
    return "  ".join(part for part in (f"{run.id:14} {run.state:11}", run.name, where, loss, left, run.reason) if part)


def run_json(run: Run) -> dict[str, object]:
    """A run at the wire edge."""
    names = (
        *("kind", "name", "state", "reason", "model", "base", "base_hash", "dataset", "dataset_version"),
        *("dataset_hash", "parent", "author", "step", "steps", "loss", "learning_rate", "tokens", "trained_tokens"),
        *("tokens_per_s", "trained_tokens_per_s", "seconds", "left_s", "memory_mb", "seed", "code", "created"),
        *("started", "changed", "ended"),
    )
    row: dict[str, object] = {"run": run.id} | {name: getattr(run, name) for name in names}
    return row | {
        "arguments": dict(run.arguments),
        "facts": dict(run.facts),
        "result": dict(run.result),
        "environment": dict(run.environment),
        "folder": str(run.folder),
        "log": str(run.log),
    }


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
