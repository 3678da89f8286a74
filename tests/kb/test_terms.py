"""Terms: what a clinician types must meet what the page says."""

from __future__ import annotations

import pytest

from kb.terms import BIGRAM, Terms, language_of, mine_words
from tests.conftest import chunk_of


@pytest.fixture(scope="module")
def terms() -> Terms:
    return Terms(["二甲双胍"])


@pytest.mark.parametrize(
    ("page", "question"),
    [
        ("infections", "infection"),
        ("Aspirin", "aspirin"),
        ("ｍｇ", "mg"),
        ("COVID-19", "covid"),
        ("0.5mg/kg", "0.5mg"),
        ("β-blocker", "blocker"),
        ("hemodialysis", "haemodialysis"),
        ("edema", "oedema"),
        ("tumors", "tumour"),
        ("Yescarta™", "YESCARTA"),
        ("二甲双胍缓释片", "二甲双胍"),
        ("慢性阻塞性肺炎", "肺炎"),
        ("每日食盐摄入量", "吃多少盐"),
    ],
)
def test_page_and_question_share_a_term(terms: Terms, page: str, question: str) -> None:
    assert set(terms(page)) & set(terms(question))


def test_two_character_words_are_not_lost(terms: Terms) -> None:
    assert "肺炎" in terms("肺炎")
    assert BIGRAM + "肺炎" in terms("肺炎")


def test_names_of_the_library_stay_whole(terms: Terms) -> None:
    assert "二甲双胍" in terms("服用二甲双胍后")
    assert "替吉奥" not in terms("服用替吉奥后")
    terms.add_words(["替吉奥"])
    assert "替吉奥" in terms("服用替吉奥后")


def test_question_words_carry_no_weight(terms: Terms) -> None:
    assert terms("What is the") == []


def test_languages() -> None:
    assert language_of("高血压患者 BMI") == "zh"
    assert language_of("Treatment of hypertension (高血压) in adults with chronic kidney disease") == "en"
    assert language_of("123") == "en"


def test_mined_words_are_names_not_sentences() -> None:
    words = mine_words(
        [chunk_of("d", 0, "别名:阿斯匹林、醋柳酸（乙酰水杨酸）\n适应证:发热", heading="阿司匹林 › 用法")]
    )
    assert words == {"阿司匹林", "阿斯匹林", "醋柳酸", "乙酰水杨酸"}
