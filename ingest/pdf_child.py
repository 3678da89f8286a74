"""The reading child: one PDF in, framed JSON on standard output. Runs under hard limits and may die at any point.

Nothing it writes is trusted or executed by the parent (ingest.read_pdf): each frame is a 4-byte length and a JSON
object {"head": …}, {"page": …}, {"tail": …} or {"error": reason}. One process per document, because pdfium forbids
threads and a malformed file must not be able to hurt anything else. Text and boxes both come from pdfium's character
list, so that they cannot disagree; pypdf runs last, over what pdfium does not tell, and may fail without harm.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import signal
from array import array
from collections import deque
from functools import lru_cache
from itertools import repeat
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from ingest.drawn import Drawn, drawn_on, function
from ingest.frames import send
from ingest.garbled import garbled
from ingest.layout import Before, page_lines
from ingest.pieces import HYPHEN, Characters
from kb.types import Box

_DIAGNOSIS_S = 5
_OUTLINE_MOST = 20_000
_METADATA_LONGEST = 500
_Address = ctypes.c_void_p


_get_unicode = function("FPDFText_GetUnicode", ctypes.c_int, _Address, ctypes.c_int)
_get_char_box = function(
    "FPDFText_GetCharBox", ctypes.c_int, _Address, ctypes.c_int, _Address, _Address, _Address, _Address
)  # (page, index, left, right, bottom, top)
_get_cell_box = function(
    "FPDFText_GetLooseCharBox", ctypes.c_int, _Address, ctypes.c_int, _Address
)  # FS_RECTF: l, t, r, b


_get_font = function(
    "FPDFText_GetFontInfo", ctypes.c_ulong, _Address, ctypes.c_int, _Address, ctypes.c_ulong, _Address
)  # name to buffer, flags
_FONT_NAME = 80
_BOLD = re.compile("bold|black|heavy|demi|[-_,. ]bd|黑体|simhei|heiti|粗", re.IGNORECASE)


@lru_cache(maxsize=256)
def _is_bold(name: bytes) -> bool:
    """Whether a font is a bold one, by its name: pdfium derives one and the same weight for both faces of many."""
    return bool(_BOLD.search(name.decode("utf-8", "ignore")))


class Refused(Exception):
    """The document cannot be read; str() is the reason for the reader."""


def main(order_json: str) -> None:
    """What a child of ingest.nursery does with its order: see ingest.read_pdf for the fields. Never returns."""
    order = json.loads(order_json)
    out = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    os.dup2(2, 1)  # whatever prints must not disturb the frames
    _set_limits(order)
    try:
        _read(order, out)
    except Refused as refusal:
        send(out, {"error": str(refusal)})
    except MemoryError:
        send(out, {"error": "memory"})
    out.close()
    os._exit(0)  # pdfium's own teardown of a broken document is not worth the risk


def _set_limits(order: dict[str, Any]) -> None:
    memory = int(order["memory_bytes"])
    cpu = max(1, round(order["cpu_s"]))
    most = cpu + round(order["cpu_s_per_page"] * order["max_pages"]) + 1
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _allow_time(order: dict[str, Any], pages: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = round(order["cpu_s"] + order["cpu_s_per_page"] * pages)
    resource.setrlimit(resource.RLIMIT_CPU, (min(max(1, wanted), most), most))


def _read(order: dict[str, Any], out: Any) -> None:
    pdf = _open(order["path"], out)
    count = len(pdf)
    if count == 0:
        raise Refused("has no pages")
    if count > order["max_pages"]:
        raise Refused(f"has {count:,} pages, more than the limit of {order['max_pages']:,} (max_pages)")
    _allow_time(order, count)
    outline = _outline(pdf)
    metadata = _metadata(pdf)
    send(out, {"head": {"pages": count, "outline": outline or [], "metadata": metadata or {}}})
    labels = _labels(pdf, count)
    before = Before()
    for index in range(order["first_page"] - 1, count):
        page, before = _page(pdf, index, labels.get(index, ""), order["max_page_chars"], before)
        send(out, {"page": page})
    send(out, {"read": count})
    if outline is None or metadata is None:
        send(out, {"tail": _from_pypdf(order["path"])})


def _open(path: str, out: Any) -> Any:
    with open(path, "rb") as file:
        if b"%PDF-" not in file.read(1 << 16):
            raise Refused("is not a PDF (no %PDF- mark at its beginning)")
    try:
        return pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        code = getattr(error, "err_code", None)
    plain = {
        raw.FPDF_ERR_PASSWORD: "is encrypted and needs a password: save a copy without one and add that",
        raw.FPDF_ERR_SECURITY: "is encrypted in a way that cannot be opened: ask its source for an open copy",
    }.get(code, "is damaged: its structure cannot be read as a PDF")
    # Once this is sent, pypdf may say more, fail, or be stopped by the alarm.
    send(out, {"error": plain})
    signal.alarm(_DIAGNOSIS_S)
    raise Refused(_diagnosis(path) or plain)


def _diagnosis(path: str) -> str:
    """What pypdf finds in a document that pdfium does not open; '' if nothing better than what was said."""
    import logging

    import pypdf

    logging.disable(logging.CRITICAL)
    reader = pypdf.PdfReader(path)
    encryption = reader.trailer.get("/Encrypt")
    if encryption is not None:
        cipher = str(encryption.get_object().get("/Filter", "/Standard")).lstrip("/")
        return "" if cipher == "Standard" else f"is encrypted by {cipher}, which cannot be opened: ask for an open copy"
    return "" if len(reader.pages) else "has no pages"


# -- one page --------------------------------------------------------------------------------------------------------


def _page(pdf: Any, index: int, label: str, most: int, before: Before) -> tuple[dict[str, Any], Before]:
    """One page as a frame. A page that pdfium cannot load is kept, without text and with a note."""
    page = raw.FPDF_LoadPage(pdf.raw, index)
    if not page:
        return _frame(index, label, note="the page is damaged and could not be read"), Before()
    try:
        crop, rotation = _geometry(page)
        width, height = crop[2] - crop[0], crop[3] - crop[1]
        drawn = drawn_on(page)
        facts: dict[str, Any] = {"images": _covered(drawn, crop), "paths": drawn.paths}
        if rotation in (1, 3):
            width, height = height, width
        textpage = raw.FPDFText_LoadPage(page)
        if not textpage:
            return _frame(index, label, width, height, note="the page's text could not be read", **facts), Before()
        try:
            found = raw.FPDFText_CountChars(textpage)
            if found <= 0:
                return _frame(index, label, width, height, **facts), Before()
            characters = _characters(textpage, min(found, most), crop, rotation)
            rules = [_displayed(rule, crop, rotation) for rule in drawn.rules]
            arranged = page_lines(characters, width, before, rules)
        finally:
            raw.FPDFText_ClosePage(textpage)
    finally:
        raw.FPDF_ClosePage(page)
    note = f"cut at {most:,} of {found:,} characters (max_page_chars)" if found > most else ""
    shown = [[line.text, line.box, line.size, line.role, line.bold] for line in arranged.lines]
    facts["garbled"] = garbled("\n".join(line.text for line in arranged.lines))
    facts["tables"] = arranged.tables
    return _frame(index, label, width, height, note=note, lines=shown, **facts), arranged.before


def _frame(index: int, label: str, width: float = 0.0, height: float = 0.0, **more: Any) -> dict[str, Any]:
    """What ingest.read_pdf makes a page of; see there."""
    frame = {"number": index + 1, "label": label, "width": width, "height": height, "note": "", "lines": ()}
    return {**frame, "images": 0.0, "paths": 0, "garbled": "", "tables": 0, **more}


def _covered(drawn: Drawn, crop: Box) -> float:
    """The share of the page that images cover; those over one another count twice, up to the whole page."""
    area = (crop[2] - crop[0]) * (crop[3] - crop[1])
    if area <= 0:
        return 0.0
    covered = 0.0
    for x0, y0, x1, y1 in drawn.images:
        width, height = min(x1, crop[2]) - max(x0, crop[0]), min(y1, crop[3]) - max(y0, crop[1])
        covered += max(0.0, width) * max(0.0, height)
    return round(min(1.0, covered / area), 3)


def _geometry(page: Any) -> tuple[Box, int]:
    """The visible part of the page in its own coordinates, and the quarter turns (clockwise) it is shown with."""
    box = raw.FS_RECTF()
    raw.FPDF_GetPageBoundingBox(page, box)
    rotation = raw.FPDFPage_GetRotation(page)
    return (box.left, box.bottom, box.right, box.top), rotation % 4 if rotation >= 0 else 0


def _characters(textpage: Any, count: int, crop: Box, rotation: int) -> Characters:
    handle = ctypes.cast(textpage, _Address).value
    text = _text(textpage, handle, count)
    boxes = array("d", bytes(32 * count))
    start, _ = boxes.buffer_info()
    columns = (range(start + 8 * k, start + 32 * count, 32) for k in range(4))
    deque(map(_get_char_box, repeat(handle), range(count), *columns), maxlen=0)
    left, right, bottom, top = (boxes[k::4] for k in range(4))
    for found in re.finditer(r"\s", text):
        at = found.start()
        left[at] = bottom[at] = float("inf")
        right[at] = top[at] = float("-inf")
    cell = array("f", bytes(16))
    cell_at, _ = cell.buffer_info()

    def cell_box(index: int) -> Box:
        original = index if kept is None else kept[index]
        if not _get_cell_box(handle, original, cell_at):
            return left[index], bottom[index], right[index], top[index]
        return _displayed((cell[0], cell[3], cell[2], cell[1]), crop, rotation)

    name = ctypes.create_string_buffer(_FONT_NAME)
    name_at, is_bold = ctypes.addressof(name), _is_bold

    def bold(index: int) -> bool:
        original = index if kept is None else kept[index]
        length = _get_font(handle, original, name_at, _FONT_NAME, None)
        return is_bold(name.raw[: min(length, _FONT_NAME)]) if length > 1 else False

    kept = _visible(left, right, bottom, top, crop)
    if kept is not None:
        text = "".join(text[i] for i in kept)
        left, right, bottom, top = (array("d", (a[i] for i in kept)) for a in (left, right, bottom, top))
    if rotation or crop[0] or crop[1]:
        turned = [_displayed(box, crop, rotation) for box in zip(left, bottom, right, top, strict=True)]
        left, bottom, right, top = (array("d", (box[k] for box in turned)) for k in range(4))
    return Characters(text, left, right, bottom, top, cell_box, bold)


def _text(textpage: Any, handle: int | None, count: int) -> str:
    """The characters, one code point each, index for index with their boxes.

    pdfium's bulk call is far quicker but leaves out control characters and doubles those beyond U+FFFF, so it is
    used only where its length proves that it did neither.
    """
    buffer = (ctypes.c_ushort * (2 * count + 2))()
    units = raw.FPDFText_GetText(textpage, 0, count, buffer) - 1
    if units == count:
        text = bytes(buffer)[: 2 * units].decode("utf-16-le", "surrogatepass")
        if len(text) == count and not re.search("[\ud800-\udfff]", text):
            return text.replace("\x00", " ")
    codes = list(map(_get_unicode, repeat(handle), range(count)))
    for index in (i for i, code in enumerate(codes) if code == 2):
        codes[index] = ord(HYPHEN) if raw.FPDFText_IsHyphen(textpage, index) == 1 else 32
    return "".join(map(_one_character, codes))


def _one_character(code: int) -> str:
    if code == 0 or 0xD800 <= code < 0xE000 or not 0 < code < 0x110000:
        return "\ufffd" if code else " "
    return chr(code)


def _visible(left: array[float], right: array[float], bottom: array[float], top: array[float], crop: Box) -> Any:
    """Indices of the characters within the crop box; None if all are."""
    x0, y0, x1, y1 = crop
    if not left or (min(left) >= x0 and max(right) <= x1 and min(bottom) >= y0 and max(top) <= y1):
        return None
    kept: list[int] = []
    for index, (a, b, c, d) in enumerate(zip(left, right, bottom, top, strict=True)):
        if a > b or (x0 <= (a + b) / 2 <= x1 and y0 <= (c + d) / 2 <= y1):
            kept.append(index)
    return kept


def _displayed(box: Box, crop: Box, rotation: int) -> Box:
    """A box in the page's own coordinates → on the page as displayed, from its lower left corner."""
    x0, y0, x1, y1 = box
    if rotation == 1:
        return y0 - crop[1], crop[2] - x1, y1 - crop[1], crop[2] - x0
    if rotation == 2:
        return crop[2] - x1, crop[3] - y1, crop[2] - x0, crop[3] - y0
    if rotation == 3:
        return crop[3] - y1, x0 - crop[0], crop[3] - y0, x1 - crop[0]
    return x0 - crop[0], y0 - crop[1], x1 - crop[0], y1 - crop[1]


