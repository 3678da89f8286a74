"""The home: a wrong one is refused, a second writer is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.errors import HomeBusy, HomeError
from kb.home import HomeLock, check_home


def test_a_file_is_no_home(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    with pytest.raises(HomeError, match="is a file"):
        check_home(path, create=True)


def test_a_folder_of_other_things_is_not_taken(tmp_path: Path) -> None:
    """A mistyped --home must not scatter a library among someone's documents."""
    (tmp_path / "thesis.docx").write_text("x")
    with pytest.raises(HomeError, match=r"thesis\.docx"):
        check_home(tmp_path, create=True)


def test_reading_needs_a_library(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="no library"):
        check_home(tmp_path / "nowhere", create=False)
    assert not (tmp_path / "nowhere").exists()


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(HomeError, match="cannot be made"):
        check_home(tmp_path / "file" / "home", create=True)


def test_the_second_writer_is_told_who_has_it(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    with pytest.raises(HomeBusy, match=r"process \d+ "):
        HomeLock(tmp_path)
    lock.release()
    HomeLock(tmp_path).release()


def test_a_lost_catalog_is_no_new_library(tmp_path: Path) -> None:
    """Beginning anew over the old originals would hide that everything is gone."""
    (tmp_path / "blobs" / "ab").mkdir(parents=True)
    for content in (None, b""):
        if content is not None:
            (tmp_path / "catalog.sqlite").write_bytes(content)
        with pytest.raises(HomeError, match="Restore it from a backup"):
            check_home(tmp_path, create=True)


def test_a_name_that_no_disk_takes(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="cannot be used"):
        check_home(tmp_path / ("x" * 300), create=True)
