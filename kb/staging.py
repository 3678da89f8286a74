"""Documents cut anew beside their live chunks, and the switch of all of them in one transaction.

The live index goes on answering: what it names stays to be looked up (past_chunks) until a later switch. Whatever
breaks off before the switch leaves the live chunks as they are, and is gone on from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import sqlalchemy as sa

from kb import makings
from kb.rows import chunk_of, chunk_row, page_row
from kb.schema import chunks, documents, pages, past_chunks, staged, staged_chunks, vectors
from kb.store import Guard, Store, bump
from kb.types import READ_STATES, Chunk, Document, Language, Making, Page

_BATCH = 500  # rows at a time
_COLUMNS = [column.name for column in staged_chunks.columns if column.name != "vector"]


def begin(store: Store, cutter: str) -> set[str]:
    """Ids of what is staged for this cutter; what was staged for another is dropped."""
    with store.writing() as connection:
        other = sa.select(staged.c.document).where(staged.c.cutter != cutter)
        connection.execute(sa.delete(staged_chunks).where(staged_chunks.c.document.in_(other)))
        connection.execute(sa.delete(staged).where(staged.c.cutter != cutter))
        return set(connection.execute(sa.select(staged.c.document)).scalars())


def stage(
    store: Store,
    document: str,
    cutter: str,
    batches: Iterable[Sequence[Chunk]],
    left_out: Callable[[], Mapping[int, str]],
    embedder: str,
    *,
    guard: Guard | None = None,
) -> None:
    """Put chunks beside the live ones, batch by batch; `left_out` tells of the pages without any, once all have come.

    Those that say the same under the same heading take over their vectors. Where all are the live ones again, and none
    of these is without a vector that another embedder gave it, nothing is staged: they are what this cutter gives, too.
    """
    with store.reading() as connection:
        known = _vector_numbers(connection, document, embedder)
    seen = hashlib.sha256()
    mine = staged_chunks.c.document == document
    with store.writing(guard) as connection:
        connection.execute(sa.delete(staged_chunks).where(mine))  # those of a try that broke off
    for batch in batches:
        for chunk in batch:
            seen.update(_told(chunk.id, chunk.heading, chunk.tokens))
        with store.writing(guard) as connection:
            if not _is_there(connection, document):
                return  # removed meanwhile
            taken = _taken_over(connection, batch, known, embedder)
            rows = [chunk_row(chunk) | {"vector": taken.get(chunk.id)} for chunk in batch]
            connection.execute(sa.insert(staged_chunks), rows)
    same = seen.digest() == _live_digest(store, document) and not _wants_vectors(store, document, embedder)
    with store.writing(guard) as connection:
        if not _is_there(connection, document):
            return
        if same:
            connection.execute(sa.delete(staged_chunks).where(mine))
            makings.note_cutter(connection, document, cutter, left_out())
            return
        row = {"document": document, "cutter": cutter, "left_out": json.dumps(list(left_out().items()))}
        connection.execute(sa.insert(staged).prefix_with("OR REPLACE"), row)


def _is_there(connection: sa.Connection, document: str) -> bool:
    return connection.execute(sa.select(documents.c.id).where(documents.c.id == document)).first() is not None


def _key(chunk: Any) -> bytes:
    """What a chunk, or the row of one, says and under which heading, in few bytes."""
    return hashlib.blake2b(f"{chunk.heading}\0{chunk.text}".encode(), digest_size=16).digest()


def _vector_numbers(connection: sa.Connection, document: str, embedder: str) -> dict[bytes, int]:
    """The number of a live chunk that has a vector, by what it says."""
    query = (
        sa.select(chunks.c.number, chunks.c.heading, chunks.c.text)
        .join(vectors, vectors.c.chunk == chunks.c.number)
        .where(chunks.c.document == document, vectors.c.embedder == embedder)
    )
    return {_key(row): row.number for row in connection.execute(query.execution_options(yield_per=_BATCH))}


def _taken_over(
    connection: sa.Connection, new: Iterable[Chunk], known: Mapping[bytes, int], embedder: str
) -> dict[str, bytes]:
    """The vectors, by chunk id, of those that say what a live chunk says under the same heading."""
    found: dict[str, bytes] = {}
    saying = iter([(chunk.id, known[key]) for chunk in new if (key := _key(chunk)) in known])
    query = sa.select(vectors.c.chunk, vectors.c.vector).where(vectors.c.embedder == embedder)
    while batch := list(islice(saying, _BATCH)):
        rows = connection.execute(query.where(vectors.c.chunk.in_([number for _, number in batch])))
        blobs = {row.chunk: row.vector for row in rows}
        found |= {id: blobs[number] for id, number in batch}
    return found


def _told(id: str, heading: str, tokens: int) -> bytes:
    return f"{id}\0{heading}\0{tokens}\0".encode()


def _live_digest(store: Store, document: str) -> bytes:
    """Of the live chunks' ids (of their words and places), headings and lengths."""
    seen = hashlib.sha256()
    query = sa.select(chunks.c.id, chunks.c.heading, chunks.c.tokens).where(chunks.c.document == document)
    with store.reading() as connection:
        for row in connection.execution_options(yield_per=_BATCH).execute(query.order_by(chunks.c.position)):
            seen.update(_told(*row))
    return seen.digest()


def _wants_vectors(store: Store, document: str, embedder: str) -> bool:
    """Whether a live chunk lacks a vector of this embedder, and has one of another."""
    of_chunk = sa.select(vectors.c.chunk).where(vectors.c.chunk == chunks.c.number)
    has, had = of_chunk.where(vectors.c.embedder == embedder), of_chunk.where(vectors.c.embedder != embedder)
    wanting = sa.select(chunks.c.number).where(chunks.c.document == document, had.exists(), ~has.exists()).limit(1)
    with store.reading() as connection:
        return connection.execute(wanting).first() is not None


