"""A curation run over the store: candidates page by page through the filters, then duplicates over all that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kb.embed import Embedder
from kb.store import Store
from kb.terms import language_of
from kb.types import Chunk, ExampleState, Hit, Language, QAExample
from train.contexts import hits_of
from train.curate import CurationReport, Filter, judge
from train.deduplicate import exact_repeats, near_repeats, numbers_differ, same_meaning
from train.examples import Examples, Selection, chunks_of

_BATCH = 200
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the duplicate filters need of an example."""

    id: str
    question: str
    unit: str
    topic: str
    fresh: bool
    """Whether it is of this run; the others are kept already and only stand in the way."""


def curate(
    store: Store,
    selection: Selection,
    filters: Mapping[str, Filter],
    report: CurationReport,
    *,
    embedder: Embedder | None = None,
    against: Sequence[str] = (),
    progress: Progress | None = None,
) -> None:
    """Keep or drop the selected candidates. Killed and run again, it goes on with those that are still candidates.

    `embedder` finds questions of the same meaning in the languages it knows; `against` are questions of evaluation sets
    that no example may repeat.
    """
    examples = Examples(store)
    total = examples.count(selection)
    passed: list[_Asked] = []
    changes: list[tuple[str, ExampleState, str]] = []
    for example, reason in judge(with_sources(store, examples.stream(selection)), filters, report):
        if reason:
            changes.append((example.id, "dropped", reason))
        else:
            passed.append(_asked(example, fresh=True))
        if len(changes) >= _BATCH:
            examples.set_states(changes)
            changes.clear()
        if progress:
            progress("check", report.seen, total)
    examples.set_states(changes)
    repeats = _repeats(examples, passed, embedder, against, progress)
    for name in repeats.values():
        report.dropped[name.partition(":")[0]] += 1
    report.kept -= len(repeats)
    examples.set_states(
        (one.id, "dropped", repeats[one.id]) if one.id in repeats else (one.id, "kept", "") for one in passed
    )


def with_sources(store: Store, examples: Iterable[QAExample]) -> Iterator[tuple[QAExample, list[Hit]]]:
    """Each example with its chunks; of a monograph all chunks of the record, as the app shows them."""
    batch: list[QAExample] = []
    for example in examples:
        batch.append(example)
        if len(batch) >= _BATCH:
            yield from _looked_up(store, batch)
            batch = []
    yield from _looked_up(store, batch)


def _looked_up(store: Store, batch: Sequence[QAExample]) -> Iterator[tuple[QAExample, list[Hit]]]:
    found = chunks_of(store, [source.chunk_id for example in batch for source in example.sources])
    documents = store.documents_by_id(chunk.document for chunk in found.values())
    known: dict[tuple[str, int], list[Chunk]] = {}
    for example in batch:
        chunks = [found[source.chunk_id] for source in example.sources if source.chunk_id in found]
        if chunks and example.unit.startswith("drug:") and chunks[0].pages:
            key = (chunks[0].document, chunks[0].pages[0])
            if key not in known:
                known[key] = store.chunks_on_page(*key)
            chunks = known[key]
        yield example, hits_of(chunks, documents)


def _asked(example: QAExample, *, fresh: bool) -> _Asked:
    return _Asked(example.id, example.question, example.unit, example.topic, fresh)


def _repeats(
    examples: Examples,
    passed: Sequence[_Asked],
    embedder: Embedder | None,
    against: Sequence[str],
    progress: Progress | None,
) -> dict[str, str]:
    """'filter: reason' of every fresh example that repeats an earlier one, or a question of an evaluation set."""
    if not passed:
        return {}
    earlier = [_asked(example, fresh=False) for example in examples.stream(Selection(states=("kept", "accepted")))]
    every = [*(_Asked("", text, "", "", False) for text in against), *earlier, *passed]
    found: dict[str, str] = {}

    def apart(first: int, second: int) -> bool:
        one, two = every[first], every[second]
        if numbers_differ(one.question, two.question):
            return True
        if not one.unit or "drug:" not in one.unit + two.unit:
            return False
        return one.unit != two.unit or bool(one.topic and two.topic and one.topic != two.topic)

    def note(name: str, repeats: np.ndarray, at: Sequence[int]) -> None:
        for index, other in enumerate(repeats):
            mine = every[at[index]]
            if other >= 0 and mine.fresh and mine.id not in found:
                of = every[at[int(other)]]
                found[mine.id] = f"{name}: repeats {of.id or 'an evaluation question'}: {of.question[:80]}"

    everything = range(len(every))
    texts = [one.question for one in every]
    if progress:
        progress("duplicates", 0, len(every))
    note("exact", exact_repeats(texts), everything)
    note("near", near_repeats(texts, apart=apart), everything)
    if embedder is not None:
        at = [i for i in everything if every[i].id not in found and embedder.grades(_language(every[i]))]
        vectors = _encoded(embedder, [texts[i] for i in at], progress)
        note("meaning", same_meaning(vectors, apart=lambda a, b: apart(at[a], at[b])), at)
    return found


def _language(one: _Asked) -> Language:
    return language_of(one.question)


def _encoded(embedder: Embedder, texts: Sequence[str], progress: Progress | None) -> np.ndarray:
    parts = []
    for start in range(0, len(texts), 512):
        parts.append(embedder.encode(texts[start : start + 512], question=True))
        if progress:
            progress("vectors", min(start + 512, len(texts)), len(texts))
    return np.concatenate(parts) if parts else np.empty((0, embedder.dimension), np.float32)
