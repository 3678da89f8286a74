"""Without these a citation would open the wrong page, or none, or let a request reach files that are no documents."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

import kb.page_image
from kb.accounts import Accounts
from kb.errors import ReadError
from kb.page_image import PageImages, draw_page
from kb.store import Store
from kb.types import Chunk, Document, Line, Page, Span
from tests.ingest.tiny_pdf import Sheet, Text, lines, pdf
from ui.door import Door
from ui.pages import mark_quote, page_routes, parse_boxes

BOX = (50.0, 540.0, 200.0, 560.0)


def put(store: Store, folder: Path, data: bytes, *, kind: str = "pdf", pages: tuple[Page, ...] = ()) -> Document:
    """A ready document with its original, without the ingest room."""
    sha256 = hashlib.sha256(data).hexdigest()
    path = folder / "file"
    path.write_bytes(data)
    made = Document(sha256[:16], sha256, f"a.{kind}", "Title", "pdf" if kind == "pdf" else "text", len(data), "reading")
    made = replace(made, pages=len(pages))
    store.put_blob(path, sha256)
    store.start_document(made)
    store.add_pages(made.id, pages)
    store.finish_document(made, [])
    return replace(made, state="ready")


@pytest.fixture
def document(store: Store, tmp_path: Path) -> Document:
    data = pdf([Sheet(lines(["First line", "Second line"])), Sheet(lines(["Other page"]))])
    pages = tuple(Page(n, (Line("First line", BOX),), 400, 600) for n in (1, 2))
    return put(store, tmp_path, data, pages=pages)


@pytest.fixture
def client(store: Store) -> TestClient:
    app = FastAPI()
    app.add_middleware(Door, accounts=Accounts(store), single=True)
    app.include_router(page_routes(store, PageImages(store)))
    return TestClient(app)


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def yellow(image: Image.Image, x: float, y: float) -> bool:
    """Whether the pixel at (x, y) in parts of width and height is highlighted paper."""
    red, green, blue = image.getpixel((int(x * image.width), int(y * image.height)))  # type: ignore[misc]
    return bool(red > 220 and green > 190 and blue < 140)


def test_highlight_lies_where_the_quoted_line_is(client: TestClient, document: Document) -> None:
    answer = client.get(f"/page-image/{document.id}/1", params={"boxes": "50,540,200,560"})
    assert answer.headers["content-type"] == "image/jpeg"
    image = picture(answer.content)
    assert yellow(image, 190 / 400, 1 - 545 / 600)
    assert not yellow(image, 300 / 400, 1 - 545 / 600)
    assert not yellow(image, 190 / 400, 0.5)


def test_original_opens_in_the_browser_and_may_load_nothing(client: TestClient, document: Document) -> None:
    answer = client.get(f"/original/{document.id}")
    assert answer.content.startswith(b"%PDF")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"].startswith("inline")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    part = client.get(f"/original/{document.id}", headers={"range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"%PDF")
    for wrong in (document.id[:8], "../../etc/passwd", "0" * 16, document.file, document.sha256):
        assert client.get(f"/original/{wrong}").status_code == 404


def test_passages_of_a_page_bring_their_lines(client: TestClient, store: Store, document: Document) -> None:
    chunk = Chunk("c1", document.id, 0, "First line", "1 Use", (Span(0, 10, 1, (BOX,)),), "en", 3)
    store.finish_document(replace(document, state="reading"), [chunk])
    (passage,) = client.get(f"/passages/{document.id}/1").json()
    assert (passage["text"], passage["heading"], passage["boxes"]) == ("First line", "1 Use", [list(BOX)])
    assert client.get(f"/passages/{document.id}/2").json() == []
    assert client.get(f"/passages/{document.id}/0").status_code == 404
    assert client.get(f"/passages/{'0' * 16}/1").status_code == 404


def test_highlight_follows_crop_box_and_rotation(tmp_path: Path) -> None:
    """Boxes are on the page as displayed, so a turned and cropped page needs no further thought."""
    path = tmp_path / "turned.pdf"
    path.write_bytes(pdf([Sheet([Text(150, 350, "here")], crop=(100, 100, 300, 400), rotate=90)]))
    image = picture(draw_page(path, 1, [(0, 0, 100, 50)]))
    assert image.width / image.height == pytest.approx(300 / 200, rel=0.01)
    assert yellow(image, 0.2, 0.9)
    assert not yellow(image, 0.2, 0.5)


def test_page_as_text_marks_the_quote(client: TestClient, document: Document) -> None:
    answer = client.post(f"/page/{document.id}/2", json={"quote": "First"}).json()
    assert answer["parts"] == [{"text": "First", "marked": True}, {"text": " line", "marked": False}]
    assert (answer["page"], answer["pages"], answer["title"], answer["height"]) == (2, 2, "Title", 600)


def test_quote_is_found_across_line_ends_and_hyphens() -> None:
    text = "Before. Adults with hyper-\ntension need\n care. After."
    parts = mark_quote(text, "Adults with hypertension need care.")
    assert [part.text for part in parts if part.marked] == ["Adults with hyper-\ntension need\n care."]
    assert "".join(part.text for part in parts) == text
    assert not any(part.marked for part in mark_quote("高血压", "低血压"))
    assert mark_quote("", "x") == []


@pytest.mark.parametrize("key", ["0" * 16, "../../etc/passwd", "a.pdf", "%2e%2e", "0123", "F" * 16])
def test_only_documents_of_the_library_are_shown(client: TestClient, document: Document, key: str) -> None:
    assert client.get(f"/page-image/{key}/1").status_code == 404
    assert client.post(f"/page/{key}/1", json={}).status_code == 404


def test_beginning_of_an_id_is_no_id(client: TestClient, document: Document) -> None:
    assert client.get(f"/page-image/{document.id[:8]}/1").status_code == 404


@pytest.mark.parametrize(
    "boxes", ["1,2,3", "a,b,c,d", "nan,0,1,1", "1e9,0,1,1", "inf,1,1,1", ";".join(["1,1,2,2"] * 401)]
)
def test_wrong_boxes_are_refused(client: TestClient, document: Document, boxes: str) -> None:
    assert client.get(f"/page-image/{document.id}/1", params={"boxes": boxes}).status_code == 422


@pytest.mark.parametrize("page", [0, -1, 3, 10**9])
def test_pages_that_are_not_there(client: TestClient, document: Document, page: int) -> None:
    assert client.get(f"/page-image/{document.id}/{page}").status_code == 422
    assert client.post(f"/page/{document.id}/{page}", json={}).status_code == 404


def test_huge_quote_is_refused(client: TestClient, document: Document) -> None:
    assert client.post(f"/page/{document.id}/1", json={"quote": "x" * 5000}).status_code == 422


def test_text_document_has_no_image(client: TestClient, store: Store, tmp_path: Path) -> None:
    text = put(store, tmp_path, b"hello", kind="txt", pages=(Page(1, (Line("hello"),)),))
    answer = client.get(f"/page-image/{text.id}/1")
    assert answer.status_code == 422
    assert "text is shown" in answer.json()["detail"]


def test_broken_pdf_gives_a_reason_and_leaves_the_app_alive(tmp_path: Path) -> None:
    path = tmp_path / "broken.pdf"
    path.write_bytes(b"%PDF-1.7\nnothing that a reader could use\n%%EOF")
    with pytest.raises(ReadError, match="cannot be drawn"):
        draw_page(path, 1)


def test_giant_page_stays_within_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "giant.pdf"
    path.write_bytes(pdf([Sheet([Text(10, 10, "x")], media=(0, 0, 300, 14000))]))
    image = picture(draw_page(path, 1))
    assert image.width * image.height <= 20_000_000


def test_page_turned_back_to_is_not_drawn_again(
    store: Store, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = PageImages(store)
    first = images.page(document, 1, [BOX])
    monkeypatch.setattr(kb.page_image, "draw_page", None)
    assert images.page(document, 1, [BOX]) == first


def test_boxes_are_read_as_written() -> None:
    assert parse_boxes("1,2,3,4;5.5,6,7,8") == ((1, 2, 3, 4), (5.5, 6, 7, 8))
    assert parse_boxes("") == ()
