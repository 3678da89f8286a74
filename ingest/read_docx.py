"""A Word document (.docx) in; Head, Pages and Tail out. Runs in the reading child (ingest.office_child).

Read from its XML, because the text a reader sees is not all in its runs: numbers of headings and lists are worked out
from word/numbering.xml, deleted text is left out and inserted text taken, headings are known by the outline level of
the paragraph or its style, footnotes follow as notes. Structure: ECMA-376, part 1, chapters 17.3 to 17.9.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.blocks import Block, pages_of, parted
from ingest.numerals import spelt
from ingest.packed import Package
from ingest.read import Head, Reading, ReadLimits, Tail
from kb.errors import ReadError

READER = "docx/1"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_BODY = "word/document.xml"
_SKIPPED = {f"{_W}del", f"{_W}moveFrom", f"{_W}instrText", f"{_W}delText", f"{_W}rPr", f"{_W}pPr"}
_ALTERNATE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_LEVELS = 9
_FEW_HEADINGS = 4


def read_docx(path: Path, limits: ReadLimits) -> Reading:
    """Read a Word document. Raises ReadError."""
    with Package(path, "DOCX") as package:
        body = package.xml(_BODY).find(f"{_W}body")
        if body is None:
            raise ReadError("is damaged: it has no body")
        styles = _Styles(package.xml("word/styles.xml") if "word/styles.xml" in package.names else None)
        numbering = _Numbering(package.xml("word/numbering.xml") if "word/numbering.xml" in package.names else None)
        notes = list(_notes(package))
        metadata = core_metadata(package)
    blocks = [*_blocks(body, styles, numbering), *notes]
    pages, outline = pages_of(parted(blocks), READER, limits.page_chars)
    if len(outline) < _FEW_HEADINGS:  # set here and there for looks: numbering and sizes tell more
        outline = []
    yield Head("docx", len(pages), tuple(outline), metadata)
    yield from pages
    yield Tail()


def core_metadata(package: Package) -> dict[str, str]:
    """Title, author and subject that the file states, of any OOXML format."""
    if "docProps/core.xml" not in package.names:
        return {}
    found: dict[str, str] = {}
    for element in package.xml("docProps/core.xml"):
        name = element.tag.rpartition("}")[2]
        key = {"title": "title", "creator": "author", "subject": "subject"}.get(name)
        if key and element.text and element.text.strip():
            found[key] = element.text.strip()[:500]
    return found


def _blocks(parent: Any, styles: _Styles, numbering: _Numbering) -> Iterator[Block]:
    for element in parent:
        if element.tag == f"{_W}p":
            yield from _paragraph(element, styles, numbering)
        elif element.tag == f"{_W}tbl":
            yield from _table(element, styles, numbering)
        elif element.tag == f"{_W}sdt":
            content = element.find(f"{_W}sdtContent")
            if content is not None:
                yield from _blocks(content, styles, numbering)
        elif element.tag in (f"{_W}ins", f"{_W}customXml", f"{_W}smartTag"):
            yield from _blocks(element, styles, numbering)


def _paragraph(p: Any, styles: _Styles, numbering: _Numbering) -> Iterator[Block]:
    properties = p.find(f"{_W}pPr")
    style = _value(properties, "pStyle")
    text = _text(p)
    number = numbering.next_of(properties, styles.numbering(style)) if text.strip() else ""
    level = _level(properties, styles, style)
    size = styles.size(p, style)
    for i, line in enumerate(text.split("\n")):
        if line.strip():
            yield Block((number + line if i == 0 else line).strip(), "text", level if i == 0 else -1, size)


def _level(properties: Any, styles: _Styles, style: str) -> int:
    stated = _value(properties, "outlineLvl")
    level = int(stated) if stated.isdigit() else styles.level(style)
    return level if 0 <= level < _LEVELS else -1


def _text(p: Any) -> str:
    parts: list[str] = []

    def walk(element: Any) -> None:
        for child in element:
            tag = child.tag
            if tag in _SKIPPED or tag == _ALTERNATE:
                continue
            if tag == f"{_W}t":
                parts.append(child.text or "")
            elif tag == f"{_W}tab":
                parts.append("\t")
            elif tag in (f"{_W}br", f"{_W}cr"):
                parts.append("\n")
            elif tag == f"{_W}noBreakHyphen":
                parts.append("-")
            elif tag == f"{_W}txbxContent":
                parts.append("\n" + "\n".join(_text(inner) for inner in child.iter(f"{_W}p")) + "\n")
            elif isinstance(tag, str):
                walk(child)

    walk(p)
    return "".join(parts)


def _table(table: Any, styles: _Styles, numbering: _Numbering) -> Iterator[Block]:
    """One row a block. Rows marked as heading rows are heads; else the first is, if there are more."""
    rows = [row for row in table.iter(f"{_W}tr") if row.getparent() is table or row.getparent().getparent() is table]
    marked = [row.find(f"{_W}trPr/{_W}tblHeader") is not None for row in rows]
    if not any(marked) and len(rows) > 1:
        marked[0] = True
    if len(rows) == 1 and len(rows[0].findall(f"{_W}tc")) == 1:  # a frame around text
        yield from _blocks(rows[0].find(f"{_W}tc"), styles, numbering)
        return
    for row, head in zip(rows, marked, strict=True):
        cells = [" ".join(" ".join(_text(p).split()) for p in cell.iter(f"{_W}p")) for cell in row.iter(f"{_W}tc")]
        if any(cell.strip() for cell in cells):
            yield Block("\t".join(cell.strip() for cell in cells), "head" if head else "row")


def _notes(package: Package) -> Iterator[Block]:
    for part in ("word/footnotes.xml", "word/endnotes.xml"):
        if part not in package.names:
            continue
        for note in package.xml(part):
            if note.get(f"{_W}type") in (None, "normal"):
                text = " ".join(" ".join(_text(p).split()) for p in note.iter(f"{_W}p")).strip()
                if text:
                    yield Block(text, "note")


def _value(properties: Any, name: str) -> str:
    found = properties.find(f"{_W}{name}") if properties is not None else None
    return str(found.get(f"{_W}val") or "") if found is not None else ""


class _Styles:
    """Paragraph styles: outline level, size and numbering, each inherited from the style it is based on."""

    def __init__(self, root: Any) -> None:
        self._styles = {s.get(f"{_W}styleId"): s for s in root.iter(f"{_W}style")} if root is not None else {}
        default = root.find(f"{_W}docDefaults/{_W}rPrDefault/{_W}rPr") if root is not None else None
        self._default = _half_points(default) or 10.5

    def _chain(self, style: str) -> Iterator[Any]:
        seen: set[str] = set()
        while style in self._styles and style not in seen:
            seen.add(style)
            element = self._styles[style]
            yield element
            style = _value(element, "basedOn")

    def level(self, style: str) -> int:
        for element in self._chain(style):
            stated = _value(element.find(f"{_W}pPr"), "outlineLvl")
            if stated.isdigit():
                return int(stated)
        return -1

    def numbering(self, style: str) -> Any:
        for element in self._chain(style):
            found = element.find(f"{_W}pPr/{_W}numPr")
            if found is not None:
                return found
        return None

    def size(self, p: Any, style: str) -> float:
        """Points of most of the paragraph's text."""
        sizes: dict[float, int] = {}
        for run in p.iter(f"{_W}r"):
            length = sum(len(t.text or "") for t in run.iter(f"{_W}t"))
            points = _half_points(run.find(f"{_W}rPr"))
            sizes[points] = sizes.get(points, 0) + length
        most = max(sizes, key=lambda points: sizes[points], default=0.0)
        if most:
            return most
        inherited = (_half_points(element.find(f"{_W}rPr")) for element in self._chain(style))
        return next(filter(None, inherited), self._default)


