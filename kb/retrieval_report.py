"""What `evaluate retrieval` found, as tables and a plot for kb.report_page: each stage, each source, recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kb.evaluate import METRICS, Question, Report
from kb.report_page import Plot, Table, write_report

DEPTH = 50


def write_retrieval_report(
    path: Path,
    questions: Sequence[Question],
    runs: Mapping[str, Sequence[Sequence[str]]],
    reports: Mapping[str, Report],
) -> None:
    """Write it to `path`. The first stage is the one in use. Raises UsageError."""
    head = ["", "questions", *METRICS]
    tables = [Table("Stages, with 95% intervals", head, [_row(name, one) for name, one in reports.items()])]
    sources = next(iter(reports.values())).by_source
    if sources:
        tables.append(Table("By source", head, [_row(name, one) for name, one in sources.items()]))
    lines = [(stage, recall_curve(questions, run)) for stage, run in runs.items()]
    plot = Plot("Recall by depth", "passages looked at (k)", "recall@k", lines, float(DEPTH))
    write_report(path, "Retrieval measured", [f"{len(questions)} questions."], tables, [plot])


def recall_curve(questions: Sequence[Question], run: Sequence[Sequence[str]]) -> list[tuple[float, float]]:
    """Mean recall@k = found gold / min(gold, k), for k from 1 to DEPTH."""
    points = []
    for k in range(1, DEPTH + 1):
        shares = [
            len(set(question.gold) & set(found[:k])) / min(len(set(question.gold)), k)
            for question, found in zip(questions, run, strict=True)
        ]
        points.append((float(k), sum(shares) / len(shares)))
    return points


def _row(name: str, one: Report) -> list[str]:
    cells = [f"{one.means[m]:.3f} [{one.intervals[m][0]:.3f}, {one.intervals[m][1]:.3f}]" for m in METRICS]
    return [name or "(none)", str(one.n), *cells]
