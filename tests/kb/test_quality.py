"""Without these a page that was lost in reading is never noticed: it is simply not found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kb.access import SINGLE, Principal
from kb.errors import AccessDenied
from kb.quality import read_quality
from kb.store import Store
from kb.types import Line, Making, Page
from tests.conftest import chunk_of, document_of


@pytest.fixture
def scanned(store: Store) -> str:
    """Twelve pages: 1–9 give one chunk each; 10 is blank, 11 a printed contents, 12 an image that was not read."""
    document = document_of("book.pdf")
    lines = (Line("text of a page"),)
    pages: list[Page] = [Page(number, lines, tables=number == 2) for number in range(1, 8)]
    pages += [Page(8, lines, source="ocr", confidence=0.93), Page(9, lines, source="ocr", confidence=0.6, garbled=True)]
    pages += [Page(10, (), note="no text"), Page(11, lines), Page(12, (), note="recognition took too long")]
    store.start_document(document)
    store.add_pages(document.id, pages)
    chunks = [chunk_of(document.id, position, f"text {position}") for position in range(9)]
    making = Making("1", left_out={11: "a printed table of contents"})
    store.finish_document(document, chunks, making=making)
    return document.id


def numbers(pages: Sequence[int]) -> list[int]:
    return list(pages)


def test_every_page_is_accounted_for(store: Store, scanned: str) -> None:
    document = store.document(scanned)
    assert document
    quality = read_quality(store, document)
    assert [page.number for page in quality.pages] == list(range(1, 13))
    assert {page.number: page.dropped for page in quality.dropped} == {
        10: "no text",
        11: "a printed table of contents",
        12: "recognition took too long",
    }
    assert all(page.chunks == 1 for page in quality.pages if not page.dropped)
    assert numbers(quality.empty) == [10, 12]
    assert numbers(quality.recognised) == [8, 9]
    assert numbers(quality.unsure) == [9]
    assert numbers(quality.garbled) == [9]
    assert numbers(quality.with_tables) == [2]
    assert quality.confidence == pytest.approx(0.765)
    assert quality.chunks_per_page == 1.0


def test_samples_hold_the_least_sure_page(store: Store, scanned: str) -> None:
    document = store.document(scanned)
    assert document
    samples = read_quality(store, document).samples
    assert 9 in {sample.page for sample in samples}
    assert all(sample.page in sample.chunk.pages for sample in samples)


def test_only_those_who_publish_see_it(tmp_path: Path, scanned: str, store: Store) -> None:
    from kb.knowledge_base import KnowledgeBase
    from kb.service import Service
    from kb.settings import Settings

    store.close()
    with KnowledgeBase.open(Settings(home=tmp_path)) as kb:
        service = Service(kb)
        assert service.read_quality(SINGLE, scanned).dropped
        with pytest.raises(AccessDenied):
            service.read_quality(Principal("li", "Li", "reader"), scanned)
