"""The extractive engine: question and hits in, the verbatim sentences that answer it out, each cited, or abstention.

No model. A sentence is worth the rarity-weighted share of the question's content terms that it holds (its section
title counts too), with a nudge for what the question calls for: a number, a date, a reason. Terms are Chinese character
bigrams and stemmed English words, so that nothing heavy is loaded and the same input gives the same answer.
Monographs take another path: see kb.records.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kb import records
from kb.drug_names import drug_names
from kb.evidence import Calibration, Evidence, Lexicon, Text, measure, share, shipped_calibration
from kb.sentences import sentence_spans
from kb.terms import language_of
from kb.types import Answer, Citation, Hit, Language, Statement

ENGINE = "extractive"
Similarity = Callable[[str, Sequence[str]], Sequence[float]]
"""Cosine of a question with each of several sentences, from the configured embedder."""

MAX_SENTENCES = 5
MAX_CHARS = 600
ENOUGH = 0.55
"""Least evidence to answer on: the mean share of the question's terms in the best passage and in the best sentence."""
NAME_WEIGHT = 2.5
"""How much a name (a capitalised word, a code with digits) counts in that share; any other term counts 1."""
MOST_EMBEDDED = 32
"""Sentences that are compared by meaning, the best by words: embedding is what an English answer waits for."""
COMPANION = 0.9
"""A further sentence is quoted when it is worth this much of the best one."""
ADDS = 0.1
"""... or when it brings at least this share of terms that no quoted sentence has, and is worth LOW of the best."""
LOW = 0.8


ABSTAINED: dict[Language, str] = {
    "zh": "文本中未提及这个问题的答案。下面列出的是最接近的文段，供查看。",
    "en": "Not mentioned in the documents. The nearest passages are listed below for you to look at.",
}
_FIELD_ABSTAINED: dict[Language, str] = {
    "zh": "文本中未提及{drug}的{field}。",
    "en": "Not mentioned in the documents: the {field} of {drug}.",
}
_FIELD_UNSTATED: dict[Language, str] = {
    "zh": "文本中未提及{drug}的{field}（原文记为“{value}”）。[{n}]",
    "en": "Not mentioned in the documents: the {field} of {drug} (the record says “{value}”). [{n}]",
}

_CJK = r"\u3400-\u9fff\uf900-\ufaff"
_HAS_CJK = re.compile(f"[{_CJK}]")
_WORD = re.compile(rf"\d+(?:[.,]\d+)*|[A-Za-z][A-Za-z0-9]*(?:[-'.][A-Za-z0-9]+)*|[α-ωΑ-Ω]+|[{_CJK}]+")
_ZH_STOP = re.compile(
    "请问|请|告诉|我想知道|想知道|我|你|一下|为什么|为何|为甚么|什么样|什么|甚么|怎么样|怎么办|怎么|怎样|如何|哪些|哪个|哪种|哪位|哪裡|哪里|哪儿|哪一|哪|"
    "多少|多久|几个|几种|几|何时|何地|何人|何|谁|誰|是否|有没有|能不能|可不可以|是不是|会不会|需不需要|可以|应该|應該|需要|"
    "主要|包括|关于|關於|进行|以及|其中|时候|時候|分别|有|的|了|是|在|吗|嗎|呢|吧|和|与|與|及|或|被|把|对|對|由|于|於|这|這|那|其|之|以|为|為|而|也|都|就|所|及其|们|個|个"
)
_EN_STOP = frozenset(
    "a an the and or of in on at to for from by with without is are was were be been being am do does did done has have"
    " had what which who whom whose when where why how that this these those it its their there here as than then if"
    " can could may might should would will shall must not no i you he she they we my your our his her me him them us"
    " about into between during any some such also please tell describe explain list name used use using many much most"
    " more usually".split()
)
_SUFFIX = re.compile(r"(?:ies|ied|y|ing|edly|ed|es|s|e|ly|ations?|ated|ates?|ating|ions?|al|ic|ive)$")

