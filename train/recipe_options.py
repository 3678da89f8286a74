"""The options that all training verbs share, and the recipe that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from train.recipe import Recipe

Model = Annotated[str, typer.Option("--model", help="Start from: a model of this library, or a folder.")]
Name = Annotated[str, typer.Option("--name", help="Name of the model to make. Default: the run's.")]
Length = Annotated[int, typer.Option("--length", min=0, help="Tokens of a row; 0: 2,048 or the model's context.")]
Epochs = Annotated[float, typer.Option(min=0.01, help="How often all rows are seen.")]
MaxSteps = Annotated[int, typer.Option(min=0, help="Stop after so many steps; 0: as the epochs take.")]
Rows = Annotated[int, typer.Option(min=1, help="Rows of a device in one pass.")]
Accumulate = Annotated[int, typer.Option(min=1, help="Passes to one step.")]
LearningRate = Annotated[float, typer.Option(min=0.0, help="Highest learning rate.")]
Warmup = Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the steps in which it rises.")]
Schedule = Annotated[str, typer.Option(help="linear, cosine or constant_with_warmup.")]
WeightDecay = Annotated[float, typer.Option(min=0.0)]
Neftune = Annotated[float, typer.Option(min=0.0, help="Noise on embeddings (5 is usual); 0: none.")]
Precision = Annotated[str, typer.Option(help="fp32, bf16 or fp16.")]
Recompute = Annotated[bool, typer.Option("--recompute", help="Gradient checkpointing: less memory, more time.")]
LoraOption = Annotated[bool, typer.Option("--lora", help="Train low-rank adapters only.")]
LoraRank = Annotated[int, typer.Option(min=1)]
LoraAlpha = Annotated[int, typer.Option(min=1)]
Qlora = Annotated[bool, typer.Option("--qlora", help="Adapters over 4-bit weights.")]
Zero = Annotated[int, typer.Option("--zero", help="DeepSpeed ZeRO stage: 0 (none), 2 or 3.")]
OffloadOptimizer = Annotated[bool, typer.Option("--offload-optimizer", help="Optimizer states in CPU memory.")]
OffloadParameters = Annotated[bool, typer.Option("--offload-parameters", help="Weights in CPU memory (ZeRO-3).")]
Devices = Annotated[int, typer.Option(min=1, help="GPUs (or CPU processes) of this machine.")]
Hostfile = Annotated[str, typer.Option(help="Several machines: lines `host slots=N`.")]
SaveEvery = Annotated[int, typer.Option(min=1, help="Steps from checkpoint to checkpoint.")]
LogEvery = Annotated[int, typer.Option(min=1, help="Steps from point to point of the curves.")]
Seed = Annotated[int, typer.Option()]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads of a process; 0: all.")]
Detach = Annotated[bool, typer.Option("--detach", help="Start it in the background and return.")]


def recipe_of(given: Mapping[str, Any]) -> Recipe:
    """The recipe that a verb's options make, by their names; others are passed over. Raises UsageError."""
    from kb.errors import UsageError
    from train.recipe import Lora, Recipe

    if given["precision"] not in ("fp32", "bf16", "fp16"):
        raise UsageError("--precision is fp32, bf16 or fp16.")
    if given["schedule"] not in ("linear", "cosine", "constant_with_warmup"):
        raise UsageError("--schedule is linear, cosine or constant_with_warmup.")
    if given["zero"] not in (0, 2, 3):
        raise UsageError("--zero is 0, 2 or 3.")
    adapters = None
    if given["lora"] or given["qlora"]:
        adapters = Lora(given["lora_rank"], given["lora_alpha"], quantised=given["qlora"])
    own = {field.name: given[field.name] for field in fields(Recipe) if field.name in given}
    return Recipe(**own | {"lora": adapters})
