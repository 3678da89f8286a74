"""What an admin decides about a document: its details, whether it is published, which edition it supersedes.

Each decision is one transaction of the store, its entry in the audit record included. A superseded edition leaves
default search at once, but its pages and chunks stay, so that past answers can be checked. Taking the newer edition
back makes the older one current again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import datetime

from kb.access import Principal
from kb.audit import COMMAND_LINE, noting
from kb.errors import UsageError
from kb.store import Store
from kb.types import READ_STATES, Document, DocumentState

NOT_PUBLISHED = "not published"
"""Parts of a draft's reason that begin so hold no longer once it is published."""


@dataclass(frozen=True, slots=True)
class DocumentDetails:
    """What an admin knows of a document; empty fields are taken from the file, or left as they are."""

    title: str = ""
    edition: str = ""
    issued: str = ""
    supersedes: str = ""
    issuer: str = ""
    collection: str = ""


def publish(store: Store, document: Document, by: Principal | str = COMMAND_LINE) -> Document:
    """Make a draft, or an edition that was superseded by mistake, searchable. Raises UsageError if it cannot be."""
    if document.state not in READ_STATES:
        raise UsageError(f"{document.file} is {_told(document)}; only a document that was read can be published.")
    newer = next((d for d in store.documents() if d.supersedes == document.id and d.state == "ready"), None)
    if newer is not None:
        raise UsageError(
            f"{document.file} is superseded by {newer.file} ({newer.id}). Unpublish that first: the older edition is "
            "current again then."
        )
    states: dict[str, DocumentState] = {document.id: "ready"}
    older = store.document(document.supersedes) if document.supersedes else None
    if older is not None and older.state == "ready":
        states[older.id] = "superseded"
    store.set_states(states, record=noting(by, "published", document.id))
    reason = "; ".join(part for part in document.reason.split("; ") if not part.startswith(NOT_PUBLISHED))
    if reason != document.reason:
        return store.change_document(document.id, reason=reason)
    return _again(store, document)


def unpublish(store: Store, document: Document, by: Principal | str = COMMAND_LINE) -> Document:
    """Take a document out of search; it stays as a draft. What it superseded is current again."""
    if document.state not in READ_STATES:
        raise UsageError(f"{document.file} is {_told(document)}; there is nothing to take out of search.")
    states: dict[str, DocumentState] = {document.id: "draft"}
    older = store.document(document.supersedes) if document.supersedes else None
    if document.state == "ready" and older is not None and older.state == "superseded":
        states[older.id] = "ready"
    store.set_states(states, record=noting(by, "unpublished", document.id))
    return _again(store, document)


def supersede(store: Store, older: Document, newer: Document, by: Principal | str = COMMAND_LINE) -> Document:
    """Note that `newer` replaces `older`; takes effect at once if `newer` is published. Returns the newer one."""
    _check_chain(store, older, newer)
    record = noting(by, "superseded", older.id, by=newer.id)
    store.change_document(newer.id, record=record, supersedes=older.id)
    if newer.state == "ready" and older.state == "ready":
        store.set_states({older.id: "superseded"})
    return _again(store, newer)


def edit(store: Store, document: Document, details: DocumentDetails, by: Principal | str = COMMAND_LINE) -> Document:
    """Set the fields of `details` that are not empty. Raises UsageError for a date or edition that cannot be meant."""
    check_date(details.issued)
    changes = {f.name: getattr(details, f.name) for f in fields(details) if getattr(details, f.name)}
    older = changes.pop("supersedes", "")
    if older:
        found = store.document(older)
        if found is None:
            raise UsageError(f"No document '{older}' in the library to supersede. `vademecum documents` lists them.")
        document = supersede(store, found, document, by)
    if not changes:
        return document
    record = noting(by, "edited", document.id, fields=", ".join(sorted(changes)))
    return store.change_document(document.id, record=record, **changes)


def check_date(text: str) -> None:
    """Raise UsageError unless `text` is empty or a year, month or day."""
    if text and not _is_date(text):
        raise UsageError(f"'{text}' is no date. Write 2024, 2024-05 or 2024-05-31.")


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"\d{4}(-\d{2}(-\d{2})?)?", text):
        return False
    try:
        datetime.strptime(text, "-".join(("%Y", "%m", "%d")[: text.count("-") + 1]))
    except ValueError:
        return False
    return True


def _check_chain(store: Store, older: Document, newer: Document) -> None:
    """No edition may supersede itself, however long the chain."""
    seen: Document | None = older
    steps = 0
    while seen is not None and steps < 1000:
        if seen.id == newer.id:
            raise UsageError(f"{newer.file} cannot supersede {older.file}: it is the same, or an older, edition.")
        seen = store.document(seen.supersedes) if seen.supersedes else None
        steps += 1


def _again(store: Store, document: Document) -> Document:
    found = store.document(document.id)
    if found is None:
        raise UsageError(f"{document.file} was removed meanwhile.")
    return found


def _told(document: Document) -> str:
    return "still being read" if document.state == "reading" else "refused"
