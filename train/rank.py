"""One process of a run, one for each device: `python -m train.rank FOLDER`. Started by train.launch.

It reads run.json and the packed rows, trains (train.fit) and leaves outcome.<rank>.json. It never opens the catalog:
the process that started it does, so that ranks may live on other machines. A run that has a whole checkpoint goes on
from it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from kb.errors import KBError

OUTCOME = "outcome.{rank}.json"
WITH_PARENT = "--with-parent"
_FAILED = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a process of a run ended."""

    state: str
    """done, cancelled or failed."""
    reason: str = ""
    steps: int = 0
    held_out_loss: float | None = None
    held_out_loss_before: float | None = None


def main(arguments: list[str]) -> int:
    """Carry the run in folder `arguments[0]` out; the exit status."""
    folder = Path(arguments[0])
    if WITH_PARENT in arguments:
        _end_with_parent()
    try:
        outcome = _train(folder)
    except KBError as error:
        print(f"vademecum: {error}", file=sys.stderr, flush=True)
        outcome = Outcome("failed", str(error))
    _write(folder, outcome)
    if outcome.state == "failed":
        os._exit(_FAILED)  # at once: the other processes wait for this one in a collective
    return 0


def _train(folder: Path) -> Outcome:
    import torch
    from transformers.utils import logging

    from train.fit import fit
    from train.recipe import Plan

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    plan = Plan.load(folder)
    try:
        result = fit(plan, resume=True)
    except torch.OutOfMemoryError as error:
        raise KBError(
            f"The device has too little memory ({str(error).splitlines()[0][:200]}). Lower --rows (raise --accumulate) "
            "or --length, add --recompute, --lora, or --zero 3 with offloading."
        ) from None
    state = "cancelled" if result.stopped else "done"
    return Outcome(state, "", result.steps, result.held_out_loss, result.held_out_loss_before)


def _write(folder: Path, outcome: Outcome) -> None:
    path = folder / OUTCOME.format(rank=os.environ.get("RANK", "0"))
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(outcome), ensure_ascii=False), encoding="utf-8")
    part.rename(path)


def _end_with_parent() -> None:
    """Die when standard input closes: the process that records the run is gone, and would start another beside this."""

    def watch() -> None:
        while os.read(0, 1 << 10):  # not through sys.stdin, whose lock would be held when the interpreter ends
            pass
        os._exit(_FAILED)

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
