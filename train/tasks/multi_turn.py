"""A single question and answer grows into a conversation: two or three further turns consistent with the passage."""

from __future__ import annotations

from kb.types import Message, QAExample
from train.replies import Unreadable, pairs
from train.tasks import Item, Task, make


def parse(reply: str, item: Item) -> list[QAExample]:
    """One conversation: the example it grew from, then the new turns."""
    if item.example is None:
        raise Unreadable("no example to grow from")
    turns = [(item.example.question, item.example.answers[0]), *pairs(reply)]
    if len(turns) < 2:
        raise Unreadable("no further turn")
    said = [Message(role, text) for turn in turns for role, text in zip(("user", "assistant"), turn, strict=True)]  # type: ignore[arg-type]
    return [make("multi-turn", item, turns[0][0], turns[-1][1], messages=tuple(said))]


def check(example: QAExample) -> str:
    """A turn that asks or answers what an earlier one did is no turn."""
    asked = [message.content for message in example.messages if message.role == "user"]
    given = [message.content for message in example.messages if message.role == "assistant"]
    return "a turn is repeated" if len(set(asked)) < len(asked) or len(set(given)) < len(given) else ""


TASK = Task(
    name="multi-turn",
    summary="a kept question grows into a conversation of three or four turns",
    needs="example",
    parse=parse,
    check=check,
    sample_passage="盐酸二甲双胍\n用法用量:口服，成人开始一次0.25g，一日2～3次，最大剂量每日不超过2g。\n禁忌证:肾功能不全者禁用。",
    sample_reply='[{"question": "每天最多可以用到多少？", "answer": "最大剂量每日不超过2g。"}, '
    '{"question": "肾功能不全的患者可以用吗？", "answer": "肾功能不全者禁用。"}]',
    wish={"n": 2},
)
