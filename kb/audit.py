"""Who did what, when: an append-only record in which each row carries the hash of the one before it.

No question, answer or document text enters it: actors, actions, ids and counts only. SQLite triggers refuse to change
or delete rows; whoever edits the file past them breaks the chain, and `verify` says at which row. A chain cut off at
its end still fits together: compare with a head that was noted elsewhere (`vademecum audit verify --head`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

import sqlalchemy as sa

from kb.access import Principal
from kb.schema import audit
from kb.store import Guard, Store

Action = Literal[
    "login",
    "login refused",
    "logout",
    "user added",
    "user changed",
    "key added",
    "key revoked",
    "asked",
    "feedback",
    "conversation exported",
    "conversation deleted",
    "conversations expired",
    "uploaded",
    "edited",
    "published",
    "unpublished",
    "superseded",
    "removed",
    "reviewed",
    "exported",
    "trained",
    "evaluated",
    "compared",
    "promoted",
    "rolled back",
    "backed up",
    "restored",
]
COMMAND_LINE: Final = "command line"
"""The actor of what the owner of the files does without the app."""
ACTIONS: Final[frozenset[str]] = frozenset(get_args(Action))
GENESIS: Final = "0" * 64
_LONGEST = 200  # characters of an object or a detail: room for ids and names of files' hashes, not for text


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `object` is the id of what was acted on; `detail` holds counts, states and other ids."""

    number: int
    at: str
    actor: str
    action: str
    object: str
    detail: Mapping[str, str | int | bool]
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found. `problem` is empty when the chain is whole."""

    rows: int
    head: str
    problem: str = ""


def append(
    connection: sa.Connection,
    actor: Principal | str,
    action: Action,
    object: str = "",
    **detail: str | int | bool,
) -> None:
    """Add a row in the caller's write transaction, so that the act and its record stand or fall together."""
    if action not in ACTIONS:
        raise ValueError(f"'{action}' is no audited action.")
    last = connection.execute(sa.select(audit.c.hash).order_by(audit.c.number.desc()).limit(1)).scalar()
    number = int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(audit.c.number), 0))).scalar_one()) + 1
    row = {
        "number": number,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "actor": (actor if isinstance(actor, str) else actor.id)[:_LONGEST],
        "action": action,
        "object": object[:_LONGEST],
        "detail": _canonical({k: v[:_LONGEST] if isinstance(v, str) else v for k, v in detail.items()}),
        "previous": last or GENESIS,
    }
    connection.execute(sa.insert(audit), {**row, "hash": _hash(row)})


def noting(actor: Principal | str, action: Action, object: str = "", **detail: str | int | bool) -> Guard:
    """`append`, to be run by whoever has the transaction open."""
    return lambda connection: append(connection, actor, action, object, **detail)


class Audit:
    """The record of one library."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, actor: Principal | str, action: Action, object: str = "", **detail: str | int | bool) -> None:
        """Add a row in a transaction of its own. Raises StoreError."""
        with self._store.writing() as connection:
            append(connection, actor, action, object, **detail)

    def entries(self, *, since: int = 0) -> Iterator[Entry]:
        """The rows after number `since`, oldest first."""
        query = sa.select(audit).where(audit.c.number > since).order_by(audit.c.number)
        with self._store.reading() as connection:
            for row in connection.execution_options(yield_per=500).execute(query):
                yield _entry(row)

    def verify(self, *, head: str = "") -> Verdict:
        """Check every row's hash and link, and that `head`, noted earlier, is still in the chain."""
        previous, number, seen = GENESIS, 0, not head
        for entry in self.entries():
            number += 1
            if entry.number != number:
                return Verdict(number - 1, previous, f"Row {number} is missing; the next one there is {entry.number}.")
            if entry.previous != previous:
                return Verdict(number - 1, previous, f"Row {number} does not follow row {number - 1}.")
            if _hash(_row(entry)) != entry.hash:
                return Verdict(number - 1, previous, f"Row {number} was changed after it was written.")
            previous = entry.hash
            seen = seen or entry.hash == head
        if not seen:
            return Verdict(number, previous, f"The head {head[:12]}… noted earlier is not in the record: it was cut.")
        return Verdict(number, previous)


def _entry(row: Any) -> Entry:
    return Entry(row.number, row.at, row.actor, row.action, row.object, json.loads(row.detail), row.previous, row.hash)


def _row(entry: Entry) -> dict[str, object]:
    return {
        "number": entry.number,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "detail": _canonical(dict(entry.detail)),
        "previous": entry.previous,
    }


def _canonical(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _hash(row: Mapping[str, object]) -> str:
    return hashlib.sha256(_canonical(row).encode()).hexdigest()
