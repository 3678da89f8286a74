"""Evidence: a missing rare word must count, a common one hardly; and a calibration is used only where it holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kb.embed import Compared
from kb.errors import UsageError
from kb.evidence import (
    FEATURES,
    MEANING,
    Calibration,
    Cut,
    Evidence,
    Fit,
    Lexicon,
    Meaning,
    Text,
    calibration_json,
    calibration_of,
    measure,
    names_weighed,
    read_calibration,
    shipped_calibration,
)
from kb.home import CALIBRATION

RARITY = {"amiodarone": 8.0, "dose": 1.0, "adult": 1.0, "metformin": 6.0}
LEXICON = Lexicon(str.split, lambda terms: {term: RARITY.get(term, 3.0) for term in terms})


def rarity_of_nothing(terms: Iterable[str]) -> dict[str, float]:
    return dict.fromkeys(terms, 0.0)


def measured(question: str, *texts: Text, **rest: object) -> dict[str, float]:
    evidence = measure("en", question, texts, texts, None, LEXICON, **rest)  # type: ignore[arg-type]
    return dict(zip((*FEATURES, *MEANING), evidence.values, strict=False))


def test_a_missing_drug_weighs_more_than_a_missing_common_word() -> None:
    found = measured("metformin adult", Text("metformin dose"))
    assert (found["sentence"], found["passage"], found["lacking"]) == (6 / 7, 6 / 7, 1 / 6)
    found = measured("amiodarone dose", Text("metformin dose"))
    assert (found["sentence"], found["lacking"]) == (1 / 9, 1.0)


def test_the_title_says_what_a_sentence_is_about() -> None:
    found = measured("metformin dose", Text("dose twice", context="metformin"))
    assert (found["sentence"], found["own"]) == (1.0, 1 / 7)


def test_the_patients_own_numbers_do_not_count() -> None:
    assert measured("metformin 50 1.73", Text("metformin"))["sentence"] == 1.0


def test_neighbouring_words_and_what_the_question_calls_for_are_looked_for_in_a_sentence() -> None:
    text = Text("the adult dose is 5 mg")
    assert measured("adult dose", text)["phrase"] == 1.0
    assert measured("dose adult", text)["phrase"] == 0.0
    assert measured("dose", text, calls=[re.compile(r"\d"), re.compile("because")])["calls"] == 0.5


def test_words_that_weigh_nothing_bear_out_nothing() -> None:
    texts = [Text("the")]
    evidence = measure("en", "the", texts, texts, None, Lexicon(str.split, rarity_of_nothing))
    assert set(evidence.values) == {0.0}


def by_meaning(question: str, tokens: list[list[float]]) -> dict[str, float]:
    """The features where the sentences a, b and c, of passages 0, 0 and 1, are so near to the question's words."""
    texts = [Text("a"), Text("b"), Text("c")]
    places = tuple(found.span() for found in re.finditer(r"\w+", question)) if tokens[0] else ()
    compared = Compared(np.array([0.2, 0.8, 0.5]), np.array(tokens, np.float32).reshape(3, -1), places)
    found = measure("en", question, texts, texts, Meaning(question, compared, [0, 0, 1], 0.6), LEXICON)
    assert found.kind == "en+meaning"
    return dict(zip((*FEATURES, *MEANING), found.values, strict=True))


def test_meaning_is_measured_where_the_embedder_knows_the_language() -> None:
    found = by_meaning("metformin", [[], [], []])
    assert (found["cosine"], found["lead"], found["nearest"]) == (0.8, pytest.approx(0.3), 0.6)
    assert (found["tokens"], found["token_lead"]) == (0.0, 0.0)  # an engine that shows no tokens
    texts = [Text("a")]
    assert measure("zh", "metformin", texts, texts, None, LEXICON).kind == "zh"


def test_a_word_that_nothing_comes_near_to_weighs_by_its_rarity() -> None:
    """Lost: "adult" found in other words makes up for an amiodarone that is nowhere."""
    near_the_drug = by_meaning("amiodarone adult", [[0.9, 0.1], [0.0, 0.1], [0.2, 0.3]])
    near_the_other = by_meaning("amiodarone adult", [[0.1, 0.9], [0.1, 0.0], [0.3, 0.2]])
    assert near_the_drug["tokens"] == pytest.approx((8 * 0.9 + 0.1) / 9)
    assert near_the_other["tokens"] == pytest.approx((8 * 0.3 + 0.2) / 9)
    # a passage may say half in one sentence and half in another
    assert by_meaning("amiodarone adult", [[0.9, 0.1], [0.0, 0.9], [0.0, 0.0]])["tokens"] == pytest.approx(0.9)


def calibration(embedder: str = "e/1") -> Calibration:
    words = Fit((4.0,) + (0.0,) * (len(FEATURES) - 1), -2.0, (Cut(1, 0.5),))
    weights = tuple(4.0 * (name == "cosine") for name in names_weighed("en+meaning"))
    meaning = Fit(weights, -2.0, (Cut(100, 0.5, 0.05, 0.1), Cut(10_000, 0.7, 0.05, 0.2)), {"answerable": 10})
    return Calibration({"en": words, "zh": words, "en+meaning": meaning}, embedder)


def test_a_calibration_survives_the_disk() -> None:
    assert read_calibration(calibration_json(calibration())) == calibration()


def test_cosines_of_another_embedder_are_not_trusted() -> None:
    """Lost: an embedder whose cosines are all high makes the library answer everything."""
    sure = Evidence("en", (0.0,) * len(FEATURES) + (1.0,) + (0.0,) * (len(MEANING) - 1))
    assert calibration().enough(sure)
    assert not calibration().for_embedder("other/1").enough(sure)
    assert calibration().for_embedder("e/1").confidence(sure) == pytest.approx(0.881, abs=0.001)


def test_more_is_asked_for_in_a_larger_library() -> None:
    """Lost: in a thousand passages one always comes near, and that is taken for an answer."""
    fit = calibration().fits["en+meaning"]
    assert [fit.least(n) for n in (5, 100, 10_000, 1_000_000)] == [0.5, 0.5, 0.7, 0.7]
    assert fit.least(1_000) == pytest.approx(0.6)
    assert fit.least(0) == 0.7
    halfway = Evidence("en", (0.0,) * len(FEATURES) + (0.6,) + (0.0,) * (len(MEANING) - 1), 100)
    assert calibration().confidence(halfway) == pytest.approx(0.599, abs=0.001)
    assert calibration().enough(halfway)
    assert not calibration().enough(replace(halfway, passages=10_000))


def test_a_calibration_with_one_cut_for_all_libraries_is_read() -> None:
    told = json.loads(calibration_json(calibration()))
    for fit in told["fits"].values():
        del fit["cuts"]
        fit["cut"] = 0.4
    assert read_calibration(json.dumps(told)).fits["en+meaning"].least(10_000) == 0.4


def test_the_calibration_of_a_home_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    assert calibration_of(tmp_path) is shipped_calibration()
    (tmp_path / CALIBRATION).write_text(calibration_json(calibration()))
    assert calibration_of(tmp_path) == calibration()


@pytest.mark.parametrize("change", [{"fits": {}}, {"fits": {"en": {"weights": {"old": 1}, "bias": 0, "cut": 0}}}, {}])
def test_a_calibration_that_does_not_fit_this_version_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    (tmp_path / CALIBRATION).write_text(json.dumps(change))
    with pytest.raises(UsageError, match="evaluate calibrate"):
        calibration_of(tmp_path)
