"""Without these a document's script could run, a mark lead to the wrong page, a refusal be taken for an answer."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.access import SINGLE
from kb.conversations import Exchange as Record
from kb.conversations import Feedback
from kb.export import as_markdown
from kb.testing import make_hit
from kb.types import Answer, Citation, Conflict, Document, Hit, Language, Side, Statement
from tests.payloads import PAYLOADS
from ui.answer_view import Exchange, earlier, latest
from ui.evidence_view import evidence
from ui.library_view import ROWS, Listing, details, filters, table
from ui.markup import places, safe
from ui.numbering import in_order
from ui.review_view import feedback_view

HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>\"'>{{constructor}}${alert(1)}`$$x$$[a](http://x)\u202e"


class Tags(HTMLParser):
    """Collects element names, attributes and text, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def buttons(self) -> list[dict[str, str | None]]:
        """Those that open a page."""
        return [attributes for tag, attributes in self.tags if tag == "button" and "data-page" in attributes]


def conversation(exchanges: list[Exchange], language: Language) -> str:
    return earlier(exchanges, language) + latest(exchanges, language)


def cite(hit: Hit, n: int, quote: str, page: int = 1) -> Citation:
    document = hit.document
    return Citation(n, hit.chunk.id, document.id, document.file, document.title, page, quote, ((1, 2, 3, 4),))


def done(text: str, hits: tuple[Hit, ...], citations: tuple[Citation, ...], *, abstained: bool = False) -> Exchange:
    answer = Answer(text, citations, abstained, "extractive", hits)
    return Exchange("Why?", "done", text, hits=hits, answer=answer)


@given(st.text(max_size=80))
def test_safe_text_reads_the_same_and_holds_no_markup(text: str) -> None:
    seen = Tags(f"<p>{safe(text)}</p>")
    assert [tag for tag, _ in seen.tags] == ["p"]
    assert not set(safe(text)) & set("<>\"'`{}$\\")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_hostile_text_stays_text_in_every_place(language: str) -> None:
    hit = make_hit(HOSTILE, title=HOSTILE, heading=HOSTILE)
    spoken = "zh" if language == "zh" else "en"
    answered = replace(done(HOSTILE + "[1]", (hit,), (cite(hit, 1, HOSTILE),)), question=HOSTILE)
    failed = Exchange(HOSTILE, "failed", notice=HOSTILE)
    noticed = Exchange(HOSTILE, "writing", HOSTILE, notice=HOSTILE, hits=(hit,))
    document = replace(
        hit.document, reason=HOSTILE, edition=HOSTILE, issuer=HOSTILE, collection=HOSTILE, metadata={"author": HOSTILE}
    )
    pages = [
        conversation([answered, failed, noticed], spoken),
        evidence(answered, spoken),
        table([document], Listing(), "", None, spoken),
        filters([document], Listing(), spoken),
        details(document, [replace(document, id="newer", supersedes=document.id)], None, SINGLE, spoken),
    ]
    for html in pages:
        seen = Tags(html)
        assert not {tag for tag, _ in seen.tags} & {"img", "script", "a", "iframe", "svg", "style", "link"}
        assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
        assert "<script>alert(1)</script>" in seen.text
        assert "{{" not in html
        assert "${" not in html


def test_marks_become_buttons_that_name_their_page() -> None:
    first, second = make_hit("Alpha."), make_hit("Beta.", title="Other", position=1)
    html = conversation(
        [done("Alpha. [1] Beta. [2]", (first, second), (cite(first, 1, "Alpha."), cite(second, 2, "Beta.", 7)))], "en"
    )
    one, two = Tags(html).buttons()
    assert (one["data-document"], one["data-page"], one["data-boxes"]) == (first.document.id, "1", "1.0,2.0,3.0,4.0")
    assert (two["data-document"], two["data-page"]) == (second.document.id, "7")
    assert "Other" in str(two["aria-label"])


def test_marks_of_one_passage_open_the_line_they_follow() -> None:
    hit = make_hit("Alpha is one.\nBeta is two.")
    citations = (cite(hit, 1, "Alpha is one.", 3), cite(hit, 1, "Beta is two.", 4))
    quoted = Tags(conversation([done("Beta is two. [1] Alpha is one. [1]", (hit,), citations)], "en")).buttons()
    assert [button["data-page"] for button in quoted] == ["4", "3"]
    worded = Tags(conversation([done("First. [1] Second. [1]", (hit,), citations)], "en")).buttons()
    assert [button["data-page"] for button in worded] == ["3", "4"]


def test_marks_open_the_passage_while_the_answer_streams_and_nothing_if_there_is_none() -> None:
    hit = make_hit("Alpha.")
    assert Tags(conversation([done("Alpha. [9]", (hit,), ())], "en")).buttons() == []
    streaming = Exchange("Why?", "writing", "Alpha. [1]", hits=(hit,))
    assert [button["data-quote"] for button in Tags(conversation([streaming], "en")).buttons()] == ["Alpha."]
    ahead = Exchange("Why?", "writing", "Alpha. [2]", hits=(hit,))
    assert Tags(conversation([ahead], "en")).buttons() == []