def _half_points(properties: Any) -> float:
    stated = _value(properties, "sz")
    return int(stated) / 2 if stated.isdigit() else 0.0


class _Numbering:
    """The numbers that Word puts before paragraphs, counted as it does."""

    def __init__(self, root: Any) -> None:
        self._levels: dict[str, dict[int, tuple[str, str, int]]] = {}
        self._lists: dict[str, str] = {}
        self._counts: dict[str, dict[int, int]] = {}
        if root is None:
            return
        for abstract in root.iter(f"{_W}abstractNum"):
            levels: dict[int, tuple[str, str, int]] = {}
            for level in abstract.iter(f"{_W}lvl"):
                start = _value(level, "start")
                at = int(level.get(f"{_W}ilvl") or 0)
                digits = level.find(f"{_W}isLgl") is not None  # all numbers in Arabic digits, whatever their level's
                form = "legal" if digits else _value(level, "numFmt")
                levels[at] = (form, _value(level, "lvlText"), int(start) if start.isdigit() else 1)
            self._levels[str(abstract.get(f"{_W}abstractNumId"))] = levels
        for num in root.iter(f"{_W}num"):
            self._lists[str(num.get(f"{_W}numId"))] = _value(num, "abstractNumId")

    def next_of(self, properties: Any, inherited: Any) -> str:
        """What stands before this paragraph; '' if it is not numbered."""
        mine = properties.find(f"{_W}numPr") if properties is not None else None
        mine = mine if mine is not None else inherited
        if mine is None:
            return ""
        abstract = self._lists.get(_value(mine, "numId"), "")
        stated = _value(mine, "ilvl")
        at = int(stated) if stated.isdigit() else 0
        levels = self._levels.get(abstract, {})
        if at not in levels:
            return ""
        counts = self._counts.setdefault(abstract, {})
        counts[at] = counts.get(at, levels[at][2] - 1) + 1
        for deeper in [level for level in counts if level > at]:
            del counts[deeper]
        form, text, _ = levels[at]
        if form in ("bullet", "none"):
            return "• " if form == "bullet" else ""
        for level in range(_LEVELS):
            if f"%{level + 1}" in text and level in levels:
                count = counts.get(level, levels[level][2])
                text = text.replace(f"%{level + 1}", spelt(count, form if form == "legal" else levels[level][0]))
        return text if text.endswith(("、", "）", "．")) else f"{text} " if text else ""
