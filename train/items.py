"""What to ask about: the library's passages, kept examples, or nothing but a wish, each with its drawn wish.

The draw is by the passage's own hash, so the same command asks the same requests and the journal knows them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from kb.schema import chunks
from kb.store import Store
from kb.types import Document, Hit, Language, QAExample
from train.examples import Examples, Selection
from train.tasks import Item, Task
from train.tasks.harmless import KINDS

SHORTEST_PASSAGE = 60
"""Characters below which a passage holds nothing to ask about."""
_BATCH = 200

TOPICS: dict[Language, dict[str, str]] = {
    "zh": {
        "definition": "定义",
        "indication": "适应证",
        "contraindication": "禁忌与慎用",
        "dose": "剂量与用法",
        "mechanism": "机制",
        "differential": "鉴别",
        "procedure": "操作与流程",
        "comparison": "比较",
        "numeric": "数值与界限",
    },
    "en": {
        "definition": "definition",
        "indication": "indication",
        "contraindication": "contraindication and caution",
        "dose": "dose and administration",
        "mechanism": "mechanism",
        "differential": "differential diagnosis",
        "procedure": "procedure",
        "comparison": "comparison",
        "numeric": "numbers and thresholds",
    },
}
PERSONAS: dict[Language, dict[str, str]] = {
    "zh": {"clinician": "临床医生", "student": "医学生", "patient": "患者"},
    "en": {"clinician": "a clinician", "student": "a medical student", "patient": "a patient"},
}
DIFFICULTIES: dict[Language, dict[str, str]] = {
    "zh": {"easy": "容易", "medium": "中等", "hard": "困难"},
    "en": {"easy": "easy", "medium": "medium", "hard": "hard"},
}


@dataclass(frozen=True, slots=True)
class Mix:
    """Weights by name; empty means all alike. `n` is how many objects a request asks for (0: as the task says)."""

    topics: Mapping[str, float] = field(default_factory=dict)
    personas: Mapping[str, float] = field(default_factory=dict)
    difficulties: Mapping[str, float] = field(default_factory=dict)
    n: int = 0


def items_for(
    task: Task, store: Store, documents: Sequence[Document], mix: Mix, languages: Sequence[Language], most: int
) -> Iterator[Item]:
    """The items of a task, read page by page."""
    if task.needs == "passage":
        return passages(store, documents, mix, languages)
    if task.needs == "example":
        return grown(store, documents, mix)
    return wishes(mix, languages, most or 60)


def passages(store: Store, documents: Sequence[Document], mix: Mix, languages: Sequence[Language]) -> Iterator[Item]:
    """Every passage of these documents that is long enough."""
    by_id = {document.id: document for document in documents if document.state == "ready"}
    after = 0
    while True:
        query = sa.select(chunks.c.number).where(chunks.c.number > after, chunks.c.document.in_(list(by_id)))
        with store.reading() as connection:
            numbers = list(connection.execute(query.order_by(chunks.c.number).limit(_BATCH)).scalars())
        if not numbers:
            return
        found = store.chunks_by_number(numbers)
        for number in numbers:
            chunk = found.get(number)
            if chunk and len(chunk.text) >= SHORTEST_PASSAGE and chunk.language in languages:
                yield Item(
                    chunk.language, Hit(chunk, by_id[chunk.document], 1.0), None, _wish(chunk.id, mix, chunk.language)
                )
        after = numbers[-1]


def grown(store: Store, documents: Sequence[Document], mix: Mix) -> Iterator[Item]:
    """Every kept or accepted single question of these documents, with the passage it rests on."""
    by_id = {document.id: document for document in documents if document.state == "ready"}
    selection = Selection(states=("kept", "accepted"), tasks=("qa",))
    pending: list[QAExample] = []
    for example in Examples(store).stream(selection):
        if example.answerable and example.document in by_id:
            pending.append(example)
        if len(pending) >= _BATCH:
            yield from _with_passages(store, pending, by_id, mix)
            pending = []
    yield from _with_passages(store, pending, by_id, mix)


def _with_passages(
    store: Store, examples: Sequence[QAExample], by_id: Mapping[str, Document], mix: Mix
) -> Iterator[Item]:
    from train.examples import chunks_of

    found = chunks_of(store, [example.sources[0].chunk_id for example in examples])
    for example in examples:
        chunk = found.get(example.sources[0].chunk_id)
        if chunk is not None:
            wish = {"n": mix.n} if mix.n else {}
            yield Item(example.language, Hit(chunk, by_id[example.document], 1.0), example, wish)


def wishes(mix: Mix, languages: Sequence[Language], count: int) -> Iterator[Item]:
    """`count` requests that rest on no passage, the kinds in turn."""
    for at in range(count):
        language = languages[at % len(languages)]
        kinds = KINDS[language]
        yield Item(language, wish={"topic": kinds[at // len(languages) % len(kinds)], "round": at, "n": mix.n or 2})


def _wish(key: str, mix: Mix, language: Language) -> dict[str, object]:
    wish: dict[str, object] = {
        "topic": TOPICS[language][_drawn(f"topic/{key}", mix.topics, TOPICS[language])],
        "persona": PERSONAS[language][_drawn(f"persona/{key}", mix.personas, PERSONAS[language])],
        "difficulty": DIFFICULTIES[language][_drawn(f"difficulty/{key}", mix.difficulties, DIFFICULTIES[language])],
    }
    if mix.n:
        wish["n"] = mix.n
    return wish


def _drawn(key: str, weights: Mapping[str, float], names: Mapping[str, str]) -> str:
    """A name, drawn by the key's hash in proportion to its weight."""
    shares = {name: weights.get(name, 0.0) for name in names} if weights else dict.fromkeys(names, 1.0)
    point = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64 * sum(shares.values())
    for name, share in shares.items():
        point -= share
        if point < 0:
            return name
    return next(reversed(shares))
