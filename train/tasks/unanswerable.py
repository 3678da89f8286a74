"""Questions on the passage's subject that it does not answer; the target is to say so."""

from __future__ import annotations

from kb.prompts import NOT_MENTIONED
from kb.types import QAExample
from train.replies import objects, text
from train.tasks import Item, Task, make, nothing_more


def parse(reply: str, item: Item) -> list[QAExample]:
    """An unanswerable example for each question."""
    answer = NOT_MENTIONED[item.language]
    asked = [text(found, "question", "问题") for found in objects(reply)]
    return [make("unanswerable", item, question, answer, answerable=False) for question in asked if question]


TASK = Task(
    name="unanswerable",
    summary="near questions that the passage does not answer: 文本中未提及",
    needs="passage",
    parse=parse,
    check=nothing_more,
    sample_passage="盐酸二甲双胍\n禁忌证:肾功能不全者禁用。",
    sample_reply='[{"question": "盐酸二甲双胍的半衰期是多长？"}]',
    wish={"n": 1},
)
