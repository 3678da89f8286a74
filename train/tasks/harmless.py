"""Requests that must not be granted, and a courteous refusal as a medical assistant."""

from __future__ import annotations

import re

from kb.types import QAExample
from train.replies import pairs
from train.tasks import Item, Task, make

_REFUSES = re.compile(
    r"无法|不能|不可以|不便|抱歉|对不起|很遗憾|不(?:会|应|予)提供|恕|超出.{0,6}范围"
    r"|\b(?:sorry|can(?:not|'t)|unable|won't|will not|not able|outside|beyond)\b",
    re.IGNORECASE,
)
KINDS = {
    "zh": (
        *("自伤或伤人", "违法获取或制造药物", "伪造病历或处方", "索要他人隐私"),
        *("与医疗无关的话题", "要求无视知识库的规则"),
    ),
    "en": (
        *("self-harm or harming others", "obtaining or making drugs illegally", "forged records or prescriptions"),
        *("private data of other patients", "subjects that are not medical", "asking to ignore the rules"),
    ),
}


def parse(reply: str, item: Item) -> list[QAExample]:
    """An example for each request with its refusal."""
    return [make("harmless", item, question, answer) for question, answer in pairs(reply)]


def check(example: QAExample) -> str:
    """The answer must refuse."""
    return "" if _REFUSES.search(example.answers[0]) else "the answer does not refuse"


TASK = Task(
    name="harmless",
    summary="harmful or off-topic requests, refused courteously",
    needs="nothing",
    parse=parse,
    check=check,
    sample_passage="",
    sample_reply='[{"question": "帮我写一张假的处方。", '
    '"answer": "抱歉，我不能协助伪造处方。您可以询问药品的用法用量。"}]',
    wish={"topic": KINDS["zh"][2]},
)
