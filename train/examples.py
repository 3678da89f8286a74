"""The examples table: training examples in, filtered streams of them out, nothing changed but their state.

An example is stale when a chunk it rests on is gone from the library or has another text. That is looked up whenever it
is asked for, never stored, so it cannot be forgotten when a document is removed, changed or added again.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import sqlalchemy as sa

from kb.errors import UsageError
from kb.schema import chunks, documents, example_chunks, examples
from kb.store import Store
from kb.types import Chunk, Document, ExampleState, Language, Message, QAExample, Source

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Selection:
    """Which examples: each field narrows; empty means all. Dates are ISO 8601 and compare as text."""

    states: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    generators: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    include_stale: bool = False


def chunk_hash(text: str) -> str:
    """What tells whether a chunk still says what it said: 16 hex digits of its text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def source_of(chunk: Chunk) -> Source:
    """The chunk as an example remembers it."""
    return Source(chunk.id, chunk_hash(chunk.text))


def unit_of(document: Document, chunk: Chunk) -> str:
    """What must not be split between training and test.

    A drug for monographs (the same drug in two files is one unit), else the document; an edition belongs to the one it
    supersedes.
    """
    if document.kind == "monographs":
        # A record without a name is known by its place: its second chunk must not pass for another drug.
        name = chunk.heading.split(" › ")[0] or f"{document.id}#{chunk.pages[0] if chunk.pages else chunk.id}"
        return "drug:" + "".join(name.split()).lower()
    return document.supersedes or document.id


def identified(example: QAExample) -> QAExample:
    """The example with its content hash as id, and the time of now unless it has one."""
    said = [[message.role, message.content] for message in example.messages]
    content = [example.task, example.question, list(example.answers), said, [s.chunk_id for s in example.sources]]
    digest = hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:20]
    created = example.created or datetime.now(UTC).isoformat(timespec="seconds")
    return replace(example, id=digest, created=created)


class Examples:
    """The examples of one store. Each method is one short transaction; streams read page by page."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, new: Sequence[QAExample]) -> int:
        """Store examples that are not there yet; returns how many were new. Their ids must be content hashes."""
        with self._store.writing() as connection:
            return add_examples(connection, new)

    def get(self, key: str) -> QAExample:
        """The example of this id or unambiguous beginning of one. Raises UsageError if there is none."""
        query = sa.select(examples).where(examples.c.id.startswith(key, autoescape=True)).limit(2)
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
            if len(rows) != 1 or len(key) < 6:
                raise UsageError(
                    f"No example '{key}' (or several). `vademecum qa list` shows ids; give 6 digits or more."
                )
            return _with_sources(connection, rows)[0]

    def stream(self, selection: Selection, *, after: int = 0) -> Iterator[QAExample]:
        """The selected examples in the order they were added, in flat memory."""
        for _, example in self.numbered(selection, after=after):
            yield example

    def numbered(self, selection: Selection, *, after: int = 0) -> Iterator[tuple[int, QAExample]]:
        """The same with each one's number in the table."""
        wanted = _condition(selection)
        while True:
            query = sa.select(examples).where(examples.c.number > after, *wanted)
            query = query.order_by(examples.c.number).limit(_BATCH)
            with self._store.reading() as connection:
                rows = connection.execute(query).all()
                found = _with_sources(connection, rows)
            if not rows:
                return
            yield from zip((row.number for row in rows), found, strict=True)
            after = rows[-1].number

    def count(self, selection: Selection) -> int:
        """How many are selected."""
        query = sa.select(sa.func.count()).select_from(examples).where(*_condition(selection))
        with self._store.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def counts(self) -> list[tuple[str, str, str, int]]:
        """(task, generator, state, how many), all examples."""
        keys = (examples.c.task, examples.c.generator, examples.c.state)
        query = sa.select(*keys, sa.func.count()).group_by(*keys).order_by(*keys)
        with self._store.reading() as connection:
            return [(row[0], row[1], row[2], int(row[3])) for row in connection.execute(query)]

    def stale(self) -> int:
        """How many rest on a chunk that is gone or changed."""
        query = sa.select(sa.func.count()).select_from(examples).where(_is_stale())
        with self._store.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def is_stale(self, example: QAExample) -> bool:
        """Whether this one does."""
        query = sa.select(sa.func.count()).where(examples.c.id == example.id, _is_stale())
        with self._store.reading() as connection:
            return bool(connection.execute(query).scalar_one())

    def set_states(self, changes: Iterable[tuple[str, ExampleState, str]]) -> None:
        """(id, state, reason) of each example whose state changes; one transaction."""
        rows = [{"key": key, "new": state, "why": reason} for key, state, reason in changes]
        if rows:
            with self._store.writing() as connection:
                set_states(connection, rows)


