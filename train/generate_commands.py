"""The verb `qa generate`: examples from monographs without a model, or from passages with one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import SOME_FAILED, Home, Json, Output, ProgressLine, verb
from train.verbs import Documents, chosen, opened

if TYPE_CHECKING:
    from kb.knowledge_base import KnowledgeBase
    from kb.types import Document
    from train.generate import GenerationReport, Limits
    from train.items import Mix

Weights = Annotated[list[str] | None, typer.Option(metavar="NAME=WEIGHT")]


def register(qa: typer.Typer) -> None:
    """Mount the verb on `qa`."""
    qa.command("generate")(generate)
    qa.command("account")(account)


def generate(
    generator: Annotated[
        str,
        typer.Option(help="'fields': from monographs, without a model. 'model': ask the configured engine for --task."),
    ] = "fields",
    task: Annotated[str, typer.Option(help="Kind of example, as `qa tasks` lists them (generator model).")] = "qa",
    document: Documents = None,
    per_field: Annotated[int, typer.Option(min=1, max=3, help="Questions for each field of a monograph.")] = 1,
    n: Annotated[
        int, typer.Option("-n", min=0, max=20, help="Objects asked for in a request; 0: as the task says.")
    ] = 0,
    topic: Annotated[
        list[str] | None, typer.Option(metavar="NAME=WEIGHT", help="Mix of question types, e.g. dose=3; repeatable.")
    ] = None,
    persona: Annotated[
        list[str] | None, typer.Option(metavar="NAME=WEIGHT", help="clinician, student, patient; repeatable.")
    ] = None,
    difficulty: Annotated[
        list[str] | None, typer.Option(metavar="NAME=WEIGHT", help="easy, medium, hard; repeatable.")
    ] = None,
    most: Annotated[int, typer.Option(min=0, help="Most requests in this run; 0: all.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, max=1024, help="Requests in flight at once.")] = 8,
    tries: Annotated[int, typer.Option(min=1, max=20, help="Tries of one request before it is given up.")] = 6,
    max_tokens: Annotated[int, typer.Option(min=16, help="Longest reply, in tokens.")] = 1024,
    price_in: Annotated[float, typer.Option(min=0, help="Price of a million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(min=0, help="Price of a million reply tokens.")] = 0.0,
    budget: Annotated[float, typer.Option(min=0, help="Most money for this run, by these prices; 0: no cap.")] = 0.0,
    estimate_only: Annotated[bool, typer.Option("--estimate", help="Only say what would be sent and cost.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make training examples from the library. Run again, it makes only what is not there yet."""
    from kb.errors import UsageError
    from train.generate import Limits
    from train.items import Mix

    with verb(as_json) as output, opened(home, write=not estimate_only) as base:
        documents = chosen(base, document)
        if generator == "fields":
            output.result = _generate_fields(base, documents, per_field)
            output.say(
                "{new:,} new examples ({known:,} were known) from {records:,} records; "
                "{unanswerable:,} of them unanswerable.".format(**output.result)
            )
            for reason, count in output.result["skipped"].items():  # type: ignore[attr-defined]
                output.say(f"  skipped {count:,}: {reason}")
            return
        if generator != "model":
            raise UsageError(f"There is no generator '{generator}'. Use 'fields' or 'model'.")
        if budget and not (price_in or price_out):
            raise UsageError("--budget needs prices: give --price-in and --price-out, per million tokens.")
        limits = Limits(
            concurrency, tries, max_tokens, budget=budget, price_in=price_in, price_out=price_out, most=most
        )
        mix = Mix(_weights(topic, "topic"), _weights(persona, "persona"), _weights(difficulty, "difficulty"), n)
        _generate_with_model(base, task, documents, mix, limits, estimate_only, output)


