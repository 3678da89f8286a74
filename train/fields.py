"""Monographs in, question–answer examples out, with no model: a field becomes a question, its value the answer.

A drug is asked for only by a name that no other record in the library bears: 阿司匹林 stands in two records with two
doses, so neither is asked about by that name. Answers are verbatim. Unanswerable questions come from fields that are
blank or 尚不明确, and from fields that a record lacks while no word in it speaks of them (one a record at most).
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from kb import records
from kb.prompts import NOT_MENTIONED
from kb.store import Store
from kb.types import Chunk, Document, Hit, QAExample
from train.examples import Examples, identified, source_of, unit_of

VERSION = 2
"""Raised whenever the templates change."""
_BATCH = 500

TEMPLATES: dict[str, tuple[str, ...]] = {
    "用法用量": ("{name}的用法用量是什么？", "{name}怎么使用，用量是多少？", "{name}应该如何服用或使用？"),
    "不良反应": ("{name}有哪些不良反应？", "使用{name}可能出现什么副作用？", "{name}的不良反应是什么？"),
    "禁忌证": ("{name}有哪些禁忌？", "哪些情况下禁用{name}？", "{name}的禁忌证是什么？"),
    "适应证": ("{name}的适应证是什么？", "{name}主治什么病？", "{name}用于治疗什么？"),
    "药物相互作用": (
        "{name}与其他药物有什么相互作用？",
        "{name}与其他药合用有什么影响？",
    ),
    "注意事项": ("使用{name}有哪些注意事项？", "{name}的注意事项是什么？", "用{name}时应注意什么？"),
    "英文名": ("{name}的英文名是什么？", "{name}的英文名称是什么？"),
    "别名": ("{name}有哪些别名？", "{name}又叫什么名称？"),
    "剂型": ("{name}有哪些剂型？", "{name}有哪些剂型和规格？"),
    "药品类型": ("{name}属于哪一类药？", "{name}的药品类型是什么？"),
    "药动学": ("{name}的药动学特点是什么？", "{name}的药代动力学如何？"),
    "药理作用": ("{name}的药理作用有哪些？", "{name}的作用机制是怎样的？"),
    "专家点评": ("关于{name}的专家点评是什么？", "{name}的专家点评说了什么？"),
}
_ASKS_NAMES = ("英文名", "别名")
_MAY_BE_ABSENT = ("不良反应", "药物相互作用", "药动学", "药理作用", "英文名", "别名")
_BY_ALIAS_EVERY = 3
"""Every third question, as the hash falls, uses an alias if there is a usable one."""


@dataclass(slots=True)
class FieldsReport:
    """What a run saw; `skipped` counts per reason what gave no example."""

    records: int = 0
    made: int = 0
    unanswerable: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


def generate(
    store: Store, documents: Sequence[Document], report: FieldsReport, *, per_field: int = 1
) -> Iterator[QAExample]:
    """Examples of all monograph documents, record by record; `per_field` questions for each field."""
    bearers = _bearers(store, documents)
    for document in documents:
        for number, record, parts in _records(store, document):
            report.records += 1
            names = [name for name in record.names if bearers[_key(name)] == 1 and _usable(name)]
            if not names:
                report.skipped["no name of its own"] += 1
                continue
            for field_name, lines in _by_field(record.lines).items():
                if field_name not in TEMPLATES:
                    report.skipped[f"no template: {field_name}"] += 1
                    continue
                asked = names[:1] if field_name in _ASKS_NAMES else names
                chunks = [parts[line.index].chunk for line in lines]
                value = field_value(lines, parts)
                for nth in range(min(per_field, len(TEMPLATES[field_name]))):
                    yield _example(document, number, field_name, value, chunks, asked, nth, report)
            absent = _absent_field(record, parts)
            if absent:
                yield _example(document, number, absent, "", [hit.chunk for hit in parts], names[:1], 0, report)


def generate_into(
    store: Store,
    documents: Sequence[Document],
    report: FieldsReport,
    *,
    per_field: int = 1,
    progress: Callable[[FieldsReport], None] = lambda report: None,
) -> int:
    """Keep the examples of `generate` in the library, some hundreds at once; returns how many of them were new."""
    examples = Examples(store)
    made = generate(store, documents, report, per_field=per_field)
    new = 0
    while batch := list(itertools.islice(made, _BATCH)):
        new += examples.add(batch)
        progress(report)
    return new


def field_value(lines: Sequence[records.FieldLine], hits: Sequence[Hit]) -> str:
    """The field's value, its parts in several chunks joined as they stood."""
    parts = [hits[line.index].chunk.text[line.value_start : line.end].strip() for line in lines]
    return "\n".join(part for part in parts if part)