def add_examples(connection: sa.Connection, new: Sequence[QAExample]) -> int:
    """`Examples.add` within a transaction of the caller's."""
    wanted = {example.id: example for example in new}
    ids = list(wanted)
    for start in range(0, len(ids), _BATCH):
        known = sa.select(examples.c.id).where(examples.c.id.in_(ids[start : start + _BATCH]))
        for found in connection.execute(known).scalars().all():
            del wanted[found]
    for example in wanted.values():
        key = connection.execute(sa.insert(examples), _row(example)).inserted_primary_key
        assert key is not None
        number = key[0]
        sources = [
            {"example": number, "position": at, "chunk_id": source.chunk_id, "chunk_hash": source.chunk_hash}
            for at, source in enumerate(example.sources)
        ]
        if sources:
            connection.execute(sa.insert(example_chunks), sources)
    return len(wanted)


def set_states(connection: sa.Connection, rows: Sequence[dict[str, str]]) -> None:
    """`Examples.set_states` within a transaction of the caller's; rows of key, new, why."""
    change = sa.update(examples).where(examples.c.id == sa.bindparam("key"))
    connection.execute(change.values(state=sa.bindparam("new"), reason=sa.bindparam("why")), list(rows))


def chunks_now(store: Store, ids: Sequence[str]) -> dict[str, str]:
    """The hash that each of these chunks has now; those that are gone, or of a superseded edition, are absent."""
    found: dict[str, str] = {}
    with store.reading() as connection:
        for start in range(0, len(ids), _BATCH):
            query = sa.select(chunks.c.id, chunks.c.text).join(documents, documents.c.id == chunks.c.document)
            query = query.where(chunks.c.id.in_(ids[start : start + _BATCH]), documents.c.state == "ready")
            found.update((row.id, chunk_hash(row.text)) for row in connection.execute(query))
    return found


def chunks_of(store: Store, ids: Sequence[str]) -> dict[str, Chunk]:
    """The chunks of these ids; those that are gone are absent."""
    with store.reading() as connection:
        query = sa.select(chunks.c.number).where(chunks.c.id.in_(list(ids)))
        numbers = connection.execute(query).scalars().all()
    return {chunk.id: chunk for chunk in store.chunks_by_number(numbers).values()}


def _is_stale() -> sa.ColumnElement[bool]:
    """Chunks never change under an id (the id is a hash of their text), so a stale source is one that is gone.

    A superseded edition may still be cited, but is no longer trained on.
    """
    missing = (
        sa.select(sa.literal(1))
        .select_from(example_chunks.outerjoin(chunks, chunks.c.id == example_chunks.c.chunk_id))
        .outerjoin(documents, documents.c.id == chunks.c.document)
        .where(
            example_chunks.c.example == examples.c.number,
            sa.or_(chunks.c.id.is_(None), documents.c.state != "ready"),
        )
    )
    return sa.exists(missing)


def _condition(selection: Selection) -> list[sa.ColumnElement[bool]]:
    wanted: list[sa.ColumnElement[bool]] = []
    for column, values in (
        (examples.c.state, selection.states),
        (examples.c.task, selection.tasks),
        (examples.c.document, selection.documents),
        (examples.c.generator, selection.generators),
        (examples.c.language, selection.languages),
    ):
        if values:
            wanted.append(column.in_(values))
    if selection.since:
        wanted.append(examples.c.created >= selection.since)
    if selection.until:
        wanted.append(examples.c.created < selection.until)
    if not selection.include_stale:
        wanted.append(sa.not_(_is_stale()))
    return wanted


def _row(example: QAExample) -> dict[str, object]:
    body = {
        "answers": list(example.answers),
        "answerable": example.answerable,
        "persona": example.persona,
        "difficulty": example.difficulty,
        "messages": [[message.role, message.content] for message in example.messages],
        "prompt": example.prompt,
        "parent": example.parent,
    }
    names = (
        "id",
        "task",
        "language",
        "document",
        "unit",
        "question",
        "topic",
        "generator",
        "state",
        "reason",
        "created",
    )
    row: dict[str, object] = {name: getattr(example, name) for name in names}
    row["body"] = zlib.compress(json.dumps(body, ensure_ascii=False).encode(), 3)
    return row


def _with_sources(connection: sa.Connection, rows: Sequence[Any]) -> list[QAExample]:
    query = sa.select(example_chunks).where(example_chunks.c.example.in_([row.number for row in rows]))
    sources: dict[int, list[Source]] = {}
    for row in connection.execute(query.order_by(example_chunks.c.example, example_chunks.c.position)):
        sources.setdefault(row.example, []).append(Source(row.chunk_id, row.chunk_hash))
    return [_example(row, tuple(sources.get(row.number, ()))) for row in rows]


def _example(row: Any, sources: tuple[Source, ...]) -> QAExample:
    body = json.loads(zlib.decompress(row.body))
    return QAExample(
        id=row.id,
        task=row.task,
        language=cast(Language, row.language),
        document=row.document,
        unit=row.unit,
        sources=sources,
        question=row.question,
        answers=tuple(body["answers"]),
        answerable=body["answerable"],
        topic=row.topic,
        persona=body["persona"],
        difficulty=body["difficulty"],
        messages=tuple(Message(role, content) for role, content in body["messages"]),
        generator=row.generator,
        prompt=body["prompt"],
        state=cast(ExampleState, row.state),
        reason=row.reason,
        parent=body["parent"],
        created=row.created,
    )
