"""Follow-ups: completed from what was asked before, and questions that stand alone left as they are."""

from __future__ import annotations

import pytest

from kb.followup import standalone
from kb.types import Turn

KNOWN = ("芬必得", "慢性肾脏病", "高血压")


def names(text: str) -> list[str]:
    return [name for name in KNOWN if name in text]


def after(*questions: str) -> list[Turn]:
    return [turn for question in questions for turn in (Turn("user", question), Turn("assistant", "……[1]"))]


@pytest.mark.parametrize(
    ("before", "question", "alone"),
    [
        ("布洛芬的用法用量是什么？", "那儿童呢？", "布洛芬的用法用量是什么（儿童）？"),
        ("布洛芬成人一天吃几次？", "儿童呢", "布洛芬儿童一天吃几次？"),
        ("布洛芬的用法用量是什么？", "它的禁忌证呢", "布洛芬的禁忌证呢"),
        ("布洛芬的用法用量是什么？", "那禁忌证呢？", "布洛芬的禁忌证"),
        ("布洛芬的用法用量是什么？", "有什么副作用？", "布洛芬有什么副作用？"),
        ("布洛芬的用法用量是什么？", "孕妇能吃吗？", "布洛芬孕妇能吃吗？"),
        ("布洛芬的用法用量是什么？", "每天最多吃多少？", "布洛芬每天最多吃多少？"),
        ("布洛芬的用法用量是什么？", "阿司匹林呢？", "阿司匹林的用法用量是什么？"),
        ("布洛芬的用法用量是什么？", "它和华法林能一起吃吗", "布洛芬和华法林能一起吃吗"),
        ("芬必得有什么副作用", "能和华法林一起吃吗", "芬必得能和华法林一起吃吗"),
        ("芬必得有什么副作用", "这个药孕妇能用吗？", "芬必得孕妇能用吗？"),
        ("慢性肾脏病怎么分期？", "那怎么治疗呢？", "慢性肾脏病怎么治疗？"),
        ("慢性肾脏病怎么分期？", "这种病饮食上要注意什么？", "慢性肾脏病饮食上要注意什么？"),
        ("高血压患者每天吃多少盐？", "那糖尿病患者呢", "糖尿病患者每天吃多少盐？"),
        ("What is the dose of amoxicillin?", "And in children?", "What is the dose of amoxicillin in children?"),
        (
            "What is the dose of amoxicillin in adults?",
            "What about children?",
            "What is the dose of amoxicillin in children?",
        ),
        (
            "What is the dose of amoxicillin?",
            "What are its contraindications?",
            "What are amoxicillin's contraindications?",
        ),
        ("What is the dose of amoxicillin?", "Is it safe in pregnancy?", "Is amoxicillin safe in pregnancy?"),
        ("What is the dose of amoxicillin?", "How about ibuprofen?", "What is the dose of ibuprofen?"),
        (
            "What are the side effects of metformin?",
            "And contraindications?",
            "What are the contraindications of metformin?",
        ),
        ("Who should be offered naloxone?", "What is the maximum dose?", "What is the maximum dose of naloxone?"),
    ],
)
def test_a_follow_up_is_completed(before: str, question: str, alone: str) -> None:
    """Lost: 'and in children?' is searched as it stands, and finds whatever is said of children."""
    assert standalone(question, after(before), names) == alone


@pytest.mark.parametrize(
    "question",
    [
        "高血压患者的饮食原则是什么？",
        "华法林有什么副作用？",
        "When should naloxone be offered?",
        "Is it safe to give ibuprofen in pregnancy?",
        "主动脉覆膜支架如果做单臂试验，至少要多少病例？",
        "What blood pressure target should I aim for in chronic kidney disease?",
    ],
)
def test_a_question_that_stands_alone_is_left_alone(question: str) -> None:
    """Lost: a new question is answered about the drug of the last one."""
    assert standalone(question, after("布洛芬的用法用量是什么？"), names) == question
    assert standalone(question, after("What is the dose of amoxicillin?"), names) == question


def test_a_follow_up_leans_on_one_before() -> None:
    history = after("芬必得有什么副作用", "那儿童呢", "谢谢")
    assert standalone("用量呢？", history, names) == "芬必得的用量"


@pytest.mark.parametrize("history", [[], after("你好"), [Turn("assistant", "x")]])
def test_without_anything_before_it_stays_as_it_is(history: list[Turn]) -> None:
    assert standalone("那儿童呢", history, names) == "那儿童呢"
