"""A PDF in, Head, Pages and Tail out, through a child process that may be killed at any time (ingest.pdf_child).

The parent trusts nothing the child sends: frames have a size limit, are JSON, and become typed values here or the
file is refused. It never waits longer than the wall limit, three times the CPU limit, and names the page at which a
child died. Limits measured on malformed files and bombs: none of 41 hung, all ended within seconds.
"""

from __future__ import annotations

import marshal
import math
import signal
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ingest.frames import BrokenFrame, Frames
from ingest.nursery import Child, nursery
from ingest.ocr import RecognisedPage, ocr_version, recognise
from ingest.read import Head, Reading, ReadLimits, Tail
from kb.errors import ReadError
from kb.settings import OcrWhen
from kb.types import Box, Line, LineRole, OutlineEntry, Page

_LAYOUT_VERSION = 6  # raised whenever ingest.layout or ingest.pdf_child would give other lines
_WALL = 3.0  # wall limit over CPU limit: the machine may be busy
_SOME_IMAGE = 0.05  # share of a page without text that images cover before it is taken for a scan
_MOSTLY_IMAGE = 0.5  # the same for a page with a few letters, a stamp or a page number
_FEW = 120
_LETTERS_DRAWN = 40  # paths on a page without text, from which on they may be its letters
_TAIL_S = 8.0  # how long pypdf may look for what pdfium does not tell, once all pages are here
_ROLES: dict[str, LineRole] = {"head": "head", "row": "row", "note": "note"}
_ABORTS = {signal.SIGABRT, signal.SIGTRAP, signal.SIGILL, signal.SIGBUS}


def read_pdf(path: Path, limits: ReadLimits, first_page: int = 1) -> Reading:
    """Read `path` from `first_page` on.

    Pages come as they are read until the first that must be recognised; all after it wait for the text of the whole
    document, so that a document that cannot be read is refused before minutes are spent on its images.

    Raises ReadError when the document cannot be read as a whole: damaged, encrypted, without pages, over a limit,
    or because the child crashed; the message says at which page.
    """
    child = _Child(path, limits, first_page)
    waiting: list[bytes] = []  # packed: all pages of a book may wait for the image of its cover
    numbers: list[int] = []
    tail = Tail()
    try:
        for event in child.events():
            if isinstance(event, Tail):
                tail = event
            elif isinstance(event, Head):
                yield event
            else:
                if _wanted(event, limits.ocr):
                    numbers.append(event.page.number)
                if numbers:
                    waiting.append(_packed(event))
                else:
                    yield _unrecognised(event, limits.ocr)
    finally:
        child.stop()
    with closing(recognise(path, numbers, limits)) as recognised:
        for packed in waiting:
            read = _unpacked(packed)
            wanted = _wanted(read, limits.ocr)
            yield _with_recognised(read, next(recognised)) if wanted else _unrecognised(read, limits.ocr)
    yield tail


def reader_version() -> str:
    """What pages read by this installation are marked with."""
    return f"pdfium-{version('pypdfium2')}/{_LAYOUT_VERSION}"


@dataclass(frozen=True, slots=True)
class _Read:
    """A page's text as its file has it, and what tells whether its image must be read instead."""

    page: Page
    images: float
    """The share of the page that images cover."""
    paths: int
    garbled: str
    """Why its text is garbage; empty if it is not."""


def _wanted(read: _Read, when: OcrWhen) -> bool:
    """Whether the page's image is to be recognised."""
    if when != "auto":
        return when == "always"
    letters = sum(map(str.isalnum, read.page.text))
    drawn = read.images >= _SOME_IMAGE or read.paths >= _LETTERS_DRAWN
    return bool(read.garbled) or (not letters and drawn) or (letters < _FEW and read.images >= _MOSTLY_IMAGE)


def _unrecognised(read: _Read, when: OcrWhen) -> Page:
    """The page by its own text; garbage is left out, because a wrong number in it could be quoted."""
    page = read.page
    if read.garbled:
        note = f"its text is garbage ({read.garbled}) and was left out; recognition is off (setting ocr)"
        return replace(page, lines=(), garbled=True, note=note)
    if not page.lines and not page.note:
        unread = when == "never" and read.images >= _SOME_IMAGE
        return replace(page, note="an image without text; recognition is off (setting ocr)" if unread else "no text")
    return page


def _with_recognised(read: _Read, found: RecognisedPage) -> Page:
    """The page by what was recognised; by its own text if that is sound and recognition gave less."""
    page = read.page
    letters = sum(map(str.isalnum, page.text))
    less = sum(sum(map(str.isalnum, line.text)) for line in found.lines) < letters
    if less and not read.garbled:
        return replace(page, note="; ".join(filter(None, (page.note, found.note))))
    notes = [f"its text is garbage ({read.garbled})" if read.garbled else "", found.note]
    return replace(
        page,
        lines=found.lines,
        reader=f"{page.reader}+{ocr_version()}",
        note="; ".join(filter(None, notes)),
        source="ocr",
        confidence=found.confidence,
        rotated=found.rotated,
        garbled=bool(read.garbled),
    )


def _packed(read: _Read) -> bytes:
    page = read.page
    lines = [(line.text, line.box, line.size, line.role, line.bold) for line in page.lines]
    rest = (page.number, page.width, page.height, page.label, page.reader, page.note, page.tables)
    return zlib.compress(marshal.dumps((rest, lines, read.images, read.paths, read.garbled)), 1)


