"""Two engines' answers to the same question, side by side without their names; people's votes, and what they come to.

The answers are those that the engines gave when they were evaluated, so comparing loads no model. Which of them stands
on the left is drawn by hash, anew for each question and voter; the vote says 'a' or 'b', and only here it becomes an
engine. A pair is judged over one question set, a question once by each voter. The tally holds an exact sign test
(Dixon and Mood, "The statistical sign test", 1946) over questions and a bootstrap interval of the mean preference.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, Literal, get_args

import numpy as np
import sqlalchemy as sa

from kb import audit
from kb.access import Permission, Principal, require
from kb.errors import NotFound, UsageError
from kb.evaluate import mean_interval
from kb.schema import evaluation_answers, evaluations, votes
from kb.store import Store
from kb.types import Answer

QuestionSet = Literal["test", "own", "harmful"]
SETS: Final[tuple[QuestionSet, ...]] = get_args(QuestionSet)
Choice = Literal["a", "b", "same", "neither"]
CHOICES: Final[tuple[Choice, ...]] = get_args(Choice)
_RESAMPLES = 2000
_NEWEST = 30
"""Evaluations whose answers are looked through; older ones are compared by evaluating again."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """What an answer's mark [n] points at."""

    n: int
    title: str
    page: int
    quote: str


