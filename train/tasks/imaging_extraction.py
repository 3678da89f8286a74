"""Structured extraction from an imaging report: each lesion's type, nature, shape, site, size and number."""

from __future__ import annotations

import json

from kb.types import Language, QAExample
from train.replies import objects, text
from train.tasks import Item, Task, make

FIELDS: dict[Language, tuple[str, ...]] = {
    "zh": ("类型", "性质", "形态", "部位", "大小", "数量"),
    "en": ("type", "nature", "shape", "site", "size", "number"),
}
ABSENT: dict[Language, str] = {"zh": "未提及", "en": "not mentioned"}
_ASK: dict[Language, str] = {
    "zh": "从以下影像报告中逐个病灶提取类型、性质、形态、部位、大小、数量，没有写的填“未提及”：\n{report}",
    "en": "Extract type, nature, shape, site, size and number of each lesion ('not mentioned' if absent):\n{report}",
}


def parse(reply: str, item: Item) -> list[QAExample]:
    """One example: the report asked about, its lesions as JSON."""
    names = FIELDS[item.language]
    lesions = [{name: text(found, name) or ABSENT[item.language] for name in names} for found in objects(reply)]
    report = item.hit.chunk.text if item.hit else ""
    answer = json.dumps(lesions, ensure_ascii=False)
    return [make("imaging-extraction", item, _ASK[item.language].format(report=report), answer)]


def check(example: QAExample) -> str:
    """Every value is in the report, or is the word for absent."""
    report = "".join(example.question.split())
    for lesion in json.loads(example.answers[0]):
        for name, value in lesion.items():
            if value != ABSENT[example.language] and "".join(value.split()) not in report:
                return f"{name} '{value[:40]}' is not in the report"
    return ""


TASK = Task(
    name="imaging-extraction",
    summary="lesions of an imaging report as structured data",
    needs="passage",
    parse=parse,
    check=check,
    sample_passage="右肺上叶见一枚磨玻璃结节，大小约8mm×6mm，边缘毛糙。",
    sample_reply='[{"类型": "结节", "性质": "磨玻璃", "形态": "边缘毛糙", "部位": "右肺上叶", '
    '"大小": "8mm×6mm", "数量": "一枚"}]',
)
