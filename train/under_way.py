"""An evaluation under way is a row among the runs: whoever looks sees where it is, and may stop it.

Nothing of a stopped evaluation is kept, and it is not resumed: it is begun again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kb.access import SINGLE, Principal
from kb.errors import KBError
from kb.store import Store
from train.environment import code_version, environment
from train.model_folders import Model
from train.runs import EVALUATE, Run, Runs, RunState

Asking = Callable[[str, int, int], None]
"""(engine, question, of how many); as train.measure.Progress."""
_EVERY_S = 0.5


class EvaluationStopped(KBError):
    """Somebody asked for it to stop."""


@contextmanager
def under_way(
    store: Store, model: Model, told: Asking, principal: Principal = SINGLE, *, over: str = ""
) -> Iterator[Asking]:
    """Yields what the evaluation reports to. EvaluationStopped is raised once the run is cancelled, at its end at last.

    `over` is the dataset that was named, else it is asked over the model's own.
    """
    runs = Runs(store)
    named, _, version = over.partition("/")
    data = {"name": named, "version": version} if named else dict(model.lineage.get("dataset") or {})
    run = runs.create(
        Run(
            kind=EVALUATE,
            name=model.name,
            base=model.name,
            base_hash=model.hash,
            dataset=str(data.get("name", "")),
            dataset_version=str(data.get("version", "")),
            dataset_hash="",
            arguments={},
            seed=0,
            code=code_version(),
            environment=environment(),
        ),
        principal,
    )
    runs.begin(run.id)
    last = 0.0

    def stopped() -> EvaluationStopped:
        return EvaluationStopped(
            f"The evaluation of '{model.name}' was stopped ({run.id}). Nothing of it is kept; "
            f"`vademecum models evaluate {model.name}` begins it anew."
        )

    def asking(engine: str, done: int, total: int) -> None:
        nonlocal last
        told(engine, done, total)
        if time.monotonic() - last >= _EVERY_S:
            last = time.monotonic()
            if runs.report_question(run.id, engine, done, total) == "cancel":
                raise stopped()

    state: RunState = "failed"
    reason = "it was ended before it was over"
    try:
        yield asking
        if runs.wanted(run.id) == "cancel":  # since its last report
            raise stopped()
        state, reason = "done", ""
    except (EvaluationStopped, KeyboardInterrupt):
        state, reason = "cancelled", ""
        raise
    except KBError as error:
        reason = str(error)
        raise
    finally:
        runs.end(run.id, state, reason=reason)
