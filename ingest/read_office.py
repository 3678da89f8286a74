"""Slides (.pptx) and workbooks (.xlsx) in; Head, Pages and Tail out. Runs in the reading child.

A slide is a page: title, text and tables in the order of the shapes, then the notes. A sheet is parted like a long
table, its heading row repeated; rows are the text of their cells as shown, parted by tabs.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from ingest.blocks import Block, Part, pages_of, parted
from ingest.packed import Package
from ingest.read import Head, Reading, ReadLimits, Tail
from ingest.read_docx import core_metadata
from kb.errors import ReadError

SLIDES_READER = "pptx/1"
SHEETS_READER = "xlsx/1"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MOST_COLUMNS = 200
_MOST_ROWS = 200_000


def read_pptx(path: Path, limits: ReadLimits) -> Reading:
    """Read slides. Raises ReadError."""
    parts: list[Part] = []
    with Package(path, "PPTX") as package:
        metadata = core_metadata(package)
        names = list(_slides(package))
        for number, name in enumerate(names, start=1):
            blocks = [*_slide(package.xml(name)), *_notes(package, name)]
            title = next((block.text for block in blocks if block.level == 0), "")
            parts.append(Part(title or str(number), tuple(blocks)))
    pages, outline = _numbered(parts, SLIDES_READER, limits.page_chars)
    yield Head("slides", len(pages), tuple(outline), metadata)
    yield from pages
    yield Tail()


def _numbered(parts: list[Part], reader: str, page_chars: int) -> tuple[Any, Any]:
    """Pages that keep the numbers of the slides, those without text included."""
    from dataclasses import replace

    pages, outline = [], []
    for number, part in enumerate(parts, start=1):
        made, entries = pages_of([part], reader, page_chars)
        page = made[0] if made else _empty(part, reader)
        pages.append(replace(page, number=number))
        outline += [replace(entry, page=number) for entry in entries]
    return pages, outline


def _empty(part: Part, reader: str) -> Any:
    from kb.types import Page

    return Page(1, (), label=part.label, reader=reader, note="no text")


def _slides(package: Package) -> Iterator[str]:
    related = _related(package, "ppt/presentation.xml")
    for slide in package.xml("ppt/presentation.xml").iter(f"{_P}sldId"):
        name = related.get(str(slide.get(f"{_R}id")), ("", ""))[1]
        if name in package.names:
            yield name


def _related(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """Relationship id → (type, part name)."""
    folder, name = posixpath.split(part)
    listing = f"{folder}/_rels/{name}.rels"
    if listing not in package.names:
        return {}
    found: dict[str, tuple[str, str]] = {}
    for relation in package.xml(listing):
        target = str(relation.get("Target") or "")
        where = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
        found[str(relation.get("Id"))] = (str(relation.get("Type") or "").rpartition("/")[2], where)
    return found


def _slide(root: Any) -> Iterator[Block]:
    for shape in root.iter(f"{_P}sp", f"{_P}graphicFrame"):
        if shape.tag == f"{_P}graphicFrame":
            for table in shape.iter(f"{_A}tbl"):
                for i, row in enumerate(table.iter(f"{_A}tr")):
                    cells = [" ".join(_paragraphs(cell)) for cell in row.iter(f"{_A}tc")]
                    if any(cells):
                        yield Block("\t".join(cells), "head" if i == 0 else "row")
            continue
        place = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
        kind = place.get("type") if place is not None else ""
        if kind in ("sldNum", "dt", "ftr"):
            continue
        for text in _paragraphs(shape):
            yield Block(text, "text", 0 if kind in ("title", "ctrTitle") else -1)


def _paragraphs(element: Any) -> list[str]:
    texts = ("".join(t.text or "" for t in p.iter(f"{_A}t")) for p in element.iter(f"{_A}p"))
    return [" ".join(text.split()) for text in texts if text.strip()]


def _notes(package: Package, slide: str) -> Iterator[Block]:
    for kind, name in _related(package, slide).values():
        if kind == "notesSlide" and name in package.names:
            for shape in package.xml(name).iter(f"{_P}sp"):
                place = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
                if place is not None and place.get("type") == "body":
                    yield from (Block(text, "note") for text in _paragraphs(shape))


def read_xlsx(path: Path, limits: ReadLimits) -> Reading:
    """Read a workbook: shown sheets, values as last calculated. Raises ReadError."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    with Package(path, "XLSX") as package:
        for name in package.names:  # entities are refused here, before openpyxl parses the parts by itself
            if name.endswith((".xml", ".rels")) and b"<!ENTITY" in package.bytes(name)[:4096]:
                raise ReadError(f"is refused: its part {name} declares entities, as no honest file of this kind does")
        metadata = core_metadata(package)
    parts: list[Part] = []
    notes: list[str] = []
    try:
        with path.open("rb") as file:  # by its path openpyxl would refuse it: originals are kept without a suffix
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            for sheet in book.worksheets:
                if sheet.sheet_state == "visible":
                    parts += _sheet(sheet, notes)
    except (InvalidFileException, KeyError, ValueError, TypeError, IndexError, AttributeError, OSError) as error:
        raise ReadError(f"is damaged: it cannot be read as XLSX ({str(error)[:80]})") from None
    pages, _ = pages_of(parts, SHEETS_READER, limits.page_chars)
    yield Head("sheets", len(pages), (), metadata)
    yield from pages
    yield Tail(notes=tuple(notes))


def _sheet(sheet: Any, notes: list[str]) -> Iterator[Part]:
    rows: list[Block] = []
    for number, row in enumerate(sheet.iter_rows(values_only=True, max_col=_MOST_COLUMNS), start=1):
        if number > _MOST_ROWS:
            notes.append(f"sheet {sheet.title}: only the first {_MOST_ROWS:,} rows were read")
            break
        cells = [_shown(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        if any(cells):
            rows.append(Block("\t".join(cells), "row" if rows else "head"))
    if len(rows) == 1:
        rows = [Block(rows[0].text)]
    yield from parted(rows, unit=str(sheet.title)[:40] + ",")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float):
        return f"{value:.15g}"
    return " ".join(str(value).split())
