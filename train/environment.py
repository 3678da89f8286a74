"""Where and by what a run was made: code, packages, machine. Recorded with every run, so that it can be repeated."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("torch", "transformers", "trl", "peft", "deepspeed", "accelerate", "tokenizers", "bitsandbytes")


def code_version() -> str:
    """The release, and a hash over the sources that run: the same with and without a repository around them."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted([*(root / "train").rglob("*.py"), *(root / "kb").glob("*.py")]):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(path.read_bytes())
    return f"{_version('vademecum') or '0'}+{digest.hexdigest()[:12]}"


def environment() -> dict[str, Any]:
    """Versions, machine and GPUs. Loads torch."""
    import torch

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.node(),
        "cores": os.cpu_count() or 1,
        "devices": devices or ["cpu"],
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:2000],
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
