"""The verbs `evaluate retrieval` and `evaluate answers`: question sets in, tables, JSON and reports out.

Heavy imports stand inside the functions, so that `vademecum --help` is instant. JSON shapes are those of docs/cli.md.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb import calibrate_commands
from kb.console import FoundRight, Home, Json, Output, ProgressLine, verb

if TYPE_CHECKING:
    from kb.ask_set import AddFiles
    from kb.evaluate import Question
    from kb.evaluate_answers import AnswerReport, AnswerRow, Outcome
    from kb.knowledge_base import KnowledgeBase
    from kb.settings import Settings
    from kb.types import Hit

ReportFile = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write tables and plots to this .html or .md file.")
]


def register(app: typer.Typer, add_files: AddFiles) -> None:
    """Mount `evaluate` on `app`."""
    evaluate = typer.Typer(no_args_is_help=True, help="Measure retrieval and answers on question sets.")

    @evaluate.command("retrieval")
    def retrieval(
        questions: Annotated[Path, typer.Argument(help="JSON lines {question, gold_passage_ids, …}; .xz, .gz read.")],
        passages: Annotated[
            Path | None, typer.Option(help="JSON lines {id, title, text}: measure over a throw-away library of these.")
        ] = None,
        report_to: ReportFile = None,
        as_json: Json = False,
        home: Home = None,
    ) -> None:
        """Recall@5, recall@10, MRR@10 and nDCG@10 of the fused search, beside dense and lexical alone."""
        evaluate_retrieval(questions, passages, report_to, as_json, home, add_files)

    @evaluate.command("answers")
    def answers(
        questions: Annotated[
            Path, typer.Argument(help="JSON lines {question, context?, answers, answerable}; .xz, .gz read.")
        ],
        own_context: Annotated[
            bool, typer.Option("--own-context", help="Give each row its own context only (a reading test).")
        ] = False,
        with_gold_removed: Annotated[
            bool,
            typer.Option("--gold-removed", help="Ask each answerable row once more with its answer taken away."),
        ] = False,
        limit: Annotated[int | None, typer.Option(min=1, help="Ask a random sample of so many rows.")] = None,
        baselines: Annotated[
            bool, typer.Option("--baselines", help="Beside it: the first passage, and the sentence nearest in meaning.")
        ] = False,
        compare: Annotated[
            list[str] | None,
            typer.Option(metavar="NAME=VALUE", help="Ask again with this setting, and compare; may be given again."),
        ] = None,
        to_read: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="Write every false answer here, to be read and marked right or not."),
        ] = None,
        found_right: FoundRight = None,
        report_to: ReportFile = None,
        as_json: Json = False,
        home: Home = None,
    ) -> None:
        """F1, exact match, gold inside the answer, false answers and refusals, statement support, citation quality.

        With contexts, over a throw-away library of them all; a row marked unanswerable is asked of that library less
        whatever holds its answer. Without contexts, over your own library. Another passage may answer such a row all
        the same: --to-read writes what was answered for a person to mark, --found-right reads the marks.
        """
        asking = Asking(
            own_context,
            with_gold_removed,
            limit,
            baselines,
            tuple(compare or ()),
            report_to,
            to_read,
            found_right,
        )
        evaluate_answers(questions, asking, as_json, home, add_files)

    calibrate_commands.register(evaluate, add_files)
    app.add_typer(evaluate, name="evaluate")


@dataclass(frozen=True, slots=True)
class Asking:
    """How `evaluate answers` asks, and what it makes of it."""

    own_context: bool = False
    gold_removed: bool = False
    limit: int | None = None
    baselines: bool = False
    compare: tuple[str, ...] = ()
    report_to: Path | None = None
    to_read: Path | None = None
    found_right: Path | None = None


def evaluate_answers(questions: Path, asking: Asking, as_json: bool, home: Path | None, add_files: AddFiles) -> None:
    """See `vademecum evaluate answers --help`."""
    from kb.answer_report import write_answer_report
    from kb.evaluate_answers import difference, gold_removed, read_answer_rows, report, report_json
    from kb.found_right import left_out, read_found_right, write_to_read

    with verb(as_json) as output:
        rows = read_answer_rows(questions, asking.limit)
        if asking.gold_removed:
            rows = rows + gold_removed(rows)
        marks = read_found_right(asking.found_right)
        changed = _settings(home, **_changes(asking.compare)) if asking.compare else None
        over = "home" if rows[0].context is None else "own context" if asking.own_context else "library"
        runs = ask_all(rows, _settings(home), add_files, alone=asking.own_context, baselines=asking.baselines)
        if changed is not None:
            runs[" ".join(asking.compare)] = ask_all(rows, changed, add_files, alone=asking.own_context)[OURS]
        if asking.to_read is not None:
            left = write_to_read(asking.to_read, runs[OURS], marks)
            output.say(f"Written to {asking.to_read}: answers where none should be, {left} of them still to be read.")
        right = {one.row.id for one in runs[OURS] if marks.holds(one.row, one.answer.text)}
        runs = {name: [one for one in run if one.row.id not in right] for name, run in runs.items()}
        reports = {name: report(run) for name, run in runs.items()}
        differences = difference(runs[OURS], runs[" ".join(asking.compare)]) if asking.compare else {}
        output.result = {**report_json(reports[OURS]), "over": over, "found_right": len(right)}
        said_right = [left_out(len(right))] if right else []
        for said in said_right:
            output.say(said)
        for name, one in list(reports.items())[1:]:
            output.result[name] = report_json(one)
        if differences:
            output.result["difference"] = {m: [round(v, 4) for v in values] for m, values in differences.items()}
        for name, one in reports.items():
            _say_answers(output, one, over if name == OURS else f"{over}, {name}")
        for metric, (mean, low, high) in differences.items():
            output.say(f"difference {metric:20} {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
        if asking.report_to is not None:
            told = [f"{len(runs[OURS])} rows of {questions.name}, asked over: {over}.", *said_right]
            write_answer_report(asking.report_to, told, runs[OURS], reports, differences)
            output.say(f"Report written to {asking.report_to}.")


OURS = "ours"


def _changes(compare: Sequence[str]) -> dict[str, str]:
    """Settings named as NAME=VALUE. Raises UsageError for what is not; unknown names are refused with the settings."""
    from kb.errors import UsageError

    pairs = [change.partition("=") for change in compare]
    for change, (name, sign, _) in zip(compare, pairs, strict=True):
        if not sign or not name:
            raise UsageError(f"--compare takes NAME=VALUE, such as top_k=12, not '{change}'.")
    return {name: value for name, _, value in pairs}


def ask_all(
    rows: Sequence[AnswerRow],
    settings: Settings,
    add_files: AddFiles,
    *,
    alone: bool = False,
    baselines: bool = False,
) -> dict[str, list[Outcome]]:
    """Every row asked over its library, with progress on stderr; with `baselines` answered their ways too."""
    from kb.ask_set import ask_rows, library_of
    from kb.baselines import best_sentence, first_passage
    from kb.evaluate_answers import score

    runs: dict[str, list[Outcome]] = {OURS: []}
    with library_of(rows, settings, add_files) as (kb, library):
        line = ProgressLine()
        for done, outcome in enumerate(ask_rows(kb, rows, library, alone=alone), start=1):
            runs[OURS].append(outcome)
            if baselines:
                question, hits = outcome.row.question, outcome.answer.hits
                nearest = best_sentence(kb.similarity(question))
                for answered in (first_passage(question, hits), nearest(question, hits)):
                    runs.setdefault(answered.engine, []).append(score(outcome.row, answered))
            line.show(f"question {done} of {len(rows)}")
        line.close()
    return runs


def _say_answers(output: Output, whole: AnswerReport, over: str) -> None:
    from kb.evaluate_answers import METRICS

    output.say(f"{whole.n} rows, {whole.answerable} answerable, over: {over}")
    for metric in METRICS:
        low, high = whole.intervals[metric]
        if not math.isnan(whole.means[metric]):
            output.say(f"  {metric:20} {whole.means[metric]:.3f} [{low:.3f}, {high:.3f}]")
    for parts in (whole.by_language, whole.by_source):
        for name, one in parts.items():
            output.say(
                f"{name} ({one.n}): "
                + ", ".join(f"{m} {one.means[m]:.3f}" for m in METRICS[:5] if not math.isnan(one.means[m]))
            )


def evaluate_retrieval(
    questions: Path,
    passages: Path | None,
    report_to: Path | None,
    as_json: bool,
    home: Path | None,
    add_files: AddFiles,
) -> None:
    """See `vademecum evaluate retrieval --help`."""
    from kb.ask_set import require_ready
    from kb.evaluate import read_questions
    from kb.knowledge_base import KnowledgeBase

    with verb(as_json) as output:
        rows = read_questions(questions)
        if passages is None:
            with KnowledgeBase.open(_settings(home), create=False) as kb:
                _measure(output, kb, rows, None, report_to)
            return
        with tempfile.TemporaryDirectory(prefix="vademecum-evaluate-") as folder:
            ids, records = passage_records(passages, Path(folder))
            settings = _settings(Path(folder) / "home")
            with KnowledgeBase.open(settings, write=True) as kb:
                add_files(kb, [records])
                require_ready(kb)
                _measure(output, kb, rows, ids, report_to)


def passage_records(passages: Path, folder: Path) -> tuple[list[str], Path]:
    """Write the passages as a record file; returns their ids in record order, and the file."""
    from kb.errors import UsageError
    from kb.evaluate import read_rows

    ids: list[str] = []
    records = folder / "passages.jsonl"
    with records.open("w", encoding="utf-8") as file:
        for number, row in enumerate(read_rows(passages), start=1):
            if "id" not in row or not isinstance(row.get("text"), str):
                raise UsageError(f"{passages.name}, row {number}: needs 'id' and 'text'.")
            ids.append(str(row["id"]))
            record = {"title": row.get("title") or "", "text": row["text"]}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return ids, records


def _measure(
    output: Output,
    kb: KnowledgeBase,
    questions: Sequence[Question],
    ids: Sequence[str] | None,
    report_to: Path | None = None,
) -> None:
    from kb.evaluate import METRICS, report, report_json
    from kb.retrieve import WHOLE

    runs: dict[str, list[list[str]]] = {}
    line = ProgressLine()
    for done, question in enumerate(questions, start=1):
        for stage, hits in kb.retriever.stages(question.text).items():
            runs.setdefault(stage, []).append(_distinct(_passage_ids(hits, ids, question.gold)))
        line.show(f"question {done} of {len(questions)}")
    line.close()
    reports = {stage: report(questions, run) for stage, run in runs.items()}
    output.result = {**report_json(reports[WHOLE]), "stages": {s: report_json(r) for s, r in reports.items()}}
    output.say(f"{'':10}" + "".join(f"{name:>24}" for name in METRICS))
    for stage, one in reports.items():
        cells = [f"{one.means[m]:.3f} [{one.intervals[m][0]:.3f}, {one.intervals[m][1]:.3f}]" for m in METRICS]
        output.say(f"{stage:10}" + "".join(f"{cell:>24}" for cell in cells))
    for source, one in reports[WHOLE].by_source.items():
        output.say(f"{WHOLE} on {source} ({one.n}): " + ", ".join(f"{m} {one.means[m]:.3f}" for m in METRICS))
    output.say(f"{len(questions)} questions.")
    if report_to is not None:
        from kb.retrieval_report import write_retrieval_report

        write_retrieval_report(report_to, questions, runs, reports)
        output.say(f"Report written to {report_to}.")


def _passage_ids(hits: Iterable[Hit], ids: Sequence[str] | None, gold: Sequence[str]) -> list[str]:
    """By what name each hit may be gold: its passage in a throw-away library, else chunk, document, file, file#page."""
    if ids is not None:
        return [ids[page - 1] for hit in hits for page in hit.chunk.pages[:1]]
    wanted = set(gold)
    names = []
    for hit in hits:
        mine = [hit.chunk.id, hit.document.id, hit.document.file]
        mine += [f"{hit.document.file}#{page}" for page in hit.chunk.pages]
        names.append(next((name for name in mine if name in wanted), hit.chunk.id))
    return names


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _settings(home: Path | None, **overrides: object) -> Settings:
    from kb.settings import load_settings

    return load_settings(home=home, **overrides)