def pending(store: Store, languages: frozenset[Language] | None) -> list[str]:
    """Ids of the staged chunks that lack a vector they should have."""
    query = (
        sa.select(staged_chunks.c.id)
        .join(documents, documents.c.id == staged_chunks.c.document)
        .where(staged_chunks.c.vector.is_(None), documents.c.state.in_(("ready", "superseded")))
    )
    if languages is not None:
        query = query.where(staged_chunks.c.language.in_(sorted(languages)))
    with store.reading() as connection:
        return list(connection.execute(query.order_by(staged_chunks.c.document, staged_chunks.c.position)).scalars())


def staged_by_id(store: Store, ids: Collection[str]) -> dict[str, Chunk]:
    """The staged chunks of these ids (at most some hundreds)."""
    with store.reading() as connection:
        rows = connection.execute(sa.select(staged_chunks).where(staged_chunks.c.id.in_(sorted(ids))))
        return {row.id: chunk_of(row) for row in rows}


def add_vectors(store: Store, ids: Sequence[str], matrix: np.ndarray, *, guard: Guard | None = None) -> None:
    """File float32 rows (n, dimension) with staged chunks."""
    with store.writing(guard) as connection:
        blobs = (np.asarray(row, dtype="<f4").tobytes() for row in matrix)
        rows = [{"staged": id, "vector": blob} for id, blob in zip(ids, blobs, strict=True)]
        connection.execute(sa.update(staged_chunks).where(staged_chunks.c.id == sa.bindparam("staged")), rows)


def switch(store: Store, embedder: str, *, drop_past: bool, guard: Guard | None = None) -> int:
    """Make all that is staged live, in one transaction; returns how many documents that are.

    `drop_past`: no index generation names the chunks that the switch before this one replaced.
    """
    with store.writing(guard) as connection:
        if drop_past:
            connection.execute(sa.delete(past_chunks))
        ready = sa.select(staged).join(documents, documents.c.id == staged.c.document)
        rows = connection.execute(ready.where(documents.c.state.in_(READ_STATES))).all()
        for row in rows:
            _switch_one(connection, row, embedder)
        connection.execute(sa.delete(staged_chunks))
        connection.execute(sa.delete(staged))
        if rows:
            bump(connection)
        return len(rows)


def replace_document(
    store: Store,
    document: Document,
    read: Sequence[Page],
    new: Sequence[Chunk],
    making: Making,
    embedder: str,
    made: Mapping[str, bytes],
    *,
    guard: Guard | None = None,
) -> bool:
    """Put a second reading in place of the first, in one transaction. `made` are vectors by chunk id.

    What an admin has decided meanwhile (title, state, …) stays. False if the document was removed.
    """
    with store.writing(guard) as connection:
        now = connection.execute(sa.select(documents).where(documents.c.id == document.id)).one_or_none()
        if now is None or now.state not in READ_STATES:
            return False
        known = _vector_numbers(connection, document.id, embedder)
        vectors_by_id = {**_taken_over(connection, new, known, embedder), **made}
        _put_by(connection, document.id)
        connection.execute(sa.delete(pages).where(pages.c.document == document.id))
        connection.execute(sa.insert(pages), [page_row(document.id, page) for page in read])
        connection.execute(sa.insert(chunks), [chunk_row(chunk) for chunk in new])
        numbers = sa.select(chunks.c.id, chunks.c.number).where(chunks.c.document == document.id)
        by_id = {row.id: row.number for row in connection.execute(numbers)}
        rows = [
            {"embedder": embedder, "chunk": by_id[chunk.id], "vector": vector}
            for chunk in new
            if (vector := vectors_by_id.get(chunk.id))
        ]
        if rows:
            connection.execute(sa.insert(vectors), rows)
        read_anew = {name: getattr(document, name) for name in ("kind", "reason", "pages", "language")}
        changed = sa.update(documents).where(documents.c.id == document.id)
        connection.execute(changed.values(chunks=len(new), **read_anew))
        makings.note(connection, document.id, making)
        bump(connection)
        return True


def _switch_one(connection: sa.Connection, row: Any, embedder: str) -> None:
    _put_by(connection, row.document)
    mine = staged_chunks.c.document == row.document
    new = sa.select(*(staged_chunks.c[name] for name in _COLUMNS)).where(mine).order_by(staged_chunks.c.position)
    count = connection.execute(sa.insert(chunks).from_select(_COLUMNS, new)).rowcount
    made = (
        sa.select(sa.literal(embedder), chunks.c.number, staged_chunks.c.vector)
        .join(chunks, chunks.c.id == staged_chunks.c.id)
        .where(mine, staged_chunks.c.vector.is_not(None))
    )
    connection.execute(sa.insert(vectors).from_select(["embedder", "chunk", "vector"], made))
    connection.execute(sa.update(documents).where(documents.c.id == row.document).values(chunks=count))
    makings.note_cutter(connection, row.document, row.cutter, {int(n): why for n, why in json.loads(row.left_out)})


def _put_by(connection: sa.Connection, document: str) -> None:
    """Move a document's live chunks to the past ones."""
    names = ["number", *_COLUMNS]
    old = sa.select(*(chunks.c[name] for name in names)).where(chunks.c.document == document)
    connection.execute(sa.insert(past_chunks).from_select(names, old))
    connection.execute(sa.delete(chunks).where(chunks.c.document == document))
