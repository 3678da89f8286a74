"""Where an answer's documents disagree, or are out of date: the finished answer in, its conflicts out.

Two sentences of different documents disagree when they say much the same of the same subject and people but give other
numbers of one unit. That is looked for beside what was quoted, among the passages at hand. It is a check of surfaces,
and kept narrow: sentences with many numbers (a whole dosage section) are not compared. A cited edition that has been
replaced is told with the newer one beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from kb import records
from kb.extract import cite, terms
from kb.sentences import sentence_spans
from kb.support import drug_names, values
from kb.terms import language_of
from kb.types import Answer, Citation, Conflict, Document, Hit, Language, Side

ALIKE = 0.6
"""Two sentences speak of the same when they share this part of the shorter one's terms (numbers left out)."""
FEWEST_TERMS = 4
MOST_VALUES = 4
MOST_CONFLICTS = 3

Newer = Callable[[Document], Document | None]
"""The published edition that replaces a document, if there is one."""
Passages = Callable[[Document], Sequence[Hit]]
"""What that edition says to the question."""

_PEOPLE = re.compile(
    r"儿童|小儿|婴|新生儿|成人|成年|老年|老人|孕妇|妊娠|哺乳|男|女|肾功能|肝功能|透析|初始|起始|维持|最大|最高|首剂|负荷|单次|静脉|口服|肌内|皮下"
    r"|\b(?:child(?:ren)?|infants?|neonates?|adults?|elderly|older|pregnan\w+|lactat\w+|m[ae]n|wom[ae]n|renal|hepatic|dialysis"
    r"|initial|starting|maintenance|maximum|loading|single|intravenous|oral|subcutaneous|intramuscular|before|after)\b",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_TOLD_VALUES: dict[Language, str] = {
    "zh": "不同文件的数值不一致：{sides}。请核对原文。",
    "en": "The documents give different figures: {sides}. Check the originals.",
}
_TOLD_SUPERSEDED: dict[Language, str] = {
    "zh": "所引的{old}已被{new}取代，请以新版为准。",
    "en": "{old}, cited here, has been replaced by {new}: go by the newer edition.",
}
_SIDE: dict[Language, str] = {"zh": "{document}第 {page} 页为 {values}", "en": "{document}, page {page}: {values}"}
_NO_DATE: dict[Language, str] = {"zh": "未注明日期", "en": "no date noted"}


def find_conflicts(
    question: str, answer: Answer, newer: Newer | None = None, passages: Passages | None = None
) -> tuple[Conflict, ...]:
    """The conflicts of a finished answer, superseded documents first."""
    if answer.abstained or not answer.citations:
        return ()
    language = language_of(question)
    found = [*_superseded(answer, language, newer, passages), *_disagreements(question, answer, language)]
    return tuple(found[:MOST_CONFLICTS])


def _superseded(
    answer: Answer, language: Language, newer: Newer | None, passages: Passages | None
) -> Iterator[Conflict]:
    documents = {hit.document.id: hit.document for hit in answer.hits}
    seen: set[str] = set()
    for citation in answer.citations:
        old = documents.get(citation.document)
        replaced_by = newer(old) if newer and old and old.id not in seen else None
        if old is None or replaced_by is None:
            continue
        seen.add(old.id)
        told = _TOLD_SUPERSEDED[language].format(old=_named(old, language), new=_named(replaced_by, language))
        yield Conflict("superseded", told, (*_newer_side(replaced_by, passages), _side(citation, old)))


def _newer_side(document: Document, passages: Passages | None) -> Iterator[Side]:
    for hit in (passages(document) if passages else ())[:1]:
        yield _side(replace(cite(hit, 1, 0, len(hit.chunk.text)), n=0), document)


def _disagreements(question: str, answer: Answer, language: Language) -> Iterator[Conflict]:
    told: set[tuple[str, str]] = set()
    for citation in answer.citations:
        mine = answer.hits[citation.n - 1]
        ours = _by_unit(citation.quote)
        about = _about(citation.quote)
        if not ours or len(about) < FEWEST_TERMS:
            continue
        for n, hit in enumerate(answer.hits, 1):
            pair = (mine.document.id, hit.document.id)
            if (
                hit.document.id == mine.document.id
                or pair in told
                or not _same_subject(question, mine, hit, answer.hits)
            ):
                continue
            other = _opposite(citation.quote, ours, about, hit)
            if other is None:
                continue
            start, end, theirs = other
            told |= {pair, pair[::-1]}
            sides = (
                _side(citation, mine.document, tuple(written for u in theirs for written in ours[u].values())),
                _side(
                    cite(hit, n, start, end),
                    hit.document,
                    tuple(written for u in theirs for written in _by_unit(hit.chunk.text[start:end])[u].values()),
                ),
            )
            newest = tuple(sorted(sides, key=lambda side: side.issued, reverse=True))
            yield Conflict("values", _told_values(newest, answer.hits, language), newest)


def _opposite(
    quote: str, ours: dict[str, dict[float, str]], about: frozenset[str], hit: Hit
) -> tuple[int, int, list[str]] | None:
    """The sentence of the hit that says the same with other numbers, and the units of those."""
    for start, end in sentence_spans(hit.chunk.text):
        text = hit.chunk.text[start:end]
        theirs = _by_unit(text)
        words = _about(text)
        shorter = min(len(about), len(words))
        if not theirs or shorter < FEWEST_TERMS or len(about & words) < ALIKE * shorter:
            continue
        if _people(quote) != _people(text) or set(drug_names(quote)) != set(drug_names(text)):
            continue
        shared = ours.keys() & theirs.keys()
        differing = [unit for unit in ours if unit in shared and not ours[unit].keys() & theirs[unit].keys()]
        if differing:
            return start, end, differing
    return None


def _by_unit(text: str) -> dict[str, dict[float, str]]:
    """The numbers of a text by unit, as they are written; none where there are too many to compare."""
    found = [value for value in values(text) if value.unit]
    if len(found) > MOST_VALUES:
        return {}
    by_unit: dict[str, dict[float, str]] = {}
    for value in found:
        by_unit.setdefault(value.unit, {})[value.number] = value.written
    return by_unit


def _about(text: str) -> frozenset[str]:
    return frozenset(term for term in terms(text) if not _DIGIT.search(term))


def _people(text: str) -> frozenset[str]:
    return frozenset(found.lower() for found in _PEOPLE.findall(text))


def _same_subject(question: str, mine: Hit, other: Hit, hits: Sequence[Hit]) -> bool:
    """Monographs must be of the drug asked for, both of them; of other passages the sentences themselves tell."""
    if records.is_record(mine) != records.is_record(other):
        return False
    if not records.is_record(mine):
        return True
    listed = list(hits)
    both = [
        record for record in records.records(listed) if {listed.index(mine), listed.index(other)} & {*record.indices}
    ]
    return len(both) == 2 and all(records.name_asked(question, record, listed) for record in both)


def _side(citation: Citation, document: Document, written: tuple[str, ...] = ()) -> Side:
    return Side(citation, document.edition, document.issued, written)


def _told_values(sides: Sequence[Side], hits: Sequence[Hit], language: Language) -> str:
    documents = {hit.document.id: hit.document for hit in hits}
    shown = [
        _SIDE[language].format(
            document=_named(documents[side.citation.document], language),
            page=side.citation.page,
            values=("、" if language == "zh" else ", ").join(side.values),
        )
        for side in sides
    ]
    return _TOLD_VALUES[language].format(sides=("；" if language == "zh" else "; ").join(shown))


def _named(document: Document, language: Language) -> str:
    """Title, edition and date of a document."""
    title = document.title or document.file
    rest = [part for part in (document.edition, document.issued or _NO_DATE[language]) if part]
    if language == "zh":
        return f"《{title}》（{'，'.join(rest)}）"
    return f"“{title}” ({', '.join(rest)})"
