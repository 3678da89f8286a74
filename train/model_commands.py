"""The verbs `models …`: what models there are, how they do, which one answers. Heavy imports stand inside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kb.console import Home, Json, Output, ProgressLine, verb
from train.run_commands import open_store
from train.verbs import opened

if TYPE_CHECKING:
    from train.evaluations import Evaluation

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="As `models list` names it.")]


def register(models: typer.Typer) -> None:
    """Mount the verbs on the group `models`."""
    models.command("list")(list_models)
    models.command("evaluate")(evaluate)
    models.command("votes")(votes)
    models.command("promote")(promote)
    models.command("rollback")(rollback)


def list_models(as_json: Json = False, home: Home = None) -> None:
    """The models of this home, newest first: what they come from, their newest evaluation, which one answers."""
    from kb.promotions import Promotions
    from train.evaluations import Evaluations
    from train.model_folders import models

    with verb(as_json) as output, open_store(home) as store:
        current = Promotions(store).current()
        found = models(store.home)
        listed = []
        for model in found:
            evaluated = next(iter(Evaluations(store).of(model.name, hash=model.hash)), None)
            listed.append(
                {
                    "model": model.name,
                    "kind": model.kind,
                    "run": model.run,
                    "hash": model.hash,
                    "created": model.created,
                    "base": dict(model.lineage.get("base") or {}).get("name", ""),
                    "dataset": dict(model.lineage.get("dataset") or {}),
                    "serves": (model.name, model.hash) == (current.model, current.hash),
                    "evaluation": evaluated.id if evaluated else "",
                    "passed": evaluated.passed if evaluated else None,
                }
            )
        output.result = {"models": listed, "serving": current.model or "settings"}
        for row in listed:
            gate = {None: "not evaluated", True: "passed the gate", False: "refused by the gate"}[row["passed"]]
            serves = "  ← answers now" if row["serves"] else ""
            output.say(f"{row['model']:24} {row['kind']:9} {str(row['created'])[:16]}  {gate}{serves}")
        if not current.model:
            output.say(
                "The engine of the settings answers." if found else "No models yet. `vademecum train sft` makes one."
            )


def evaluate(
    model: ModelName,
    dataset: Annotated[str, typer.Option(metavar="NAME[/VERSION]", help="Default: the one it was tuned on.")] = "",
    questions: Annotated[
        Path | None, typer.Option(help="Your own questions too (JSONL, as `evaluate answers`).")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Most questions of the test split; 0: all.")] = 400,
    report: Annotated[Path | None, typer.Option(help="Write the report there (.html or .md).")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Measure a model against its base and against what answers now, and ask the gate. `train cancel` stops it."""
    from kb.access import SINGLE

    with verb(as_json) as output:
        from kb.evaluate_answers import read_answer_rows
        from train import evaluations, model_folders, model_report
        from train.under_way import under_way

        line = ProgressLine()
        own = read_answer_rows(questions) if questions else []

        def show(engine: str, done: int, total: int) -> None:
            line.show(f"{engine}: question {done} of {total}")

        with open_store(home, write=True) as store:
            found_model = model_folders.model(store.home, model)
            with opened(home) as base, under_way(store, found_model, show, over=dataset) as asking:
                found = evaluations.evaluate(base, model, dataset=dataset, own=own, most=limit, progress=asking)
        line.close()
        with open_store(home, write=True) as store:
            kept = evaluations.Evaluations(store).add(found, SINGLE)
            path = report or model_report.default_path(store.home, kept.id)
        model_report.write(kept, path)
        output.result = {"evaluation": kept.id, "report": str(path), **kept.report}
        say_evaluation(output, kept)
        output.say(f"Report: {path}")


def say_evaluation(output: Output, found: Evaluation) -> None:
    """The table and what the gate says."""
    from train.measure import METRICS

    output.say(f"{found.id}: {found.model} on {found.dataset}")
    output.say(f"{'':24}" + "".join(f"{name.replace('_', ' '):>16}" for name in METRICS))
    for role, row in found.report["scores"].items():
        cells = "".join(f"{_cell(row[name]):>16}" for name in METRICS)
        output.say(f"{role + ': ' + str(row['engine']):24.24}{cells}")
    for check in found.report["verdict"]["checks"]:
        output.say(f"  {'✓' if check['passed'] else '✗'} {check['name']}: {check['told']}")
    output.say("The gate lets it pass." if found.passed else "The gate refuses it.")


def _cell(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}"


def votes(as_json: Json = False, home: Home = None) -> None:
    """What people's blind votes on pairs of answers come to (they vote in the app); which engines can be compared."""
    from dataclasses import asdict

    from kb.access import SINGLE

    with verb(as_json) as output, open_store(home) as store:
        from train.blind import Blind, name_of

        blind = Blind(store)
        contenders, tallies = blind.contenders(SINGLE), blind.tallies(SINGLE)
        output.result = {
            "tallies": [asdict(one) for one in tallies],
            "contenders": [{"name": one.name, **asdict(one)} for one in contenders],
        }
        for one in tallies:
            output.say(f"{name_of(one.first)} : {name_of(one.second)}  over {one.dataset}")
            output.say(f"  better {one.first_better} : {one.second_better}, same {one.same}, both bad {one.neither}")
            told = f"{one.votes} votes on {one.questions} questions by {one.voters}"
            output.say(
                f"  preference {one.preference:+.2f} [{one.low:+.2f}, {one.high:+.2f}], p = {one.p:.3f} ({told})"
            )
        for known in contenders:
            asked = ", ".join(f"{n} {kind}" for kind, n in known.questions.items())
            output.say(f"can be compared: {known.name} over {known.dataset} ({asked})")
        if not contenders:
            output.say("No answers are kept to compare. `vademecum models evaluate` keeps them.")


def promote(
    model: ModelName,
    reason: Annotated[str, typer.Option(help="Why; kept with the promotion.")] = "",
    override: Annotated[str, typer.Option(metavar="REASON", help="Promote although the gate refuses.")] = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Have the model answer from now on, if its newest evaluation passed the gate. The app needs no restart."""
    from kb.access import SINGLE

    with verb(as_json) as output, open_store(home, write=True) as store:
        from train import evaluations

        made, newest = evaluations.promote(store, model, SINGLE, reason=reason, override=override)
        output.result = {"promoted": made.model, "evaluation": newest.id, "overridden": made.overridden}
        output.say(
            f"Model '{made.model}' answers from now on ({newest.id}). `vademecum models rollback --reason …` undoes it."
        )


def rollback(
    reason: Annotated[str, typer.Option(help="Why; kept with the rollback and in the audit record.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Put back what answered before the present model."""
    from kb.access import SINGLE
    from kb.promotions import Promotions

    with verb(as_json) as output, open_store(home, write=True) as store:
        now = Promotions(store).roll_back(reason, SINGLE)
        output.result = {"serving": now.model or "settings"}
        output.say(f"{'Model ' + repr(now.model) if now.model else 'The engine of the settings'} answers again.")