def account(
    price_in: Annotated[float, typer.Option(min=0, help="Price of a million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(min=0, help="Price of a million reply tokens.")] = 0.0,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """What each model was asked and what it used, all runs together."""
    from train.journal import Journal

    with verb(as_json) as output, opened(home) as base:
        accounts = Journal(base.store).accounts()
        output.result = {
            "models": [
                {
                    "model": one.model,
                    "requests": one.requests,
                    "failed": one.failed,
                    "prompt_tokens": one.prompt_tokens,
                    "completion_tokens": one.completion_tokens,
                    "cost": round(one.cost(price_in, price_out), 4),
                }
                for one in accounts
            ]
        }
        for one in accounts:
            tokens = (
                f"{one.prompt_tokens:,} + {one.completion_tokens:,} tokens, cost {one.cost(price_in, price_out):.4f}"
            )
            output.say(f"{one.model}: {one.requests:,} requests ({one.failed:,} failed), {tokens}")
        if not accounts:
            output.say("No model was asked yet.")


def _generate_fields(base: KnowledgeBase, documents: list[Document], per_field: int) -> dict[str, object]:
    from kb.errors import UsageError
    from train import fields

    chosen = [document for document in documents if fields.is_monographs(document)]
    if not chosen:
        raise UsageError(
            "No monograph file is in the library: the generator 'fields' reads records of `field:value` lines. "
            "Add one with `vademecum add`."
        )
    report = fields.FieldsReport()
    line = ProgressLine()
    new = fields.generate_into(
        base.store,
        chosen,
        report,
        per_field=per_field,
        progress=lambda now: line.show(f"record {now.records:,}: {now.made:,} examples"),
    )
    line.close()
    return {
        "generator": "fields",
        "documents": [document.file for document in chosen],
        "records": report.records,
        "made": report.made,
        "new": new,
        "known": report.made - new,
        "unanswerable": report.unanswerable,
        "skipped": dict(report.skipped),
    }


def _generate_with_model(
    base: KnowledgeBase,
    task_name: str,
    documents: list[Document],
    mix: Mix,
    limits: Limits,
    estimate_only: bool,
    output: Output,
) -> None:
    import asyncio

    from kb.errors import UsageError
    from train.engine import engine_of
    from train.generate import GenerationReport, estimate, generate
    from train.items import items_for
    from train.tasks import all_tasks

    tasks = all_tasks()
    if task_name not in tasks:
        raise UsageError(f"There is no task '{task_name}'. There are: {', '.join(tasks)}.")
    task = tasks[task_name]
    engine = engine_of(base.settings, limits.concurrency)

    def items() -> object:
        return items_for(task, base.store, documents, mix, ("zh", "en"), limits.most)

    before = estimate(base.store, task, items(), engine.name, limits)  # type: ignore[arg-type]
    tokens = f"{before.prompt_tokens:,} + {before.completion_tokens:,} tokens"
    guess = f"{before.requests:,} requests to {engine.name}, about {tokens}"
    price = f", cost about {before.cost:.2f}" if limits.price_in or limits.price_out else ""
    output.say(f"{guess}{price}; {before.known:,} are done already.")
    output.result = {
        "generator": engine.name,
        "task": task.name,
        "estimate": {
            "requests": before.requests,
            "known": before.known,
            "prompt_tokens": before.prompt_tokens,
            "completion_tokens": before.completion_tokens,
            "cost": round(before.cost, 4),
        },
    }
    if estimate_only or not before.requests:
        return
    report = GenerationReport()
    line = ProgressLine()

    async def run() -> None:
        try:
            await generate(
                base.store,
                task,
                items(),  # type: ignore[arg-type]
                engine,
                limits,
                report,
                lambda now: line.show(_progress(now, before.requests)),
            )
        finally:
            await engine.close()

    try:
        asyncio.run(run())
    finally:
        line.close()
        output.result |= _report_json(report, limits)
        output.say(
            f"{report.examples:,} new examples from {report.done:,} replies; {report.unreadable:,} replies unreadable, "
            f"{report.failed:,} requests failed, {report.retries:,} retries; {report.prompt_tokens:,} + "
            f"{report.completion_tokens:,} tokens, cost {report.cost:.4f}."
        )
        if report.stopped:
            output.say(f"Stopped: {report.stopped}.")
    if report.failed:
        output.code = SOME_FAILED


def _progress(report: GenerationReport, total: int) -> str:
    ended = report.done + report.unreadable + report.failed
    rate = ended / report.seconds if report.seconds else 0.0
    left = f", {(total - ended) / rate / 60:.0f} min left" if rate and total > ended else ""
    return f"{ended:,} of {total:,} replies, {report.examples:,} examples, {rate:.1f}/s{left}, cost {report.cost:.2f}"


def _report_json(report: GenerationReport, limits: Limits) -> dict[str, object]:
    names = ("known", "asked", "done", "unreadable", "failed", "retries", "cut_off", "examples", "refused_by_check")
    values: dict[str, object] = {name: getattr(report, name) for name in names}
    return values | {
        "prompt_tokens": report.prompt_tokens,
        "completion_tokens": report.completion_tokens,
        "cost": round(report.cost, 6),
        "stopped": report.stopped,
        "occupancy": round(report.occupancy(limits.concurrency), 4),
    }


def _weights(given: list[str] | None, what: str) -> dict[str, float]:
    from kb.errors import UsageError
    from train.items import DIFFICULTIES, PERSONAS, TOPICS

    names = {"topic": TOPICS, "persona": PERSONAS, "difficulty": DIFFICULTIES}[what]["en"]
    weights: dict[str, float] = {}
    for item in given or []:
        name, _, weight = item.partition("=")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            name = ""
        if name not in names or weights[name] < 0:
            raise UsageError(f"--{what} {item}: write NAME=WEIGHT with one of {', '.join(names)}.")
    if weights and not sum(weights.values()):
        raise UsageError(f"--{what}: the weights add up to nothing.")
    return weights
