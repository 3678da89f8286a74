"""Blocks in (paragraphs, headings, table rows of a format without pages), Pages and an outline out.

Such a format has no pages, so it is parted where a reader can find the place again: at the first heading or paragraph
after about 3,000 characters (a printed page), unless the format has parts of its own (chapters, slides, sheets). The
part's number stands in for the page; its label names the paragraphs, rows or the slide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kb.types import Line, LineRole, OutlineEntry, Page

_PART = 3000
_PART_MOST = 6000
_LABEL_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Block:
    """One paragraph, heading (`level` from 0), table row (cells parted by tabs) or note."""

    text: str
    role: LineRole = "text"
    level: int = -1
    size: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """What becomes a page."""

    label: str
    blocks: tuple[Block, ...]


def parted(blocks: Iterable[Block], unit: str = "¶", first: int = 1) -> Iterator[Part]:
    """Blocks in parts of about a printed page, labelled by the numbers of their first and last block."""
    part: list[Block] = []
    size = 0
    start = number = first
    for number, block in enumerate(blocks, start=first):
        inside_table = block.role == "row" and part and part[-1].role in ("row", "head")
        due = size >= _PART and not inside_table and not (part and part[-1].level >= 0)
        if part and (due or (size >= _PART // 2 and block.level == 0) or size + len(block.text) > _PART_MOST):
            yield Part(f"{unit} {start}–{number - 1}", tuple(part))
            part, size, start = _carried(part, block), 0, number
        part.append(block)
        size += len(block.text) + 1
    if part:
        yield Part(f"{unit} {start}–{number}", tuple(part))


def _carried(part: list[Block], block: Block) -> list[Block]:
    """A table that goes on in the next part takes its heading row along."""
    if block.role != "row" or part[-1].role not in ("row", "head"):
        return []
    at = len(part)
    while at and part[at - 1].role == "row":
        at -= 1
    head = at
    while head and part[head - 1].role == "head":
        head -= 1
    return part[head:at]


def pages_of(parts: Iterable[Part], reader: str, page_chars: int) -> tuple[list[Page], list[OutlineEntry]]:
    """Pages of the parts that have text, and the headings in them as an outline."""
    pages: list[Page] = []
    outline: list[OutlineEntry] = []
    for part in parts:
        lines: list[Line] = []
        left = page_chars
        for block in part.blocks:
            if block.text.strip() and left > 0:
                lines.append(Line(block.text[:left], None, block.size, block.role))
                left -= len(block.text)
        if not lines:
            continue
        number = len(pages) + 1
        outline += [OutlineEntry(b.text.strip()[:200], b.level, number) for b in part.blocks if b.level >= 0]
        note = f"longer than {page_chars:,} characters (max_page_chars); cut" if left <= 0 else ""
        tables = sum(
            1
            for i, line in enumerate(lines)
            if line.role in ("head", "row") and (i == 0 or lines[i - 1].role not in ("head", "row"))
        )
        page = Page(number, tuple(lines), label=part.label[:_LABEL_LONGEST], reader=reader, note=note, tables=tables)
        pages.append(page)
    return pages, outline
