"""Quotes in, a cited Answer out: each quote is an exact piece of a passage, cited with its page and boxes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kb import records
from kb.content_terms import CJK
from kb.types import Answer, Citation, Hit, Language, Statement

ENGINE = "extractive"

ABSTAINED: dict[Language, str] = {
    "zh": "文本中未提及这个问题的答案。下面列出的是最接近的文段，供查看。",
    "en": "Not mentioned in the documents. The nearest passages are listed below for you to look at.",
}

_REFERENCE_MARK = re.compile(r"[\[【［]\s*(\d{1,3}(?:\s*[-–,，、]\s*\d{1,3})*)\s*[\]】］]")


@dataclass(frozen=True, slots=True)
class Quote:
    """An exact piece [start, end) of the text of hit number `index` (0-based)."""

    index: int
    start: int
    end: int


def squeezed(text: str) -> str:
    """For comparing: without spaces, bullets and the marks plain texts put before headings; one kind of hyphen."""
    bare = re.sub(r"^(?:<[^>]{1,4}>|#+|[•●▪◦·]\s*)", "", text.strip())
    return "".join(re.sub("[\u2010\u2011]", "-", bare).split()).lower()


def abstained(text: str, hits: list[Hit], citations: tuple[Citation, ...] = ()) -> Answer:
    """A refusal in these words; it keeps all hits as the nearest passages."""
    return Answer(text, citations, True, ENGINE, tuple(hits))


def compose(quotes: list[Quote], hits: list[Hit], language: Language, labels: dict[Quote, str] | None = None) -> Answer:
    """Quotes in reading order: documents as ranked, inside each by position. Each is followed by its mark."""
    rank: dict[str, int] = {}
    for hit in hits:
        rank.setdefault(hit.document.id, len(rank))
    ordered = sorted(quotes, key=lambda q: (rank[hits[q.index].document.id], hits[q.index].chunk.position, q.start))
    statements: list[Statement] = []
    for quote in ordered:
        text = hits[quote.index].chunk.text[quote.start : quote.end]
        label = (labels or {}).get(quote, "")
        shown = _REFERENCE_MARK.sub(r"(\1)", _one_line(text))
        said = f"{label}{'：' if language == 'zh' else ': '}{shown}" if label else shown
        statements.append(Statement(said, (quote.index + 1,), "quoted"))
    separator = "\n" if any(records.is_record(hits[q.index]) for q in ordered) else " "
    citations = tuple(cite(hits[q.index], q.index + 1, q.start, q.end) for q in ordered)
    text = separator.join(f"{statement.text} [{statement.cites[0]}]" for statement in statements)
    return Answer(text, citations, False, ENGINE, tuple(hits), statements=tuple(statements))


def _one_line(text: str) -> str:
    """A sentence as it is shown: the page's line breaks are not the answer's; a table's cells are kept apart."""
    joined = re.sub(rf"(?<=[{CJK}，。；：、])\s*\n\s*(?=[{CJK}])", "", text)
    return re.sub(r"\s*\n\s*", " ", re.sub(r"[ \t]*\t[ \t]*", " | ", joined.strip()))


def cite(hit: Hit, n: int, start: int, end: int) -> Citation:
    """The citation of characters [start, end) of a hit's text: its page and the boxes of its lines there.

    A quote that runs over a page break is cited on the page where it begins, with the boxes of that page only.
    """
    touched = [span for span in hit.chunk.spans if span.start < end and start < span.end]
    page = touched[0].page if touched else (hit.chunk.pages or (1,))[0]
    boxes = tuple(dict.fromkeys(box for span in touched if span.page == page for box in span.boxes))
    quote = hit.chunk.text[start:end]
    document = hit.document
    return Citation(n, hit.chunk.id, document.id, document.file, document.title, page, quote, boxes)
