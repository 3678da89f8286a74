"""A PDF in, Head, Pages and Tail out, through a child process that may be killed at any time (ingest.pdf_child).

The parent trusts nothing the child sends: frames have a size limit, are JSON, and become typed values here or the
file is refused. It never waits longer than the wall limit, three times the CPU limit, and names the page at which a
child died. Limits measured on malformed files and bombs: none of 41 hung, all ended within seconds.
"""

from __future__ import annotations

import json
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ingest
from ingest.read import Head, ReadEvent, Reading, ReadLimits, Tail
from kb.errors import ReadError
from kb.types import Box, Line, OutlineEntry, Page

_LAYOUT_VERSION = 2  # raised whenever ingest.layout or ingest.pdf_child would give other lines
_WALL = 3.0  # wall limit over CPU limit: the machine may be busy
_TAIL_S = 8.0  # how long pypdf may look for what pdfium does not tell, once all pages are here
_FRAME_MOST = 64 << 20
_ABORTS = {signal.SIGABRT, signal.SIGTRAP, signal.SIGILL, signal.SIGBUS}


def read_pdf(path: Path, limits: ReadLimits, first_page: int = 1) -> Reading:
    """Read `path` from `first_page` on.

    Raises ReadError when the document cannot be read as a whole: damaged, encrypted, without pages, over a limit,
    or because the child crashed; the message says at which page.
    """
    child = _Child(path, limits, first_page)
    try:
        yield from child.events()
    finally:
        child.stop()


def reader_version() -> str:
    """What pages read by this installation are marked with."""
    return f"pdfium-{version('pypdfium2')}/{_LAYOUT_VERSION}"


class _Child:
    """One reading process and the frames it sends."""

    def __init__(self, path: Path, limits: ReadLimits, first_page: int) -> None:
        self._limits = limits
        self._page = first_page
        self._reader = ""
        self._error = ""
        self._all_read = False
        self._buffer = bytearray()
        self._started = time.monotonic()
        self._deadline = self._started + _WALL * limits.cpu_s
        self._process = _start(path, limits, first_page)
        assert self._process.stdout is not None
        self._pipe = self._process.stdout.fileno()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe, selectors.EVENT_READ)

    def events(self) -> Iterator[ReadEvent]:
        tail = Tail()
        for frame in self._frames():
            if "head" in frame:
                head = _head(frame["head"], self._limits)
                self._reader = reader_version()
                self._deadline = self._started + _WALL * (self._limits.cpu_s + self._limits.cpu_s_per_page * head.pages)
                yield head
            elif "page" in frame:
                page = _page(frame["page"], self._page, self._reader)
                self._page += 1
                yield page
            elif "read" in frame:
                self._all_read = True
                self._deadline = min(self._deadline, time.monotonic() + _TAIL_S)
            elif "tail" in frame:
                tail = _tail(frame["tail"])
            else:
                self._error = str(frame.get("error", ""))[:300]
        if not self._all_read:
            raise ReadError(self._reason())
        yield tail

    def stop(self) -> None:
        """Kill the child if it still runs, and leave no zombie."""
        self._selector.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _frames(self) -> Iterator[dict[str, Any]]:
        """Frames until the child closes its pipe or the wall limit is reached."""
        while True:
            while len(self._buffer) >= 4:
                size = int.from_bytes(self._buffer[:4], "big")
                if size > _FRAME_MOST:
                    raise ReadError(f"could not be read: page {self._page} is implausibly large")
                if len(self._buffer) < 4 + size:
                    break
                data = bytes(self._buffer[4 : 4 + size])
                del self._buffer[: 4 + size]
                yield _parsed(data)
            left = self._deadline - time.monotonic()
            if left <= 0 or not self._selector.select(left):
                if not self._all_read:
                    self._error = "time"
                return
            chunk = os.read(self._pipe, 1 << 18)
            if not chunk:
                return
            self._buffer += chunk

    def _reason(self) -> str:
        """Why the child did not finish."""
        at = f"at page {self._page}" if self._reader else "while it was being opened"
        if self._error == "time":
            self._process.kill()
            return f"took longer than {self._deadline - self._started:,.0f} s and was stopped {at}"
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


def _start(path: Path, limits: ReadLimits, first_page: int) -> subprocess.Popen[bytes]:
    order = {
        "path": str(path.resolve()),
        "first_page": first_page,
        "max_pages": limits.pages,
        "max_page_chars": limits.page_chars,
        "cpu_s": limits.cpu_s,
        "cpu_s_per_page": limits.cpu_s_per_page,
        "memory_bytes": limits.memory_bytes,
    }
    root = str(Path(ingest.__file__).resolve().parent.parent)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "ingest.pdf_child", json.dumps(order)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PYTHONPATH": root, "PYTHONUTF8": "1", "PATH": os.defpath, "MALLOC_ARENA_MAX": "1"},
        start_new_session=True,  # Ctrl-C belongs to the parent, which then stops the child itself
    )


# -- frames to values ------------------------------------------------------------------------------------------------


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        frame = json.loads(data)
    except ValueError:
        frame = None
    if not isinstance(frame, dict):
        raise ReadError("could not be read: its reader sent something that is no data")
    return frame


def _head(head: dict[str, Any], limits: ReadLimits) -> Head:
    try:
        pages = int(head["pages"])
        if not 1 <= pages <= limits.pages:
            raise ValueError(pages)
        return Head("pdf", pages, _outline(head["outline"], pages), _metadata(head["metadata"]))
    except (KeyError, TypeError, ValueError):
        raise ReadError("could not be read: its reader sent a broken head") from None


def _page(page: dict[str, Any], number: int, reader: str) -> Page:
    try:
        if int(page["number"]) != number:
            raise ValueError(page["number"])
        lines = tuple(Line(str(text), _box(box), float(size)) for text, box, size in page["lines"])
        return Page(
            number,
            lines,
            width=_finite(page["width"]),
            height=_finite(page["height"]),
            label=str(page["label"])[:40],
            reader=reader,
            note=str(page["note"])[:200],
        )
    except (KeyError, TypeError, ValueError):
        raise ReadError(f"could not be read: its reader sent a broken page {number}") from None


def _tail(tail: dict[str, Any]) -> Tail:
    try:
        return Tail(_outline(tail["outline"], 1 << 30), _metadata(tail["metadata"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return Tail()  # it is only an extra


def _box(box: Any) -> Box | None:
    if box is None:
        return None
    x0, y0, x1, y1 = (_finite(value) for value in box)
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
