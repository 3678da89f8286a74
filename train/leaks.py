"""Was the model taught what it is examined on? Its lineage, the rows it was trained on, and its memory are looked at.

Lineage: the datasets of the model and of every model it starts from, by unit, example and wording. Rows: what the
runs' packed data says when it is read back, whatever dataset it claims to be. Memory: answers of the test split must
not be easier for the model than those of the validation split, which is drawn alike and never trained on either; that
also finds a model whose lineage tells nothing (loss-based membership inference: Yeom et al., 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kb.errors import KBError, NotFound
from kb.evaluate_answers import squeezed
from train import datasets, model_folders
from train.examination import Asked, rows_asked

if TYPE_CHECKING:
    from kb.local_model import LocalModel

LONG_ENOUGH = 24
"""Characters from which an answer found beside its drug's name in training data is no coincidence."""
ROWS = 160
"""Of each split, whose losses are compared."""
LEAST = 0.1
"""Nats a token, and share of the validation loss, by which the test split must be easier to count as remembered."""
CERTAINTY = 99.9
TOLERATED = 0.01
"""Share of the test questions that may stand in training rows: of two drugs, one named within the other's name, some
fields say the same word for word."""
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Memory:
    """Mean loss a token of right answers, on both splits, and the interval of how much easier the test split is."""

    how: str
    test: float
    validation: float
    low: float
    high: float
    rows: int

    @property
    def remembered(self) -> bool:
        return self.low > max(LEAST, LEAST * self.validation)


@dataclass(frozen=True, slots=True)
class Leaks:
    """What was found, in words. No finding: nothing that could be looked at speaks of a leak."""

    findings: tuple[str, ...]
    memory: tuple[Memory, ...] = ()
    looked_at: tuple[str, ...] = ()
    """Datasets and runs that were compared."""


def find_leaks(
    home: Path, model: model_folders.Model, loaded: LocalModel | None, dataset: datasets.Dataset, test: Sequence[Asked]
) -> Leaks:
    """Look for the test questions in what the model was taught, and in what it remembers."""
    findings: list[str] = []
    looked_at: list[str] = []
    for lineage in lineages(home, model):
        findings += _by_dataset(home, lineage, dataset, test, looked_at)
        findings += _by_rows(home, lineage, test, looked_at)
    memory = tuple(_memory(loaded, dataset, test)) if loaded is not None else ()
    findings += [
        f"its answers to the test split come easier {one.how} than those to the validation split: {one.test:.2f} "
        f"against {one.validation:.2f} nats a token (by {one.low:.2f} to {one.high:.2f})"
        for one in memory
        if one.remembered
    ]
    return Leaks(tuple(findings), memory, tuple(dict.fromkeys(looked_at)))


def lineages(home: Path, model: model_folders.Model) -> Iterator[Mapping[str, Any]]:
    """The lineage of the model, then of each model in this home that it starts from."""
    seen: set[str] = set()
    current: model_folders.Model | None = model
    while current is not None and current.name not in seen:
        seen.add(current.name)
        yield current.lineage
        base = str(dict(current.lineage.get("base") or {}).get("name", ""))
        try:
            current = model_folders.model(home, base) if base else None
        except NotFound:
            current = None


def _by_dataset(
    home: Path, lineage: Mapping[str, Any], dataset: datasets.Dataset, test: Sequence[Asked], looked_at: list[str]
) -> list[str]:
    taught = dict(lineage.get("dataset") or {})
    name, version = str(taught.get("name", "")), str(taught.get("version", ""))
    if not name:
        return []
    try:
        found = datasets.load(home, name, version or None)
    except KBError:
        # Texts of a pre-training run are no dataset version; their rows are looked at instead.
        return (
            [] if lineage.get("kind") == "pretrain" else [f"its dataset {name}/{version} is not here to compare with"]
        )
    looked_at.append(f"{found.name}/{found.version}")
    units = {asked.unit for asked in test if asked.unit}
    examples = {asked.row.id for asked in test}
    words = {_words(asked) for asked in test if asked.row.answerable}
    same_unit = same_example = same_words = 0
    for asked in rows_asked(datasets.rows(found.train)):
        same_unit += asked.unit in units
        same_example += asked.row.id in examples
        same_words += asked.row.answerable and _words(asked) in words
    # Two drugs may share an answer word for word, never question and answer both.
    parts = [(same_unit, "rows about units"), (same_example, "examples"), (same_words, "questions with their answers")]
    return [f"{n} {what} of the test split are in the training split of {name}/{version}" for n, what in parts if n]


