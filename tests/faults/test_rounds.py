"""A kill, a full disk or a file that means harm: what was acknowledged stays, nothing is half there, the adder lives.

The short form of `python -m bench.faults` and `python -m bench.bombs`, which print the tables of docs/measurements.md.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.bombs import BOMBS, added, wrong_with
from bench.faults import WORK, adding, faults_of, made_files, opened

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]

KILLS = 12
SIZES = 8
QUICK = [
    "page loop.pdf",
    "twice packed page.pdf",
    "100,000 pages.pdf",
    "lying.docx",
    "one line.txt",
]


def test_kills_at_random_points_of_all_work_and_full_disks_lose_nothing() -> None:
    """In a process of its own: one that has run other tests has threads, and what is forked from it may never wake."""
    command = [sys.executable, "-m", "bench.faults", "--kills", str(KILLS), "--sizes", str(SIZES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    told = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("|")][2:]
    rounds = {name: list(map(int, counts)) for name, *counts in told}
    assert rounds.keys() == WORK.keys()
    assert sum(killed for _, killed, _, _ in rounds.values()) == KILLS
    assert sum(full for _, _, full, _ in rounds.values()) == SIZES
    assert sum(refused for _, _, _, refused in rounds.values()) > 0
    last = re.search(r"acknowledged documents: (\d+); faults: (\d+)", done.stdout)
    assert last
    assert int(last[1]) > 0
    assert last[2] == "0"


def test_the_check_sees_what_it_is_there_for(tmp_path: Path) -> None:
    """Otherwise two hundred rounds without a fault would mean nothing."""
    chooser = random.Random(1)
    home, files = tmp_path / "home", made_files(tmp_path / "files", chooser)
    said: list[str] = []
    adding(home, files, chooser, said.append)
    acknowledged = {text.partition(" ")[2]: "read" for text in said}
    assert len(acknowledged) == len(files)
    assert faults_of(home, acknowledged) == []
    with opened(home) as kb, kb.store.writing() as connection:
        connection.exec_driver_sql("DELETE FROM chunks WHERE number = (SELECT min(number) FROM chunks)")
    assert any("half there" in text for text in faults_of(home, acknowledged))
    with opened(home) as kb:
        kb.remove(next(iter(acknowledged)))
    assert any("acknowledged" in text and "gone" in text for text in faults_of(home, acknowledged))


@pytest.mark.parametrize("name", QUICK)
def test_a_bomb_ends_with_its_reason(name: str, tmp_path: Path) -> None:
    bomb = tmp_path / name
    bomb.write_bytes(BOMBS[name]())
    with opened(tmp_path / "home") as kb:
        outcome = added(kb, bomb)
        assert wrong_with(outcome, 120, 1600) == []
        after = tmp_path / "after.txt"
        after.write_text("The dose is 5 mg each day.\n")
        assert added(kb, after).added.status == "added"
