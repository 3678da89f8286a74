"""A module's command line in, its figures out: measured in a process of its own, the last line it prints is JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def measured(module: str, *arguments: str | Path) -> dict[str, float]:
    """What `python -m module arguments` has measured. Ends this process with its errors if it fails."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    if done.returncode:
        raise SystemExit(f"{' '.join(command[2:])} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
