"""What is exported, as training rows one at a time: examples with the chunks they rest on, or a dataset as built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kb.errors import UsageError
from kb.knowledge_base import KnowledgeBase
from train import datasets
from train.contexts import ContextPlan, hits_of, make_contexts
from train.examples import Examples, Selection, chunks_of
from train.rows import make_row

GOOD = ("kept", "accepted")
"""States that are exported unless others are asked for."""


def documents_of(base: KnowledgeBase, keys: Sequence[str] = (), collections: Sequence[str] = ()) -> tuple[str, ...]:
    """The ids of the named documents and of those in the collections. Raises UsageError for what is not there."""
    named = {base.document(key).id for key in keys}
    for collection in collections:
        base.scope(collection=collection)  # refuses one that is not there
        named |= {one.id for one in base.store.documents() if one.collection == collection}
    return tuple(sorted(named))


def example_rows(base: KnowledgeBase, selection: Selection) -> Iterator[dict[str, Any]]:
    """Each example with the chunks it rests on as its passages."""
    plan = ContextPlan(distractors=0, without_oracle=0.0)
    for example in Examples(base.store).stream(selection):
        chunks = chunks_of(base.store, [source.chunk_id for source in example.sources])
        documents = base.store.documents_by_id([example.document])
        sources = [chunks[source.chunk_id] for source in example.sources if source.chunk_id in chunks]
        contexts = make_contexts(example, hits_of(sources, documents), plan, lambda _: (), lambda _: True)
        yield make_row(example, contexts, "app")


def dataset_rows(base: KnowledgeBase, key: str, split: str = "all") -> Iterator[dict[str, Any]]:
    """The rows of NAME or NAME/VERSION. Raises UsageError, or StoreError if a file of it was changed."""
    name, _, version = key.partition("/")
    found = datasets.load(base.store.home, name, version or None)
    if split not in (*datasets.SPLITS, "all"):
        raise UsageError(f"There is no split '{split}'. Use train, validation, test or all.")
    for one in datasets.SPLITS if split == "all" else [split]:
        yield from datasets.rows(found.folder / f"{one}.jsonl")
