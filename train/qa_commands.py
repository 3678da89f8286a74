"""The verbs `qa …` and `datasets …`: training data from chunks.

Heavy imports stand inside the functions, so that `vademecum --help` is instant. JSON shapes are those of docs/cli.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kb.console import Home, Json, ProgressLine, verb

if TYPE_CHECKING:
    from kb.knowledge_base import KnowledgeBase
    from kb.types import Document, QAExample
    from train.examples import Selection

States = Annotated[
    list[str] | None, typer.Option("--state", help="candidate, kept, dropped, accepted, rejected, edited; repeatable.")
]
Tasks = Annotated[list[str] | None, typer.Option("--task", help="Task, as `qa tasks` names it; repeatable.")]
Documents = Annotated[list[str] | None, typer.Option("--document", help="Id or file name; repeatable.")]
Generators = Annotated[list[str] | None, typer.Option("--source", help="Generator (fields, a model, …); repeatable.")]
Since = Annotated[str, typer.Option(metavar="DATE", help="Made on this date or later (2026-11-24).")]
Until = Annotated[str, typer.Option(metavar="DATE", help="Made before this date.")]


def register(app: typer.Typer) -> None:
    """Mount the verbs on `app`."""
    qa = typer.Typer(no_args_is_help=True, help="Training examples from the library: generate, curate, review, export.")
    qa.command("generate")(generate)
    qa.command("list")(list_examples)
    qa.command("export")(export_examples)
    app.add_typer(qa, name="qa")
    datasets = typer.Typer(no_args_is_help=True, help="Versioned, immutable datasets of training examples.")
    datasets.command("build")(build_dataset)
    datasets.command("list")(list_datasets)
    datasets.command("show")(show_dataset)
    app.add_typer(datasets, name="datasets")


# -- qa --------------------------------------------------------------------------------------------------------------


def generate(
    generator: Annotated[str, typer.Option(help="'fields': from monographs, without a model.")] = "fields",
    document: Documents = None,
    per_field: Annotated[int, typer.Option(min=1, max=3, help="Questions for each field of a monograph.")] = 1,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make training examples from the library. Run again, it makes only what is not there yet."""
    from kb.errors import UsageError

    with verb(as_json) as output, opened(home, write=True) as base:
        if generator != "fields":
            raise UsageError(f"There is no generator '{generator}'. Use 'fields'.")
        output.result = _generate_fields(base, _chosen(base, document), per_field)
        output.say(
            "{new:,} new examples ({known:,} were known) from {records:,} records; "
            "{unanswerable:,} of them unanswerable.".format(**output.result)
        )
        for reason, count in output.result["skipped"].items():  # type: ignore[attr-defined]
            output.say(f"  skipped {count:,}: {reason}")


def _generate_fields(base: KnowledgeBase, documents: list[Document], per_field: int) -> dict[str, object]:
    from kb.errors import UsageError
    from train import fields
    from train.examples import Examples

    chosen = [document for document in documents if fields.is_monographs(document)]
    if not chosen:
        raise UsageError(
            "No monograph file is in the library: the generator 'fields' reads records of `field:value` lines. "
            "Add one with `vademecum add`."
        )
    report = fields.FieldsReport()
    examples = Examples(base.store)
    line = ProgressLine()
    new = 0
    batch: list[QAExample] = []
    for example in fields.generate(base.store, chosen, report, per_field=per_field):
        batch.append(example)
        if len(batch) >= 500:
            new += examples.add(batch)
            batch.clear()
            line.show(f"record {report.records:,}: {report.made:,} examples")
    new += examples.add(batch)
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


