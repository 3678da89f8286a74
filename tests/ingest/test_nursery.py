"""The warm process that readers are forked from: a document costs milliseconds to begin, and hurts no other."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from ingest.nursery import Child, Nursery
from ingest.read import ReadLimits
from tests.ingest.tiny_pdf import Sheet, lines, pdf


@pytest.fixture
def nursery():
    made = Nursery()
    yield made
    made.close()


def order(path: Path, **more: object) -> dict[str, object]:
    limits = ReadLimits()
    return {
        "path": str(path), "first_page": 1, "max_pages": 9, "max_page_chars": 999, "cpu_s": limits.cpu_s,
        "cpu_s_per_page": 0.2, "memory_bytes": limits.memory_bytes, **more,
    }  # fmt: skip


def ended(child: Child) -> tuple[bytes, int]:
    with child.stdout as pipe:
        return pipe.read(), child.wait(timeout=30)


def test_each_document_has_a_process_of_its_own_and_one_that_dies_hurts_no_other(
    nursery: Nursery, tmp_path: Path
) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf([Sheet(lines(["Take 500 mg"]))]))
    os.mkfifo(tmp_path / "waits")
    waiting = nursery.start(order(tmp_path / "waits"))
    said, code = ended(nursery.start(order(path)))
    assert b"Take 500 mg" in said
    assert code == 0
    assert waiting.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=0.1)
    waiting.kill()
    assert ended(waiting) == (b"", -signal.SIGKILL)
    assert b"Take 500 mg" in ended(nursery.start(order(path)))[0]


def test_a_nursery_that_was_killed_is_replaced(nursery: Nursery, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf([Sheet(lines(["Take 500 mg"]))]))
    assert ended(nursery.start(order(path)))[1] == 0
    assert nursery._process is not None
    nursery._process.kill()
    assert b"Take 500 mg" in ended(nursery.start(order(path)))[0]


def test_a_child_whose_parent_is_gone_does_not_read_on(nursery: Nursery, tmp_path: Path) -> None:
    """A killed app must not leave readers behind that hold its memory."""
    os.mkfifo(tmp_path / "waits")
    child = nursery.start(order(tmp_path / "waits"))
    child._line.close()
    assert child.stdout.read() == b""  # ends with the child, which waits for ever otherwise
    child.stdout.close()
