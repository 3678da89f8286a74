"""The extractive engine: question and hits in, the verbatim sentences that answer it out, each cited, or abstention.

No model. A sentence is worth the rarity-weighted share of the question's content terms that it holds (its section
title counts too), with a nudge for what the question calls for: a number, a date, a reason; its meaning where the
embedder knows the language; and how well its passage was found. Terms are Chinese character bigrams and stemmed English
words, so that nothing heavy is loaded and the same input gives the same answer.
Monographs take another path: see kb.records.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kb import records
from kb.content_terms import CJK, HAS_CJK, ZH_STOP, question_terms, terms
from kb.drug_names import drug_names
from kb.embed import Compared
from kb.evidence import (
    Calibration,
    Evidence,
    Lexicon,
    Meaning,
    Text,
    measure,
    nearness,
    share,
    shipped_calibration,
)
from kb.lay_terms import clinical
from kb.monographs import decides, from_records, record_labels
from kb.quoting import ABSTAINED, Quote, abstained, compose, squeezed
from kb.sentences import sentence_spans
from kb.terms import language_of
from kb.types import Answer, Hit

Similarity = Callable[[str, Sequence[str]], Compared]
"""A question held against several sentences by the configured embedder."""

MAX_SENTENCES = 5
MAX_CHARS = 600
ENOUGH = 0.55
"""Least evidence to answer on: the mean share of the question's terms in the best passage and in the best sentence."""
NAME_WEIGHT = 2.5
"""How much a name (a capitalised word, a code with digits) counts in that share; any other term counts 1."""
MOST_EMBEDDED = 20
"""Sentences that are compared by meaning, the best by words: embedding is what an English answer waits for."""
FOUND = 0.3
"""The best found passage makes its sentences worth so much more, others less by their share of its score."""
UNENDED = 0.7
"""A line that ends like no sentence (a title, a caption) is worth so much of what it would be; rows of tables apart."""
COMPANION = 0.9
"""A further sentence is quoted when it is worth this much of the best one."""
ADDS = 0.1
"""... or when it brings at least this share of terms that no quoted sentence has, and is worth LOW of the best."""
LOW = 0.85


