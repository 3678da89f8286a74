"""What a question about a drug asks in particular, and the items of its monograph that speak of it."""

from __future__ import annotations

import pytest

from kb.particulars import items, particulars
from kb.types import Answer
from tests.kb.test_extract import FLOXACIN, LEVO, ask, record

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
    assert particulars("儿童清热口服液怎么用", ["儿童清热口服液"], [], {}) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.口服0.5g。2.静滴1.5g，分2次。", ["1.口服0.5g。", "2.静滴1.5g，分2次。"]),
        ("成人：1.口服。2.静滴。", ["成人：", "1.口服。", "2.静滴。"]),
        ("口服0.5g。饭后服。", ["口服0.5g。", "饭后服。"]),
        ("忌与维生素B1、维生素B6、叶酸同服。", ["忌与维生素B1、维生素B6、叶酸同服。"]),
    ],
)
def test_numbered_items_are_kept_whole(text: str, expected: list[str]) -> None:
    """Lost: 1.5 g is cut at its decimal point, or 'not with vitamin B1, B6' before its number."""
    assert [text[a:b] for a, b in items(text, 0, len(text))] == expected


def test_a_short_dosage_and_one_that_leans_on_another_are_quoted_whole() -> None:
    """Lost: 'children take less', without the dose that they take less of."""
    short = "用法用量:口服，一次5g，一日3次。小儿酌减或遵医嘱。"
    assert quotes(ask("儿童用山楂丸的剂量", record(f"山楂丸\n禁忌证:过敏者禁用。\n{short}"))) == [short]
    long = f"用法用量:1.成人：每次0.2g。2.儿童：按成人剂量减半。3.其他：{LONG}。"
    assert quotes(ask("儿童用布洛芬的剂量", record(f"布洛芬\n禁忌证:过敏者禁用。\n{long}"))) == [long]


def test_a_dose_comes_with_its_route_and_its_limit() -> None:
    text = f"布洛芬\n禁忌证:过敏者禁用。\n用法用量:口服：1.成人：{LONG}。2.儿童：每次5mg/kg。3.最大剂量为每天40mg/kg。"
    expected = ["口服：", "2.儿童：每次5mg/kg。", "3.最大剂量为每天40mg/kg。"]
    assert quotes(ask("儿童用布洛芬的剂量", record(text))) == expected


@pytest.mark.parametrize("question", ["成人和儿童用阿司匹林的剂量", "5岁孩子用阿司匹林的剂量"])
def test_the_dose_for_adults_or_for_an_age_is_the_whole_field(question: str) -> None:
    """Lost: the adults' dose, or the row of a table of ages that names no child."""
    (quoted,) = quotes(ask(question, record(ASPIRIN)))
    assert quoted.startswith("用法用量:1.解热")


def test_an_age_is_a_group() -> None:
    assert "2.儿童：每次每岁60mg。" in quotes(ask("5岁能吃阿司匹林吗？", record(ASPIRIN)))


def test_adverse_reactions_in_a_group_are_those_of_all() -> None:
    field = "不良反应:1.恶心、呕吐。2.老年人多见头晕。"
    text = f"布洛芬\n禁忌证:过敏者禁用。\n{field}\n注意事项:1.避光。2.老年人减量。"
    found = quotes(ask("老年人吃布洛芬有什么不良反应", record(text)))
    assert found == [field, "2.老年人减量。"]


def test_what_a_class_may_name_is_looked_for_in_the_whole_field() -> None:
    """Lost: asked about aspirin and ibuprofen, the item on NSAIDs, because another one names aspirin."""
    text = WARFARIN.replace("2.", "2.非甾体抗炎药增加出血危险。3.")
    answer = ask("华法林和阿司匹林、布洛芬能一起吃吗？", record(text))
    assert answer.text.startswith("华法林的条目没有直接提到“布洛芬”")
    assert "非甾体抗炎药" in quotes(answer)[0]
    assert "阿司匹林" in quotes(answer)[0]


def test_a_group_is_looked_for_though_a_substance_is_asked_about_too() -> None:
    """Lost: a pregnant woman asks about two drugs, and is not told that one is not for her."""
    found = quotes(ask("孕妇能同时吃阿司匹林和华法林吗？", record(ASPIRIN), record(WARFARIN, page=2)))
    assert "禁忌证:血友病患者及孕妇禁用。" in found
    assert "1.阿司匹林使游离的本药增多。" in found


