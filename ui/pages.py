"""Own routes beside Gradio: one page of a document as text, as an image or as its passages, and the original PDF.

A page is addressed by document id and physical page number; nothing here takes a path. The quote that is to be marked
comes in a POST body, so that it stays out of histories and logs. Everything is checked and answers 404 or 422.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from kb.access import Permission, require
from kb.errors import KBError, ReadError
from kb.page_image import PageImages
from kb.service import visible
from kb.store import Store
from kb.terms import storable
from kb.types import Box, Chunk, Document, Page

_MOST_PAGES = 1_000_000  # more than any document has; a larger number is no page, whatever SQLite makes of it
_ID = re.compile(r"[0-9a-f]{16}")
_BOXES_CHARS = 20_000
_PDF_HEADERS = {
    # The browser's own PDF viewer needs object-src; nothing in the file may load or run anything.
    "Content-Security-Policy": "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'; form-action 'none'",
    "Cache-Control": "private, no-store",
}
_NO_STORE = {"Cache-Control": "private, max-age=600", "X-Content-Type-Options": "nosniff"}


class Wanted(BaseModel):
    """What is to be marked on the page, if anything."""

    quote: str = Field("", max_length=4000)


class TextPart(BaseModel):
    """A run of the page's text; `marked` if it is the quote."""

    text: str
    marked: bool = False


class PageText(BaseModel):
    """A page as text, and what the viewer needs to show beside it. `width`, `height` in points, 0 without layout."""

    document: str
    title: str
    file: str
    kind: str
    page: int
    pages: int
    label: str = ""
    width: float = 0.0
    height: float = 0.0
    note: str = ""
    parts: list[TextPart]


class Passage(BaseModel):
    """A chunk that holds something of the page; `boxes` are its lines there, `pages` all it covers."""

    id: str
    position: int
    heading: str
    text: str
    tokens: int
    pages: tuple[int, ...]
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int


def page_routes(store: Store, images: PageImages) -> APIRouter:
    """The routes, for the app to mount."""
    router = APIRouter(include_in_schema=False)

    @router.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @router.post("/page/{document}/{page}")
    def page_text(request: Request, document: str, page: int, wanted: Wanted) -> PageText:
        found = _document(store, request, document)
        stored = store.page(found.id, page) if 0 < page <= _MOST_PAGES else None
        if stored is None:
            raise HTTPException(404, f"{found.file} has no page {page}.")
        return _page_text(found, stored, storable(wanted.quote))

    @router.get("/passages/{document}/{page}")
    def passages(request: Request, document: str, page: int) -> list[Passage]:
        found = _document(store, request, document)
        if not 0 < page <= _MOST_PAGES:
            raise HTTPException(404, f"{found.file} has no page {page}.")
        return [_passage(chunk, page) for chunk in store.chunks_on_page(found.id, page)]

    @router.get("/original/{document}")
    def original(request: Request, document: str) -> FileResponse:
        found = _document(store, request, document)
        if found.kind != "pdf":
            raise HTTPException(404, f"{found.file} is no PDF; its text is shown instead.")
        try:
            path = store.blob(found)
        except KBError as error:
            raise HTTPException(503, str(error)) from None
        return FileResponse(
            path,
            media_type="application/pdf",
            filename=found.file.rsplit("/", 1)[-1],
            content_disposition_type="inline",
            headers=_PDF_HEADERS,
        )

    @router.get("/page-image/{document}/{page}")
    def page_image(request: Request, document: str, page: int, boxes: str = "") -> Response:
        found = _document(store, request, document)
        try:
            image = images.page(found, page, parse_boxes(boxes))
        except ReadError as error:
            raise HTTPException(422, str(error)) from None
        except KBError as error:
            raise HTTPException(503, str(error)) from None
        return Response(image, media_type="image/jpeg", headers=_NO_STORE)

    return router


def parse_boxes(text: str) -> tuple[Box, ...]:
    """'x0,y0,x1,y1;…' → boxes. Raises ReadError if it is anything else."""
    if len(text) > _BOXES_CHARS:
        raise ReadError("Too many boxes for one page.")
    boxes: list[Box] = []
    for part in filter(None, text.split(";")):
        try:
            x0, y0, x1, y1 = map(float, part.split(","))
        except ValueError:
            raise ReadError("A box is four numbers: x0,y0,x1,y1 in points.") from None
        boxes.append((x0, y0, x1, y1))
    return tuple(boxes)


def mark_quote(text: str, quote: str) -> list[TextPart]:
    """Cut `text` so that the part that reads as `quote` is marked; white space and line-end hyphens do not count."""
    span = _find(text, quote)
    if span is None:
        return [TextPart(text=text)] if text else []
    parts = (TextPart(text=text[: span.start]), TextPart(text=text[span.start : span.end], marked=True))
    return [part for part in (*parts, TextPart(text=text[span.end :])) if part.text]


def _find(text: str, quote: str) -> _Span | None:
    letters = [(i, c) for i, c in enumerate(text) if not c.isspace() and c not in "-\u00ad"]
    wanted = "".join(c for c in quote if not c.isspace() and c not in "-\u00ad")
    if not wanted:
        return None
    at = "".join(c for _, c in letters).find(wanted)
    if at < 0:
        return None
    return _Span(letters[at][0], letters[at + len(wanted) - 1][0] + 1)


def _document(store: Store, request: Request, key: str) -> Document:
    principal = require(request.state.principal, Permission.READ)
    found = store.document(key) if _ID.fullmatch(key) else None
    if found is None or found.id != key or not visible(principal, found):
        raise HTTPException(404, "No such document in the library.")
    return found


def _passage(chunk: Chunk, page: int) -> Passage:
    return Passage(
        id=chunk.id,
        position=chunk.position,
        heading=chunk.heading,
        text=chunk.text,
        tokens=chunk.tokens,
        pages=chunk.pages,
        boxes=chunk.boxes_on(page),
    )


def _page_text(document: Document, page: Page, quote: str) -> PageText:
    return PageText(
        document=document.id,
        title=document.title,
        file=document.file,
        kind=document.kind,
        page=page.number,
        pages=document.pages,
        label=page.label,
        width=page.width,
        height=page.height,
        note=page.note,
        parts=mark_quote(page.text.replace("\t", "  "), quote),
    )
