"""Conversations and their answers as they were given, kept for their owner; and what readers thought of the answers.

An exchange keeps the whole answer: words, citations with quote, title and place, the passages found, engine, notices.
So it stays readable and citable when a document is superseded or gone. Another's conversation answers NotFound.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import sqlalchemy as sa

from kb.access import Permission, Principal, require
from kb.audit import append
from kb.errors import NotFound, QuestionError
from kb.schema import conversations, exchanges, feedback
from kb.store import Store
from kb.terms import storable
from kb.types import Answer, Hit, Scope, Turn

if TYPE_CHECKING:
    from pydantic import TypeAdapter

State = Literal["asked", "done", "stopped", "failed"]
"""'asked' after a restart means that the app ended in mid-answer."""
Verdict = Literal["helpful", "wrong", "unsafe"]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)

TITLE_CHARS: Final = 120
CORRECTION_CHARS: Final = 8000
_LISTED = 500  # conversations shown at most; search finds the older ones
_FOLLOWED = 6  # exchanges that a follow-up is understood by
_ALL: Final = Scope()


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A hit as it was when the question was asked; the passage itself may be gone since."""

    chunk_id: str
    document: str
    file: str
    title: str
    pages: tuple[int, ...]
    heading: str
    score: float
    dense_rank: int | None = None
    lexical_rank: int | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation of `owner` (a principal's id). Times are ISO 8601, UTC."""

    id: str
    owner: str
    title: str
    created: str
    updated: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and what came of it. `text` is the answer so far, whole when `state` is 'done'."""

    id: str
    owner: str
    conversation: str
    question: str
    asked: str
    via: str = "web"
    """'web' or 'api'."""
    state: State = "asked"
    searched_as: str = ""
    """The question as it was searched, where a follow-up was rewritten."""
    text: str = ""
    notice: str = ""
    answer: Answer | None = None
    """The finished answer. Its `hits` are those whose passages still exist, if asked for (`with_hits`)."""
    found: tuple[FoundPassage, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    scope: Scope = _ALL
    """What it was asked of."""
    quotes_only: bool = False
    """Whether a model was to be left out."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a reader thought of an answer, with the whole record of it."""

    id: str
    exchange: Exchange
    author: str
    verdict: Verdict
    correction: str
    given: str


class Conversations:
    """The conversations, answers and feedback of one library."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # -- conversations -------------------------------------------------------------------------------------------

    def start(self, principal: Principal, title: str) -> Conversation:
        """A new conversation; its title is usually the first question."""
        require(principal, Permission.ASK)
        now = _now()
        conversation = Conversation(new_id(), principal.id, _title(title), now, now)
        with self._store.writing() as connection:
            connection.execute(sa.insert(conversations), asdict(conversation))
        return conversation

    def find(self, principal: Principal, search: str = "") -> list[Conversation]:
        """One's own conversations, the latest first; with `search`, those whose title, questions or answers hold it."""
        require(principal, Permission.ASK)
        query = sa.select(conversations).where(conversations.c.owner == principal.id)
        if wanted := storable(search).strip()[:TITLE_CHARS]:
            inside = sa.select(exchanges.c.id).where(
                exchanges.c.conversation == conversations.c.id,
                sa.or_(
                    exchanges.c.question.contains(wanted, autoescape=True),
                    exchanges.c.text.contains(wanted, autoescape=True),
                ),
            )
            query = query.where(sa.or_(conversations.c.title.contains(wanted, autoescape=True), inside.exists()))
        query = query.order_by(conversations.c.updated.desc(), conversations.c.id).limit(_LISTED)
        with self._store.reading() as connection:
            return [Conversation(*row) for row in connection.execute(query)]

    def get(self, principal: Principal, conversation: str) -> Conversation:
        """One's own conversation. Raises NotFound."""
        require(principal, Permission.ASK)
        with self._store.reading() as connection:
            return _own(connection, principal, conversation)

    def rename(self, principal: Principal, conversation: str, title: str) -> Conversation:
        """Give it another title. Raises NotFound; QuestionError if the title is empty."""
        require(principal, Permission.ASK)
        if not storable(title).strip():
            raise QuestionError("A conversation needs a title.")
        with self._store.writing() as connection:
            found = _own(connection, principal, conversation)
            connection.execute(
                sa.update(conversations).where(conversations.c.id == found.id).values(title=_title(title))
            )
        return replace(found, title=_title(title))

    def delete(self, principal: Principal, conversation: str) -> None:
        """Forget it, its answers and the feedback on them, for good. Raises NotFound."""
        require(principal, Permission.ASK)
        with self._store.writing() as connection:
            found = _own(connection, principal, conversation)
            connection.execute(sa.delete(conversations).where(conversations.c.id == found.id))
            append(connection, principal, "conversation deleted", found.id)

    # -- answers -------------------------------------------------------------------------------------------------

    def begin(
        self,
        principal: Principal,
        question: str,
        *,
        conversation: str = "",
        via: str = "web",
        scope: Scope | None = None,
        quotes_only: bool = False,
    ) -> Exchange:
        """Note that this is being asked, in the record and in the audit. Without a conversation it stands alone.

        Raises NotFound if the conversation is another's, StoreError if it cannot be noted: then nothing is answered.
        """
        require(principal, Permission.ASK)
        asked = storable(question).strip()
        exchange = Exchange(
            new_id(), principal.id, conversation, asked, _now(), via, scope=scope or _ALL, quotes_only=quotes_only
        )
        with self._store.writing() as connection:
            position = 0
            if conversation:
                _own(connection, principal, conversation)
                latest = sa.select(sa.func.max(exchanges.c.position)).where(exchanges.c.conversation == conversation)
                position = 1 + (connection.execute(latest).scalar() or 0)
                touch = sa.update(conversations).where(conversations.c.id == conversation)
                connection.execute(touch.values(updated=exchange.asked))
            connection.execute(sa.insert(exchanges), {**_row(exchange), "position": position})
            append(connection, principal, "asked", exchange.id, via=via)
        return exchange

    def finish(self, exchange: Exchange) -> None:
        """Keep what came of it. An exchange deleted meanwhile stays deleted."""
        row = _row(exchange)
        keep = {name: row[name] for name in ("state", "searched_as", "text", "notice", "answer", "hits", "timings")}
        with self._store.writing() as connection:
            connection.execute(sa.update(exchanges).where(exchanges.c.id == exchange.id).values(**keep))

    def exchanges(self, principal: Principal, conversation: str, *, with_hits: bool = False) -> list[Exchange]:
        """The exchanges of one's own conversation, oldest first. Raises NotFound."""
        require(principal, Permission.ASK)
        query = sa.select(exchanges).where(exchanges.c.conversation == conversation).order_by(exchanges.c.position)
        with self._store.reading() as connection:
            _own(connection, principal, conversation)
            rows = [_exchange(row) for row in connection.execute(query)]
        return self._with_hits(rows) if with_hits else rows

    def exchange(self, principal: Principal, exchange: str, *, with_hits: bool = False) -> Exchange:
        """One's own exchange. Raises NotFound."""
        require(principal, Permission.ASK)
        with self._store.reading() as connection:
            found = _own_exchange(connection, principal, exchange)
        return self._with_hits([found])[0] if with_hits else found

    def remove_last(self, principal: Principal, conversation: str) -> None:
        """Take the last exchange back, to ask it again or differently. Raises NotFound."""
        require(principal, Permission.ASK)
        with self._store.writing() as connection:
            _own(connection, principal, conversation)
            last = sa.select(sa.func.max(exchanges.c.position)).where(exchanges.c.conversation == conversation)
            connection.execute(
                sa.delete(exchanges).where(
                    exchanges.c.conversation == conversation, exchanges.c.position == last.scalar_subquery()
                )
            )

    def history(self, principal: Principal, conversation: str) -> list[Turn]:
        """The last answered exchanges as turns, for a follow-up. Raises NotFound."""
        turns: list[Turn] = []
        for exchange in self.exchanges(principal, conversation)[-_FOLLOWED:]:
            if exchange.answer is not None:
                turns += [Turn("user", exchange.question), Turn("assistant", exchange.answer.text)]
        return turns

    # -- feedback ------------------------------------------------------------------------------------------------

    def give_feedback(self, principal: Principal, exchange: str, verdict: str, correction: str = "") -> str:
        """Keep what a reader thinks of their own answer; a second time replaces the first. Returns the feedback's id.

        Raises NotFound; QuestionError if the verdict is unknown or the correction too long.
        """
        require(principal, Permission.FEEDBACK)
        if verdict not in VERDICTS:
            raise QuestionError(f"Feedback is one of {', '.join(VERDICTS)}.")
        if len(correction) > CORRECTION_CHARS:
            raise QuestionError(f"The correction is longer than {CORRECTION_CHARS:,} characters. Shorten it.")
        row = {
            "id": new_id(),
            "exchange": exchange,
            "author": principal.id,
            "verdict": verdict,
            "correction": storable(correction).strip(),
            "given": _now(),
            "handled": "",
        }
        with self._store.writing() as connection:
            _own_exchange(connection, principal, exchange)
            mine = sa.and_(feedback.c.exchange == exchange, feedback.c.author == principal.id)
            connection.execute(sa.delete(feedback).where(mine))
            connection.execute(sa.insert(feedback), row)
            append(connection, principal, "feedback", exchange, verdict=verdict)
        return row["id"]

    def feedback_on(self, principal: Principal, exchange: str) -> tuple[Verdict, str] | None:
        """One's own verdict and correction, if given. Raises NotFound."""
        require(principal, Permission.FEEDBACK)
        query = sa.select(feedback.c.verdict, feedback.c.correction).where(
            feedback.c.exchange == exchange, feedback.c.author == principal.id
        )
        with self._store.reading() as connection:
            _own_exchange(connection, principal, exchange)
            row = connection.execute(query).one_or_none()
            return None if row is None else (row.verdict, row.correction)

    def pending_feedback(self, principal: Principal, limit: int = 100) -> list[Feedback]:
        """Feedback that nobody has reviewed yet, oldest first, each with the whole answer it is about."""
        require(principal, Permission.REVIEW)
        query = sa.select(feedback).where(feedback.c.handled == "").order_by(feedback.c.given, feedback.c.id)
        with self._store.reading() as connection:
            rows = connection.execute(query.limit(limit)).all()
            wanted = sa.select(exchanges).where(exchanges.c.id.in_({row.exchange for row in rows}))
            records = {row.id: _exchange(row) for row in connection.execute(wanted)}
        return [Feedback(r.id, records[r.exchange], r.author, r.verdict, r.correction, r.given) for r in rows]

    def handle_feedback(self, principal: Principal, feedback_id: str, outcome: str) -> None:
        """Note what review made of it ('accepted', 'rejected', …), which takes it out of the queue. Raises NotFound."""
        require(principal, Permission.REVIEW)
        with self._store.writing() as connection:
            change = sa.update(feedback).where(feedback.c.id == feedback_id).values(handled=outcome[:40] or "seen")
            if not connection.execute(change).rowcount:
                raise NotFound("No such feedback.")
            append(connection, principal, "reviewed", feedback_id, outcome=outcome[:40])

    # -- retention -----------------------------------------------------------------------------------------------

    def purge(self, days: int) -> int:
        """Forget conversations untouched, and questions that stand alone, for `days`; how many questions went."""
        before = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")
        with self._store.writing() as connection:
            old = sa.select(conversations.c.id).where(conversations.c.updated < before)
            alone = sa.and_(exchanges.c.conversation.is_(None), exchanges.c.asked < before)
            gone = connection.execute(sa.delete(exchanges).where(sa.or_(alone, exchanges.c.conversation.in_(old))))
            emptied = connection.execute(sa.delete(conversations).where(conversations.c.updated < before))
            if gone.rowcount or emptied.rowcount:
                append(
                    connection,
                    "retention",
                    "conversations expired",
                    questions=gone.rowcount,
                    conversations=emptied.rowcount,
                    days=days,
                )
            return gone.rowcount

    def _with_hits(self, rows: Sequence[Exchange]) -> list[Exchange]:
        """Answers with those of their hits whose passages are still in the library."""
        ids = {found.chunk_id for row in rows for found in row.found}
        chunks = self._store.chunks_by_id(ids)
        documents = self._store.documents_by_id(chunk.document for chunk in chunks.values())
        full: list[Exchange] = []
        for row in rows:
            hits = tuple(
                Hit(chunks[f.chunk_id], documents[f.document], f.score, f.dense_rank, f.lexical_rank)
                for f in row.found
                if f.chunk_id in chunks and f.document in documents
            )
            full.append(replace(row, answer=row.answer and replace(row.answer, hits=hits)))
        return full


def found_passages(hits: Sequence[Hit]) -> tuple[FoundPassage, ...]:
    """Hits as an exchange keeps them."""
    return tuple(
        FoundPassage(
            hit.chunk.id,
            hit.document.id,
            hit.document.file,
            hit.document.title,
            hit.chunk.pages,
            hit.chunk.heading,
            hit.score,
            hit.dense_rank,
            hit.lexical_rank,
        )
        for hit in hits
    )


def new_id() -> str:
    """24 hex digits of chance: ids are no secret, but cannot be guessed either."""
    return secrets.token_hex(12)


def _own(connection: sa.Connection, principal: Principal, conversation: str) -> Conversation:
    row = connection.execute(sa.select(conversations).where(conversations.c.id == conversation)).one_or_none()
    if row is None or row.owner != principal.id:
        raise NotFound("No such conversation.")
    return Conversation(*row)


def _own_exchange(connection: sa.Connection, principal: Principal, exchange: str) -> Exchange:
    row = connection.execute(sa.select(exchanges).where(exchanges.c.id == exchange)).one_or_none()
    if row is None or row.owner != principal.id:
        raise NotFound("No such answer.")
    return _exchange(row)


def _row(exchange: Exchange) -> dict[str, object]:
    answer = "" if exchange.answer is None else _answers().dump_json(replace(exchange.answer, hits=())).decode()
    return {
        "id": exchange.id,
        "conversation": exchange.conversation or None,
        "owner": exchange.owner,
        "via": exchange.via,
        "asked": exchange.asked,
        "state": exchange.state,
        "question": exchange.question,
        "searched_as": exchange.searched_as,
        "text": exchange.text,
        "notice": exchange.notice,
        "answer": answer,
        "hits": _passages().dump_json(exchange.found).decode(),
        "timings": json.dumps(dict(exchange.timings)),
        "scope": _scope_json(exchange),
    }


def _scope_json(exchange: Exchange) -> str:
    if exchange.scope == _ALL and not exchange.quotes_only:
        return ""
    return json.dumps({**asdict(exchange.scope), "quotes_only": exchange.quotes_only}, ensure_ascii=False)


def _exchange(row: Any) -> Exchange:
    narrowed = json.loads(row.scope) if row.scope else {}
    return Exchange(
        id=row.id,
        owner=row.owner,
        conversation=row.conversation or "",
        question=row.question,
        asked=row.asked,
        via=row.via,
        state=row.state,
        searched_as=row.searched_as,
        text=row.text,
        notice=row.notice,
        answer=_answers().validate_json(row.answer) if row.answer else None,
        found=_passages().validate_json(row.hits),
        timings=json.loads(row.timings),
        scope=Scope(tuple(narrowed.get("documents", ())), narrowed.get("collection", ""), narrowed.get("as_of", "")),
        quotes_only=narrowed.get("quotes_only", False),
    )


@cache
def _answers() -> TypeAdapter[Answer]:
    """Answer ↔ JSON. Fields that later versions add to Answer need defaults, so that old records still read."""
    from pydantic import TypeAdapter

    return TypeAdapter(Answer)


@cache
def _passages() -> TypeAdapter[tuple[FoundPassage, ...]]:
    from pydantic import TypeAdapter

    return TypeAdapter(tuple[FoundPassage, ...])


def _title(text: str) -> str:
    flat = " ".join(storable(text).split())
    return flat if len(flat) <= TITLE_CHARS else flat[: TITLE_CHARS - 1] + "…"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
