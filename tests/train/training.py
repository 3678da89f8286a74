"""A small run, ready to be carried out, for the tests of training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from kb.store import Store
from tests.train.tiny import base_model, row
from train.fit import load_tokenizer
from train.model_folders import base_of
from train.packing import pack
from train.prepare import Ready, counts, describe, register
from train.recipe import Plan, Recipe
from train.runs import Run, Runs
from train.templates import encode

RECIPE = Recipe(epochs=4, rows=2, learning_rate=2e-3, save_every=2, log_every=1, threads=1)


def prepared(store: Store, base: Path, recipe: Recipe = RECIPE, **changes: Any) -> tuple[Run, Plan]:
    """Forty questions and their answers, packed into rows of 96 tokens; the run is on record, queued."""
    if not (base / "config.json").exists():
        base_model(base)
    recipe = replace(recipe, **changes)
    tokenizer = load_tokenizer(base)
    asked = [row(f"药{i}怎么用？", f"每次{i}mg，每天{i % 4}次。") for i in range(40)]
    examples = [encode(tokenizer, one["messages"], "chat") for one in asked]
    train, held = pack(examples[:32], 96, "best-fit"), pack(examples[32:], 96, "best-fit")
    facts = {"template": "chat", "length": 96, "train": counts(train, 32, {}), "validation": counts(held, 8, {})}
    found = base_of(store.home, str(base))
    run = describe("sft", "", found, recipe, dataset=("drugs", "v1", "hash"), facts=facts, arguments={})
    run = register(Runs(store), store.home, run, found, recipe, Ready(train, held, True, facts))
    return run, Plan.load(run.folder)


def losses(runs: Runs, run: Run) -> list[float]:
    return [point["loss"] for point in runs.metrics(run)]