def _unpacked(packed: bytes) -> _Read:
    (number, width, height, label, reader, note, tables), lines, *read = marshal.loads(zlib.decompress(packed))
    made = tuple(Line(*line) for line in lines)
    page = Page(number, made, width, height, label, reader, note, tables=tables)
    return _Read(page, *read)


class _Child:
    """One reading process and the frames it sends."""

    def __init__(self, path: Path, limits: ReadLimits, first_page: int) -> None:
        self._limits = limits
        self._page = first_page
        self._reader = ""
        self._error = ""
        self._all_read = False
        self._wall_s = _WALL * limits.cpu_s
        self._process = _start(path, limits, first_page)
        self._frames = Frames(self._process.stdout.fileno())

    def events(self) -> Iterator[Head | _Read | Tail]:
        tail = Tail()
        for frame in self._read_frames():
            if "head" in frame:
                head = _head(frame["head"], self._limits)
                self._reader = reader_version()
                self._wall_s = _WALL * (self._limits.cpu_s + self._limits.cpu_s_per_page * head.pages)
                yield head
            elif "page" in frame:
                read = _page(frame["page"], self._page, self._reader)
                self._page += 1
                yield read
            elif "read" in frame:
                self._all_read = True
                self._wall_s = min(self._wall_s, self._frames.waited + _TAIL_S)
            elif "tail" in frame:
                tail = _tail(frame["tail"])
            else:
                self._error = str(frame.get("error", ""))[:300]
        if not self._all_read:
            raise ReadError(self._reason())
        yield tail

    def stop(self) -> None:
        """Kill the child if it still runs, and leave no zombie."""
        self._frames.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def _read_frames(self) -> Iterator[dict[str, Any]]:
        """Frames until the child closes its pipe or the wall limit is reached."""
        while True:
            try:
                frame = self._frames.read(max(0.0, self._wall_s - self._frames.waited))
            except TimeoutError:
                if not self._all_read:
                    self._error = "time"
                return
            except BrokenFrame as broken:
                raise ReadError(f"could not be read: its reader {broken} at page {self._page}") from None
            if frame is None:
                return
            yield frame

    def _reason(self) -> str:
        """Why the child did not finish."""
        at = f"at page {self._page}" if self._reader else "while it was being opened"
        if self._error == "time":
            self._process.kill()
            return f"took longer than {self._wall_s:,.0f} s and was stopped {at}"
        if self._error and self._error != "memory":
            return self._error
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if code == -signal.SIGXCPU or code == -signal.SIGKILL:
            return f"took longer than its share of processor time and was stopped {at}"
        if self._error == "memory" or -code in _ABORTS:
            return f"ran out of memory (limit {self._limits.memory_bytes / (1 << 30):.1f} GiB) {at}"
        if code < 0:
            return f"crashed its reader (signal {-code}) {at}"
        return f"stopped its reader (exit code {code}) {at}"


def _start(path: Path, limits: ReadLimits, first_page: int) -> Child:
    return nursery().start(
        {
            "path": str(path.resolve()),
            "first_page": first_page,
            "max_pages": limits.pages,
            "max_page_chars": limits.page_chars,
            "cpu_s": limits.cpu_s,
            "cpu_s_per_page": limits.cpu_s_per_page,
            "memory_bytes": limits.memory_bytes,
        }
    )


# -- frames to values ------------------------------------------------------------------------------------------------


def _head(head: dict[str, Any], limits: ReadLimits) -> Head:
    try:
        pages = int(head["pages"])
        if not 1 <= pages <= limits.pages:
            raise ValueError(pages)
        return Head("pdf", pages, _outline(head["outline"], pages), _metadata(head["metadata"]))
    except (KeyError, TypeError, ValueError):
        raise ReadError("could not be read: its reader sent a broken head") from None


def _page(page: dict[str, Any], number: int, reader: str) -> _Read:
    try:
        if int(page["number"]) != number:
            raise ValueError(page["number"])
        lines = tuple(
            Line(str(text), _box(box), float(size), _role(role), bold is True)
            for text, box, size, role, bold in page["lines"]
        )
        read = Page(
            number,
            lines,
            width=_finite(page["width"]),
            height=_finite(page["height"]),
            label=str(page["label"])[:40],
            reader=reader,
            note=str(page["note"])[:200],
            tables=int(page.get("tables", 0)),
        )
        images, paths = _finite(page.get("images", 0.0)), int(page.get("paths", 0))
        return _Read(read, images, paths, str(page.get("garbled", ""))[:200])
    except (KeyError, TypeError, ValueError):
        raise ReadError(f"could not be read: its reader sent a broken page {number}") from None


def _tail(tail: dict[str, Any]) -> Tail:
    try:
        return Tail(_outline(tail["outline"], 1 << 30), _metadata(tail["metadata"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return Tail()  # it is only an extra


def _role(role: Any) -> LineRole:
    return _ROLES.get(role, "text") if isinstance(role, str) else "text"


def _box(box: Any) -> Box | None:
    if box is None:
        return None
    x0, y0, x1, y1 = map(float, box)
    _finite(x0 + y0 + x1 + y1)
    return x0, y0, x1, y1


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _outline(entries: Any, pages: int) -> tuple[OutlineEntry, ...]:
    found = (OutlineEntry(str(title), int(level), int(page)) for title, level, page in entries)
    return tuple(entry for entry in found if entry.title and 1 <= entry.page <= pages)


def _metadata(found: dict[str, Any]) -> dict[str, str]:
    return {str(key)[:40]: str(value) for key, value in found.items() if value}
