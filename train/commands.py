"""Verbs of train/: mounted by cli.py. Composition only."""

from __future__ import annotations

import typer

from train import dataset_commands, qa_commands, train_commands
from train.loop_commands import AddFiles


def register(app: typer.Typer, add_files: AddFiles) -> None:
    """Mount the verbs on `app`."""
    qa = qa_commands.register(app)
    dataset_commands.register(app, qa)
    train_commands.register(app, add_files)
