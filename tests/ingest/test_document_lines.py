"""Lines kept packed are the lines that went in; a book is cut the same however much of it is at hand."""

from __future__ import annotations

import tracemalloc

from ingest.chunk import chunk_pages
from ingest.clean import cleaned
from ingest.document_lines import DocumentLines, FlatLine
from kb.types import Line, Page
from tests.ingest.test_chunk import count

BOX = (10.0, 20.5, 300.25, 33.0)


def test_lines_of_a_long_document_come_back_as_they_went_in() -> None:
    """Otherwise a book's passages would hold other words, or be shown at the wrong place of a page."""
    lines = [
        FlatLine(
            f"行 {n}\tcell",
            n // 40 + 1,
            BOX if n % 3 else None,
            n / 7,
            BOX,
            "row" if n % 5 == 0 else "text",
            n % 2 == 0,
        )
        for n in range(9000)
    ]
    packed = DocumentLines(line for line in lines)
    assert list(packed) == lines == [packed[i] for i in range(len(packed))]
    assert (packed[8999], packed[-1], packed[3]) == (lines[8999], lines[-1], lines[3])
    assert packed[100:700] == lines[100:700]
    assert packed[8990:10_000] == lines[8990:]
    assert packed[5:5] == []


def test_a_book_without_headings_is_cut_part_by_part_and_nothing_of_it_is_lost() -> None:
    """A part ends in the middle of what would be one section: its border must neither eat nor repeat a sentence."""
    said = [f"Sentence number {n} of the long book says something of its own." for n in range(6000)]
    pages = [Page(at // 40 + 1, tuple(Line(text) for text in said[at : at + 40])) for at in range(0, len(said), 40)]
    chunks = list(chunk_pages("d", pages, count_tokens=count, max_tokens=120, kind="text"))
    assert " ".join(chunk.text.replace("\n", " ") for chunk in chunks) == " ".join(said)
    assert [number for chunk in chunks for number in chunk.pages] == sorted(n for c in chunks for n in c.pages)
    assert {span.page for chunk in chunks for span in chunk.spans} == {page.number for page in pages}
    assert max(chunk.tokens for chunk in chunks) <= 126


def sheet(number: int) -> Page:
    """A page of a book with a running header and a chapter every ten pages."""
    body = [
        Line(f"Dose {number}.{n} of this drug is given once a day.", (60, 700 - 20 * n, 400, 710 - 20 * n), 10.0)
        for n in range(30)
    ]
    header = Line("Handbook of everything", (60, 780, 200, 790), 9.0)
    chapter = [Line(f"Chapter {number // 10 + 1}", (60, 730, 200, 746), 16.0)] if number % 10 == 1 else []
    return Page(number, (header, *chapter, *body), 595.0, 842.0)


def test_cutting_a_book_takes_little_more_memory_than_a_leaflet() -> None:
    """A ward's machine must not run out of memory in a book of 5,000 pages: what is kept of each stays packed."""

    pages = 300
    tracemalloc.start()
    cut = sum(1 for _ in chunk_pages("d", cleaned(map(sheet, range(pages))), count_tokens=count, max_tokens=150))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert cut > pages
    assert peak < 7_000_000  # bytes: 5.3 million, for 800 pages as for 400; 8.6 million when all lines were held
