"""Is a statement borne out by the passages it cites? Statement and passages in, what is missing from them out.

Checked are the things that hurt when they are wrong: numbers with their units, 'at least' against 'at most', a lost or
added 'not', and drug names; and that the passage is about the matter at all. This is a check of surfaces: a statement
that passes may still misread its passage, one that fails holds something the passage does not.
Citation recall and precision are those of ALCE (Gao et al., "Enabling Large Language Models to Generate Text with
Citations", EMNLP 2023), with containment in the cited text in place of their entailment model.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from kb.content_terms import terms
from kb.drug_names import drug_names as drug_names
from kb.sentences import sentence_spans
from kb.terms import language_of
from kb.types import Answer, Hit, Statement

LEAST_SHARED = 0.2
"""A statement that shares a smaller part of its terms with a passage in its own language is about something else."""
_NEAR = 0.2
"""A sentence of the passage may bear out a number when it shares this part of the statement's terms."""

_HAN = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_WORDS = {
    **{w: i for i, w in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())},
    "once": 1,
    "twice": 2,
    "thrice": 3,
    "half": 0.5,
}
_UNITS: dict[str, str] = {
    written: unit
    for unit, names in {
        "mg": "mg 毫克 milligram milligrams",
        "g": "g 克 gram grams gm",
        "kg": "kg 公斤 千克 kilogram kilograms",
        "µg": "µg μg ug mcg 微克 microgram micrograms",
        "ng": "ng 纳克",
        "ml": "ml 毫升 milliliter milliliters millilitre millilitres cc",
        "l": "l 升 liter liters litre litres",
        "iu": "iu 国际单位 单位 u unit units",
        "mmol": "mmol 毫摩尔",
        "mmhg": "mmhg 毫米汞柱",
        "%": "% percent per\u2009cent",
        "minute": "min mins minute minutes 分钟",
        "hour": "h hr hrs hour hours 小时",
        "day": "d day days daily 天 日",
        "week": "wk week weeks weekly 周 星期",
        "month": "month months 月 个月",
        "year": "y yr year years 岁 年 周岁",
        "time": "time times 次",
        "tablet": "tablet tablets 片",
        "capsule": "capsule capsules 粒",
        "°c": "°c ℃ 度",
    }.items()
    for written in names.split()
}
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_VALUE = re.compile(
    rf"(?P<value>(?<![\w.])(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?|(?<=[\u3400-\u9fff])\d+(?:\.\d+)?"
    rf"|(?<![A-Za-z])(?:{'|'.join(_WORDS)})(?![A-Za-z])"
    rf"|[零〇一二两三四五六七八九十百]+(?=\s*(?:{_UNIT}))|半(?=\s*(?:{_UNIT})))"
    rf"(?:[\s-]*(?P<unit>{_UNIT})(?![A-Za-z]))?",
    re.IGNORECASE,
)
_TO = re.compile(r"\s*(?:[-–—~～至到]|to|and|or|或)\s*$", re.IGNORECASE)
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*[(（]?\d{1,2}[.)）、](?!\d)")
_MARK = re.compile(r"\s*\[\d{1,3}\]")

