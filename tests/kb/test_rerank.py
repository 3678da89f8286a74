"""The order after fusion: what each feature sees, only the first passages move, off means off."""

from __future__ import annotations

import numpy as np
import pytest

from kb.rerank import DEPTH, FEATURES, Weights, measure, rerank, shipped
from kb.testing import make_hit

RARITY = {"metformin": 4.0, "dose": 1.0, "therapi": 2.0}


def feature(
    name: str, question: str, *texts: str, rarity: dict[str, float] | None = None, heading: str = ""
) -> list[float]:
    table = measure(question, rarity or RARITY, [make_hit(text, heading=heading) for text in texts])
    return table[:, FEATURES.index(name)].tolist()


def test_rare_words_count_for_more_than_common_ones() -> None:
    rare, common = feature("covered", "metformin dose", "Metformin.", "A dose.", rarity={"metformin": 4.0, "dose": 1.0})
    assert (rare, common) == (pytest.approx(0.8), pytest.approx(0.2))


def test_a_stem_is_found_in_its_words_and_not_inside_others() -> None:
    """'dose' must not be seen in 'overdose'; 'therapi' stands for therapy and therapies."""
    assert feature("covered", "?", "Therapies", "an overdose") == [pytest.approx(2 / 7), 0.0]


def test_chinese_terms_are_found_without_their_marks() -> None:
    assert feature("covered", "盐的量", "食盐", rarity={"²食盐": 3.0, "¹盐": 1.0, "²用量": 4.0}) == [pytest.approx(0.5)]


def test_words_near_together_beat_words_far_apart() -> None:
    near, far = feature("near", "metformin dose", "metformin dose", "metformin " + "x " * 200 + "dose")
    assert near > far > 0


def test_numbers_must_be_there() -> None:
    assert feature("exact", "eGFR below 30 and GFR", "GFR of 45", "GFR of 30") == [0.5, 1.0]


def test_the_title_is_looked_at_apart() -> None:
    assert feature("titled", "metformin", "no name here", heading="Metformin") == [pytest.approx(4 / 7)]


def test_only_the_first_passages_move() -> None:
    hits = [make_hit(f"passage {n}", score=1 - n / 100) for n in range(DEPTH + 3)]
    upside_down = Weights({"en": tuple(-1.0 if name == "fused" else 0.0 for name in FEATURES)}, frozenset({"en"}))
    moved = rerank("question", {}, hits, upside_down)
    assert moved == hits[:DEPTH][::-1] + hits[DEPTH:]
    assert rerank("问题", {}, hits, upside_down) == hits


def test_the_shipped_weights_are_complete() -> None:
    assert shipped().on <= shipped().by_language.keys()
    assert all(np.isfinite(row).all() and len(row) == len(FEATURES) for row in shipped().by_language.values())
