"""Fixtures shared by all rooms: a home in a temporary folder, and small documents to put in it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from kb.store import Store
from kb.terms import language_of
from kb.types import Chunk, Document, Span

os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser journeys come last: Playwright leaves an event loop running, beside which `asyncio.run` fails."""
    items.sort(key=lambda item: "browser" in item.path.parts)


Adder = Callable[[Store, str, Sequence[str]], Document]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty catalog in its own home."""
    opened = Store(tmp_path)
    yield opened
    opened.close()


def chunk_of(document: str, position: int, text: str, heading: str = "") -> Chunk:
    """A one-span chunk on page `position + 1`."""
    digest = hashlib.sha256(f"{document}\0{position}\0{text}".encode()).hexdigest()
    box = (72.0, 700.0, 300.0, 712.0)
    spans = (Span(0, len(text), position + 1, (box,)),)
    return Chunk(digest[:20], document, position, text, heading, spans, language_of(text), len(text) // 4 + 1)


def document_of(name: str) -> Document:
    """A document row of that file name, state 'reading'."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Document(
        id=digest[:16],
        sha256=digest,
        file=name,
        title=name.rpartition(".")[0] or name,
        kind="text",
        bytes=len(name),
        state="reading",
        added="2026-01-01T00:00:00+00:00",
    )


@pytest.fixture
def add() -> Adder:
    """Put a ready document of these chunk texts into a store."""

    def put(store: Store, name: str, texts: Sequence[str]) -> Document:
        document = document_of(name)
        store.start_document(document)
        store.finish_document(document, [chunk_of(document.id, i, text) for i, text in enumerate(texts)])
        found = store.document(document.id)
        assert found is not None
        return found

    return put
