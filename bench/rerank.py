"""Fit and measure the order after fusion: `python -m bench.rerank --set QUESTIONS PASSAGES [--set …] [--out FILE]`.

Questions with an odd place in their set fit the weights (kb.rerank), those with an even one measure them, against the
order of fusion, with paired bootstrap intervals of the difference. One fit for each language of question, its sets
weighing alike. A language goes into --out if its mean nDCG@10 over the measured sets rises by at least --least and no
set falls by more than chance. Passages lie in a throw-away library, built as `vademecum evaluate retrieval` does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.add import add_paths
from kb.ask_set import require_ready
from kb.evaluate import METRICS, Question, read_questions, score
from kb.evaluate_commands import passage_records
from kb.knowledge_base import KnowledgeBase
from kb.rerank import DEPTH, FEATURES, measure
from kb.settings import load_settings
from kb.terms import language_of

_RESAMPLES = 2000
_RIDGE = 0.002
_STEPS = 600


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the features of the hits that fusion found, best first, and the passages that they are of."""

    question: Question
    features: np.ndarray
    passages: tuple[str, ...]

    @property
    def gains(self) -> np.ndarray:
        grades = self.question.grades or dict.fromkeys(self.question.gold, 1.0)
        return np.array([grades.get(one, 0.0) for one in self.passages])


@contextmanager
def library(passages: Path) -> Iterator[tuple[KnowledgeBase, list[str]]]:
    """A throw-away library of the passages, and their ids in record order."""
    with tempfile.TemporaryDirectory(prefix="vademecum-bench-") as folder:
        ids, records = passage_records(passages, Path(folder))
        with KnowledgeBase.open(load_settings(home=Path(folder) / "home"), write=True) as kb:
            add_paths(kb, [records])
            require_ready(kb)
            yield kb, ids


def ask(kb: KnowledgeBase, ids: Sequence[str], questions: Sequence[Question]) -> list[Asked]:
    """Every question searched as the product does, up to the stage to be fitted."""
    asked = []
    for question in questions:
        hits = kb.retriever.hits(kb.retriever.candidates(question.text), DEPTH)
        features = measure(question.text, kb.index.question_rarity(question.text), hits)
        asked.append(Asked(question, features, tuple(ids[hit.chunk.pages[0] - 1] for hit in hits)))
    return asked


def fit(sets: Sequence[Sequence[Asked]]) -> np.ndarray:
    """Weights that make the passages of higher grade likelier to come first (softmax over the hits of a question)."""
    rows, wanted, weight = [], [], []
    for one in sets:
        useful = [asked for asked in one if len(asked.passages) > 1 and asked.gains.max() > asked.gains.min()]
        for asked in useful:
            missing = DEPTH - len(asked.passages)
            rows.append(np.pad(asked.features, ((0, missing), (0, 0)), constant_values=np.nan))
            wanted.append(np.pad(asked.gains / asked.gains.sum(), (0, missing)))
            weight.append(1 / len(useful) / len(sets))
    x, target, share = np.array(rows), np.array(wanted), np.array(weight)
    there = ~np.isnan(x[:, :, 0])
    centred = np.nan_to_num(x - np.nanmean(x, axis=1, keepdims=True))
    spread = np.sqrt((share[:, None, None] * centred**2).sum(axis=(0, 1)) / DEPTH)
    spread[spread < 1e-9] = 1.0
    a = centred / spread
    found, moved, slope = np.zeros(len(FEATURES)), np.zeros(len(FEATURES)), np.zeros(len(FEATURES))
    for step in range(1, _STEPS + 1):  # Adam
        values = np.where(there, a @ found, -np.inf)
        odds = np.exp(values - values.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        gradient = np.einsum("q,qh,qhf->f", share, odds - target, a) + _RIDGE * found
        moved, slope = 0.9 * moved + 0.1 * gradient, 0.99 * slope + 0.01 * gradient**2
        found = found - 0.05 * (moved / (1 - 0.9**step)) / (np.sqrt(slope / (1 - 0.99**step)) + 1e-9)
    return np.asarray(found / spread)


def scores(asked: Sequence[Asked], weights: np.ndarray | None) -> np.ndarray:
    """METRICS of each question, in the order of the weights, or of fusion."""
    rows = []
    for one in asked:
        order = (
            np.argsort(-(one.features @ weights), kind="stable") if weights is not None else range(len(one.passages))
        )
        rows.append(score(list(dict.fromkeys(one.passages[i] for i in order)), one.question))
    return np.array(rows)


def compare(asked: Sequence[Asked], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Means of METRICS before and after, and the 95% interval of the difference."""
    before, after = scores(asked, None), scores(asked, weights)
    random = np.random.default_rng(0)
    gain = after - before
    samples = [gain[random.integers(0, len(gain), len(gain))].mean(axis=0) for _ in range(_RESAMPLES)]
    low, high = np.percentile(samples, [2.5, 97.5], axis=0)
    return before.mean(axis=0), after.mean(axis=0), low, high


def run(sets: Mapping[str, Sequence[Asked]], least: float) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Fit and measure each language, print the table; the weights, and the languages that they help."""
    kept: dict[str, dict[str, float]] = {}
    on: list[str] = []
    print("| set | held out | " + " | ".join(METRICS) + " |\n|---" + "|---" * (len(METRICS) + 1) + "|")
    for language in ("zh", "en"):
        mine = {name: one for name, one in sets.items() if language_of(one[0].question.text) == language}
        if not mine:
            continue
        weights = fit([one[1::2] for one in mine.values()])
        gains, harmed = [], False
        for name, one in mine.items():
            before, after, low, high = compare(one[0::2], weights)
            cells = [
                f"{b:.3f} → {a:.3f} ({a - b:+.3f} [{lo:+.3f}, {hi:+.3f}])"
                for b, a, lo, hi in zip(before, after, low, high, strict=True)
            ]
            print(f"| {name} | {len(one[0::2])} | " + " | ".join(cells) + " |", flush=True)
            gains.append(after[-1] - before[-1])
            harmed = harmed or bool(high[-1] < 0)
        print(f"{language}: " + ", ".join(f"{name} {w:+.3f}" for name, w in zip(FEATURES, weights, strict=True)))
        kept[language] = {name: round(float(w), 5) for name, w in zip(FEATURES, weights, strict=True)}
        if np.mean(gains) >= least and not harmed:
            on.append(language)
    return kept, on


def main() -> None:
    """Fit, measure, and write the weights where they help."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--set", nargs=2, type=Path, action="append", required=True, metavar=("QUESTIONS", "PASSAGES"))
    parser.add_argument("--least", type=float, default=0.005)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sets = {}
    for questions, passages in options.set:
        with library(passages) as (kb, ids):
            sets[questions.name.partition(".")[0].removeprefix("retrieval_")] = ask(kb, ids, read_questions(questions))
    kept, on = run(sets, options.least)
    print("on: " + (", ".join(on) or "for no language"))
    if options.out:
        told = {"made by": "python -m bench.rerank (docs/measurements.md)", "on": on, "weights": kept}
        options.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
