"""Where an answer's documents disagree, or are out of date: the finished answer in, its conflicts out.

Two sentences of different documents disagree when they say much the same of the same subject and people but give other
numbers of one unit. That is looked for beside what was quoted, among the passages at hand. It is a check of surfaces,
and kept narrow: sentences with many numbers (a whole dosage section) are not compared. A cited edition that has been
replaced is told with the newer one beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from kb import records
from kb.content_terms import terms
from kb.quoting import cite
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
    comparable = _comparable(question, answer.hits)
    sentences = cache(lambda n: _sentences(answer.hits[n - 1].chunk.text))
    told: set[tuple[str, str]] = set()
    for citation in answer.citations:
        mine = answer.hits[citation.n - 1].document
        ours = _said(citation.quote, 0, len(citation.quote))
        if not ours.units or len(ours.about) < FEWEST_TERMS:
            continue
        for n, hit in enumerate(answer.hits, 1):
            pair = (mine.id, hit.document.id)
            if hit.document.id == mine.id or pair in told or not comparable(citation.n, n):
                continue
            theirs = next((one for one in sentences(n) if _differing(ours, one)), None)
            if theirs is None:
                continue
            told |= {pair, pair[::-1]}
            units = _differing(ours, theirs)
            sides = (
                _side(citation, mine, ours.written(units)),
                _side(cite(hit, n, theirs.start, theirs.end), hit.document, theirs.written(units)),
            )
            newest = tuple(sorted(sides, key=lambda side: side.issued, reverse=True))
            yield Conflict("values", _told_values(newest, answer.hits, language), newest)


@dataclass(frozen=True, slots=True)
class _Said:
    """A sentence [start, end) of a text as it is compared with others."""

    start: int
    end: int
    text: str
    units: Mapping[str, Mapping[float, str]]
    about: frozenset[str]

    def written(self, units: Sequence[str]) -> tuple[str, ...]:
        """Its numbers of these units, as they stand there."""
        return tuple(written for unit in units for written in self.units[unit].values())


def _sentences(text: str) -> list[_Said]:
    return [_said(text, start, end) for start, end in sentence_spans(text)]


def _said(text: str, start: int, end: int) -> _Said:
    said = text[start:end]
    return _Said(start, end, said, _by_unit(said), _about(said))


def _differing(ours: _Said, theirs: _Said) -> list[str]:
    """The units of which two sentences that say the same give other numbers."""
    shorter = min(len(ours.about), len(theirs.about))
    if not theirs.units or shorter < FEWEST_TERMS or len(ours.about & theirs.about) < ALIKE * shorter:
        return []
    if _people(ours.text) != _people(theirs.text) or set(drug_names(ours.text)) != set(drug_names(theirs.text)):
        return []
    return [
        unit for unit in ours.units if unit in theirs.units and not ours.units[unit].keys() & theirs.units[unit].keys()
    ]


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


def _comparable(question: str, hits: Sequence[Hit]) -> Callable[[int, int], bool]:
    """Whether two hits, by number, may speak of the same subject.

    Monographs must be of the drug asked for, both of them; of other passages the sentences themselves tell.
    """
    found = records.records(hits)
    asked = [record for record in found if records.name_asked(question, record, hits)]
    monographs, asked_for = ({n + 1 for record in some for n in record.indices} for some in (found, asked))
    return lambda one, other: monographs.isdisjoint((one, other)) or {one, other} <= asked_for


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
