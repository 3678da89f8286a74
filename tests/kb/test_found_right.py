"""Without these an answer that another passage gives rightly counts as false, and the cut is set by it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from typer.testing import CliRunner

import cli
from kb.evaluate_answers import AnswerRow, gold_removed
from kb.found_right import Mark, Marks

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


def marked(path: Path, right: str) -> list[dict[str, object]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["right"] = row["id"] == right
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return rows


def test_false_answers_are_read_marked_and_then_left_out(tmp_path: Path) -> None:
    questions, marks = a_set(tmp_path), tmp_path / "to-read.jsonl"
    before = asked(tmp_path, "answers", str(questions), "--gold-removed", "--to-read", str(marks))
    rows = marked(marks, "a#gone")
    assert "a#gone" in {row["id"] for row in rows}
    assert "2.4克" in str(rows[0]["answer"])
    after = asked(
        tmp_path, "answers", str(questions), "--gold-removed", "--found-right", str(marks), "--to-read", str(marks)
    )
    assert (before["n"], before["found_right"]) == (4, 0)
    assert (after["n"], after["found_right"]) == (3, 1)
    kept = [json.loads(line) for line in marks.read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in kept if row["right"]] == ["a#gone"]  # what was marked stays marked
    fitted = asked(tmp_path, "calibrate", str(questions), "--found-right", str(marks), "--out", str(tmp_path / "c"))
    assert fitted["found_right"] == 1
    assert fitted["kinds"] == {"zh": {"answerable": 2, "unanswerable": 1}}


def test_a_mark_holds_for_what_was_read_and_for_nothing_else() -> None:
    """Lost: another row of the same number, or another answer, is taken for right unread."""
    row = AnswerRow("1#gone", DOSE, (), False)
    marks = Marks([Mark("1#gone", DOSE, "2.4克 [1]")])
    assert marks.holds(row)
    assert marks.holds(row, "2.4克 [1]")
    assert not marks.holds(row, "24克 [1]")
    assert not marks.holds(replace(row, question="x"))
    assert not marks.holds(replace(row, answerable=True))
    assert not marks.holds(replace(row, id="2#gone"))


def test_marks_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    marks = tmp_path / "marks.jsonl"
    marks.write_text('{"id": "a", "right": "yes"}', encoding="utf-8")
    ran = CliRunner().invoke(cli.app, ["evaluate", "answers", str(a_set(tmp_path)), "--found-right", str(marks)])
    assert ran.exit_code == 2
    assert "row 1: needs 'id'" in ran.output


def test_a_row_that_the_set_asks_as_unanswerable_has_no_twin() -> None:
    row = AnswerRow("1", "x", ("y",), True, "c", keys=frozenset({"book#1", "book"}))
    same = AnswerRow("1u", "x", (), False, "d", gold_keys=frozenset({"book#1", "book"}))
    other = AnswerRow("2", "z", ("y",), True, "c", keys=frozenset({"book#1", "book"}))
    elsewhere = AnswerRow("3", "x", ("y",), True, "c", keys=frozenset({"leaflet#1", "leaflet"}))
    assert [one.id for one in gold_removed([row, same, other, elsewhere])] == ["2#gone", "3#gone"]
