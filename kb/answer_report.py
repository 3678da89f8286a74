"""What `evaluate answers` found, as tables and plots for kb.report_page: by language, by source, by likelihood."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from kb.evaluate_answers import METRICS, AnswerReport, Outcome
from kb.report_page import Plot, Table, write_report

Differences = Mapping[str, tuple[float, float, float]]


def write_answer_report(
    path: Path,
    said: Sequence[str],
    outcomes: Sequence[Outcome],
    runs: Mapping[str, AnswerReport],
    differences: Differences | None = None,
) -> None:
    """Write it to `path`. The first of `runs` is the one measured, the others stand beside it. Raises UsageError."""
    main = next(iter(runs.values()))
    head = ["", "rows", *(metric.replace("_", " ") for metric in METRICS)]
    tables = [Table("Answers, with 95% intervals", head, [_with_intervals(name, one) for name, one in runs.items()])]
    for title, parts in (("By language", main.by_language), ("By source", main.by_source)):
        if parts:
            tables.append(Table(title, head, [_with_intervals(name, one) for name, one in parts.items()]))
    if differences:
        rows = [
            [metric, f"{mean:+.3f}", f"[{low:+.3f}, {high:+.3f}]"] for metric, (mean, low, high) in differences.items()
        ]
        tables.append(Table("The second setting against the first, paired", ["", "difference", "95%"], rows))
    write_report(path, "Answers measured", said, tables, abstention_plots(outcomes))


def abstention_plots(outcomes: Sequence[Outcome]) -> list[Plot]:
    """Precision over recall of answering, and wrong answers over coverage, as the likelihood asked for falls."""
    points = sorted(
        ((one.answer.confidence, one.row.answerable) for one in outcomes if one.answer.confidence is not None),
        reverse=True,
    )
    answerable = sum(known for _, known in points)
    if not answerable or answerable == len(points):
        return []
    right = 0
    precision: list[tuple[float, float]] = []
    risk: list[tuple[float, float]] = []
    for answered, (_, known) in enumerate(points, start=1):
        right += known
        precision.append((right / answerable, right / answered))
        risk.append((answered / len(points), 1 - right / answered))
    answered_of = "share of answerable questions answered"
    return [
        Plot("Answering: precision and recall", answered_of, "answerable among answered", [("ours", precision)]),
        Plot("Risk and coverage", "share of all questions answered", "unanswerable among answered", [("ours", risk)]),
    ]


def _with_intervals(name: str, one: AnswerReport) -> list[str]:
    cells = [
        "–"
        if math.isnan(one.means[m])
        else f"{one.means[m]:.3f} [{one.intervals[m][0]:.3f}, {one.intervals[m][1]:.3f}]"
        for m in METRICS
    ]
    return [name or "(none)", str(one.n), *cells]
