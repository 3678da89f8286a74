"""Diagnoses to consider from a report, each with the sentence of the report it rests on."""

from __future__ import annotations

from kb.prompts import NOT_MENTIONED
from kb.types import Language, QAExample
from train.replies import objects, text
from train.tasks import Item, Task, make

_ASK: dict[Language, str] = {
    "zh": "根据以下报告给出可供医生参考的诊断建议及依据：\n{report}",
    "en": "Suggest diagnoses for a physician to consider from this report, with the evidence:\n{report}",
}
_LINE: dict[Language, str] = {
    "zh": "{n}. {diagnosis}（依据：{evidence}）",
    "en": "{n}. {diagnosis} (evidence: {evidence})",
}
_EVIDENCE: dict[Language, str] = {"zh": "（依据：", "en": " (evidence: "}


def parse(reply: str, item: Item) -> list[QAExample]:
    """One example; a report that bears out nothing gives an abstention."""
    found = [(text(one, "diagnosis", "诊断"), text(one, "evidence", "依据")) for one in objects(reply)]
    lines = [
        _LINE[item.language].format(n=n, diagnosis=diagnosis, evidence=evidence.strip("。. "))
        for n, (diagnosis, evidence) in enumerate(found, start=1)
        if diagnosis and evidence
    ]
    report = item.hit.chunk.text if item.hit else ""
    asked = _ASK[item.language].format(report=report)
    answer = "\n".join(lines) or NOT_MENTIONED[item.language]
    return [make("diagnosis", item, asked, answer, answerable=bool(lines))]


def check(example: QAExample) -> str:
    """The evidence is the report's, word for word."""
    report = "".join(example.question.split())
    for line in example.answers[0].splitlines() if example.answerable else ():
        evidence = line.partition(_EVIDENCE[example.language])[2].rstrip("）)")
        if not evidence or "".join(evidence.split()) not in report:
            return f"evidence '{evidence[:40]}' is not in the report"
    return ""


TASK = Task(
    name="diagnosis",
    summary="diagnoses to consider from a report, each with its evidence",
    needs="passage",
    parse=parse,
    check=check,
    sample_passage="右肺上叶见一枚磨玻璃结节，大小约8mm，边缘毛糙。",
    sample_reply='[{"diagnosis": "早期肺腺癌可能", "evidence": "右肺上叶见一枚磨玻璃结节，大小约8mm，边缘毛糙"}]',
)
