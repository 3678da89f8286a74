"""The verb `train pretrain`. Heavy imports stand inside the function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kb.console import Home, Json, ProgressLine, verb
from train import recipe_options as options
from train.run_commands import open_store, quiet
from train.sft_commands import start, tell_data


def pretrain(
    model: Annotated[str, typer.Option("--model", help="Go on from: a model of this library, or a folder.")] = "",
    new: Annotated[bool, typer.Option("--new", help="Begin a small model from nothing; its shape below.")] = False,
    name: options.Name = "",
    library: Annotated[bool, typer.Option(help="The texts of all published documents.")] = True,
    document: Annotated[
        list[str] | None, typer.Option(help="Only these documents; id or file name, repeatable.")
    ] = None,
    file: Annotated[list[Path] | None, typer.Option(help="JSON lines or .txt to add; repeatable.")] = None,
    mix: Annotated[list[str] | None, typer.Option(metavar="SOURCE=SHARE", help="'library' or a file name.")] = None,
    without_test_of: Annotated[
        str, typer.Option(metavar="DATASET[/VERSION]", help="Leave out what this dataset keeps for its test.")
    ] = "",
    held_out: Annotated[float, typer.Option(min=0.0, max=0.5, help="Share of texts for the perplexity.")] = 0.02,
    packing: Annotated[str, typer.Option(help="auto (slice), best-fit, or none.")] = "auto",
    length: options.Length = 0,
    width: Annotated[int, typer.Option(min=16, help="--new: width.")] = 128,
    layers: Annotated[int, typer.Option(min=1, help="--new: layers.")] = 3,
    heads: Annotated[int, typer.Option(min=1, help="--new: heads.")] = 4,
    head_width: Annotated[int, typer.Option(min=8, help="--new: width of a head.")] = 64,
    inner: Annotated[int, typer.Option(min=16, help="--new: inner width.")] = 256,
    context: Annotated[int, typer.Option(min=64, help="--new: longest context, in tokens.")] = 1024,
    vocabulary: Annotated[int, typer.Option(min=300, help="--new: tokens of the vocabulary.")] = 4000,
    epochs: options.Epochs = 1.0,
    max_steps: options.MaxSteps = 0,
    rows: options.Rows = 8,
    accumulate: options.Accumulate = 1,
    learning_rate: options.LearningRate = 3e-4,
    warmup: options.Warmup = 0.03,
    schedule: options.Schedule = "cosine",
    weight_decay: options.WeightDecay = 0.1,
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
    """Train on plain texts: the library's, and files of texts, questions with answers, or dialogues."""
    given = dict(locals())
    with verb(as_json) as output, open_store(home, write=True) as store:
        quiet()
        from kb.errors import UsageError
        from train import datasets
        from train.corpus import CorpusPlan
        from train.dataset_commands import mixing
        from train.model_folders import base_of
        from train.pretrain import NewModel, Pretrain, prepare_pretrain, recipe_for_pretraining
        from train.runs import Runs

        if bool(model) == new:
            raise UsageError("Name a model with --model, or begin one with --new: one of the two.")
        if packing not in ("auto", "slice", "best-fit", "none"):
            raise UsageError("--packing is auto, slice, best-fit or none.")
        key, _, version = without_test_of.partition("/")
        line = ProgressLine()
        documents = {wanted: store.document(wanted) for wanted in document or ()}
        missing = [wanted for wanted, found in documents.items() if found is None]
        if missing:
            raise UsageError(f"No document '{missing[0]}' in the library. `vademecum documents` lists them.")
        plan = CorpusPlan(
            library=library,
            documents=tuple(found for found in documents.values() if found),
            files=tuple(file or ()),
            shares=mixing(mix),
            held_out=held_out,
            without_test_of=datasets.load(store.home, key, version or None) if key else None,
        )
        shape = NewModel(width, layers, heads, head_width, inner, context, vocabulary)
        asked = Pretrain(
            corpus=plan,
            recipe=recipe_for_pretraining(options.recipe_of(given)),
            base=base_of(store.home, model) if model else None,
            new=shape,
            name=name,
            packing=packing,  # type: ignore[arg-type]
            length=length,
        )
        runs = Runs(store)
        run = prepare_pretrain(runs, store, asked, told=line.show)
        line.close()
        tell_data(output, run)
        for source, count in run.facts["sources"].items():
            output.say(f"{source}: " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in count.items() if v))
        start(output, runs, run, store.home, detach=detach)
