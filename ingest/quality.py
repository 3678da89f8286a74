"""How well a document was read, told by its pages: whether it may be searched without having been looked at."""

from __future__ import annotations

from collections.abc import Sequence

from kb.quality import LEAST_CONFIDENCE
from kb.types import Page

UNREADABLE_SHARE = 0.2  # of the pages; more than that, and an admin looks at the document before it is searched


def read_badly(pages: Sequence[Page]) -> str:
    """Why these pages should be looked at before they are searched; empty if they were read well."""
    lost = [page for page in pages if unreadable(page)]
    if len(lost) > UNREADABLE_SHARE * len(pages):
        return f"read badly: {len(lost)} of {len(pages)} pages could not be read"
    confidence = mean_confidence(pages)
    if confidence is not None and confidence < LEAST_CONFIDENCE:
        return f"read badly: recognition of its scanned pages is only {confidence:.0%} sure of the text"
    return ""


def unreadable(page: Page) -> bool:
    """Whether the page holds something that did not come out as text. A blank page is no loss."""
    if page.garbled and page.source == "text":
        return True
    return not page.lines and bool(page.note) and page.note != "no text"


def mean_confidence(pages: Sequence[Page]) -> float | None:
    """Mean over the recognised pages; None if there are none."""
    sure = [page.confidence for page in pages if page.confidence is not None]
    return sum(sure) / len(sure) if sure else None
