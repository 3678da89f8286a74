"""Find the mistakes in a report: a model plants them, so that the right text is known for certain."""

from __future__ import annotations

import json

from kb.types import Language, QAExample
from train.replies import Unreadable, objects, text
from train.tasks import Item, Task, make

_ASK: dict[Language, str] = {
    "zh": "检查以下报告中的错误，逐条指出并改正：\n{report}",
    "en": "Find and correct the mistakes in this report:\n{report}",
}


def parse(reply: str, item: Item) -> list[QAExample]:
    """One example, if putting the corrections back gives the report as it was, character for character."""
    found = next(iter(objects(reply)), {})
    report = text(found, "report")
    errors = [error for error in found.get("errors") or [] if isinstance(error, dict)]
    mistakes = [(text(error, "wrong"), text(error, "right")) for error in errors]
    if not report or not mistakes or item.hit is None:
        raise Unreadable("no report or no errors")
    restored = report
    for wrong, right in mistakes:
        if restored.count(wrong) != 1 or wrong == right:
            raise Unreadable(f"'{wrong[:30]}' does not stand exactly once in the text")
        restored = restored.replace(wrong, right)
    if "".join(restored.split()) != "".join(item.hit.chunk.text.split()):
        raise Unreadable("the corrections do not give the report back")
    answer = json.dumps([{"wrong": wrong, "right": right} for wrong, right in mistakes], ensure_ascii=False)
    return [make("typo-check", item, _ASK[item.language].format(report=report), answer)]


def check(example: QAExample) -> str:
    """Each mistake stands in the text once."""
    once = all(example.question.count(error["wrong"]) == 1 for error in json.loads(example.answers[0]))
    return "" if once else "a mistake does not stand exactly once in the text"


TASK = Task(
    name="typo-check",
    summary="planted mistakes of a report, found and corrected",
    needs="passage",
    parse=parse,
    check=check,
    sample_passage="右肺上叶见一枚结节，大小约8mm。",
    sample_reply='{"report": "左肺上叶见一枚结节，大小约8mm。", "errors": [{"wrong": "左肺", "right": "右肺"}]}',
    wish={"n": 1},
)
