"""kill -9 at random points of adding documents: nothing acknowledged is lost, nothing half-read can be found.

Each round starts the real command, kills it after a random time and opens the home again. In the end one more run must
finish what is left without reading finished documents a second time.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kb.knowledge_base import KnowledgeBase
from kb.settings import load_settings
from kb.store import Store

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]

COMMAND = Path(sys.executable).with_name("vademecum")
KILLS = 6
FILES = 6
RECORDS = 60


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Record files of monographs, all different."""
    folder = tmp_path / "documents"
    folder.mkdir()
    for file in range(FILES):
        records = [
            f"试验药{file}号{i}\n英文名:Trialdrug{file}x{i}\n适应证:用于第{i}种疾病。\n"
            f"用法用量:口服：每次{i + 1}mg，每天{file + 1}次。"
            for i in range(RECORDS)
        ]
        (folder / f"part{file}.json").write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    return folder


def add(documents: Path, home: Path, kill_after: float | None) -> dict[str, object] | None:
    """Run `vademecum add`; its JSON, or None if it was killed."""
    command = [str(COMMAND), "add", str(documents), "--home", str(home), "--vectors-later", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=kill_after or 600)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return None
    assert process.returncode == 0, err
    result: dict[str, object] = json.loads(out)
    return result


def whole(home: Path) -> dict[str, int]:
    """Ready documents and their chunk counts; fails if the catalog is damaged or anything is half there."""
    store = Store(home)
    try:
        assert store.check() == []
        ready = {d.file: d.chunks for d in store.documents() if d.state == "ready"}
        for document in store.documents():
            if document.state == "ready":
                assert len(store.chunks(document.id)) == document.chunks, document.file
                assert store.blob(document).stat().st_size == document.bytes
        assert len(store.chunk_numbers()) == sum(ready.values()), "chunks of a half document may be found"
        return ready
    finally:
        store.close()


def test_kills_lose_nothing_and_repeat_nothing(documents: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    started = time.monotonic()
    assert add(documents, tmp_path / "measure", None) is not None
    duration = time.monotonic() - started
    chooser = random.Random(1)
    acknowledged: dict[str, int] = {}
    for _ in range(KILLS):
        add(documents, home, chooser.uniform(0.4, 1.0) * duration)
        if not (home / "catalog.sqlite").exists():
            continue
        ready = whole(home)
        assert acknowledged.items() <= ready.items(), "an acknowledged document is gone or changed"
        acknowledged = ready
        with KnowledgeBase.open(load_settings(home=home)) as kb:
            assert kb.index.counts[0] == sum(ready.values())
    result = add(documents, home, None)
    assert result is not None
    rows = result["documents"]
    assert isinstance(rows, list)
    status = {Path(row["file"]).name: row["status"] for row in rows}
    assert status == {f"part{i}.json": "known" if f"part{i}.json" in acknowledged else "added" for i in range(FILES)}
    assert len(whole(home)) == FILES
    with KnowledgeBase.open(load_settings(home=home)) as kb:
        best = kb.search("试验药5号37的用法用量", 1)[0]
        assert "每次38mg，每天6次" in best.chunk.text


def test_a_kill_while_the_index_is_written_leaves_the_old_one(documents: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert add(documents, home, None) is not None
    command = [str(COMMAND), "rebuild", "--home", str(home)]
    started = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    duration = time.monotonic() - started
    for part in (0.6, 0.8, 0.95):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(part * duration)
        process.kill()
        process.wait()
        with KnowledgeBase.open(load_settings(home=home)) as kb:
            assert kb.search("试验药3号5", 1)[0].chunk.heading == "试验药3号5"


def test_a_full_disk_refuses_what_does_not_fit_and_keeps_the_rest(documents: Path, tmp_path: Path) -> None:
    """A file-size limit stands in for the full disk: the catalog cannot grow past it."""
    home = tmp_path / "home"
    first = tmp_path / "first"
    first.mkdir()
    (documents / "part0.json").rename(first / "part0.json")
    assert add(first, home, None) is not None
    before = whole(home)
    size = (home / "catalog.sqlite").stat().st_size // 1024
    command = f"trap '' XFSZ; ulimit -f {size + 400}; exec {COMMAND} add {documents} --home {home} --json"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    after = whole(home)
    assert before.items() <= after.items()
    assert len(after) < FILES
    assert add(documents, home, None) is not None
    assert len(whole(home)) == FILES