def test_sources_name_edition_and_issue_date_and_show_what_is_cited_so_far() -> None:
    first, second = make_hit("Alpha."), make_hit("Beta.", position=1)
    first = replace(first, document=replace(first.document, edition="3rd", issued="2024-05"))
    streaming = Exchange("Why?", "writing", "Beta. [2] Alpha. [1", hits=(first, second))
    cards = evidence(streaming, "en").split('<details class="vm-found"')[0]
    assert "Beta." in cards
    assert "Alpha." not in cards
    finished = evidence(done("Alpha. [1]", (first, second), (cite(first, 1, "Alpha."),)), "en")
    assert "Edition 3rd · issued 2024-05" in finished
    assert "版次 3rd · 2024-05 发布" in evidence(done("Alpha. [1]", (first,), (cite(first, 1, "Alpha."),)), "zh")


def test_sources_are_numbered_as_they_come() -> None:
    """Lost: an answer whose first source is 8 and whose second is 7, as the search happened to place them."""
    hits = tuple(make_hit(f"Fact {n} of the matter.") for n in range(1, 9))
    text = "Fact 8 [8]. Fact 3 [3]. Fact 8 again [8]."
    citations = (cite(hits[2], 3, "Fact 3"), cite(hits[7], 8, "Fact 8"), cite(hits[7], 8, "of the matter"))
    side = Side(cite(hits[2], 3, "Fact 3"))
    conflict = Conflict("values", "They differ.", (side, Side(cite(hits[0], 0, "Fact 1"))))
    found = Answer(text, citations, False, "extractive", hits, conflicts=(conflict,))
    answer = in_order(found)
    assert answer.text == "Fact 8 [1]. Fact 3 [2]. Fact 8 again [1]."
    assert [(one.n, one.quote) for one in answer.citations] == [(1, "Fact 8"), (1, "of the matter"), (2, "Fact 3")]
    assert [one.citation.n for one in answer.conflicts[0].sides] == [2, 0]
    assert in_order(answer) == answer
    shown = evidence(Exchange("?", "done", answer.text, hits=hits, answer=answer), "en")
    assert re.findall(r'vm-mark">(\d+)</span>', shown) == [
        "1",
        "2",
        "2",
        "1",
    ]  # two cards; then, among all found, theirs
    streaming = Exchange("?", "writing", "Fact 8 [8]. Fact 3 [3].", hits=hits)
    assert re.findall(r'vm-mark"[^>]*>(\d+)</button>', latest([streaming], "en")) == ["1", "2"]


def test_feedback_counts_sources_as_whoever_gave_it_saw_them() -> None:
    """Lost: a reader writes that source 1 is out of date, and the reviewer sees an answer with an 8 alone."""
    answer = Answer("Fact [8].", (cite(make_hit("Fact."), 8, "Fact"),), False, "extractive", ())
    record = Record("e", "u", "c", "Why?", "2026-11-26", state="done", text=answer.text, answer=answer)
    given = Feedback("f", record, "u", "wrong", "Source 1 is old.", "2026-11-26")
    assert safe("Fact [1].") in feedback_view([given], "en")
    asked_by_a_program = replace(given, exchange=replace(record, via="api"))
    assert safe("Fact [8].") in feedback_view([asked_by_a_program], "en")


def test_copied_answer_carries_its_references() -> None:
    hit = make_hit("Alpha.", title="Handbook", heading="2 Doses")
    hit = replace(hit, document=replace(hit.document, edition="3rd", issued="2024-05"))
    html = conversation([done("Alpha. [1]", (hit,), (cite(hit, 1, "Alpha.", 7),))], "en")
    (copied,) = [a["data-copy"] for tag, a in Tags(html).tags if tag == "button" and "data-copy" in a]
    assert copied == (
        "Why?\n\nAlpha. [1]\n\nReferences\n[1] Handbook, edition 3rd, issued 2024-05, 2 Doses, page 7: “Alpha.”\n"
    )


def test_answer_abstention_failure_and_stop_look_different() -> None:
    hit = make_hit("Alpha.")
    looks = {
        "vm-done": done("Alpha. [1]", (hit,), (cite(hit, 1, "Alpha."),)),
        "vm-abstained": done("Not mentioned.", (hit,), (), abstained=True),
        "vm-failed": Exchange("Why?", "failed", notice="The disk is full."),
        "vm-stopped": Exchange("Why?", "stopped", "Alph", hits=(hit,)),
    }
    for look, exchange in looks.items():
        html = conversation([exchange], "en")
        assert [other for other in looks if f'vm-answer {other}"' in html] == [look]
    assert "<details" in evidence(looks["vm-abstained"], "en")
    assert 'vm-found" open' in evidence(looks["vm-abstained"], "en")
    assert 'vm-found" open' not in evidence(looks["vm-done"], "en")


