"""Retrieval: fusion, copies last, removed documents never shown, bad questions refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from kb.errors import QuestionError
from kb.index import Scored
from kb.retrieve import Retriever, check_question, diversify, fuse, fuse_by_rank
from kb.testing import HashEmbedder, make_hit


def scored(*numbers: int) -> list[Scored]:
    return [Scored(number, 1.0 / rank) for rank, number in enumerate(numbers, start=1)]


def test_the_baseline_is_reciprocal_rank() -> None:
    fused = fuse_by_rank(scored(1, 2, 3), scored(3, 4))
    assert [candidate.number for candidate in fused] == [3, 1, 4, 2]
    assert fused[0].score == pytest.approx(1 / 63 + 1 / 61)
    assert (fused[0].dense_rank, fused[0].lexical_rank) == (3, 1)


def test_cosine_and_relative_bm25_are_combined() -> None:
    dense = [Scored(1, 0.8), Scored(2, 0.4)]
    lexical = [Scored(2, 20.0), Scored(3, 5.0)]
    fused = {candidate.number: candidate.score for candidate in fuse(dense, lexical)}
    assert fused[1] == pytest.approx(0.6 * 0.8)
    assert fused[2] == pytest.approx(0.6 * 0.4 + 0.4)
    assert fused[3] == pytest.approx(0.6 * 0.4 + 0.4 * 0.25)


def test_vectors_that_are_near_to_nothing_do_not_outvote_the_words() -> None:
    """An English question over a Chinese library: the few English passages must not rise for being the only ones."""
    fused = fuse([Scored(1, 0.12), Scored(2, 0.05)], [Scored(3, 6.0), Scored(4, 5.0)])
    assert [candidate.number for candidate in fused][:2] == [3, 4]


def test_a_passage_both_lists_find_beats_what_one_finds() -> None:
    fused = fuse([Scored(1, 0.9), Scored(2, 0.85), Scored(4, 0.1)], [Scored(3, 9.0), Scored(2, 8.5)])
    assert fused[0].number == 2


def test_equal_scores_go_to_the_words() -> None:
    """Ranked first by one list each: the literal match is shown first."""
    assert [candidate.number for candidate in fuse_by_rank(scored(7), scored(9))] == [9, 7]


def test_words_that_match_next_to_nothing_leave_it_to_the_vectors() -> None:
    """A Chinese question over English passages shares a digit with some: that is no match."""
    dense, lexical = [Scored(1, 0.6), Scored(2, 0.3)], [Scored(3, 1.0)]
    assert fuse(dense, lexical, 0.6)[0].number == 3
    assert fuse(dense, lexical, 0.6, least=40.0)[0].number == 1


@pytest.mark.parametrize("question", ["a rare word", "生僻的词"])
def test_either_language_leaves_poor_matches_to_the_vectors(question: str) -> None:
    """An English question over Chinese passages shares an abbreviation with some: that is no match either."""

    class Poor:
        def dense(self, vector: np.ndarray, k: int) -> list[Scored]:
            return [Scored(1, 0.6), Scored(2, 0.3)]

        def lexical(self, question: str, k: int, *, titles: bool = True, names: bool = True) -> list[Scored]:
            return [Scored(3, 1.0)]

        def question_rarity(self, question: str) -> dict[str, float]:
            return {"rare": 100.0, "word": 100.0}

    retriever = Retriever(None, Poor(), HashEmbedder())  # type: ignore[arg-type]
    assert retriever.candidates(question)[0].number == 1


def test_one_list_alone_keeps_its_order() -> None:
    assert [candidate.number for candidate in fuse([], scored(5, 3, 8))] == [5, 3, 8]


@pytest.mark.parametrize("question", ["", "   ", "\n\t"])
def test_empty_questions_are_refused(question: str) -> None:
    with pytest.raises(QuestionError, match="empty"):
        check_question(question, 100)


def test_a_megabyte_is_refused() -> None:
    with pytest.raises(QuestionError, match="1,000,000 characters"):
        check_question("x" * 1_000_000, 4000)


def test_half_characters_do_not_reach_the_tokenizer() -> None:
    assert check_question("\udcff metformin", 100) == "? metformin"


def test_copies_of_a_passage_come_last() -> None:
    """Five copies of one paragraph leave no room for the passage that answers."""
    said = "Adults start with 500 mg of metformin twice daily, with meals, and increase by 500 mg a week."
    copies = [make_hit(said, title=f"Copy {n}") for n in range(3)]
    other = make_hit("Metformin is contraindicated below an eGFR of 30.", title="Other")
    shown = diversify([*copies, other], 3)
    assert [hit.document.title for hit in shown] == ["Copy 0", "Other", "Copy 1"]


def test_passages_whose_numbers_differ_are_no_copies() -> None:
    """An older edition with another dose must be seen beside the new one."""
    said = "Adults start with {} mg of metformin twice daily, with meals, and increase by 500 mg a week."
    older, newer = make_hit(said.format(850), title="2019"), make_hit(said.format(500), title="2024")
    other = make_hit("Take it with meals.", title="Other")
    assert diversify([newer, older, other], 3) == [newer, older, other]


def test_a_question_asked_again_is_not_embedded_again() -> None:
    class Counting(HashEmbedder):
        calls = 0

        def encode(self, texts: Sequence[str], *, question: bool = False, urgent: bool = False) -> np.ndarray:
            self.calls += 1
            return super().encode(texts, question=question, urgent=urgent)

    class Nothing:
        def dense(self, vector: np.ndarray, k: int) -> list[Scored]:
            return [Scored(int(vector.argmax()), 1.0)]

        def lexical(self, question: str, k: int, *, titles: bool = True, names: bool = True) -> list[Scored]:
            return []

        def question_rarity(self, question: str) -> dict[str, float]:
            return {}

    embedder = Counting()
    retriever = Retriever(None, Nothing(), embedder)  # type: ignore[arg-type]
    first, again = retriever.candidates("fever"), retriever.candidates("fever")
    assert first == again
    assert embedder.calls == 1
    assert retriever.candidates("cough") != first
    assert embedder.calls == 2
