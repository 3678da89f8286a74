"""A question about a monograph in, the whole lines of the field it asks for out, or which field states nothing.

A field is quoted only from the record of the very drug that was asked about: see kb.records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from kb import records
from kb.particulars import Particular, particulars, speaking_of
from kb.quoting import ABSTAINED, Quote, abstained, cite, compose, squeezed
from kb.types import Answer, Citation, Hit, Language

_FIELD_ABSTAINED: dict[Language, str] = {
    "zh": "文本中未提及{drug}的{field}。",
    "en": "Not mentioned in the documents: the {field} of {drug}.",
}
_FIELD_UNSTATED: dict[Language, str] = {
    "zh": "文本中未提及{drug}的{field}（原文记为“{value}”）。[{n}]",
    "en": "Not mentioned in the documents: the {field} of {drug} (the record says “{value}”). [{n}]",
}

_NOT_SPOKEN_OF: dict[Language, str] = {
    "zh": "{drug}的条目没有提到“{said}”。",
    "en": "The record of {drug} does not speak of this group of patients ({said}).",
}
_NOT_NAMED: dict[Language, str] = {
    "zh": "{drug}的条目没有直接提到“{said}”（可能写的是所属的类别）。",
    "en": "The record of {drug} does not name {said} (it may name its class).",
}
_ADVICE = ("禁忌证", "注意事项", "用法用量", "药物相互作用")
"""Fields that say who may take a drug, with what, and how much."""
_FOR_WHOM = "禁忌证"
LONG_FIELD = 400
"""Characters of a field from which on only the items on the purpose asked for are quoted ..."""
MOST_LEFT = 0.6
"""... if they are at most this share of it."""


def record_labels(question: str, quotes: list[Quote], hits: list[Hit]) -> dict[Quote, str]:
    """Monograph sentences seldom say which drug they are of: its name goes before them, unless the question has it."""
    names = {index: record.name for record in records.records(hits) for index in record.indices}
    labels = {quote: names.get(quote.index, "") for quote in quotes}
    return {quote: name for quote, name in labels.items() if name and name not in question and quote.start > 0}


def decides(answer: Answer, hits: list[Hit]) -> bool:
    """Whether a monograph's answer stands: it says something, or no guideline or label is there that may."""
    return not answer.abstained or all(map(records.is_record, hits))


def from_records(question: str, language: Language, hits: list[Hit]) -> Answer | None:
    """The answer of a monograph's field, when the question asks for one; None when this is no such question."""
    fields = records.asked_fields(question)
    found = records.records(hits)
    if not fields or not found or records.asks_for_drugs(question):
        return None
    own = [(record, name) for record in found if (name := records.name_asked(question, record, hits))]
    if not own:
        # Another drug's record must not answer; other documents still may.
        return abstained(ABSTAINED[language], hits) if all(records.is_record(hit) for hit in hits) else None
    asked = _whole_names(question, own)[: records.MOST_RECORDS]
    return _fields_of(question, asked, fields, language, hits)


def _whole_names(question: str, own: list[tuple[records.Record, str]]) -> list[tuple[records.Record, str]]:
    """Without records whose name is only a part of another's that is asked about."""
    spans = {name: question.lower().find(name.lower()) for _, name in own}

    def within(name: str, other: str) -> bool:
        return name != other and spans[other] <= spans[name] and (spans[name] + len(name) <= spans[other] + len(other))

    return [(record, name) for record, name in own if not any(within(name, other) for other in spans)]


def _fields_of(
    question: str, asked: list[tuple[records.Record, str]], fields: list[str], language: Language, hits: list[Hit]
) -> Answer:
    """The asked fields of the asked drugs, and a note for each that states nothing.

    Asked about a group of patients or another substance, what speaks of it is quoted from all fields that give advice.
    Where none does, the answer says so and quotes the asked field whole.
    """
    labels: dict[Quote, str] = {}
    not_spoken_of: list[str] = []
    notes: list[str] = []
    unstated: list[Citation] = []
    quoted: set[str] = set()

    def quote(found: Iterable[tuple[Quote, str]]) -> None:
        for one, label in found:
            said = squeezed(_text(one, hits))
            if said not in quoted:  # two records of one drug often say the same
                quoted.add(said)
                labels[one] = label

    spoken = [_speaking(question, record, name, fields, _others(asked, name), hits) for record, name in asked]
    spoken_of = any(one.quotes for one in spoken)
    for (record, name), speaking in zip(asked, spoken, strict=True):
        plain = name == record.name and len(asked) == 1 and not records.form_named(question, name)
        label = "" if plain else record.name
        quote((one, f"{label} {field}".strip()) for one, field in speaking.quotes)
        for one in speaking.missing:
            words = _NOT_SPOKEN_OF if one.kind == "group" else _NOT_NAMED
            not_spoken_of.append(words[language].format(drug=name, said=one.said))
        if speaking.missing and spoken_of and not speaking.quotes:
            continue  # the other drug's record tells
        for field in fields:
            if field in speaking.answered:
                continue
            lines = [line for line in record.lines if line.field == field]
            stated = [line for line in lines if not records.unstated(_value(line, hits))]
            quote((Quote(line.index, line.start, line.end), label) for line in stated)
            if not stated:
                text, citation = _missing(name, field, lines, language, hits)
                notes.append(text)
                unstated += [citation] if citation else []
    if not labels:
        return abstained("\n".join([*not_spoken_of, *notes]), hits, tuple(unstated))
    answer = compose(list(labels), hits, language, labels)
    text = "\n".join([*dict.fromkeys(not_spoken_of), answer.text, *notes])
    return replace(answer, text=text, citations=answer.citations + tuple(unstated))


