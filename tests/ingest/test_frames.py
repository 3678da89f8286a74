"""Frames from a reading child: only waiting for them counts against the child."""

from __future__ import annotations

import os
import time

import pytest

from ingest.frames import Frames, send


def test_what_the_receiver_does_between_frames_is_not_the_childs_time() -> None:
    """Lost: on a busy machine a long record file is refused as too slow, because storing its passages took so long."""
    out, into = os.pipe()
    frames = Frames(out)
    with os.fdopen(into, "wb") as pipe:
        send(pipe, {"page": 1})
        send(pipe, {"page": 2})
        pipe.flush()
        assert frames.read(10) == {"page": 1}
        time.sleep(0.5)
        assert frames.read(10) == {"page": 2}
        assert frames.waited < 0.25
        with pytest.raises(TimeoutError):
            frames.read(0.3)
        assert frames.waited >= 0.3
    frames.close()
    os.close(out)
