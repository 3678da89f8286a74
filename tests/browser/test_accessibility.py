"""Without these someone who uses a screen reader, a keyboard or larger contrast could be shut out of a screen.

axe-core (Deque, MPL-2.0, here only in tests) looks at each screen, light and dark, at both widths, in both languages.
"""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import SCREENS, violations
from tests.browser.conftest import Open, ask


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_no_screen_shuts_anyone_out(open_page: Open, screen: dict[str, Any]) -> None:
    page = open_page(**screen)
    found = {"start": violations(page)}
    ask(page, "What are the contraindications of Zolvarin?")
    ask(page, "How do I repair the tyre of a bicycle?")
    found["answer"] = violations(page)
    page.locator(".vm-answer button.vm-mark").first.click()
    expect(page.locator(".vm-page-image")).to_be_visible()
    page.locator(".vm-passages-toggle").click()
    expect(page.locator(".vm-passage").first).to_be_visible()
    found["page"] = violations(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+k")
    expect(page.locator(".vm-keys")).to_be_visible()
    found["keys"] = violations(page)
    page.keyboard.press("Escape")
    page.get_by_role("tab").nth(1).click()
    page.locator(".vm-row-button").first.click()
    expect(page.locator(".vm-facts")).to_be_visible()
    page.click("#vm-edit")
    expect(page.locator("#vm-save")).to_be_visible()
    found["library"] = violations(page)
    page.get_by_role("tab").nth(2).click()
    expect(page.locator(".vm-case")).to_be_visible()
    page.keyboard.press("r")
    page.locator(".vm-fold > button").last.click()
    expect(page.locator("#vm-export select").first).to_be_visible()
    found["review"] = violations(page)
    assert {name: rules for name, rules in found.items() if rules} == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= screen["viewport"]["width"]
