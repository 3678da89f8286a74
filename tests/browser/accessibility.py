"""What axe-core finds on a page, and the two screens that every page is looked at on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Page

_AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
_RUN = "() => axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
SCREENS: dict[str, dict[str, Any]] = {
    "desktop-light-en": {"locale": "en-GB", "viewport": {"width": 1280, "height": 800}},
    "phone-dark-zh": {
        "locale": "zh-CN",
        "viewport": {"width": 390, "height": 844},
        "has_touch": True,
        "color_scheme": "dark",
    },
}
"""Both widths, both languages, both colour schemes; colours are the same at both widths, so two screens do."""


def violations(page: Page) -> list[str]:
    """Serious and critical ones, each with the elements it is about."""
    page.evaluate(_AXE)  # as the page's own script, which its policy allows; no address is needed
    found = page.evaluate(_RUN)["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: " + " | ".join(node["html"][:160] for node in rule["nodes"])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