# -- what the document says of itself --------------------------------------------------------------------------------


def _outline(pdf: Any) -> list[list[Any]] | None:
    """[title, level, page] of each bookmark that leads to a page; None if the outline is broken."""
    entries: list[list[Any]] = []
    try:
        for bookmark in pdf.get_toc(max_depth=12):
            target = bookmark.get_dest()
            page = target.get_index() if target else None
            title = bookmark.get_title().strip()
            if title and page is not None and page >= 0:
                entries.append([title[:_METADATA_LONGEST], bookmark.level, page + 1])
            if len(entries) >= _OUTLINE_MOST:
                break
    except (pdfium.PdfiumError, ValueError, RecursionError):
        return None
    return entries


def _metadata(pdf: Any) -> dict[str, str] | None:
    try:
        found = pdf.get_metadata_dict(skip_empty=True)
        attachments = max(0, pdf.count_attachments())
        names = [pdf.get_attachment(i).get_name()[:80] for i in range(min(attachments, 50))]
    except (pdfium.PdfiumError, ValueError):
        return None
    metadata = {str(key).lower(): str(value)[:_METADATA_LONGEST] for key, value in found.items()}
    if attachments:
        metadata["attachments"] = f"{attachments}: " + "; ".join(names)
    return metadata


def _labels(pdf: Any, count: int) -> dict[int, str]:
    """Printed page numbers, where the document states them."""
    labels: dict[int, str] = {}
    for index in range(count):
        try:
            label = pdf.get_page_label(index)
        except (pdfium.PdfiumError, ValueError):
            continue
        if label:
            labels[index] = label[:40]
    return labels


def _from_pypdf(path: str) -> dict[str, Any]:
    """Metadata and the outline as pypdf sees them. Whatever it raises ends the child, not the
    document: all pages have been sent by now."""
    import logging

    import pypdf

    logging.disable(logging.CRITICAL)
    reader = pypdf.PdfReader(path)
    if reader.is_encrypted:
        reader.decrypt("")
    metadata = {
        str(key).lstrip("/").lower(): str(value).strip()[:_METADATA_LONGEST]
        for key, value in (reader.metadata or {}).items()
    }
    return {"metadata": metadata, "outline": list(_flat(reader, reader.outline, 0))[:_OUTLINE_MOST]}


def _flat(reader: Any, entries: Any, level: int) -> Any:
    for entry in entries:
        if isinstance(entry, list):
            if level < 12:
                yield from _flat(reader, entry, level + 1)
            continue
        page = reader.get_destination_page_number(entry)
        title = str(entry.title).strip()
        if title and page is not None and page >= 0:
            yield [title[:_METADATA_LONGEST], level, page + 1]
