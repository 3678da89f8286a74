"""A model is asked the way it was taught: single fields, short words, and marks that its answers are due."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kb.errors import UsageError
from kb.prompt_formats import PromptFormat, format_of, lettered, marks_of, single_fields, word
from kb.prompts import Prompt
from kb.testing import make_hit
from kb.types import Chunk, Document, Hit, Span

DRUGS = Document("d", "d", "drugs.json", "drugs", "monographs", 1, "ready", language="zh")


def hit(text: str, page: int, position: int) -> Hit:
    heading = text.split("\n", 1)[0]
    spans = (Span(0, len(text), page),)
    return Hit(Chunk(f"c{position}", "d", position, text, heading, spans, "zh", len(text)), DRUGS, 1.0)


HITS = (
    hit("利可君\n剂型:片剂：10mg。\n用法用量:口服：每次10～20mg，每天3次。", 1, 0),
    hit("奥古蛋白\n剂型:注射剂：4mg。\n用法用量:肌注：每次4mg。", 2, 1),
)
SHORT = PromptFormat("short", "fields")


def test_the_field_asked_for_comes_first_and_says_whose_it_is() -> None:
    """Lost: the small model reads another drug's dose first, or fields it never saw in training."""
    shown = single_fields("奥古蛋白怎么使用，用量是多少？", HITS)
    assert shown[0] == (2, replace(HITS[1], chunk=replace(HITS[1].chunk, text="奥古蛋白\n用法用量:肌注：每次4mg。")))
    assert {one.chunk.text for _, one in shown[1:]} == {
        "奥古蛋白\n剂型:注射剂：4mg。",
        "利可君\n用法用量:口服：每次10～20mg，每天3次。",
    }
    assert single_fields("奥古蛋白怎么使用？", [one for _, one in shown]) == list(enumerate([h for _, h in shown], 1))


def test_an_answer_is_cited_by_the_passage_that_holds_it() -> None:
    """Lost: a small model's answers stand without a source, or with the wrong one."""
    form = PromptFormat("short", "fields")
    prompt = word("奥古蛋白的用法用量是什么？", HITS, (), form, count=lambda _: 10, limit=100)
    assert str(prompt.messages[1].content).startswith("[1] 奥古蛋白\n用法用量:肌注：每次4mg。\n[2] ")
    assert marked("肌注：每次4mg。", prompt) == "肌注：每次4mg。 [2]"
    assert marked("口服：每次10～20mg，每天3次。", prompt) == "口服：每次10～20mg，每天3次。 [1]"
    assert marked("静脉滴注：每次900mg。", prompt) == "静脉滴注：每次900mg。"
    assert marked("", prompt) == ""


def test_every_sentence_of_an_answer_carries_its_mark_and_the_right_one() -> None:
    """Lost: all but the last sentence stand uncited, or a sentence that two drugs share is cited from the other one."""
    hits = [
        make_hit("甲药\n用法用量:口服。每次5mg。一日3次。"),
        make_hit("乙药\n用法用量:口服。每次9mg。一日3次。"),
    ]
    prompt = word("乙药的用法用量？", hits, (), PromptFormat("short", "passages"), count=lambda _: 10, limit=100)
    assert marked("口服。每次9mg。一日3次。", prompt) == "口服。 [2]每次9mg。 [2]一日3次。 [2]"
    assert marked("口服。每次7mg。一日3次。", prompt) == "口服。 [1]每次7mg。一日3次。 [1]"
    assert marked("口服", prompt) == "口服 [1]"


NAMED = PromptFormat("named", "fields")


def test_drugs_go_by_letters_whatever_they_are_called() -> None:
    """Lost: a small model takes one drug for another whose name looks like it, or answers from memory."""
    passages = ["甘草片\n剂型:片剂。", "复方甘草片（Brown Mixture）\n剂型:含片。", "甘草片\n别名:甘草片"]
    said, texts = lettered("brown mixture和甘草片有哪些剂型？", passages)
    assert said == "Ⓑ和Ⓐ有哪些剂型？"
    assert texts == ["Ⓐ\n剂型:片剂。", "Ⓑ\n剂型:含片。", "Ⓐ\n别名:甘草片"]
    assert lettered("复方甘草片有哪些剂型？", passages)[0] == "Ⓑ有哪些剂型？"
    assert lettered("复方甘草片有哪些剂型？", passages[:1])[0] == "复方甘草片有哪些剂型？"


@pytest.mark.parametrize("passage", ["no field of a drug", "用法用量\n成人:每次5mg", "Dosage\nAdults: 5 mg"])
def test_what_is_no_field_of_a_monograph_gets_no_letter(passage: str) -> None:
    """Lost: a label's heading is taken for a drug's name, and its dose is cited for whatever drug is asked about."""
    asked = "二甲双胍的用法用量是什么？ What is the Dosage of metformin?"
    assert lettered(asked, [passage]) == (asked, [passage])


