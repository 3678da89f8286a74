"""One app for all journeys, one Chromium, a fresh page for each; every request and console message is watched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from kb.knowledge_base import KnowledgeBase
from kb.settings import Settings
from tests.browser.app_process import CHROMIUM, CHROMIUM_FLAGS, App, make_library
from tests.browser.scripted_model import ScriptedModel
from tests.ingest.tiny_pdf import Sheet, lines, pdf
from train import fields
from train.examples import Examples

Open = Callable[..., Page]
_PATIENCE_MS = 60_000  # the machine may be busy; what is awaited comes much sooner elsewhere
expect.set_options(timeout=_PATIENCE_MS)

GUIDE = [
    [
        "Zolvarin tablets: a handbook for wards",
        "1 Indications and usage",
        "Zolvarin is indicated for the treatment of chronic blue fever in adults.",
        "It should be taken with food once daily, in the morning.",
    ],
    [
        "4 Contraindications",
        "Zolvarin is contraindicated in patients with severe renal impairment,",
        "with an estimated filtration rate below 30 mL per minute.",
        "Do not give it to patients who are allergic to peanuts.",
    ],
    ["5 Storage", "Store the tablets below 25 degrees, away from light and children."],
]
MONOGRAPHS = [
    "佐伐林\n药品类型:解热药物\n英文名:Zofarin\n适应证:用于慢性蓝热病。\n不良反应:常见恶心、呕吐、头痛，偶见皮疹。\n用法用量:口服：每次10mg，每天1次。",
    "米洛芬\n药品类型:镇痛药物\n英文名:Milofen\n适应证:用于轻度疼痛。\n不良反应:偶见腹泻。\n用法用量:口服：每次5mg，每天3次。",
    "卡特灵\n药品类型:抗感染药物\n英文名:Catrin\n适应证:用于呼吸道感染。\n不良反应:偶见过敏。\n用法用量:口服：每次20mg，每天2次。",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that lies here drives a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A PDF in English and monographs in Chinese."""
    folder = tmp_path_factory.mktemp("files")
    guide, monographs = folder / "zolvarin.pdf", folder / "药品.json"
    sheets = [Sheet(lines(texts, size=11, step=18), media=(0, 0, 480, 640)) for texts in GUIDE]
    guide.write_bytes(pdf(sheets, info={"Title": "Zolvarin handbook"}))
    monographs.write_text(json.dumps(MONOGRAPHS, ensure_ascii=False), "utf-8")
    return [guide, monographs]


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory, files: list[Path]) -> Iterator[App]:
    """The app with the extractive engine."""
    home = tmp_path_factory.mktemp("app") / "home"
    make_library(home, files)
    with KnowledgeBase.open(Settings(home=home), write=True) as kb:
        monographs = next(one for one in kb.store.documents() if one.kind == "monographs")
        Examples(kb.store).add(list(fields.generate(kb.store, [monographs], fields.FieldsReport())))
    running = App(home)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def model_app(tmp_path_factory: pytest.TempPathFactory, files: list[Path]) -> Iterator[App]:
    """The app with a model that is slow, hostile or down, as the question wants."""
    model = ScriptedModel()
    home = tmp_path_factory.mktemp("model") / "home"
    make_library(home, files)
    running = App(
        home, engine="openai", openai_base_url=model.url, openai_model="m", model_timeout_s=20, unsupported="mark"
    )
    yield running
    running.stop()
    model.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.fail("No Chromium on PATH. `make test` installs Debian's.")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser, app: App) -> Iterator[Open]:
    """Open the app's page; afterwards no request may have left the machine and nothing may have gone wrong in it."""
    trouble: list[str] = []
    contexts: list[Any] = []

    def opened(url: str = "", **options: Any) -> Page:
        options = {"locale": "en-GB", "viewport": {"width": 1280, "height": 860}} | options
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(_PATIENCE_MS)
        own = url or app.url
        page.on("request", lambda r: trouble.append(r.url) if not r.url.startswith((own, "blob:", "data:")) else None)
        page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto(own)
        page.wait_for_selector(".vm-empty, .vm-exchange")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def ask(page: Page, question: str) -> None:
    """Ask and wait until the answer is finished."""
    before = page.locator(".vm-answer").count()
    page.fill("#vm-question textarea", question)
    page.click("#vm-send")
    page.locator('.vm-answer[aria-busy="false"]').nth(before).wait_for()
    page.locator("#vm-send").wait_for()
