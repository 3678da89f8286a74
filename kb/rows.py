"""How documents, pages and chunks are stored: each value to its row of the catalog and back.

Lines, spans and boxes are packed: compressed JSON, boxes to a hundredth of a point. What changes here changes what is
in every catalog: it needs a migration in kb/migrations.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa

from kb.schema import documents
from kb.types import Chunk, Document, DocumentKind, DocumentState, Language, Line, Page, PageSource, Span


def upsert_document(connection: sa.Connection, document: Document) -> None:
    """Write the document's row."""
    row = {column.name: getattr(document, column.name) for column in documents.columns if column.name != "metadata"}
    row["metadata"] = json.dumps(dict(document.metadata), ensure_ascii=False)
    update = {name: value for name, value in row.items() if name != "id"}
    if connection.execute(sa.select(documents.c.id).where(documents.c.id == document.id)).scalar() is None:
        connection.execute(sa.insert(documents), row)
    else:
        connection.execute(sa.update(documents).where(documents.c.id == document.id), update)


def document_of(row: Any, embedded: int = 0) -> Document:
    """The document that is stored so, `embedded` of its chunks having a vector."""
    return Document(
        id=row.id,
        sha256=row.sha256,
        file=row.file,
        title=row.title,
        kind=cast(DocumentKind, row.kind),
        bytes=row.bytes,
        state=cast(DocumentState, row.state),
        reason=row.reason,
        pages=row.pages,
        chunks=row.chunks,
        embedded=embedded,
        language=cast(Language, row.language),
        added=row.added,
        issuer=row.issuer,
        collection=row.collection,
        edition=row.edition,
        issued=row.issued,
        supersedes=row.supersedes,
        metadata=cast(Mapping[str, str], json.loads(row.metadata)),
    )


def page_of(row: Any) -> Page:
    """The page that is stored so."""
    return Page(
        number=row.number,
        lines=tuple(Line(text, box and tuple(box), size, *role) for text, box, size, *role in _unpack(row.lines)),
        width=row.width,
        height=row.height,
        label=row.label,
        reader=row.reader,
        note=row.note,
        source=cast(PageSource, row.source),
        confidence=row.confidence,
        tables=row.tables,
        rotated=row.rotated,
        garbled=bool(row.garbled),
    )


def page_row(document: str, page: Page) -> dict[str, object]:
    """A page as it is stored."""
    return {
        "document": document,
        "number": page.number,
        "label": page.label,
        "width": page.width,
        "height": page.height,
        "reader": page.reader,
        "note": page.note,
        "lines": _pack([_line_row(line) for line in page.lines]),
        "source": page.source,
        "confidence": page.confidence,
        "tables": page.tables,
        "rotated": page.rotated,
        "garbled": page.garbled,
    }


def _line_row(line: Line) -> list[object]:
    """A line as it is stored; most lines are plain text and need neither role nor weight."""
    row: list[object] = [line.text, line.box and _rounded(line.box), round(line.size, 2)]
    if line.bold:
        return [*row, line.role, True]
    return row if line.role == "text" else [*row, line.role]


def chunk_row(chunk: Chunk) -> dict[str, object]:
    """A chunk as it is stored, but for its number."""
    spans = [[span.start, span.end, span.page, [_rounded(box) for box in span.boxes]] for span in chunk.spans]
    return {
        "id": chunk.id,
        "document": chunk.document,
        "position": chunk.position,
        "first_page": min(chunk.pages, default=0),
        "last_page": max(chunk.pages, default=0),
        "heading": chunk.heading,
        "text": chunk.text,
        "spans": _pack(spans),
        "language": chunk.language,
        "tokens": chunk.tokens,
    }


def chunk_of(row: Any) -> Chunk:
    """The chunk that is stored so."""
    return Chunk(
        id=row.id,
        document=row.document,
        position=row.position,
        text=row.text,
        heading=row.heading,
        spans=tuple(
            Span(start, end, page, tuple(tuple(box) for box in boxes)) for start, end, page, boxes in _unpack(row.spans)
        ),
        language=cast(Language, row.language),
        tokens=row.tokens,
    )


def _rounded(box: Sequence[float]) -> list[float]:
    return [round(value, 2) for value in box]


def _pack(value: object) -> bytes:
    return zlib.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), 3)


def _unpack(blob: bytes) -> Any:
    return json.loads(zlib.decompress(blob))
