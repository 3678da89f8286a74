"""Writes small, valid PDFs for tests: text at given places, in Helvetica or a Chinese font, page boxes, an outline."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Text:
    """One string at its baseline's beginning."""

    x: float
    y: float
    text: str
    size: float = 10.0


@dataclass(frozen=True)
class Sheet:
    """One page."""

    texts: Sequence[Text] = ()
    media: Box = (0, 0, 400, 600)
    crop: Box | None = None
    rotate: int = 0
    content: bytes | None = None
    """Raw content stream in place of `texts`."""


@dataclass
class _Objects:
    bodies: list[bytes] = field(default_factory=list)

    def add(self, body: bytes) -> int:
        self.bodies.append(body)
        return len(self.bodies)


def lines(texts: Sequence[str], *, x: float = 50, top: float = 550, size: float = 10, step: float = 14) -> list[Text]:
    """Texts below one another."""
    return [Text(x, top - i * step, text, size) for i, text in enumerate(texts)]


def pdf(
    sheets: Sequence[Sheet], *, info: Mapping[str, str] | None = None, outline: Sequence[tuple[str, int]] = ()
) -> bytes:
    """The bytes of a PDF. `outline` is (title, 1-based page) at one level."""
    objects = _Objects()
    catalog, pages = objects.add(b""), objects.add(b"")
    latin = objects.add(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    chinese = _chinese_font(objects)
    kids = [_page(objects, sheet, pages, latin, chinese) for sheet in sheets]
    listed = b" ".join(b"%d 0 R" % kid for kid in kids)
    objects.bodies[pages - 1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (listed, len(kids))
    root = b"<< /Type /Catalog /Pages %d 0 R" % pages
    if outline:
        root += b" /Outlines %d 0 R" % _outline(objects, outline, kids)
    objects.bodies[catalog - 1] = root + b" >>"
    trailer = b"/Root %d 0 R" % catalog
    if info:
        entries = b" ".join(b"/%s %s" % (key.encode(), _string(value)) for key, value in info.items())
        trailer += b" /Info %d 0 R" % objects.add(b"<< " + entries + b" >>")
    return _file(objects.bodies, trailer)


def stream(data: bytes) -> bytes:
    """A compressed stream object's body."""
    packed = zlib.compress(data)
    return b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed)


def _chinese_font(objects: _Objects) -> int:
    system = b"/CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 2 >>"
    descriptor = objects.add(
        b"<< /Type /FontDescriptor /FontName /STSong-Light /Flags 6 /FontBBox [0 -200 1000 900] "
        b"/ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 880 /StemV 90 >>"
    )
    descendant = objects.add(
        b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light %s /FontDescriptor %d 0 R /DW 1000 >>"
        % (system, descriptor)
    )
    return objects.add(
        b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [%d 0 R] >>"
        % descendant
    )


def _page(objects: _Objects, sheet: Sheet, parent: int, latin: int, chinese: int) -> int:
    content = sheet.content if sheet.content is not None else b"\n".join(map(_shown, sheet.texts))
    made = objects.add(stream(content))
    body = b"<< /Type /Page /Parent %d 0 R /MediaBox %s /Contents %d 0 R" % (parent, _numbers(sheet.media), made)
    body += b" /Resources << /Font << /F1 %d 0 R /F2 %d 0 R >> >>" % (latin, chinese)
    if sheet.crop:
        body += b" /CropBox " + _numbers(sheet.crop)
    if sheet.rotate:
        body += b" /Rotate %d" % sheet.rotate
    return objects.add(body + b" >>")


def _shown(text: Text) -> bytes:
    if text.text.isascii():
        escaped = text.text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        font, string = b"F1", b"(" + escaped.encode() + b")"
    else:
        font, string = b"F2", b"<" + text.text.encode("utf-16-be").hex().encode() + b">"
    return b"BT /%s %g Tf 1 0 0 1 %g %g Tm %s Tj ET" % (font, text.size, text.x, text.y, string)


def _outline(objects: _Objects, outline: Sequence[tuple[str, int]], kids: Sequence[int]) -> int:
    root = objects.add(b"")
    first = root + 1
    last = root + len(outline)
    for i, (title, page) in enumerate(outline):
        around = (b" /Prev %d 0 R" % (first + i - 1) if i else b"") + (
            b" /Next %d 0 R" % (first + i + 1) if first + i < last else b""
        )
        objects.add(
            b"<< /Title %s /Parent %d 0 R /Dest [%d 0 R /Fit]%s >>" % (_string(title), root, kids[page - 1], around)
        )
    objects.bodies[root - 1] = b"<< /Type /Outlines /First %d 0 R /Last %d 0 R /Count %d >>" % (
        first,
        last,
        len(outline),
    )
    return root


def _string(text: str) -> bytes:
    return b"<FEFF" + text.encode("utf-16-be").hex().encode() + b">"


def _numbers(box: Box) -> bytes:
    return b"[%g %g %g %g]" % box


def _file(bodies: Sequence[bytes], trailer: bytes) -> bytes:
    out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
    offsets = []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, trailer, start)
