"""An example in, the passages it is trained with out: its own, and hard distractors that our own retriever found.

After RAFT (Zhang et al., "RAFT: Adapting Language Model to Domain Specific RAG", 2024), with one change: where the
oracle is left out, the target is the abstention, never the answer, because the app must not answer from memory.
A distractor comes from the same split (a test drug is not read during training) and must not hold the answer.
"""

from __future__ import annotations

import hashlib
import random
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from kb import records
from kb.prompt_formats import ContextKind, field_text, split_field
from kb.retrieve import Retriever
from kb.store import Store
from kb.types import Chunk, Document, Hit, QAExample, Source
from train.examples import source_of, unit_of

Search = Callable[[str], Sequence[Hit]]


@dataclass(frozen=True, slots=True)
class ContextPlan:
    """How contexts are made: whole passages as the app shows them, single fields (for small models), or none.

    `without_oracle` is the share of answerable examples whose passages are withheld.
    """

    kind: ContextKind = "passages"
    distractors: int = 3
    without_oracle: float = 0.1
    longest: int = 0
    """Of single fields: characters of the longest value shown, and of the longest asked for; 0: any."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Contexts:
    """What the model is shown, in order, and which of it the answer rests on (indices); `answerable` from that."""

    hits: tuple[Hit, ...] = ()
    sources: tuple[Source, ...] = ()
    """The chunk that each hit is (or was cut from), with the hash of that chunk's whole text."""
    oracles: tuple[int, ...] = ()
    answerable: bool = True


def make_contexts(
    example: QAExample,
    oracles: Sequence[Hit],
    plan: ContextPlan,
    search: Search,
    same_split: Callable[[str], bool],
    record: Sequence[Hit] = (),
) -> Contexts:
    """The contexts of one example; the same every time.

    `oracles` are the chunks it rests on, with their document. `record` are all chunks of its monograph, which the app
    shows together: the drug's other name, by which it may be asked about, stands in another chunk than the dose.
    """
    if plan.kind == "none" or not oracles:
        return Contexts(answerable=example.answerable)
    chooser = random.Random(_seed(plan.seed, example.id))
    withheld = example.answerable and not example.messages and chooser.random() < plan.without_oracle
    found = [hit for hit in search(example.question) if same_split(unit_of(hit.document, hit.chunk))]
    if plan.kind == "fields" and example.unit.startswith("drug:"):
        own = _own_fields(example, record or oracles)
        pool = own[1:] + _fields_of_others(example, found)
        shown = own[:1]
    else:
        shown = list(record or oracles)
        pool = found
    if plan.kind == "fields" and plan.longest:
        pool = [hit for hit in pool if _value_length(hit) <= plan.longest]
    others = [hit for hit in pool if _is_distractor(hit, example, shown, withheld)]
    hits = ([] if withheld else shown) + _hardest(others, plan.distractors, chooser, plan.kind)
    withheld = withheld and bool(hits)  # with nothing else to show, the oracle is shown after all
    hits = hits or shown
    chooser.shuffle(hits)
    rests_on = shown if plan.kind == "fields" else oracles
    at = tuple(index for index, hit in enumerate(hits) if hit in rests_on)
    whole = {hit.chunk.id: source_of(hit.chunk) for hit in (*found, *oracles, *record)}
    sources = tuple(whole[hit.chunk.id] for hit in hits)
    return Contexts(tuple(hits), sources, at, example.answerable and not withheld)


