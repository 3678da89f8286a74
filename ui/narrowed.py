"""What a question is asked of, where that is less than the whole library: a value, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kb.conversations import Exchange
from kb.types import Document, Language, Scope
from ui.i18n import say


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A collection, a day, quotes alone, one document; empty: everything that is current."""

    collection: str = ""
    as_of: str = ""
    quotes_only: bool = False
    document: str = ""
    """Its id; `title` is how it is told."""
    title: str = ""

    @property
    def scope(self) -> Scope | None:
        documents = (self.document,) if self.document else ()
        found = Scope(documents, self.collection, self.as_of)
        return found if found != _EVERYTHING else None


WHOLE: Final = Narrowed()
_EVERYTHING: Final = Scope()


def told(narrowed: Narrowed, language: Language) -> str:
    """What a question is asked of, in words."""
    parts = [
        narrowed.title or narrowed.document,
        narrowed.collection,
        say(language, "scope_then", date=narrowed.as_of) if narrowed.as_of else "",
        say(language, "scope_quotes_only") if narrowed.quotes_only else "",
    ]
    if not narrowed.document and not narrowed.collection:
        parts.insert(0, say(language, "scope_all"))
    return " · ".join(filter(None, parts))


def to_document(narrowed: Narrowed, document: Document) -> Narrowed:
    """The same day, quotes alone or not, of this document."""
    title = document.title or document.file
    return Narrowed(as_of=narrowed.as_of, quotes_only=narrowed.quotes_only, document=document.id, title=title)


def as_asked(record: Exchange) -> Narrowed:
    """What a kept question was asked of; a document is told by the title it had then, as far as it was found in."""
    titles = {found.document: found.title or found.file for found in record.found}
    document = next(iter(record.scope.documents), "")
    return Narrowed(
        record.scope.collection,
        record.scope.as_of,
        record.quotes_only,
        document,
        ", ".join(titles.get(key, key) for key in record.scope.documents),
    )
