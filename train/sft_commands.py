"""The verbs `train sft` and `train resume`. Heavy imports stand inside the functions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import SOME_FAILED, Home, Json, Output, ProgressLine, verb
from train import recipe_options as options
from train.run_commands import RunKey, open_store, quiet, run_json

if TYPE_CHECKING:
    from train.runs import Progress, Run, Runs


def sft(
    dataset: Annotated[str, typer.Argument(metavar="DATASET[/VERSION]", help="As `datasets list` names it.")],
    model: options.Model,
    name: options.Name = "",
    template: Annotated[
        str, typer.Option(help="auto: the model's own chat template, else roles; chat; roles (`User: …`).")
    ] = "auto",
    packing: Annotated[str, typer.Option(help="auto, best-fit, or none (one example a row).")] = "auto",
    length: options.Length = 0,
    epochs: options.Epochs = 3.0,
    max_steps: options.MaxSteps = 0,
    rows: options.Rows = 1,
    accumulate: options.Accumulate = 8,
    learning_rate: options.LearningRate = 2e-5,
    warmup: options.Warmup = 0.03,
    schedule: options.Schedule = "cosine",
    weight_decay: options.WeightDecay = 0.0,
    neftune: options.Neftune = 0.0,
    precision: options.Precision = "fp32",
    recompute: options.Recompute = False,
    lora: options.LoraOption = False,
    lora_rank: options.LoraRank = 16,
    lora_alpha: options.LoraAlpha = 32,
    qlora: options.Qlora = False,
    zero: options.Zero = 0,
    offload_optimizer: options.OffloadOptimizer = False,
    offload_parameters: options.OffloadParameters = False,
    devices: options.Devices = 1,
    hostfile: options.Hostfile = "",
    save_every: options.SaveEvery = 200,
    log_every: options.LogEvery = 10,
    seed: options.Seed = 0,
    threads: options.Threads = 0,
    detach: options.Detach = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Tune a model on a dataset version: only the assistant's words carry loss; packed rows do not mix examples."""
    from kb.errors import UsageError

    with verb(as_json) as output, open_store(home, write=True) as store:
        quiet()
        from train import datasets
        from train.model_folders import base_of
        from train.prepare import Sft, prepare_sft
        from train.runs import Runs

        if template not in ("auto", "chat", "roles") or packing not in ("auto", "best-fit", "none"):
            raise UsageError("--template is auto, chat or roles; --packing is auto, best-fit or none.")
        recipe = options.recipe_of(locals())
        key, _, version = dataset.partition("/")
        line = ProgressLine()
        asked = Sft(
            dataset=datasets.load(store.home, key, version or None),
            base=base_of(store.home, model),
            recipe=recipe,
            name=name,
            template=template,  # type: ignore[arg-type]
            packing=packing,  # type: ignore[arg-type]
            length=length,
        )
        runs = Runs(store)
        run = prepare_sft(runs, store.home, asked, progress=lambda done: line.show(f"row {done:,}"))
        line.close()
        tell_data(output, run)
        start(output, runs, run, store.home, detach=detach)


def resume(key: RunKey, detach: options.Detach = False, as_json: Json = False, home: Home = None) -> None:
    """Go on with a run that was stopped, failed or killed, from its last whole checkpoint."""
    with verb(as_json) as output, open_store(home, write=True) as store:
        quiet()
        from kb.errors import UsageError
        from train.checkpoints import newest_complete
        from train.runs import EVALUATE, Runs

        runs = Runs(store)
        run = runs.run(key)
        if run.kind == EVALUATE:
            raise UsageError(f"{run.id} is an evaluation. Begin it anew: `vademecum models evaluate {run.name}`.")
        last = newest_complete(run.folder)
        output.say(f"Run {run.id} goes on from {last.name}." if last else f"Run {run.id} begins: no checkpoint yet.")
        start(output, runs, run, store.home, detach=detach)


def tell_data(output: Output, run: Run) -> None:
    """What the run's data came to."""
    facts = run.facts["train"]
    output.say(
        f"Run {run.id}: {facts['examples']:,} examples in {facts['rows']:,} rows of {run.facts['length']:,} tokens, "
        f"{facts['utilisation']:.1%} of them used, {facts['trained_tokens']:,} carry loss; about {run.steps:,} steps."
    )
    for reason, count in facts["left_out"].items():
        output.say(f"left out: {count:,} ({reason})")
    if told := run.facts.get("packing_refused"):
        output.say(told)


def start(output: Output, runs: Runs, run: Run, home: Path, *, detach: bool) -> None:
    """Carry the run out and tell how it went, or start it in the background."""
    from train import launch

    if detach:
        pid = launch.detach(run, home)
        output.result = {"run": run_json(run), "pid": pid}
        output.say(f"Run {run.id} has started (process {pid}). `vademecum train runs {run.id}` shows it.")
        return
    line = ProgressLine()

    def show(progress: Progress) -> None:
        line.show(f"step {progress.step:,}/{progress.steps:,}  loss {progress.loss:.4f}  {progress.left_s:,.0f} s left")

    ended = launch.carry_out(runs, run, told=line.show, watch=show)
    line.close()
    output.result = {"run": run_json(ended)}
    if ended.state == "done":
        held = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in ended.result.items())
        output.say(f"Model '{ended.model}' is made ({held}).")
        return
    output.code = SOME_FAILED
    output.say(f"Run {ended.id} is {ended.state}. {ended.reason}".rstrip())
    if ended.state == "cancelled":
        output.say(f"`vademecum train resume {ended.id}` goes on from its checkpoint.")
