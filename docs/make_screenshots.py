"""Makes docs/images from the running app over the sample library: what the README shows is what the app does.

`python docs/make_screenshots.py [--home DIR]`: with a home that holds the samples already, it is not loaded anew.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from kb.knowledge_base import KnowledgeBase  # noqa: E402
from kb.settings import Settings  # noqa: E402
from tests.browser.app_process import CHROMIUM, CHROMIUM_FLAGS, App, make_library  # noqa: E402
from tests.browser.conftest import ask  # noqa: E402
from train import fields  # noqa: E402
from train.examples import Examples  # noqa: E402

IMAGES = Path(__file__).parent / "images"
DESKTOP: dict[str, Any] = {"locale": "en-GB", "viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "locale": "zh-CN",
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
ENGLISH = "What are the contraindications of metformin?"
CHINESE = "硝苯地平有哪些不良反应？"
REVIEW = "无创血糖监测产品的临床评价有哪些要求？"


def main() -> None:
    """Start the app, walk through it, keep the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="a data home that holds the sample library")
    given = parser.parse_args().home
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = given.absolute() if given else Path(folder) / "home"
        if not given:
            make_library(home, [ROOT / "samples" / "documents"], embed=True)
        make_examples(home)
        app = App(home)
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
                walk(browser, app.url)
                browser.close()
        finally:
            app.stop()


def make_examples(home: Path) -> None:
    """Something to review: what the monographs give without a model."""
    with KnowledgeBase.open(Settings(home=home), write=True) as kb:
        monographs = [one for one in kb.documents() if one.kind == "monographs"]
        Examples(kb.store).add(
            list(itertools.islice(fields.generate(kb.store, monographs, fields.FieldsReport()), 200))
        )


def walk(browser: Browser, url: str) -> None:
    """One picture after another."""
    for mode, suffix in (("light", ""), ("dark", "-dark")):
        page = opened(browser, url, DESKTOP | {"color_scheme": mode})
        keep(page, f"start-desktop-en{suffix}")
        ask(page, ENGLISH)
        keep(page, f"ask-desktop-en{suffix}")
        page.locator(".vm-answer button.vm-mark").first.click()
        page.locator(".vm-page-image").wait_for()
        keep(page, f"page-desktop-en{suffix}")
        page.keyboard.press("Escape")
        page.get_by_role("tab", name="Library").click()
        page.locator(".vm-row-button").nth(1).wait_for()
        page.locator(".vm-row-button").nth(1).click()
        page.locator(".vm-facts").wait_for()
        keep(page, f"library-desktop{suffix}")
        page.get_by_role("tab", name="Review").click()
        page.locator(".vm-case").wait_for()
        page.keyboard.press("r")
        keep(page, f"review-desktop{suffix}")
        page.context.close()
    page = opened(browser, url, PHONE)
    ask(page, CHINESE)
    keep(page, "ask-phone-zh")
    ask(page, REVIEW)
    page.locator(".vm-answer").last.locator("button.vm-mark").first.tap()
    page.locator(".vm-page-image").wait_for()
    keep(page, "page-phone-zh")
    page.locator(".vm-close").tap()
    page.get_by_role("tab", name="资料库").tap()
    page.locator(".vm-table").wait_for()
    keep(page, "library-phone-zh")


def opened(browser: Browser, url: str, options: dict[str, Any]) -> Page:
    """A fresh page, drawn."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(180_000)  # the machine may be busy
    page.goto(url)
    page.locator(".vm-empty").wait_for()
    return page


def keep(page: Page, name: str) -> None:
    """Save what the window shows."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)
    page.screenshot(path=IMAGES / f"{name}.png")
    print(IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