# What a question calls for, and how a sentence shows it has it.
_NUMBER = re.compile(
    r"\d|[一二三四五六七八九十百千万两半]+(?:个|次|天|日|周|月|年|种|片|粒|岁|倍|公|毫|克|升|度|名|座|位|条)"
    r"|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|half(?!-li)|twice|once)\b",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\d{4}|\d+\s*[年月日天周]|世纪|年代|朝|期间|\b(?:january|february|march|april|june|july|august|september|october"
    r"|november|december|century|days?|weeks?|months?|years?)\b",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"因|由于|由於|导致|導致|所以|为了|為了|使得"
    r"|\b(?:because|due to|since|as a result|owing|therefore|cause[sd]?|lead|result)",
    re.IGNORECASE,
)
_CALLS: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = (
    (
        re.compile(
            r"何时|什么时候|什麼時候|哪一?[年天月日]|幾年|几年|时间|\bwhen\b|\bwhat (?:year|date)", re.IGNORECASE
        ),
        _DATE,
    ),
    (
        re.compile(
            r"多少|几|幾|多[大长長高重久远快]|剂量|用量|\bhow (?:many|much|long|often|large|high|old|far)\b"
            r"|半衰期|比例|摄入量|含量|[上下]限|最[大高低小]|\b(?:dose|dosage|dosed|number|percent|percentage|rate|proportion|prevalence|half-li(?:fe|ves)|maximum|minimum"
            r"|threshold|cut-?off)\b",
            re.IGNORECASE,
        ),
        _NUMBER,
    ),
    (re.compile(r"为什么|為什麼|为何|為何|原因|\bwhy\b|\bcauses?\b|\breasons?\b", re.IGNORECASE), _REASON),
)
# What asks for a count or an amount is answered by a number, in digits or in words, and by nothing else.
_AMOUNT_ASKED = re.compile(
    r"多少|[幾几](?![乎率何])|\bhow (?:many|much)\b|\bwhat (?:percent(?:age)?|proportion|fraction)\b", re.IGNORECASE
)
_ANY_NUMBER = re.compile(rf"{_NUMBER.pattern}|第一|[二三四五六七八九十百千万两半]|\bnone\b|\bzero\b", re.IGNORECASE)
_HOW = re.compile(r"\bhow (?:often|long|large|high|old|far)\b", re.IGNORECASE)  # asks, and names nothing
# What is counted in 多少盐, 几种类型: of two sentences the one that names it is worth more. Units name nothing.
_COUNTED = re.compile(rf"(?:多少|几[种类个])(?:的)?([{CJK}]{{1,4}})(?:[？?。，,]|$)")
# A list of references holds titles of other works: they name everything and state nothing that can be cited from here.
_REFERENCES = re.compile(
    r"^\W*(?:references?|bibliography|(?:literature|works) cited|citations|end ?notes"
    r"|(?:主要)?参考(?:文献|资料)|引用文献)\W*$",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"\bet al\b.{0,20};|\b(?:19|20)\d\d;\s?\d+|\bdoi:|\[[JMDCNP]\]|^\W*\d{1,3}\.\s+(?:[A-Z][\w'-]+ [A-Z]{1,3}[,.] ){2}"
)
# [see Warnings (5.1)] names what is told elsewhere.
_CROSS_REFERENCE = re.compile(
    r"\[\s*(?:see|refer to|参见|详见|见)\b[^\]]*\]|[(（]\s*(?:see|refer to|参见|详见|见)\b[^)）]*[)）]", re.IGNORECASE
)
# Captions, lead-ins and cross-references say where something stands, not what it is.
_POINTS_ELSEWHERE = re.compile(
    r"^\W*(?:see|refer to|table \d|figure \d|参见|详见|见表|[表图]\s*\d)|[:：]$", re.IGNORECASE
)
_ENDED = re.compile(r"[.。!?！？;；…)）\]】\"”’'」』]\s*$")
_CLAUSES = re.compile(r"[，,；;。]")
_UNITS = re.compile(r"^(?:[毫微千]?[克升米]|[天日周月年次片粒岁倍人个种名位元度级]|小时|分钟|公斤|钱|时间)+$")


@dataclass(frozen=True, slots=True)
class _Candidate:
    quote: Quote
    text: str
    told: str
    """Its text in clinical words and without cross-references: the number in (see Table 3) is no dose."""
    terms: frozenset[str]
    """Its terms and its single Chinese characters: a question's 盐 is in 食盐."""
    around: frozenset[str]
    """Terms of its heading, title and neighbours: they tell what the sentence is about."""


class Extractor:
    """Answers from the hits alone. `similarity` refines the ranking when the embedder knows the language."""

    def __init__(
        self,
        similarity: Similarity | None = None,
        lexicon: Lexicon | None = None,
        calibration: Calibration | None = None,
        other_names: Callable[[str], Sequence[str]] = lambda name: (),
    ) -> None:
        """`lexicon` weighs the evidence by how rare words are in the library, `calibration` says what is enough of it.

        Without a lexicon all words weigh alike. `other_names`: what the library also calls a drug.
        """
        self._similarity = similarity
        self._lexicon = lexicon
        self._other_names = other_names
        self._calibration = calibration or shipped_calibration().for_embedder("")

    def extract(self, question: str, hits: Sequence[Hit]) -> Answer:
        """The extractive answer. Abstained answers keep all hits as the nearest passages.

        Neighbours of hits are left out: what was found is what the evidence to answer is calibrated on.
        """
        language = language_of(question)
        found = [hit for hit in hits if not hit.beside]
        answer = from_records(question, language, found)
        if answer is not None and decides(answer, found):
            return answer
        quotes, confidence = self._quotes(question, found, without_records=answer is not None)
        if not quotes:
            return replace(answer or abstained(ABSTAINED[language], found), confidence=confidence)
        composed = compose(quotes, found, language, record_labels(question, quotes, found))
        return replace(composed, confidence=confidence)

    def _quotes(
        self, question: str, hits: list[Hit], *, without_records: bool = False
    ) -> tuple[list[Quote], float | None]:
        """What to quote, nothing if the evidence is too little; and how likely the library answers."""
        candidates, compared = self._read(question, hits, without_records=without_records)
        said = clinical(question)
        asked = question_terms(records.subject(said) if records.asks_for_drugs(said) else said)
        if not candidates or not asked:
            return [], None
        evidence = self._measured(question, candidates, hits, compared)
        confidence = self._calibration.confidence(evidence) if evidence else None
        if evidence is None:
            answers = _evidence(said, asked, candidates, hits) >= ENOUGH
        else:
            answers = self._calibration.enough(evidence)
        if not answers:
            return [], confidence
        weights = _rarity(asked, candidates)
        scores = self._worth(question, said, candidates, hits, compared, weights)
        order = sorted(
            range(len(scores)), key=lambda i: (-scores[i], candidates[i].quote.index, candidates[i].quote.start)
        )
        quotes = _choose([candidates[i] for i in order], [scores[i] for i in order], weights)
        quoted = " ".join(hits[quote.index].chunk.text[quote.start : quote.end] for quote in quotes)
        if _AMOUNT_ASKED.search(said) and not _ANY_NUMBER.search(quoted):
            return [], confidence
        return quotes, confidence

    def _worth(
        self,
        question: str,
        said: str,
        candidates: Sequence[_Candidate],
        hits: Sequence[Hit],
        compared: Compared | None,
        weights: dict[str, float],
    ) -> list[float]:
        """What each sentence is worth: its words, its meaning as a whole and token by token, a third each, times how
        well its passage was found. `said` is the question in clinical words."""
        worth = np.array([_score(said, candidate, weights) for candidate in candidates])
        if compared:
            whole = np.maximum(0.0, compared.cosines)
            tokens = nearness(question, compared, self._lexicon) if self._lexicon else None
            worth = (worth + whole + (whole if tokens is None else tokens)) / 3
        found = np.array([hits[candidate.quote.index].score for candidate in candidates])
        unended = [not _ENDED.search(candidate.text) and "\t" not in candidate.text for candidate in candidates]
        worth = worth * np.where(unended, UNENDED, 1.0)
        # fused scores are at most 1; those of words alone, where there are no vectors, are BM25's
        return [float(one) for one in worth * (1 + FOUND * found / max(1.0, found.max()))]

    def weigh(self, question: str, hits: Sequence[Hit]) -> Evidence | None:
        """The evidence that decides whether to answer; None where a monograph's field decides, or without a lexicon."""
        found = [hit for hit in hits if not hit.beside]
        answer = from_records(question, language_of(question), found)
        if answer is not None and decides(answer, found):
            return None
        candidates, compared = self._read(question, found, without_records=answer is not None)
        return self._measured(question, candidates, found, compared) if candidates else None

    def _read(
        self, question: str, hits: list[Hit], *, without_records: bool
    ) -> tuple[list[_Candidate], Compared | None]:
        """The sentences that may be quoted, and how near they are where the embedder knows the question's language."""
        left_out = _foreign_records(question, hits) | _other_drugs(question, hits, self._other_names)
        if without_records:
            left_out |= {index for index, hit in enumerate(hits) if records.is_record(hit)}
        candidates = _candidates(hits, left_out)
        if not candidates or self._similarity is None:
            return candidates, None
        said = clinical(question)
        weights = _rarity(question_terms(said), candidates)
        if len(candidates) > MOST_EMBEDDED and weights:
            best = sorted(candidates, key=lambda candidate: -_score(said, candidate, weights))[:MOST_EMBEDDED]
            candidates = [candidate for candidate in candidates if candidate in best]
        return candidates, self._similarity(question, [candidate.text for candidate in candidates])

    def _measured(
        self, question: str, candidates: list[_Candidate], hits: list[Hit], compared: Compared | None
    ) -> Evidence | None:
        if self._lexicon is None:
            return None
        contexts = [f"{hit.document.title} {hit.chunk.heading}" for hit in hits]
        searched = sorted({candidate.quote.index for candidate in candidates})
        passages = [Text(clinical(hits[index].chunk.text), contexts[index]) for index in searched]
        sentences = [Text(candidate.told, contexts[candidate.quote.index]) for candidate in candidates]
        calls = [shows for asks, shows in _CALLS if asks.search(question)]
        asked = _HOW.sub(" ", ZH_STOP.sub(" ", clinical(question)))
        meaning = None
        if compared:
            nearest = max(hits[index].cosine for index in searched)
            meaning = Meaning(question, compared, [candidate.quote.index for candidate in candidates], nearest)
        return measure(language_of(question), asked, passages, sentences, meaning, self._lexicon, calls)


_NO_DRUG = re.compile(r"[- ](?:resistan|sensitiv|susceptib|toleran|intoleran|allerg|hypersensitiv)|抵抗|样|类似")
"""Behind a drug's name: it is not the drug that is asked about (methicillin-resistant, 胰岛素抵抗)."""


def _other_drugs(question: str, hits: list[Hit], other_names: Callable[[str], Sequence[str]]) -> frozenset[int]:
    """Passages that name drugs, but not the one asked about, where some passage does: what they say of a dose or an
    action is another drug's. Of the question's language only: names differ in the other. Monographs are told apart as
    records."""
    names = [name for name in drug_names(question) if not _NO_DRUG.match(question.partition(name)[2])]
    if not names or records.asks_for_drugs(question):
        return frozenset()
    others = [other.casefold() for name in names for other in other_names(name)]
    asked = {_bare(name) for name in names}
    naming, strange = False, set()
    for index, hit in enumerate(hits):
        if records.is_record(hit) or hit.chunk.language != language_of(question):
            continue
        about = f"{hit.document.file} {hit.document.title} {hit.chunk.heading}\n{hit.chunk.text}"
        named = {_bare(name) for name in drug_names(about)}
        folded = about.casefold() if others else ""
        if named & asked or any(name in folded for name in others):
            naming = True
        elif named:
            strange.add(index)
    return frozenset(strange) if naming else frozenset()


def _bare(name: str) -> str:
    return name.casefold().removesuffix("s")


def _foreign_records(question: str, hits: list[Hit]) -> frozenset[int]:
    """Monographs of other drugs than the one that is asked about."""
    found = records.records(hits)
    own = [record for record in found if records.name_asked(question, record, hits)]
    named = bool(records.asked_fields(question)) or bool(drug_names(question))
    if not own and (not named or records.asks_for_drugs(question)):
        return frozenset()
    return frozenset(index for record in found if record not in own for index in record.indices)


def _candidates(hits: list[Hit], left_out: frozenset[int]) -> list[_Candidate]:
    """Every sentence of every passage, once; headings, captions, references and cross-references are no answers."""
    seen: set[str] = set()
    kept: list[_Candidate] = []
    for index, hit in enumerate(hits):
        if index in left_out or any(map(_REFERENCES.match, hit.chunk.heading.split(" › "))):
            continue
        text = hit.chunk.text
        titles = {squeezed(part) for part in (hit.document.title, *hit.chunk.heading.split(" › "))}
        spans = [
            (a, b)
            for a, b in sentence_spans(text)
            if len(squeezed(text[a:b])) > 3
            and squeezed(text[a:b]) not in titles
            and not _POINTS_ELSEWHERE.search(text[a:b])
            and not _REFERENCE.search(text[a:b])
        ]
        told = [clinical(_CROSS_REFERENCE.sub(" ", text[a:b])) for a, b in spans]
        termed = [frozenset(terms(said)) | _characters(said) for said in told]
        title = frozenset(terms(clinical(f"{hit.chunk.heading} {hit.document.title}")))
        for at, (a, b) in enumerate(spans):
            same = squeezed(text[a:b])
            if same in seen:
                continue
            seen.add(same)
            before = termed[at - 1] if at else frozenset[str]()
            kept.append(_Candidate(Quote(index, a, b), text[a:b], told[at], termed[at], title | before))
    return kept


def _characters(text: str) -> frozenset[str]:
    return frozenset(character for character in text if HAS_CJK.match(character))


def _evidence(question: str, asked: list[str], candidates: list[_Candidate], hits: list[Hit]) -> float:
    """How much of the question the best passage and the best sentence hold, 0 to 1.

    The weights do not depend on what was found: eight passages on the subject must not make its name worthless.
    """
    weights = dict.fromkeys(asked, 1.0)
    for name in _names(question):
        weights |= dict.fromkeys((term for term in terms(name) if term in weights), NAME_WEIGHT)
    total = sum(weights.values())
    searched = {candidate.quote.index for candidate in candidates}
    passage = max(share(_passage_terms(hits[index]), weights) for index in searched)
    sentence = max(share(candidate.terms | candidate.around, weights) for candidate in candidates)
    return (passage + sentence) / (2 * total)


def _names(question: str) -> list[str]:
    """Latin words that look like names: a capital or a digit in them; the first word of an English question may not."""
    words = re.findall(r"[A-Za-z0-9][\w-]*", question)
    if question[:1].isascii() and words and not re.search(r"\d|[A-Z].*[A-Z]", words[0]):
        words = words[1:]
    return [word for word in words if re.search(r"[A-Z0-9]", word)]


def _rarity(asked: list[str], candidates: list[_Candidate]) -> dict[str, float]:
    """BM25's idf of each question term over the sentences at hand."""
    held = Counter(term for candidate in candidates for term in candidate.terms)
    n = len(candidates)
    return {term: math.log(1 + (n - held[term] + 0.5) / (held[term] + 0.5)) for term in dict.fromkeys(asked)}


def _passage_terms(hit: Hit) -> frozenset[str]:
    text = clinical(f"{hit.document.title} {hit.chunk.heading} {hit.chunk.text}")
    return frozenset(terms(text)) | _characters(text)


def _score(question: str, candidate: _Candidate, weights: dict[str, float]) -> float:
    """Share of the question that the sentence holds; what its surroundings hold counts a third."""
    near = share(candidate.around - candidate.terms, weights)
    score = (share(candidate.terms, weights) + 0.3 * near) / sum(weights.values())
    counted = _COUNTED.search(question)
    if counted and not _UNITS.match(counted[1]):
        clauses = [clause for clause in _CLAUSES.split(candidate.told) if counted[1] in clause]
        score *= 0.5 if not clauses else 2.0 if any(map(_NUMBER.search, clauses)) else 1.0
    for asks, shows in _CALLS:
        if asks.search(question):
            score *= 1.15 if shows.search(candidate.told) else 0.85
    return score


def _choose(ranked: list[_Candidate], scores: list[float], weights: dict[str, float]) -> list[Quote]:
    """The best sentence, and those that are nearly as good or bring what is still missing."""
    chosen = [ranked[0]]
    covered = ranked[0].terms
    length = len(ranked[0].text)
    total = sum(weights.values())
    for candidate, score in zip(ranked[1:], scores[1:], strict=True):
        if len(chosen) == MAX_SENTENCES:
            break
        if length + len(candidate.text) > MAX_CHARS:
            continue
        brings = share(candidate.terms - covered, weights) / total
        if score >= COMPANION * scores[0] or (brings >= ADDS and score >= LOW * scores[0]):
            chosen.append(candidate)
            covered |= candidate.terms
            length += len(candidate.text)
    return [candidate.quote for candidate in chosen]
