"""The verbs `datasets …`: build, list, show. Heavy imports stand inside the functions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kb.console import Home, Json, ProgressLine, verb
from train.verbs import Documents, Generators, Since, States, Tasks, Until, opened, selection_of


def register(*families: typer.Typer) -> None:
    """Mount `datasets` on each: it is a family of its own and stands with the examples it is built from, in `qa`."""
    datasets = typer.Typer(no_args_is_help=True, help="Versioned, immutable datasets of training examples.")
    datasets.command("build")(build_dataset)
    datasets.command("list")(list_datasets)
    datasets.command("show")(show_dataset)
    for family in families:
        family.add_typer(datasets, name="datasets")


def build_dataset(
    name: Annotated[str, typer.Argument(help="Name of the dataset; a version is added to it.")],
    contexts: Annotated[
        str, typer.Option(help="'passages' as the app shows them, 'fields' (short, monographs), or 'none'.")
    ] = "passages",
    style: Annotated[
        str,
        typer.Option(
            help="'app': the prompt the app sends; 'short': for small models; 'named': that, with replies that begin "
            "with the drug, by a letter, and the field they read."
        ),
    ] = "app",
    distractors: Annotated[int, typer.Option(min=0, max=20, help="Passages beside the right one.")] = 3,
    without_oracle: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share whose right passage is withheld; the target is to abstain.")
    ] = 0.1,
    unanswerable: Annotated[float, typer.Option(min=0, max=1, help="Largest share of unanswerable questions.")] = 0.25,
    validation: Annotated[float, typer.Option(min=0, max=0.5, help="Share of documents (drugs) for validation.")] = 0.1,
    test: Annotated[float, typer.Option(min=0, max=0.5, help="Share of documents (drugs) for the test.")] = 0.1,
    mix: Annotated[
        list[str] | None, typer.Option(metavar="TASK[:SOURCE]=SHARE", help="Wanted shares; repeatable.")
    ] = None,
    chat: Annotated[list[Path] | None, typer.Option(help="JSONL of general conversations to add; repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Most examples; 0: all.")] = 0,
    longest: Annotated[
        int, typer.Option(min=0, help="With --contexts fields: characters of the longest value shown or asked for.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="For the order of passages and what is withheld.")] = 0,
    state: States = None,
    task: Tasks = None,
    document: Documents = None,
    source: Generators = None,
    since: Since = "",
    until: Until = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Build a dataset version from kept and accepted examples. The same content is the same version."""
    from kb.errors import UsageError
    from train import datasets
    from train.contexts import ContextPlan, PassageSearch

    with verb(as_json) as output, opened(home, write=True) as base:
        if contexts not in ("passages", "fields", "none") or style not in ("app", "short", "named"):
            raise UsageError("--contexts is passages, fields or none; --style is app, short or named.")
        if style == "named" and contexts != "fields":
            raise UsageError("--style named is for single fields: use it with --contexts fields.")
        plan = datasets.DatasetPlan(
            selection=selection_of(base, state or ["kept", "accepted"], task, document, source, since, until),
            contexts=ContextPlan(contexts, distractors, without_oracle, longest, seed),  # type: ignore[arg-type]
            style=style,  # type: ignore[arg-type]
            shares=(1 - validation - test, validation, test),
            mixing=mixing(mix),
            unanswerable=unanswerable,
            chat_files=tuple(chat or ()),
            limit=limit,
        )
        line = ProgressLine()
        built = datasets.build(
            base.store,
            name,
            plan,
            PassageSearch(base.store, base.retriever),
            progress=lambda done, total: line.show(f"example {done:,} of {total:,}"),
        )
        line.close()
        output.result = _dataset_json(built.manifest)
        counts = ", ".join(f"{count:,} {split}" for split, count in built.manifest["counts"].items())
        output.say(f"Dataset {name}, version {built.version}: {counts}.")
        empty = [split for split, count in built.manifest["counts"].items() if not count]
        if empty:
            output.say(
                f"Nothing fell to {', '.join(empty)}: too few documents or drugs. Add some, or change the shares."
            )


def list_datasets(as_json: Json = False, home: Home = None) -> None:
    """All datasets and their versions, newest first."""
    from train import datasets

    with verb(as_json) as output, opened(home) as base:
        found = datasets.versions(base.store.home)
        output.result = {"datasets": [_dataset_json(manifest) for manifest in found]}
        for one in found:
            counts = "/".join(f"{count:,}" for count in one["counts"].values())
            output.say(f"{one['name']:20} {one['version']}  {one['created']}  {counts} rows (train/validation/test)")
        if not found:
            output.say("No datasets yet. `vademecum datasets build NAME` makes one.")


def show_dataset(
    key: Annotated[str, typer.Argument(metavar="NAME[/VERSION]", help="Default version: the newest.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Verify a version, show what it holds, and what it would lose if it were built today."""
    from train import datasets

    with verb(as_json) as output, opened(home) as base:
        name, _, version = key.partition("/")
        found = datasets.load(base.store.home, name, version or None)
        lost = datasets.loss(base.store, found)
        output.result = {
            **found.manifest,
            "folder": str(found.folder),
            "lost": {"rows": lost.rows, "chunks": lost.chunks, "documents": list(lost.documents)},
        }
        for field in ("name", "version", "created", "counts", "by_task", "by_source", "units", "prompts", "split"):
            output.say(f"{field:10} {found.manifest[field]}")
        if lost.chunks:
            where = ", ".join(lost.documents)
            output.say(
                f"stale      {sum(lost.rows.values()):,} rows rest on {lost.chunks:,} chunks that are gone ({where})"
            )
        else:
            output.say("stale      nothing: every chunk is in the library as it was")


def mixing(given: list[str] | None) -> dict[str, float]:
    from kb.errors import UsageError

    shares: dict[str, float] = {}
    for item in given or []:
        key, _, share = item.rpartition("=")
        try:
            shares[key] = float(share)
        except ValueError:
            key = ""
        if not key or shares[key] < 0:
            raise UsageError(f"--mix {item}: write it as TASK=SHARE or TASK:SOURCE=SHARE, e.g. qa=0.7.")
    return shares


def _dataset_json(manifest: dict[str, Any]) -> dict[str, object]:
    names = ("name", "version", "created", "counts", "by_task", "by_source", "units", "selected", "without_oracle")
    return {"dataset": f"{manifest['name']}/{manifest['version']}", **{name: manifest[name] for name in names}}
