"""A dataset and a model in, a run that is ready to start out: rows tokenised, masked and packed, everything on record.

What cannot be trained on is counted with its reason, never cut: half an answer would teach the model to stop there.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from kb.access import SINGLE, Principal
from kb.errors import KBError, UsageError
from kb.model_code import loading
from train import datasets
from train.environment import code_version, environment
from train.model_folders import Base, check_name
from train.packing import Encoded, Packed, Packing, pack, packing_refusal
from train.recipe import Plan, Recipe
from train.runs import Run, RunKind, Runs
from train.templates import TemplateName, choose_template, encode

DEFAULT_LENGTH = 2048
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Sft:
    """What is asked of `train sft`."""

    dataset: datasets.Dataset
    base: Base
    recipe: Recipe
    name: str = ""
    """Of the model to make; empty: the dataset's, with the run's number."""
    template: TemplateName = "auto"
    packing: Literal["auto", "best-fit", "none"] = "auto"
    length: int = 0
    """Tokens of a row; 0: 2,048, or what the model's context has room for."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Packed rows and what they came to."""

    train: Packed
    validation: Packed
    packed: bool
    facts: dict[str, Any]


def prepare_sft(
    runs: Runs, home: Path, asked: Sft, principal: Principal = SINGLE, progress: Progress | None = None
) -> Run:
    """Encode and pack the dataset, then put the run on record, queued. Raises UsageError for what cannot be trained."""
    from train.fit import load_tokenizer

    check(home, asked.recipe, asked.name)
    tokenizer = load_tokenizer(asked.base.folder)
    template = choose_template(tokenizer, asked.template)
    length, context = length_of(asked.base.folder, asked.length)
    how, told = packing_of(asked.base.folder, asked.packing)
    parts: dict[str, Packed] = {}
    facts: dict[str, Any] = {"template": template, "packing": how, "length": length, "context": context}
    if told:
        facts["packing_refused"] = told
    for split, path in (("train", asked.dataset.train), ("validation", asked.dataset.validation)):
        left_out: Counter[str] = Counter()
        rows = datasets.rows(path)
        examples = list(encoded(tokenizer, rows, template, length, left_out, progress))
        parts[split] = pack(examples, length, how)
        facts[split] = counts(parts[split], len(examples), left_out)
    if not len(parts["train"]):
        why = "; ".join(
            f"{count} rows: {reason}" for reason, count in Counter(facts["train"]["left_out"]).most_common(3)
        )
        raise UsageError(
            f"Dataset {asked.dataset.name} has no row to train on ({why or 'its training split is empty'})."
        )
    manifest = asked.dataset.manifest
    run = describe(
        "sft",
        asked.name,
        asked.base,
        asked.recipe,
        dataset=(asked.dataset.name, asked.dataset.version, dataset_hash(manifest)),
        facts=facts,
        arguments={"template": template, "packing": how, "length": length},
    )
    return register(
        runs,
        home,
        run,
        asked.base,
        asked.recipe,
        Ready(parts["train"], parts["validation"], how != "none", facts),
        principal,
    )


def encoded(
    tokenizer: Any,
    rows: Iterable[Mapping[str, Any]],
    template: Literal["chat", "roles"],
    length: int,
    left_out: Counter[str],
    progress: Progress | None = None,
) -> Iterable[Encoded]:
    """The rows that can be trained on; the others are counted in `left_out` by their reason."""
    for number, row in enumerate(rows, start=1):
        try:
            example = encode(tokenizer, row["messages"], template)
            if len(example) > length:
                left_out[f"longer than {length} tokens"] += 1
            elif not example.trained.any():
                left_out["no token carries loss"] += 1
            else:
                yield example
        except ValueError as error:
            left_out[str(error)] += 1
        if progress:
            progress(number)


def check(home: Path, recipe: Recipe, name: str) -> None:
    """Raises UsageError for what could not run, before anything is read."""
    import torch

    recipe.check(cuda=torch.cuda.is_available())
    there = torch.cuda.device_count()
    if there and not recipe.hostfile and recipe.devices > there:
        raise UsageError(f"--devices {recipe.devices}: there are {there} GPUs here. Name fewer, or a --hostfile.")
    if name:
        check_name(home, name)


