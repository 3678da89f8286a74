"""What a training run is told: numbers, precision, adapters, sharding. Checked before anything heavy is loaded."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from kb.errors import UsageError
from train.runs import RunKind

Precision = Literal["fp32", "bf16", "fp16"]
RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters (Hu et al., 2021) instead of all weights; `quantised`: over 4-bit weights (Dettmers, 2023)."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    quantised: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a run trains. Rows are per device; a step sees rows x accumulate x devices of them."""

    epochs: float = 1.0
    max_steps: int = 0
    """0: as many as the epochs take."""
    rows: int = 1
    accumulate: int = 1
    learning_rate: float = 2e-5
    warmup: float = 0.03
    """Share of the steps during which the learning rate rises."""
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "cosine"
    weight_decay: float = 0.0
    beta2: float = 0.999
    clip: float = 1.0
    neftune: float = 0.0
    """Noise on embeddings (Jain et al., 2023); 0: none."""
    precision: Precision = "fp32"
    recompute: bool = False
    """Gradient checkpointing: less memory, a third more time."""
    lora: Lora | None = None
    zero: Literal[0, 2, 3] = 0
    offload_optimizer: bool = False
    offload_parameters: bool = False
    devices: int = 1
    hostfile: str = ""
    save_every: int = 200
    log_every: int = 10
    seed: int = 0
    threads: int = 0

    def check(self, *, cuda: bool) -> None:
        """Raises UsageError for what cannot run, naming the argument."""
        several = self.devices > 1 or bool(self.hostfile)
        if several and not self.zero:
            raise UsageError("Several devices train with ZeRO. Add --zero 2 (or 3).")
        if (self.offload_optimizer or self.offload_parameters) and not self.zero:
            raise UsageError("Offloading is DeepSpeed's. Add --zero 2 (optimizer) or --zero 3 (parameters too).")
        if self.offload_parameters and self.zero != 3:
            raise UsageError("Parameters are offloaded under ZeRO-3 only. Use --zero 3.")
        if self.precision == "fp16" and not cuda:
            raise UsageError("fp16 trains on a GPU only. Use --precision bf16 or fp32 here.")
        if self.hostfile and not Path(self.hostfile).is_file():
            raise UsageError(f"There is no hostfile {self.hostfile}. Lines read `host slots=N`.")
        if self.lora and self.lora.quantised:
            _check_quantised(self.zero)


def _check_quantised(zero: int) -> None:
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise UsageError(
            "QLoRA needs the package bitsandbytes, which is not installed. Install the extra 'qlora' "
            "(docs/training.md), or use --lora."
        )
    if zero == 3:
        raise UsageError("4-bit weights are not sharded by ZeRO-3. Use --zero 2 with --qlora, or --lora.")


@dataclass(frozen=True, slots=True)
class Plan:
    """A run, ready to be carried out by `train.fit` in this process or in those that DeepSpeed starts."""

    id: str
    kind: RunKind
    folder: Path
    base: Path
    """Folder of the model to start from."""
    home: Path
    recipe: Recipe
    packed: bool
    facts: dict[str, Any] = field(default_factory=dict)
    """Dataset hash, token counts, refusals: what the row in the catalog says too."""

    def save(self) -> None:
        """Write run.json into the run's folder."""
        row = asdict(self) | {"folder": str(self.folder), "base": str(self.base), "home": str(self.home)}
        part = self.folder / (RUN_FILE + ".part")
        part.write_text(json.dumps(row, ensure_ascii=False, indent=1), encoding="utf-8")
        part.rename(self.folder / RUN_FILE)

    @classmethod
    def load(cls, folder: Path) -> Plan:
        """Read run.json. Raises UsageError if the folder holds no run."""
        try:
            row = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
            recipe = row.pop("recipe")
            lora = recipe.pop("lora")
            row |= {name: Path(row[name]) for name in ("folder", "base", "home")}
            return cls(**row | {"recipe": Recipe(**recipe, lora=Lora(**lora) if lora else None)})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{folder} holds no training run that can be read: {error}.") from None
