"""The curator's journey: a reader's correction becomes a candidate, is judged beside its page by keyboard, goes out."""

from __future__ import annotations

import csv
import json
import re
from urllib.request import urlopen

from playwright.sync_api import expect

from kb.access import SINGLE
from kb.audit import Audit
from kb.knowledge_base import KnowledgeBase
from kb.settings import Settings
from tests.browser.app_process import App
from tests.browser.conftest import Open, ask
from train.examples import Examples, Selection
from train.review import Review

QUESTION = "What is Zolvarin indicated for?"


def test_correction_becomes_an_example_that_is_reviewed_by_keyboard_and_exported(open_page: Open, app: App) -> None:
    page = open_page()
    ask(page, QUESTION)
    page.get_by_role("button", name="Wrong", exact=True).click()
    page.fill("#vm-correction textarea", "For chronic blue fever. <img src=x onerror=alert(1)>")
    page.click("#vm-correct")
    expect(page.locator("#vm-hint")).to_contain_text("for review")
    page.get_by_role("tab", name="Review").click()
    expect(page.locator(".vm-case-question")).to_contain_text("佐伐林")  # made from the monographs
    page.locator(".vm-fold > button", has_text="Readers' feedback").click()
    expect(page.locator("#vm-feedback")).to_contain_text("For chronic blue fever.")
    page.get_by_role("button", name="Make candidates").click()
    expect(page.locator("#vm-review-told")).to_contain_text(re.compile("[1-9] candidates made"))
    page.locator("#vm-review-filters select[data-choice=source]").select_option("feedback")
    page.locator("#vm-review-filters select[data-choice=state]").select_option("candidate")
    expect(page.locator("#vm-review-case")).to_contain_text("feedback")
    question = page.locator(".vm-case-question")
    while (other := question.inner_text()) != QUESTION:  # what other journeys said of answers
        page.keyboard.press("s")
        expect(question).not_to_have_text(other)
    image = page.locator(".vm-case-image").first
    expect(image).to_be_visible()
    assert page.evaluate(
        "async (image) => { await image.decode(); return image.naturalWidth; }", image.element_handle()
    )
    assert page.locator("#vm-review img[onerror]").count() == 0
    page.keyboard.press("e")
    page.locator('.vm-case-box [data-field="answer"]').fill("For chronic blue fever in adults.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#vm-review-told")).to_contain_text("Saved and accepted")
    page.locator("#vm-review-filters select[data-choice=source]").select_option("fields")
    expect(page.locator("#vm-review-case")).to_contain_text("fields")
    first = page.locator(".vm-case-question").inner_text()
    page.keyboard.press("a")
    expect(page.locator(".vm-case-question")).not_to_have_text(first)
    second = page.locator(".vm-case-question").inner_text()
    page.keyboard.press("s")
    expect(page.locator(".vm-case-question")).not_to_have_text(second)
    page.keyboard.press("r")
    page.keyboard.press("3")
    expect(page.locator("#vm-review-told")).to_contain_text("Rejected")
    page.locator(".vm-fold > button", has_text="how they agree").click()
    expect(page.locator("#vm-agreement tbody tr")).to_have_text("single111")  # accepted, edited, rejected
    with KnowledgeBase.open(Settings(home=app.home)) as kb:
        accepted = {one.question: one for one in Examples(kb.store).stream(Selection(states=("accepted",)))}
        (rejected,) = Examples(kb.store).stream(Selection(states=("rejected",)))
        reviewed = [entry for entry in Audit(kb.store).entries() if "verdict" in entry.detail]
        history = Review(kb.store).history(SINGLE, accepted[QUESTION].parent)
    assert accepted[QUESTION].answers == ("For chronic blue fever in adults.",)
    assert accepted[QUESTION].generator == "feedback"
    assert rejected.reason == "unclear question"
    assert [(one.reviewer, one.verdict) for one in history] == [("single", "edited")]
    judged = {entry.detail["verdict"] for entry in reviewed if entry.action == "reviewed"}
    assert judged == {"accepted", "edited", "rejected"}
    assert {entry.actor for entry in reviewed if entry.action == "reviewed"} == {"single"}
    page.locator(".vm-fold > button", has_text="Take the data away").click()
    page.locator("#vm-export [data-part=what]").select_option("states=accepted")
    page.locator("#vm-export [data-part=form]").select_option("csv")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export").click()
    rows = list(csv.DictReader(saved.value.path().read_text("utf-8-sig").splitlines()))
    assert {row["question"] for row in rows} == set(accepted)
    assert all(row["chunk_id"] for row in rows)
    assert json.load(urlopen(app.url + "export-size?states=accepted", timeout=60)) == {"rows": len(accepted)}
