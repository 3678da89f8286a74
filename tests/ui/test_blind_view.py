"""The blind comparison, drawn: nothing on the page says who A is, and nothing in an answer runs there."""

from __future__ import annotations

from train.blind import Case, Contender, Question, Quoted, Said, Tally
from ui.blind_view import Bout, case_view, chooser, settled, tally_view
from ui.markup import safe

HOSTILE = "<img src=x onerror=alert(1)>"
TUNED = Contender("tuned@aa", "drugs/1", {"test": 3, "harmful": 1})
QUOTING = Contender("extractive", "drugs/1", {"test": 3})
ELSEWHERE = Contender("other@bb", "drugs/2", {"test": 3})


def test_a_case_shows_both_answers_with_sources_and_no_engine() -> None:
    """Lost: the page's source tells which answer is the model's, and votes are no longer blind."""
    quoted = (Quoted(1, "Handbook", 3, HOSTILE),)
    case = Case(Question("q1", "Which dose?", "test", (HOSTILE,)), Said("5 mg [1]", sources=quoted), Said(""), 2, 1)
    shown = case_view(case, "en")
    assert HOSTILE not in shown
    assert shown.count(safe(HOSTILE)) == 2
    assert "Handbook" in shown
    assert "(no text)" in shown
    assert "2 judged, 1 to go" in shown
    assert [f'data-act="judge:{choice}:q1"' in shown for choice in ("a", "b", "same", "neither")] == [True] * 4
    assert "tuned" not in shown
    assert "全部评完" in case_view(None, "zh")


def test_only_engines_over_the_same_questions_can_be_chosen_together() -> None:
    """Lost: a pair is offered that shares no question."""
    first = chooser(Bout(), [TUNED, QUOTING, ELSEWHERE], "en")
    assert 'data-choice="other"' not in first
    second = chooser(Bout(one="tuned@aa", dataset="drugs/1"), [TUNED, QUOTING, ELSEWHERE], "en")
    rivals = second.split('data-choice="other"')[1].split("</select>")[0]
    assert "extractive" in rivals
    assert "other@bb" not in rivals
    assert "tuned@aa" not in rivals
    assert "Harmful requests (1)" in second
    assert "models evaluate" in chooser(Bout(), [TUNED], "en")
    assert Bout(one="tuned@aa", dataset="drugs/1").pairing is None


def test_the_question_set_is_one_that_the_engine_was_asked() -> None:
    """Lost: the select shows the test split while what is asked is another set, all of which counts as judged."""
    harmful = Bout(one="tuned@aa", dataset="drugs/1", kind="harmful")
    assert settled(harmful, [TUNED, QUOTING]) == harmful
    assert settled(Bout(one="extractive", dataset="drugs/1", kind="harmful"), [TUNED, QUOTING]).kind == "test"
    assert settled(Bout(kind="own"), [TUNED]).kind == "own"


def test_the_tally_names_the_engines_without_their_hash() -> None:
    """Lost: nobody can tell what the votes came to."""
    tally = Tally("extractive", "tuned@aa", "drugs/1", 5, 2, 4, 1, 3, 1, 0, -0.4, -0.9, 0.1, 0.0004)
    shown = tally_view([tally], "en")
    for part in ("extractive : tuned<", "1 : 3", "-0.40 [-0.90, +0.10]", safe("< 0.001"), "5 on 4 questions, by 2"):
        assert part in shown
    assert tally_view([], "en") == ""
