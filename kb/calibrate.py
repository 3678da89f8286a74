"""When to answer, learnt from questions: rows judged in, a logistic fit per kind of evidence, its cut and curve out.

Ridge logistic regression by Newton's method on standardised features; a handful of weights for hundreds of rows, so
that numpy is enough. The cut is the lowest that keeps false answers at the rate asked for, and is chosen, like all
figures that are told, on scores of folds that the fit did not see; a row and its twin with the answer taken away share
a fold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kb.evaluate_answers import AnswerRow
from kb.evidence import FEATURES, Calibration, Evidence, Fit, likelihood

FEWEST = 40
"""Answerable rows, and unanswerable ones, that a fit needs."""
FOLDS = 5
_RIDGE = 1.0
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
class Result:
    """A calibration, and the out-of-fold curve of each kind of evidence it was fitted for."""

    calibration: Calibration
    curves: Mapping[str, tuple[Point, ...]]
    chosen: Mapping[str, Point]
    """Out-of-fold, at the cut that was chosen."""
    counts: Mapping[str, tuple[int, int]]
    """Answerable and unanswerable rows of each kind, fitted or not."""
    undecided: tuple[int, int]
    """Answerable and unanswerable rows that no fit decides."""


def calibrate(judged: Sequence[Judged], before: Calibration, embedder: str, *, false_answers: float) -> Result:
    """Fit each kind of evidence that has rows enough, keep the fit of `before` for the others.

    Every row is also taken without its meaning, so that the fits by words alone know all of the language's rows.
    """
    fits = dict(before.for_embedder(embedder).fits)
    curves: dict[str, tuple[Point, ...]] = {}
    chosen: dict[str, Point] = {}
    counts: dict[str, tuple[int, int]] = {}
    for kind, rows in sorted(_by_kind(judged).items()):
        x = np.array([values for _, values in rows])
        y = np.array([one.row.answerable for one, _ in rows])
        counts[kind] = (int(y.sum()), int((~y).sum()))
        if min(counts[kind]) < FEWEST:
            continue
        folds = _folds([one.row.id.removesuffix(_GONE) for one, _ in rows])
        scores = np.empty(len(y))
        for fold in range(FOLDS):
            inside = folds == fold
            weights, bias = fit_logistic(x[~inside], y[~inside])
            scores[inside] = x[inside] @ weights + bias
        curves[kind] = tuple(curve(scores, y))
        chosen[kind] = choose(curves[kind], false_answers)
        weights, bias = fit_logistic(x, y)
        told = {
            "answerable": float(y.sum()),
            "unanswerable": float((~y).sum()),
            "false_answers": round(chosen[kind].false_answers, 4),
            "false_refusals": round(chosen[kind].false_refusals, 4),
        }
        fits[kind] = Fit(tuple(map(float, weights)), float(bias), chosen[kind].cut, told)
    without = [one for one in judged if one.evidence is None]
    undecided = (sum(one.row.answerable for one in without), sum(not one.row.answerable for one in without))
    return Result(Calibration(fits, embedder), curves, chosen, counts, undecided)


def fit_logistic(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and bias for the features as they are. Both classes weigh alike, so 0.5 means as likely as not."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread < 1e-9] = 1.0  # a feature that never varies tells nothing
    a = np.column_stack([(x - mean) / spread, np.ones(len(x))])
    target = y.astype(float)
    weight = np.where(y, 0.5 / max(1, y.sum()), 0.5 / max(1, (~y).sum())) * len(y)
    ridge = np.eye(a.shape[1]) * _RIDGE
    ridge[-1, -1] = 1e-6
    found = np.zeros(a.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(a @ found, -30, 30)))
        gradient = a.T @ (weight * (p - target)) + ridge @ found
        curvature = (a.T * (weight * p * (1 - p))) @ a + ridge
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


def choose(points: Sequence[Point], false_answers: float) -> Point:
    """The lowest cut with at most so many false answers."""
    return next(point for point in points if point.false_answers <= false_answers)


def _by_kind(judged: Sequence[Judged]) -> dict[str, list[tuple[Judged, tuple[float, ...]]]]:
    kinds: dict[str, list[tuple[Judged, tuple[float, ...]]]] = {}
    for one in judged:
        if one.evidence is not None:
            values = one.evidence.values
            kinds.setdefault(one.evidence.language, []).append((one, values[: len(FEATURES)]))
            if one.evidence.kind != one.evidence.language:
                kinds.setdefault(one.evidence.kind, []).append((one, values))
    return kinds


def _folds(groups: Sequence[str]) -> np.ndarray:
    """A fold for each row, the same for all of a group, in a fixed order."""
    numbers = {group: at for at, group in enumerate(dict.fromkeys(groups))}
    order = np.random.default_rng(0).permutation(len(numbers))
    return np.array([order[numbers[group]] % FOLDS for group in groups])
