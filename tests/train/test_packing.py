"""Packing: nothing wasted, nothing lost, and no example sees its neighbour."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kb.errors import UsageError
from tests.train.tiny import base_model
from train.fit import load_weights
from train.packing import IGNORED, Encoded, Packed, best_fit, collate, pack, packing_refusal, split_long


def example(*tokens: int, trained: int = 1) -> Encoded:
    """Tokens of which the last `trained` carry loss."""
    mask = np.zeros(len(tokens), np.bool_)
    mask[len(tokens) - trained :] = True
    return Encoded(np.asarray(tokens, np.int32), mask)


@given(st.lists(st.integers(1, 64), max_size=200))
def test_best_fit_keeps_every_example_once_and_within_its_row(lengths: list[int]) -> None:
    rows = best_fit(lengths, 64)
    assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in row) <= 64 for row in rows)


def test_best_fit_wastes_little() -> None:
    """Lost: a third of the machine's time goes into padding."""
    lengths = np.random.default_rng(0).integers(20, 400, 3000).tolist()
    rows = best_fit(lengths, 1024)
    assert sum(lengths) / (len(rows) * 1024) > 0.99
    alike = np.random.default_rng(1).normal(149, 12, 1500).astype(int).tolist()  # as single fields of monographs are
    assert sum(alike) / (len(best_fit(alike, 1024)) * 1024) > 0.99


def test_slicing_fills_every_row_but_the_last() -> None:
    packed = pack([example(*range(10)), example(*range(100, 107))], 4, "slice")
    rows = [[piece.tokens.tolist() for piece in packed.row(i)] for i in range(len(packed))]
    assert rows == [[[0, 1, 2, 3]], [[4, 5, 6, 7]], [[8, 9], [100, 101]], [[102, 103, 104, 105]], [[106]]]


def test_what_is_saved_is_what_is_trained_on(tmp_path: Path) -> None:
    packed = pack([example(1, 2, 3), example(4, 5), example(6, 7, 8, 9)], 5, "best-fit")
    packed.save(tmp_path)
    again = Packed.load(tmp_path)
    assert [[p.tokens.tolist() for p in again.row(i)] for i in range(len(again))] == [
        [p.tokens.tolist() for p in packed.row(i)] for i in range(len(packed))
    ]
    assert (again.utilisation, again.trained_tokens) == (packed.utilisation, 3)
    (tmp_path / "tokens.npy").unlink()
    with pytest.raises(UsageError, match="anew"):
        Packed.load(tmp_path)


def test_an_example_that_is_too_long_is_refused_not_cut() -> None:
    """Lost: answers are cut in the middle and the model learns to stop there."""
    with pytest.raises(UsageError, match="longer than 3"):
        pack([example(1, 2, 3, 4)], 3, "best-fit")
    assert [len(piece) for piece in split_long(example(*range(10)), 4)] == [4, 4, 2]


def test_labels_positions_and_padding_of_a_batch() -> None:
    batch = collate([[example(5, 6, 7), example(8, 9, trained=2)], [example(1, 2)]], pad=0, packed=True)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9], [1, 2, 0, 0, 0]]
    assert batch["labels"].tolist() == [[IGNORED, IGNORED, 7, IGNORED, 9], [IGNORED, 2, IGNORED, IGNORED, IGNORED]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1], [0, 1, 0, 1, 2]]
    padded = collate([[example(5, 6, 7)], [example(1, 2)]], pad=0, packed=False)
    assert padded["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_packed_logits_equal_those_of_each_example_alone(tmp_path: Path) -> None:
    """Lost: every example is trained while reading its neighbours' answers."""
    model = load_weights(base_model(tmp_path), attn_implementation="sdpa").eval()
    draw = np.random.default_rng(1)
    pieces = [example(*draw.integers(5, 300, n).tolist()) for n in (17, 40, 9, 30, 22, 60)]
    packed = pack(pieces, 96, "best-fit")
    batch = collate([packed.row(i) for i in range(len(packed))], 0, packed=True)
    batch.pop("labels")
    with torch.inference_mode():
        together = model(**batch, use_cache=False).logits
        worst = 0.0
        for number in range(len(packed)):
            at = 0
            for piece in packed.row(number):
                alone = model(torch.from_numpy(piece.tokens.astype(np.int64))[None], use_cache=False).logits[0]
                worst = max(worst, float((together[number, at : at + len(piece)] - alone).abs().max()))
                at += len(piece)
    assert worst < 1e-5


@pytest.mark.parametrize("kind", ["bloom", "mpt", "mamba2"])
def test_models_that_would_mix_examples_are_padded_and_told_why(kind: str) -> None:
    assert "padded" in packing_refusal(SimpleNamespace(model_type=kind))
    assert packing_refusal(SimpleNamespace(model_type="qwen2")) == ""
    assert "ALiBi" in packing_refusal(SimpleNamespace(model_type="falcon", alibi=True))
