"""Metrics: the numbers that decide what is better must themselves be right."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from kb.errors import UsageError
from kb.evaluate import METRICS, Question, read_questions, report, score


def question(gold: list[str], grades: dict[str, float] | None = None, source: str = "a") -> Question:
    return Question("q", "text", tuple(gold), grades or {}, source)


def test_one_gold_at_rank_three() -> None:
    values = dict(zip(METRICS, score(["x", "y", "g"], question(["g"])), strict=True))
    assert values["recall@5"] == 1.0
    assert values["mrr@10"] == pytest.approx(1 / 3)
    assert values["ndcg@10"] == pytest.approx(0.5)


def test_recall_counts_at_most_k_gold() -> None:
    gold = [f"g{i}" for i in range(20)]
    values = dict(zip(METRICS, score(gold[:5], question(gold)), strict=True))
    assert values["recall@5"] == 1.0
    assert values["recall@10"] == 0.5


def test_grades_make_ndcg_prefer_the_better() -> None:
    graded = question(["a", "b"], {"a": 2.0, "b": 1.0})
    assert score(["a", "b"], graded)[3] == pytest.approx(1.0)
    assert score(["b", "a"], graded)[3] < 1.0


def test_nothing_found_is_zero() -> None:
    assert score([], question(["g"])) == (0.0, 0.0, 0.0, 0.0)


def test_report_gives_sources_and_intervals() -> None:
    questions = [question(["g"], source="a"), question(["g"], source="b")]
    result = report(questions, [["g"], ["x"]])
    assert result.means["recall@5"] == 0.5
    assert result.by_source["a"].means["recall@5"] == 1.0
    low, high = result.intervals["recall@5"]
    assert low == 0.0
    assert high == 1.0


def test_compressed_sets_are_read(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl.xz"
    row = {"id": 1, "question": "问题", "gold_passage_ids": ["p"], "source": "s"}
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    assert read_questions(path)[0].text == "问题"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"question": "x"}\n', "row 1: needs"),
        ("not json\n", "cannot be read as JSON lines"),
        ("[1]\n", "line 1: expected a JSON object"),
        ("", "holds no questions"),
    ],
)
def test_a_bad_set_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match=said):
        read_questions(path)
