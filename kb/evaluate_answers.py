"""Answers measured: rows {question, context?, answers, answerable, [source]} and their Answers in, figures out.

Over answerable rows: token F1 (characters of Chinese, words of English; the best gold answer counts), exact match, gold
answer inside the text, and false refusals; a refusal scores 0. Over the others: false answers. Over all that was
answered: statement support, citation recall and precision as in kb.support. Intervals are percentile bootstrap.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import numpy as np

from kb.errors import UsageError
from kb.evaluate import mean_interval, read_rows
from kb.support import citation_quality
from kb.terms import language_of
from kb.types import Answer, Language

METRICS = (
    "f1",
    "exact",
    "contains",
    "false_answers",
    "false_refusals",
    "statement_support",
    "citation_recall",
    "citation_precision",
    "verbatim",
)

_POINTS = re.compile(
    r"\b(?:this|these|those|such|the (?:study|authors?|review|paper|article|report|researchers?|work)|authors)\b"
    r"|本文|本研究|[该这]项?研究|这篇|文中",
    re.IGNORECASE,
)
_MARK = re.compile(r"\s*\[\d{1,3}\]")


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One row of a question set. `keys` name its context, `gold_keys` the contexts that hold the answer."""

    id: str
    question: str
    answers: tuple[str, ...]
    answerable: bool
    context: str | None = None
    source: str = ""
    keys: frozenset[str] = frozenset()
    gold_keys: frozenset[str] = frozenset()

    @property
    def language(self) -> Language:
        return language_of(self.question)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row, and what came of asking it."""

    row: AnswerRow
    answer: Answer
    scores: Mapping[str, float]
    """Those METRICS that the row counts in."""


@dataclass(frozen=True, slots=True)
class AnswerReport:
    """Means of METRICS with their 95% intervals (NaN where no row counts), and the same by language and source."""

    n: int
    answerable: int
    means: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    by_language: Mapping[str, AnswerReport] = field(default_factory=dict)
    by_source: Mapping[str, AnswerReport] = field(default_factory=dict)


def read_answer_rows(path: Path, limit: int | None = None) -> list[AnswerRow]:
    """The rows of a set, or a random sample of `limit` of them. Raises UsageError naming the row that is none."""
    rows = [_row(path.name, number, row) for number, row in enumerate(read_rows(path), start=1)]
    if not rows:
        raise UsageError(f"{path.name} holds no questions.")
    with_context = sum(row.context is not None for row in rows)
    if 0 < with_context < len(rows):
        raise UsageError(f"{path.name}: {with_context} of {len(rows)} rows have a 'context'; give all or none one.")
    return rows if limit is None or limit >= len(rows) else Random(0).sample(rows, limit)


def _row(file: str, number: int, row: Mapping[str, object]) -> AnswerRow:
    question, answers, answerable = row.get("question"), row.get("answers", []), row.get("answerable", True)
    if not isinstance(question, str) or not question.strip() or not isinstance(answers, list):
        raise UsageError(f"{file}, row {number}: needs 'question' (text) and 'answers' (a list).")
    if not isinstance(answerable, bool):
        raise UsageError(f"{file}, row {number}: 'answerable' must be true or false.")
    if answerable and not any(str(one).strip() for one in answers):
        raise UsageError(f"{file}, row {number}: is answerable but has no answer in 'answers'.")
    context = row.get("context")
    return AnswerRow(
        id=str(row.get("id", number)),
        question=question.strip(),
        answers=tuple(str(one) for one in answers),
        answerable=answerable,
        context=str(context) if context is not None else None,
        source=str(row.get("source", "")),
        keys=_keys(row.get("context_id")),
        gold_keys=_keys(row.get("gold_context_id")),
    )


def _keys(value: object) -> frozenset[str]:
    """The names of a context and of the article it was cut from: what stands before '#'."""
    names = [str(one) for one in value] if isinstance(value, list) else [str(value)] if value is not None else []
    return frozenset(names) | frozenset(name.split("#")[0] for name in names)


def points_elsewhere(question: str) -> bool:
    """Whether a question asks about a text it does not name: of a whole library nobody could tell what is asked."""
    return bool(_POINTS.search(question))


def withheld(rows: Sequence[AnswerRow]) -> list[frozenset[str]]:
    """For each row the contexts that the library must not hold when the row is asked as unanswerable.

    They are its gold contexts, other pieces of the same articles, and the contexts of answerable rows that ask the
    very same question. An answerable row asked so has its own context taken away.
    """
    by_key: dict[str, set[str]] = {}
    by_question: dict[str, set[str]] = {}
    for row in rows:
        if row.context is None:
            continue
        for key in row.keys:
            by_key.setdefault(key, set()).add(row.context)
        if row.answerable:
            by_question.setdefault(row.question, set()).add(row.context)
    return [
        frozenset(
            by_question.get(row.question, set()).union(
                *(by_key.get(key, set()) for key in (row.keys if row.answerable else row.gold_keys))
            )
        )
        for row in rows
    ]


def gold_removed(rows: Sequence[AnswerRow]) -> list[AnswerRow]:
    """A twin of each answerable row, to be asked of the library less whatever holds its answer: a hard negative.

    A row that the set asks as unanswerable already, of the same library less the same article, needs no twin.
    """
    asked = {(row.question, key) for row in rows if not row.answerable for key in row.gold_keys}
    return [
        replace(row, id=f"{row.id}#gone", answers=(), answerable=False, gold_keys=row.keys, source=_gone(row.source))
        for row in rows
        if row.answerable and row.context is not None and not any((row.question, key) in asked for key in row.keys)
    ]


def _gone(source: str) -> str:
    return f"{source} (gold removed)".strip()


# -- scores ------------------------------------------------------------------------------------------------------


def squeezed(text: str) -> str:
    """Letters and digits only, for containment."""
    return re.sub(r"\W", "", text.lower())


def tokens(text: str) -> list[str]:
    """Characters of Chinese text, words of English."""
    return list(squeezed(text)) if language_of(text) == "zh" else re.findall(r"\w+", text.lower())


def f1(answer: str, gold: str) -> float:
    """Token overlap of an answer with one gold answer."""
    ours, theirs = Counter(tokens(answer)), Counter(tokens(gold))
    same = sum((ours & theirs).values())
    return 2 * same / (sum(ours.values()) + sum(theirs.values())) if same else 0.0


def score(row: AnswerRow, answer: Answer) -> Outcome:
    """The metrics that this row counts in."""
    scores: dict[str, float] = {}
    if row.answerable:
        text = "" if answer.abstained else _MARK.sub("", answer.text)
        golds = [gold for gold in row.answers if squeezed(gold)] or list(row.answers)
        scores["f1"] = max(f1(text, gold) for gold in golds)
        scores["exact"] = float(any(squeezed(text) == squeezed(gold) for gold in golds))
        scores["contains"] = float(bool(text) and any(squeezed(gold) in squeezed(text) for gold in golds))
        scores["false_refusals"] = float(answer.abstained)
    else:
        scores["false_answers"] = float(not answer.abstained)
    if not answer.abstained:
        quality = citation_quality(answer)
        supported = sum(one.support in ("quoted", "supported") for one in answer.statements)
        scores["statement_support"] = supported / len(answer.statements) if answer.statements else 0.0
        scores["citation_recall"], scores["citation_precision"] = quality.recall, quality.precision
    return Outcome(row, answer, scores)


def report(outcomes: Sequence[Outcome], *, split: bool = True) -> AnswerReport:
    """Aggregate outcomes; with `split` also by language and by source, where there are several."""
    means: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    for metric in METRICS:
        values = np.array([one.scores[metric] for one in outcomes if metric in one.scores])
        means[metric] = float(values.mean()) if len(values) else float("nan")
        intervals[metric] = mean_interval(values) if len(values) else (float("nan"), float("nan"))

    def parts(name: str) -> dict[str, AnswerReport]:
        groups: dict[str, list[Outcome]] = {}
        for one in outcomes:
            groups.setdefault(str(getattr(one.row, name)), []).append(one)
        return {key: report(group, split=False) for key, group in sorted(groups.items())} if len(groups) > 1 else {}

    answerable = sum(one.row.answerable for one in outcomes)
    by_language, by_source = (parts("language"), parts("source")) if split else ({}, {})
    return AnswerReport(len(outcomes), answerable, means, intervals, by_language, by_source)


def difference(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> dict[str, tuple[float, float, float]]:
    """For each metric the mean of theirs − ours over rows that count in both, with its paired 95% interval."""
    found: dict[str, tuple[float, float, float]] = {}
    for metric in METRICS:
        pairs = [
            their.scores[metric] - our.scores[metric]
            for our, their in zip(ours, theirs, strict=True)
            if metric in our.scores and metric in their.scores
        ]
        if pairs:
            values = np.array(pairs)
            found[metric] = (float(values.mean()), *mean_interval(values))
    return found


def report_json(report: AnswerReport) -> dict[str, object]:
    """The report as it is printed with --json; a metric that no row counts in is null."""

    def shown(value: float) -> float | None:
        return None if np.isnan(value) else round(value, 4)

    row: dict[str, object] = {"n": report.n, "answerable": report.answerable}
    row |= {name: shown(value) for name, value in report.means.items()}
    row["interval95"] = {name: [shown(low), shown(high)] for name, (low, high) in report.intervals.items()}
    for name in ("by_language", "by_source"):
        if parts := getattr(report, name):
            row[name] = {key: report_json(one) for key, one in parts.items()}
    return row


def passages_of(rows: Sequence[AnswerRow]) -> Iterator[str]:
    """Each context once, in order: they become the records 1, 2, … of a throw-away library."""
    yield from dict.fromkeys(row.context for row in rows if row.context is not None)
