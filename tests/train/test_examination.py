"""What every engine under evaluation is asked over: the same passages, in the form that each of them reads best."""

from __future__ import annotations

from train.examination import rows_asked
from train.measure import Candidate, measure

ROW = {
    "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "片剂：20mg。"}],
    "metadata": {
        "example": "1",
        "question": "利可君的剂型是什么？",
        "answers": ["片剂：20mg。"],
        "answerable": True,
        "contexts": [
            "利可君\n适应证:用于防治白细胞减少。",
            "奥古蛋白\n剂型:注射剂(粉)：4mg。",
            "利可君\n剂型:片剂：20mg。",
        ],
    },
}


def test_the_quoting_engine_gets_the_fields_of_a_drug_as_one_monograph() -> None:
    """Lost: it says of the right answer that it is not mentioned either, and a worse model is let in past it."""
    (asked,) = rows_asked(iter([ROW]))
    assert [hit.chunk.pages for hit in asked.hits] == [(1,), (2,), (1,)]
    found = measure(Candidate("extractive"), [asked], [])
    answer = found.answers["1"]
    assert "片剂：20mg。 [3]" in answer.text
    assert "未提及" not in answer.text
    assert not answer.abstained
    assert found.mean("support") == 1.0
