"""A kill, a full disk or a file that means harm: what was acknowledged stays, nothing is half there, the adder lives.

The short form of `python -m bench.faults` and `python -m bench.bombs`, which print the tables of docs/measurements.md.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench.bombs import BOMBS, added, library, wrong_with
from bench.faults import WORK, adding, faults_of, forked, full_disks, kills, made_files, opened

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]

QUICK = [
    "page loop.pdf",
    "huge page.pdf",
    "twice packed page.pdf",
    "100,000 pages.pdf",
    "lying count.pdf",
    "lying.docx",
]


def test_kills_at_random_points_of_all_work_lose_nothing(tmp_path: Path) -> None:
    tally = kills(tmp_path, 15, 1)
    assert tally.faults == []
    assert sum(tally.killed.values()) == 15
    assert tally.acknowledged > 0


def test_full_disks_lose_nothing(tmp_path: Path) -> None:
    tally = full_disks(tmp_path, 8, 1)
    assert tally.faults == []
    assert set(tally.rounds) < set(WORK)


def test_the_check_sees_what_it_is_there_for(tmp_path: Path) -> None:
    """Otherwise two hundred rounds without a fault would mean nothing."""
    chooser = random.Random(1)
    home, files = tmp_path / "home", made_files(tmp_path / "files", chooser)
    _, said, _ = forked(lambda say: adding(home, files, chooser, say))
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
    with library(tmp_path / "home") as kb:
        outcome = added(kb, bomb)
        assert wrong_with(outcome, 120, 1600) == []
        after = tmp_path / "after.txt"
        after.write_text("The dose is 5 mg each day.\n")
        assert added(kb, after).added.status == "added"