def test_what_was_withheld_and_where_sources_disagree_is_told_beside_the_answer() -> None:
    hit = make_hit("Zolvarin: at most 10 mg a day.")
    item = done("At most 10 mg a day. [1] […]", (hit,), (cite(hit, 1, "Zolvarin: at most 10 mg a day."),))
    assert item.answer is not None
    left_out = Statement(f"It may be doubled to 20 mg. {HOSTILE}", (1,), "unsupported", ("20 mg",), shown=False)
    sides = (
        Side(cite(hit, 1, "10 mg"), "3rd", "2024", ("10 mg",)),
        Side(replace(cite(hit, 0, "5 mg"), document="gone", title=HOSTILE), "", "2019", ("5 mg",)),
    )
    conflict = Conflict("values", f"The 2024 edition says 10 mg, the 2019 edition 5 mg. {HOSTILE}", sides)
    answer = replace(item.answer, statements=(left_out,), conflicts=(conflict,), searched_as=HOSTILE)
    seen = Tags(latest([replace(item, answer=answer)], "en"))
    assert not {tag for tag, _ in seen.tags} & {"img", "script", "a"}
    assert "Left out, because the cited passages do not bear it out: 1" in seen.text
    assert "Not in the passages: 20 mg" in seen.text
    assert "These sources disagree." in seen.text
    assert "2019 · 5 mg" in seen.text
    assert [button["data-page"] for button in seen.buttons()] == ["1", "1"]  # the mark, and the side that is here


def test_superseded_source_is_marked() -> None:
    hit = make_hit("Zolvarin: at most 10 mg a day.")
    hit = replace(hit, document=replace(hit.document, state="superseded"))
    item = done("At most 10 mg a day. [1]", (hit,), (cite(hit, 1, "Zolvarin: at most 10 mg a day."),))
    assert "Superseded by a newer edition" in Tags(evidence(item, "en")).text


def test_places_are_named_by_kind() -> None:
    assert places("en", "pdf", (3, 4, 5)) == "Pages 3–5"
    assert places("zh", "records", (7,)) == "第 7 条"
    assert places("en", "text", ()) == ""


def test_table_tells_what_is_searched_by_words_only(make: Document) -> None:
    html = details(make, [make], frozenset({"zh"}), SINGLE, "en")
    assert "by words" in html
    assert "3 of 5" in table([make], Listing(), "", frozenset({"en"}), "en")


@pytest.fixture
def make() -> Document:
    return replace(make_hit("x").document, pages=2, chunks=5, embedded=3, language="en")


def test_listing_finds_and_sorts(make: Document) -> None:
    old = replace(make, id="a", title="Beta", pages=9, issued="2001", added="2026-01-01", collection="Wards")
    new = replace(make, id="b", title="alpha", pages=2, issued="2024", added="2026-02-01", state="draft")
    documents = [new, old]
    assert Listing().of(documents) == [new, old]
    assert Listing(order="title").of(documents) == [new, old]
    assert Listing(order="title").sorted_by("title").of(documents) == [old, new]
    assert Listing(order="pages").of(documents) == [old, new]
    assert Listing(order="collection").of(documents) == [old, new]
    assert Listing(search="BET").of(documents) == [old]
    assert Listing(state="draft").of(documents) == [new]
    assert Listing(collection="Wards").of(documents) == [old]
    assert Listing(order="<nonsense>", state="").of(documents) == [new, old]
    assert 'aria-sort="ascending"' in table(documents, Listing(order="title"), "", None, "en")
    assert "No document matches" in table(documents, Listing(search="zzz"), "", None, "en")


def test_long_lists_come_in_parts(make: Document) -> None:
    documents = [replace(make, id=f"{n:016x}") for n in range(ROWS + 7)]
    html = table(documents, Listing(), "", None, "en")
    assert html.count("<tr") == ROWS + 1
    assert "Show 7 more" in html
    assert "Show" not in table(documents, Listing(rows=2 * ROWS), "", None, "en").split("</table>")[1]


def test_editions_lead_to_each_other(make: Document) -> None:
    older, newer = replace(make, id="1" * 16, title="First"), replace(make, id="2" * 16, supersedes="1" * 16)
    assert f'data-act="pick:{older.id}"' in details(newer, [older, newer], None, SINGLE, "en")
    superseded = details(replace(older, state="superseded"), [older, newer], None, SINGLE, "en")
    assert "Superseded by" in superseded
    assert f'data-act="pick:{newer.id}"' in superseded


@pytest.mark.parametrize("payload", PAYLOADS)
def test_exported_markdown_holds_no_live_markup(payload: str) -> None:
    hit = make_hit("x", title=payload)
    answer = Answer(payload, (cite(hit, 1, payload),), False, "m", (hit,))
    text = as_markdown(payload, [(payload, answer)], "en")
    bare = re.sub(r"\\.", "", text)
    assert not set(bare) & set("<>`[]!$|&")
    assert "://" not in text
