"""Candidates in, kept and dropped examples out: each filter gives '' or the reason, and rejects stay with theirs.

Filters run cheapest first and an example leaves at the first that drops it. What is checked against the source is
checked against the chunks the example names, in the library as it is now. Duplicates come last, over what is left
together with all that was kept before.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kb import records, support
from kb.content_terms import terms
from kb.extract import Extractor
from kb.prompts import says_not_mentioned
from kb.sentences import sentences
from kb.terms import language_of
from kb.types import Hit, QAExample
from train.examples import unit_of

QUESTION_CHARS = (4, 400)
ANSWER_CHARS = 1500
AGREES = 0.5
"""Character-trigram F1 from which an answer given again agrees with the example's."""

_TOKENS = re.compile(r"</?s>|<\|[^|]*\|>|\[/?INST\]|<<<|>>>|\{\w*\}|\ufffd")
_LABELS = re.compile(r"^\s*(?:问题?|答案?|question|answer|q|a)\s*\d*\s*[:：]", re.IGNORECASE)
_LEAK_ZH = (
    r"(?:根据|按照|依据|结合|基于)(?:上述|以上|上面|上文|前文|本文|文中|文段|文本|文章|所给|给定|给出|提供|这段|该段|本段|资料|材料|信息)"
    r"|(?:上述|以上|前述|上文|本文|文中|文段中?|文章中?|这段话|该段|本段)(?:的?(?:内容|文本|文段|资料|材料|信息|描述|说法)|所?(?:提到|提及|所述|介绍|描述|指出))"
    r"|作者(?:认为|指出|提到|建议)|(?:本|该|这)(?:研究|文|章|节|段|图|表)(?:中|的|指出|显示|表明|认为)|如(?:上|前)所述|[见如][上下]?[图表]\s*\d"
)
_LEAK_EN = (
    r"\b(?:according to|based on|as (?:stated|mentioned|described|noted|shown) in|from|in) (?:the|this|that) "
    r"(?:above|given|provided|following|preceding)?\s*(?:text|passage|article|paragraph|excerpt|context|document|section|"
    r"study|table|figure|information)\b"
    r"|\b(?:the|this) (?:author|passage|text|excerpt|article|paragraph)s?\b"
    r"|\bas (?:mentioned|described|noted) (?:above|"
    r"earlier|previously)\b|\b(?:mentioned|described|listed|discussed) (?:above|earlier|here)\b"
)
_LEAK = re.compile(f"{_LEAK_ZH}|{_LEAK_EN}", re.IGNORECASE)
_NAME_TOPICS = ("英文名", "别名")
_ENGINE_SAYS_UNSTATED = re.compile(r"尚不明确|尚未明确|不明确|无资料|尚不清楚")


class Search(Protocol):
    """The library's own search."""

    def __call__(self, question: str, k: int) -> Sequence[Hit]: ...


AnswerAgain = Callable[[QAExample, Sequence[Hit]], str | None]
"""The answer to the example's question from its chunks alone: None when the engine abstains."""

Filter = Callable[[QAExample, Sequence[Hit]], str]
"""'' keeps; anything else is why it is dropped. The hits are the example's chunks, of a monograph all of the record."""


@dataclass(slots=True)
class CurationReport:
    """Counts of one run."""

    seen: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


# -- filters ---------------------------------------------------------------------------------------------------------


def check_format(example: QAExample, hits: Sequence[Hit]) -> str:
    """Length, empty parts, labels and control tokens left in, conversation out of turn."""
    question, answer = example.question.strip(), (example.answers or ("",))[0].strip()
    if not question or not answer:
        return "no question" if not question else "no answer"
    if not QUESTION_CHARS[0] <= len(question) <= QUESTION_CHARS[1]:
        return f"question of {len(question)} characters"
    if len(answer) > ANSWER_CHARS:
        return f"answer of {len(answer)} characters"
    source = "\n".join(hit.chunk.text for hit in hits)
    for text in (question, answer):
        found = _TOKENS.search(text) or _LABELS.search(text)
        if found and found.group() not in source:
            return f"'{found.group().strip()}' left in"
    if question.casefold() == answer.casefold():
        return "the answer repeats the question"
    return _turn_order(example)


