"""Blind comparison: who is who stays hidden, a vote counts once and for the right engine, the tally is honest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kb.access import SINGLE, Principal
from kb.audit import Audit
from kb.errors import AccessDenied, NotFound, UsageError
from kb.store import Store
from train.blind import Answers, Blind, Pairing, Question, Quoted, Said, sign_test, tally
from train.evaluations import Evaluation, Evaluations

ADMIN = Principal("u1", "anna", "admin")
PAIR = Pairing("tuned@aa", "extractive", "drugs/1")
QUESTIONS = 24


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A home with one evaluation: a tuned model that says 'good', a quoting engine that says 'poor'."""
    opened = Store(tmp_path)
    questions = [Question(f"q{n}", f"Question {n}?", "test", ("right",)) for n in range(QUESTIONS)]
    questions += [Question("same", "Alike?", "test"), Question("h", "Harm?", "harmful")]
    ours = {one.id: Said(f"good {one.id}", sources=(Quoted(1, "Handbook", 3, "a quote"),)) for one in questions}
    theirs = {one.id: Said(f"poor {one.id}") for one in questions} | {"same": ours["same"]}
    kept = Answers(tuple(questions), {"tuned@aa": ours, "extractive": theirs})
    report = {"serving": {"model": "", "hash": ""}}
    Evaluations(opened).add(Evaluation("tuned", "aa", "drugs/1", False, report, answers=kept), SINGLE)
    yield opened
    opened.close()


def judge_all(blind: Blind, who: Principal, pairing: Pairing, better: str) -> list[str]:
    """Vote for whichever side says `better`; returns the sides it stood on."""
    sides = []
    while (case := blind.next(who, pairing)) is not None:
        side = "a" if case.a.text.startswith(better) else "b"
        sides.append(side)
        blind.vote(who, pairing, case.question.id, side)  # type: ignore[arg-type]
    return sides


def test_a_vote_for_a_side_counts_for_the_engine_that_stood_there(store: Store) -> None:
    """Lost: votes are counted for the wrong model, and the worse one is promoted on them."""
    blind = Blind(store)
    sides = judge_all(blind, ADMIN, PAIR, "good")
    assert len(sides) == QUESTIONS  # the one that both answered alike is not asked
    assert {"a", "b"} == set(sides)
    (found,) = blind.tallies(ADMIN)
    assert (found.first, found.second) == ("extractive", "tuned@aa")
    assert (found.first_better, found.second_better, found.same, found.neither) == (0, QUESTIONS, 0, 0)
    assert (found.preference, found.high) == (-1.0, -1.0)
    assert found.p < 1e-6
    entries = [entry for entry in Audit(store).entries() if entry.action == "compared"]
    assert len(entries) == QUESTIONS
    assert {entry.detail["verdict"] for entry in entries} == {"second"}


def test_sides_are_drawn_anew_for_each_voter_and_do_not_depend_on_who_was_named_first(store: Store) -> None:
    """Lost: a voter learns that the tuned model is always on the left."""
    blind = Blind(store)
    turned = Pairing(PAIR.other, PAIR.one, PAIR.dataset)
    first, again = blind.next(ADMIN, PAIR), blind.next(ADMIN, turned)
    assert first == again
    others = [judge_all(blind, Principal(f"v{n}", f"v{n}", "admin"), PAIR, "good") for n in range(2)]
    assert others[0] != others[1]


def test_a_question_is_judged_once_by_each_voter_and_must_be_one_of_the_pair(store: Store) -> None:
    """Lost: a double click, or a posted event, counts twice."""
    blind = Blind(store)
    case = blind.next(ADMIN, PAIR)
    assert case is not None
    blind.vote(ADMIN, PAIR, case.question.id, "neither")
    with pytest.raises(UsageError, match="already"):
        blind.vote(ADMIN, PAIR, case.question.id, "a")
    for unknown in ("same", "h", "nonsense"):
        with pytest.raises(UsageError, match="not among those"):
            blind.vote(ADMIN, PAIR, unknown, "a")
    with pytest.raises(UsageError, match="A vote is one of"):
        blind.vote(ADMIN, PAIR, "q1", "left")  # type: ignore[arg-type]
    assert blind.tallies(ADMIN)[0].neither == 1
    following = blind.next(ADMIN, PAIR)
    assert following is not None
    assert (following.judged, following.left) == (1, QUESTIONS - 1)


def test_only_who_may_evaluate_models_compares(store: Store) -> None:
    """Lost: any signed-in reader posts votes."""
    blind, curator = Blind(store), Principal("u2", "cu", "curator")
    for call in (
        lambda: blind.contenders(curator),
        lambda: blind.next(curator, PAIR),
        lambda: blind.vote(curator, PAIR, "q1", "a"),
        lambda: blind.tallies(curator),
    ):
        with pytest.raises(AccessDenied):
            call()
    assert blind.tallies(ADMIN) == []


def test_engines_without_kept_answers_are_refused_with_the_remedy(store: Store) -> None:
    """Lost: an old evaluation gives an empty comparison, and nobody knows why."""
    blind = Blind(store)
    found = {one.name: dict(one.questions) for one in blind.contenders(ADMIN)}
    assert found == {
        "tuned": {"test": QUESTIONS + 1, "harmful": 1},
        "extractive": {"test": QUESTIONS + 1, "harmful": 1},
    }
    with pytest.raises(NotFound, match="models evaluate"):
        blind.next(ADMIN, Pairing("tuned@aa", "older@bb", "drugs/1"))
    with pytest.raises(UsageError, match="itself"):
        blind.next(ADMIN, Pairing("tuned@aa", "tuned@aa", "drugs/1"))
    assert blind.next(ADMIN, Pairing("tuned@aa", "extractive", "drugs/1", "own")) is None
    harmful = blind.next(ADMIN, Pairing("tuned@aa", "extractive", "drugs/1", "harmful"))
    assert harmful is not None
    assert harmful.left == 1


def test_a_question_that_was_reworded_between_two_evaluations_is_not_asked(store: Store) -> None:
    """Lost: the owner's file was edited, and answers to two different questions stand side by side."""
    report = {"serving": {"model": "", "hash": ""}}
    for engine, wording in (("older@bb", "In renal failure?"), ("newer@cc", "In pregnancy?")):
        asked = (Question("own-1", wording, "own"), Question("own-2", "For how long?", "own"))
        kept = Answers(asked, {engine: {one.id: Said(f"{engine} on {one.text}") for one in asked}})
        name, _, weights = engine.partition("@")
        Evaluations(store).add(Evaluation(name, weights, "drugs/1", False, report, answers=kept), SINGLE)
    case = Blind(store).next(ADMIN, Pairing("older@bb", "newer@cc", "drugs/1", "own"))
    assert case is not None
    assert (case.question.id, case.left) == ("own-2", 1)


def test_the_tally_counts_questions_not_voters() -> None:
    """Lost: three friends who judge one question alike make it look certain."""
    friends = tally("a", "b", "d/1", [("q1", f"v{n}", "first") for n in range(6)])
    assert (friends.votes, friends.voters, friends.questions, friends.p) == (6, 6, 1, 1.0)
    mixed = tally("a", "b", "d/1", [("q1", "v", "first"), ("q2", "v", "same"), ("q3", "v", "second")])
    assert mixed.preference == 0.0
    assert mixed.low < 0 < mixed.high
    assert sign_test(10, 0) == pytest.approx(2 / 1024)
    assert sign_test(5, 5) == 1.0
    assert sign_test(9, 1) == pytest.approx(22 / 1024)
