"""Whoever may evaluate models compares two of them blind: no names while one votes, the tally when all is judged."""

from __future__ import annotations

from playwright.sync_api import expect

from kb.access import SINGLE
from kb.audit import Audit
from kb.store import Store
from tests.browser.app_process import App
from tests.browser.conftest import Open
from train.blind import Answers, Blind, Question, Quoted, Said
from train.evaluations import Evaluation, Evaluations

QUESTIONS = ("What is Zolvarin for?", "When is Zolvarin taken?", "Who must not take Zolvarin?")


def evaluated(store: Store) -> None:
    """An evaluation whose candidate says 'good' and whose quoting engine says something hostile."""
    asked = tuple(Question(f"q{n}", text, "test", ("right",)) for n, text in enumerate(QUESTIONS))
    ours = {one.id: Said("good [1]", sources=(Quoted(1, "Handbook", 1, "with food"),)) for one in asked}
    theirs = {one.id: Said("poor <img src=x onerror=alert(1)>") for one in asked}
    kept = Answers(asked, {"tuned@aa": ours, "extractive": theirs})
    report = {"serving": {"model": "", "hash": ""}}
    Evaluations(store).add(Evaluation("tuned", "aa", "drugs/1", False, report, answers=kept), SINGLE)


def test_two_engines_are_compared_blind(open_page: Open, app: App) -> None:
    store = Store(app.home)
    evaluated(store)
    page = open_page()
    page.get_by_role("tab", name="Models").click()
    page.locator(".vm-fold > button", has_text="Blind comparison").click()
    page.locator("#vm-blind-choose select[data-choice=one]").select_option("tuned@aa|drugs/1")
    page.locator("#vm-blind-choose select[data-choice=other]").select_option("extractive")
    case = page.locator("#vm-blind-case")
    for judged in range(len(QUESTIONS)):
        expect(case).to_contain_text(f"{judged} judged, {len(QUESTIONS) - judged} to go")
        assert "tuned" not in case.inner_html()
        assert "extractive" not in case.inner_html()
        expect(page.locator("#vm-blind-tally")).not_to_contain_text("tuned")
        expect(case.locator("img")).to_have_count(0)
        left = case.locator(".vm-blind section").first.inner_text()
        page.get_by_role("button", name="A is better" if "good" in left else "B is better").click()
    expect(case).to_contain_text("You have judged every question")
    expect(page.locator("#vm-blind-tally")).to_contain_text("extractive : tuned")
    expect(page.locator("#vm-blind-tally")).to_contain_text("0 : 3")
    (tally,) = Blind(store).tallies(SINGLE)
    assert (tally.second, tally.second_better, tally.votes) == ("tuned@aa", 3, 3)
    assert sum(entry.action == "compared" for entry in Audit(store).entries()) == 3
    store.close()
