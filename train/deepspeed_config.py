"""DeepSpeed's configuration, generated from the recipe so that the two cannot disagree; and its start on any machine.

Two things must happen before a model is loaded: on CPUs the process group is begun with gloo (else each process
believes it is alone, and ZeRO-3 and LoRA on several processes fail), and DeepSpeed's own shared-memory kernel, minutes
of compilation, is left out. Optimizers stay torch's unless offloading to the CPU beside a GPU is asked for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from train.recipe import Recipe


def deepspeed_config(recipe: Recipe, *, cuda: bool, world: int) -> dict[str, Any]:
    """The configuration for `world` processes. Batch sizes, precision and optimizer are those of the recipe."""
    zero: dict[str, Any] = {"stage": recipe.zero, "contiguous_gradients": True, "overlap_comm": cuda}
    if recipe.zero == 3:
        zero |= {"stage3_gather_16bit_weights_on_model_save": True, "stage3_param_persistence_threshold": "auto"}
    if recipe.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": cuda}
    if recipe.offload_parameters:
        zero["offload_param"] = {"device": "cpu", "pin_memory": cuda}
    return {
        "train_micro_batch_size_per_gpu": recipe.rows,
        "gradient_accumulation_steps": recipe.accumulate,
        "train_batch_size": recipe.rows * recipe.accumulate * world,
        "gradient_clipping": recipe.clip,
        "bf16": {"enabled": recipe.precision == "bf16"},
        "fp16": {"enabled": recipe.precision == "fp16", "initial_scale_power": 12},
        "zero_optimization": zero,
        "zero_force_ds_cpu_optimizer": False,
        "optimizer": {
            "type": "AdamW",
            "params": {
                "lr": recipe.learning_rate,
                "betas": [0.9, recipe.beta2],
                "eps": 1e-8,
                "weight_decay": recipe.weight_decay,
                "torch_adam": not compiles(recipe, cuda=cuda),
            },
        },
        "wall_clock_breakdown": False,
    }


def compiles(recipe: Recipe, *, cuda: bool) -> bool:
    """Whether this run needs DeepSpeed's CPU optimizer, which is compiled at first use (minutes; g++ and ninja)."""
    return cuda and recipe.offload_optimizer


def prepare_distributed() -> None:
    """Begin the process group the way this machine needs it. A run without a launcher is a group of one."""
    import torch

    if torch.cuda.is_available():
        backend = "nccl"
    else:
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
        backend = "gloo"
    for name, value in (("RANK", "0"), ("LOCAL_RANK", "0"), ("WORLD_SIZE", "1"), ("MASTER_ADDR", "127.0.0.1")):
        os.environ.setdefault(name, value)
    os.environ.setdefault("MASTER_PORT", str(free_port()))
    import deepspeed
    from deepspeed.ops import __compatible_ops__

    __compatible_ops__["deepspeed_shm_comm"] = False
    if not torch.distributed.is_initialized():
        deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)


def free_port() -> int:
    """A port nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clear_locks(extensions: Path) -> list[Path]:
    """Remove the lock files that a killed compilation left behind; with one there, every later run waits for ever.

    Call it before any process of ours compiles. Returns those removed.
    """
    stale = [path for path in extensions.rglob("lock") if path.is_file()]
    for path in stale:
        path.unlink(missing_ok=True)
    return stale
