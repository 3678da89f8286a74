"""Verbs of train/: mounted by cli.py. Composition only."""

from __future__ import annotations

import typer

from train import dataset_commands, qa_commands, train_commands


def register(app: typer.Typer) -> None:
    """Mount the verbs on `app`."""
    qa_commands.register(app)
    dataset_commands.register(app)
    train_commands.register(app)