# What a question calls for, and how a sentence shows it has it.
_NUMBER = re.compile(
    r"\d|[一二三四五六七八九十百千万两半]+(?:个|次|天|日|周|月|年|种|片|粒|岁|倍|公|毫|克|升|度|名|座|位|条)"
    r"|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|half|twice|once)\b",
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
            r"|\b(?:dose|dosage|number|percentage|rate|proportion|prevalence)\b",
            re.IGNORECASE,
        ),
        _NUMBER,
    ),
    (re.compile(r"为什么|為什麼|为何|為何|原因|\bwhy\b|\bcauses?\b|\breasons?\b", re.IGNORECASE), _REASON),
)
_HOW = re.compile(r"\bhow (?:often|long|large|high|old|far)\b", re.IGNORECASE)  # asks, and names nothing
# What is counted in 多少盐, 几种类型: of two sentences the one that names it is worth more. Units name nothing.
_COUNTED = re.compile(rf"(?:多少|几[种类个])(?:的)?([{_CJK}]{{1,4}})(?:[？?。，,]|$)")
# Captions, lead-ins and cross-references say where something stands, not what it is.
_POINTS_ELSEWHERE = re.compile(
    r"^\W*(?:see|refer to|table \d|figure \d|参见|详见|见表|[表图]\s*\d)|[:：]$", re.IGNORECASE
)
_CLAUSES = re.compile(r"[，,；;。]")
_UNITS = re.compile(r"^(?:[毫微千]?[克升米]|[天日周月年次片粒岁倍人个种名位元度级]|小时|分钟|公斤|钱|时间)+$")
_REFERENCE_MARK = re.compile(r"[\[【［]\s*(\d{1,3}(?:\s*[-–,，、]\s*\d{1,3})*)\s*[\]】］]")


@dataclass(frozen=True, slots=True)
class Quote:
    """An exact piece [start, end) of the text of hit number `index` (0-based)."""

    index: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    quote: Quote
    text: str
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
    ) -> None:
        """`lexicon` weighs the evidence by how rare words are in the library, `calibration` says what is enough of it.

        Without a lexicon all words weigh alike.
        """
        self._similarity = similarity
        self._lexicon = lexicon
        self._calibration = calibration or shipped_calibration().for_embedder("")

    def extract(self, question: str, hits: Sequence[Hit]) -> Answer:
        """The extractive answer. Abstained answers keep all hits as the nearest passages.

        Neighbours of hits are left out: what was found is what the evidence to answer is calibrated on.
        """
        language = language_of(question)
        found = [hit for hit in hits if not hit.beside]
        answer = _from_records(question, language, found)
        if answer is not None and _decides(answer, found):
            return answer
        quotes, confidence = self._quotes(question, found, without_records=answer is not None)
        if not quotes:
            return replace(answer or _abstain(ABSTAINED[language], found), confidence=confidence)
        composed = _compose(quotes, found, language, _record_labels(question, quotes, found))
        return replace(composed, confidence=confidence)

    def _quotes(
        self, question: str, hits: list[Hit], *, without_records: bool = False
    ) -> tuple[list[Quote], float | None]:
        """What to quote, nothing if the evidence is too little; and how likely the library answers."""
        candidates, cosines = self._read(question, hits, without_records=without_records)
        asked = question_terms(records.subject(question) if records.asks_for_drugs(question) else question)
        if not candidates or not asked:
            return [], None
        evidence = self._measured(question, candidates, hits, cosines)
        confidence = self._calibration.confidence(evidence) if evidence else None
        if evidence is None:
            answers = _evidence(question, asked, candidates, hits) >= ENOUGH
        else:
            answers = self._calibration.enough(evidence)
        if not answers:
            return [], confidence
        weights = _rarity(asked, candidates)
        scores = [_score(question, candidate, weights) for candidate in candidates]
        if len(cosines):  # meaning counts twice as much as words
            scores = [(score + 2 * max(0.0, cosine)) / 3 for score, cosine in zip(scores, cosines, strict=True)]
        order = sorted(
            range(len(scores)), key=lambda i: (-scores[i], candidates[i].quote.index, candidates[i].quote.start)
        )
        return _choose([candidates[i] for i in order], [scores[i] for i in order], weights), confidence

    def weigh(self, question: str, hits: Sequence[Hit]) -> Evidence | None:
        """The evidence that decides whether to answer; None where a monograph's field decides, or without a lexicon."""
        found = [hit for hit in hits if not hit.beside]
        answer = _from_records(question, language_of(question), found)
        if answer is not None and _decides(answer, found):
            return None
        candidates, cosines = self._read(question, found, without_records=answer is not None)
        return self._measured(question, candidates, found, cosines) if candidates else None

    def _read(
        self, question: str, hits: list[Hit], *, without_records: bool
    ) -> tuple[list[_Candidate], Sequence[float]]:
        """The sentences that may be quoted, and their cosines to the question where the embedder knows the language."""
        left_out = _foreign(question, hits)
        if without_records:
            left_out |= {index for index, hit in enumerate(hits) if records.is_record(hit)}
        candidates = _candidates(hits, left_out)
        if not candidates or self._similarity is None:
            return candidates, ()
        weights = _rarity(question_terms(question), candidates)
        if len(candidates) > MOST_EMBEDDED and weights:
            best = sorted(candidates, key=lambda candidate: -_score(question, candidate, weights))[:MOST_EMBEDDED]
            candidates = [candidate for candidate in candidates if candidate in best]
        return candidates, self._similarity(question, [candidate.text for candidate in candidates])

    def _measured(
        self, question: str, candidates: list[_Candidate], hits: list[Hit], cosines: Sequence[float]
    ) -> Evidence | None:
        if self._lexicon is None:
            return None
        contexts = [f"{hit.document.title} {hit.chunk.heading}" for hit in hits]
        searched = sorted({candidate.quote.index for candidate in candidates})
        passages = [Text(hits[index].chunk.text, contexts[index]) for index in searched]
        sentences = [Text(candidate.text, contexts[candidate.quote.index]) for candidate in candidates]
        calls = [shows for asks, shows in _CALLS if asks.search(question)]
        asked = _HOW.sub(" ", _ZH_STOP.sub(" ", question))
        return measure(language_of(question), asked, passages, sentences, cosines, self._lexicon, calls)


