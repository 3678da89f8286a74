"""Without these a backup could lack what it should hold, a damaged one be restored, or a library be overwritten."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from kb.access import SINGLE
from kb.audit import Audit
from kb.backup import back_up, restore
from kb.conversations import Conversations
from kb.errors import HomeError, StoreError, UsageError
from kb.evidence import Cut, shipped_calibration, write_calibration
from kb.home import CALIBRATION
from kb.knowledge_base import KnowledgeBase
from kb.settings import Settings
from kb.store import Store
from tests.conftest import Adder


@pytest.fixture
def full(store: Store, add: Adder, tmp_path: Path) -> Store:
    document = add(store, "metformin.txt", ["The starting dose of metformin is 500 mg, with meals."])
    original = tmp_path / "original"
    original.write_text("The starting dose of metformin is 500 mg, with meals.")
    store.put_blob(original, document.sha256)
    model = store.home / "models" / "m1" / "weights.safetensors"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"w" * 5000)
    Conversations(store).start(SINGLE, "a question")
    shipped = shipped_calibration()
    fitted = replace(shipped, fits={kind: replace(fit, cuts=(Cut(1, 0.25),)) for kind, fit in shipped.fits.items()})
    write_calibration(store.home / CALIBRATION, fitted)
    return store


def test_library_comes_back_as_it_was(full: Store, tmp_path: Path) -> None:
    file = tmp_path / "out" / "backup.tar"
    file.parent.mkdir()
    made = back_up(full, file)
    assert made.files == 4
    assert file.stat().st_mode & 0o077 == 0
    home = tmp_path / "again"
    restore(file, home)
    with KnowledgeBase.open(Settings(home=home), write=True) as kb:
        (document,) = kb.documents()
        assert kb.store.blob(document).read_text().startswith("The starting dose")
        assert kb.search("starting dose of metformin")[0].document.id == document.id
        assert len(Conversations(kb.store).find(SINGLE)) == 1
        assert kb.calibration.fits["en"].least(9) == 0.25  # else a question may be answered there and refused here
        assert [entry.action for entry in Audit(kb.store).entries()][-1] == "restored"
        assert not Audit(kb.store).verify().problem
    assert (home / "models" / "m1" / "weights.safetensors").read_bytes() == b"w" * 5000
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_backup_is_one_state_while_others_write(full: Store, add: Adder, tmp_path: Path) -> None:
    done = threading.Event()

    def write() -> None:
        n = 0
        while not done.is_set():
            Conversations(full).start(SINGLE, f"question {n}")
            n += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(3):
            back_up(full, tmp_path / f"{n}.tar")
    finally:
        done.set()
        writer.join()
    restore(tmp_path / "2.tar", tmp_path / "again")
    again = Store(tmp_path / "again")
    assert again.check() == []
    assert not Audit(again).verify().problem
    again.close()


def test_nothing_is_overwritten(full: Store, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"
    back_up(full, file)
    with pytest.raises(UsageError, match="exists already"):
        back_up(full, file)
    with pytest.raises(HomeError, match="holds something"):
        restore(file, full.home)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "README.md").write_text("kept")
    restore(file, tmp_path / "new")
    assert (tmp_path / "new" / "README.md").read_text() == "kept"


@pytest.mark.parametrize("spoil", ["flip", "cut", "other", "newer", "escape", "link"])
def test_what_is_not_whole_is_refused_and_leaves_nothing(full: Store, tmp_path: Path, spoil: str) -> None:
    file, home = tmp_path / "backup.tar", tmp_path / "again"
    back_up(full, file)
    data = bytearray(file.read_bytes())
    if spoil == "flip":
        data[data.index(b"w" * 4000) + 100] ^= 1
    elif spoil == "cut":
        del data[len(data) // 2 :]
    elif spoil == "other":
        data = bytearray(b"no backup at all")
    elif spoil == "newer":
        data = bytearray(data.replace(b'"schema": "0', b'"schema": "9'))
    file.write_bytes(data)
    if spoil in ("escape", "link"):
        member = tarfile.TarInfo("../outside" if spoil == "escape" else "blobs/link")
        if spoil == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        with tarfile.open(file, "a") as archive:
            archive.addfile(member, io.BytesIO())
    with pytest.raises(StoreError if spoil == "newer" else UsageError):
        restore(file, home)
    assert not home.exists()
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / ".again.restoring").exists()


def test_verbs_check_and_write_the_record(full: Store, tmp_path: Path) -> None:
    run = CliRunner()
    Audit(full).record("someone", "exported", "x")
    at = ["--home", str(full.home), "--json"]
    whole = json.loads(run.invoke(cli.app, ["audit", "verify", *at]).stdout)
    assert (whole["ok"], whole["rows"]) == (True, 1)
    assert run.invoke(cli.app, ["audit", "verify", "--head", "0" * 63 + "1", *at]).exit_code == 1
    file = tmp_path / "record.jsonl"
    assert run.invoke(cli.app, ["audit", "export", str(file), *at]).exit_code == 0
    assert json.loads(file.read_text())["actor"] == "someone"
    assert run.invoke(cli.app, ["backup", str(tmp_path / "b.tar"), *at]).exit_code == 0
    again = ["--home", str(tmp_path / "again"), "--json"]
    assert run.invoke(cli.app, ["restore", str(tmp_path / "b.tar"), *again]).exit_code == 0
    assert run.invoke(cli.app, ["restore", str(tmp_path / "b.tar"), *again]).exit_code == 2
    with sqlite3.connect(full.home / "catalog.sqlite") as spoilt:
        for (trigger,) in spoilt.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            spoilt.execute(f'DROP TRIGGER "{trigger}"')
        spoilt.execute("UPDATE audit SET actor = 'nobody' WHERE number = 1")
    assert run.invoke(cli.app, ["audit", "verify", *at]).exit_code == 1


def test_backup_says_what_is_not_in_it(full: Store, tmp_path: Path) -> None:
    """Lost: after a disaster the tuned embedder, or a run of days, turns out never to have been copied."""
    (full.home / "runs" / "r1").mkdir(parents=True)
    (full.home / "runs" / "r1" / "checkpoint").write_bytes(b"c" * 2_000_000)
    full.close()
    (tmp_path / "tuned").mkdir()
    arguments = ["backup", str(tmp_path / "b.tar"), "--home", str(full.home), "--json"]
    made = CliRunner().invoke(cli.app, arguments, env={"VADEMECUM_EMBEDDER": str(tmp_path / "tuned")})
    assert made.exit_code == 0, made.output
    told = "\n".join(json.loads(made.stdout)["left_out"])
    assert "runs/, 2.0 MB" in told
    assert "vademecum.toml" in told
    assert f"{tmp_path / 'tuned'} (embedder)" in told
    with tarfile.open(tmp_path / "b.tar") as archive:
        assert not [name for name in archive.getnames() if name.startswith(("runs", "index"))]
