"""The rows that say how a document's chunks were made, written and read within a transaction of the store."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from kb.schema import likenesses, makings, pages
from kb.types import Making, OutlineEntry


def note(connection: sa.Connection, document: str, making: Making) -> None:
    """Note how the chunks of `document` were made; what its pages were left out for; what it is like."""
    row: dict[str, object] = {
        "document": document,
        "cutter": making.cutter,
        "outline": _packed(making.outline),
        "text_hash": making.text_hash,
        "sketch": making.sketch,
    }
    connection.execute(sa.insert(makings).prefix_with("OR REPLACE"), row)
    _note_left_out(connection, document, making.left_out)
    for alike in making.alike:
        pair: dict[str, object] = {"document": document, "other": alike.document, "share": alike.share, "decision": ""}
        connection.execute(sa.insert(likenesses).prefix_with("OR IGNORE"), pair)


def note_cutter(connection: sa.Connection, document: str, cutter: str, left_out: Mapping[int, str]) -> None:
    """Note that the chunks of `document` are what this cutter gives; the rest of its making holds still."""
    _set(connection, document, cutter=cutter)
    _note_left_out(connection, document, left_out)


def _note_left_out(connection: sa.Connection, document: str, left_out: Mapping[int, str]) -> None:
    mine = sa.update(pages).where(pages.c.document == document)
    connection.execute(mine.where(pages.c.left_out != "").values(left_out=""))
    for number, why in left_out.items():
        connection.execute(mine.where(pages.c.number == number).values(left_out=why))


def note_sketch(connection: sa.Connection, document: str, text_hash: str, sketch: bytes) -> None:
    """Note the sketch of a document whose making is old or was not noted."""
    _set(connection, document, text_hash=text_hash, sketch=sketch)


def _set(connection: sa.Connection, document: str, **values: object) -> None:
    """Set columns of a document's row, which is made empty if it is not there."""
    row: dict[str, object] = {"document": document, "cutter": "", "outline": b"", "text_hash": "", "sketch": b""}
    connection.execute(sa.insert(makings).prefix_with("OR IGNORE"), row)
    connection.execute(sa.update(makings).where(makings.c.document == document).values(**values))


def read(connection: sa.Connection, document: str) -> Making | None:
    """How the chunks of `document` were made; None if that was not noted. Without `left_out` and `alike`."""
    row = connection.execute(sa.select(makings).where(makings.c.document == document)).one_or_none()
    if row is None:
        return None
    return Making(row.cutter, _unpacked(row.outline), text_hash=row.text_hash, sketch=row.sketch)


def _packed(outline: tuple[OutlineEntry, ...]) -> bytes:
    rows = [[entry.title, entry.level, entry.page] for entry in outline]
    return zlib.compress(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode())


def _unpacked(blob: bytes) -> tuple[OutlineEntry, ...]:
    rows: list[Any] = json.loads(zlib.decompress(blob)) if blob else []
    return tuple(OutlineEntry(title, level, page) for title, level, page in rows)