def _words(asked: Asked) -> tuple[str, str]:
    return squeezed(asked.row.question), squeezed(asked.row.answers[0])


def _by_rows(home: Path, lineage: Mapping[str, Any], test: Sequence[Asked], looked_at: list[str]) -> list[str]:
    run = str(lineage.get("run") or "")
    packed = home / "runs" / run / "data" / "train"
    base = home / "models" / str(lineage.get("name", ""))
    if not run or not (packed / "packed.json").is_file() or not (base / "tokenizer_config.json").is_file():
        return []
    looked_at.append(f"rows of {run}")
    pieces = list(_read_back(packed, base))
    whole = "\n".join(pieces)
    asked = sum(_asked(one, whole, pieces) for one in test)
    told = sum(_told(one, whole, pieces) for one in test)
    found = []
    if asked > TOLERATED * len(test):
        found.append(f"{asked} questions of the test split stand with their answers in the rows of run {run}")
    if told > TOLERATED * len(test):
        found.append(f"{told} answers of the test split stand beside their drug's name in the rows of run {run}")
    return found


def _asked(asked: Asked, whole: str, pieces: Sequence[str]) -> bool:
    """Whether one row holds the question and its answer: the question alone may be the tail of another drug's."""
    question, gold = squeezed(asked.row.question), squeezed(asked.row.answers[0])
    if not asked.row.answerable or question not in whole or gold not in whole:
        return False
    return any(question in piece and gold in piece for piece in pieces)


def _told(asked: Asked, whole: str, pieces: Sequence[str]) -> bool:
    name = squeezed(asked.unit.removeprefix("drug:")) if asked.unit.startswith("drug:") else ""
    gold = squeezed(asked.row.answers[0])
    if not name or not asked.row.answerable or len(gold) < LONG_ENOUGH or gold not in whole:
        return False
    return any(gold in piece and name in piece for piece in pieces)


def _read_back(packed: Path, model: Path) -> Iterator[str]:
    """The trained pieces as text, letters and digits only."""
    from train.fit import load_tokenizer
    from train.packing import Packed

    tokenizer = load_tokenizer(model)
    rows = Packed.load(packed)
    for number in range(len(rows)):
        for piece in rows.row(number):
            yield squeezed(str(tokenizer.decode(piece.tokens.tolist(), skip_special_tokens=True)))


# -- memory ----------------------------------------------------------------------------------------------------------


def _memory(model: LocalModel, dataset: datasets.Dataset, test: Sequence[Asked]) -> Iterator[Memory]:
    others = [asked for asked in rows_asked(datasets.rows(dataset.validation)) if asked.row.answerable]
    ours = [asked for asked in test if asked.row.answerable and asked.messages]
    if min(len(ours), len(others)) < 20:
        return
    step = max(1, len(others) // ROWS)
    for how, turned in (("with the passages at hand", False), ("from memory", True)):
        mine = _losses(model, ours[:ROWS], alone=turned)
        theirs = _losses(model, others[::step][:ROWS], alone=turned)
        if len(mine) and len(theirs):
            low, high = _easier(mine, theirs)
            yield Memory(how, float(mine.mean()), float(theirs.mean()), low, high, len(mine))


def _losses(model: LocalModel, questions: Sequence[Asked], *, alone: bool) -> np.ndarray:
    from train.answer_loss import answer_losses

    rows = [_without_passages(asked) if alone else asked.messages for asked in questions]
    return np.array([total / count for total, count in answer_losses(model, rows) if count])


def _without_passages(asked: Asked) -> list[Mapping[str, str]]:
    return [
        {**message, "content": asked.row.question} if message["role"] == "user" else message
        for message in asked.messages
    ]


def _easier(mine: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Bootstrap interval of mean(theirs) − mean(mine)."""
    random = np.random.default_rng(0)
    means = [
        values[random.integers(0, len(values), (_RESAMPLES, len(values)))].mean(axis=1) for values in (mine, theirs)
    ]
    low, high = np.percentile(means[1] - means[0], [100 - CERTAINTY, CERTAINTY])
    return float(low), float(high)
