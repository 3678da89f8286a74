"""The verb `models convert`. Heavy imports stand inside the function."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from kb.console import Home, Json, verb
from train.run_commands import open_store, quiet

if TYPE_CHECKING:
    from train.recipe import Precision


def convert(
    source: Annotated[str, typer.Argument(metavar="MODEL|RUN", help="A model of this library, or a run's checkpoint.")],
    out: Annotated[Path, typer.Option(help="Folder to write; must not exist.")],
    precision: Annotated[str, typer.Option(help="fp32, bf16 or fp16.")] = "bf16",
    checkpoint: Annotated[int, typer.Option(min=0, help="Of a run: the step; 0: its newest whole one.")] = 0,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Write a model, or what a run's checkpoint holds, as plain safetensors in another precision, and compare the two.

    Checkpoints of ZeRO are gathered, adapters merged. Exit code 1 if the logits differ by more than the precision may.
    """
    from kb.errors import UsageError

    with verb(as_json) as output, open_store(home) as store:
        quiet()
        from train import convert
        from train.runs import Runs

        if precision not in ("fp32", "bf16", "fp16"):
            raise UsageError("--precision is fp32, bf16 or fp16.")
        if out.exists():
            raise UsageError(f"{out} exists already. Name a folder that does not.")
        wanted = cast("Precision", precision)
        part = out.with_name(out.name + ".part")
        try:
            made = convert.convert(store.home, Runs(store), source, part, wanted, step=checkpoint)
            part.rename(out)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        output.result = {
            "source": made.source,
            "out": str(out),
            "precision": precision,
            "largest_difference": round(made.compared.worst, 8),
            "bound": convert.BOUNDS[wanted],
            "same_choice": round(made.compared.same_choice, 4),
        }
        output.say(
            f"{made.source} is written to {out} in {precision}; its logits differ by {made.compared.worst:.2g} of the "
            f"largest at most (bound {convert.BOUNDS[wanted]:g}), the likeliest token is the same at "
            f"{made.compared.same_choice:.1%} of places."
        )
        if made.compared.worst > convert.BOUNDS[wanted]:
            output.code = 1
            output.say("That is more than this precision may change: do not serve it. Use bf16 or fp32.")