def _example(
    document: Document,
    number: int,
    name: str,
    value: str,
    chunks: Sequence[Chunk],
    names: Sequence[str],
    nth: int,
    report: FieldsReport,
) -> QAExample:
    seed = int.from_bytes(hashlib.sha256(f"{document.id}/{number}/{name}".encode()).digest()[:4], "big")
    templates = TEMPLATES[name]
    aliases = names[1:]
    by_alias = bool(aliases) and (seed + nth) % _BY_ALIAS_EVERY == 0
    asked = aliases[seed // 7 % len(aliases)] if by_alias else names[0]
    stated = not records.unstated(value)
    report.made += 1
    report.unanswerable += not stated
    return identified(
        QAExample(
            id="",
            task="qa",
            language="zh",
            document=document.id,
            unit=unit_of(document, chunks[0]),
            sources=tuple(source_of(chunk) for chunk in dict.fromkeys(chunks)),
            question=templates[(seed + nth) % len(templates)].format(name=asked),
            answers=(value if stated else NOT_MENTIONED["zh"],),
            answerable=stated,
            topic=name,
            generator="fields",
            prompt=f"fields/{VERSION}",
        )
    )


def _absent_field(record: records.Record, parts: Sequence[Hit]) -> str:
    """A field that the record neither has nor speaks of in other words; '' if there is none."""
    present = {line.field for line in record.lines}
    spoken_of = records.asked_fields("\n".join(hit.chunk.text for hit in parts))
    absent = [name for name in _MAY_BE_ABSENT if name not in present and name not in spoken_of]
    return absent[len(record.name) % len(absent)] if absent else ""


def _bearers(store: Store, documents: Iterable[Document]) -> Counter[str]:
    """How many records bear each name."""
    count: Counter[str] = Counter()
    for document in documents:
        for _, record, _ in _records(store, document):
            count.update({_key(name) for name in record.names})
    return count


def _records(store: Store, document: Document) -> Iterator[tuple[int, records.Record, list[Hit]]]:
    """(number, record, its chunks as hits in reading order) of each record."""
    for number in range(1, document.pages + 1):
        parts = [Hit(chunk, document, 0.0) for chunk in store.chunks_on_page(document.id, number)]
        found = records.records(parts)
        if found:
            yield number, found[0], parts


def _by_field(lines: Iterable[records.FieldLine]) -> dict[str, list[records.FieldLine]]:
    """The lines of each field. A field that stands twice in a record gives one example with both."""
    grouped: dict[str, list[records.FieldLine]] = {}
    for line in lines:
        grouped.setdefault(line.field, []).append(line)
    return grouped


def _key(name: str) -> str:
    return "".join(name.split()).lower()


def _usable(name: str) -> bool:
    """A name someone would ask by: not a fragment, not a sentence."""
    return 2 <= len(name) <= 40 and any(map(str.isalpha, name)) and not set(name) & set("【】；;：:。")


def is_monographs(document: Document) -> bool:
    """Whether this generator has something to do with it."""
    return document.kind == "monographs" and document.state == "ready"
