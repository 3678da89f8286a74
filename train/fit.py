"""Carry out a run: packed rows and a model folder in, checkpoints and a final model out. transformers' Trainer trains.

Ours are four things around it: logits are computed only where a token carries loss; a checkpoint is sealed or absent
(train.checkpoints); a loss or weight that is no finite number stops the run before it is saved; progress goes to
metrics.jsonl in the run's folder. The same code runs in one process and in several (train.launch), on GPUs and on CPUs.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments

from kb.errors import KBError, UsageError
from kb.model_code import loading
from train import checkpoints
from train.deepspeed_config import deepspeed_config, prepare_distributed
from train.packing import IGNORED, Encoded, Packed, collate
from train.recipe import Plan, Precision
from train.runs import METRICS, Progress, points
from train.templates import ROLES_TEMPLATE

FINAL = "final"
CANCEL = "cancel"
"""A file of this name in the run's folder asks it to stop after the present step."""
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_HELD_OUT_ROWS = 64


class NotFinite(KBError):
    """The loss or a weight is no finite number; the last good checkpoint is kept."""


Report = Callable[[Progress], None]
"""Told of progress, in the first process."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended: the steps done, the final model (not of a stopped run), the loss on held-out rows."""

    steps: int
    stopped: bool
    model: Path | None
    held_out_loss: float | None
    held_out_loss_before: float | None
    """Of the model it started from; not known of a run that was resumed before it was measured."""


class _Rows(Dataset[list[Encoded]]):
    def __init__(self, packed: Packed) -> None:
        self._packed = packed

    def __len__(self) -> int:
        return len(self._packed)

    def __getitem__(self, number: int) -> list[Encoded]:
        return self._packed.row(number)


