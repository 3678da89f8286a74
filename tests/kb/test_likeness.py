"""Without these an old edition under another name is searched beside the new one, and nobody is told."""

from __future__ import annotations

import random

import pytest

from kb.likeness import NEAR, SIZE, resemblance, sketched

WORDS = [f"word{n}" for n in range(4000)]


def text(length: int, seed: int, *, chinese: bool = False) -> list[str]:
    chooser = random.Random(seed)
    if chinese:
        return [chr(0x4E00 + chooser.randrange(3000)) for _ in range(length)]
    return [chooser.choice(WORDS) for _ in range(length)]


def test_form_makes_no_difference() -> None:
    one = sketched(["Metformin 500 mg is taken with meals.", "二甲双胍片：每次０.5ｇ，随餐服用。"])
    other = sketched(["metformin  500 mg is taken\nwith meals。 二甲双胍片:每次0.5g", "随餐服用"])
    assert one == other


def test_one_digit_makes_another_text() -> None:
    one, other = sketched(["Take 500 mg twice a day."]), sketched(["Take 50 mg twice a day."])
    assert one[0] != other[0]


@pytest.mark.parametrize("chinese", [False, True])
@pytest.mark.parametrize("kept", [0.95, 0.5, 0.0])
def test_share_is_that_of_the_whole_texts(chinese: bool, kept: float) -> None:
    """Against the exact share of five-word phrases, which the sketch only estimates."""
    length = 20 * SIZE
    one = text(length, 1, chinese=chinese)
    other = one[: int(length * kept)] + text(length - int(length * kept), 2, chinese=chinese)
    first, second = ({tuple(words[at : at + 5]) for at in range(length - 4)} for words in (one, other))
    glue = "" if chinese else " "
    estimate = resemblance(sketched([glue.join(one)])[1], sketched([glue.join(other)])[1])
    assert estimate == pytest.approx(len(first & second) / len(first | second), abs=0.08)


def test_short_texts_are_compared_whole() -> None:
    one, other = text(50, 1), text(50, 1)
    other[25] = "changed"
    assert resemblance(sketched([" ".join(one)])[1], sketched([" ".join(other)])[1]) == pytest.approx(41 / 51)
    assert resemblance(sketched(["."])[1], sketched(["."])[1]) == 0.0
    assert NEAR < 41 / 51
