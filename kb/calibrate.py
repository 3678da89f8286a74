"""When to answer, learnt from questions: rows judged in, a logistic fit per kind of evidence, its cut and curve out.

Ridge logistic regression by Newton's method on standardised features, or their products; some weights for hundreds of
rows, so that numpy is enough. The cut is the lowest that keeps false answers at the rate asked for, one for each size
of library that the rows were asked of, and is chosen, like all figures that are told, on scores of folds that the fit
did not see; all rows about one article share a fold, and so do a row and its twin with the answer taken away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from kb.evaluate_answers import AnswerRow
from kb.evidence import CURVED, FEATURES, MEANING, Calibration, Cut, Evidence, Fit, likelihood, weighed

FEWEST = 40
"""Answerable rows, and unanswerable ones, that a fit needs."""
FOLDS = 5
_ALIKE = 2
"""Libraries of up to so many times the passages of the smallest are of one size."""
_RIDGE = 1.0
_RIDGE_CURVED = 10.0
_STEPS = 50
_GONE = "#gone"  # kb.evaluate_answers.gold_removed


@dataclass(frozen=True, slots=True)
class Judged:
    """A row with its evidence; without evidence (a monograph's field decides) `answered` says what is done anyhow."""

    row: AnswerRow
    evidence: Evidence | None
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """What a cut costs: false answers among the unanswerable rows, false refusals among the answerable ones."""

    cut: float
    false_answers: float
    false_refusals: float


@dataclass(frozen=True, slots=True)
class Sized:
    """The rows of one kind that were asked of libraries of about one size, with their out-of-fold curve."""

    passages: int
    """The middle library's."""
    answerable: int
    unanswerable: int
    curve: tuple[Point, ...]
    chosen: Point


@dataclass(frozen=True, slots=True)
class Result:
    """A calibration, and how each kind of evidence it was fitted for does in each size of library."""

    calibration: Calibration
    sizes: Mapping[str, tuple[Sized, ...]]
    counts: Mapping[str, tuple[int, int]]
    """Answerable and unanswerable rows of each kind, fitted or not."""
    undecided: tuple[int, int]
    """Answerable and unanswerable rows that no fit decides."""


def calibrate(judged: Sequence[Judged], before: Calibration, embedder: str, *, false_answers: float) -> Result:
    """Fit each kind of evidence that has rows enough, keep the fit of `before` for the others.

    Every row is also taken without its meaning, so that the fits by words alone know all of the language's rows.
    """
    fits = dict(before.for_embedder(embedder).fits)
    sizes: dict[str, tuple[Sized, ...]] = {}
    counts: dict[str, tuple[int, int]] = {}
    for kind, rows in sorted(_by_kind(judged).items()):
        x = np.array([values for _, values in rows])
        y = np.array([one.row.answerable for one, _ in rows])
        counts[kind] = (int(y.sum()), int((~y).sum()))
        if min(counts[kind]) < FEWEST:
            continue
        folds = _folds([_article(one.row) for one, _ in rows])
        seen = np.array([weighed(values) for values in x])
        scores = np.empty(len(y))
        for fold in range(FOLDS):
            inside = folds == fold
            weights, bias = _fit(x[~inside], y[~inside])
            scores[inside] = seen[inside] @ weights + bias
        sizes[kind] = _by_size(
            [one.evidence.passages if one.evidence else 0 for one, _ in rows], scores, y, false_answers
        )
        weights, bias = _fit(x, y)
        told = {"answerable": float(y.sum()), "unanswerable": float((~y).sum())}
        cuts = tuple(
            Cut(one.passages, one.chosen.cut, round(one.chosen.false_answers, 4), round(one.chosen.false_refusals, 4))
            for one in sizes[kind]
        )
        fits[kind] = Fit(tuple(map(float, weights)), float(bias), cuts, told)
    without = [one for one in judged if one.evidence is None]
    undecided = (sum(one.row.answerable for one in without), sum(not one.row.answerable for one in without))
    return Result(Calibration(fits, embedder), sizes, counts, undecided)


def _by_size(
    passages: Sequence[int], scores: np.ndarray, answerable: np.ndarray, false_answers: float
) -> tuple[Sized, ...]:
    """The rows by the size of their library, sizes within _ALIKE of the smallest together; all together if no size has
    rows enough. A larger library's cut is never lower than a smaller one's."""
    size = np.array(passages)
    groups: list[np.ndarray] = []
    left = np.ones(len(size), bool)
    while left.any():
        group = left & (size <= _ALIKE * size[left].min())
        groups.append(group)
        left &= ~group
    enough = [one for one in groups if min((one & answerable).sum(), (one & ~answerable).sum()) >= FEWEST]
    found: list[Sized] = []
    for group in enough or [np.ones(len(size), bool)]:
        y = answerable[group]
        points = tuple(curve(scores[group], y))
        chosen = choose(points, false_answers, found[-1].chosen.cut if found else 0.0)
        found.append(Sized(int(np.median(size[group])), int(y.sum()), int((~y).sum()), points, chosen))
    return tuple(found)


def _fit(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and bias for what is `weighed` of the features."""
    return fit_logistic(x, y) if x.shape[1] == len(FEATURES) else fit_curved(x, y)


def fit_curved(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """As `fit_logistic` for what is `weighed`: products are those of standardised features while they are fitted, so
    that the ridge holds them down alike, and are told of the features as they are."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread < 1e-9] = 1.0
    found, bias = fit_logistic(np.array([weighed(row) for row in (x - mean) / spread]), y, ridge=_RIDGE_CURVED)
    n = len(CURVED)
    at = [(*FEATURES, *MEANING).index(name) for name in CURVED]
    mean, spread = mean[at], spread[at]
    linear, products = found[:n] / spread, found[n:].copy()
    bias -= float(found[:n] @ (mean / spread))
    for number, (i, j) in enumerate(combinations_with_replacement(range(n), 2)):
        products[number] /= spread[i] * spread[j]
        linear[i] -= products[number] * mean[j]
        linear[j] -= products[number] * mean[i]
        bias += float(products[number] * mean[i] * mean[j])
    return np.concatenate([linear, products]), bias


def fit_logistic(x: np.ndarray, y: np.ndarray, ridge: float = _RIDGE) -> tuple[np.ndarray, float]:
    """Weights and bias for the features as they are. Both classes weigh alike, so 0.5 means as likely as not."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread < 1e-9] = 1.0  # a feature that never varies tells nothing
    a = np.column_stack([(x - mean) / spread, np.ones(len(x))])
    target = y.astype(float)
    weight = np.where(y, 0.5 / max(1, y.sum()), 0.5 / max(1, (~y).sum())) * len(y)
    penalty = np.eye(a.shape[1]) * ridge
    penalty[-1, -1] = 1e-6
    found = np.zeros(a.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(a @ found, -30, 30)))
        gradient = a.T @ (weight * (p - target)) + penalty @ found
        curvature = (a.T * (weight * p * (1 - p))) @ a + penalty
        step = np.linalg.solve(curvature, gradient)
        found = found - step
        if np.abs(step).max() < 1e-6:
            break
    weights = found[:-1] / spread
    return weights, float(found[-1] - weights @ mean)


def curve(scores: np.ndarray, answerable: np.ndarray) -> Iterator[Point]:
    """What each possible cut costs, from answering everything to answering nothing. Cuts are likelihoods."""
    right, wrong = np.sort(scores[answerable]), np.sort(scores[~answerable])
    for cut in [-math.inf, *np.unique(scores), math.inf]:
        yield Point(
            likelihood(float(cut)),
            float(len(wrong) - np.searchsorted(wrong, cut)) / len(wrong),
            float(np.searchsorted(right, cut)) / len(right),
        )


def choose(points: Sequence[Point], false_answers: float, least: float = 0.0) -> Point:
    """The lowest cut, `least` or more, with at most so many false answers."""
    return next(point for point in points if point.false_answers <= false_answers and point.cut >= least)


def _by_kind(judged: Sequence[Judged]) -> dict[str, list[tuple[Judged, tuple[float, ...]]]]:
    kinds: dict[str, list[tuple[Judged, tuple[float, ...]]]] = {}
    for one in judged:
        if one.evidence is not None:
            values = one.evidence.values
            kinds.setdefault(one.evidence.language, []).append((one, values[: len(FEATURES)]))
            if one.evidence.kind != one.evidence.language:
                kinds.setdefault(one.evidence.kind, []).append((one, values))
    return kinds


def _article(row: AnswerRow) -> str:
    """What a row asks about: its article where the set names one, else the row itself."""
    keys = row.gold_keys or row.keys
    return min(keys, key=lambda key: (len(key), key)) if keys else row.id.removesuffix(_GONE)


def _folds(groups: Sequence[str]) -> np.ndarray:
    """A fold for each row, the same for all of a group, in a fixed order."""
    numbers = {group: at for at, group in enumerate(dict.fromkeys(groups))}
    order = np.random.default_rng(0).permutation(len(numbers))
    return np.array([order[numbers[group]] % FOLDS for group in groups])