class _Trainer(Trainer):
    """transformers' Trainer with our loss and our way to write checkpoints."""

    def __init__(self, run: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._run = run
        self._kept: torch.Tensor | None = None
        self.seen = self.seen_trained = 0
        self.loss_is_scaled_for_ga = True  # compute_loss divides by the tokens of the whole step
        self.model_accepts_loss_kwargs = True  # have those tokens counted
        head = self.accelerator.unwrap_model(self.model).get_output_embeddings()
        head.register_forward_pre_hook(self._only_trained)

    def _only_trained(self, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> Any:
        """Before the output layer: keep the states whose next token carries loss; (rows, n, d) → (1, kept, d)."""
        return None if self._kept is None else (inputs[0][self._kept][None], *inputs[1:])

    def compute_loss(
        self, model: Any, inputs: Mapping[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        inputs = dict(inputs)
        labels = inputs.pop("labels")
        targets = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
        kept = targets != IGNORED
        self.seen += labels.numel()
        self.seen_trained += int(kept.sum())
        self._kept = kept
        try:
            outputs = model(**inputs, use_cache=False)
        finally:
            self._kept = None
        losses = torch.nn.functional.cross_entropy(outputs.logits[0].float(), targets[kept], reduction="sum")
        count = kept.sum() if num_items_in_batch is None else num_items_in_batch
        loss = losses / torch.clamp(torch.as_tensor(count, device=losses.device), min=1)
        if num_items_in_batch is not None:  # counted over all processes, whose gradients are then averaged
            loss = loss * self.accelerator.num_processes
        if not torch.isfinite(loss.detach()):
            raise NotFinite(self._not_finite(f"The loss at step {self.state.global_step + 1}"))
        return (loss, outputs) if return_outputs else loss

    def _not_finite(self, what: str) -> str:
        good = checkpoints.newest_complete(self._run)
        kept = f"{good.name} is the last good one" if good else "no checkpoint was written yet"
        return (
            f"{what} is not a finite number: the run was stopped; {kept}. Lower --learning-rate, or use bf16 or fp32."
        )

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._run / checkpoints.WRITING)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if any(not bool(torch.isfinite(_local(p)).all()) for p in self._weights().parameters()):
            raise NotFinite(self._not_finite(f"A weight after step {self.state.global_step}"))
        if self.args.should_save:
            checkpoints.check_room(self._run, _checkpoint_bytes(self._weights()))
        try:
            super()._save_checkpoint(model, trial)
        except OSError as error:
            raise checkpoints.told(error, self._run) from error
        except RuntimeError as error:  # torch's writer hides the operating system's error
            if "PytorchStreamWriter" not in str(error) and "write" not in str(error):
                raise
            raise checkpoints.DiskFull(
                f"A checkpoint could not be written to {self._run} ({str(error).splitlines()[0]}). "
                "Free disk space, then resume it (`vademecum train resume`)."
            ) from error
        self._wait_for_all()
        if self.args.should_save:
            written = self._run / checkpoints.WRITING / f"checkpoint-{self.state.global_step}"
            checkpoints.seal(written, self._run)
        self._wait_for_all()

    def _weights(self) -> torch.nn.Module:
        assert self.model is not None
        return self.model

    def _wait_for_all(self) -> None:
        self.accelerator.wait_for_everyone()


def _local(parameter: torch.Tensor) -> torch.Tensor:
    """This process's share of a weight, which ZeRO-3 keeps beside the parameter."""
    return getattr(parameter, "ds_tensor", parameter).detach()


def _checkpoint_bytes(model: torch.nn.Module) -> int:
    """Weights once, and for those that train two moments and a full-precision copy; a tenth for the rest."""
    weights = sum(getattr(p, "ds_numel", p.numel()) * p.element_size() for p in model.parameters())
    moments = sum(getattr(p, "ds_numel", p.numel()) * 12 for p in model.parameters() if p.requires_grad)
    return int((weights + moments) * 1.1) + (1 << 20)


class _Teller(TrainerCallback):
    """Writes metrics.jsonl and reports; stops the run when asked to; the last step is kept as a checkpoint."""

    def __init__(self, run: Path, report: Report | None, before: Mapping[str, Any]) -> None:
        self._run = run
        self._report = report
        self._before = before
        self._started = time.monotonic()
        self.trainer: _Trainer | None = None
        self.stopped = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._started = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        wanted = state.is_world_process_zero and (self._run / CANCEL).exists()
        if state.global_step >= state.max_steps:
            control.should_save = control.should_log = True
        elif _first_says(wanted):
            self.stopped = control.should_save = control.should_log = control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if "loss" not in (logs or {}) or not state.is_world_process_zero:
            return
        assert self.trainer is not None
        processes = self.trainer.accelerator.num_processes
        progress = Progress(
            step=state.global_step,
            steps=state.max_steps,
            loss=float(logs["loss"]),
            learning_rate=float(logs.get("learning_rate", 0.0)),
            trained_tokens=self._before.get("trained_tokens", 0) + self.trainer.seen_trained * processes,
            tokens=self._before.get("tokens", 0) + self.trainer.seen * processes,
            seconds=self._before.get("seconds", 0.0) + time.monotonic() - self._started,
            memory_mb=_memory_mb(),
        )
        row = {name: getattr(progress, name) for name in Progress.__dataclass_fields__}
        row["grad_norm"] = float(logs["grad_norm"]) if logs.get("grad_norm") is not None else None
        with (self._run / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self._report:
            self._report(progress)


def _first_says(wanted: bool) -> bool:
    """What the first process wants, in all."""
    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1:
        return wanted
    device = "cuda" if torch.cuda.is_available() else "cpu"
    flag = torch.tensor([int(wanted)], device=device)
    torch.distributed.broadcast(flag, 0)
    return bool(flag.item())


def _memory_mb() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def fit(plan: Plan, report: Report | None = None, *, resume: bool = False) -> Result:
    """Train as `plan` says. Raises NotFinite, DiskFull or UsageError; what was sealed before stays."""
    recipe = plan.recipe
    recipe.check(cuda=torch.cuda.is_available())
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    if recipe.zero:
        prepare_distributed()
    arguments = _arguments(plan)
    if arguments.should_save:
        checkpoints.clear_unfinished(plan.folder)
    tokenizer = load_tokenizer(plan.base)
    if plan.facts.get("template") == "roles":
        tokenizer.chat_template = ROLES_TEMPLATE
    last = checkpoints.newest_complete(plan.folder) if resume else None
    teller = _Teller(plan.folder, report, _point_at(plan.folder, last))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    trainer = _Trainer(
        plan.folder,
        model=_model(plan, tokenizer),
        args=arguments,
        train_dataset=_Rows(Packed.load(plan.folder / "data" / "train")),
        data_collator=lambda batch: collate(batch, pad, packed=plan.packed),
        callbacks=[teller],
    )
    teller.trainer = trainer
    first = _AtTheStart(plan, trainer, pad)
    before = None
    if last is None and recipe.zero == 3:
        trainer.add_callback(first)
    elif last is None:
        before = _before(plan, trainer, pad)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    before = first.found if before is None else before
    if teller.stopped:
        return Result(trainer.state.global_step, True, None, None, before)
    held_out = held_out_loss(trainer.model_wrapped, plan, pad)
    final = plan.folder / FINAL
    _save_final(trainer, tokenizer, final)
    return Result(trainer.state.global_step, False, final, held_out, before)


class _AtTheStart(TrainerCallback):
    """Under ZeRO-3 no process has the model whole until the engine stands: its loss is taken then, by all together."""

    def __init__(self, plan: Plan, trainer: _Trainer, pad: int) -> None:
        self._plan, self._trainer, self._pad = plan, trainer, pad
        self.found: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        engine = self._trainer.model_wrapped
        self.found = held_out_loss(engine, self._plan, self._pad)
        engine.train()


def _before(plan: Plan, trainer: _Trainer, pad: int) -> float | None:
    """The loss of the model that the run starts from."""
    model = trainer._weights().to(trainer.args.device)
    found = held_out_loss(model, plan, pad)
    model.train()
    return found


def _arguments(plan: Plan) -> TrainingArguments:
    recipe = plan.recipe
    cuda = torch.cuda.is_available()
    several = int(_env("WORLD_SIZE", "1")) > 1
    return TrainingArguments(
        output_dir=str(plan.folder),
        num_train_epochs=recipe.epochs,
        max_steps=recipe.max_steps or -1,
        per_device_train_batch_size=recipe.rows,
        gradient_accumulation_steps=recipe.accumulate,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warmup,
        weight_decay=recipe.weight_decay,
        adam_beta2=recipe.beta2,
        max_grad_norm=recipe.clip,
        optim="adamw_torch",
        neftune_noise_alpha=recipe.neftune or None,
        bf16=recipe.precision == "bf16",
        fp16=recipe.precision == "fp16",
        activation_checkpointing=recipe.recompute,
        activation_checkpointing_kwargs={"use_reentrant": False} if recipe.recompute else None,
        logging_steps=recipe.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=recipe.save_every,
        save_total_limit=None,
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=not cuda,
        ddp_backend="gloo" if several and not cuda else None,
        dataloader_pin_memory=cuda,
        remove_unused_columns=False,
        label_names=["labels"],
        disable_tqdm=True,
        report_to="none",
        deepspeed=deepspeed_config(recipe, cuda=cuda, world=int(_env("WORLD_SIZE", "1"))) if recipe.zero else None,
    )


def _env(name: str, default: str) -> str:
    import os

    return os.environ.get(name, default)


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in a local folder; code of the folder is run only where that is trusted (kb.model_code)."""
    try:
        return AutoTokenizer.from_pretrained(folder, **loading(folder))
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UsageError(f"The tokenizer in {folder} cannot be loaded: {str(error).splitlines()[0]}.") from None


def load_weights(folder: Path, dtype: torch.dtype = torch.float32, **more: Any) -> Any:
    """A causal language model from a local folder's safetensors; pickled weights are never read, code that the folder
    brings is run only where that is trusted (kb.model_code)."""
    try:
        return AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, **loading(folder), **more
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise UsageError(
            f"The model in {folder} cannot be loaded: {str(error).splitlines()[0]}. It must be a causal language model "
            "of a known architecture with safetensors weights."
        ) from None


def _model(plan: Plan, tokenizer: Any) -> Any:
    recipe = plan.recipe
    half = DTYPES[recipe.precision]
    more: dict[str, Any] = {"attn_implementation": "sdpa"} if plan.packed else {}
    if recipe.lora and recipe.lora.quantised:
        from transformers import BitsAndBytesConfig

        more["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=half
        )
    model = load_weights(plan.base, half if recipe.lora else torch.float32, **more)
    _end_with(model, tokenizer.eos_token_id)
    if recipe.lora is None:
        return model
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if recipe.lora.quantised:
        model = prepare_model_for_kbit_training(  # type: ignore[no-untyped-call]
            model, use_gradient_checkpointing=recipe.recompute
        )
    elif recipe.recompute:
        model.enable_input_require_grads()
    torch.manual_seed(recipe.seed)  # the same adapters on every process, however many there are
    return get_peft_model(
        model,
        LoraConfig(
            task_type="CAUSAL_LM",
            r=recipe.lora.rank,
            lora_alpha=recipe.lora.alpha,
            lora_dropout=recipe.lora.dropout,
            target_modules="all-linear",
        ),
    )


def _end_with(model: Any, end: int) -> None:
    """Generation stops at the token that training teaches to end with, and where it stopped before."""
    known = model.generation_config.eos_token_id
    ends = [] if known is None else known if isinstance(known, list) else [known]
    model.generation_config.eos_token_id = sorted({*ends, end}) if {*ends, end} != {end} else end


def _save_final(trainer: _Trainer, tokenizer: Any, final: Path) -> None:
    part = final.with_name(FINAL + ".part")
    if trainer.args.should_save:
        import shutil

        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(final, ignore_errors=True)
    trainer._wait_for_all()
    try:
        trainer.save_model(str(part))
        if trainer.args.should_save:
            tokenizer.save_pretrained(part)
            (part / "training_args.bin").unlink(missing_ok=True)  # a pickle, which no one needs
            part.rename(final)
    except OSError as error:
        raise checkpoints.told(error, final.parent) from error
    trainer._wait_for_all()


def held_out_loss(model: Any, plan: Plan, pad: int) -> float | None:
    """Mean loss per trained token on the first held-out rows; None if there are none. e to its power: perplexity."""
    folder = plan.folder / "data" / "validation"
    if not folder.is_dir():
        return None
    rows = Packed.load(folder)
    total, count = 0.0, 0
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():  # what ZeRO-3 gathers here is trained on: an inference tensor would end that
        for number in range(min(len(rows), _HELD_OUT_ROWS)):
            batch = collate([rows.row(number)], pad, packed=plan.packed)
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            targets = batch.pop("labels")[:, 1:]
            logits = model(**batch, use_cache=False).logits[:, :-1].float()
            kept = targets != IGNORED
            total += float(torch.nn.functional.cross_entropy(logits[kept], targets[kept], reduction="sum"))
            count += int(kept.sum())
    return total / count if count and math.isfinite(total) else None


def _point_at(run: Path, checkpoint: Path | None) -> dict[str, Any]:
    """The point of the curves at which the checkpoint was written: what earlier tries have spent."""
    if checkpoint is None:
        return {}
    step = int(checkpoint.name.rpartition("-")[2])
    return next((point for point in reversed(points(run)) if point["step"] <= step), {})
