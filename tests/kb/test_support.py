"""Support: what a model adds, changes or drops beside its cited passage is noticed; a faithful sentence passes."""

from __future__ import annotations

import pytest

from kb.citations import supporting_span
from kb.support import citation_quality, drug_names, missing, values, verbatim
from kb.testing import make_hit
from kb.types import Answer, Citation, Statement

LABEL = make_hit(
    "Initiate with 500 mg orally twice a day. The maximum is 2,550 mg per day. Do not use metformin when eGFR is below "
    "30 mL/minute. Stop it at least 48 hours before the scan.",
    title="Metformin label",
)
MONOGRAPH = make_hit(
    "布洛芬\n用法用量:口服，每次200～400mg，每日三次，最多不超过2.4g。\n禁忌证:孕妇禁用。", title="布洛芬"
)


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("The starting dose of metformin is 500 mg twice a day.", ()),
        ("The maximum is 2550 mg per day.", ()),
        ("The maximum is 2500 mg per day.", ("2500 mg",)),
        ("Initiate with 500 g orally twice a day.", ("500 g",)),
        ("Initiate with 500 mg orally once a day.", ("once",)),
        ("Use metformin when eGFR is below 30 mL/minute.", ("not",)),
        ("Stop it at most 48 hours before the scan.", ("at most",)),
        ("The maximum of gliclazide is 2,550 mg per day.", ("gliclazide",)),
        ("The maximum of atorvastatin is 2,550 mg per day.", ("atorvastatin",)),
        ("Bananas grow on tropical plantations.", ("Bananas grow on tropical plantations.",)),
    ],
)
def test_english_statements(statement: str, lost: tuple[str, ...]) -> None:
    """Lost: a dose that the label does not give is shown with a citation of the label."""
    start, end = supporting_span(statement, LABEL.chunk.text)
    assert missing(statement, [LABEL.chunk.text[start:end]], [LABEL]) == lost


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("每次200～400毫克，每天3次。", ()),
        ("每次口服400mg，每日3次。", ()),
        ("每次口服600mg，每日3次。", ("600mg",)),
        ("每次口服400g，每日3次。", ("400g",)),
        ("每次200～400mg，每日四次。", ("四次",)),
        ("最少2.4g，每次200mg。", ()),
        ("至少2.4g，每次200mg。", ("至少",)),
        ("阿莫西林每次200～400mg。", ("阿莫西林",)),
    ],
)
def test_chinese_statements(statement: str, lost: tuple[str, ...]) -> None:
    """Lost: the same harm in Chinese."""
    span = MONOGRAPH.chunk.text.split("\n")[1]
    assert missing(statement, [span], [MONOGRAPH]) == lost


def test_a_dropped_prohibition_is_noticed() -> None:
    """Lost: 'contraindicated in pregnancy' becomes 'used in pregnancy'."""
    assert missing("孕妇可以使用。", ["禁忌证:孕妇禁用。"], [MONOGRAPH]) == ("禁",)


def test_a_unit_may_stand_in_a_columns_heading() -> None:
    """Lost: every statement about a table is withheld."""
    table = make_hit("Drug | Dose (mg)\nMetformin | 500", title="Doses")
    assert missing("The dose of Metformin is 500 mg.", [table.chunk.text], [table]) == ()


def test_values_read_both_ends_of_a_range() -> None:
    assert [(v.number, v.unit) for v in values("0.5-1 g，每日二十次；1,000 IU")] == [
        (0.5, "g"),
        (1.0, "g"),
        (20.0, "time"),
        (1000.0, "iu"),
    ]


def test_list_numbers_and_marks_are_no_values() -> None:
    assert values("1. Rest. [12]") == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Give Atorvastatin, not 左氧氟沙星 or tea", ["Atorvastatin", "左氧氟沙星"]),
        ("Aspirin, cefaclor; cholesterol", ["Aspirin", "cefaclor"]),
        ("用布洛芬", ["布洛芬"]),
        ("头孢克洛片", ["头孢克洛"]),
        ("高血压患者用氨氯地平", ["氨氯地平"]),
        ("小剂量阿司匹林联合氯吡格雷", ["阿司匹林", "氯吡格雷"]),
        ("对乙酰氨基酚与华法林合用", ["对乙酰氨基酚", "华法林"]),
        ("静滴头孢曲松钠，每日加巴喷丁", ["头孢曲松", "加巴喷丁"]),
        ("盐酸左西替利嗪", ["左西替利嗪"]),
        ("高血压应控制饮食，食欲不振", []),
    ],
)
def test_drug_names_are_known_by_their_stems(text: str, names: list[str]) -> None:
    """Lost: 用布洛芬 is taken for a drug that no passage knows, or 头孢克洛 for none."""
    assert drug_names(text) == names


def test_a_not_inside_an_illness_is_no_not() -> None:
    """Lost: 'contraindicated in renal insufficiency' turned into 'may be used' passes, for 不全 has a 不 in it."""
    span = "肾功能不全者禁用。"
    hit = make_hit(span, title="指南")
    assert missing("肾功能不全者可用。", [span], [hit]) == ("禁",)
    assert missing("食欲不振者可用。", ["食欲不振者可用。"], [make_hit("食欲不振者可用。")]) == ()


def answer(*statements: Statement, quotes: tuple[tuple[int, str], ...]) -> Answer:
    hits = (LABEL, MONOGRAPH)
    citations = tuple(
        Citation(n, hits[n - 1].chunk.id, hits[n - 1].document.id, "f", "t", 1, quote) for n, quote in quotes
    )
    return Answer("text", citations, False, "extractive", hits, statements=statements)


def test_citation_quality_counts_what_is_needed() -> None:
    """Lost: the printed citation precision does not see a citation that supports nothing."""
    quote = "The maximum is 2,550 mg per day."
    good = answer(Statement("The maximum is 2550 mg per day.", (1,), "supported"), quotes=((1, quote),))
    idle = answer(
        Statement("The maximum is 2550 mg per day.", (1, 2), "supported"),
        quotes=((1, quote), (2, "禁忌证:孕妇禁用。")),
    )
    assert (citation_quality(good).recall, citation_quality(good).precision) == (1.0, 1.0)
    assert (citation_quality(idle).recall, citation_quality(idle).precision) == (1.0, 0.5)
    uncited = answer(Statement("The maximum is 2550 mg per day.", (), "uncited"), quotes=())
    assert citation_quality(uncited).recall == 0.0


def test_verbatim_sees_one_changed_character() -> None:
    """Lost: a quotation that is none is counted as one."""
    assert verbatim(answer(quotes=((1, "The maximum is 2,550 mg per day."),)))
    assert not verbatim(answer(quotes=((1, "The maximum is 2,560 mg per day."),)))
    assert not verbatim(answer(quotes=((2, "The maximum is 2,550 mg per day."),)))
