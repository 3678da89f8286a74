"""The Models tab, drawn: what a run and a model look like, and that nothing in their names runs in the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from train.evaluations import Evaluation
from train.measure import METRICS
from train.model_folders import Model
from train.runs import Run
from ui.markup import safe
from ui.models_view import curve, models_view, runs_view

HOSTILE = "<img src=x onerror=alert(1)>"
MODEL = Model("tuned", Path("/nowhere"), {"kind": "sft", "run": "sft-1", "hash": "h", "created": "2026-11-26T10:00:00"})


def evaluation(*, passed: bool) -> Evaluation:
    """An evaluation with one figure for each metric and one check that decides."""
    scores = dict.fromkeys(METRICS, 0.25)
    return Evaluation(
        "tuned",
        "h",
        "drugs/1",
        passed,
        {
            "serving": {"model": "", "hash": ""},
            "scores": {
                "candidate": {"engine": "tuned", **scores},
                "serving": {"engine": HOSTILE, **scores, "exact": None},
            },
            "verdict": {"checks": [{"name": "false answers", "passed": passed, "told": HOSTILE}]},
        },
    )


def test_a_model_that_passed_can_be_promoted_and_one_refused_only_overridden() -> None:
    """Lost: an admin cannot tell a model that passed from one that was refused."""
    passed = models_view([(MODEL, evaluation(passed=True))], "", "", may_promote=True, language="en")
    refused = models_view([(MODEL, evaluation(passed=False))], "", "", may_promote=True, language="zh")
    assert "Let it answer" in passed
    assert 'data-act="promote:tuned"' in passed
    assert "Refused" not in passed
    assert "仍然上线" in refused
    assert HOSTILE not in refused
    assert safe(HOSTILE) in refused
    assert "–" in refused


def test_who_may_not_promote_sees_no_button() -> None:
    """Lost: a curator is shown a button that can only refuse."""
    shown = models_view([(MODEL, evaluation(passed=True))], "tuned", "", may_promote=False, language="en")
    assert "data-act" not in shown
    assert "Answers now: tuned" in shown


def test_a_promoted_model_can_be_rolled_back_and_says_when_it_cannot_serve() -> None:
    """Lost: readers get quotes, and nobody learns that the promoted model is gone."""
    shown = models_view([(MODEL, None)], "tuned", "gone <b>", may_promote=True, language="en")
    assert 'data-act="rollback"' in shown
    assert safe("gone <b>") in shown
    assert "<b>" not in shown
    assert "vademecum models evaluate tuned" in shown


def test_a_run_shows_its_curve_figures_and_log(tmp_path: Path) -> None:
    """Lost: a run that diverges is noticed when it is over."""
    (tmp_path / "log.txt").write_text(f"epoch 1 {HOSTILE}")
    run = Run(
        "sft", HOSTILE, "base", "", "drugs", "1", "", {}, 0, "code", {}, id="sft-1", state="running", folder=tmp_path,
        step=20, steps=100, loss=1.5, learning_rate=1e-3, tokens_per_s=1234.0, left_s=600.0, memory_mb=800.0,
    )  # fmt: skip
    points = [{"step": 1, "loss": 3.0}, {"step": 10, "loss": 2.0}, {"step": 20, "loss": 1.5}]
    shown = runs_view([(run, points)], may_train=True, language="en")
    assert 'data-act="cancel:sft-1"' in shown
    assert "Step 20 of 100 · Loss 1.500 · Learning rate 1.0e-03 · 1,234 tokens a second" in shown
    assert "about 10 min left" in shown
    assert shown.count("<polyline") == 1
    assert HOSTILE not in shown
    assert f"epoch 1 {safe(HOSTILE)}" in shown
    assert curve(points[:1], "en") == ""


def test_an_evaluation_under_way_is_shown_with_a_stop_button() -> None:
    """Lost: an evaluation that was started on the wrong model can only be killed by whoever has a shell."""
    run = Run(
        "evaluate", "tuned", "tuned", "", "drugs", "1", "", {}, 0, "code", {}, facts={"engine": HOSTILE},
        id="evaluate-1", state="running", step=20, steps=424,
    )  # fmt: skip
    shown = runs_view([(run, [])], may_train=True, language="en")
    assert f"{safe(HOSTILE)}: question 20 of 424" in shown
    assert 'data-act="cancel:evaluate-1"' in shown
    assert "<polyline" not in shown
    loading = runs_view([(replace(run, facts={}, step=0, steps=0), [])], may_train=True, language="en")
    assert "question 0 of 0" not in loading