def _others(asked: list[tuple[records.Record, str]], name: str) -> list[str]:
    return [other for _, other in asked if other != name]


@dataclass(frozen=True, slots=True)
class _Speaking:
    """What a record says of what the question asks in particular."""

    quotes: tuple[tuple[Quote, str], ...] = ()
    """Quotes, each with the field it is from, or '' where the quote is the whole line and begins with it."""
    answered: frozenset[str] = frozenset()
    """Asked fields that need not be quoted whole."""
    missing: tuple[Particular, ...] = ()
    """What the record does not speak of."""


def _speaking(
    question: str, record: records.Record, name: str, fields: list[str], others: list[str], hits: list[Hit]
) -> _Speaking:
    named = [one for one in (name, *record.names) if one.lower() in question.lower()]
    found = particulars(question, named, (records.cue(field) for field in fields), others)
    interacts = records.INTERACTIONS in fields
    whom = [one for one in found if one.kind == "group"]
    what = [one for one in found if one.kind != "group"] if interacts else []
    asked = what or whom
    if not asked:
        return _narrowed(record, fields, [one for one in found if one.kind == "purpose"], hits)
    where = dict.fromkeys([*fields, *_ADVICE])
    quotes: dict[Quote, str] = {}
    missing: list[Particular] = []
    spoken_in: set[str] = set()
    for one in asked:
        before = len(quotes)
        for line in record.lines:
            if line.field in where:
                for at in _items_of(record, line, one, hits):
                    quotes[at[0]] = at[1]
                    spoken_in.add(line.field)
        if len(quotes) == before:
            missing.append(one)
    whole = {records.INTERACTIONS} if interacts else {_FOR_WHOM} if whom else set()
    answered = {field for field in fields if field in spoken_in or (field in whole and quotes and not missing)}
    return _Speaking(tuple(quotes.items()), frozenset(answered), tuple(missing))


def _narrowed(record: records.Record, fields: list[str], purposes: list[Particular], hits: list[Hit]) -> _Speaking:
    """Of one long field, the items that speak of the purpose asked for, if that leaves most of it away."""
    if len(fields) != 1 or not purposes:
        return _Speaking()
    lines = [line for line in record.lines if line.field == fields[0]]
    size = sum(line.end - line.start for line in lines)
    quotes = dict(pair for line in lines for one in purposes for pair in _items_of(record, line, one, hits))
    if size < LONG_FIELD or not 0 < sum(one.end - one.start for one in quotes) <= MOST_LEFT * size:
        return _Speaking()
    return _Speaking(tuple(quotes.items()), frozenset(fields))


def _items_of(
    record: records.Record, line: records.FieldLine, asked: Particular, hits: list[Hit]
) -> Iterator[tuple[Quote, str]]:
    """The items of a field's line that speak of it, each with the field; a line that is one item, as a whole."""
    text = hits[line.index].chunk.text
    for start, end in speaking_of(text, line.value_start, line.end, asked):
        if start <= line.value_start and end >= line.end and line.value_start > line.start:
            yield Quote(line.index, line.start, line.end), ""
        else:
            yield Quote(line.index, start, end), line.field


def _text(quote: Quote, hits: list[Hit]) -> str:
    return hits[quote.index].chunk.text[quote.start : quote.end]


def _value(line: records.FieldLine, hits: list[Hit]) -> str:
    return hits[line.index].chunk.text[line.value_start : line.end]


def _missing(
    drug: str, field: str, lines: list[records.FieldLine], language: Language, hits: list[Hit]
) -> tuple[str, Citation | None]:
    """What to say of a field that the record leaves blank, or leaves out."""
    named = records.IN_ENGLISH.get(field, field) if language == "en" else field
    value = _value(lines[0], hits).strip(" 。.\n") if lines else ""
    if not value:
        return _FIELD_ABSTAINED[language].format(drug=drug, field=named), None
    line = lines[0]
    text = _FIELD_UNSTATED[language].format(drug=drug, field=named, value=value, n=line.index + 1)
    return text, cite(hits[line.index], line.index + 1, line.start, line.end)
