"""The registry of training runs (and of evaluations under way): a row for each, from its data to the model it made.

A run trains in processes of its own and may take days, so it never holds the home's lock: every method here is one
short transaction, safe beside the app. Curves are files of the run's folder (metrics.jsonl); the row keeps the newest
point. A run whose process is gone without a word reads as 'interrupted' and can be resumed from its last checkpoint.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa

from kb import audit
from kb.access import SINGLE, Principal
from kb.errors import NotFound, UsageError
from kb.jobs import boot_id, is_alive
from kb.schema import runs
from kb.store import Store

RunKind = Literal["pretrain", "sft", "embedder", "evaluate"]
EVALUATE: Final = "evaluate"
"""The kind of a run that trains nothing: a model is being evaluated (train.under_way)."""
RunState = Literal["queued", "running", "done", "cancelled", "failed", "interrupted"]
METRICS = "metrics.jsonl"
LOG = "log.txt"
RESUMABLE: frozenset[RunState] = frozenset({"queued", "cancelled", "failed", "interrupted"})
_JSON = ("arguments", "environment", "facts", "result")


@dataclass(frozen=True, slots=True)
class Run:
    """One training run. `folder` holds run.json, data/, checkpoints, log.txt and metrics.jsonl."""

    kind: RunKind
    name: str
    """Of the model it makes; the run's id where none is given."""
    base: str
    """Name of a model here, or path, that it starts from."""
    base_hash: str
    dataset: str
    dataset_version: str
    dataset_hash: str
    arguments: Mapping[str, Any]
    seed: int
    code: str
    environment: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What its data came to: rows, tokens, utilisation, what was left out and why."""
    parent: str = ""
    """The run whose model it starts from."""
    author: str = ""
    id: str = ""
    number: int = 0
    state: RunState = "queued"
    reason: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    model: str = ""
    """Name of the model it made; empty until then."""
    step: int = 0
    steps: int = 0
    loss: float | None = None
    learning_rate: float = 0.0
    tokens: int = 0
    trained_tokens: int = 0
    tokens_per_s: float = 0.0
    trained_tokens_per_s: float = 0.0
    seconds: float = 0.0
    left_s: float | None = None
    memory_mb: float = 0.0
    pid: int = 0
    boot: str = ""
    wanted: str = ""
    created: str = ""
    started: str = ""
    changed: str = ""
    ended: str = ""

    @property
    def log(self) -> Path:
        return self.folder / LOG

    @property
    def unfinished(self) -> bool:
        return self.state in ("queued", "running")


@dataclass(frozen=True, slots=True)
class Progress:
    """A point of a run's curves."""

    step: int
    steps: int
    loss: float
    learning_rate: float
    trained_tokens: int
    tokens: int
    seconds: float
    memory_mb: float

    @property
    def left_s(self) -> float:
        return self.seconds / self.step * (self.steps - self.step) if self.step else 0.0