def _turn_order(example: QAExample) -> str:
    spoken = [message.role for message in example.messages if message.role in ("user", "assistant")]
    if not spoken:
        return ""
    if spoken[::2] != ["user"] * len(spoken[::2]) or spoken[1::2] != ["assistant"] * len(spoken[1::2]):
        return "turns out of order"
    if spoken[-1] != "assistant":
        return "no answer at the end"
    return "" if all(message.content.strip() for message in example.messages) else "an empty turn"


def check_language(example: QAExample, hits: Sequence[Hit]) -> str:
    """Question and answer in the example's language. Names and short answers may be in the other."""
    if language_of(example.question) != example.language and sum(map(str.isalpha, example.question)) > 12:
        chinese = any("\u4e00" <= character <= "\u9fff" for character in example.question)
        if not (example.language == "zh" and chinese):  # '…的适应证是什么？' about a long English name
            return f"the question is not {example.language}"
    answer = example.answers[0]
    verbatim = any(_squeezed(answer) in _squeezed(hit.chunk.text) for hit in hits)
    letters = sum(map(str.isalpha, answer))
    if letters > 20 and language_of(answer) != example.language and not verbatim:
        return f"the answer is not {example.language}"
    return ""


def check_leakage(example: QAExample, hits: Sequence[Hit]) -> str:
    """Words that point at a text the reader does not see ('according to the passage')."""
    found = _LEAK.search(example.question)
    if found:
        return f"question says '{found.group()}'"
    source = "\n".join(hit.chunk.text for hit in hits)
    for answer in (example.answers[0], *_said_by_assistant(example)):
        found = None if says_not_mentioned(answer) else _LEAK.search(answer)
        if found and found.group() not in source:
            return f"answer says '{found.group()}'"
    return ""


def _said_by_assistant(example: QAExample) -> list[str]:
    return [message.content for message in example.messages if message.role == "assistant"]


def check_grounded(example: QAExample, hits: Sequence[Hit]) -> str:
    """The question is about the source's drug; numbers, units, names and polarity of the answer are in the source."""
    if not hits:
        return ""
    if example.unit.startswith("drug:") and not _names_its_drug(example, hits):
        return "the question names another drug"
    known = _squeezed("\n".join(f"{hit.document.title}\n{hit.chunk.heading}\n{hit.chunk.text}" for hit in hits))
    if example.answerable and not example.unit.startswith("drug:") and example.language == _language(hits):
        for name in support.drug_names(example.question):
            if not _known(_squeezed(name), known):
                return f"the question's '{name}' is not in the source"
    if not example.answerable:
        return ""
    for answer in (example.answers[0], *_said_by_assistant(example)):
        if says_not_mentioned(answer) or _squeezed(answer) in known:
            continue
        for statement in sentences(answer):
            lost = support.missing(statement, _nearest(statement, hits), hits)
            if lost:
                return f"not in the source: {'; '.join(lost)[:120]}"
    return ""


def _names_its_drug(example: QAExample, hits: Sequence[Hit]) -> bool:
    found = records.records(hits)
    return not found or any(_squeezed(name) in _squeezed(example.question) for name in found[0].names)


def _known(name: str, source: str) -> bool:
    """Whether the source has the name. Chinese has no spaces: words before it may hang on, its last three will do."""
    if name.isascii():
        return name in source
    return any(name[at:] in source for at in range(max(1, len(name) - 2)))


def _language(hits: Sequence[Hit]) -> str:
    return language_of("\n".join(hit.chunk.text for hit in hits))


