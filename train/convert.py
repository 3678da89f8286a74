"""What training leaves in, a plain model folder out: ZeRO checkpoints gathered, adapters merged, precision changed.

Weights are read as safetensors. The one exception is a sealed checkpoint of a run of this home (train.checkpoints):
DeepSpeed keeps its shards as torch files, which are pickles, so nothing else of that kind is ever opened.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from kb.errors import StoreError, UsageError
from train import checkpoints
from train.fit import load_tokenizer, load_weights

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
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


def merge_adapters(base: Path, adapters: Path, target: Path, precision: Precision | None = None) -> Path:
    """Add LoRA adapters to their base's weights and write a plain model to `target`.

    `precision`: None keeps the base's own. Raises UsageError if either cannot be read, StoreError if the disk refuses.
    """
    from peft import PeftModel
    from transformers import AutoConfig

    own = getattr(AutoConfig.from_pretrained(base, local_files_only=True), "dtype", None) or torch.float32
    model = load_weights(base, torch.float32)  # the sum is made in full precision, whatever is kept of it
    try:
        adapted: Any = PeftModel.from_pretrained(model, str(adapters), is_trainable=False, use_safetensors=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UsageError(
            f"The adapters in {adapters} cannot be read or do not fit {base}: {str(error).splitlines()[0]}."
        ) from None
    merged = adapted.merge_and_unload(safe_merge=True)
    return _write(merged.to(DTYPES[precision] if precision else own), load_tokenizer(adapters), target)


def gather_checkpoint(checkpoint: Path, base: Path, target: Path, precision: Precision = "fp32") -> Path:
    """Write the weights of a run's sealed checkpoint, ZeRO's shards gathered, as a plain model.

    Raises UsageError if it is not a whole checkpoint of ours.
    """
    if not checkpoints.is_complete(checkpoint):
        raise UsageError(
            f"{checkpoint} is not a whole checkpoint of a run here, and training states from elsewhere can run code "
            "when opened. Name a run of `vademecum train runs`."
        )
    if not (checkpoint / "latest").is_file():
        return change_precision(checkpoint, target, precision, tokenizer=base)
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

    weights = get_fp32_state_dict_from_zero_checkpoint(str(checkpoint))
    model = load_weights(base, torch.float32)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    if unexpected or set(missing) - tied:
        raise UsageError(
            f"The weights in {checkpoint} do not fit {base}: {[*unexpected, *missing][:3]}. A checkpoint of adapters "
            "is merged by resuming its run."
        )
    model.tie_weights()
    return _write(model.to(DTYPES[precision]), load_tokenizer(base), target)


def change_precision(source: Path, target: Path, precision: Precision, *, tokenizer: Path | None = None) -> Path:
    """Write the model in folder `source` in another precision."""
    model = load_weights(source, torch.float32)
    if precision == "fp16":
        worst = max(float(p.abs().max()) for p in model.parameters())
        if worst > torch.finfo(torch.float16).max:
            raise UsageError(f"A weight is {worst:.3g}, which fp16 cannot hold. Use bf16.")
    return _write(model.to(DTYPES[precision]), load_tokenizer(tokenizer or source), target)


def compare(first: Path, second: Path, probes: tuple[str, ...] = _PROBES) -> Compared:
    """Logits of two model folders side by side, both computed in full precision."""
    tokenizer = load_tokenizer(first)
    models = [load_weights(folder, torch.float32).eval() for folder in (first, second)]
    worst, same, count = 0.0, 0, 0
    with torch.inference_mode():
        for probe in probes:
            ids = torch.tensor([tokenizer(probe, add_special_tokens=False)["input_ids"]])
            one, two = (model(ids, use_cache=False).logits[0] for model in models)
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
