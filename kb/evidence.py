"""Does the library answer this question? Passages found in, features and a calibrated likelihood out.

Coverage: the share of the question's terms, each weighted by its rarity in the whole library, that the best passage and
the best sentence hold. A missing common word costs little, a missing rare one (the drug, the condition) much. Where the
embedder knows the language, the nearest sentence's cosine counts too. A logistic function of these few features, fitted
on answerable and unanswerable questions (kb.calibrate), gives the likelihood, and a cut says what is enough.
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
from itertools import pairwise
from pathlib import Path

from kb.errors import UsageError
from kb.home import CALIBRATION
from kb.terms import BIGRAM, CHARACTER
from kb.types import Language

FEATURES = ("sentence", "passage", "own", "lacking", "phrase", "calls", "length")
"""What is measured with words alone: see `measure`."""
MEANING = ("cosine", "lead")
"""What is measured beside it where the embedder knows the language."""

_WITH_MEANING = "+meaning"

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


@dataclass(frozen=True, slots=True)
class Evidence:
    """The features of one question and what was found for it, in the order of FEATURES, then of MEANING."""

    language: Language
    values: tuple[float, ...]

    @property
    def kind(self) -> str:
        """Which fit applies: the language, and whether meaning was measured."""
        return self.language if len(self.values) == len(FEATURES) else f"{self.language}{_WITH_MEANING}"


def measure(
    language: Language,
    question: str,
    passages: Sequence[Text],
    sentences: Sequence[Text],
    cosines: Sequence[float],
    lexicon: Lexicon,
    calls: Sequence[re.Pattern[str]] = (),
) -> Evidence:
    """The features. `question` comes without its question words; `calls` show that a sentence has what it calls for.

    sentence, passage: coverage by the best one with its context; own: by the best sentence alone; lacking: the rarity
    of the rarest word that the best passage lacks, relative to the rarest of all; phrase: the share of the question's
    neighbouring terms that are neighbours in one sentence; calls: the share of `calls` that the best sentence meets;
    length: the logarithm of the number of terms; cosine: the nearest sentence's; lead: how far that is from the middle
    one's. `cosines`, one a sentence, is empty where the embedder does not know the language.
    """
    in_order = [term for term in lexicon.terms(question) if not _DIGITS.fullmatch(term)]
    asked = list(dict.fromkeys(in_order))
    weights = lexicon.rarity(asked)
    total = sum(weights.values())
    if not total or not sentences:
        return Evidence(language, (0.0,) * (len(FEATURES) + (len(MEANING) if len(cosines) else 0)))
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
    if len(cosines):
        nearest = max(0.0, max(cosines))
        values += [nearest, nearest - sorted(cosines)[len(cosines) // 2]]
    return Evidence(language, tuple(map(float, values)))


def _words(terms: Sequence[str]) -> list[str]:
    return [term for term in terms if not term.startswith((BIGRAM, CHARACTER))]


def share(held: frozenset[str], weights: Mapping[str, float]) -> float:
    """What the terms that are held weigh together."""
    return sum(weight for term, weight in weights.items() if term in held)


# -- what is enough ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fit:
    """A logistic function of the features of one kind of evidence, and the likelihood from which on to answer."""

    weights: tuple[float, ...]
    bias: float
    cut: float
    told: Mapping[str, float] = field(default_factory=dict)
    """What it was fitted on and how well it did there: numbers of rows, false answers, false refusals."""

    def confidence(self, values: Sequence[float]) -> float:
        """The likelihood that the library answers, among questions half of which it answers."""
        return likelihood(self.bias + sum(weight * value for weight, value in zip(self.weights, values, strict=True)))


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
        return fit.confidence(values) >= fit.cut

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
        names = (*FEATURES, *MEANING) if kind.endswith(_WITH_MEANING) else FEATURES
        if set(one["weights"]) != set(names):
            raise ValueError(f"it weighs other features than this version measures ({kind})")
        weights = tuple(float(one["weights"][name]) for name in names)
        fits[str(kind)] = Fit(weights, float(one["bias"]), float(one["cut"]), one.get("told", {}))
    if not {"zh", "en"} <= fits.keys():
        raise ValueError("it lacks one of the languages")
    return Calibration(fits, str(read.get("embedder", "")))


def calibration_json(calibration: Calibration) -> str:
    """As it is written to disk."""
    fits = {
        kind: {
            "weights": dict(zip((*FEATURES, *MEANING), map(_rounded, fit.weights), strict=False)),
            "bias": _rounded(fit.bias),
            "cut": _rounded(fit.cut),
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
