"""A question about a monograph in, the whole lines of the field it asks for out, or which field states nothing.

A field is quoted only from the record of the very drug that was asked about: see kb.records.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from kb import records
from kb.particulars import NUMBERED, Particular, items, particulars, speaking_of
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
_DOSAGE = "用法用量"
_PRECAUTIONS = "注意事项"
_ELSEWHERE = ("适应证", "不良反应", "药动学", "药理作用", "专家点评")
"""Fields that may speak of a group or a substance though they give no advice."""
# A dose asked for so is quoted with its whole field: items seldom say whose age they are for.
_ANY_AGE = re.compile(r"成年?人|大人|\d\s*(?:周?岁|个?月)|\badults?\b|\b(?:years?|months?)[- ]old\b", re.IGNORECASE)
# An item that leans on another one, and what limits all of them.
_LEANS = re.compile(r"酌|减半|减量|[同按照为]成年?人|成年?人的?[剂用]?量|[同如]上|用量同|剂量同|相同")
_LIMITS = re.compile(r"最大|最高|极量|限量|上限|总量|[不未勿][得应宜可能要]?超[过出]")
_LEAD = 40
"""Characters before the first item that belong to all of them: 口服给药：1.成人 … 2.儿童 …"""
LONG_FIELD = 400
"""Characters of a field from which on only the items on what is asked for in particular are quoted ..."""
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
    asked = records.one_of_each(_whole_names(question, own))
    return _fields_of(question, asked, fields, language, hits)


def _whole_names(question: str, own: list[tuple[records.Record, str]]) -> list[tuple[records.Record, str]]:
    """Without records whose name is only a part of another's that is asked about."""

    def standing(name: str) -> bool:
        rest = question.lower()
        for other in {other.lower() for _, other in own if name.lower() in other.lower()} - {name.lower()}:
            rest = rest.replace(other, " ")
        return name.lower() in rest

    return [(record, name) for record, name in own if standing(name)]


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

    spoken = [_speaking(question, record, name, fields, _others(asked, record, name), hits) for record, name in asked]
    told = {(name, said) for (_, name), one in zip(asked, spoken, strict=True) for said in one.found}
    for (record, name), speaking in zip(asked, spoken, strict=True):
        plain = name == record.name and len(asked) == 1 and not records.form_named(question, name)
        label = "" if plain else record.name
        quote((one, f"{label} {field}".strip()) for one, field in speaking.quotes)
        for one in speaking.silent:
            if (name, one.said) not in told and not one.said.isascii():  # Chinese monographs name drugs in Chinese
                words = _NOT_SPOKEN_OF if one.kind == "group" else _NOT_NAMED
                not_spoken_of.append(words[language].format(drug=name, said=one.said))
        if (
            speaking.missing
            and not (speaking.quotes or speaking.found)
            and all((name, one.said) in told or (one.said, name) in told for one in speaking.missing)
        ):
            continue  # another record of this drug tells, or that of the other drug
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


def _others(asked: list[tuple[records.Record, str]], record: records.Record, name: str) -> dict[str, tuple[str, ...]]:
    """The other drugs, by the names they are asked by, with their further names."""
    return {
        other: tuple(called for called in theirs.names if len(called) >= (4 if called.isascii() else 3))
        for theirs, other in asked
        if other != name and other not in record.names
    }


@dataclass(frozen=True, slots=True)
class _Speaking:
    """What a record says of what the question asks in particular."""

    quotes: tuple[tuple[Quote, str], ...] = ()
    """Quotes, each with the field it is from, or '' where the quote is the whole line and begins with it."""
    answered: frozenset[str] = frozenset()
    """Asked fields that need not be quoted whole."""
    found: frozenset[str] = frozenset()
    """What it speaks of, as it is said."""
    missing: tuple[Particular, ...] = ()
    """What none of its fields that give advice speaks of ..."""
    silent: tuple[Particular, ...] = ()
    """... nor any other."""


