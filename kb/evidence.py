"""Does the library answer this question? Passages found in, features and a calibrated likelihood out.

Coverage: the share of the question's terms, each weighted by its rarity in the whole library, that the best passage and
the best sentence hold. A missing common word costs little, a missing rare one (the drug, the condition) much. Where the
embedder knows the language, meaning counts too: of the whole, and how near each word of the question comes to one of a
sentence (Khattab and Zaharia, "ColBERT", SIGIR 2020, without its training). A logistic function of these few features,
and of their products where meaning was measured, fitted on answerable and unanswerable questions (kb.calibrate), gives
the likelihood, and a cut says what is enough: more in a large library, where something always comes near.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import combinations_with_replacement, pairwise
from pathlib import Path

import numpy as np

from kb.embed import Compared
from kb.errors import UsageError
from kb.home import CALIBRATION
from kb.terms import BIGRAM, CHARACTER
from kb.types import Language

FEATURES = ("sentence", "passage", "own", "lacking", "phrase", "calls", "length")
"""What is measured with words alone: see `measure`."""
MEANING = ("cosine", "lead", "nearest", "tokens", "token_lead")
"""What is measured beside it where the embedder knows the language."""
CURVED = ("passage", "length", "cosine", "nearest", "tokens", "token_lead")
"""What a fit with meaning weighs, alone and in pairs: what is much for a long question is little for a short one."""

_WITH_MEANING = "+meaning"

_DIGITS = re.compile(r"[\d.,%-]+")
_WORD = re.compile(r"\w+(?:[-'.]\w+)*")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The library's own view of words: how it cuts text into terms, and how rare each is."""

    terms: Callable[[str], Sequence[str]]
    rarity: Callable[[Iterable[str]], Mapping[str, float]]
    """Inverse document frequency of each term over all passages of the library."""
    passages: int = 0
    """How many the library holds; 0: not known."""


@dataclass(frozen=True, slots=True)
class Text:
    """A passage or sentence as evidence: `shown` is quoted, `context` (title, section path) says what it is about."""

    shown: str
    context: str = ""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A question (whole, as the embedder read it) held against the sentences by meaning."""

    question: str
    compared: Compared
    within: Sequence[int]
    """For each sentence, which passage it is of."""
    nearest: float
    """The nearest passage's cosine."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The features of one question and what was found for it, in the order of FEATURES, then of MEANING."""

    language: Language
    values: tuple[float, ...]
    passages: int = 0
    """Of the library; 0: not known."""

    @property
    def kind(self) -> str:
        """Which fit applies: the language, and whether meaning was measured."""
        return self.language if len(self.values) == len(FEATURES) else f"{self.language}{_WITH_MEANING}"


def measure(
    language: Language,
    question: str,
    passages: Sequence[Text],
    sentences: Sequence[Text],
    meaning: Meaning | None,
    lexicon: Lexicon,
    calls: Sequence[re.Pattern[str]] = (),
) -> Evidence:
    """The features. `question` comes without its question words; `calls` show that a sentence has what it calls for.

    sentence, passage: coverage by the best one with its context; own: by the best sentence alone; lacking: the rarity
    of the rarest word that the best passage lacks, relative to the rarest of all; phrase: the share of the question's
    neighbouring terms that are neighbours in one sentence; calls: the share of `calls` that the best sentence meets;
    length: the logarithm of the number of terms; cosine: the nearest sentence's; lead: how far that is from the middle
    one's; nearest: the nearest passage's; tokens: how near the question's words come to those of the best passage, each
    weighed by its rarity; token_lead: how far the nearest sentence is in that from the middle one. `meaning` is None
    where the embedder does not know the language.
    """
    in_order = [term for term in lexicon.terms(question) if not _DIGITS.fullmatch(term)]
    asked = list(dict.fromkeys(in_order))
    weights = lexicon.rarity(asked)
    total = sum(weights.values())
    if not total or not sentences:
        return Evidence(language, (0.0,) * (len(FEATURES) + (len(MEANING) if meaning else 0)), lexicon.passages)
    contexts: dict[str, frozenset[str]] = {}
    for text in (*sentences, *passages):
        if text.context not in contexts:
            contexts[text.context] = frozenset(lexicon.terms(text.context))
    cut = [lexicon.terms(text.shown) for text in sentences]
    own = [share(frozenset(terms), weights) for terms in cut]
    with_context = [frozenset(terms) | contexts[text.context] for terms, text in zip(cut, sentences, strict=True)]
    whole = [share(held, weights) for held in with_context]
    best = max(range(len(whole)), key=whole.__getitem__)
    read = [frozenset(lexicon.terms(text.shown)) | contexts[text.context] for text in passages]
    covered = [share(held, weights) for held in read]
    nearest_passage = read[max(range(len(read)), key=covered.__getitem__)]
    met = sum(bool(call.search(sentences[best].shown)) for call in calls)
    words = _words(in_order)
    pairs = set(pairwise(words))
    held_pairs = [len(pairs & set(pairwise(kept))) for kept in map(_words, cut)]
    values = [
        whole[best] / total,
        max(covered) / total,
        max(own) / total,
        max((weights[word] for word in words if word not in nearest_passage), default=0.0) / max(weights.values()),
        max(held_pairs) / len(pairs) if pairs else 0.0,
        met / len(calls) if calls else 1.0,
        math.log(1 + len(words)),
    ]
    if meaning:
        values += _by_meaning(meaning, lexicon)
    return Evidence(language, tuple(map(float, values)), lexicon.passages)


