"""Retrieval measured: question sets in, recall, MRR and nDCG out, per stage and per source, with intervals.

recall@k = gold found among the first k / min(gold, k); MRR@10 and nDCG@10 as in trec_eval, nDCG with the set's grades
where it has them, else binary. Intervals are percentile bootstrap over questions (Efron and Tibshirani, 1993).
"""

from __future__ import annotations

import gzip
import json
import lzma
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from kb.errors import UsageError

METRICS = ("recall@5", "recall@10", "mrr@10", "ndcg@10")
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Question:
    """One row of a retrieval question set."""

    id: str
    text: str
    gold: tuple[str, ...]
    grades: Mapping[str, float]
    source: str


@dataclass(frozen=True, slots=True)
class Report:
    """Means over questions, their 95% intervals, and the same per source."""

    n: int
    means: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    by_source: Mapping[str, Report] = field(default_factory=dict)


def read_rows(path: Path) -> Iterator[dict[str, object]]:
    """Objects of a JSON-lines file, which may be .xz or .gz.

    Raises UsageError naming the file and line that is none.
    """
    try:
        with _open_text(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise UsageError(f"{path.name}, line {number}: expected a JSON object.")
                    yield row
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except (ValueError, OSError, EOFError, lzma.LZMAError) as error:
        raise UsageError(f"{path.name} cannot be read as JSON lines: {error}.") from None


def _open_text(path: Path) -> TextIO:
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8")
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def read_questions(path: Path) -> list[Question]:
    """The questions of a set: rows {question, gold_passage_ids, [id], [grades], [source]}."""
    questions = []
    for number, row in enumerate(read_rows(path), start=1):
        gold = row.get("gold_passage_ids")
        if not isinstance(row.get("question"), str) or not isinstance(gold, list) or not gold:
            raise UsageError(f"{path.name}, row {number}: needs 'question' (text) and 'gold_passage_ids' (a list).")
        grades = row.get("grades")
        questions.append(
            Question(
                id=str(row.get("id", number)),
                text=str(row["question"]),
                gold=tuple(str(one) for one in gold),
                grades={str(k): float(v) for k, v in grades.items()} if isinstance(grades, dict) else {},
                source=str(row.get("source", "")),
            )
        )
    if not questions:
        raise UsageError(f"{path.name} holds no questions.")
    return questions


def score(found: Sequence[str], question: Question) -> tuple[float, ...]:
    """METRICS of one ranked list of distinct passage ids."""
    gold = set(question.gold)
    top = list(found[:10])
    first = next((rank for rank, one in enumerate(top, start=1) if one in gold), 0)
    gains = question.grades or dict.fromkeys(gold, 1.0)
    ideal = sorted(gains.values(), reverse=True)[:10]
    return (
        len(gold & set(top[:5])) / min(len(gold), 5),
        len(gold & set(top)) / min(len(gold), 10),
        1 / first if first else 0.0,
        _dcg([gains.get(one, 0.0) for one in top]) / _dcg(ideal) if any(ideal) else 0.0,
    )


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def report(questions: Sequence[Question], runs: Sequence[Sequence[str]]) -> Report:
    """Aggregate one ranked list of passage ids per question."""
    scores = np.array([score(run, question) for run, question in zip(runs, questions, strict=True)])
    sources = sorted({question.source for question in questions})
    by_source: dict[str, Report] = {}
    if len(sources) > 1:
        for source in sources:
            rows = [i for i, question in enumerate(questions) if question.source == source]
            by_source[source] = _summary(scores[rows])
    whole = _summary(scores)
    return Report(whole.n, whole.means, whole.intervals, by_source)


def _summary(scores: np.ndarray) -> Report:
    random = np.random.default_rng(0)
    samples = np.array([scores[random.integers(0, len(scores), len(scores))].mean(axis=0) for _ in range(RESAMPLES)])
    low, high = np.percentile(samples, [2.5, 97.5], axis=0)
    return Report(
        n=len(scores),
        means={name: float(scores[:, i].mean()) for i, name in enumerate(METRICS)},
        intervals={name: (float(low[i]), float(high[i])) for i, name in enumerate(METRICS)},
    )


def mean_interval(values: np.ndarray, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Percentile bootstrap interval (95%) of the mean of `values`, always with the same draws."""
    drawn = np.random.default_rng(0).integers(0, len(values), (resamples, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def report_json(report: Report) -> dict[str, object]:
    """The report as it is printed with --json."""
    row: dict[str, object] = {"n": report.n, **{name: round(value, 4) for name, value in report.means.items()}}
    row["interval95"] = {name: [round(low, 4), round(high, 4)] for name, (low, high) in report.intervals.items()}
    if report.by_source:
        row["by_source"] = {source: report_json(one) for source, one in report.by_source.items()}
    return row