def test_a_name_of_two_drugs_is_nobody_s() -> None:
    """Lost: 立可林 stands in three monographs, and the first one's dose is given for all."""
    passages = ["甲药（立可林）\n剂型:片剂。", "乙药（立可林）\n剂型:针剂。"]
    assert lettered("立可林有哪些剂型？", passages)[0] == "立可林有哪些剂型？"
    assert lettered("甲药有哪些剂型？", passages)[0] == "Ⓐ有哪些剂型？"
    assert (
        lettered("重组人促红素（CHO细胞）的剂型？", ["益比奥（重组人促红素（CHO细胞））\n剂型:针剂。"])[0]
        == "Ⓐ的剂型？"
    )


def test_another_drug_s_form_admits_no_preparation() -> None:
    """Lost: asked about 布洛芬缓释胶囊, the tablets' dose is read, because some other drug comes in capsules."""
    passages = ["布洛芬\n剂型:片剂。", "甲药\n剂型:胶囊。"]
    assert lettered("布洛芬缓释胶囊的剂型？", passages)[0] == "布洛芬缓释胶囊的剂型？"
    assert lettered("布洛芬片的剂型？", passages)[0] == "Ⓐ片的剂型？"
    assert lettered("布洛芬片的禁忌？", ["布洛芬\n禁忌证:过敏。"], ["布洛芬"])[0] == "Ⓐ片的禁忌？"


DOSE = "奥古蛋白的用法用量是什么？"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Ⓐ\n用法用量:肌注：每次4mg。", "肌注：每次4mg。 [2]"),
        ("Ⓑ\n用法用量:口服：每次10～20mg，每天3次。", ""),  # another drug's
        ("Ⓐ\n剂型:注射剂：4mg。", ""),  # another field
        ("Ⓐ\n用法用量:口服：每次10～20mg，每天3次。", ""),  # another drug's, under the right heading
        ("Ⓐ\n用法用量:肌注：每次40mg。", ""),
        ("Ⓐ\n用法用量:肌注：每次4", ""),  # breaks off
        ("Ⓐ\n用法用量:每次4mg。", ""),
        ("Ⓐ\n用法用量:肌注：每次4mg", "肌注：每次4mg [2]"),
        ("Ⓐ\n用法用量:", ""),
        ("Ⓐ\n用法用量:文本中未提及", "文本中未提及"),
        ("文本中未提及", "文本中未提及"),
        ("肌注：每次4mg。", ""),  # says not where it reads
        ("文本中未提及。口服：每次10～20mg。", ""),
        ("Ⓐ\n用法用量:肌注：每次4mg。\nⒷ\n用法用量:口服：每次10～20mg，每天3次。", ""),
        ("", ""),
    ],
)
def test_only_what_stands_in_the_field_it_names_is_shown(said: str, shown: str) -> None:
    """Lost: a dose copied from another drug's passage, or from nowhere, is shown for the drug that was asked about."""
    prompt = word(DOSE, HITS, (), NAMED, count=lambda _: 10, limit=100)
    assert str(prompt.messages[1].content).startswith("[1] Ⓐ\n用法用量:肌注：每次4mg。\n[2] ")
    assert str(prompt.messages[1].content).endswith("\nⒶ的用法用量是什么？")
    assert marked(said, prompt, NAMED) == shown


def test_one_drug_s_dose_is_not_given_for_two() -> None:
    """Lost: asked about 布洛芬 beside warfarin, warfarin's dose is read and cited for it."""
    prompt = word("服用利可君期间奥古蛋白的用法用量是什么？", HITS, (), NAMED, count=lambda _: 10, limit=100)
    assert {"Ⓐ", "Ⓑ"} <= set(str(prompt.messages[1].content).splitlines()[-1])
    for said in ("Ⓐ\n用法用量:肌注：每次4mg。", "Ⓑ\n用法用量:口服：每次10～20mg，每天3次。"):
        assert marked(said, prompt, NAMED) == ""


def marked(answer: str, prompt: Prompt, form: PromptFormat = SHORT) -> str:
    marks = marks_of(form, prompt.messages)
    assert marks is not None
    return "".join(marks.feed(character) for character in answer) + marks.close()


def test_passages_are_left_out_until_the_prompt_fits() -> None:
    """Lost: a model with a short context refuses every question."""
    form = PromptFormat("short", "fields")
    said = word("利可君的剂型？", HITS, (), form, count=lambda m: len(str(m[1].content)), limit=40)
    assert str(said.messages[1].content) == "[1] 利可君\n剂型:片剂：10mg。\n利可君的剂型？"


def test_an_unknown_format_is_refused() -> None:
    """Lost: a model is asked in words it was not taught, and answers nonsense."""
    assert format_of({"prompt_format": "short/fields"}) == PromptFormat("short", "fields")
    assert format_of({"plan": {"style": "app", "contexts": {"kind": "passages"}}}) == PromptFormat()
    assert format_of({"prompt_format": "haiku"}) is None
    assert format_of({}) is None
    with pytest.raises(UsageError, match="haiku"):
        PromptFormat.parse("haiku")