def list_examples(
    limit: Annotated[int, typer.Option("-n", min=0, max=10_000, help="How many to show; 0: only the counts.")] = 10,
    state: States = None,
    task: Tasks = None,
    document: Documents = None,
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
        selection = _selection(base, state, task, document, source, since, until)
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
    source: Generators = None,
    since: Since = "",
    until: Until = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Write examples (default: kept and accepted ones) or a dataset to a file that training tools read."""
    from train.export import export

    with verb(as_json) as output, opened(home) as base:
        if dataset:
            rows = _dataset_rows(base, dataset, split)
        else:
            rows = _example_rows(
                base, _selection(base, state or ["kept", "accepted"], task, document, source, since, until)
            )
        line = ProgressLine()
        done = export(rows, form, out, progress=lambda count: line.show(f"{count:,} rows"))
        line.close()
        output.result = {"file": str(done.path), "format": form, "rows": done.rows, "also": [str(p) for p in done.also]}
        output.say(f"{done.rows:,} rows in {done.path}" + "".join(f", and {path}" for path in done.also))


def _example_rows(base: KnowledgeBase, selection: Selection) -> Iterator[dict[str, Any]]:
    """Each example with the chunks it rests on as its passages."""
    from train.contexts import ContextPlan, hits_of, make_contexts
    from train.examples import Examples, chunks_of
    from train.rows import make_row

    plan = ContextPlan(distractors=0, without_oracle=0.0)
    for example in Examples(base.store).stream(selection):
        chunks = chunks_of(base.store, [source.chunk_id for source in example.sources])
        documents = base.store.documents_by_id([example.document])
        sources = [chunks[source.chunk_id] for source in example.sources if source.chunk_id in chunks]
        contexts = make_contexts(example, hits_of(sources, documents), plan, lambda _: (), lambda _: True)
        yield make_row(example, contexts, "app")


def _dataset_rows(base: KnowledgeBase, key: str, split: str) -> Iterator[dict[str, Any]]:
    from kb.errors import UsageError
    from train import datasets

    name, _, version = key.partition("/")
    found = datasets.load(base.store.home, name, version or None)
    if split not in (*datasets.SPLITS, "all"):
        raise UsageError(f"There is no split '{split}'. Use train, validation, test or all.")
    for one in datasets.SPLITS if split == "all" else [split]:
        yield from datasets.rows(found.folder / f"{one}.jsonl")


# -- datasets --------------------------------------------------------------------------------------------------------


def build_dataset(
    name: Annotated[str, typer.Argument(help="Name of the dataset; a version is added to it.")],
    contexts: Annotated[
        str, typer.Option(help="'passages' as the app shows them, 'fields' (short, monographs), or 'none'.")
    ] = "passages",
    style: Annotated[str, typer.Option(help="'app': the prompt the app sends; 'short': for small models.")] = "app",
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
        if contexts not in ("passages", "fields", "none") or style not in ("app", "short"):
            raise UsageError("--contexts is passages, fields or none; --style is app or short.")
        plan = datasets.DatasetPlan(
            selection=_selection(base, state or ["kept", "accepted"], task, document, source, since, until),
            contexts=ContextPlan(contexts, distractors, without_oracle, seed),  # type: ignore[arg-type]
            style=style,  # type: ignore[arg-type]
            shares=(1 - validation - test, validation, test),
            mixing=_mixing(mix),
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


# -- pieces ----------------------------------------------------------------------------------------------------------


@contextmanager
def opened(home: Path | None, *, write: bool = False, **overrides: object) -> Iterator[KnowledgeBase]:
    """The open home; with `write`, under its lock."""
    from kb.knowledge_base import KnowledgeBase
    from kb.settings import load_settings

    with KnowledgeBase.open(load_settings(home=home, **overrides), write=write, create=False) as base:
        yield base


def example_json(example: QAExample) -> dict[str, object]:
    """An example at the wire edge."""
    first = example.sources[0] if example.sources else None
    return {
        "example": example.id,
        "task": example.task,
        "state": example.state,
        "reason": example.reason,
        "question": example.question,
        "answers": list(example.answers),
        "answerable": example.answerable,
        "topic": example.topic,
        "language": example.language,
        "document": example.document,
        "chunk_id": first.chunk_id if first else "",
        "chunk_hash": first.chunk_hash if first else "",
        "source": example.generator,
        "prompt": example.prompt,
        "created": example.created,
        "messages": [{"role": message.role, "content": message.content} for message in example.messages],
    }


def _chosen(base: KnowledgeBase, keys: list[str] | None) -> list[Document]:
    if not keys:
        return [document for document in base.store.documents() if document.state == "ready"]
    return [base.document(key) for key in keys]


def _selection(
    base: KnowledgeBase,
    states: list[str] | None,
    tasks: list[str] | None,
    documents: list[str] | None,
    sources: list[str] | None,
    since: str,
    until: str,
) -> Selection:
    from train.examples import Selection

    return Selection(
        states=tuple(states or ()),
        tasks=tuple(tasks or ()),
        documents=tuple(base.document(key).id for key in documents or ()),
        generators=tuple(sources or ()),
        since=since,
        until=until,
    )


def _mixing(given: list[str] | None) -> dict[str, float]:
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
