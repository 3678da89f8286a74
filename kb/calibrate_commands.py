"""The verb `evaluate calibrate`: question sets in, the home's calibration of when to answer out, with its whole curve.

Heavy imports stand inside the functions, so that `vademecum --help` is instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import FoundRight, Home, Json, Output, ProgressLine, settings_of, verb

if TYPE_CHECKING:
    from kb.ask_set import AddFiles
    from kb.calibrate import Judged, Point, Result, Sized
    from kb.evaluate_answers import AnswerRow
    from kb.settings import Settings

_SHOWN = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)
"""Rates of false answers at which the curve is printed; --json has all of it."""


def register(evaluate: typer.Typer, add_files: AddFiles) -> None:
    """Mount `calibrate` on `evaluate`."""

    @evaluate.command("calibrate")
    def calibrate(
        questions: Annotated[
            list[Path], typer.Argument(help="JSON lines {question, context?, answers, answerable}; .xz, .gz read.")
        ],
        false_answers: Annotated[
            float, typer.Option(min=0.001, max=0.5, help="Most unanswerable questions that may be answered.")
        ] = 0.05,
        limit: Annotated[int | None, typer.Option(min=1, help="A random sample of so many rows of each set.")] = None,
        found_right: FoundRight = None,
        out: Annotated[Path | None, typer.Option(help="Write the calibration here instead of into the home.")] = None,
        as_json: Json = False,
        home: Home = None,
    ) -> None:
        """Fit how likely the library answers a question, and from which likelihood on it is answered.

        Each answerable row with a context is asked once more with its answer taken away; rows that ask about a text
        they do not name are left out. Each set is asked of a library of its own; give sets of several sizes, and the
        cut follows the size of the library that is asked. The figures are those of folds that the fit did not see.
        """
        with verb(as_json) as output:
            settings = settings_of(home)
            run(output, questions, settings, out, limit, false_answers, found_right, add_files)


def run(
    output: Output,
    questions: Sequence[Path],
    settings: Settings,
    out: Path | None,
    limit: int | None,
    false_answers: float,
    found_right: Path | None,
    add_files: AddFiles,
) -> None:
    """See `vademecum evaluate calibrate --help`."""
    from kb.calibrate import calibrate
    from kb.embed import build_embedder
    from kb.evaluate_answers import gold_removed, points_elsewhere, read_answer_rows
    from kb.evidence import calibration_of, write_calibration
    from kb.found_right import left_out as told_right
    from kb.found_right import read_found_right
    from kb.home import CALIBRATION, check_home

    target = out or check_home(settings.home, create=False) / CALIBRATION
    marks = read_found_right(found_right)
    judged: list[Judged] = []
    left_out = were_right = 0
    for path in questions:
        read = read_answer_rows(path, limit)
        rows = [row for row in read if not points_elsewhere(row.question)]
        left_out += len(read) - len(rows)
        found = judge_all(rows + gold_removed(rows), settings, add_files)
        kept = [one for one in found if not marks.holds(one.row)]
        were_right += len(found) - len(kept)
        judged += kept
    result = calibrate(
        judged, calibration_of(settings.home), build_embedder(settings).grading_key, false_answers=false_answers
    )
    write_calibration(target, result.calibration)
    output.result = {"file": str(target), **result_json(result), "left_out": left_out, "found_right": were_right}
    _say(output, result, false_answers)
    output.say(f"Left out, since they ask about a text that they do not name (this study, the authors): {left_out}.")
    if found_right:
        output.say(told_right(were_right))
    output.say(f"Written to {target}.")


def judge_all(rows: Sequence[AnswerRow], settings: Settings, add_files: AddFiles) -> list[Judged]:
    """The evidence for every row over its library, with progress on stderr."""
    from kb.ask_set import judge_rows, library_of

    with library_of(rows, settings, add_files) as (kb, library):
        line = ProgressLine()
        judged = []
        for done, one in enumerate(judge_rows(kb, rows, library), start=1):
            judged.append(one)
            line.show(f"question {done} of {len(rows)}")
        line.close()
    return judged


def result_json(result: Result) -> dict[str, object]:
    """What was fitted, with the whole curve of each kind and size: [cut, false answers, false refusals]."""
    kinds: dict[str, object] = {}
    for kind, (answerable, unanswerable) in result.counts.items():
        kinds[kind] = {"answerable": answerable, "unanswerable": unanswerable}
        if kind in result.sizes:
            kinds[kind] = {
                "answerable": answerable,
                "unanswerable": unanswerable,
                "sizes": [_sized(one) for one in result.sizes[kind]],
            }
    return {"kinds": kinds, "decided_by_field": list(result.undecided)}


def _sized(one: Sized) -> dict[str, object]:
    return {
        "passages": one.passages,
        "answerable": one.answerable,
        "unanswerable": one.unanswerable,
        **_point(one.chosen),
        "curve": [list(_point(point).values()) for point in one.curve],
    }


def _point(point: Point) -> dict[str, float]:
    return {name: round(getattr(point, name), 4) for name in ("cut", "false_answers", "false_refusals")}


def _say(output: Output, result: Result, false_answers: float) -> None:
    from kb.calibrate import FEWEST, choose

    for kind, (answerable, unanswerable) in result.counts.items():
        if kind not in result.sizes:
            output.say(f"{kind}: {answerable} answerable, {unanswerable} not: too few to fit (at least {FEWEST} each).")
            continue
        output.say(f"{kind}: {answerable} answerable, {unanswerable} not")
        for one in result.sizes[kind]:
            point = one.chosen
            output.say(
                f"  of {one.passages:,} passages ({one.answerable} answerable, {one.unanswerable} not): answers from "
                f"{point.cut:.3f} on, false answers {point.false_answers:.3f}, refusals {point.false_refusals:.3f}"
            )
            output.say("    false answers   " + "".join(f"{rate:>7.2f}" for rate in _SHOWN))
            refused = [choose(one.curve, rate).false_refusals for rate in _SHOWN]
            output.say("    false refusals  " + "".join(f"{rate:>7.3f}" for rate in refused))
    with_answer, without = result.undecided
    output.say(f"Decided by a monograph's field: {with_answer} answerable, {without} not.")
