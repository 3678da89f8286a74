"""A finished run in, a model of the home out: adapters merged into their base, lineage noted, published whole."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kb.errors import NotFound
from train.convert import merge_adapters
from train.fit import FINAL
from train.model_folders import Model, model, publish
from train.recipe import Plan
from train.runs import Run


def make_model(plan: Plan, run: Run, result: Mapping[str, Any]) -> Model:
    """Publish what the run left in its folder as the model `run.name`. Raises UsageError or StoreError."""
    final = plan.folder / FINAL
    if plan.recipe.lora is None:
        written = final
    else:
        written = plan.folder / "merged.part"
        shutil.rmtree(written, ignore_errors=True)
        merge_adapters(plan.base, final, written)
    return publish(plan.home, run.name, written, lineage(plan, run, result))


def lineage(plan: Plan, run: Run, result: Mapping[str, Any]) -> dict[str, Any]:
    """What lineage.json says of where the model comes from."""
    return {
        "kind": run.kind,
        "run": run.id,
        "base": {"name": run.base, "hash": run.base_hash, "run": run.parent},
        "parents": _parents(plan.home, run.base),
        "dataset": {"name": run.dataset, "version": run.dataset_version, "hash": run.dataset_hash},
        "recipe": asdict(plan.recipe),
        "arguments": dict(run.arguments),
        "facts": dict(run.facts),
        "seed": run.seed,
        "code": run.code,
        "environment": dict(run.environment),
        "author": run.author,
        "result": dict(result),
    }


def _parents(home: Path, base: str) -> list[dict[str, Any]]:
    """The models that this one descends from, nearest first, each with the data it has seen."""
    try:
        own = model(home, base)
    except NotFound:  # a folder from elsewhere
        return []
    named = {"name": own.name, "hash": own.hash, "run": own.run, "dataset": own.lineage["dataset"]}
    return [named, *own.lineage["parents"]]
