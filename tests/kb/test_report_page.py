"""Reports: tables and plots in one page that loads nothing from elsewhere; comparisons and baselines."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from kb.answer_report import abstention_plots
from kb.errors import UsageError
from kb.evaluate import Question
from kb.evaluate_answers import AnswerRow, Outcome
from kb.report_page import Plot, Table, svg, write_report
from kb.retrieval_report import recall_curve
from kb.types import Answer

PLOT = Plot("Recall <k>", "k", "recall", [("ours & theirs", [(1.0, 0.5), (50.0, 1.0)])], 50.0)
TABLE = Table("By source", ["", "f1"], [["a|b", "0.5"]])


def test_a_page_holds_all_it_shows(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, "Answers", ["Said <so>."], [TABLE], [PLOT])
    page = path.read_text()
    assert "<td>a|b</td>" in page
    assert "Said &lt;so&gt;." in page
    assert "<svg" in page
    assert "src=" not in page
    assert "<script" not in page


def test_a_picture_is_well_formed() -> None:
    drawn = ET.fromstring(svg(PLOT))
    assert drawn.findtext("{http://www.w3.org/2000/svg}title") == "Recall <k>"
    assert len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == 1


def test_markdown_has_its_pictures_beside_it(tmp_path: Path) -> None:
    write_report(tmp_path / "report.md", "Answers", [], [TABLE], [PLOT])
    text = (tmp_path / "report.md").read_text()
    assert "| a\\|b | 0.5 |" in text
    assert "(report-1.svg)" in text
    assert (tmp_path / "report-1.svg").is_file()


@pytest.mark.parametrize("name", ["report.pdf", "missing/report.html"])
def test_a_report_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="report"):
        write_report(tmp_path / name, "x", [], [], [])


def test_when_to_keep_silent_is_drawn_from_the_likelihoods() -> None:
    def outcome(answerable: bool, confidence: float | None) -> Outcome:
        answer = Answer("x", (), False, "e", (), confidence=confidence)
        return Outcome(AnswerRow("1", "q", ("a",) if answerable else (), answerable), answer, {})

    plots = abstention_plots([outcome(True, 0.9), outcome(False, 0.8), outcome(True, 0.7), outcome(True, None)])
    assert plots[0].lines[0][1] == [(0.5, 1.0), (0.5, 0.5), (1.0, pytest.approx(2 / 3))]
    assert plots[1].lines[0][1][0] == (pytest.approx(1 / 3), 0.0)
    assert abstention_plots([outcome(True, 0.9)]) == []


def test_recall_by_depth() -> None:
    points = recall_curve([Question("1", "q", ("a", "b"), {}, "")], [["x", "a", "b"]])
    assert [recall for _, recall in points[:3]] == [0.0, 0.5, 1.0]
    assert len(points) == 50


def test_answers_are_compared_with_another_setting_and_with_naive_ways(tmp_path: Path) -> None:
    """Lost: whether a change of settings helps is a matter of opinion."""
    rows = [
        {
            "question": "布洛芬每日最大剂量是多少？",
            "context": "布洛芬是止痛药。布洛芬每日最大剂量为2.4克。",
            "answers": ["2.4克"],
        },
        {"question": "司美格鲁肽的起始剂量是多少？", "context": "华法林用于抗凝。", "answers": [], "answerable": False},
    ]
    questions, report = tmp_path / "set.jsonl", tmp_path / "report.html"
    questions.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    arguments = ["evaluate", "answers", str(questions), "--baselines", "--compare", "top_k=1", "--report", str(report)]
    ran = CliRunner().invoke(cli.app, [*arguments, "--json", "--home", str(tmp_path / "home")])
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.stdout)
    assert said["first passage"]["false_answers"] == 1.0
    assert said["best sentence"]["contains"] == 1.0
    assert said["difference"]["f1"] == [0.0, 0.0, 0.0]
    assert "top_k=1" in report.read_text()


@pytest.mark.parametrize("change", ["top_k", "no_such_setting=1", "top_k=many"])
def test_a_setting_that_cannot_be_compared_is_refused(tmp_path: Path, change: str) -> None:
    questions = tmp_path / "set.jsonl"
    questions.write_text('{"question": "x", "context": "y", "answers": ["y"]}')
    ran = CliRunner().invoke(cli.app, ["evaluate", "answers", str(questions), "--compare", change])
    assert ran.exit_code == 2
