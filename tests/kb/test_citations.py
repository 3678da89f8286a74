"""Marks in a stream: found wherever it is cut, checked, and resolved to the lines they rest on."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.citations import Mark, MarkReader, supporting_span


def read(pieces: list[str], passages: int = 3) -> tuple[str, list[Mark], list[int]]:
    reader = MarkReader(passages)
    text = "".join([*map(reader.feed, pieces), reader.close()])
    return text, reader.marks, reader.unknown


@pytest.mark.parametrize(
    ("written", "shown", "numbers"),
    [
        ("Dose 5 mg [1].", "Dose 5 mg [1].", [1]),
        ("Both [1][2].", "Both [1][2].", [1, 2]),
        ("Both [1, 2].", "Both [1][2].", [1, 2]),
        ("All [1-3].", "All [1][2][3].", [1, 2, 3]),
        ("全部【1】［2］。", "全部[1][2]。", [1, 2]),
        ("全部【1，３】。", "全部[1][3]。", [1, 3]),
        ("Spaced [ 1 ].", "Spaced [1].", [1]),
        ("Twice [2, 2].", "Twice [2].", [2]),
        ("【适应证】 [see 1] [a] [2024] [1", "【适应证】 [see 1] [a] [2024] [1", []),
        ("[[1]]", "[[1]]", [1]),
        ("x[i] = [0.5]", "x[i] = [0.5]", []),
    ],
)
def test_marks_are_found_in_every_spelling(written: str, shown: str, numbers: list[int]) -> None:
    """Lost: a citation the model did give is not clickable, or plain brackets are."""
    text, marks, unknown = read([written])
    assert text == shown
    assert [mark.n for mark in marks] == numbers
    assert all(text.startswith(f"[{mark.n}]", mark.at) for mark in marks)
    assert unknown == []


def test_marks_that_name_nothing_are_taken_out_and_reported() -> None:
    """Lost: a citation of passage 9 of 3 looks like evidence."""
    text, marks, unknown = read(["A [9]. B [2, 7]. C [0]. D [2-5]."])
    assert text == "A . B [2]. C . D [2][3]."
    assert [mark.n for mark in marks] == [2, 2, 3]
    assert unknown == [9, 7, 0, 4, 5]


def test_text_is_shown_at_once_and_half_a_mark_never() -> None:
    """Lost: the stream stutters, or '[1' flashes up as text."""
    reader = MarkReader(3)
    pieces = ["The dose", " is [", "1", "]. More", " [x", " [2", ",", " 3", "] [", ""]
    assert [reader.feed(piece) for piece in pieces] == [
        "The dose", " is ", "", "[1]. More", " [x", " ", "", "", "[2][3] ", "",
    ]  # fmt: skip
    assert reader.close() == "["


PIECES = st.text(alphabet="[]【】［］123,，- \u3000药a0\n", max_size=40)


@given(PIECES, st.lists(st.integers(0, 40), max_size=12))
def test_where_the_stream_is_cut_makes_no_difference(text: str, cuts: list[int]) -> None:
    """Lost: the same answer has its citations on one day and not on the other."""
    borders = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in pairwise(borders)]
    assert read(pieces) == read([text]) == read(list(text))


@given(st.text(alphabet="abc 药.(){}<>", max_size=60))
def test_text_without_brackets_passes_untouched(text: str) -> None:
    reader = MarkReader(3)
    assert "".join(reader.feed(character) for character in text) == text


def test_a_statement_that_spans_two_sentences_gets_both() -> None:
    text = "Start with 500 mg. Increase weekly by 250 mg. Eat well."
    start, end = supporting_span("Start with 500 mg and increase weekly by 250 mg", text)
    assert text[start:end] == "Start with 500 mg. Increase weekly by 250 mg."
