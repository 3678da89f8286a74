"""What a reading child sends: frames on its standard output, each a 4-byte length and one JSON object.

The parent trusts none of it: a frame has a size limit, must be a JSON object, and is waited for only so long. All
children (ingest.pdf_child, ingest.office_child, ingest.ocr_child) send with `send` and are read with `Frames`.
"""

from __future__ import annotations

import json
import os
import selectors
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import ingest

_LARGEST = 64 << 20


class BrokenFrame(Exception):
    """The child sent something that is no frame; str() says what, to follow 'its reader'."""


class Frames:
    """The frames that arrive on a pipe."""

    waited: float = 0.0
    """Seconds spent waiting for them. What the receiver does with a frame takes nobody's time but its own: a child's
    limit is held against this, not against the clock."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._buffer = bytearray()
        self._selector = selectors.DefaultSelector()
        self._selector.register(pipe, selectors.EVENT_READ)

    def read(self, seconds: float) -> dict[str, Any] | None:
        """The next frame; None if the pipe is closed. Raises TimeoutError after `seconds`, BrokenFrame for garbage."""
        started = time.monotonic()
        try:
            return self._read(started + seconds)
        finally:
            self.waited += time.monotonic() - started

    def _read(self, deadline: float) -> dict[str, Any] | None:
        while True:
            size = int.from_bytes(self._buffer[:4], "big") if len(self._buffer) >= 4 else 0
            if size > _LARGEST:
                raise BrokenFrame("sent something implausibly large")
            if len(self._buffer) >= 4 + size > 4:
                data = bytes(self._buffer[4 : 4 + size])
                del self._buffer[: 4 + size]
                return _parsed(data)
            left = deadline - time.monotonic()
            if left <= 0 or not self._selector.select(left):
                raise TimeoutError
            chunk = os.read(self._pipe, 1 << 18)
            if not chunk:
                return None
            self._buffer += chunk

    def close(self) -> None:
        """Stop watching the pipe, which stays open."""
        self._selector.close()


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        frame = json.loads(data)
    except ValueError:
        frame = None
    if not isinstance(frame, dict):
        raise BrokenFrame("sent something that is no data")
    return frame


def send(out: BinaryIO, frame: dict[str, Any]) -> None:
    """Write one frame and flush it."""
    data = json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    out.write(len(data).to_bytes(4, "big") + data)
    out.flush()


def command(module: str, order: dict[str, Any]) -> list[str]:
    """How a child is started: this Python, nothing of the caller's surroundings, its order as one argument."""
    return [sys.executable, "-P", "-m", module, json.dumps(order)]


def surroundings(**more: str) -> dict[str, str]:
    """The environment of a child."""
    root = str(Path(ingest.__file__).resolve().parent.parent)
    return {"PYTHONPATH": root, "PYTHONUTF8": "1", "PATH": os.defpath, "MALLOC_ARENA_MAX": "1", **more}
