"""The verbs `train …` and `models …`. Composition only."""

from __future__ import annotations

import typer

from train import (
    convert_commands,
    embedder_commands,
    loop_commands,
    model_commands,
    pretrain_commands,
    run_commands,
    sft_commands,
)


def register(app: typer.Typer, add_files: loop_commands.AddFiles) -> None:
    """Mount the verbs on `app`."""
    train = typer.Typer(no_args_is_help=True, help="Train models on your own library; what was trained, and how.")
    train.command("pretrain")(pretrain_commands.pretrain)
    train.command("sft")(sft_commands.sft)
    train.command("resume")(sft_commands.resume)
    train.command("runs")(run_commands.list_runs)
    train.command("cancel")(run_commands.cancel)
    embedder_commands.register(train)
    loop_commands.register(train, add_files)
    app.add_typer(train, name="train")
    models = typer.Typer(no_args_is_help=True, help="The models of this home: how they do, and which one answers.")
    model_commands.register(models)
    models.command("convert")(convert_commands.convert)
    app.add_typer(models, name="models")