def question_terms(question: str) -> list[str]:
    """Content terms of a question: what is left when question words and particles are gone."""
    return terms(_ZH_STOP.sub(" ", question))


def terms(text: str) -> list[str]:
    """Chinese character bigrams (single characters where one stands alone) and stemmed English words."""
    found: list[str] = []
    for word in _WORD.findall(text):
        if _HAS_CJK.match(word):
            found.extend(word[i : i + 2] for i in range(len(word) - 1)) if len(word) > 1 else found.append(word)
        elif word.lower() not in _EN_STOP:
            found.append(_stem(word.lower()))
    return found


def _stem(word: str) -> str:
    """Cut an ending, keep at least four letters: infections, infected, infection → infect."""
    if len(word) <= 4 or not word.isalpha():
        return word.removesuffix("'s")
    cut = _SUFFIX.sub("", word)
    return cut if len(cut) >= 4 else word[: max(4, len(cut))]


def _foreign(question: str, hits: list[Hit]) -> frozenset[int]:
    """Passages that must not answer: monographs of other drugs than the one that is asked about."""
    found = records.records(hits)
    own = [record for record in found if records.name_asked(question, record, hits)]
    named = bool(records.asked_fields(question)) or bool(drug_names(question))
    if not own and (not named or records.asks_for_drugs(question)):
        return frozenset()
    return frozenset(index for record in found if record not in own for index in record.indices)


def _candidates(hits: list[Hit], left_out: frozenset[int]) -> list[_Candidate]:
    """Every sentence of every passage, once; headings, captions and cross-references are no answers."""
    seen: set[str] = set()
    kept: list[_Candidate] = []
    for index, hit in enumerate(hits):
        if index in left_out:
            continue
        text = hit.chunk.text
        titles = {_squeezed(part) for part in (hit.document.title, *hit.chunk.heading.split(" › "))}
        spans = [
            (a, b)
            for a, b in sentence_spans(text)
            if len(_squeezed(text[a:b])) > 3
            and _squeezed(text[a:b]) not in titles
            and not _POINTS_ELSEWHERE.search(text[a:b])
        ]
        termed = [frozenset(terms(text[a:b])) | _characters(text[a:b]) for a, b in spans]
        title = frozenset(terms(f"{hit.chunk.heading} {hit.document.title}"))
        for at, (a, b) in enumerate(spans):
            same = _squeezed(text[a:b])
            if same in seen:
                continue
            seen.add(same)
            before = termed[at - 1] if at else frozenset[str]()
            kept.append(_Candidate(Quote(index, a, b), text[a:b], termed[at], title | before))
    return kept


def _characters(text: str) -> frozenset[str]:
    return frozenset(character for character in text if _HAS_CJK.match(character))


def _squeezed(text: str) -> str:
    """For comparing: without spaces, and without the marks some plain texts put before a heading."""
    return "".join(re.sub(r"^<[^>]{1,4}>|^#+", "", text.strip()).split()).lower()


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
    text = f"{hit.document.title} {hit.chunk.heading} {hit.chunk.text}"
    return frozenset(terms(text)) | _characters(text)


def _score(question: str, candidate: _Candidate, weights: dict[str, float]) -> float:
    """Share of the question that the sentence holds; what its surroundings hold counts a third."""
    near = share(candidate.around - candidate.terms, weights)
    score = (share(candidate.terms, weights) + 0.3 * near) / sum(weights.values())
    counted = _COUNTED.search(question)
    if counted and not _UNITS.match(counted[1]):
        clauses = [clause for clause in _CLAUSES.split(candidate.text) if counted[1] in clause]
        score *= 0.5 if not clauses else 2.0 if any(map(_NUMBER.search, clauses)) else 1.0
    for asks, shows in _CALLS:
        if asks.search(question):
            score *= 1.15 if shows.search(candidate.text) else 0.85
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