def length_of(folder: Path, wanted: int, usual: int = DEFAULT_LENGTH) -> tuple[int, int]:
    """The size of a row, and the model's context (0: unknown). Raises UsageError if the row is the longer.

    `wanted` 0: `usual`, or what the context has room for.
    """
    context = int(getattr(_config(folder).get_text_config(), "max_position_embeddings", 0) or 0)
    if wanted and context and wanted > context:
        raise UsageError(f"--length {wanted}: the model's context has {context} tokens. Name {context} or fewer.")
    return wanted or min(usual, context or usual), context


def packing_of(folder: Path, wanted: str) -> tuple[Packing, str]:
    """How rows are filled, and why not packed where that was not asked for. Raises UsageError if it is impossible."""
    refused = packing_refusal(_config(folder))
    if refused and wanted not in ("auto", "none"):
        raise UsageError(f"--packing {wanted}: {refused} Use --packing none.")
    if refused:
        return "none", refused
    how: Packing = "best-fit" if wanted == "auto" else wanted  # type: ignore[assignment]
    return how, ""


def counts(packed: Packed, examples: int, left_out: Mapping[str, int]) -> dict[str, Any]:
    """What a split came to."""
    return {
        "examples": examples,
        "left_out": dict(left_out),
        "rows": len(packed),
        "tokens": len(packed.tokens),
        "trained_tokens": packed.trained_tokens,
        "utilisation": round(packed.utilisation, 5),
    }


def describe(
    kind: RunKind,
    name: str,
    base: Base,
    recipe: Recipe,
    *,
    dataset: tuple[str, str, str],
    facts: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> Run:
    """The run's record, before it has a number. `dataset`: name, version, SHA-256."""
    return Run(
        kind=kind,
        name=name,
        base=base.name,
        base_hash=base.hash,
        parent=base.run,
        dataset=dataset[0],
        dataset_version=dataset[1],
        dataset_hash=dataset[2],
        arguments={**asdict(recipe), **arguments},
        seed=recipe.seed,
        code=code_version(),
        environment=environment(),
        facts=facts,
        steps=steps_of(recipe, int(facts["train"]["rows"])),
    )


def steps_of(recipe: Recipe, rows: int) -> int:
    """Optimizer steps of a run over that many rows, as the trainer will count them on the devices of this machine."""
    batches = -(-rows // (recipe.rows * recipe.devices))
    return recipe.max_steps or max(1, math.ceil(-(-batches // recipe.accumulate) * recipe.epochs))


def register(
    runs: Runs,
    home: Path,
    run: Run,
    base: Base,
    recipe: Recipe,
    ready: Ready,
    principal: Principal = SINGLE,
    *,
    own_base: Path | None = None,
) -> Run:
    """Put the run on record with its rows in its folder; `own_base`, a model made for it alone, is moved there."""
    made = runs.create(run, principal)
    try:
        ready.train.save(made.folder / "data" / "train")
        if len(ready.validation):
            ready.validation.save(made.folder / "data" / "validation")
        if own_base:
            own_base.rename(made.folder / "base")
        folder = made.folder / "base" if own_base else base.folder
        Plan(made.id, made.kind, made.folder, folder, home, recipe, ready.packed, ready.facts).save()
    except OSError as error:
        reason = f"Its data could not be written to {made.folder}: {error.strerror}. Free disk space; start it anew."
        runs.end(made.id, "failed", reason=reason)
        raise KBError(reason) from None
    return made


def dataset_hash(manifest: Mapping[str, Any]) -> str:
    """SHA-256 over the hashes of a version's files."""
    files = "".join(f"{name} {file['sha256']}\n" for name, file in sorted(manifest["files"].items()))
    return hashlib.sha256(files.encode()).hexdigest()


def _config(folder: Path) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, **loading(folder))
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"The config.json in {folder} cannot be read: {str(error).splitlines()[0]}.") from None
