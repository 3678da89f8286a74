"""What was asked of a model and paid for: one row a request, written with the examples its reply gave.

A reply and its examples are one transaction, so a kill leaves both or neither, and a request that is here as done is
never sent again. Failed ones are sent again by the next run.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import sqlalchemy as sa

from kb.schema import requests
from kb.store import Store
from kb.types import QAExample
from train.engine import Reply
from train.examples import add_examples

RequestState = Literal["done", "unreadable", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request ended."""

    key: str
    task: str
    model: str
    chunk_id: str
    state: RequestState
    reply: Reply | None = None
    reason: str = ""
    tries: int = 1
    examples: tuple[QAExample, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """What was asked of a model so far."""

    model: str
    requests: int
    failed: int
    prompt_tokens: int
    completion_tokens: int

    def cost(self, price_in: float, price_out: float) -> float:
        """At these prices per million tokens."""
        return (self.prompt_tokens * price_in + self.completion_tokens * price_out) / 1e6


class Journal:
    """The journal of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def paid(self, keys: Sequence[str]) -> set[str]:
        """Which of these requests have their reply."""
        query = sa.select(requests.c.key).where(requests.c.key.in_(list(keys)), requests.c.state != "failed")
        with self._store.reading() as connection:
            return set(connection.execute(query).scalars())

    def reply(self, key: str) -> str:
        """The readable reply to this request; '' if there is none."""
        query = sa.select(requests.c.reply).where(requests.c.key == key, requests.c.state == "done")
        with self._store.reading() as connection:
            packed = connection.execute(query).scalar_one_or_none()
        return zlib.decompress(packed).decode() if packed else ""

    def write(self, outcomes: Sequence[Outcome]) -> int:
        """Note how requests ended, with their examples, in one transaction; returns how many examples were new."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [_row(outcome, now) for outcome in outcomes]
        made = [replace(e, generator=o.model) for o in outcomes for e in o.examples]
        if not rows:
            return 0
        with self._store.writing() as connection:
            connection.execute(sa.insert(requests).prefix_with("OR REPLACE"), rows)
            return add_examples(connection, made)

    def accounts(self) -> list[Account]:
        """What each model was asked and what it used, all runs together."""
        failed = sa.func.sum(sa.case((requests.c.state == "failed", 1), else_=0))
        tokens = (sa.func.sum(requests.c.prompt_tokens), sa.func.sum(requests.c.completion_tokens))
        query = sa.select(requests.c.model, sa.func.count(), failed, *tokens).group_by(requests.c.model)
        with self._store.reading() as connection:
            return [Account(row[0], *(int(value) for value in row[1:])) for row in connection.execute(query)]


def _row(outcome: Outcome, now: str) -> dict[str, object]:
    reply = outcome.reply
    return {
        "key": outcome.key,
        "task": outcome.task,
        "model": outcome.model,
        "chunk_id": outcome.chunk_id,
        "state": outcome.state,
        "reason": outcome.reason[:500],
        "reply": zlib.compress((reply.text if reply else "").encode(), 3),
        "prompt_tokens": reply.prompt_tokens if reply else 0,
        "completion_tokens": reply.completion_tokens if reply else 0,
        "tries": outcome.tries,
        "at": now,
    }