def _record_labels(question: str, quotes: list[Quote], hits: list[Hit]) -> dict[Quote, str]:
    """Monograph sentences seldom say which drug they are of: its name goes before them, unless the question has it."""
    names = {index: record.name for record in records.records(hits) for index in record.indices}
    labels = {quote: names.get(quote.index, "") for quote in quotes}
    return {quote: name for quote, name in labels.items() if name and name not in question and quote.start > 0}


def _decides(answer: Answer, hits: list[Hit]) -> bool:
    """Whether a monograph's answer stands: it says something, or no guideline or label is there that may."""
    return not answer.abstained or all(map(records.is_record, hits))


def _from_records(question: str, language: Language, hits: list[Hit]) -> Answer | None:
    """The answer of a monograph's field, when the question asks for one; None when this is no such question."""
    fields = records.asked_fields(question)
    found = records.records(hits)
    if not fields or not found or records.asks_for_drugs(question):
        return None
    own = [(record, name) for record in found if (name := records.name_asked(question, record, hits))]
    if not own:
        # Another drug's record must not answer; other documents still may.
        return _abstain(ABSTAINED[language], hits) if all(records.is_record(hit) for hit in hits) else None
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
                said = _squeezed(_value(line, hits))
                if said not in quoted:  # two records of one drug often say the same
                    quoted.add(said)
                    labels[Quote(line.index, line.start, line.end)] = "" if plain else record.name
            if not stated:
                missing.append(_missing(name, field, lines, language, hits))
    notes = "\n".join(text for text, _ in missing)
    unstated = tuple(citation for _, citation in missing if citation)
    if not labels:
        return _abstain(notes, hits, unstated)
    answer = _compose(list(labels), hits, language, labels)
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


def _abstain(text: str, hits: list[Hit], citations: tuple[Citation, ...] = ()) -> Answer:
    return Answer(text, citations, True, ENGINE, tuple(hits))


def _compose(
    quotes: list[Quote], hits: list[Hit], language: Language, labels: dict[Quote, str] | None = None
) -> Answer:
    """Quotes in reading order: documents as ranked, inside each by position. Each is followed by its mark."""
    rank: dict[str, int] = {}
    for hit in hits:
        rank.setdefault(hit.document.id, len(rank))
    ordered = sorted(quotes, key=lambda q: (rank[hits[q.index].document.id], hits[q.index].chunk.position, q.start))
    statements: list[Statement] = []
    for quote in ordered:
        text = hits[quote.index].chunk.text[quote.start : quote.end]
        label = (labels or {}).get(quote, "")
        shown = _REFERENCE_MARK.sub(r"(\1)", _one_line(text))
        said = f"{label}{'：' if language == 'zh' else ': '}{shown}" if label else shown
        statements.append(Statement(said, (quote.index + 1,), "quoted"))
    separator = "\n" if any(records.is_record(hits[q.index]) for q in ordered) else " "
    citations = tuple(cite(hits[q.index], q.index + 1, q.start, q.end) for q in ordered)
    text = separator.join(f"{statement.text} [{statement.cites[0]}]" for statement in statements)
    return Answer(text, citations, False, ENGINE, tuple(hits), statements=tuple(statements))


def _one_line(text: str) -> str:
    """A sentence as it is shown: the page's line breaks are not the answer's; a table's cells are kept apart."""
    joined = re.sub(rf"(?<=[{_CJK}，。；：、])\s*\n\s*(?=[{_CJK}])", "", text)
    return re.sub(r"\s*\n\s*", " ", re.sub(r"[ \t]*\t[ \t]*", " | ", joined.strip()))


def cite(hit: Hit, n: int, start: int, end: int) -> Citation:
    """The citation of characters [start, end) of a hit's text: its page and the boxes of its lines there.

    A quote that runs over a page break is cited on the page where it begins, with the boxes of that page only.
    """
    touched = [span for span in hit.chunk.spans if span.start < end and start < span.end]
    page = touched[0].page if touched else (hit.chunk.pages or (1,))[0]
    boxes = tuple(dict.fromkeys(box for span in touched if span.page == page for box in span.boxes))
    quote = hit.chunk.text[start:end]
    document = hit.document
    return Citation(n, hit.chunk.id, document.id, document.file, document.title, page, quote, boxes)
