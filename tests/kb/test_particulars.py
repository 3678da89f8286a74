"""What a question about a drug asks in particular, and the items of its monograph that speak of it."""

from __future__ import annotations

import pytest

from kb.particulars import items, particulars
from kb.types import Answer
from tests.kb.test_extract import ask, record

LONG = "，".join(["长期大量使用须定期检查肝肾以外的各项指标"] * 18)
ASPIRIN = (
    "阿司匹林\n别名:乙酰水杨酸\n禁忌证:血友病患者及孕妇禁用。\n"
    "注意事项:1.慎用：(1)有哮喘史者。(2)心功能不全者。(3)" + LONG + "。(4)酒精中毒者。2.老年人减量。\n"
    "用法用量:1.解热：口服0.3～0.6g，每天3次。2.儿童：每次每岁60mg。3.预防心肌梗死：每天100mg。4.抗风湿："
    + LONG
    + "。\n"
    "药物相互作用:1.与抗凝药同用，出血危险增加。2.丙磺舒的排尿酸作用减低。3.锂的毒性增加。4." + LONG + "。"
)
WARFARIN = "华法林\n英文名:Warfarin\n药物相互作用:1.阿司匹林使游离的本药增多。2.维生素K减弱其作用。"


def quotes(answer: Answer) -> list[str]:
    return [citation.quote for citation in answer.citations]


def test_what_is_said_of_pregnancy_is_quoted_from_whatever_field_says_it() -> None:
    """Lost: the field of contraindications is silent, and the warning in another one is not shown."""
    text = ASPIRIN.replace("血友病患者及孕妇禁用。", "血友病患者禁用。") + "\n专家点评:无。"
    text = text.replace("2.老年人减量。", "2.老年人减量。3.妊娠晚期避免使用。")
    assert quotes(ask("孕妇可以用阿司匹林吗？", record(text))) == ["3.妊娠晚期避免使用。"]


def test_who_is_not_spoken_of_is_said_plainly_before_the_field() -> None:
    """Lost: contraindications without a word of children pass for an answer about children."""
    answer = ask("哺乳期能吃阿司匹林吗？", record(ASPIRIN))
    assert answer.text.startswith("阿司匹林的条目没有提到“哺乳期妇女”。\n禁忌证:")
    assert quotes(answer) == ["禁忌证:血友病患者及孕妇禁用。"]


def test_the_dose_for_whom_it_was_asked_comes_without_the_rest() -> None:
    assert quotes(ask("儿童用阿司匹林的剂量是多少？", record(ASPIRIN))) == ["2.儿童：每次每岁60mg。"]
    assert quotes(ask("阿司匹林预防心肌梗死的用量", record(ASPIRIN))) == ["3.预防心肌梗死：每天100mg。"]


def test_asked_about_two_drugs_both_monographs_are_looked_at() -> None:
    """Lost: only the monograph with the longer name is read, and its page is silent about the other drug."""
    answer = ask("华法林和阿司匹林能一起吃吗？", record(WARFARIN), record(ASPIRIN, page=2))
    assert quotes(answer) == ["1.阿司匹林使游离的本药增多。"]
    assert answer.text.startswith("阿司匹林的条目没有直接提到“华法林”")
    assert "华法林 药物相互作用：1." in answer.text


def test_what_it_is_taken_with_and_no_item_names_is_said_plainly() -> None:
    """Lost: the whole field of interactions looks like an answer about grapefruit."""
    answer = ask("阿司匹林和西柚汁能同服吗？", record(ASPIRIN))
    assert answer.text.startswith("阿司匹林的条目没有直接提到“柚子”")
    assert quotes(answer)[0].startswith("药物相互作用:1.与抗凝药同用")


def test_a_sub_item_keeps_the_words_that_lead_it() -> None:
    """Lost: '(4) alcoholics' without 'use with care in'."""
    assert quotes(ask("阿司匹林和喝酒有相互作用吗", record(ASPIRIN))) == [
        "1.慎用：",
        "(4)酒精中毒者。",
    ]


def test_a_drug_that_is_named_after_a_group_asks_for_no_group() -> None:
    assert particulars("儿童清热口服液怎么用", ["儿童清热口服液"], [], []) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.口服0.5g。2.静滴1.5g，分2次。", ["1.口服0.5g。", "2.静滴1.5g，分2次。"]),
        ("成人：1.口服。2.静滴。", ["成人：", "1.口服。", "2.静滴。"]),
        ("口服0.5g。饭后服。", ["口服0.5g。", "饭后服。"]),
    ],
)
def test_numbered_items_are_kept_whole(text: str, expected: list[str]) -> None:
    """Lost: 1.5 g is cut at its decimal point."""
    assert [text[a:b] for a, b in items(text, 0, len(text))] == expected
