"""Web pages (.html) and electronic books (.epub) in; Head, Pages and Tail out. Runs in the reading child.

Scripts, styles, navigation and what is hidden are left out; headings h1 to h6 become the outline, table rows stay rows
with their cells parted by tabs, list items keep a mark. A book is read in the order of its spine, a part a chapter.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ingest.blocks import Block, Part, pages_of, parted
from ingest.packed import Package
from ingest.read import Head, Reading, ReadLimits, Tail
from ingest.read_text import decoded
from kb.errors import ReadError

HTML_READER = "html/1"
EPUB_READER = "epub/1"
_LEFT_OUT = {"script", "style", "noscript", "template", "nav", "svg", "head", "iframe", "object", "button", "form"}
_BLOCKS = set(
    "address article aside blockquote body caption center dd div dl dt fieldset figcaption figure footer header hr "
    "html li main ol p pre section summary details table tbody tfoot thead tr td th ul h1 h2 h3 h4 h5 h6".split()
)
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]+)|<\?xml[^>]+encoding=[\"']([A-Za-z0-9_-]+)")
_DEEPEST = 200


def read_html(path: Path, limits: ReadLimits) -> Reading:
    """Read a web page. Raises ReadError."""
    root = _parsed(path.read_bytes())
    title = " ".join((root.findtext(".//title") or "").split())
    pages, outline = pages_of(parted(_blocks(root)), HTML_READER, limits.page_chars)
    yield Head("html", len(pages), tuple(outline), {"title": title[:500]} if title else {}, title[:200])
    yield from pages
    yield Tail()


def read_epub(path: Path, limits: ReadLimits) -> Reading:
    """Read an electronic book. Raises ReadError if it is encrypted (DRM) or damaged."""
    parts: list[Part] = []
    missing: list[str] = []
    with Package(path, "EPUB") as package:
        if "META-INF/encryption.xml" in package.names and b"EncryptedData" in package.bytes("META-INF/encryption.xml"):
            fonts_only = b"obfuscation" in package.bytes("META-INF/encryption.xml").lower()
            if not fonts_only:
                raise ReadError("is encrypted (protected against copying) and cannot be read")
        opf = _opf_name(package)
        book = package.xml(opf)
        metadata = _book_metadata(book)
        for name in _spine(book, opf):
            if name not in package.names:
                missing.append(name)
                continue
            blocks = list(_blocks(_parsed(package.bytes(name))))
            chapter = next((block.text for block in blocks if block.level >= 0), posixpath.basename(name))
            for i, part in enumerate(parted(blocks), start=1):
                parts.append(Part(chapter if i == 1 else f"{chapter[:60]} ({i})", part.blocks))
    pages, outline = pages_of(parts, EPUB_READER, limits.page_chars)
    yield Head("epub", len(pages), tuple(outline), metadata, metadata.get("title", ""))
    yield from pages
    notes = (f"{len(missing)} chapters are missing from the file: {', '.join(missing[:5])}",) if missing else ()
    yield Tail(notes=notes)


# -- the book --------------------------------------------------------------------------------------------------------


def _opf_name(package: Package) -> str:
    container = package.xml("META-INF/container.xml")
    for element in container.iter():
        if isinstance(element.tag, str) and element.tag.endswith("rootfile") and element.get("full-path"):
            return str(element.get("full-path"))
    raise ReadError("is damaged: its container names no book")


def _spine(book: Any, opf: str) -> Iterator[str]:
    """Names of the chapters in reading order."""
    items: dict[str, str] = {}
    for element in book.iter():
        tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
        if tag == "item":
            items[str(element.get("id"))] = str(element.get("href") or "")
    for element in book.iter():
        tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
        if tag == "itemref" and element.get("linear") != "no" and items.get(str(element.get("idref"))):
            href = unquote(items[str(element.get("idref"))].partition("#")[0])
            yield posixpath.normpath(posixpath.join(posixpath.dirname(opf), href))


def _book_metadata(book: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for element in book.iter():
        name = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
        key = {"title": "title", "creator": "author", "subject": "subject"}.get(name)
        if key and key not in found and element.text and element.text.strip():
            found[key] = element.text.strip()[:500]
    return found


# -- one page --------------------------------------------------------------------------------------------------------


def _parsed(data: bytes) -> Any:
    from lxml import html

    text = _text_of(data)
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)  # a declared encoding would contradict decoded text
    text = re.sub(r"<!DOCTYPE[^>\[]*(\[.*?\])?[^>]*>", "", text, count=1, flags=re.S | re.I)
    try:
        root = html.document_fromstring(text or " ", parser=html.HTMLParser(no_network=True, huge_tree=False))
    except (ValueError, html.etree.ParserError, html.etree.XMLSyntaxError):
        raise ReadError("has no text in it") from None
    return root


def _text_of(data: bytes) -> str:
    """By its byte order mark or its charset declaration if they hold, else as text files are decoded."""
    found = _CHARSET.search(data[:4096])
    name = (found[1] or found[2]).decode().lower() if found else ""
    if name in ("gb2312", "gbk"):
        name = "gb18030"  # which holds both, as browsers take it
    if name and not data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        try:
            return data.decode(name)
        except (LookupError, UnicodeDecodeError):
            pass
    return decoded(data)


class _Walk:
    """Gathers running text and gives it out as blocks."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._text: list[str] = []

    def add(self, text: str | None, *, plain: bool = False) -> None:
        if text:
            self._text.append(text if plain else re.sub(r"\s+", " ", text))

    def end(self, level: int = -1, mark: str = "") -> None:
        """A block ends here."""
        text = re.sub(r" *\n *", "\n", "".join(self._text)).strip()
        self._text = []
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        for i, line in enumerate(lines):
            self.blocks.append(Block((mark if i == 0 else "") + line, "text", level if i == 0 else -1))

    def visit(self, element: Any, depth: int = 0) -> None:
        tag = element.tag if isinstance(element.tag, str) else ""
        if not tag or tag in _LEFT_OUT or _hidden(element) or depth > _DEEPEST:
            return
        if tag == "br":
            self._text.append("\n")
            return
        if tag == "table" and _is_data(element):
            self.end()
            self.blocks += _rows(element)
            return
        block = tag in _BLOCKS
        if block:
            self.end()
        self.add(element.text, plain=tag == "pre")
        for child in element:
            self.visit(child, depth + 1)
            self.add(child.tail, plain=tag == "pre")
        if tag in ("sup", "sub") and not block:
            return
        if block:
            level = int(tag[1]) - 1 if re.fullmatch(r"h[1-6]", tag) else -1
            self.end(level, "• " if tag == "li" else "")


def _blocks(root: Any) -> list[Block]:
    walk = _Walk()
    body = root.find(".//body")
    walk.visit(body if body is not None else root)
    walk.end()
    return walk.blocks


def _hidden(element: Any) -> bool:
    style = (element.get("style") or "").replace(" ", "").lower()
    return element.get("hidden") is not None or element.get("aria-hidden") == "true" or "display:none" in style


def _is_data(table: Any) -> bool:
    """A table of data, not one that lays out the page: no table inside, and rows of several cells."""
    if table.find(".//table") is not None or table.get("role") == "presentation":
        return False
    return any(len(row.findall("td")) + len(row.findall("th")) > 1 for row in table.iter("tr"))


def _rows(table: Any) -> Iterator[Block]:
    caption = table.find("caption")
    if caption is not None and "".join(caption.itertext()).strip():
        yield Block(" ".join("".join(caption.itertext()).split()))
    heading = True
    for row in table.iter("tr"):
        cells = [cell for cell in row if cell.tag in ("td", "th")]
        text = "\t".join(" ".join("".join(cell.itertext()).split()) for cell in cells)
        heading = heading and bool(cells) and all(cell.tag == "th" for cell in cells)
        if text.strip():
            yield Block(text, "head" if heading else "row")
