"""Which model answers: an append-only list of promotions, whose newest row is the one in force.

Promoting and rolling back each add one row in one transaction together with their entry in the audit record, so what
serves is always one thing or the other. A row without a model hands answering back to the settings' engine. The row
keeps the hash of the weights and the prompt format: a folder that was changed since is not served.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from kb import audit
from kb.access import Permission, Principal, require
from kb.errors import UsageError
from kb.schema import promotions
from kb.store import Store


@dataclass(frozen=True, slots=True)
class Promotion:
    """One change of the answering model. `model` is a name in <home>/models; empty: the settings' engine."""

    model: str
    hash: str = ""
    prompt_format: str = ""
    evaluation: str = ""
    """Id of the evaluation that it rests on."""
    overridden: bool = False
    """Whether the gate refused and an admin let it pass."""
    reason: str = ""
    actor: str = ""
    at: str = ""
    number: int = 0


class Promotions:
    """The promotions of one home. Short transactions, safe beside the app, which heeds them at its next question."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def current(self) -> Promotion:
        """What is in force; a Promotion without a model if nothing ever was promoted."""
        query = sa.select(promotions).order_by(promotions.c.number.desc()).limit(1)
        with self._store.reading() as connection:
            row = connection.execute(query).one_or_none()
        return _promotion(row) if row is not None else Promotion("")

    def history(self) -> list[Promotion]:
        """All of them, newest first."""
        with self._store.reading() as connection:
            rows = connection.execute(sa.select(promotions).order_by(promotions.c.number.desc())).all()
        return [_promotion(row) for row in rows]

    def promote(self, new: Promotion, principal: Principal) -> Promotion:
        """Put a model in force. The gate is the caller's (train.promote). Raises AccessDenied."""
        require(principal, Permission.PROMOTE)
        return self._add(new, principal, "promoted")

    def roll_back(self, reason: str, principal: Principal) -> Promotion:
        """Put back in force what was before the present model. Raises AccessDenied; UsageError if nothing was."""
        require(principal, Permission.PROMOTE)
        past = self.history()
        if not past or not past[0].model:
            raise UsageError("No promoted model serves, so there is nothing to roll back.")
        # The row before the first one of the present model: rolling back twice goes back two models.
        stack: list[Promotion] = [Promotion("")]
        for row in reversed(past):
            if any(row.model == one.model and row.hash == one.hash for one in stack):
                while stack[-1].model != row.model or stack[-1].hash != row.hash:
                    stack.pop()
            else:
                stack.append(row)
        before = stack[-2] if len(stack) > 1 else Promotion("")
        return self._add(
            Promotion(before.model, before.hash, before.prompt_format, before.evaluation, before.overridden, reason),
            principal,
            "rolled back",
        )

    def _add(self, new: Promotion, principal: Principal, action: audit.Action) -> Promotion:
        row: dict[str, Any] = {
            "model": new.model,
            "hash": new.hash,
            "prompt_format": new.prompt_format,
            "evaluation": new.evaluation,
            "overridden": new.overridden,
            "reason": new.reason,
            "actor": principal.name or principal.id,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        with self._store.writing() as connection:
            connection.execute(sa.insert(promotions), row)
            audit.append(
                connection,
                principal,
                action,
                new.model,
                hash=new.hash,
                evaluation=new.evaluation,
                overridden=new.overridden,
                reason=new.reason,
            )
        return self.current()


def _promotion(row: Any) -> Promotion:
    return Promotion(**dict(row._mapping))
