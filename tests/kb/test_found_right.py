"""Without these an answer that another passage gives rightly counts as false, and the cut is set by it."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

import cli
from kb.evaluate_answers import AnswerRow, gold_removed

DOSE = "布洛芬每日最大剂量是多少？"


def asked(tmp_path: Path, *arguments: str) -> dict[str, object]:
    ran = CliRunner().invoke(cli.app, ["evaluate", *arguments, "--json", "--home", str(tmp_path / "home")])
    assert ran.exit_code == 0, ran.output
    return dict(json.loads(ran.stdout))


def a_set(tmp_path: Path) -> Path:
    """Its two articles both give the dose: with the one taken away the other still answers."""
    contexts = {"a": "布洛芬每日最大剂量为2.4克。", "b": "成人服用布洛芬，每日最大剂量为2.4克，儿童减量。"}
    rows = [
        {"id": name, "question": DOSE if name == "a" else "儿童要减量吗？", "context": text, "context_id": name}
        | {"answers": ["2.4克"]}
        for name, text in contexts.items()
    ]
    path = tmp_path / "set.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def test_false_answers_are_read_marked_and_then_left_out(tmp_path: Path) -> None:
    questions, to_read = a_set(tmp_path), tmp_path / "to-read.jsonl"
    before = asked(tmp_path, "answers", str(questions), "--gold-removed", "--to-read", str(to_read))
    rows = [json.loads(line) for line in to_read.read_text(encoding="utf-8").splitlines()]
    assert "a#gone" in {row["id"] for row in rows}
    assert "2.4克" in rows[0]["answer"]
    assert not any(row["right"] for row in rows)
    for row in rows:
        row["right"] = row["id"] == "a#gone"
    to_read.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    after = asked(tmp_path, "answers", str(questions), "--gold-removed", "--found-right", str(to_read))
    assert (before["n"], before["found_right"]) == (4, 0)
    assert (after["n"], after["found_right"]) == (3, 1)
    assert (
        asked(tmp_path, "calibrate", str(questions), "--found-right", str(to_read), "--out", str(tmp_path / "c"))[
            "found_right"
        ]
        == 1
    )


def test_marks_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    marks = tmp_path / "marks.jsonl"
    for line, said in (
        ('{"id": "a", "right": "yes"}', "row 1: needs 'id'"),
        ('{"id": "a", "right": true}', "answerable"),
    ):
        marks.write_text(line, encoding="utf-8")
        ran = CliRunner().invoke(cli.app, ["evaluate", "answers", str(a_set(tmp_path)), "--found-right", str(marks)])
        assert ran.exit_code == 2
        assert said in ran.output


def test_a_row_that_the_set_asks_as_unanswerable_has_no_twin() -> None:
    row = AnswerRow("1", "x", ("y",), True, "c", keys=frozenset({"book#1", "book"}))
    same = AnswerRow("1u", "x", (), False, "d", gold_keys=frozenset({"book#1", "book"}))
    other = AnswerRow("2", "z", ("y",), True, "c", keys=frozenset({"book#1", "book"}))
    assert [one.id for one in gold_removed([row, same, other])] == ["2#gone"]
