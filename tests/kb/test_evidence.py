"""Evidence: a missing rare word must silence the answer, a missing common one must not."""

from __future__ import annotations

from collections.abc import Iterable

from kb.evidence import Lexicon, Text, coverage, enough

RARITY = {"amiodarone": 8.0, "dose": 1.0, "adult": 1.0, "metformin": 6.0}
LEXICON = Lexicon(str.split, lambda terms: {term: RARITY.get(term, 3.0) for term in terms})


def rarity_of_nothing(terms: Iterable[str]) -> dict[str, float]:
    return dict.fromkeys(terms, 0.0)


def test_a_missing_drug_weighs_more_than_a_missing_common_word() -> None:
    passage = [Text("metformin dose")]
    assert coverage(["metformin", "adult"], passage, LEXICON) == 6 / 7
    assert coverage(["amiodarone", "dose"], passage, LEXICON) == 1 / 9


def test_the_title_says_what_a_sentence_is_about() -> None:
    assert coverage(["metformin", "dose"], [Text("dose twice", context="metformin")], LEXICON) == 1.0


def test_the_patients_own_numbers_do_not_count() -> None:
    assert coverage(["metformin", "50", "1.73"], [Text("metformin")], LEXICON) == 1.0


def test_words_that_weigh_nothing_bear_out_nothing() -> None:
    assert coverage(["the"], [Text("the")], Lexicon(str.split, rarity_of_nothing)) == 0.0


def test_words_alone_or_words_and_meaning() -> None:
    question, texts = "metformin dose", [Text("metformin dose")]
    assert enough(question, texts, texts, [], LEXICON)
    assert enough(question, texts, texts, [0.4], LEXICON)
    assert not enough(question, texts, texts, [0.1], LEXICON)
    assert not enough("amiodarone dose", texts, texts, [], LEXICON)
