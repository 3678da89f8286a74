"""Page numbers of a PDF in, recognised pages out, in order, from a crew of limited children (ingest.ocr_child).

One child a core, each with one page at a time. A child that dies, hangs or sends garbage costs its page only: the page
comes back without text and with the reason, and another child goes on with the next. Where nothing can be recognised
at all (no models, no package), every page says so.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ingest.frames import BrokenFrame, Frames, command, surroundings
from ingest.read import ReadLimits
from kb.types import Box, Line

_VERSION = 2  # raised whenever the same image would give other lines
_START_S = 120.0  # imports and models, on a busy machine
_WALL = 4.0  # wall limit over CPU limit of one page
_KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 29),
}
"""glibc: what a layer of the networks frees is kept for the next, not given back and asked for anew (mallopt(3)). Takes
a fifth off the time of a page, for 5% more memory."""
_CRASHES = 3  # children that may die in a row before the rest of the document is given up


@dataclass(frozen=True, slots=True)
class RecognisedPage:
    """What recognition made of one page. `lines` have boxes on the page as displayed."""

    number: int
    lines: tuple[Line, ...] = ()
    confidence: float | None = None
    rotated: int = 0
    note: str = ""


def ocr_version() -> str:
    """What recognised pages are marked with."""
    try:
        return f"rapidocr-{version('rapidocr')}/{_VERSION}"
    except PackageNotFoundError:
        return "rapidocr"


def recognise(path: Path, numbers: Sequence[int], limits: ReadLimits) -> Generator[RecognisedPage]:
    """Recognise these pages (1-based), giving them in this order. Closing the iterator stops all children."""
    if not numbers:
        return
    crew = _Crew(path, limits, len(numbers))
    try:
        yield from crew.pages(numbers)
    finally:
        crew.stop()


class _Crew:
    """The children that work on one document, one thread to wait for each."""

    def __init__(self, path: Path, limits: ReadLimits, pages: int) -> None:
        cores = len(os.sched_getaffinity(0))
        self._size = max(1, min(limits.ocr_workers or cores, pages))
        self._order = {
            "path": str(path.resolve()),
            "threads": max(1, cores // self._size),
            "memory_bytes": limits.ocr_memory_bytes,
            "page_cpu_s": limits.ocr_page_s,
        }
        self._page_s = limits.ocr_page_s
        self._memory = limits.ocr_memory_bytes
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._children: list[_Child] = []
        self._stopped = False
        self._given_up = ""
        self._crashes = 0
        self._threads = ThreadPoolExecutor(self._size, thread_name_prefix="ocr")

    def pages(self, numbers: Sequence[int]) -> Iterator[RecognisedPage]:
        return self._threads.map(self._page, numbers)

    def stop(self) -> None:
        self._stopped = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for child in self._children:
                child.stop()
        self._threads.shutdown(wait=True)

    def _page(self, number: int) -> RecognisedPage:
        """Runs in a thread of the crew's."""
        if self._given_up or self._stopped:
            return RecognisedPage(number, note=self._given_up)
        try:
            page = self._child().read(number, self._wall())
        except _Unavailable as reason:
            self._given_up = str(reason)
            return RecognisedPage(number, note=self._given_up)
        except _Died as reason:
            self._dismiss()
            self._crashes += 1
            if self._crashes >= _CRASHES:
                self._given_up = f"not recognised: recognition was given up after {self._crashes} failures in a row"
            return RecognisedPage(number, note=f"not recognised: recognition {reason}")
        self._crashes = 0
        return page

    def _wall(self) -> float:
        return _WALL * self._page_s * max(1.0, math.log2(self._size + 1))

    def _child(self) -> _Child:
        child: _Child | None = getattr(self._mine, "child", None)
        if child is None:
            child = _Child(self._order, self._memory)
            with self._lock:
                if self._stopped:
                    child.stop()
                self._children.append(child)
            self._mine.child = child
            child.wait_until_ready()
        return child

    def _dismiss(self) -> None:
        child: _Child = self._mine.child
        self._mine.child = None
        with self._lock:
            self._children.remove(child)
        child.stop()


class _Unavailable(Exception):
    """Recognition cannot work here; str() says why."""


class _Died(Exception):
    """The child is of no more use; str() says what it did, to follow 'recognition'."""


class _Child:
    """One recognising process."""

    def __init__(self, order: dict[str, Any], memory: int) -> None:
        self._memory = memory
        self._process = subprocess.Popen(
            command("ingest.ocr_child", order),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=surroundings(OMP_NUM_THREADS=str(order["threads"]), **_KEEP_MEMORY),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders = self._process.stdin
        self._frames = Frames(self._process.stdout.fileno())

    def wait_until_ready(self) -> None:
        self._answer(_START_S)

    def read(self, number: int, seconds: float) -> RecognisedPage:
        """One page. Raises _Died or _Unavailable."""
        try:
            self._orders.write(b"%d\n" % number)
            self._orders.flush()
        except OSError:
            raise _Died(self._end()) from None
        return _page(self._answer(seconds), number)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            frame = self._frames.read(seconds)
        except TimeoutError:
            raise _Died(f"took longer than {seconds:,.0f} s and was stopped") from None
        except BrokenFrame as broken:
            raise _Died(str(broken)) from None
        if frame is None:
            raise _Died(self._end())
        if "unavailable" in frame:
            raise _Unavailable(f"not recognised: {str(frame['unavailable'])[:200]}")
        if "memory" in frame:
            raise _Died(self._out_of_memory())
        return frame

    def _end(self) -> str:
        """How the process ended."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            return "took longer than its share of processor time and was stopped"
        if code in (-signal.SIGABRT, -signal.SIGTRAP, -signal.SIGILL, -signal.SIGBUS):
            return self._out_of_memory()
        return f"crashed (signal {-code})" if code < 0 else f"stopped (exit code {code})"

    def _out_of_memory(self) -> str:
        return f"ran out of memory (limit {self._memory / (1 << 30):.1f} GiB)"


def _page(frame: dict[str, Any], number: int) -> RecognisedPage:
    """The page of one frame. Raises _Died if it is not one."""
    try:
        if int(frame["page"]) != number:
            raise ValueError(frame["page"])
        lines = tuple(Line(str(text), _box(box), float(size)) for text, box, size in frame.get("lines", ()))
        confidence = frame.get("confidence")
        rotated = int(frame.get("rotated", 0))
        if rotated not in (0, 90, 180, 270):
            raise ValueError(rotated)
        sure = None if confidence is None else min(1.0, max(0.0, float(confidence)))
        return RecognisedPage(number, lines, sure, rotated, str(frame.get("note", ""))[:200])
    except (KeyError, TypeError, ValueError):
        raise _Died("sent a broken page") from None


def _box(box: Any) -> Box:
    x0, y0, x1, y1 = map(float, box)
    if not all(map(math.isfinite, (x0, y0, x1, y1))):
        raise ValueError(box)
    return x0, y0, x1, y1
