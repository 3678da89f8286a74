"""One or two deep questions on a passage, answered from it: the core of the data."""

from __future__ import annotations

from kb.prompts import says_not_mentioned
from kb.types import QAExample
from train.replies import pairs
from train.tasks import Item, Task, make


def parse(reply: str, item: Item) -> list[QAExample]:
    """An example for each question and answer."""
    return [make("qa", item, question, answer) for question, answer in pairs(reply)]


def check(example: QAExample) -> str:
    """An answer that says the passage does not say is no answer to learn from here."""
    return "the answer abstains" if example.answerable and says_not_mentioned(example.answers[0]) else ""


TASK = Task(
    name="qa",
    summary="deep questions on a passage, answered from it",
    needs="passage",
    parse=parse,
    check=check,
    sample_passage="盐酸二甲双胍\n用法用量:口服，成人开始一次0.25g，一日2～3次，最大剂量每日不超过2g。",
    sample_reply='[{"question": "盐酸二甲双胍成人的起始剂量是多少？", '
    '"answer": "口服，成人开始一次0.25g，一日2～3次。"}]',
)
