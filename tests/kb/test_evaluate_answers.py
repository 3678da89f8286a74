"""The figures of answers: what is counted, over which rows, and that a withheld context is really not at hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.add import add_paths
from kb.ask_set import ContextLibrary, ask_rows, require_ready, verbatim_share, write_contexts
from kb.errors import UsageError
from kb.evaluate_answers import (
    AnswerRow,
    difference,
    f1,
    gold_removed,
    read_answer_rows,
    report,
    report_json,
    score,
    withheld,
)
from kb.knowledge_base import KnowledgeBase
from kb.settings import load_settings
from kb.testing import make_hit
from kb.types import Answer, Citation, Statement

TEXT = "布洛芬每日最大剂量为2.4克。"


def answered(text: str = TEXT) -> Answer:
    hit = make_hit(text)
    citation = Citation(1, hit.chunk.id, hit.document.id, hit.document.file, hit.document.title, 1, text)
    return Answer(
        f"{text} [1]", (citation,), False, "extractive", (hit,), statements=(Statement(text, (1,), "quoted"),)
    )


REFUSED = Answer("文本中未提及", (), True, "extractive", ())


def row(answerable: bool = True, **changes: object) -> AnswerRow:
    return AnswerRow("1", "布洛芬每日最大剂量是多少？", ("2.4克",) if answerable else (), answerable, **changes)  # type: ignore[arg-type]


def test_a_library_whose_passages_were_not_read_is_not_measured(tmp_path: Path) -> None:
    """Lost: a reader stopped on a busy machine passes for a search that finds nothing: .000 in every column."""
    (tmp_path / "contexts.json").write_text('[{"text": ')
    with KnowledgeBase.open(load_settings(home=tmp_path / "home"), write=True) as kb:
        with pytest.raises(UsageError, match="is empty"):
            require_ready(kb)
        add_paths(kb, [tmp_path / "contexts.json"])
        with pytest.raises(UsageError, match="could not be added"):
            require_ready(kb)
        (tmp_path / "contexts.json").write_text(json.dumps([{"text": TEXT}]))
        kb.remove(kb.documents()[0].id) if kb.documents() else None
        add_paths(kb, [tmp_path / "contexts.json"])
        require_ready(kb)


def test_an_answer_is_scored_without_its_marks() -> None:
    scores = score(row(), answered()).scores
    assert scores["f1"] == pytest.approx(2 * 3 / (13 + 3), abs=0.03)
    assert (scores["contains"], scores["exact"], scores["false_refusals"]) == (1.0, 0.0, 0.0)
    assert (scores["statement_support"], scores["citation_recall"], scores["citation_precision"]) == (1.0, 1.0, 1.0)
    assert "false_answers" not in scores


def test_a_refusal_scores_nothing_where_there_is_an_answer_and_is_right_where_there_is_none() -> None:
    assert score(row(), REFUSED).scores == {"f1": 0.0, "exact": 0.0, "contains": 0.0, "false_refusals": 1.0}
    assert score(row(answerable=False), REFUSED).scores == {"false_answers": 0.0}
    assert score(row(answerable=False), answered()).scores["false_answers"] == 1.0


def test_f1_counts_characters_of_chinese_and_words_of_english() -> None:
    assert f1("take two tablets", "two tablets") == pytest.approx(0.8)
    assert f1("每日两片", "两片") == pytest.approx(2 * 2 / 6)
    assert f1("no", "yes") == 0.0


def test_the_report_keeps_each_metric_to_its_rows() -> None:
    outcomes = [score(row(), answered()), score(row(answerable=False), REFUSED)]
    found = report(outcomes)
    assert (found.n, found.answerable) == (2, 1)
    assert found.means["false_refusals"] == 0.0
    assert found.means["false_answers"] == 0.0
    only = report_json(report(outcomes[:1]))
    assert only["false_answers"] is None
    json.dumps(only, allow_nan=False)


def test_two_settings_are_compared_row_by_row() -> None:
    ours = [score(row(), REFUSED), score(row(answerable=False), REFUSED)]
    theirs = [score(row(), answered()), score(row(answerable=False), REFUSED)]
    change = difference(ours, theirs)
    assert change["false_refusals"] == (-1.0, -1.0, -1.0)
    assert change["false_answers"][0] == 0.0


def test_what_holds_the_answer_is_withheld_from_an_unanswerable_row() -> None:
    """Lost: the printed false answers count right answers, from the passage that the set meant to take away."""
    gold = row(context="gold", keys=frozenset({"book#1", "book"}))
    beside = row(context="beside", keys=frozenset({"book#2", "book"}))
    other = AnswerRow("3", "x", ("y",), True, "other", keys=frozenset({"z"}))
    missing = row(answerable=False, context="other", gold_keys=frozenset({"book#1", "book"}))
    assert withheld([gold, beside, other, missing])[3] == {"gold", "beside"}
    twin = gold_removed([gold])[0]
    assert not twin.answerable
    assert withheld([gold, beside, other, twin])[3] == {"gold", "beside"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"answers": []}\n', "row 1: needs 'question'"),
        ('{"question": "x", "answers": [], "answerable": true}\n', "has no answer"),
        ('{"question": "x", "answers": ["y"], "answerable": "no"}\n', "must be true or false"),
        ('{"question": "x", "answers": ["y"], "context": "c"}\n{"question": "x", "answers": ["y"]}\n', "all or none"),
        ("", "holds no questions"),
    ],
)
def test_a_bad_set_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match=said):
        read_answer_rows(path)


def test_a_set_is_asked_of_its_own_library(tmp_path: Path) -> None:
    """Lost: `evaluate answers` measures something other than what a reader of that library would get."""
    rows = [
        row(context=TEXT + "空腹时服用会刺激胃。", keys=frozenset({"a"})),
        AnswerRow("2", "华法林有哪些禁忌证？", ("活动性出血",), True, "华法林的禁忌证是活动性出血和妊娠。"),
        AnswerRow("3", "布洛芬每日最大剂量是多少？", (), False, "阿司匹林饭后服用。", gold_keys=frozenset({"a"})),
    ]
    with KnowledgeBase.open(load_settings(home=tmp_path / "home"), write=True) as kb:
        add_paths(kb, [write_contexts(rows, tmp_path)])
        outcomes = list(ask_rows(kb, rows, ContextLibrary(kb, rows)))
        changed = replace(outcomes[0].answer.citations[0], quote="布洛芬每日最大剂量为2.6克。")
        assert verbatim_share(kb, replace(outcomes[0].answer, citations=(changed,))) == 0.0
    assert [one.answer.abstained for one in outcomes] == [False, False, True]
    assert outcomes[0].scores["contains"] == 1.0
    assert outcomes[0].scores["verbatim"] == 1.0
    assert all("2.4" not in hit.chunk.text for hit in outcomes[2].answer.hits)