def _seed(seed: int, key: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{key}".encode()).digest()[:8], "big")


def _value_length(hit: Hit) -> int:
    field = split_field(hit.chunk.text)
    return len(field[2] if field else hit.chunk.text)


def _hardest(pool: Sequence[Hit], most: int, chooser: random.Random, kind: ContextKind) -> list[Hit]:
    """The best found; of single fields a mix, since the first are all of the same drug."""
    if kind == "fields":
        near = list(pool)
        chooser.shuffle(near)
        return near[:most]
    return list(pool[:most])


def _is_distractor(hit: Hit, example: QAExample, oracles: Sequence[Hit], withheld: bool) -> bool:
    """Not an oracle, and without the answer.

    Where the oracle is withheld or there is no answer, nothing of the same drug or document may stand there at all:
    another passage of it could hold the answer in other words.
    """
    if any(hit.chunk == oracle.chunk for oracle in oracles):
        return False
    if (withheld or not example.answerable) and unit_of(hit.document, hit.chunk) == example.unit:
        return example.topic != "" and _states_other_field(hit, example.topic)
    return not any(_holds(hit.chunk.text, answer) for answer in example.answers)


def _states_other_field(hit: Hit, topic: str) -> bool:
    """A single field, cut out of a monograph, that is not the one asked for."""
    found = records.records([hit])
    lines = found[0].lines if found else ()
    return len(lines) == 1 and lines[0].field != topic


def _holds(text: str, answer: str) -> bool:
    return "".join(answer.split()) in "".join(text.split())


def _own_fields(example: QAExample, oracles: Sequence[Hit]) -> list[Hit]:
    """The field asked for, then the other fields of the record, each cut out as a small passage of its own."""
    found = records.records(oracles)
    if not found:
        return list(oracles)
    bears = found[0].name
    asked = max((name for name in found[0].names if name in example.question), key=len, default=bears)
    title = bears if asked == bears else f"{bears}（{asked}）"
    mine: list[Hit] = []
    rest: list[Hit] = []
    for name in dict.fromkeys(line.field for line in found[0].lines):
        lines = [line for line in found[0].lines if line.field == name]
        hit = _cut(title, name, "\n".join(_values(lines, oracles)), oracles[lines[0].index])
        (mine if name == example.topic else rest).append(hit)
    return mine + rest


def _values(lines: Sequence[records.FieldLine], hits: Sequence[Hit]) -> list[str]:
    return [hits[line.index].chunk.text[line.value_start : line.end].strip() for line in lines]


def _fields_of_others(example: QAExample, found: Sequence[Hit]) -> list[Hit]:
    """The same field of the drugs that the retriever took for this one."""
    made: list[Hit] = []
    for hit in found:
        if unit_of(hit.document, hit.chunk) == example.unit:
            continue
        for record in records.records([hit]):
            lines = [line for line in record.lines if line.field == example.topic]
            if lines:
                made.append(_cut(record.name, example.topic, "\n".join(_values(lines, [hit])), hit))
    return made


def _cut(name: str, field: str, value: str, hit: Hit) -> Hit:
    return replace(hit, chunk=replace(hit.chunk, text=field_text(name, field, value)))


class PassageSearch:
    """The retriever's search for thousands of questions: passages that were found lately are not read again."""

    def __init__(self, store: Store, retriever: Retriever, *, most: int = 20_000) -> None:
        self._store = store
        self._retriever = retriever
        self._known: OrderedDict[int, Hit] = OrderedDict()
        self._most = most

    def __call__(self, question: str, k: int) -> list[Hit]:
        """The k best passages, best first."""
        candidates = self._retriever.candidates(question)[:k]
        self._read([candidate.number for candidate in candidates if candidate.number not in self._known])
        hits = [self._known[candidate.number] for candidate in candidates if candidate.number in self._known]
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return hits

    def _read(self, numbers: Sequence[int]) -> None:
        chunks = self._store.chunks_by_number(numbers)
        documents = self._store.documents_by_id(chunk.document for chunk in chunks.values())
        for number, chunk in chunks.items():
            document = documents.get(chunk.document)
            if document is not None and document.state == "ready":
                self._known[number] = Hit(chunk, document, 0.0)


def hits_of(chunks: Sequence[Chunk], documents: Mapping[str, Document]) -> list[Hit]:
    """Chunks as hits, in the order given; those whose document is gone are left out."""
    return [Hit(chunk, documents[chunk.document], 1.0) for chunk in chunks if chunk.document in documents]
