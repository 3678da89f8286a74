"""A page of a stored PDF → a JPEG with the quoted lines highlighted; what a citation opens.

A PDF is untrusted, so a child process draws (kb.page_image_child), within limits on memory, time and pixels. The last
images are kept in memory by (document, page, boxes): turning back and forth costs nothing.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from kb.errors import ReadError
from kb.store import Store
from kb.types import Box, Document

_CHILD = Path(__file__).with_name("page_image_child.py")
_WIDTH = 1400  # pixels: sharp at twice the width of a reading column
_MAX_PIXELS = 20_000_000
_MEMORY_BYTES = 1536 << 20
_CPU_S = 20
_WALL_S = 30.0
_MAX_BOXES = 400
_MAX_JPEG = 40 << 20
_CACHED_BYTES = 48 << 20


class PageImages:
    """Draws pages of stored documents. Safe from any thread; two pages are drawn at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._drawing = threading.BoundedSemaphore(2)
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[str, int, tuple[Box, ...]], bytes] = OrderedDict()
        self._bytes = 0

    def page(self, document: Document, page: int, boxes: Sequence[Box] = ()) -> bytes:
        """The JPEG of `page` (1-based).

        Raises ReadError if it cannot be drawn, StoreError if the original is missing.
        """
        if document.kind != "pdf":
            raise ReadError(f"{document.file} has no page images; its text is shown instead.")
        if not 1 <= page <= document.pages:
            raise ReadError(f"{document.file} has no page {page}; it has {document.pages}.")
        key = (document.id, page, check_boxes(boxes))
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        with self._drawing:
            image = draw_page(self._store.blob(document), page, key[2], file=document.file)
        self._keep(key, image)
        return image

    def _keep(self, key: tuple[str, int, tuple[Box, ...]], image: bytes) -> None:
        with self._lock:
            self._bytes += len(image) - len(self._cache.pop(key, b""))
            self._cache[key] = image
            while self._bytes > _CACHED_BYTES and len(self._cache) > 1:
                _, oldest = self._cache.popitem(last=False)
                self._bytes -= len(oldest)


def check_boxes(boxes: Sequence[Box]) -> tuple[Box, ...]:
    """The boxes, if there are not too many and each is four finite numbers. Raises ReadError."""
    if len(boxes) > _MAX_BOXES:
        raise ReadError(f"Too many boxes for one page ({len(boxes)}; at most {_MAX_BOXES}).")
    for box in boxes:
        if len(box) != 4 or not all(math.isfinite(value) and abs(value) < 1e6 for value in box):
            raise ReadError("A box is four finite numbers: x0, y0, x1, y1 in points.")
    return tuple((float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in boxes)


def draw_page(path: Path, page: int, boxes: Sequence[Box] = (), *, file: str = "", width: int = _WIDTH) -> bytes:
    """Draw one page in a child process. `width` is in pixels. Raises ReadError with the reason."""
    order = {
        "path": str(path),
        "page": page,
        "boxes": [list(box) for box in boxes],
        "width": width,
        "max_pixels": _MAX_PIXELS,
        "memory_bytes": _MEMORY_BYTES,
        "cpu_s": _CPU_S,
    }
    named = f"Page {page} of {file or path.name} cannot be drawn"
    try:
        child = subprocess.run(
            [sys.executable, "-I", str(_CHILD), json.dumps(order)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_WALL_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ReadError(f"{named}: it took longer than {_WALL_S:.0f} s. Its text is shown instead.") from None
    if child.returncode == 3:
        raise ReadError(f"{named}: {child.stderr.decode(errors='replace').strip()[:300]}.")
    if child.returncode != 0 or not child.stdout.startswith(b"\xff\xd8\xff") or len(child.stdout) > _MAX_JPEG:
        raise ReadError(f"{named}: drawing it broke off (over the limits, or the file is damaged).")
    return child.stdout
