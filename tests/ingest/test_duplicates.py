"""Without these the same book is quoted twice, or a second edition slips in without a word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from ingest.add import add_paths
from kb import duplicates
from kb.errors import UsageError
from kb.knowledge_base import KnowledgeBase
from kb.schema import makings
from kb.settings import Settings

GUIDE = "\n\n".join(
    f"Drug number {n} is started at {n + 2} mg a day and raised by {n} mg each week if nothing speaks against it."
    for n in range(60)
)


@pytest.fixture
def kb(tmp_path: Path) -> Iterator[KnowledgeBase]:
    with KnowledgeBase.open(Settings(home=tmp_path / "home"), write=True) as opened:
        (tmp_path / "guide.txt").write_text(GUIDE)
        (added,) = add_paths(opened, [tmp_path / "guide.txt"], embed=False)
        assert (added.state, added.alike) == ("ready", [])
        yield opened


def put(kb: KnowledgeBase, folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    (added,) = add_paths(kb, [folder / name], embed=False)
    assert added.status == "added", added.reason
    return added.document


def test_same_text_in_other_bytes_waits_for_a_decision(kb: KnowledgeBase, tmp_path: Path) -> None:
    other = kb.document(put(kb, tmp_path, "copy.txt", GUIDE.replace("\n\n", "\r\n\r\n") + "\n"))
    guide = kb.document("guide.txt")
    assert other.state == "draft"
    assert f"the same text as guide.txt ({guide.id})" in other.reason
    (pair,) = kb.duplicates(undecided=True)
    assert (pair.document.id, pair.other.id, pair.share) == (other.id, guide.id, 1.0)
    assert len({hit.document.id for hit in kb.search("Drug number 7")}) == 1
    kept = kb.publish_document(other.id)
    assert "not published" not in kept.reason
    assert [pair.decision for pair in kb.duplicates()] == ["kept"]
    assert len({hit.document.id for hit in kb.search("Drug number 7")}) == 2


def test_another_edition_is_searched_and_reported(kb: KnowledgeBase, tmp_path: Path) -> None:
    changed = GUIDE.replace("Drug number 3 is started at 5 mg", "Drug number 3 is started at 50 mg")
    other = kb.document(put(kb, tmp_path, "guide 2024.txt", changed))
    assert other.state == "ready"
    (pair,) = kb.duplicates(undecided=True)
    assert 0.9 < pair.share < 1
    assert f"{pair.share:.0%} of its text is that of guide.txt" in other.reason
    kb.supersede("guide.txt", other.id)
    assert [pair.decision for pair in kb.duplicates()] == ["superseded"]
    assert kb.duplicates(undecided=True) == []


def test_removing_one_settles_it(kb: KnowledgeBase, tmp_path: Path) -> None:
    other = put(kb, tmp_path, "copy.txt", GUIDE + "\n")
    kb.remove("guide.txt")
    assert kb.duplicates() == []
    assert kb.publish_document(other).state == "ready"


def test_what_is_like_nothing_has_nothing_to_keep(kb: KnowledgeBase, tmp_path: Path) -> None:
    put(kb, tmp_path, "other.txt", "Aspirin is given in small doses to keep platelets from sticking together.\n" * 3)
    assert kb.duplicates() == []
    with pytest.raises(UsageError, match="like no other"):
        kb.keep_duplicate("other.txt")


def test_documents_from_before_sketches_are_known_too(kb: KnowledgeBase, tmp_path: Path) -> None:
    with kb.store.writing() as connection:
        connection.execute(makings.delete())
    put(kb, tmp_path, "copy.txt", GUIDE + "\n")
    assert len(kb.duplicates()) == 1
    assert duplicates.sketch_missing(kb.store) == 0


def test_on_the_command_line(kb: KnowledgeBase, tmp_path: Path) -> None:
    document = put(kb, tmp_path, "copy.txt", GUIDE + "\n")
    home = str(kb.store.home)
    kb.close()
    run = CliRunner().invoke
    listed = json.loads(run(app, ["duplicates", "--home", home, "--json"]).stdout)["duplicates"]
    assert [(row["file"], row["other_file"], row["same_text"]) for row in listed] == [("copy.txt", "guide.txt", True)]
    kept = run(app, ["duplicates", "keep", document, "--home", home])
    assert "same text as" in kept.stdout
    assert "kept" in kept.stdout
    assert "0 pairs" in run(app, ["duplicates", "--home", home]).stdout
