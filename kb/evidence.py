"""Does the library answer this question? A score between 0 and 1 from the passages found, and what is enough.

Coverage: the share of the question's terms, each weighted by its rarity in the whole library, that the best passage and
the best sentence hold. A missing common word costs little, a missing rare one (the drug, the condition) much. Where the
embedder knows the language, the best sentence's cosine counts as much as its coverage. Both cuts were set on the
reading sets, with the answering passage taken out for the unanswerable half (docs/measurements.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

ENOUGH_COVERAGE = 0.58
ENOUGH_WITH_COSINE = 0.62

_DIGITS = re.compile(r"[\d.,%-]+")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The library's own view of words: how it cuts text into terms, and how rare each is."""

    terms: Callable[[str], Sequence[str]]
    rarity: Callable[[Iterable[str]], Mapping[str, float]]
    """Inverse document frequency of each term over all passages of the library."""


@dataclass(frozen=True, slots=True)
class Text:
    """A passage or sentence as evidence: `shown` is quoted, `context` (title, section path) says what it is about."""

    shown: str
    context: str = ""


def coverage(asked: Sequence[str], texts: Sequence[Text], lexicon: Lexicon) -> float:
    """The largest rarity-weighted share of the terms `asked` that one of the texts holds with its context.

    Bare numbers are left out: an eGFR of 50 or an age of 9 is the patient's, and no document need name it.
    """
    weights = lexicon.rarity(term for term in asked if not _DIGITS.fullmatch(term))
    total = sum(weights.values())
    if not total:
        return 0.0
    held = (frozenset(lexicon.terms(f"{text.context}\n{text.shown}")) for text in texts)
    return max((sum(w for term, w in weights.items() if term in terms) for terms in held), default=0.0) / total


def enough(
    question: str, passages: Sequence[Text], sentences: Sequence[Text], cosines: Sequence[float], lexicon: Lexicon
) -> bool:
    """Whether passages and sentences bear out an answer. `question` comes without its question words.

    `cosines`, one a sentence, is empty where the embedder does not know the language.
    """
    asked = list(dict.fromkeys(lexicon.terms(question)))
    by_sentence = coverage(asked, sentences, lexicon)
    if len(cosines):
        return (by_sentence + max(0.0, max(cosines))) / 2 >= ENOUGH_WITH_COSINE
    return (by_sentence + coverage(asked, passages, lexicon)) / 2 >= ENOUGH_COVERAGE
