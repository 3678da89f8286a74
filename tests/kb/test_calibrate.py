"""Calibration: the fit finds what tells answers from none, the cut keeps its promise on rows it did not see."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import cli
from ingest.add import add_paths
from kb.ask_set import ContextLibrary, judge_rows, write_contexts
from kb.calibrate import Judged, _article, _folds, calibrate, choose, curve, fit_curved, fit_logistic
from kb.evaluate_answers import AnswerRow, gold_removed
from kb.evidence import FEATURES, MEANING, Evidence, calibration_of, shipped_calibration, weighed
from kb.knowledge_base import KnowledgeBase
from kb.settings import load_settings


def judged(n: int, language: str = "zh") -> list[Judged]:
    """Pairs of an answerable row and its twin; coverage tells them apart, most of the time; the rest is noise."""
    chance = random.Random(0)
    rows = []
    for number in range(n):
        for answerable, mean in ((True, 0.8), (False, 0.4)):
            row = AnswerRow(f"{number}{'' if answerable else '#gone'}", "q", ("a",) if answerable else (), answerable)
            values = [chance.gauss(mean, 0.15), *(chance.random() for _ in FEATURES[1:-1]), 1.0]
            rows.append(Judged(row, Evidence(language, tuple(values))))  # type: ignore[arg-type]
    return rows


def test_a_fit_finds_the_feature_that_tells() -> None:
    rows = judged(200)
    x = np.array([one.evidence.values for one in rows if one.evidence])
    y = np.array([one.row.answerable for one in rows])
    weights, bias = fit_logistic(x, y)
    assert weights[0] > 5 * np.abs(weights[1:]).max()
    even = 1 / (1 + np.exp(-(x.mean(axis=0) @ weights + bias)))
    assert even == pytest.approx(0.5, abs=0.1)


def test_a_fit_with_meaning_finds_what_only_pairs_tell() -> None:
    """Lost: what is much for a long question is asked of a short one too."""
    chance = np.random.default_rng(0)
    x = chance.normal(1.0, 0.5, (600, len(FEATURES) + len(MEANING)))
    cosine, length = ((*FEATURES, *MEANING).index(name) for name in ("cosine", "length"))
    y = (x[:, cosine] - 1) * (x[:, length] - 1) > 0
    weights, bias = fit_curved(x[:400], y[:400])
    told = np.array([weighed(row) for row in x[400:]]) @ weights + bias > 0
    assert (told == y[400:]).mean() > 0.85
    plain, base = fit_logistic(x[:400], y[:400])
    assert (((x[400:] @ plain + base) > 0) == y[400:]).mean() < 0.7


def test_rows_about_one_article_are_not_told_by_one_another() -> None:
    """Lost: the figures are of questions that the fit all but knows."""
    rows = [
        AnswerRow(str(n), "q", ("a",), True, "c", keys=frozenset({f"a{n // 2}#{n}", f"a{n // 2}"})) for n in range(40)
    ]
    rows += gold_removed(rows)
    articles = [_article(row) for row in rows]
    assert articles[0] == articles[1] == articles[40] == "a0"
    folds = _folds(articles)
    assert (folds[:40] == folds[40:]).all()
    assert (folds[:40:2] == folds[1:40:2]).all()


def test_the_cut_keeps_false_answers_at_the_rate_asked_for() -> None:
    """Lost: `--false-answers 0.05` is a wish."""
    result = calibrate(judged(200), shipped_calibration(), "e/1", false_answers=0.05)
    point = result.sizes["zh"][0].chosen
    assert point.false_answers <= 0.05
    assert 0.05 < point.false_refusals < 0.4
    fresh = [one for one in judged(600)[800:] if one.evidence]
    answered = [result.calibration.enough(one.evidence) for one in fresh if one.evidence and not one.row.answerable]
    assert sum(answered) / len(answered) < 0.09
    assert result.calibration.fits["en"] == shipped_calibration().fits["en"]  # no rows: what was there stays


def test_each_size_of_library_has_a_cut_of_its_own() -> None:
    """Lost: what is enough among a thousand passages is asked for among ten, or the other way round."""
    rows = [
        replace(one, evidence=replace(one.evidence, passages=passages, values=(value + more, *one.evidence.values[1:])))
        for passages, more in ((100, 0.0), (180, 0.0), (5_000, 0.1))
        for one in judged(100)
        if one.evidence
        for value in (one.evidence.values[0],)
    ]
    small, large = calibrate(rows, shipped_calibration(), "", false_answers=0.05).sizes["zh"]
    assert (small.answerable, large.answerable) == (200, 100)
    assert small.passages < 181
    assert large.chosen.cut > small.chosen.cut
    assert max(small.chosen.false_answers, large.chosen.false_answers) <= 0.05


def test_too_few_rows_fit_nothing() -> None:
    result = calibrate(judged(20), shipped_calibration(), "e/1", false_answers=0.05)
    assert result.sizes == {}
    assert result.counts == {"zh": (20, 20)}
    assert result.calibration.fits["zh"] == shipped_calibration().fits["zh"]


def test_the_curve_goes_from_answering_all_to_answering_none() -> None:
    points = list(curve(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True])))
    assert (points[0].false_answers, points[0].false_refusals) == (1.0, 0.0)
    assert (points[-1].false_answers, points[-1].false_refusals) == (0.0, 1.0)
    assert choose(points, 0.5).false_refusals == 0.0
    assert choose(points, 0.0).false_refusals == 0.5


def rows_of_a_set() -> list[AnswerRow]:
    drugs = ["布洛芬", "华法林", "阿司匹林"]
    return [
        AnswerRow(str(n), f"{d}每日最大剂量是多少？", ("2.4克",), True, f"{d}的每日最大剂量为2.4克。")
        for n, d in enumerate(drugs)
    ]


def test_rows_are_judged_by_the_evidence_that_answers_use(tmp_path: Path) -> None:
    rows = rows_of_a_set()
    rows += gold_removed(rows)
    with KnowledgeBase.open(load_settings(home=tmp_path / "home"), write=True) as kb:
        add_paths(kb, [write_contexts(rows, tmp_path)])
        found = list(judge_rows(kb, rows, ContextLibrary(kb, rows)))
    sentence = [one.evidence.values[0] if one.evidence else -1 for one in found]
    assert min(sentence[:3]) > max(sentence[3:])


def test_the_verb_writes_a_calibration_that_the_home_uses(tmp_path: Path) -> None:
    questions = tmp_path / "set.jsonl"
    rows = [{"question": row.question, "context": row.context, "answers": row.answers} for row in rows_of_a_set()]
    questions.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    out = tmp_path / "home" / "abstention.json"
    with KnowledgeBase.open(load_settings(home=tmp_path / "home"), write=True):
        pass
    ran = CliRunner().invoke(
        cli.app, ["evaluate", "calibrate", str(questions), "--home", str(tmp_path / "home"), "--json"]
    )
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.stdout)
    assert said["kinds"] == {"zh": {"answerable": 3, "unanswerable": 3}}
    assert Path(said["file"]) == out
    assert calibration_of(tmp_path / "home").fits["zh"] == shipped_calibration().fits["zh"]
