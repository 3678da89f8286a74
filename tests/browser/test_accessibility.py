"""Without these someone who uses a screen reader, a keyboard or larger contrast could be shut out of a screen.

axe-core (Deque, MPL-2.0, here only in tests) looks at each screen, light and dark, at both widths, in both languages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, ask

_AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
_RUN = "() => axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
DESKTOP: dict[str, Any] = {"locale": "en-GB", "viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"locale": "zh-CN", "viewport": {"width": 390, "height": 844}, "has_touch": True}


def _violations(page: Page) -> list[str]:
    """Serious and critical ones, each with the elements it is about."""
    page.evaluate(_AXE)  # as the page's own script, which its policy allows; no address is needed
    found = page.evaluate(_RUN)["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: " + " | ".join(node["html"][:160] for node in rule["nodes"])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(
    "screen",
    [DESKTOP, DESKTOP | {"color_scheme": "dark"}, PHONE, PHONE | {"color_scheme": "dark"}],
    ids=["desktop-light-en", "desktop-dark-en", "phone-light-zh", "phone-dark-zh"],
)
def test_no_screen_shuts_anyone_out(open_page: Open, screen: dict[str, Any]) -> None:
    page = open_page(**screen)
    found = {"start": _violations(page)}
    ask(page, "What are the contraindications of Zolvarin?")
    ask(page, "How do I repair the tyre of a bicycle?")
    found["answer"] = _violations(page)
    page.locator(".vm-answer button.vm-mark").first.click()
    expect(page.locator(".vm-page-image")).to_be_visible()
    page.locator(".vm-passages-toggle").click()
    expect(page.locator(".vm-passage").first).to_be_visible()
    found["page"] = _violations(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+k")
    expect(page.locator(".vm-keys")).to_be_visible()
    found["keys"] = _violations(page)
    page.keyboard.press("Escape")
    page.get_by_role("tab").nth(1).click()
    page.locator(".vm-row-button").first.click()
    expect(page.locator(".vm-facts")).to_be_visible()
    page.click("#vm-edit")
    expect(page.locator("#vm-save")).to_be_visible()
    found["library"] = _violations(page)
    page.get_by_role("tab").nth(2).click()
    expect(page.locator(".vm-case")).to_be_visible()
    page.keyboard.press("r")
    page.locator(".vm-fold > button").last.click()
    expect(page.locator("#vm-export select").first).to_be_visible()
    found["review"] = _violations(page)
    assert {name: rules for name, rules in found.items() if rules} == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= screen["viewport"]["width"]
