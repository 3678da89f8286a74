"""Plans: what a model thinks of looking up is taken where it is safe to, and the rules stand in where it fails."""

from __future__ import annotations

import pytest

from kb.answer import answer
from kb.plan import Plan, make_plan
from kb.testing import AnsweringContract, ScriptedModel
from kb.types import Answer, Finished, Turn

HISTORY = [Turn("user", "布洛芬的用法用量是什么？"), Turn("assistant", "每次0.2g [1]。")]
BY_RULE = "布洛芬的用法用量是什么（儿童）？"


def plan(reply: str, question: str = "那儿童呢？", thinks: str = "follow-ups", **failing: object) -> Plan:
    model = ScriptedModel(pieces=[reply], **failing)  # type: ignore[arg-type]
    return make_plan(question, HISTORY, model=model, thinks=thinks, timeout_s=0.3)  # type: ignore[arg-type]


def test_a_models_search_is_taken() -> None:
    reply = "<think>…</think>Thought: 需要查询儿童用量。\nSearch: 布洛芬 儿童 用量"
    assert plan(reply) == Plan("布洛芬 儿童 用量", "需要查询儿童用量。")


@pytest.mark.parametrize(
    "reply", ["布洛芬儿童每次0.1g。", "", "Thought: 需要查询。\nSearch: 阿司匹林儿童用量", f"Search: {'布洛芬' * 200}"]
)
def test_a_reply_that_cannot_be_used_leaves_it_to_the_rules(reply: str) -> None:
    """Lost: the model searches for a drug that nobody spoke of, and its dose is quoted."""
    assert plan(reply).search == BY_RULE


def test_a_model_that_hangs_or_fails_leaves_it_to_the_rules() -> None:
    assert plan("", hangs_s=1.0).search == BY_RULE
    assert plan("", fails_with=RuntimeError("down")).search == BY_RULE


def test_a_model_cannot_talk_a_question_out_of_the_library() -> None:
    """Lost: 'no look-up needed', and a dose from the model's memory."""
    needless = "Thought: 不需要查询\nSearch: 无"
    assert plan(needless).search == BY_RULE
    assert plan(needless, "布洛芬最多吃几片").search == "布洛芬最多吃几片"
    assert plan(needless, "太好了，这下清楚了") == Plan("", "不需要查询")


def test_when_a_model_is_asked() -> None:
    model = ScriptedModel(pieces=["Search: x"])
    make_plan("布洛芬怎么吃", (), model=model)
    make_plan("那儿童呢", HISTORY, model=model, thinks="never")
    assert model.asked == []
    make_plan("布洛芬怎么吃", (), model=model, thinks="always")
    assert len(model.asked) == 1


def ask(question: str, pieces: list[str], plan: Plan) -> tuple[Answer, ScriptedModel]:
    model = ScriptedModel(pieces=pieces)
    hits = AnsweringContract().hits() if plan.search else []
    *_, last = answer(question, hits, history=HISTORY, model=model, plan=plan)
    assert isinstance(last, Finished)
    return last.answer, model


def test_thought_and_search_stand_between_question_and_answer() -> None:
    """Lost: a model trained on System, User, Thought, Search, Assistant is asked in another form."""
    found, model = ask("And metformin?", ["Up to 2550 mg [1]."], Plan("dose of metformin", "It needs the library."))
    assert [message.type for message in model.asked[0]] == ["system", "human", "ai", "human", "ai", "human"]
    assert model.asked[0][-2].content == "Thought: It needs the library."
    assert str(model.asked[0][-1].content).startswith("Search:\n\n<<<PASSAGE 1>>>")
    assert (found.searched_as, found.thought) == ("dose of metformin", "It needs the library.")
    assert "It needs" not in found.text


def test_what_needs_no_library_is_answered_without_medicine() -> None:
    found, _ = ask("太好了", ["很高兴能帮上忙。", "布洛芬每次0.4g。"], Plan("", "不需要查询"))
    assert found.text == "很高兴能帮上忙。[…]"
    assert (found.citations, found.abstained, found.intent) == ((), False, "about")


def test_a_model_that_can_only_talk_medicine_gets_a_fixed_reply() -> None:
    found, _ = ask("太好了", ["布洛芬每次0.4g。"], Plan("", "不需要查询"))
    assert (found.engine, found.intent) == ("rules", "about")
    assert "0.4" not in found.text
