"""A library of monographs, read once and copied for whoever changes it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kb.knowledge_base import KnowledgeBase
from kb.settings import load_settings
from tests.train.monographs import library


@pytest.fixture(scope="session")
def monograph_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed: copy it."""
    return library(tmp_path_factory.mktemp("monographs"))


@pytest.fixture
def base(monograph_home: Path, tmp_path: Path) -> Iterator[KnowledgeBase]:
    """A copy of the library, open for writing."""
    shutil.copytree(monograph_home, tmp_path / "home")
    with KnowledgeBase.open(load_settings(home=tmp_path / "home"), write=True) as opened:
        yield opened
