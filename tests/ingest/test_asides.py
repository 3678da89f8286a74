"""What stands beside the text of a page: watermarks and print along the edge go, footnotes are kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ingest.chunk import chunk_pages
from ingest.clean import clean_pages
from ingest.read import ReadLimits, read
from kb.types import Page
from tests.ingest.tiny_pdf import Sheet, Text, lines, pdf
from tests.ingest.tiny_pdf import _shown as shown


def pages_of(tmp_path: Path, *sheets: Sheet) -> list[Page]:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(sheets))
    return [event for event in read(path, ReadLimits()) if isinstance(event, Page)]


def count(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


TURNED = b"BT /F1 %d Tf %s Tm (%s) Tj ET\n"


def body(page: int) -> list[Text]:
    return lines([f"Sentence {n} of page {page} says what the dose is" for n in range(20)], top=500)


def with_drawn(texts: Sequence[Text], *drawn: bytes) -> Sheet:
    return Sheet(content=b"\n".join([*map(shown, texts), *drawn]))


def test_a_watermark_and_print_along_the_edge_are_no_text(tmp_path: Path) -> None:
    """'DRAFT' in the middle of a sentence would be quoted with it."""
    mark = TURNED % (60, b".7 .7 -.7 .7 80 150", b"DRAFT COPY")
    edge = TURNED % (7, b"0 1 -1 0 20 200", b"Downloaded from a journal on 5 May")
    for page in clean_pages(pages_of(tmp_path, *(with_drawn(body(n), mark, edge) for n in range(4)))):
        assert [line.text for line in page.lines] == [text.text for text in body(page.number - 1)]


def test_text_that_runs_up_the_page_is_kept(tmp_path: Path) -> None:
    upright = TURNED % (9, b"0 1 -1 0 200 60", b"Table 4 lies on its side")
    page = clean_pages(pages_of(tmp_path, with_drawn(body(0), upright)))[0]
    assert "Table 4 lies on its side" in [line.text for line in page.lines]


def footnoted(page: int) -> Sheet:
    """Its last sentence goes on overleaf; a footnote stands between."""
    marked = (
        b"BT /F1 10 Tf 1 0 0 1 50 230 Tm (Take it with food) Tj /F1 6 Tf 4 Ts (1) Tj 0 Ts /F1 10 Tf ( unless the) Tj ET"
    )
    note = b"BT 1 0 0 1 50 60 Tm /F1 5 Tf 3 Ts (1) Tj 0 Ts /F1 7 Tf ( Not with milk, which holds the drug back.) Tj ET"
    texts = [Text(50, 550, "patient says no."), Text(50, 520, f"Page {page} has text of its own.")] if page else []
    plain = lines([f"Line {n} of page {page}." for n in range(12)], top=500)
    return with_drawn([*texts, *plain], marked, note)


def test_a_footnote_does_not_part_a_sentence_that_goes_on_overleaf(tmp_path: Path) -> None:
    """'unless the / patient says no' read with a note between them forbids what the page allows."""
    pages = clean_pages(pages_of(tmp_path, footnoted(0), footnoted(1)))
    assert [line.role for line in pages[0].lines[-2:]] == ["text", "note"]
    chunks = list(chunk_pages("d", pages, count_tokens=count, max_tokens=1000))
    text = "\n".join(chunk.text for chunk in chunks)
    assert "Take it with food¹ unless the patient says no." in text
    assert "\n1 Not with milk, which holds the drug back." in text
    span = next(s for c in chunks for s in c.spans if c.text[s.start : s.end].startswith("1 Not"))
    assert span.page == 1
    assert span.boxes[0][1] < 70


def test_small_print_without_a_mark_in_the_text_is_no_footnote(tmp_path: Path) -> None:
    small = [Text(50, 60, "* Another thing altogether", 7)]
    page = clean_pages(pages_of(tmp_path, Sheet([*body(0), *small])))[0]
    assert {line.role for line in page.lines} == {"text"}