def test_another_drug_is_found_by_all_its_names_and_by_no_part_of_one() -> None:
    """Lost: 'does not name' of a drug that it names otherwise; or the item on levofloxacin for ofloxacin."""
    text = "氧氟沙星\n别名:泰利必妥\n药物相互作用:与华法林合用，出血危险增加。"
    other = WARFARIN.replace("英文名:Warfarin", "英文名:Warfarin\n别名:华福灵")
    answer = ask("泰利必妥和华福灵能一起吃吗？", record(text), record(other, page=2))
    assert "没有直接提到“华福灵”" not in answer.text
    assert "与华法林合用" in quotes(answer)[0]
    theophylline = "茶碱\n禁忌证:过敏者禁用。\n药物相互作用:左氧氟沙星使血药浓度升高。"
    answer = ask("茶碱和氧氟沙星能一起吃吗？", record(theophylline))
    assert answer.text.startswith("茶碱的条目没有直接提到“氧氟沙星”")


def test_what_any_field_speaks_of_is_not_said_to_be_missing() -> None:
    """Lost: 'does not speak of pregnancy', said of a record that does."""
    text = "布洛芬\n禁忌证:过敏者禁用。\n药动学:可通过胎盘。半衰期2h。"
    answer = ask("孕妇能吃布洛芬吗？", record(text))
    assert "没有提到" not in answer.text
    assert quotes(answer) == ["禁忌证:过敏者禁用。", "可通过胎盘。"]
    silent = "布洛芬\n禁忌证:过敏者禁用。\n注意事项:避光保存。"
    answer = ask("孕妇能吃布洛芬吗？", record(silent), record(text.replace("过敏者", "孕妇"), page=2))
    assert "没有提到" not in answer.text
    answer = ask("孕妇能吃布洛芬和阿司匹林吗？", record(silent), record(ASPIRIN, page=2))
    assert "布洛芬的条目没有提到“孕妇”" in answer.text
    assert "禁忌证:过敏者禁用。" in quotes(answer)


def test_salts_and_forms_are_no_substances() -> None:
    answer = ask("华法林片和盐酸阿司匹林肠溶片能一起吃吗？", record(WARFARIN + "\n剂型:片剂：2.5mg。"))
    assert quotes(answer) == ["1.阿司匹林使游离的本药增多。"]
    assert "没有直接提到" not in answer.text


def test_no_drug_that_is_asked_about_is_left_out() -> None:
    """Lost: of ofloxacin, because its name is a part of the other's; of warfarin, as there are three of aspirin."""
    found = quotes(ask("左氧氟沙星和氧氟沙星的用法用量", record(LEVO, page=2), record(FLOXACIN)))
    assert sorted(found) == ["用法用量:口服，每次0.2g，每天2次。", "用法用量:口服，每次0.5g，每天1次。"]
    three = [record(ASPIRIN.replace("0.3", f"0.{page}"), page=page) for page in (3, 4, 5)]
    found = quotes(ask("阿司匹林和华法林能一起吃吗？", *three, record(WARFARIN, page=6)))
    assert "1.阿司匹林使游离的本药增多。" in found
    hits = [
        record(f"{name}\n禁忌证:对{name}过敏者禁用。", page=page)
        for page, name in enumerate("甲乙丙 丁戊己 庚辛壬 子丑寅".split())
    ]
    assert len(quotes(ask("甲乙丙、丁戊己、庚辛壬、子丑寅的禁忌证", *hits))) == 4


def test_an_item_that_goes_on_in_the_next_chunk_is_quoted_to_its_end() -> None:
    """Lost: for how long, because the chunk ends after how much."""
    head = "布洛芬\n禁忌证:过敏者禁用。\n用法用量:1.成人：每次0.2g。2.儿童：每次5mg/kg。"
    first = record(head, position=4, heading="布洛芬")
    second = record(f"连用3天。3.其他：{LONG}。", position=5, heading="布洛芬")
    assert quotes(ask("儿童用布洛芬的剂量", second, first)) == ["2.儿童：每次5mg/kg。", "连用3天。"]


def test_a_groups_short_precautions_and_its_interactions_are_those_of_all() -> None:
    """Lost: asked what an old patient is to look out for, all but what names old patients."""
    fields = [
        "注意事项:1.避免驾车。2.老年人减量。",
        "药物相互作用:1.老年人合用利尿药时须监测。2.与华法林合用增加出血。",
    ]
    text = "布洛芬\n禁忌证:过敏者禁用。\n" + "\n".join(fields)
    assert fields[0] in quotes(ask("老年人用布洛芬的注意事项", record(text)))
    assert fields[1] in quotes(ask("老年人用布洛芬的药物相互作用", record(text)))


@pytest.mark.parametrize(
    "question", ["Can I take warfarin together with aspirin?", "May one take aspirin and warfarin together?"]
)
def test_two_drugs_together_are_asked_about_in_english_too(question: str) -> None:
    """Lost: the interaction that the Chinese monograph names in Chinese."""
    found = ask(question, record(WARFARIN), record(f"{ASPIRIN}\n英文名:Aspirin", page=2))
    assert "1.阿司匹林使游离的本药增多。" in quotes(found)
    assert "does not name aspirin" not in found.text
