"""The verbs `qa list`, `qa tasks`, `qa export`, and the family they belong to.

Heavy imports stand inside the functions, so that `vademecum --help` is instant. JSON shapes are those of docs/cli.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kb.console import Home, Json, ProgressLine, verb
from train import generate_commands, review_commands
from train.verbs import (
    Collections,
    Documents,
    Generators,
    Since,
    States,
    Tasks,
    Until,
    example_json,
    opened,
    selection_of,
)


def register(app: typer.Typer) -> typer.Typer:
    """Mount the verbs on `app`; returns their family."""
    qa = typer.Typer(no_args_is_help=True, help="Training examples from the library: generate, curate, review, export.")
    qa.command("tasks")(list_tasks)
    generate_commands.register(qa)
    review_commands.register(qa)
    qa.command("list")(list_examples)
    qa.command("export")(export_examples)
    app.add_typer(qa, name="qa")
    return qa


def list_tasks(
    show: Annotated[str, typer.Argument(metavar="[TASK]", help="Show this one's prompts and a sample.")] = "",
    as_json: Json = False,
) -> None:
    """The kinds of examples that a model can be asked for."""
    from kb.errors import UsageError
    from kb.task_prompts import REQUESTS
    from train.tasks import all_tasks

    with verb(as_json) as output:
        tasks = all_tasks()
        if show and show not in tasks:
            raise UsageError(f"There is no task '{show}'. There are: {', '.join(tasks)}.")
        chosen = [tasks[show]] if show else list(tasks.values())
        output.result = {
            "tasks": [
                {"task": task.name, "summary": task.summary, "needs": task.needs, "prompt": task.prompt}
                | ({"prompts": REQUESTS[task.name], "sample": task.sample_reply} if show else {})
                for task in chosen
            ]
        }
        for task in chosen:
            output.say(f"{task.name:22} {task.needs:8} {task.summary}")
        if show:
            for language, request in REQUESTS[show].items():
                output.say(f"\n[{language}]\n{request}")
            output.say(f"\nsample passage\n{tasks[show].sample_passage}\nsample reply\n{tasks[show].sample_reply}")


def list_examples(
    limit: Annotated[int, typer.Option("-n", min=0, max=10_000, help="How many to show; 0: only the counts.")] = 10,
    state: States = None,
    task: Tasks = None,
    document: Documents = None,
    collection: Collections = None,
    source: Generators = None,
    since: Since = "",
    until: Until = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Count the examples by task, source and state, and show some."""
    import itertools

    from train.examples import Examples

    with verb(as_json) as output, opened(home) as base:
        examples = Examples(base.store)
        selection = selection_of(base, state, task, document, source, since, until, collection)
        counts = examples.counts()
        shown = list(itertools.islice(examples.stream(selection), limit))
        output.result = {
            "counts": [{"task": t, "source": g, "state": s, "n": n} for t, g, s, n in counts],
            "selected": examples.count(selection),
            "stale": examples.stale(),
            "examples": [example_json(example) for example in shown],
        }
        for one in counts:
            output.say("{:12} {:24} {:10} {:>9,}".format(*one))
        output.say(f"{output.result['selected']:,} selected, {output.result['stale']:,} stale in all.")
        for example in shown:
            output.say(f"\n{example.id}  {example.task} {example.state} {example.reason}\nQ {example.question}")
            output.say(f"A {example.answers[0] if example.answers else ''}")


def export_examples(
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    form: Annotated[str, typer.Option("--format", help="Format; see docs/data.md.")] = "messages",
    dataset: Annotated[str, typer.Option(help="Export this dataset (NAME or NAME/VERSION) instead of examples.")] = "",
    split: Annotated[str, typer.Option(help="Of a dataset: train, validation, test or all.")] = "all",
    state: States = None,
    task: Tasks = None,
    document: Documents = None,
    collection: Collections = None,
    source: Generators = None,
    since: Since = "",
    until: Until = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Write examples (default: kept and accepted ones) or a dataset to a file that training tools read."""
    from kb.errors import UsageError
    from train.export import export
    from train.exporting import GOOD, dataset_rows, example_rows

    with verb(as_json) as output, opened(home) as base:
        if dataset and any((state, task, document, collection, source, since, until)):
            raise UsageError("A dataset is exported as it is: leave out the filters, or leave out --dataset.")
        if dataset:
            rows = dataset_rows(base, dataset, split)
        else:
            states = state or list(GOOD)
            rows = example_rows(base, selection_of(base, states, task, document, source, since, until, collection))
        line = ProgressLine()
        done = export(rows, form, out, progress=lambda count: line.show(f"{count:,} rows"))
        line.close()
        output.result = {"file": str(done.path), "format": form, "rows": done.rows, "also": [str(p) for p in done.also]}
        output.say(f"{done.rows:,} rows in {done.path}" + "".join(f", and {path}" for path in done.also))
