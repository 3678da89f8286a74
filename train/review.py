"""Reviewers at work: the next example, their verdict with its reason, and how well they agree.

A verdict is written with its audit row in one transaction. Editing makes a new, accepted example and leaves the old one
as it was, marked 'edited'. What readers said of answers becomes candidates. Agreement is Cohen's kappa ("A coefficient
of agreement for nominal scales", 1960) over examples that two people judged.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import sqlalchemy as sa

from kb.access import Permission, Principal, require
from kb.audit import append
from kb.conversations import Conversations, Feedback
from kb.errors import UsageError
from kb.schema import reviews
from kb.store import Store
from kb.terms import language_of, storable
from kb.types import Chunk, Document, QAExample
from train.examples import Examples, Selection, add_examples, chunks_of, identified, set_states, source_of, unit_of

ReviewVerdict = Literal["accepted", "rejected", "edited"]
REASONS = ("wrong", "not in the source", "unclear question", "incomplete answer", "not useful", "duplicate", "unsafe")
"""Offered to reviewers; any other words will do."""
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class Case:
    """What a reviewer looks at: the example, its chunk and document (None when the chunk is gone)."""

    example: QAExample
    chunk: Chunk | None
    document: Document | None
    left: int
    """Examples still waiting, this one included."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict on an example: whose (a principal's id), why, and when (ISO 8601, UTC)."""

    reviewer: str
    verdict: ReviewVerdict
    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two reviewers' verdicts on the same examples; an edit counts as accepting. `kappa` is None below two examples."""

    first: str
    second: str
    examples: int
    same: int
    kappa: float | None


