"""Without these a document, a file name or a model could run script in the clinician's browser, or tell an outside
server what is read: more than two hundred payloads in every place that shows words of others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from kb.knowledge_base import KnowledgeBase
from kb.settings import Settings
from kb.statements import MARKED
from kb.types import Chunk, Document, Line, Span
from kb.types import Page as StoredPage
from tests.browser.app_process import App
from tests.browser.conftest import Open, ask
from tests.browser.scripted_model import ScriptedModel
from tests.payloads import PAYLOADS

_TOGETHER = 5  # payloads in one document: all its passages are among the 50 that are shown
_ELEMENTS = "img, script, a, iframe, svg, math, object, embed, video, audio, style, link, base, meta, form, template"
_PLACES = "#vm-past, #vm-talk, #vm-sources, #vm-documents, #vm-filters, #vm-details, #vm-told, .vm-viewer"


def _fill(home: Path) -> None:
    """Documents whose titles, names, metadata and text are payloads, put in past the reader, which would mend some."""
    with KnowledgeBase.open(Settings(home=home), write=True) as kb:
        for number in range(0, len(PAYLOADS), _TOGETHER):
            words = [word.replace("\x00", "") for word in PAYLOADS[number : number + _TOGETHER]]
            name, text = " ¦ ".join(words), "".join(f"Xyzzymarker says {word} here.\n" for word in words)
            sha256 = hashlib.sha256(name.encode()).hexdigest()
            document = Document(
                sha256[:16],
                sha256,
                f"{name}.txt",
                name,
                "text",
                1,
                "reading",
                name,
                pages=1,
                added=f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z",
                issuer=name,
                edition=name,
                issued=name,
                collection=name,
                metadata={"author": name},
            )
            kb.store.start_document(document)
            kb.store.add_pages(document.id, [StoredPage(1, tuple(map(Line, text.split("\n"))), label=name, note=name)])
            spans = (Span(0, len(text), 1),)
            chunk = Chunk(sha256[:24], document.id, 0, text, name, spans, "en", 9)
            kb.store.finish_document(document, [chunk])
        kb.publish()


@pytest.fixture(scope="module")
def hostile_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    model = ScriptedModel("".join(f"{payload} [1]\n\n" for payload in PAYLOADS))
    home = tmp_path_factory.mktemp("hostile") / "home"
    _fill(home)
    running = App(home, engine="openai", openai_base_url=model.url, openai_model="m", top_k=50, unsupported="mark")
    yield running
    running.stop()
    model.close()


def _harmless(page: Page) -> None:
    """Nothing ran, and no element was made of what is shown. Requests and CSP reports are watched by open_page."""
    assert page.evaluate("window.hit") is None
    assert page.title() == "Vademecum"
    made = page.locator(_PLACES).locator(_ELEMENTS).evaluate_all("found => found.map(e => e.outerHTML)")
    assert [html for html in made if "vm-page-image" not in html and "vm-original" not in html] == []
    handlers = """() => [...document.querySelectorAll('.gradio-container *')]
      .flatMap(e => [...e.attributes]).filter(a => a.name.startsWith('on')).map(a => a.name)"""
    assert page.evaluate(handlers) == []


def _shown(page: Page, place: str) -> str:
    """What is written there, without white space, and without remarks on support, which may stand between two lines."""
    shown = "".join(str(page.locator(place).evaluate("e => e.textContent")).split())
    for remark in MARKED.values():
        shown = shown.replace("".join(remark.split()), "")
    return shown


def _missing(shown: str, mark: str = "[1]") -> list[str]:
    """Payloads that do not read there as they are, apart from marks [1], which read as `mark`."""
    kept = str.maketrans("", "", "".join(map(chr, (*range(32), 0x7F, 0x202E))))
    return [p for p in PAYLOADS if "".join(p.translate(kept).replace("[1]", mark).split()) not in shown.translate(kept)]


def test_payloads_are_more_than_two_hundred() -> None:
    assert len(set(PAYLOADS)) >= 200


def test_titles_and_names_in_the_library_are_text(open_page: Open, hostile_app: App) -> None:
    page = open_page(hostile_app.url)
    page.get_by_role("tab", name="Library").click()
    page.locator(".vm-row-button").first.wait_for()
    assert _missing(_shown(page, "#vm-documents")) == []
    page.locator(".vm-row-button").first.click()
    expect(page.locator(".vm-facts")).to_contain_text("window.hit=1")
    page.locator("#vm-details button[data-passages]").click()
    expect(page.locator(".vm-viewer")).to_have_attribute("aria-busy", "false")
    _harmless(page)


def test_passages_and_a_model_s_words_are_text_while_they_come_and_after(open_page: Open, hostile_app: App) -> None:
    page = open_page(hostile_app.url)
    ask(page, "What does the hostile xyzzymarker say?")
    assert _missing(_shown(page, "#vm-talk .vm-text"), mark="1") == []
    assert _missing(_shown(page, "#vm-sources")) == []
    _harmless(page)
    page.locator("#vm-sources .vm-found > summary").click()
    page.locator("#vm-sources .vm-found .vm-link").first.click()
    expect(page.locator(".vm-viewer")).to_have_attribute("aria-busy", "false")
    page.keyboard.press("p")
    expect(page.locator(".vm-passage").first).to_contain_text("Xyzzymarker")
    _harmless(page)


@pytest.mark.parametrize("start", range(0, len(PAYLOADS), 72))
def test_questions_are_text(open_page: Open, hostile_app: App, start: int) -> None:
    page = open_page(hostile_app.url)
    ask(page, "\n".join(PAYLOADS[start : start + 72])[:3900])
    _harmless(page)
