"""A question about a monograph in, the whole lines of the field it asks for out, or which field states nothing.

A field is quoted only from the record of the very drug that was asked about: see kb.records.
"""

from __future__ import annotations

from dataclasses import replace

from kb import records
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
    longest = max(len(name) for _, name in own)
    asked = [(record, name) for record, name in own if len(name) == longest] or own
    return _fields_of(question, asked[: records.MOST_RECORDS], fields, language, hits)


def _fields_of(
    question: str, asked: list[tuple[records.Record, str]], fields: list[str], language: Language, hits: list[Hit]
) -> Answer:
    """The asked fields of the asked drugs: whole lines, and a note for each that states nothing."""
    labels: dict[Quote, str] = {}
    missing: list[tuple[str, Citation | None]] = []
    quoted: set[str] = set()
    for record, name in asked:
        plain = name == record.name and len(asked) == 1 and not records.form_named(question, name)
        for field in fields:
            lines = [line for line in record.lines if line.field == field]
            stated = [line for line in lines if not records.unstated(_value(line, hits))]
            for line in stated:
                said = squeezed(_value(line, hits))
                if said not in quoted:  # two records of one drug often say the same
                    quoted.add(said)
                    labels[Quote(line.index, line.start, line.end)] = "" if plain else record.name
            if not stated:
                missing.append(_missing(name, field, lines, language, hits))
    notes = "\n".join(text for text, _ in missing)
    unstated = tuple(citation for _, citation in missing if citation)
    if not labels:
        return abstained(notes, hits, unstated)
    answer = compose(list(labels), hits, language, labels)
    if not missing:
        return answer
    return replace(answer, text=f"{answer.text}\n{notes}", citations=answer.citations + unstated)


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
