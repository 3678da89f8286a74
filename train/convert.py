"""What training leaves in, a plain model folder out: ZeRO checkpoints gathered, adapters merged, precision changed.

Weights are read as safetensors. The one exception is a sealed checkpoint of a run of this home (train.checkpoints):
DeepSpeed keeps its shards as torch files, which are pickles, so nothing else of that kind is ever opened.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kb.errors import StoreError, UsageError
from kb.model_code import loading
from train import checkpoints
from train.fit import DTYPES, load_tokenizer, load_weights
from train.model_folders import LINEAGE, model
from train.recipe import Plan, Precision
from train.runs import Runs
from train.templates import ROLES_TEMPLATE

BOUNDS: dict[Precision, float] = {"fp32": 1e-5, "bf16": 0.05, "fp16": 0.01}
"""Largest difference of a logit, as a share of the largest logit, that a change of precision may make."""
_PROBES = ("利可君的用法用量是什么？", "What is the maximum daily dose?")


@dataclass(frozen=True, slots=True)
class Compared:
    """How far the converted model's logits are from the other's, over the probes."""

    worst: float
    """Largest absolute difference as a share of the largest absolute logit."""
    same_choice: float
    """Share of positions whose likeliest token is the same."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A model that was written, from what, and how near it is."""

    source: str
    compared: Compared


def convert(home: Path, runs: Runs, source: str, target: Path, precision: Precision, *, step: int = 0) -> Converted:
    """Write what `source` names, a model of the home or a run of it, to `target` and compare the two.

    A run stands for its checkpoint at `step`, or its newest whole one. Raises NotFound or UsageError.
    """
    if not step and (home / "models" / source / LINEAGE).is_file():
        folder = model(home, source).folder
        change_precision(folder, target, precision)
        return Converted(source, compare(folder, target))
    run = runs.run(source)
    plan = Plan.load(run.folder)
    found = run.folder / f"checkpoint-{step}" if step else checkpoints.newest_complete(run.folder)
    if found is None or not checkpoints.is_complete(found):
        there = ", ".join(sorted(path.name for path in run.folder.glob("checkpoint-*"))) or "none"
        raise UsageError(f"Run {run.id} has no such whole checkpoint (there: {there}).")
    whole = target.with_name(target.name + ".fp32")
    try:
        plain_weights(found, plan.base, whole)
        if plan.facts.get("template") == "roles":  # what serving must ask in
            tokenizer = load_tokenizer(whole)
            tokenizer.chat_template = ROLES_TEMPLATE
            tokenizer.save_pretrained(whole)
        change_precision(whole, target, precision)
        return Converted(f"{run.id}/{found.name}", compare(whole, target))
    finally:
        shutil.rmtree(whole, ignore_errors=True)


def plain_weights(checkpoint: Path, base: Path, target: Path) -> Path:
    """The weights of a sealed checkpoint in full precision: adapters merged, or shards gathered, or as they are."""
    if (checkpoint / "adapter_config.json").is_file():
        return merge_adapters(base, checkpoint, target, "fp32")
    return gather_checkpoint(checkpoint, base, target)


def merge_adapters(base: Path, adapters: Path, target: Path, precision: Precision | None = None) -> Path:
    """Add LoRA adapters to their base's weights and write a plain model to `target`.

    `precision`: None keeps the base's own. Raises UsageError if either cannot be read, StoreError if the disk refuses.
    """
    from peft import PeftModel
    from transformers import AutoConfig

    own = getattr(AutoConfig.from_pretrained(base, **loading(base)), "dtype", None) or torch.float32
    plain = load_weights(base, torch.float32)  # the sum is made in full precision, whatever is kept of it
    try:
        adapted: Any = PeftModel.from_pretrained(plain, str(adapters), is_trainable=False, use_safetensors=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UsageError(
            f"The adapters in {adapters} cannot be read or do not fit {base}: {str(error).splitlines()[0]}."
        ) from None
    merged = adapted.merge_and_unload(safe_merge=True)
    tokenizer = load_tokenizer(adapters if (adapters / "tokenizer.json").is_file() else base)
    return _write(merged.to(DTYPES[precision] if precision else own), tokenizer, target)


def gather_checkpoint(checkpoint: Path, base: Path, target: Path) -> Path:
    """Write the weights of a run's sealed checkpoint, ZeRO's shards gathered, as a plain model.

    Raises UsageError if it is not a whole checkpoint of ours.
    """
    if not checkpoints.is_complete(checkpoint):
        raise UsageError(
            f"{checkpoint} is not a whole checkpoint of a run here, and training states from elsewhere can run code "
            "when opened. Name a run of `vademecum train runs`."
        )
    if (checkpoint / "model.safetensors").is_file() and not (checkpoint / "latest").is_file():
        return change_precision(checkpoint, target, "fp32", tokenizer=base)
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

    weights = get_fp32_state_dict_from_zero_checkpoint(str(checkpoint))
    found = load_weights(base, torch.float32)
    missing, unexpected = found.load_state_dict(weights, strict=False)
    tied = set(getattr(found, "_tied_weights_keys", None) or ())
    if unexpected or set(missing) - tied:
        raise UsageError(f"The weights in {checkpoint} do not fit {base}: {[*unexpected, *missing][:3]}.")
    found.tie_weights()
    return _write(found, load_tokenizer(base), target)


def change_precision(source: Path, target: Path, precision: Precision, *, tokenizer: Path | None = None) -> Path:
    """Write the model in folder `source` in another precision."""
    found = load_weights(source, torch.float32)
    if precision == "fp16":
        worst = max(float(p.detach().abs().max()) for p in found.parameters())
        if worst > torch.finfo(torch.float16).max:
            raise UsageError(f"A weight is {worst:.3g}, which fp16 cannot hold. Use bf16.")
    return _write(found.to(DTYPES[precision]), load_tokenizer(tokenizer or source), target)


def compare(first: Path, second: Path, probes: tuple[str, ...] = _PROBES) -> Compared:
    """Logits of two model folders side by side, both computed in full precision."""
    tokenizer = load_tokenizer(first)
    both = [load_weights(folder, torch.float32).eval() for folder in (first, second)]
    worst, same, count = 0.0, 0, 0
    with torch.inference_mode():
        for probe in probes:
            ids = torch.tensor([tokenizer(probe, add_special_tokens=False)["input_ids"]])
            one, two = (either(ids, use_cache=False).logits[0] for either in both)
            worst = max(worst, float((one - two).abs().max() / one.abs().max()))
            same += int((one.argmax(-1) == two.argmax(-1)).sum())
            count += len(one)
    return Compared(worst, same / max(count, 1))


def _write(model: Any, tokenizer: Any, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    try:
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    except OSError as error:
        raise StoreError(f"The model could not be written to {target}: {error.strerror}. Free disk space.") from None
    return target