@dataclass(frozen=True, slots=True)
class Said:
    """An engine's answer as a reader would see it, without anything that names the engine."""

    text: str
    abstained: bool = False
    sources: tuple[Quoted, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, and the right answers where they are known."""

    id: str
    text: str
    kind: QuestionSet
    right: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """What one evaluation keeps: its questions, and for each engine ('name@hash') what it said, by question."""

    questions: tuple[Question, ...] = ()
    said: Mapping[str, Mapping[str, Said]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contender:
    """An engine whose answers over a dataset are kept, and how many of each question set."""

    engine: str
    dataset: str
    questions: Mapping[QuestionSet, int]

    @property
    def name(self) -> str:
        return name_of(self.engine)


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two engines over one question set of a dataset's examination. The order of the two does not matter."""

    one: str
    other: str
    dataset: str
    kind: QuestionSet = "test"

    @property
    def first(self) -> str:
        return min(self.one, self.other)

    @property
    def second(self) -> str:
        return max(self.one, self.other)


@dataclass(frozen=True, slots=True)
class Case:
    """What a voter looks at."""

    question: Question
    a: Said
    b: Said
    judged: int
    left: int
    """Questions this voter has judged, and those still to come, this one included."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What the votes on a pair come to. `preference` is the mean over questions: 1 always the first, -1 the second."""

    first: str
    second: str
    dataset: str
    votes: int
    voters: int
    questions: int
    first_better: int
    second_better: int
    same: int
    neither: int
    preference: float
    low: float
    high: float
    p: float
    """Of the exact two-sided sign test: how likely so one-sided a result is if neither is better."""


def engine_key(name: str, hash: str) -> str:
    """What an engine is filed under: its name and its weights."""
    return f"{name}@{hash[:12]}" if hash else name


def name_of(engine: str) -> str:
    """The name in an engine's key."""
    return engine.rpartition("@")[0] or engine


def said(answer: Answer) -> Said:
    """An answer without what would tell who gave it."""
    sources = tuple(Quoted(one.n, one.title, one.page, one.quote) for one in answer.citations)
    return Said(answer.text, answer.abstained, sources)


def keep(connection: sa.Connection, evaluation: str, answers: Answers) -> None:
    """Keep what the engines said in an evaluation, in the transaction that keeps the evaluation."""
    body = {
        "questions": [asdict(one) for one in answers.questions],
        "said": {
            engine: {key: asdict(one) for key, one in by_question.items()}
            for engine, by_question in answers.said.items()
        },
    }
    packed = zlib.compress(json.dumps(body, ensure_ascii=False).encode())
    connection.execute(sa.insert(evaluation_answers), {"evaluation": evaluation, "body": packed})


class Blind:
    """Blind comparison over the evaluations of one home. Every call checks the permission to evaluate models.

    Evaluations are read once: make one of these for each event, which shows those that came since.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def contenders(self, who: Principal) -> list[Contender]:
        """The engines that can be compared, newest evaluation first."""
        require(who, Permission.TRAIN)
        found: dict[tuple[str, str], Contender] = {}
        for dataset, kept in self._kept:
            for engine, by_question in kept.said.items():
                counts = Counter(one.kind for one in kept.questions if one.id in by_question)
                found.setdefault((dataset, engine), Contender(engine, dataset, dict(counts)))
        return list(found.values())

    def next(self, who: Principal, pairing: Pairing) -> Case | None:
        """The next question that this voter has not judged; None when there is none left. Raises UsageError."""
        require(who, Permission.TRAIN)
        asked, sides = self._pair(pairing)
        with self._store.reading() as connection:
            done = _judged(connection, who, pairing)
        waiting = [one for one in asked if one.id not in done]
        if not waiting:
            return None
        question = waiting[0]
        a, b = (sides[engine][question.id] for engine in _order(who, pairing, question.id))
        return Case(question, a, b, len(asked) - len(waiting), len(waiting))

    def vote(self, who: Principal, pairing: Pairing, question: str, choice: Choice) -> None:
        """Judge a question's two answers; on record. Raises UsageError: unknown, or judged before by this voter."""
        require(who, Permission.TRAIN)
        if choice not in CHOICES:
            raise UsageError(f"A vote is one of {', '.join(CHOICES)}, not {choice!r}.")
        asked, _ = self._pair(pairing)
        if all(one.id != question for one in asked):
            raise UsageError("This question is not among those that both engines answered differently.")
        verdict: str = choice
        if choice in ("a", "b"):
            better = _order(who, pairing, question)[choice == "b"]
            verdict = "first" if better == pairing.first else "second"
        at = datetime.now(UTC).isoformat(timespec="seconds")
        named = {"first": pairing.first, "second": pairing.second, "dataset": pairing.dataset}
        with self._store.writing() as connection:
            if question in _judged(connection, who, pairing):
                raise UsageError("You have judged this question already.")
            row = named | {"question": question, "voter": who.id, "verdict": verdict, "at": at}
            connection.execute(sa.insert(votes), row)
            audit.append(connection, who, "compared", question, verdict=verdict, **named)

    def tallies(self, who: Principal) -> list[Tally]:
        """Every pair that was voted on, over all its question sets, those with most votes first."""
        require(who, Permission.TRAIN)
        columns = (votes.c.first, votes.c.second, votes.c.dataset, votes.c.question, votes.c.voter, votes.c.verdict)
        cast: dict[tuple[str, str, str], list[tuple[str, str, str]]] = {}
        with self._store.reading() as connection:
            for first, second, dataset, question, voter, verdict in connection.execute(sa.select(*columns)):
                cast.setdefault((first, second, dataset), []).append((question, voter, verdict))
        found = [tally(*pair, rows) for pair, rows in cast.items()]
        return sorted(found, key=lambda one: -one.votes)

    # -- pieces ------------------------------------------------------------------------------------------------------

    @cached_property
    def _kept(self) -> list[tuple[str, Answers]]:
        """(dataset, answers) of every evaluation that keeps them, newest first."""
        query = (
            sa.select(evaluations.c.dataset, evaluation_answers.c.body)
            .join(evaluation_answers, evaluation_answers.c.evaluation == evaluations.c.id)
            .order_by(evaluations.c.number.desc())
            .limit(_NEWEST)
        )
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        return [(str(dataset), _unpacked(body)) for dataset, body in rows]

    def _pair(self, pairing: Pairing) -> tuple[list[Question], dict[str, Mapping[str, Said]]]:
        """The questions that both answered, and not in the same words; what each said. Raises UsageError, NotFound."""
        if pairing.one == pairing.other:
            raise UsageError("An engine cannot be compared with itself. Choose two.")
        asked: dict[str, dict[str, Question]] = {}
        sides: dict[str, Mapping[str, Said]] = {}
        for dataset, kept in self._kept:
            if dataset == pairing.dataset:
                for engine in {pairing.one, pairing.other} & kept.said.keys() - sides.keys():
                    sides[engine] = kept.said[engine]
                    asked[engine] = {one.id: one for one in kept.questions}
        for engine in (pairing.one, pairing.other):
            if engine not in sides:
                raise NotFound(
                    f"No answers of '{name_of(engine)}' over {pairing.dataset} are kept. "
                    f"Evaluate it again: `vademecum models evaluate`."
                )
        first, second = sides[pairing.first], sides[pairing.second]
        ours, theirs = asked[pairing.first], asked[pairing.second]
        shared = [
            ours[key]
            for key in first.keys() & second.keys() & ours.keys() & theirs.keys()
            if ours[key].kind == pairing.kind
            and ours[key].text == theirs[key].text  # an owner's file may have changed between two evaluations
            and first[key].text.strip() != second[key].text.strip()
        ]
        return sorted(shared, key=lambda one: _hash("order", one.id)), sides


def _judged(connection: sa.Connection, who: Principal, pairing: Pairing) -> set[str]:
    query = sa.select(votes.c.question).where(
        votes.c.first == pairing.first,
        votes.c.second == pairing.second,
        votes.c.dataset == pairing.dataset,
        votes.c.voter == who.id,
    )
    return set(connection.execute(query).scalars())


def tally(first: str, second: str, dataset: str, cast: Sequence[tuple[str, str, str]]) -> Tally:
    """What (question, voter, verdict) come to. A question counts once, whatever number of voters judged it."""
    worth = {"first": 1.0, "second": -1.0}
    counts = Counter(verdict for _, _, verdict in cast)
    by_question: dict[str, list[float]] = {}
    for question, _, verdict in cast:
        by_question.setdefault(question, []).append(worth.get(verdict, 0.0))
    means = np.array([sum(given) / len(given) for given in by_question.values()])
    low, high = mean_interval(means, _RESAMPLES)
    return Tally(
        first,
        second,
        dataset,
        votes=len(cast),
        voters=len({voter for _, voter, _ in cast}),
        questions=len(by_question),
        first_better=counts["first"],
        second_better=counts["second"],
        same=counts["same"],
        neither=counts["neither"],
        preference=float(means.mean()),
        low=low,
        high=high,
        p=sign_test(int((means > 0).sum()), int((means < 0).sum())),
    )


def sign_test(better: int, worse: int) -> float:
    """Two-sided exact p of `better` against `worse`; ties are left out."""
    n = better + worse
    tail = sum(math.comb(n, k) for k in range(min(better, worse) + 1)) / 2**n
    return min(1.0, 2.0 * float(tail))


def _order(who: Principal, pairing: Pairing, question: str) -> tuple[str, str]:
    """Who is A and who is B for this voter."""
    swapped = _hash("sides", who.id, pairing.first, pairing.second, pairing.dataset, question)[0] in "01234567"
    return (pairing.second, pairing.first) if swapped else (pairing.first, pairing.second)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _unpacked(body: bytes) -> Answers:
    found: dict[str, Any] = json.loads(zlib.decompress(body))
    questions = tuple(Question(**{**one, "right": tuple(one["right"])}) for one in found["questions"])
    by_engine = {
        engine: {
            key: Said(one["text"], one["abstained"], tuple(Quoted(**source) for source in one["sources"]))
            for key, one in answers.items()
        }
        for engine, answers in found["said"].items()
    }
    return Answers(questions, by_engine)