_NOT = re.compile(
    r"不(?![良同适足仅但断久全稳孕育振整齐等论管通畅利止清宁调固寐语张]|安(?!全)|规则|完全|典型|饱和|可逆|协调|耐受|自主|平衡|对称|一定|明原因|少于|低于|超过"
    r"|大于|高于|小于|多于|[得应能宜]超过)|未(?!来)|没有|无(?!菌|创|论|水|线|色|机|力|痛|尿|氧)"
    r"|禁|勿|忌|避免|停[用药]"
    r"|\b(?:not(?! exceed| more than| less than| only)|no(?! more than| less than)|never|none|without|cannot|avoid\w*"
    r"|contra-?indicat\w*"
    r"|neither|nor|un(?:safe|suitable)|discontinu\w*|stop\w*)\b|n't\b",
    re.IGNORECASE,
)
_AT_LEAST = re.compile(
    r"至少|不少于|不低于|不小于|以上|≥|＞|>|\b(?:at least|no(?:t)? less than|or more|minimum|above|over|more than)\b",
    re.IGNORECASE,
)
_AT_MOST = re.compile(
    r"最多|不超过|不大于|不高于|不多于|不[得应能宜]超过|以[下内]|最大|≤|＜|<"
    r"|\b(?:at most|no(?:t)? more than|not exceed|up to|or less|maximum|below|under|less than)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Value:
    """A number as it is compared: its value, its unit ('' if none stands by it), and how it is written."""

    number: float
    unit: str
    written: str


def missing(statement: str, spans: Sequence[str], passages: Sequence[Hit]) -> tuple[str, ...]:
    """What of `statement` its cited passages do not bear out; empty when it passes.

    `spans` are the parts of the passages that it rests on (citations' quotes), `passages` the passages as a whole:
    numbers and polarity must be in the spans or in sentences beside them that share the statement's words, names and
    subject may be anywhere in the passage, its title or its section path.
    """
    whole = [f"{hit.document.title}\n{hit.chunk.heading}\n{hit.chunk.text}" for hit in passages]
    asked = frozenset(terms(statement))
    same_language = any(language_of(text) == language_of(statement) for text in whole)
    near = [*spans, *_sentences_near(asked, passages)] if same_language else whole
    lost = [value.written for value in values(statement) if not _stated(value, near)]
    if same_language:
        known = _plain("\n".join(whole))
        lost += [name for name in drug_names(statement) if _plain(name) not in known]
        shared = frozenset(term for text in whole for term in terms(text))
        if asked and len(asked & shared) < LEAST_SHARED * len(asked):
            lost.append(statement)
    return tuple(dict.fromkeys([*lost, *_turned(statement, spans if same_language else whole)]))


def checkable(statement: str) -> bool:
    """Whether it holds anything that hurts when it is wrong: a number, a drug's name, a 'not'."""
    return bool(values(statement) or drug_names(statement) or _NOT.search(statement))


def values(text: str) -> list[Value]:
    """The numbers of a text with their units; both ends of a range have the unit that follows it."""
    text = _LIST_NUMBER.sub(" ", _MARK.sub("", text))
    found: list[Value] = []
    ends: list[int] = []
    folded = unicodedata.normalize("NFKC", text)
    for match in _VALUE.finditer(folded):
        unit = _UNITS.get((match["unit"] or "").lower(), "")
        if unit and found and not found[-1].unit and _TO.fullmatch(folded[ends[-1] : match.start()]):
            found[-1] = Value(found[-1].number, unit, f"{found[-1].written} {match['unit']}")
        found.append(Value(_number(match["value"]), unit, match.group().strip()))
        ends.append(match.end())
    return found


def _number(written: str) -> float:
    word = written.lower()
    if word in _WORDS:
        return float(_WORDS[word])
    if word == "半":
        return 0.5
    if word[0].isdigit():
        return float(word.replace(",", ""))
    total, last = 0, 0
    for character in word:
        if character == "十":
            total, last = total + (last or 1) * 10, 0
        elif character == "百":
            total, last = total + (last or 1) * 100, 0
        else:
            last = _HAN[character]
    return float(total + last)


def _stated(value: Value, texts: Sequence[str]) -> bool:
    """Whether one of the texts has the number with its unit; a unit may stand apart (a column's heading)."""
    for text in texts:
        same = [other for other in values(text) if other.number == value.number]
        if any(not value.unit or other.unit == value.unit for other in same):
            return True
        bare = any(not other.unit for other in same)
        if bare and any(
            _UNITS.get(word.lower()) == value.unit for word in re.findall(rf"{_UNIT}", text, re.IGNORECASE)
        ):
            return True
    return False


def _turned(statement: str, spans: Sequence[str]) -> list[str]:
    """A 'not' that one side has and the other lacks; 'at least' where the passage says 'at most'."""
    beside = "\n".join(spans)
    lost: list[str] = []
    ours = _NOT.search(statement)
    if ours and not _NOT.search(beside):
        lost.append(ours.group())
    elif not ours and beside and (theirs := _all_negated(beside)):
        lost.append(theirs)
    for bound, opposite in ((_AT_LEAST, _AT_MOST), (_AT_MOST, _AT_LEAST)):
        said = bound.search(statement)
        if said and not bound.search(beside) and opposite.search(beside):
            lost.append(said.group())
    return lost


def _all_negated(text: str) -> str:
    """The 'not' of a text whose every sentence has one; '' else."""
    found = [_NOT.search(text[a:b]) for a, b in sentence_spans(text)]
    return found[0].group() if found and all(found) and found[0] else ""


def _sentences_near(asked: frozenset[str], passages: Sequence[Hit]) -> list[str]:
    kept = []
    for hit in passages:
        text = hit.chunk.text
        for start, end in sentence_spans(text):
            if asked and len(asked & frozenset(terms(text[start:end]))) >= _NEAR * len(asked):
                kept.append(text[start:end])
    return kept


_ROUND = str.maketrans("[]【】［］", "()()()")


def _plain(text: str) -> str:
    """For comparing: one width, one case, no white space, and a document's own [3] as it is shown: (3)."""
    return "".join(unicodedata.normalize("NFKC", text.translate(_ROUND)).lower().split())


# -- verbatim, and ALCE ------------------------------------------------------------------------------------------


def verbatim(answer: Answer) -> bool:
    """Whether every quote is, character for character, in the passage whose number it bears."""
    return all(
        0 < citation.n <= len(answer.hits) and citation.quote in answer.hits[citation.n - 1].chunk.text
        for citation in answer.citations
    )


@dataclass(frozen=True, slots=True)
class CitationQuality:
    """ALCE's two numbers of one answer, and how many of its statements are supported."""

    recall: float
    """Share of statements that the citations they name, taken together, bear out."""
    precision: float
    """Share of citations that are needed: they bear out their statement alone, or it falls without them."""


def citation_quality(answer: Answer) -> CitationQuality:
    """Citation recall and precision of an answer that does not abstain; (0, 0) if it states nothing."""
    borne_out = [borne_out_by(statement, statement.cites, answer) for statement in answer.statements]
    needed: list[bool] = []
    for statement, whole in zip(answer.statements, borne_out, strict=True):
        for n in statement.cites:
            others = tuple(other for other in statement.cites if other != n)
            alone = borne_out_by(statement, (n,), answer)
            needed.append(whole and (alone or not borne_out_by(statement, others, answer)))
    return CitationQuality(
        sum(borne_out) / len(borne_out) if borne_out else 0.0, sum(needed) / len(needed) if needed else 0.0
    )


def borne_out_by(statement: Statement, cites: Sequence[int], answer: Answer) -> bool:
    """Whether the passages numbered `cites` hold the statement: verbatim if it is a quotation, else by `missing`."""
    hits = [answer.hits[n - 1] for n in cites]
    if not hits:
        return False
    quotes = [citation.quote for citation in answer.citations if citation.n in cites]
    if statement.support == "quoted":
        said = _plain(statement.text)
        return any(said.endswith(_plain(quote)) for quote in quotes if quote)
    return not missing(statement.text, quotes, hits)