def _by_meaning(meaning: Meaning, lexicon: Lexicon) -> list[float]:
    """The features named in MEANING."""
    cosines = sorted(meaning.compared.cosines.tolist())
    near = meaning.compared.tokens
    best, passage = [], 0.0
    if near.shape[1]:
        weights = _token_weights(meaning.question, meaning.compared.places, lexicon)
        best = sorted((near @ weights).tolist())
        within = np.array(meaning.within)
        passage = max(float(near[within == one].max(axis=0) @ weights) for one in set(meaning.within))
    return [
        max(0.0, cosines[-1]),
        max(0.0, cosines[-1]) - cosines[len(cosines) // 2],
        max(0.0, meaning.nearest),
        passage,
        best[-1] - best[len(best) // 2] if best else 0.0,
    ]


def nearness(question: str, compared: Compared, lexicon: Lexicon) -> np.ndarray | None:
    """How near the question's words come to those of each sentence, weighed by rarity, of shape (sentences,), in
    [0, 1]; None where the embedder gave no tokens."""
    if not compared.tokens.shape[1]:
        return None
    return np.asarray(compared.tokens @ _token_weights(question, compared.places, lexicon))


def _token_weights(question: str, places: Sequence[tuple[int, int]], lexicon: Lexicon) -> np.ndarray:
    """For each token of the question its word's rarity, together 1; if no word has any, all weigh alike."""
    words = [(found.span(), lexicon.terms(found[0])) for found in _WORD.finditer(question)]
    rarity = lexicon.rarity({term for _, terms in words for term in terms})
    worth = [(span, max((rarity[term] for term in terms), default=0.0)) for span, terms in words]
    weights = np.array([max((w for (a, b), w in worth if a < end and start < b), default=0.0) for start, end in places])
    total = weights.sum() if len(weights) else 0.0
    return weights / total if total else np.full(len(places), 1 / max(1, len(places)))


def _words(terms: Sequence[str]) -> list[str]:
    return [term for term in terms if not term.startswith((BIGRAM, CHARACTER))]


def share(held: frozenset[str], weights: Mapping[str, float]) -> float:
    """What the terms that are held weigh together."""
    return sum(weight for term, weight in weights.items() if term in held)


# -- what is enough ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cut:
    """The likelihood from which on to answer in a library of so many passages, and what that cost where it was chosen:
    shares of unanswerable questions answered, of answerable ones refused."""

    passages: int
    least: float
    false_answers: float = math.nan
    false_refusals: float = math.nan


@dataclass(frozen=True, slots=True)
class Fit:
    """A logistic function of the features of one kind of evidence, and the likelihoods from which on to answer."""

    weights: tuple[float, ...]
    """One for each of `weighed`."""
    bias: float
    cuts: tuple[Cut, ...]
    """At least one; the smallest library first."""
    told: Mapping[str, float] = field(default_factory=dict)
    """What it was fitted on: numbers of rows."""

    def least(self, passages: int) -> float:
        """The cut for a library of so many passages: between two of `cuts` by the logarithm, beyond them the nearest.
        Where the number is not known (0), the largest library's."""
        if not passages:
            return self.cuts[-1].least
        sizes = [math.log(max(1, cut.passages)) for cut in self.cuts]
        return float(np.interp(math.log(passages), sizes, [cut.least for cut in self.cuts]))

    def confidence(self, values: Sequence[float]) -> float:
        """The likelihood that the library answers, among questions half of which it answers."""
        pairs = zip(self.weights, weighed(values), strict=True)
        return likelihood(self.bias + sum(weight * value for weight, value in pairs))


def weighed(values: Sequence[float]) -> tuple[float, ...]:
    """What a fit weighs of evidence: its features by words; with meaning, CURVED and all their products."""
    if len(values) == len(FEATURES):
        return tuple(values)
    chosen = [values[at] for at in _CURVED_AT]
    return (*chosen, *(one * other for one, other in combinations_with_replacement(chosen, 2)))


_CURVED_AT = tuple((*FEATURES, *MEANING).index(name) for name in CURVED)
_WEIGHED = (*CURVED, *("*".join(pair) for pair in combinations_with_replacement(CURVED, 2)))


def names_weighed(kind: str) -> tuple[str, ...]:
    """The names of what a fit of this kind of evidence weighs."""
    return _WEIGHED if kind.endswith(_WITH_MEANING) else FEATURES


def likelihood(score: float) -> float:
    """The logistic function, which neither overflows nor meets infinity."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, score))))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fits by kind of evidence. Those with meaning hold for one embedder: cosines of another mean something else.

    Evidence whose kind has no fit is judged by its words alone.
    """

    fits: Mapping[str, Fit]
    embedder: str = ""

    def confidence(self, evidence: Evidence) -> float:
        """The likelihood that the library answers."""
        fit, values = self._fit(evidence)
        return fit.confidence(values)

    def enough(self, evidence: Evidence) -> bool:
        """Whether to answer."""
        fit, values = self._fit(evidence)
        return fit.confidence(values) >= fit.least(evidence.passages)

    def for_embedder(self, key: str) -> Calibration:
        """What of it holds for the embedder of this key."""
        if key == self.embedder:
            return self
        return Calibration({kind: fit for kind, fit in self.fits.items() if not kind.endswith(_WITH_MEANING)}, key)

    def _fit(self, evidence: Evidence) -> tuple[Fit, tuple[float, ...]]:
        if fit := self.fits.get(evidence.kind):
            return fit, evidence.values
        return self.fits[evidence.language], evidence.values[: len(FEATURES)]


def calibration_of(home: Path) -> Calibration:
    """The calibration of this home, or the one that is shipped. Raises UsageError if the home's cannot be used."""
    own = home / CALIBRATION
    if not own.is_file():
        return shipped_calibration()
    try:
        return read_calibration(own.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"The calibration {own} cannot be used: {error}. Run `vademecum evaluate calibrate` again, or move it away."
        ) from None


@cache
def shipped_calibration() -> Calibration:
    """Fitted on the development sets with the packaged embedder (docs/measurements.md)."""
    return read_calibration(files("kb").joinpath("data", CALIBRATION).read_text(encoding="utf-8"))


def read_calibration(text: str) -> Calibration:
    """From its JSON. Raises ValueError, KeyError or TypeError."""
    read = json.loads(text)
    fits = {}
    for kind, one in read["fits"].items():
        names = names_weighed(kind)
        if set(one["weights"]) != set(names):
            raise ValueError(f"it weighs other features than this version measures ({kind})")
        weights = tuple(float(one["weights"][name]) for name in names)
        told = one.get("cuts") or [{"passages": 1, "cut": one["cut"]}]  # an earlier version had one for all sizes
        cuts = tuple(sorted(map(_cut, told), key=lambda cut: cut.passages))
        fits[str(kind)] = Fit(weights, float(one["bias"]), cuts, one.get("told", {}))
    if not {"zh", "en"} <= fits.keys():
        raise ValueError("it lacks one of the languages")
    return Calibration(fits, str(read.get("embedder", "")))


_COSTS = ("false_answers", "false_refusals")


def _cut(told: Mapping[str, float]) -> Cut:
    return Cut(int(told["passages"]), float(told["cut"]), *(float(told.get(name, math.nan)) for name in _COSTS))


def calibration_json(calibration: Calibration) -> str:
    """As it is written to disk."""
    fits = {
        kind: {
            "weights": dict(zip(names_weighed(kind), map(_rounded, fit.weights), strict=True)),
            "bias": _rounded(fit.bias),
            "cuts": [
                {"passages": cut.passages, "cut": _rounded(cut.least)}
                | {name: getattr(cut, name) for name in _COSTS if not math.isnan(getattr(cut, name))}
                for cut in fit.cuts
            ],
            "told": fit.told,
        }
        for kind, fit in sorted(calibration.fits.items())
    }
    return json.dumps({"embedder": calibration.embedder, "fits": fits}, ensure_ascii=False, indent=1) + "\n"


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write it whole or not at all. Raises UsageError if that cannot be done."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(calibration_json(calibration), encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise UsageError(f"The calibration {path} cannot be written: {error.strerror}.") from None


def _rounded(value: float) -> float:
    return round(value, 5)
