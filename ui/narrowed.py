"""What a question is asked of, where that is less than the whole library: a value, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kb.types import Language, Scope
from ui.i18n import say


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A collection, a day, quotes alone; empty: everything that is current."""

    collection: str = ""
    as_of: str = ""
    quotes_only: bool = False

    @property
    def scope(self) -> Scope | None:
        return Scope(collection=self.collection, as_of=self.as_of) if self.collection or self.as_of else None


WHOLE: Final = Narrowed()


def told(narrowed: Narrowed, language: Language) -> str:
    """What a question is asked of, in words."""
    parts = [
        narrowed.collection or say(language, "scope_all"),
        say(language, "scope_then", date=narrowed.as_of) if narrowed.as_of else "",
        say(language, "scope_quotes_only") if narrowed.quotes_only else "",
    ]
    return " · ".join(filter(None, parts))