class Review:
    """The review queue of one library. Every call checks the reviewer's permission."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._examples = Examples(store)

    def next(self, who: Principal, selection: Selection, *, skip: int = 0) -> Case | None:
        """The next example of the selection, or None.

        What `who` judged already is passed by, so that a second person's look at accepted and rejected ones is a
        double review.
        """
        require(who, Permission.REVIEW)
        judged = self._judged_by(who)
        waiting = (e for e in self._examples.stream(selection) if e.id not in judged)
        example = next(itertools.islice(waiting, skip, None), None)
        if example is None:
            return None
        return self._case(example, self._examples.count(selection))

    def case(self, who: Principal, key: str) -> Case:
        """One example by its id. Raises UsageError."""
        require(who, Permission.REVIEW)
        return self._case(self._examples.get(key), 1)

    def history(self, who: Principal, key: str) -> list[Judgement]:
        """What was decided about an example so far, oldest first."""
        require(who, Permission.REVIEW)
        columns = (reviews.c.reviewer, reviews.c.verdict, reviews.c.reason, reviews.c.at)
        query = sa.select(*columns).where(reviews.c.example == key).order_by(reviews.c.number)
        with self._store.reading() as connection:
            return [Judgement(*row) for row in connection.execute(query)]

    def accept(self, who: Principal, key: str, note: str = "") -> QAExample:
        """The example is right. Raises UsageError if it is stale or unknown."""
        return self._judge(who, key, "accepted", note)

    def reject(self, who: Principal, key: str, reason: str) -> QAExample:
        """The example is wrong. Raises UsageError without a reason."""
        if not reason.strip():
            raise UsageError(f"A rejection needs its reason, e.g. {', '.join(REASONS[:3])}.")
        return self._judge(who, key, "rejected", reason)

    def edit(self, who: Principal, key: str, *, question: str = "", answer: str = "", note: str = "") -> QAExample:
        """A corrected copy, accepted; the old one stays, as edited. Raises UsageError if nothing changes."""
        require(who, Permission.REVIEW)
        old = self._examples.get(key)
        question, answer = storable(question).strip() or old.question, storable(answer).strip() or old.answers[0]
        if len(question) > _LONGEST or len(answer) > _LONGEST:
            raise UsageError(f"Question and answer may have {_LONGEST:,} characters each.")
        if old.messages:
            raise UsageError("A conversation cannot be edited here: reject it with its reason.")
        new = identified(
            replace(old, question=question, answers=(answer,), parent=old.id, state="accepted", reason="", created="")
        )
        if new.id == old.id:
            raise UsageError("Nothing was changed. Use accept.")
        self._refuse_stale(old)
        with self._store.writing() as connection:
            add_examples(connection, [new])
            set_states(connection, [{"key": old.id, "new": "edited", "why": f"edited as {new.id}"}])
            self._note(connection, who, old.id, "edited", note)
        return new

    def agreement(self, who: Principal) -> list[Agreement]:
        """Every pair of reviewers that judged the same examples; each one's last verdict counts."""
        require(who, Permission.REVIEW)
        query = sa.select(reviews.c.example, reviews.c.reviewer, reviews.c.verdict).order_by(reviews.c.number)
        verdicts: dict[str, dict[str, str]] = {}
        with self._store.reading() as connection:
            for example, reviewer, verdict in connection.execute(query):
                verdicts.setdefault(reviewer, {})[example] = "rejected" if verdict == "rejected" else "accepted"
        found = []
        for first, second in itertools.combinations(sorted(verdicts), 2):
            both = verdicts[first].keys() & verdicts[second].keys()
            pairs = [(verdicts[first][key], verdicts[second][key]) for key in sorted(both)]
            if pairs:
                same = sum(a == b for a, b in pairs)
                found.append(Agreement(first, second, len(pairs), same, cohens_kappa(pairs)))
        return found

    def counts(self, who: Principal) -> dict[str, Counter[str]]:
        """Verdicts by reviewer."""
        require(who, Permission.REVIEW)
        query = sa.select(reviews.c.reviewer, reviews.c.verdict, sa.func.count())
        table: dict[str, Counter[str]] = {}
        with self._store.reading() as connection:
            for reviewer, verdict, n in connection.execute(query.group_by(reviews.c.reviewer, reviews.c.verdict)):
                table.setdefault(reviewer, Counter())[verdict] = int(n)
        return table

    def take_feedback(self, who: Principal) -> tuple[int, int]:
        """Turn readers' corrections into candidates; returns (made, feedback that gives none: no correction).

        Feedback without a correction stays pending: it says that an answer is wrong, not what is right.
        """
        require(who, Permission.REVIEW)
        conversations = Conversations(self._store)
        made = without = 0
        for feedback in conversations.pending_feedback(who, limit=1000):
            example = self._from_feedback(feedback)
            if example is None:
                without += 1
                continue
            made += self._examples.add([example])
            conversations.handle_feedback(who, feedback.id, "candidate")
        return made, without

    # -- pieces ------------------------------------------------------------------------------------------------------

    def _from_feedback(self, feedback: Feedback) -> QAExample | None:
        answer = feedback.exchange.answer
        if not feedback.correction or answer is None or not answer.citations:
            return None
        cited = list(dict.fromkeys(citation.chunk_id for citation in answer.citations))
        chunks = chunks_of(self._store, cited)
        if not chunks:
            return None
        sources = [chunks[key] for key in cited if key in chunks]
        document = self._store.documents_by_id([sources[0].document])[sources[0].document]
        return identified(
            QAExample(
                id="",
                task="qa",
                language=language_of(feedback.exchange.question),
                document=document.id,
                unit=unit_of(document, sources[0]),
                sources=tuple(source_of(chunk) for chunk in sources),
                question=feedback.exchange.searched_as or feedback.exchange.question,
                answers=(feedback.correction,),
                answerable=True,
                generator="feedback",
                prompt="feedback/1",
            )
        )

    def _case(self, example: QAExample, left: int) -> Case:
        chunk = (
            chunks_of(self._store, [example.sources[0].chunk_id]).get(example.sources[0].chunk_id)
            if example.sources
            else None
        )
        document = self._store.documents_by_id([chunk.document]).get(chunk.document) if chunk else None
        return Case(example, chunk, document, left)

    def _judged_by(self, who: Principal) -> set[str]:
        query = sa.select(reviews.c.example).where(reviews.c.reviewer == who.id)
        with self._store.reading() as connection:
            return set(connection.execute(query).scalars())

    def _judge(self, who: Principal, key: str, verdict: ReviewVerdict, reason: str) -> QAExample:
        require(who, Permission.REVIEW)
        example = self._examples.get(key)
        if verdict == "accepted":
            self._refuse_stale(example)
        reason = storable(reason).strip()[:500]
        with self._store.writing() as connection:
            set_states(connection, [{"key": example.id, "new": verdict, "why": reason}])
            self._note(connection, who, example.id, verdict, reason)
        return self._examples.get(example.id)

    def _refuse_stale(self, example: QAExample) -> None:
        if self._examples.is_stale(example):
            raise UsageError(f"Example {example.id} is stale: the passage it rests on is gone from the library.")

    @staticmethod
    def _note(connection: sa.Connection, who: Principal, example: str, verdict: ReviewVerdict, reason: str) -> None:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        row = {"example": example, "reviewer": who.id, "verdict": verdict, "reason": reason[:500], "at": at}
        connection.execute(sa.insert(reviews), row)
        append(connection, who, "reviewed", example, verdict=verdict)


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Agreement beyond chance: 1 is perfect, 0 is chance; None below two pairs. All one verdict by both is 1."""
    if len(pairs) < 2:
        return None
    observed = sum(a == b for a, b in pairs) / len(pairs)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(first[label] * second[label] for label in first) / len(pairs) ** 2
    return 1.0 if chance == 1 else (observed - chance) / (1 - chance)
