"""Without these a busy port end in a traceback, a killed upload be lost."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from app import main
from ingest.add import add_paths
from kb.access import SINGLE
from kb.errors import UsageError
from kb.knowledge_base import KnowledgeBase
from kb.service import Service
from kb.settings import Settings
from ui.adding import Adding
from ui.page import build_page


def test_port_in_use_says_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"Port {port} .* --port"):
            main(Settings(home=tmp_path / "home", port=port))


T = TypeVar("T")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KnowledgeBase:
    opened = KnowledgeBase.open(Settings(home=tmp_path / "home"), write=True)
    monkeypatch.setattr(opened, "warm_up", lambda: None)
    return opened


def wait_for(look: Callable[[], T | None], seconds: float = 120) -> T:
    end = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < end, "took too long"
        time.sleep(0.2)
    return found


def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


def test_each_file_of_an_upload_gets_its_own_outcome(base: KnowledgeBase, tmp_path: Path) -> None:
    folder = uploads(tmp_path)
    good, bad = folder / "指南.txt", folder / "broken.pdf"
    good.write_text("Aspirin is a drug. " * 40)
    bad.write_bytes(b"no pdf at all")
    adding = Adding(base, folder)
    adding.start()
    batch = adding.submit(SINGLE, [good, bad])
    assert batch.wait(120)
    first, second = batch.files
    assert (first.name, first.status) == ("指南.txt", "added")
    assert first.chunks > 0
    assert second.status == "failed"
    assert second.reason
    assert not good.exists()
    assert not bad.exists()
    wait_for(lambda: base.search("Aspirin") or None)
    assert adding.stop(5)


def test_a_killed_worker_is_started_again_and_loses_nothing(base: KnowledgeBase, tmp_path: Path) -> None:
    folder = uploads(tmp_path)
    adding = Adding(base, folder)
    adding.start()
    first = wait_for(lambda: adding.worker.pid)
    os.kill(first, signal.SIGKILL)
    file = folder / "after.txt"
    file.write_text("Warfarin is a drug. " * 40)
    batch = adding.submit(SINGLE, [file])
    assert batch.wait(120)
    assert batch.files[0].status == "added"
    assert adding.worker.pid != first
    assert adding.stop(5)


def test_file_that_was_not_uploaded_is_neither_read_nor_deleted(base: KnowledgeBase, tmp_path: Path) -> None:
    """An event can be posted with any path; only those in the upload folder are ours."""
    folder = uploads(tmp_path)
    other = tmp_path / "private.txt"
    other.write_text("Not for the library. " * 20)
    (folder / "link.txt").symlink_to(other)
    adding = Adding(base, folder)
    adding.start()
    batch = adding.submit(SINGLE, [other, folder / ".." / "private.txt", folder / "link.txt"])
    assert batch.wait(60)
    assert batch.files == ()
    assert other.exists()
    assert base.documents() == []
    assert adding.stop(5)


def test_reading_that_was_killed_is_finished_at_the_next_start(base: KnowledgeBase, tmp_path: Path) -> None:
    folder = uploads(tmp_path)
    file = tmp_path / "手册.txt"
    file.write_text("Aspirin is a drug. " * 40)
    (added,) = add_paths(base, [file], embed=False)
    document = base.document(added.document)
    base.store.remove_document(document)
    base.store.put_blob(file, document.sha256)
    base.store.start_document(document)
    adding = Adding(base, folder)
    adding.start()
    finished = wait_for(lambda: d if (d := base.document(document.id)).state == "ready" else None)
    assert (finished.state, finished.file, finished.chunks) == ("ready", "手册.txt", added.chunks)
    assert adding.stop(5)


def test_looking_at_a_tab_never_redraws_the_conversation(base: KnowledgeBase, tmp_path: Path) -> None:
    """Its redraw, made before a question and delivered after the answer, would wipe the answer from the page."""
    config = build_page(Service(base), Adding(base, uploads(tmp_path))).get_config_file()
    (talk,) = [c["id"] for c in config["components"] if c["props"].get("elem_id") == "vm-talk"]
    redraws = [event for event in config["dependencies"] if talk in event["outputs"]]
    selects = [event for event in config["dependencies"] if any(how == "select" for _, how in event["targets"])]
    assert redraws
    assert len(selects) >= 3
    assert not [event for event in selects if talk in event["outputs"]]
