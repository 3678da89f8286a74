"""The clinician's journeys: ask, read, check the page, stop; in both languages, on a ward computer and a phone."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from kb.access import SINGLE
from kb.conversations import Conversations
from kb.knowledge_base import KnowledgeBase
from kb.settings import Settings
from tests.browser.app_process import App
from tests.browser.conftest import Open, ask

ENGLISH = "What are the contraindications of Zolvarin?"
CHINESE = "佐伐林有哪些不良反应？"

# Share of the shown page image that is highlighter yellow.
_YELLOW = """async () => {
  const image = document.querySelector('.vm-page-image');
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let i = 0; i < data.length; i += 4) found += data[i] > 220 && data[i + 1] > 190 && data[i + 2] < 150;
  return found / (data.length / 4);
}"""


def _viewer_shows(page: Page, where: str) -> None:
    expect(page.locator(".vm-viewer-where")).to_have_text(where)


def test_english_answer_leads_to_its_highlighted_page(open_page: Open) -> None:
    page = open_page()
    ask(page, ENGLISH)
    answer = page.locator(".vm-answer").last
    expect(answer).to_contain_text("contraindicated in patients with severe renal impairment")
    card = page.locator("#vm-sources .vm-card").first
    expect(card).to_contain_text("Zolvarin handbook")
    expect(card).to_contain_text("Page 2")
    answer.locator("button.vm-mark").last.click()
    _viewer_shows(page, "Page 2 of 3")
    assert page.evaluate(_YELLOW) > 0.005
    assert "Quoted: " in str(page.locator(".vm-page-image").get_attribute("alt"))
    page.click(".vm-next")
    _viewer_shows(page, "Page 3 of 3")
    assert page.evaluate(_YELLOW) == 0
    expect(page.locator(".vm-next")).to_be_disabled()
    page.click(".vm-close")
    expect(page.locator(".vm-viewer")).to_be_hidden()


def test_chinese_answer_leads_to_its_marked_text(open_page: Open) -> None:
    page = open_page(locale="zh-CN")
    expect(page.locator("#vm-send")).to_have_text("提问")
    ask(page, CHINESE)
    expect(page.locator(".vm-answer").last).to_contain_text("恶心、呕吐、头痛")
    page.locator("#vm-sources .vm-card .vm-link").first.click()
    expect(page.locator(".vm-page-text mark")).to_contain_text("恶心、呕吐、头痛")
    expect(page.locator(".vm-viewer-where")).to_contain_text("第 1 条")


def test_keyboard_alone_is_enough(open_page: Open) -> None:
    page = open_page()
    page.locator("#vm-question textarea").focus()
    page.keyboard.type(ENGLISH)
    page.keyboard.press("Enter")
    mark = page.locator(".vm-answer button.vm-mark").first
    mark.focus()
    page.keyboard.press("Enter")
    _viewer_shows(page, "Page 2 of 3")
    page.keyboard.press("ArrowLeft")
    _viewer_shows(page, "Page 1 of 3")
    page.keyboard.press("Escape")
    expect(page.locator(".vm-viewer")).to_be_hidden()
    expect(mark).to_be_focused()


def test_abstention_reads_as_help(open_page: Open) -> None:
    page = open_page()
    ask(page, "How do I repair the tyre of a bicycle?")
    expect(page.locator(".vm-abstained .vm-verdict")).to_have_text("Not found in the documents")
    assert page.locator(".vm-abstained button.vm-mark").count() == 0


def test_questions_that_cannot_be_asked_are_refused_in_a_sentence(open_page: Open) -> None:
    page = open_page()
    for question, reason in (("   ", "empty"), ("x" * 100_000, "characters")):
        ask(page, question)
        failed = page.locator(".vm-failed").last
        expect(failed).to_contain_text(reason)
        assert "Traceback" not in failed.inner_text()


def test_examples_fill_the_question_and_a_new_conversation_clears_it(open_page: Open) -> None:
    page = open_page()
    page.locator(".vm-example").first.click()
    expect(page.locator("#vm-question textarea")).not_to_have_value("")
    ask(page, ENGLISH)
    page.click("#vm-new")
    expect(page.locator(".vm-empty")).to_be_visible()
    expect(page.locator(".vm-answer")).to_have_count(0)


def test_language_switches_at_once_and_keeps_the_conversation(open_page: Open) -> None:
    page = open_page()
    ask(page, ENGLISH)
    page.get_by_role("radio", name="中文").check()
    expect(page.get_by_role("tab", name="资料库")).to_be_visible()
    expect(page.locator("#vm-sources h2")).to_have_text("来源")
    expect(page.locator("#vm-question textarea")).to_have_attribute("placeholder", "就您的文档提问")
    expect(page.locator(".vm-question")).to_contain_text(ENGLISH)
    page.reload()
    expect(page.locator("#vm-send")).to_have_text("提问")


def test_phone_shows_sources_below_and_nothing_overflows(open_page: Open) -> None:
    page = open_page(locale="zh-CN", viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    ask(page, CHINESE)
    talk, sources = page.locator("#vm-talk").bounding_box(), page.locator("#vm-sources").bounding_box()
    assert talk
    assert sources
    assert sources["y"] >= talk["y"] + talk["height"]
    page.locator(".vm-answer button.vm-mark").first.tap()
    expect(page.locator(".vm-page-text mark")).to_be_visible()
    page.locator(".vm-close").tap()
    page.get_by_role("tab", name="资料库").tap()
    page.locator(".vm-table").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_dark_mode_follows_the_system(open_page: Open) -> None:
    page = open_page(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 20, 23)"


def test_stop_ends_a_slow_answer_and_leaves_the_page_usable(open_page: Open, model_app: App) -> None:
    page = open_page(model_app.url)
    page.fill("#vm-question textarea", "Tell me slowly about the contraindications of Zolvarin")
    page.click("#vm-send")
    expect(page.locator(".vm-text")).to_contain_text("Drip drip")
    page.click("#vm-stop")
    expect(page.locator(".vm-stopped")).to_contain_text("incomplete")
    page.wait_for_timeout(1500)  # one last piece may have been on its way when the button was pressed
    length = len(page.locator(".vm-stopped").inner_text())
    page.wait_for_timeout(1500)
    assert len(page.locator(".vm-stopped").inner_text()) == length
    expect(page.locator("#vm-send")).to_be_visible()
    expect(page.locator("#vm-stop")).to_be_hidden()
    ask(page, ENGLISH)
    expect(page.locator(".vm-answer").last).to_contain_text("severe renal impairment")


def test_model_that_is_down_is_said_and_the_documents_answer(open_page: Open, model_app: App) -> None:
    page = open_page(model_app.url)
    ask(page, ENGLISH)
    answer = page.locator(".vm-answer").last
    expect(answer.locator(".vm-notice")).to_contain_text("Please note")
    expect(answer).to_contain_text("severe renal impairment")
    assert answer.locator("button.vm-mark").count() > 0


def test_what_a_model_writes_is_text(open_page: Open, model_app: App) -> None:
    page = open_page(model_app.url)
    ask(page, "What hostile things are known of Zolvarin?")
    answer = page.locator(".vm-answer").last
    expect(answer).to_contain_text("<script>")
    expect(answer).to_contain_text("![x](http://outside.example/x.png)")
    assert answer.locator("img, script, a, math, iframe").count() == 0
    assert page.title() != "hacked"


def test_marks_open_their_passage_while_the_answer_streams(open_page: Open, model_app: App) -> None:
    page = open_page(model_app.url)
    page.fill("#vm-question textarea", "Tell me slowly about the contraindications of Zolvarin")
    page.click("#vm-send")
    mark = page.locator('.vm-answer[aria-busy="true"] button.vm-mark').first
    mark.click()
    expect(page.locator(".vm-page-image")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#vm-sources .vm-card").first).to_contain_text("Zolvarin handbook")
    page.click("#vm-stop")
    expect(page.locator(".vm-stopped")).to_contain_text("incomplete")


def test_last_question_can_be_asked_again_and_changed(open_page: Open) -> None:
    page = open_page()
    ask(page, ENGLISH)
    ask(page, "Where are Zolvarin tablets stored?")
    page.locator("#vm-talk").get_by_role("button", name="Ask again").click()
    expect(page.locator(".vm-answer").last).to_contain_text("Store the tablets")
    expect(page.locator(".vm-exchange")).to_have_count(2)
    page.locator("#vm-talk").get_by_role("button", name="Edit question").click()
    expect(page.locator("#vm-question textarea")).to_have_value("Where are Zolvarin tablets stored?")
    expect(page.locator("#vm-hint")).to_contain_text("replaced")
    page.fill("#vm-question textarea", "What is Zolvarin indicated for?")
    page.click("#vm-send")
    expect(page.locator(".vm-answer").last).to_contain_text("chronic blue fever")
    expect(page.locator(".vm-question")).to_have_count(2)
    expect(page.locator("#vm-past .vm-question")).to_contain_text(ENGLISH)
    page.locator("#vm-past").get_by_role("button", name="Show sources").click()
    expect(page.locator("#vm-sources h2")).to_contain_text("Sources of “What are the contra")
    expect(page.locator("#vm-sources h2")).to_be_focused()


def test_copied_answer_carries_its_references(open_page: Open) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    ask(page, ENGLISH)
    page.get_by_role("button", name="Copy with references").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(ENGLISH)
    assert "References\n[" in copied
    assert "Zolvarin handbook" in copied
    assert "page 2" in copied


def test_viewer_zooms_goes_to_a_page_and_opens_the_pdf_there(open_page: Open) -> None:
    page = open_page()
    ask(page, ENGLISH)
    page.locator(".vm-answer button.vm-mark").first.click()
    _viewer_shows(page, "Page 2 of 3")
    width = page.locator(".vm-page-image").bounding_box()
    page.keyboard.press("+")
    wider = page.locator(".vm-page-image").bounding_box()
    assert width
    assert wider
    assert wider["width"] > 1.4 * width["width"]
    page.keyboard.press("0")
    page.fill(".vm-number", "3")
    page.keyboard.press("Enter")
    _viewer_shows(page, "Page 3 of 3")
    link = page.get_by_role("link", name="Open the PDF at this page")
    href = str(link.get_attribute("href"))
    assert href.endswith("#page=3")
    answer = page.request.get(page.url + href)
    assert answer.body().startswith(b"%PDF")
    assert answer.headers["content-disposition"].startswith("inline")


def test_passages_stand_beside_the_page_and_outline_their_lines(open_page: Open) -> None:
    page = open_page()
    ask(page, ENGLISH)
    page.locator(".vm-answer button.vm-mark").first.click()
    _viewer_shows(page, "Page 2 of 3")
    page.keyboard.press("p")
    passage = page.locator(".vm-passage").first
    expect(passage).to_contain_text("contraindicated")
    passage.focus()
    outline = page.locator(".vm-outline").first
    expect(outline).to_be_visible()
    box, image = outline.bounding_box(), page.locator(".vm-page-image").bounding_box()
    assert box
    assert image
    assert image["x"] <= box["x"] <= box["x"] + box["width"] <= image["x"] + image["width"]
    page.keyboard.press("p")
    expect(page.locator(".vm-outline")).to_have_count(0)


def test_shortcuts_are_told_and_work(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("Go to the question box")
    page.keyboard.press("Escape")
    ask(page, ENGLISH)
    page.locator(".vm-answer button.vm-mark").first.focus()
    page.keyboard.press("Alt+q")
    expect(page.locator("#vm-question textarea")).to_be_focused()
    page.keyboard.press("Alt+n")
    expect(page.locator(".vm-empty")).to_be_visible()


def test_conversations_are_kept_found_renamed_and_deleted(open_page: Open) -> None:
    before = open_page()
    before.get_by_role("tab", name="Library").click()
    before.locator(".vm-row-button", has_text="Zolvarin handbook").click()
    before.get_by_role("button", name="Ask about this document").click()
    expect(before.locator("#vm-scope-document")).to_contain_text("“Zolvarin handbook” alone")
    ask(before, "Where are Zolvarin tablets stored?")
    before.get_by_role("button", name="Ask all documents").click()
    expect(before.locator("#vm-scope > button")).to_contain_text("all documents")
    page = open_page()
    page.click("#vm-conversations")
    entry = page.locator("#vm-past-list li", has_text="Where are Zolvarin tablets stored?").first
    entry.locator(".vm-row-button").click()
    expect(page.locator(".vm-answer").last).to_contain_text("Store the tablets")
    expect(page.locator(".vm-asked-of")).to_have_text("Search in: Zolvarin handbook")
    expect(page.locator("#vm-sources .vm-card").first).to_contain_text("Zolvarin handbook")
    ask(page, ENGLISH)
    expect(page.locator(".vm-exchange")).to_have_count(2)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download as Markdown").click()
    text = saved.value.path().read_text("utf-8")
    assert "### References" in text
    assert "page 2" in text
    entry.get_by_role("button", name="Rename").click()
    page.fill("#vm-past-title input, #vm-past-title textarea", "Storage <b>of</b> tablets")
    page.click("#vm-past-save")
    renamed = page.locator("#vm-past-list li", has_text="Storage <b>of</b> tablets")
    renamed.get_by_role("button", name="Delete").click()
    renamed.get_by_role("button", name="Keep").click()
    expect(renamed.get_by_role("button", name="Yes, delete")).to_be_hidden()
    renamed.get_by_role("button", name="Delete").click()
    renamed.get_by_role("button", name="Yes, delete").click()
    expect(renamed).to_have_count(0)
    expect(page.locator(".vm-empty")).to_be_visible()


def test_answer_is_judged_and_corrected(open_page: Open, app: App) -> None:
    page = open_page()
    ask(page, ENGLISH)
    page.get_by_role("button", name="Wrong", exact=True).click()
    page.fill("#vm-correction textarea", "<img src=x onerror=alert(1)> below 45 mL, not 30")
    page.click("#vm-correct")
    expect(page.locator("#vm-hint")).to_contain_text("for review")
    expect(page.get_by_role("button", name="Wrong", exact=True)).to_have_attribute("aria-pressed", "true")
    with KnowledgeBase.open(Settings(home=app.home)) as kb:
        (noted,) = Conversations(kb.store).pending_feedback(SINGLE)
    assert (noted.verdict, noted.exchange.question) == ("wrong", ENGLISH)
    assert noted.correction.endswith("below 45 mL, not 30")
    assert noted.exchange.answer is not None
    assert noted.exchange.answer.citations
