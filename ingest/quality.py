"""How well a document was read, told by its pages: whether it may be searched without having been looked at."""

from __future__ import annotations

from dataclasses import dataclass

from kb.quality import LEAST_CONFIDENCE
from kb.types import Page

UNREADABLE_SHARE = 0.2  # of the pages; more than that, and an admin looks at the document before it is searched


@dataclass(slots=True)
class PageTally:
    """Counts over the pages that were added."""

    pages: int = 0
    unreadable: int = 0
    recognised: int = 0
    _sure: float = 0.0

    def add(self, page: Page) -> None:
        self.pages += 1
        self.unreadable += unreadable(page)
        if page.confidence is not None:
            self.recognised += 1
            self._sure += page.confidence

    @property
    def confidence(self) -> float | None:
        """Mean over the recognised pages; None if there are none."""
        return self._sure / self.recognised if self.recognised else None

    def read_badly(self) -> str:
        """Why these pages should be looked at before they are searched; empty if they were read well."""
        if self.unreadable > UNREADABLE_SHARE * self.pages:
            return f"read badly: {self.unreadable} of {self.pages} pages could not be read"
        if self.confidence is not None and self.confidence < LEAST_CONFIDENCE:
            return f"read badly: recognition of its scanned pages is only {self.confidence:.0%} sure of the text"
        return ""


def unreadable(page: Page) -> bool:
    """Whether the page holds something that did not come out as text. A blank page is no loss."""
    if page.garbled and page.source == "text":
        return True
    return not page.lines and bool(page.note) and page.note != "no text"