def _nearest(statement: str, hits: Sequence[Hit], most: int = 3) -> list[str]:
    """The source's sentences that share most of the statement's terms."""
    asked = set(terms(statement))
    scored = [(len(asked & set(terms(sentence))), sentence) for hit in hits for sentence in sentences(hit.chunk.text)]
    best = sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])[:most]
    return [sentence for _, sentence in best] or [hit.chunk.text for hit in hits]


def answerable_again(answer_again: AnswerAgain) -> Filter:
    """Round trip: the question put to an engine with the source alone must bring the answer back (or abstention)."""

    def check(example: QAExample, hits: Sequence[Hit]) -> str:
        if not hits or example.messages or example.task != "qa":
            return ""
        given = answer_again(example, hits)
        silent = given is None or says_not_mentioned(given) or bool(_ENGINE_SAYS_UNSTATED.search(given))
        if not example.answerable:
            return "" if silent else f"it has an answer: {str(given)[:80]}"
        if silent:
            return "no answer from its source"
        agreement = trigram_f1(str(given), example.answers[0])
        holds = _squeezed(example.answers[0]) in _squeezed(str(given))
        return "" if holds or agreement >= AGREES else f"another answer from its source (agreement {agreement:.2f})"

    return check


def by_quoting(extractor: Extractor) -> AnswerAgain:
    """Answer again with the extractive engine; reliable on monographs, so it judges only these."""

    def answer(example: QAExample, hits: Sequence[Hit]) -> str | None:
        if not example.unit.startswith("drug:"):
            return example.answers[0]
        found = extractor.extract(example.question, list(hits))
        return None if found.abstained else re.sub(r"\s*\[\d+\]", "", found.text)

    return answer


def retrievable(search: Search, k: int) -> Filter:
    """The source must be among the k best passages for the question; of a monograph any chunk will do."""

    def check(example: QAExample, hits: Sequence[Hit]) -> str:
        if not hits or not example.answerable:
            return ""
        found = search(example.question, k)
        ours = {source.chunk_id for source in example.sources}
        if any(hit.chunk.id in ours for hit in found):
            return ""
        if example.unit.startswith("drug:") and any(
            hit.document.id == example.document and unit_of(hit.document, hit.chunk) == example.unit for hit in found
        ):
            return ""
        return f"its source is not among the {k} best passages"

    return check


def filters_of(search: Search, k: int, again: AnswerAgain | None) -> dict[str, Filter]:
    """Every filter that needs no model, cheapest first; without `again` no question is answered again."""
    filters: dict[str, Filter] = {
        "format": check_format,
        "language": check_language,
        "leakage": check_leakage,
        "groundedness": check_grounded,
    }
    if again is not None:
        filters["answerability"] = answerable_again(again)
    filters["retrievability"] = retrievable(search, k)
    return filters


# -- a run -----------------------------------------------------------------------------------------------------------


def judge(
    examples: Iterable[tuple[QAExample, Sequence[Hit]]],
    filters: Mapping[str, Filter],
    report: CurationReport,
) -> Iterator[tuple[QAExample, str]]:
    """(example, '' or 'filter: reason') of each, in order."""
    for example, hits in examples:
        report.seen += 1
        reason = ""
        for name, check in filters.items():
            why = check(example, hits)
            if why:
                reason = f"{name}: {why}"
                report.dropped[name] += 1
                break
        report.kept += not reason
        yield example, reason


def trigram_f1(given: str, wanted: str) -> float:
    """F1 over character trigrams (with repeats): agreement of two answers in either language."""
    one, two = _trigrams(given), _trigrams(wanted)
    shared = sum((one & two).values())
    return 2 * shared / (sum(one.values()) + sum(two.values())) if shared else 0.0


def _trigrams(text: str) -> Counter[str]:
    plain = _squeezed(text).lower()
    return Counter(plain[at : at + 3] for at in range(max(1, len(plain) - 2)))


def _squeezed(text: str) -> str:
    return "".join(text.split()).lower()
