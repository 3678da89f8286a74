"""The catalog: documents, pages, chunks and vectors in one SQLite file, the originals beside it in blobs/.

The only truth in Vademecum; every index is derived from it. Each public method is one short transaction, safe from
any thread, and returns only after it is durable (WAL, synchronous=FULL). How values are stored is in kb.rows, the
connection in kb.database.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa

from kb import makings
from kb.database import connect, told
from kb.errors import StoreError
from kb.home import CATALOG
from kb.rows import chunk_of, chunk_row, document_of, page_of, page_row, upsert_document
from kb.schema import HEAD, chunks, documents, meta, pages, past_chunks, vectors
from kb.types import (
    READ_STATES,
    Chunk,
    Document,
    DocumentState,
    Language,
    Making,
    Page,
    Scope,
)

Guard = Callable[[sa.Connection], None]
"""Raises, within a transaction, if what it would write must not count: see kb.jobs.Lease."""

_PUBLISHED = ("ready", "superseded")
_Key = TypeVar("_Key", int, str)
_BATCH = 500  # rows fetched or looked up at a time; SQLite allows 32,766 variables


class Store:
    """The catalog of one home. Opening it for writing applies the migrations it lacks."""

    def __init__(self, home: Path, *, read_only: bool = False) -> None:
        """Open `home`'s catalog.

        Raises StoreError if it was written by a newer version, is damaged, or (read only) needs a migration.
        """
        self.home = home
        self.read_only = read_only
        self._engine = connect(home / CATALOG, read_only=read_only)
        self._migrate()

    def close(self) -> None:
        """Close all connections. The store cannot be used afterwards."""
        self._engine.dispose()

    # -- documents -----------------------------------------------------------------------------------------------

    def documents(self, *, embedder: str = "") -> list[Document]:
        """All documents, newest first. `embedded` counts the vectors of `embedder`."""
        with self.reading() as connection:
            counts = _vector_counts(connection, embedder)
            rows = connection.execute(sa.select(documents).order_by(documents.c.added.desc(), documents.c.file)).all()
            return [document_of(row, counts.get(row.id, 0)) for row in rows]

    def document(self, key: str) -> Document | None:
        """The document with this id, unambiguous beginning of an id (6 characters or more), or file name."""
        with self.reading() as connection:
            row = connection.execute(sa.select(documents).where(documents.c.id == key)).one_or_none()
            if row is None:
                found = connection.execute(sa.select(documents).where(documents.c.file == key).limit(2)).all()
                if not found and len(key) >= 6:
                    prefix = documents.c.id.startswith(key, autoescape=True)
                    found = connection.execute(sa.select(documents).where(prefix).limit(2)).all()
                row = found[0] if len(found) == 1 else None
            return None if row is None else document_of(row)

    def start_document(self, document: Document) -> int:
        """Note that `document` is being read; returns how many of its pages an earlier, killed try left here."""
        with self.writing() as connection:
            known = connection.execute(sa.select(documents.c.state).where(documents.c.id == document.id)).scalar()
            if known in READ_STATES:
                raise StoreError(f"Document {document.id} ({document.file}) is already in the library.")
            upsert_document(connection, replace(document, state="reading", reason=""))
            count = sa.select(sa.func.count()).where(pages.c.document == document.id)
            return int(connection.execute(count).scalar_one())

    def add_pages(self, document: str, new: Sequence[Page], *, guard: Guard | None = None) -> None:
        """Store pages as read. A page that is there already is replaced. `guard` runs first, and may refuse."""
        rows = [page_row(document, page) for page in new]
        if rows:
            with self.writing(guard) as connection:
                connection.execute(sa.insert(pages).prefix_with("OR REPLACE"), rows)

    def drop_pages(self, document: str) -> None:
        """Forget the pages of a document that is to be read from its beginning again."""
        with self.writing() as connection:
            connection.execute(sa.delete(pages).where(pages.c.document == document))

    def pages(self, document: str) -> Iterator[Page]:
        """The stored pages in order."""
        query = sa.select(pages).where(pages.c.document == document).order_by(pages.c.number)
        with self.reading() as connection:
            for row in connection.execution_options(yield_per=_BATCH).execute(query):
                yield page_of(row)

    def page(self, document: str, number: int) -> Page | None:
        """One stored page; None if there is no such page."""
        query = sa.select(pages).where(pages.c.document == document, pages.c.number == number)
        with self.reading() as connection:
            row = connection.execute(query).one_or_none()
            return None if row is None else page_of(row)

    def pages_go_on(self, document: str, reader: str) -> bool:
        """Whether the stored pages are the first of the document, without a gap, all by this version of a reader."""
        mine = pages.c.document == document
        strange = mine & ~pages.c.reader.startswith(reader, autoescape=True)
        query = sa.select(sa.func.count(), sa.func.min(pages.c.number), sa.func.max(pages.c.number)).where(mine)
        with self.reading() as connection:
            count, first, last = connection.execute(query).one()
            unlike = connection.execute(sa.select(pages.c.number).where(strange).limit(1)).first()
        return first == 1 and last == count and unlike is None

    def add_chunks(self, new: Sequence[Chunk], *, guard: Guard | None = None) -> None:
        """Put in some chunks of a document that is being read; they are searched once it is finished."""
        if new:
            with self.writing(guard) as connection:
                connection.execute(sa.insert(chunks), [chunk_row(chunk) for chunk in new])

    def drop_chunks(self, document: str, *, guard: Guard | None = None) -> None:
        """Forget the chunks of a document that is to be cut from its beginning again."""
        with self.writing(guard) as connection:
            connection.execute(sa.delete(chunks).where(chunks.c.document == document))

    def finish_document(
        self,
        document: Document,
        new: Sequence[Chunk] | None = None,
        *,
        making: Making | None = None,
        guard: Guard | None = None,
    ) -> None:
        """Make a document that was read 'ready' (searchable) or a 'draft', in one transaction.

        `new` are its chunks; None: those that add_chunks put in, all `document.chunks` of them. The edition that a
        ready document supersedes leaves default search in the same transaction. `guard` runs first in it, and may
        refuse. Raises StoreError if the document was removed while it was read.
        """
        state: DocumentState = "draft" if document.state == "draft" else "ready"
        mine = chunks.c.document == document.id
        with self.writing(guard) as connection:
            if new is not None:
                connection.execute(sa.delete(chunks).where(mine))
            if new:
                connection.execute(sa.insert(chunks), [chunk_row(chunk) for chunk in new])
            count = connection.execute(sa.select(sa.func.count()).where(mine)).scalar_one()
            if new is None and count != document.chunks:
                raise StoreError(f"{document.file} was removed meanwhile.")
            upsert_document(connection, replace(document, state=state, chunks=count))
            if making:
                makings.note(connection, document.id, making)
            if state == "ready":
                _retire(connection, document.supersedes)
            bump(connection)

    def making(self, document: str) -> Making | None:
        """How its chunks were made (without left_out and alike); None if that was not noted."""
        with self.reading() as connection:
            return makings.read(connection, document)

    def change_document(self, document: str, *, record: Guard | None = None, **changes: str) -> Document:
        """Set columns of a document's row, e.g. its title or state. Raises StoreError if it is gone.

        A changed title is searched too, so the chunks get new numbers and the index takes them in anew. `record` runs
        in the same transaction.
        """
        with self.writing() as connection:
            row = connection.execute(sa.select(documents).where(documents.c.id == document)).one_or_none()
            if row is None:
                raise StoreError(f"Document {document} is no longer in the library.")
            connection.execute(sa.update(documents).where(documents.c.id == document).values(**changes))
            if "title" in changes and changes["title"] != row.title:
                _renumber(connection, document)
            bump(connection)
            if record:
                record(connection)
            return document_of(connection.execute(sa.select(documents).where(documents.c.id == document)).one())

    def set_states(self, states: Mapping[str, DocumentState], *, record: Guard | None = None) -> None:
        """Give these documents (by id) these states, all at once. `record` runs in the same transaction."""
        with self.writing() as connection:
            for document, state in states.items():
                connection.execute(sa.update(documents).where(documents.c.id == document).values(state=state))
            bump(connection)
            if record:
                record(connection)

    def fail_document(self, document: Document, *, guard: Guard | None = None) -> None:
        """Keep the row with its reason; drop what was read of it, and the original."""
        with self.writing(guard) as connection:
            connection.execute(sa.delete(pages).where(pages.c.document == document.id))
            connection.execute(sa.delete(chunks).where(chunks.c.document == document.id))
            upsert_document(connection, replace(document, state="failed", chunks=0))
            bump(connection)
        self._drop_blob(document.sha256)

    def remove_document(self, document: Document, *, record: Guard | None = None) -> None:
        """Take the document, its pages, chunks and vectors out, then its original.

        The edition it superseded is current again. `record` runs in the same transaction.
        """
        with self.writing() as connection:
            _restore(connection, document)
            connection.execute(sa.delete(documents).where(documents.c.id == document.id))
            bump(connection)
            if record:
                record(connection)
        self._drop_blob(document.sha256)

    # -- chunks --------------------------------------------------------------------------------------------------

    def chunks(self, document: str) -> list[Chunk]:
        """The document's chunks in reading order."""
        return self._chunks_of(document)

    def chunks_on_page(self, document: str, page: int) -> list[Chunk]:
        """The chunks that hold something of this page (or record), in reading order."""
        return self._chunks_of(document, chunks.c.first_page <= page, chunks.c.last_page >= page)

    def chunks_around(self, document: str, position: int) -> list[Chunk]:
        """The chunk at this position of the document, with the one before and the one after, as far as there are."""
        return self._chunks_of(document, chunks.c.position.between(position - 1, position + 1))

    def _chunks_of(self, document: str, *where: sa.ColumnElement[bool]) -> list[Chunk]:
        query = sa.select(chunks).where(chunks.c.document == document, *where).order_by(chunks.c.position)
        with self.reading() as connection:
            return [chunk_of(row) for row in connection.execute(query)]

    def chunk_numbers(self) -> np.ndarray:
        """Numbers of the chunks of published and superseded documents, ascending, int64 of shape (n,)."""
        return self._numbers(_published(sa.select(chunks.c.number)).order_by(chunks.c.number))

    def vector_numbers(self, embedder: str) -> np.ndarray:
        """Numbers of those chunks that have a vector of `embedder`, ascending, int64 of shape (n,)."""
        query = sa.select(chunks.c.number).join(vectors, vectors.c.chunk == chunks.c.number)
        query = _published(query).where(vectors.c.embedder == embedder)
        return self._numbers(query.order_by(chunks.c.number))

    def chunks_by_number(self, numbers: Iterable[int]) -> dict[int, Chunk]:
        """The chunks of these numbers; numbers that are gone are absent."""
        return self._chunks_by("number", list(map(int, numbers)))

    def chunks_by_id(self, ids: Iterable[str]) -> dict[str, Chunk]:
        """The chunks of these ids; ids that are gone are absent."""
        return self._chunks_by("id", sorted(set(ids)))

    def _chunks_by(self, name: str, wanted: Sequence[_Key]) -> dict[_Key, Chunk]:
        found: dict[_Key, Chunk] = {}
        with self.reading() as connection:
            for table in (chunks, past_chunks):  # an older index generation names what has been cut anew since
                missing = [key for key in wanted if key not in found]
                for start in range(0, len(missing), _BATCH):
                    query = sa.select(table).where(table.c[name].in_(missing[start : start + _BATCH]))
                    found.update((getattr(row, name), chunk_of(row)) for row in connection.execute(query))
        return found

    def documents_by_id(self, ids: Iterable[str]) -> dict[str, Document]:
        """The documents of these ids."""
        query = sa.select(documents).where(documents.c.id.in_(sorted(set(ids))))
        with self.reading() as connection:
            return {row.id: document_of(row) for row in connection.execute(query)}

    def in_scope(self, scope: Scope) -> frozenset[str]:
        """Ids of the documents that a search within `scope` may find."""
        rows = self.documents()
        superseded_by = {d.supersedes: d for d in rows if d.supersedes and d.state in _PUBLISHED}
        return frozenset(d.id for d in rows if _within(d, scope, superseded_by.get(d.id)))

    # -- vectors -------------------------------------------------------------------------------------------------

    def pending(self, embedder: str, languages: frozenset[Language] | None) -> np.ndarray:
        """Numbers of chunks, in a language the embedder knows, that lack its vector; int64, ascending."""
        mine = sa.select(vectors.c.chunk).where(vectors.c.embedder == embedder, vectors.c.chunk == chunks.c.number)
        query = _published(sa.select(chunks.c.number)).where(~mine.exists()).order_by(chunks.c.number)
        if languages is not None:
            query = query.where(chunks.c.language.in_(sorted(languages)))
        return self._numbers(query)

    def add_vectors(self, embedder: str, numbers: Sequence[int], matrix: np.ndarray) -> None:
        """File float32 rows of `matrix` (n, dimension) under chunk `numbers`; chunks removed meanwhile are left out."""
        with self.writing() as connection:
            alive = set(
                connection.execute(sa.select(chunks.c.number).where(chunks.c.number.in_(list(numbers)))).scalars()
            )
            rows = [
                {"embedder": embedder, "chunk": number, "vector": np.asarray(row, dtype="<f4").tobytes()}
                for number, row in zip(numbers, matrix, strict=True)
                if number in alive
            ]
            if rows:
                connection.execute(sa.insert(vectors).prefix_with("OR REPLACE"), rows)
                bump(connection)

    def vectors(self, embedder: str, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (m,) and float32 vectors (m, dimension) of those of `numbers` that have one."""
        found: list[int] = []
        rows: list[bytes] = []
        with self.reading() as connection:
            for start in range(0, len(numbers), _BATCH):
                part = [int(number) for number in numbers[start : start + _BATCH]]
                query = sa.select(vectors.c.chunk, vectors.c.vector).where(
                    vectors.c.embedder == embedder, vectors.c.chunk.in_(part)
                )
                for number, blob in connection.execute(query):
                    found.append(number)
                    rows.append(blob)
        if not rows:
            return np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.float32)
        matrix = np.frombuffer(b"".join(rows), dtype="<f4").reshape(len(rows), -1)
        return np.asarray(found, dtype=np.int64), matrix

    # -- bookkeeping ---------------------------------------------------------------------------------------------

    def revision(self) -> int:
        """Grows whenever what can be found changes. An index that notes it knows whether it is level."""
        with self.reading() as connection:
            value = connection.execute(sa.select(meta.c.value).where(meta.c.key == "revision")).scalar()
            return int(value or 0)

    def check(self) -> list[str]:
        """SQLite's own integrity check; empty when all is well."""
        with self.reading() as connection:
            lines = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check")]
            lines += [f"orphan row in {row[0]}" for row in connection.exec_driver_sql("PRAGMA foreign_key_check")]
        return [line for line in lines if line != "ok"]

    # -- originals -----------------------------------------------------------------------------------------------

    def put_blob(self, path: Path, sha256: str) -> Path:
        """Keep a copy of the original file, durably, under its hash."""
        target = self._blob_path(sha256)
        if target.exists():
            return target
        part = target.with_suffix(".part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as source, part.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
                sink.flush()
                os.fsync(sink.fileno())
            part.rename(target)
            os.utime(target)
            _sync_folder(target.parent)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise StoreError(_disk_reason(error, f"The original of {path.name} could not be kept")) from None
        return target

    def blob(self, document: Document) -> Path:
        """Where the original is. Raises StoreError if it is missing."""
        path = self._blob_path(document.sha256)
        if not path.is_file():
            raise StoreError(f"The original of {document.file} is missing from {path.parent}. Restore it from backup.")
        return path

    def has_blob(self, document: Document) -> bool:
        """Whether the original is there."""
        return self._blob_path(document.sha256).is_file()

    def sweep_blobs(self, *, keep: Collection[str], older_than_s: float) -> None:
        """Delete originals that no document has, that are not of these hashes, and that have lain for so long."""
        before = time.time() - older_than_s
        with self.reading() as connection:
            known = set(connection.execute(sa.select(documents.c.sha256)).scalars()) | set(keep)
        for path in (self.home / "blobs").glob("*/*"):
            if path.name not in known and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)

    def _blob_path(self, sha256: str) -> Path:
        return self.home / "blobs" / sha256[:2] / sha256

    def _drop_blob(self, sha256: str) -> None:
        self._blob_path(sha256).unlink(missing_ok=True)

    # -- transactions --------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for one short look. Rooms with tables of their own use it; raises StoreError."""
        with told("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, guard: Guard | None = None) -> Iterator[sa.Connection]:
        """One transaction, durable when the block ends without an error. Keep it short; raises StoreError.

        `guard` runs first in it, and may refuse.
        """
        with told("written"), self._engine.connect() as plain:
            connection = plain.execution_options(vademecum_write=True)
            with connection.begin():
                if guard:
                    guard(connection)
                yield connection

    def _numbers(self, query: sa.Select[Any]) -> np.ndarray:
        with self.reading() as connection:
            return np.fromiter(connection.execute(query).scalars(), dtype=np.int64)

    def _migrate(self) -> None:
        with self.reading() as connection:
            tables = sa.inspect(connection).get_table_names()
            query = "SELECT version_num FROM alembic_version"
            found = connection.exec_driver_sql(query).scalar() if "alembic_version" in tables else None
        if found == HEAD:
            return
        if found is not None and found > HEAD:
            raise StoreError(
                f"The library in {self.home} was written by a newer version (schema {found}; this one knows {HEAD}). "
                "Install that version, or restore an older backup."
            )
        if self.read_only:
            raise StoreError(
                f"The library in {self.home} has schema {found}, this version needs {HEAD}. "
                "Start `vademecum serve` or `vademecum add` once to migrate it."
            )
        _upgrade(self)


def _upgrade(store: Store) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with store.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)


def _disk_reason(error: OSError, what: str) -> str:
    if error.errno == errno.ENOSPC:
        return f"{what}: the disk is full. Free space and add it again."
    return f"{what}: {error.strerror}."


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def bump(connection: sa.Connection) -> None:
    """Note, in its transaction, that what can be found has changed."""
    statement = "INSERT INTO meta (key, value) VALUES ('revision', '1') "
    statement += "ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1"
    connection.exec_driver_sql(statement)


def _vector_counts(connection: sa.Connection, embedder: str) -> dict[str, int]:
    if not embedder:
        return {}
    query = (
        sa.select(chunks.c.document, sa.func.count())
        .join(vectors, vectors.c.chunk == chunks.c.number)
        .where(vectors.c.embedder == embedder)
        .group_by(chunks.c.document)
    )
    return {row[0]: int(row[1]) for row in connection.execute(query)}


# -- rows to values and back -------------------------------------------------------------------------------------


def _published(query: sa.Select[Any]) -> sa.Select[Any]:
    """Of a query on chunks, those whose document may be searched."""
    return query.join(documents, documents.c.id == chunks.c.document).where(documents.c.state.in_(_PUBLISHED))


def _retire(connection: sa.Connection, older: str) -> None:
    if older:
        query = sa.update(documents).where(documents.c.id == older, documents.c.state == "ready")
        connection.execute(query.values(state="superseded"))


def _restore(connection: sa.Connection, newer: Document) -> None:
    """Make current again what `newer` superseded, unless another published edition supersedes it too."""
    others = sa.select(documents.c.id).where(
        documents.c.supersedes == newer.supersedes, documents.c.id != newer.id, documents.c.state.in_(_PUBLISHED)
    )
    if newer.supersedes and newer.state in _PUBLISHED and connection.execute(others.limit(1)).first() is None:
        query = sa.update(documents).where(documents.c.id == newer.supersedes, documents.c.state == "superseded")
        connection.execute(query.values(state="ready"))


def _renumber(connection: sa.Connection, document: str) -> None:
    """Move the document's chunks above all numbers ever used, vectors with them: to the index they are new."""
    mine = sa.select(sa.func.min(chunks.c.number), sa.func.max(chunks.c.number)).where(chunks.c.document == document)
    first, last = connection.execute(mine).one()
    if first is None:
        return
    used = int(connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'").scalar_one())
    shift = used + 1 - int(first)
    connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")  # until the commit of this transaction
    numbers = sa.select(chunks.c.number).where(chunks.c.document == document)
    moved = sa.update(vectors).where(vectors.c.chunk.in_(numbers)).values(chunk=vectors.c.chunk + shift)
    connection.execute(moved)
    connection.execute(sa.update(chunks).where(chunks.c.document == document).values(number=chunks.c.number + shift))
    connection.exec_driver_sql("UPDATE sqlite_sequence SET seq = ? WHERE name = 'chunks'", (int(last) + shift,))


def _within(document: Document, scope: Scope, newer: Document | None) -> bool:
    if document.state not in _PUBLISHED or (scope.collection and document.collection != scope.collection):
        return False
    if scope.documents and document.id not in scope.documents:
        return False
    if scope.as_of:
        day = scope.as_of + "-99-99"[: 3 * (2 - scope.as_of.count("-"))]  # '2024' asks for the end of that year
        return document.issued <= day and (newer is None or newer.issued > day)
    return document.state == "ready" or bool(scope.documents)
