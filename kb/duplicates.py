"""Documents that say the same in other bytes, or nearly so: found when one is added, decided by an admin.

The admin keeps both, lets one supersede the other, or removes one. Sketches are stored, so that nothing is read again;
documents from before there were sketches get theirs from their stored chunks.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from kb import makings
from kb.access import Principal
from kb.audit import append
from kb.errors import UsageError
from kb.likeness import NEAR, resemblance, sketched
from kb.schema import documents, likenesses
from kb.schema import makings as table
from kb.store import Store
from kb.types import READ_STATES, Alike, Document


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two documents of the library that are alike. `document` was added after `other`."""

    document: Document
    other: Document
    share: float
    """1: the same text; below: the share of phrases in common."""
    decision: str
    """'' until it is decided, 'kept' if both are wanted, 'superseded' if one replaces the other."""


def look_for(store: Store, document: str, text_hash: str, sketch: bytes) -> tuple[Alike, ...]:
    """The documents of the library that are like this one, most alike first."""
    sketch_missing(store)
    query = (
        sa.select(table.c.document, table.c.text_hash, table.c.sketch)
        .join(documents, documents.c.id == table.c.document)
        .where(documents.c.state.in_(READ_STATES), table.c.document != document)
    )
    found = []
    with store.reading() as connection:
        for row in connection.execute(query):
            # Sketches of different texts may be equal: 1 is said of the same text only.
            share = 1.0 if row.text_hash == text_hash else min(0.99, resemblance(sketch, row.sketch))
            if share >= NEAR:
                found.append(Alike(row.document, round(share, 2)))
    return tuple(sorted(found, key=lambda alike: (-alike.share, alike.document)))


def sketch_missing(store: Store) -> int:
    """Sketch documents that have none, from their chunks; returns how many."""
    has = sa.select(table.c.document).where(table.c.sketch != b"")
    query = sa.select(documents.c.id).where(documents.c.state.in_(READ_STATES), documents.c.id.not_in(has))
    with store.reading() as connection:
        wanting = list(connection.execute(query).scalars())
    for document in wanting:
        text_hash, sketch = sketched(chunk.text for chunk in store.chunks(document))
        if not sketch:
            continue
        with store.writing() as connection:
            if connection.execute(sa.select(documents.c.id).where(documents.c.id == document)).first():
                makings.note_sketch(connection, document, text_hash, sketch)
    return len(wanting)


def duplicates(store: Store, *, undecided: bool = False) -> list[Duplicate]:
    """All pairs that are alike and both in the library, those to be decided first, then the most alike."""
    with store.reading() as connection:
        rows = connection.execute(sa.select(likenesses)).all()
    known = store.documents_by_id({row.document for row in rows} | {row.other for row in rows})
    found = []
    for row in rows:
        document, other = known.get(row.document), known.get(row.other)
        if document and other and document.state in READ_STATES and other.state in READ_STATES:
            replaced = other.id == document.supersedes or document.id == other.supersedes
            found.append(Duplicate(document, other, row.share, "superseded" if replaced else row.decision))
    if undecided:
        found = [pair for pair in found if not pair.decision]
    return sorted(found, key=lambda pair: (bool(pair.decision), -pair.share, pair.document.file))


def keep(store: Store, document: Document, by: Principal | str) -> list[Duplicate]:
    """Decide that the document is wanted beside all that are like it. Raises UsageError if nothing is."""
    if not decide(store, document, by):
        raise UsageError(f"{document.file} is like no other document; there is nothing to decide.")
    return [pair for pair in duplicates(store) if document.id in (pair.document.id, pair.other.id)]


def decide(store: Store, document: Document, by: Principal | str) -> int:
    """Note that the document is wanted beside all that are like it; returns how many pairs that are."""
    mine = sa.or_(likenesses.c.document == document.id, likenesses.c.other == document.id)
    with store.writing() as connection:
        pairs = int(connection.execute(sa.update(likenesses).where(mine).values(decision="kept")).rowcount)
        if pairs:
            append(connection, by, "edited", document.id, kept_beside=pairs)
        return pairs


def told(store: Store, alike: tuple[Alike, ...]) -> list[str]:
    """What an admin is told of them: sentences for a document's reason."""
    known = store.documents_by_id(one.document for one in alike)
    said = []
    for one in alike[:3]:
        other = known.get(one.document)
        if other is not None:
            what = "the same text as" if one.share == 1 else f"{one.share:.0%} of its text is that of"
            said.append(f"{what} {other.file} ({other.id})")
    return said