class Runs:
    """The runs of one home."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, run: Run, principal: Principal = SINGLE) -> Run:
        """Give the run a number, an id and a folder; state 'queued'. On record as 'trained'."""
        now = _now()
        row = {name: getattr(run, name) for name in run.__dataclass_fields__ if name not in ("number", "folder")}
        row |= {name: json.dumps(dict(row[name]), ensure_ascii=False) for name in _JSON}
        row |= {"created": now, "changed": now, "author": run.author or principal.name, "state": "queued"}
        with self._store.writing() as connection:
            inserted = connection.execute(sa.insert(runs), row | {"id": f"new-{now}", "folder": ""})
            assert inserted.inserted_primary_key is not None
            number = int(inserted.inserted_primary_key[0])
            run_id = f"{run.kind}-{number}"
            named = {"id": run_id, "folder": f"runs/{run_id}", "name": run.name or run_id}
            connection.execute(sa.update(runs).where(runs.c.number == number).values(named))
            detail = {"kind": run.kind, "dataset": run.dataset_version, "model": run.name or run_id}
            audit.append(connection, principal, "evaluated" if run.kind == EVALUATE else "trained", run_id, **detail)
        folder = self._store.home / "runs" / run_id
        folder.mkdir(parents=True, exist_ok=True)
        return self.run(run_id)

    def runs(self, *, unfinished: bool = False, limit: int = 200) -> list[Run]:
        """The newest runs, newest first."""
        query = sa.select(runs).order_by(runs.c.number.desc()).limit(limit)
        if unfinished:
            query = query.where(runs.c.state.in_(("queued", "running")))
        with self._store.reading() as connection:
            return [self._run(row) for row in connection.execute(query)]

    def run(self, key: str) -> Run:
        """The run of this id or number. Raises NotFound."""
        wanted = runs.c.number == int(key) if key.isdecimal() and len(key) < 18 else runs.c.id == key
        with self._store.reading() as connection:
            row = connection.execute(sa.select(runs).where(wanted)).one_or_none()
        if row is None:
            raise NotFound(f"No training run '{key}'. `vademecum train runs` lists them.")
        return self._run(row)

    # -- for the process that carries a run out --------------------------------------------------------------------

    def begin(self, run_id: str) -> Run:
        """This process carries the run out from now on. Raises UsageError if another does, or it is done."""
        with self._store.writing() as connection:
            found = self._run(connection.execute(sa.select(runs).where(runs.c.id == run_id)).one())
            if found.state == "running":
                raise UsageError(f"Run {run_id} is being carried out by process {found.pid}.")
            if found.state == "done":
                raise UsageError(f"Run {run_id} is done; its model is '{found.model}'. Start a new run.")
            started = found.started or _now()
            mine = {"pid": os.getpid(), "boot": boot_id(), "wanted": "", "reason": "", "ended": "", "started": started}
            _set(connection, run_id, state="running", **mine)
        return self.run(run_id)

    def report(self, run_id: str, progress: Progress) -> str:
        """Note where the run is; returns what is wanted of it: '' or 'cancel'."""
        per_s = max(progress.seconds, 1e-9)
        with self._store.writing() as connection:
            _set(
                connection,
                run_id,
                **{name: getattr(progress, name) for name in Progress.__dataclass_fields__},
                left_s=progress.left_s,
                tokens_per_s=progress.tokens / per_s,
                trained_tokens_per_s=progress.trained_tokens / per_s,
            )
            return str(connection.execute(sa.select(runs.c.wanted).where(runs.c.id == run_id)).scalar_one())

    def report_question(self, run_id: str, engine: str, done: int, total: int) -> str:
        """Note which question an evaluation has put to which engine; returns what is wanted of it: '' or 'cancel'."""
        with self._store.writing() as connection:
            _set(connection, run_id, step=done, steps=total, facts=json.dumps({"engine": engine}))
        return self.wanted(run_id)

    def wanted(self, run_id: str) -> str:
        """What is wanted of the run: '' or 'cancel'."""
        with self._store.reading() as connection:
            return str(connection.execute(sa.select(runs.c.wanted).where(runs.c.id == run_id)).scalar_one())

    def end(
        self,
        run_id: str,
        state: RunState,
        *,
        reason: str = "",
        result: Mapping[str, Any] | None = None,
        model: str = "",
    ) -> Run:
        """The run is over, for now or for good."""
        kept = {} if result is None else {"result": json.dumps(dict(result), ensure_ascii=False)}
        with self._store.writing() as connection:
            over = {"pid": 0, "wanted": "", "left_s": None, "ended": _now()}
            _set(connection, run_id, state=state, reason=reason, model=model, **over, **kept)
        return self.run(run_id)

    # -- for those who look on -------------------------------------------------------------------------------------

    def cancel(self, key: str) -> Run:
        """Ask a run to stop at its next report; training writes a checkpoint and can be resumed. Raises UsageError."""
        run = self.run(key)
        if not run.unfinished:
            raise UsageError(f"Run {run.id} is {run.state} and cannot be cancelled.")
        with self._store.writing() as connection:
            if run.state == "running":
                _set(connection, run.id, wanted="cancel")
            else:
                _set(connection, run.id, state="cancelled", ended=_now())
        return self.run(run.id)

    def metrics(self, run: Run, *, most: int = 1000) -> list[dict[str, Any]]:
        """The run's curves, thinned to about `most` points: step, loss, learning_rate, seconds, …"""
        found = points(run.folder)
        every = -(-len(found) // most) or 1
        return [*found[:-1:every], *found[-1:]]

    def _run(self, row: Any) -> Run:
        values = dict(row._mapping)
        values |= {name: json.loads(values[name]) for name in _JSON}
        values["folder"] = self._store.home / values["folder"]
        if values["state"] == "running" and (values["boot"] != boot_id() or not is_alive(values["pid"])):
            values["state"] = "interrupted"
            values["left_s"] = None
            then = "evaluate it again" if values["kind"] == EVALUATE else "resume it from its last checkpoint"
            values["reason"] = f"its process ended without a word; {then}"
        return Run(**values)


def points(folder: Path) -> list[dict[str, Any]]:
    """The points in a run's folder, by their steps; one that a resumed run passed again as it was the last time."""
    found: dict[int, dict[str, Any]] = {}
    with suppress(FileNotFoundError), (folder / METRICS).open(encoding="utf-8") as file:
        for line in file:
            with suppress(ValueError):  # one that a killed process left half written, the next one's on the same line
                point = json.loads(line)
                found[int(point["step"])] = point
    return [found[step] for step in sorted(found)]


def _set(connection: sa.Connection, run_id: str, **values: Any) -> None:
    connection.execute(sa.update(runs).where(runs.c.id == run_id).values(changed=_now(), **values))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