def _speaking(
    question: str,
    record: records.Record,
    name: str,
    fields: list[str],
    others: dict[str, tuple[str, ...]],
    hits: list[Hit],
) -> _Speaking:
    named = [one for one in (name, *record.names) if one.lower() in question.lower()]
    found = particulars(question, named, (records.cue(field) for field in fields), others)
    whom = [one for one in found if one.kind == "group"]
    what: list[Particular] = []
    if records.INTERACTIONS in fields:
        what = [
            one for one in found if one.kind == "substance" or (one.kind == "purpose" and not records.is_form(one.said))
        ]
    if not what and not whom:
        return _narrowed(question, record, fields, [one for one in found if one.kind == "purpose"], hits)
    quotes: dict[Quote, tuple[str, str]] = {}
    missing: list[Particular] = []
    silent: list[Particular] = []
    for one in (*what, *whom):
        spoken = _items_in(record, _ADVICE, one, hits)
        if not spoken:
            missing.append(one)
            spoken = {} if one.kind == "purpose" else _items_in(record, _ELSEWHERE, one, hits)
            if not spoken:
                silent.append(one)
        quotes |= spoken
    spoken_in = {field for field, _ in quotes.values()}
    whole = ({records.INTERACTIONS} if what else set()) | ({_FOR_WHOM} if whom else set())
    answered = {
        field for field in fields if field in _ADVICE and (field in spoken_in or (field in whole and not missing))
    }
    if not what or any(one in missing for one in what):  # it may be named by its class
        answered.discard(records.INTERACTIONS)
    if len(_field(record, _PRECAUTIONS, hits).text) < LONG_FIELD:
        answered.discard(_PRECAUTIONS)
    if _DOSAGE in answered:
        alone = _dose_alone(
            question, record, {at: label for at, (field, label) in quotes.items() if field == _DOSAGE}, hits
        )
        quotes |= {at: (_DOSAGE, label) for at, label in alone.items()}
        if not alone:
            answered.discard(_DOSAGE)
    kept = tuple((at, label) for at, (field, label) in quotes.items() if field not in fields or field in answered)
    said = frozenset(one.said for one in (*what, *whom) if one not in missing)
    return _Speaking(kept, frozenset(answered), said, tuple(missing), tuple(silent))


@dataclass(frozen=True, slots=True)
class _Field:
    """A field's value, put together: an item may begin in one chunk and end in the next."""

    name: str
    text: str
    parts: tuple[tuple[int, records.FieldLine], ...]
    """The lines that hold it, each with where its value begins in `text`."""

    def quotes(self, start: int, end: int) -> Iterator[tuple[Quote, str]]:
        """What stands at [start, end) of the text, with the field; of a whole line, its own words begin with it."""
        for at, line in self.parts:
            low, high = max(start - at, 0), min(end - at, line.end - line.value_start)
            if low >= high:
                continue
            if high - low == line.end - line.value_start and line.value_start > line.start:
                yield Quote(line.index, line.start, line.end), ""
            else:
                yield Quote(line.index, line.value_start + low, line.value_start + high), self.name


def _field(record: records.Record, name: str, hits: list[Hit]) -> _Field:
    text = ""
    parts: list[tuple[int, records.FieldLine]] = []
    for line in record.lines:
        if line.field == name:
            parts.append((len(text), line))
            text += _value(line, hits)
    return _Field(name, text, tuple(parts))


def _items_in(
    record: records.Record, fields: Iterable[str], asked: Particular, hits: list[Hit]
) -> dict[Quote, tuple[str, str]]:
    """What speaks of it in the items of these fields, each quote with its field and its label."""
    found: dict[Quote, tuple[str, str]] = {}
    for name in fields:
        field = _field(record, name, hits)
        for start, end in speaking_of(field.text, 0, len(field.text), asked, whole=name == _DOSAGE):
            found |= {one: (name, label) for one, label in field.quotes(start, end)}
    return found


def _dose_alone(question: str, record: records.Record, chosen: dict[Quote, str], hits: list[Hit]) -> dict[Quote, str]:
    """The items of a long dosage that may stand for all of it, with what leads or limits them; none if they may not.

    A short one is not worth the risk, and 小儿酌减 or "the same as for adults" says nothing by itself.
    """
    dose = _field(record, _DOSAGE, hits)
    if len(dose.text) < LONG_FIELD or _ANY_AGE.search(question):
        return {}
    alone = dict(chosen)
    marks = [mark.start() for mark in NUMBERED.finditer(dose.text)]
    if len(marks) < 2 or any(_LEANS.search(_text(one, hits)) for one in alone):
        return {}  # of sentences each may go on with what the one before says
    for start, end in items(dose.text, 0, len(dose.text)):
        if (start < marks[0] and end - start <= _LEAD) or _LIMITS.search(dose.text, start, end):
            alone |= dict(dose.quotes(start, end))
    return alone


def _narrowed(
    question: str, record: records.Record, fields: list[str], purposes: list[Particular], hits: list[Hit]
) -> _Speaking:
    """Of one long field, the items that speak of the purpose asked for, if that leaves most of it away."""
    if len(fields) != 1 or not purposes:
        return _Speaking()
    size = len(_field(record, fields[0], hits).text)
    quotes = {at: label for one in purposes for at, (_, label) in _items_in(record, fields, one, hits).items()}
    if quotes and fields[0] == _DOSAGE:
        quotes = _dose_alone(question, record, quotes, hits)
    if size < LONG_FIELD or not 0 < sum(one.end - one.start for one in quotes) <= MOST_LEFT * size:
        return _Speaking()
    return _Speaking(tuple(quotes.items()), frozenset(fields))


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
