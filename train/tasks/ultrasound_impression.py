"""The impression of an ultrasound examination from its findings."""

from __future__ import annotations

from kb import support
from kb.types import Language, QAExample
from train.replies import Unreadable, objects, text
from train.tasks import Item, Task, make

_ASK: dict[Language, str] = {
    "zh": "根据以下超声所见写出超声提示：\n{report}",
    "en": "Write the impression of these ultrasound findings:\n{report}",
}


def parse(reply: str, item: Item) -> list[QAExample]:
    """One example: the findings, the impression."""
    impression = next((text(found, "impression", "超声提示", "提示") for found in objects(reply)), "")
    if not impression:
        raise Unreadable("no impression")
    report = item.hit.chunk.text if item.hit else ""
    return [make("ultrasound-impression", item, _ASK[item.language].format(report=report), impression)]


def check(example: QAExample) -> str:
    """Every number of the impression is in the findings, with its unit."""
    stated = {(value.number, value.unit) for value in support.values(example.question)}
    for value in support.values(example.answers[0]):
        if (value.number, value.unit) not in stated:
            return f"'{value.written}' is not in the findings"
    return ""


TASK = Task(
    name="ultrasound-impression",
    summary="findings of an ultrasound examination → its impression",
    needs="passage",
    parse=parse,
    check=check,
    sample_passage="胆囊内见强回声团，大小约12mm，后伴声影，随体位移动。",
    sample_reply='{"impression": "胆囊结石（约12mm）"}',
)
