"""What the verbs of training data share: the options that select examples, the open home, the wire form."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kb.knowledge_base import KnowledgeBase
    from kb.types import Document, QAExample
    from train.examples import Selection

States = Annotated[
    list[str] | None, typer.Option("--state", help="candidate, kept, dropped, accepted, rejected, edited; repeatable.")
]
Tasks = Annotated[list[str] | None, typer.Option("--task", help="Task, as `qa tasks` names it; repeatable.")]
Documents = Annotated[list[str] | None, typer.Option("--document", help="Id or file name; repeatable.")]
Collections = Annotated[
    list[str] | None, typer.Option("--collection", help="Documents of this collection; repeatable.")
]
Generators = Annotated[list[str] | None, typer.Option("--source", help="Generator (fields, a model, …); repeatable.")]
Since = Annotated[str, typer.Option(metavar="DATE", help="Made on this date or later (2026-11-24).")]
Until = Annotated[str, typer.Option(metavar="DATE", help="Made before this date.")]


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


def chosen(base: KnowledgeBase, keys: list[str] | None) -> list[Document]:
    if not keys:
        return [document for document in base.store.documents() if document.state == "ready"]
    return [base.document(key) for key in keys]


def selection_of(
    base: KnowledgeBase,
    states: list[str] | None,
    tasks: list[str] | None,
    documents: list[str] | None,
    sources: list[str] | None,
    since: str,
    until: str,
    collections: list[str] | None = None,
) -> Selection:
    from train.examples import Selection
    from train.exporting import documents_of

    return Selection(
        states=tuple(states or ()),
        tasks=tuple(tasks or ()),
        documents=documents_of(base, documents or (), collections or ()),
        generators=tuple(sources or ()),
        since=since,
        until=until,
    )
