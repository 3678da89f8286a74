"""A question and its best passages in, the same passages in a better order out: the stage after fusion.

Features that cost next to nothing on a CPU (`measure`): the scores that fusion was made of, how much of the question's
rarity (BM25's) the passage and its title hold, how near together its rarest terms stand, the longest run of the
question that stands there word for word, its numbers and abbreviations. A linear function of them, one for each
language of question, fitted on development questions by `python -m bench.rerank` and shipped as kb/data/rerank.json.
It is used for the languages that the file names as `on`: those it helped on questions that it was not fitted on. For
the others `evaluate retrieval` prints what it would do.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from kb.terms import BIGRAM, CHARACTER, language_of
from kb.types import Hit, Language

FEATURES = ("fused", "cosine", "words", "titled", "covered", "rarest", "near", "phrase", "exact", "length")
DEPTH = 30
"""Passages that are put in a new order; what comes after them stays behind them."""
_NEAR: dict[Language, int] = {"zh": 60, "en": 200}  # characters that the window of `near` spans
_RAREST = 3
_OCCURRENCES = 6  # of one term that are looked at in a passage
_EXACT = re.compile(r"\d+(?:[.,]\d+)*|(?<![A-Za-z])[A-Z][A-Z0-9-]+(?![A-Za-z])")
_LATIN = re.compile(r"[a-z0-9]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Weights:
    """One weight for each of FEATURES, for each language of question that is put in a new order."""

    by_language: Mapping[Language, tuple[float, ...]]
    on: frozenset[Language]
    """The languages whose search uses them."""


@cache
def shipped() -> Weights:
    """The weights in kb/data/rerank.json."""
    told = json.loads((files("kb") / "data" / "rerank.json").read_text(encoding="utf-8"))
    rows = {language: tuple(row[name] for name in FEATURES) for language, row in told["weights"].items()}
    return Weights(rows, frozenset(told["on"]))


def rerank(question: str, rarity: Mapping[str, float], hits: Sequence[Hit], weights: Weights) -> list[Hit]:
    """The hits, the first DEPTH of them in the order of the weights. `rarity`: of each of the question's terms.

    Scores stay those of fusion; equal ones keep their order.
    """
    chosen = weights.by_language.get(language_of(question))
    if chosen is None or len(hits) < 2:
        return list(hits)
    first = hits[:DEPTH]
    scores = measure(question, rarity, first) @ np.array(chosen)
    return [first[i] for i in np.argsort(-scores, kind="stable")] + list(hits[DEPTH:])


def measure(question: str, rarity: Mapping[str, float], hits: Sequence[Hit]) -> np.ndarray:
    """FEATURES of each hit, of shape (hits, features); all but `fused`, `cosine` and `length` lie in [0, 1]."""
    asked = _plain(question)
    terms = {_spelt(term): worth for term, worth in rarity.items() if worth > 0}
    whole = sum(terms.values()) or 1.0
    rarest = sorted((term for term in terms if len(term) > 1), key=lambda term: -terms[term])[:_RAREST]
    exact = set(_EXACT.findall(unicodedata.normalize("NFKC", question)))
    window = _NEAR[language_of(question)]
    rows = []
    for hit in hits:
        title, text = _plain(f"{hit.document.title}\n{hit.chunk.heading}"), _plain(hit.chunk.text)
        places = {term: found for term in terms if (found := _places(term, text))}
        titled = {term for term in terms if _places(term, title)}
        held = places.keys() | titled
        rows.append(
            (
                hit.score,
                hit.cosine,
                hit.words,
                _sum(terms, titled) / whole,
                _sum(terms, held) / whole,
                len(held & set(rarest)) / len(rarest) if rarest else 0.0,
                _nearest(places, terms, window) / whole,
                _longest_run(asked, f"{title}\n{text}") / max(1, len(asked)),
                sum(one in hit.chunk.text or one in hit.chunk.heading for one in exact) / max(1, len(exact)),
                float(np.log1p(len(text))),
            )
        )
    return np.array(rows, dtype=np.float64)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _spelt(term: str) -> str:
    """A term as it stands in text: without its mark; a stem (therapi) cut to where its words agree."""
    bare = term.removeprefix(BIGRAM).removeprefix(CHARACTER)
    return bare[:-1] if len(bare) > 3 and bare[-1] == "i" and _LATIN.match(bare) else bare


def _places(term: str, text: str) -> list[int]:
    """Where the term stands, at most _OCCURRENCES times; a Latin one at the beginning of a word only."""
    found: list[int] = []
    latin = _LATIN.match(term)
    at = text.find(term)
    while at >= 0 and len(found) < _OCCURRENCES:
        if not (latin and at and _LATIN.match(text[at - 1])):
            found.append(at)
        at = text.find(term, at + 1)
    return found


def _sum(terms: Mapping[str, float], of: Iterable[str]) -> float:
    return sum(terms[term] for term in of)


def _nearest(places: Mapping[str, Sequence[int]], terms: Mapping[str, float], window: int) -> float:
    """The most rarity that stands within `window` characters."""
    spots = sorted((at, term) for term, found in places.items() for at in found)
    best = worth = 0.0
    start = 0
    inside: dict[str, int] = {}
    for at, term in spots:
        if not inside.get(term):
            worth += terms[term]
        inside[term] = inside.get(term, 0) + 1
        while at - spots[start][0] > window:
            gone = spots[start][1]
            inside[gone] -= 1
            if not inside[gone]:
                worth -= terms[gone]
            start += 1
        best = max(best, worth)
    return best


def _longest_run(asked: str, text: str) -> int:
    """Characters of the longest part of the question that stands in the text as it is."""
    start = best = 0
    for end in range(1, len(asked) + 1):
        while start < end and asked[start:end] not in text:
            start += 1
        best = max(best, end - start)
    return best
