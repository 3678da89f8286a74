"""What is known of a document while it is read: what its reader said of it, and counts over the pages that have come.

The pages themselves are not kept, but for the few that its title is found on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.quality import PageTally
from ingest.read import Head, Tail
from kb.errors import ReadError
from kb.types import DocumentKind, OutlineEntry, Page

_NAMED_PAGES = 12
_NAMED_NOTES = 5
_EARLY = 3


@dataclass(slots=True)
class ReadSoFar:
    """What has been read of one document so far."""

    kind: DocumentKind = "pdf"
    total: int = 0
    """Pages there will be, as its head says."""
    outline: tuple[OutlineEntry, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    title: str = ""
    notes: tuple[str, ...] = ()
    early: list[Page] = field(default_factory=list)
    """The first page, and the first three with text."""
    tally: PageTally = field(default_factory=PageTally)
    complete: bool = False
    _empty: list[int] = field(default_factory=list)
    _noted: list[str] = field(default_factory=list)
    _notes: int = 0
    _why_empty: str = ""

    @property
    def pages(self) -> int:
        """How many have come."""
        return self.tally.pages

    def add(self, page: Page) -> None:
        """The next page."""
        if not self.pages or (page.lines and sum(bool(early.lines) for early in self.early) < _EARLY):
            self.early.append(page)
        self.tally.add(page)
        if not page.lines:
            self._empty.append(page.number)
        elif page.note:
            self._notes += 1
            if self._notes <= _NAMED_NOTES:
                self._noted.append(f"page {page.number}: {page.note}")
        if page.note != "no text":
            self._why_empty = self._why_empty or page.note

    def take(self, event: Head | Tail) -> None:
        """Note what is not a page."""
        self.metadata |= {key: value for key, value in event.metadata.items() if value}
        self.outline = self.outline or event.outline
        if isinstance(event, Head):
            self.kind, self.total, self.title = event.kind, event.pages, event.title or _title_of(event.metadata)
        else:
            self.notes = event.notes
            self.title = self.title or _title_of(event.metadata)

    def end(self) -> None:
        """That was the last page. Raises ReadError if there is no text at all."""
        self.complete = True
        if len(self._empty) < self.pages:
            return
        if self.kind == "pdf":
            where = "its only page" if self.pages == 1 else f"any of its {self.pages} pages"
            raise ReadError(f"no text on {where}" + (f": {self._why_empty}" if self._why_empty else ""))
        raise ReadError("has no text in it")

    def told(self) -> str:
        """What an admin should know of a document that was read: nothing is left out silently."""
        parts = list(self.notes)
        if self._empty:
            named = ", ".join(map(str, self._empty[:_NAMED_PAGES]))
            more = f" and {len(self._empty) - _NAMED_PAGES} more" if len(self._empty) > _NAMED_PAGES else ""
            verb = "has" if len(self._empty) == 1 else "have"
            parts.append(f"{len(self._empty)} of {self.pages} pages {verb} no text: {named}{more}")
        more_notes = self._notes - len(self._noted)
        parts += self._noted + ([f"and {more_notes} more such pages"] if more_notes else [])
        return "; ".join(parts)


def _title_of(metadata: Mapping[str, str]) -> str:
    return metadata.get("title", "")
