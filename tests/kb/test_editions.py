"""Editions: a clinician must never be quoted a draft or a replaced guideline, and must still be able to check one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kb.editions import DocumentDetails
from kb.embed import Embedder
from kb.errors import UsageError
from kb.home import HomeLock
from kb.knowledge_base import KnowledgeBase
from kb.settings import Settings
from kb.store import Store
from kb.testing import HashEmbedder
from kb.types import Scope
from tests.conftest import Adder, chunk_of, document_of


@pytest.fixture
def kb(tmp_path: Path) -> Iterator[KnowledgeBase]:
    home = tmp_path / "home"
    home.mkdir()
    embedder: Embedder = HashEmbedder()
    with KnowledgeBase(Settings(home=home), Store(home), embedder, HomeLock(home)) as opened:
        yield opened


def found(kb: KnowledgeBase, scope: Scope | None = None) -> list[str]:
    return sorted({hit.document.file for hit in kb.search("hypertension target", 10, scope)})


def test_a_superseded_edition_leaves_search_and_stays_citable(kb: KnowledgeBase, add: Adder) -> None:
    old = add(kb.store, "old.txt", ["hypertension target is 140 mmHg"])
    new = add(kb.store, "new.txt", ["hypertension target is 130 mmHg"])
    kb.publish()
    chunk = kb.search("hypertension 140", 1)[0].chunk
    kb.supersede("old.txt", "new.txt")
    assert found(kb) == ["new.txt"]
    assert kb.store.chunks(old.id) == [chunk], "a past answer's citation must resolve"
    assert found(kb, kb.scope([old.id])) == ["old.txt"]
    kb.unpublish_document(new.id)
    assert found(kb) == ["old.txt"], "taking the new edition back makes the old one current"
    kb.publish_document(new.id)
    assert found(kb) == ["new.txt"]
    with pytest.raises(UsageError, match="is superseded by"):
        kb.publish_document(old.id)
    with pytest.raises(UsageError, match="cannot supersede"):
        kb.supersede(new.id, old.id)
    kb.remove(new.id)
    assert found(kb) == ["old.txt"]


def test_a_draft_is_not_found_before_it_is_published(kb: KnowledgeBase) -> None:
    draft = replace(document_of("draft.txt"), state="draft")
    kb.store.start_document(draft)
    kb.store.finish_document(draft, [chunk_of(draft.id, 0, "hypertension target is unclear")])
    kb.publish()
    assert found(kb) == []
    assert found(kb, Scope(documents=(draft.id,))) == []
    kb.publish_document("draft.txt")
    assert found(kb) == ["draft.txt"]


def test_as_of_asks_for_what_was_in_force(kb: KnowledgeBase, add: Adder) -> None:
    add(kb.store, "2019.txt", ["hypertension target is 140 mmHg"])
    add(kb.store, "2023.txt", ["hypertension target is 130 mmHg"])
    kb.edit_document("2019.txt", DocumentDetails(issued="2019"))
    kb.edit_document("2023.txt", DocumentDetails(issued="2023-05-01", supersedes="2019.txt", collection="cardiology"))
    for day, expected in {
        "2018": [],
        "2020-06": ["2019.txt"],
        "2023-04-30": ["2019.txt"],
        "2023": ["2023.txt"],
    }.items():
        assert found(kb, kb.scope(as_of=day)) == expected, day
    assert found(kb, kb.scope(collection="cardiology")) == ["2023.txt"]
    for wrong in ({"as_of": "May"}, {"collection": "x"}, {"documents": ["x"]}):
        with pytest.raises(UsageError):
            kb.scope(**wrong)  # type: ignore[arg-type]


def test_a_document_deep_in_the_ranking_is_found_within_its_scope(kb: KnowledgeBase, add: Adder) -> None:
    add(kb.store, "many.txt", [f"hypertension target target target number {n}" for n in range(300)])
    add(
        kb.store, "one.txt", ["a long passage that only mentions hypertension once among many other words of no weight"]
    )
    kb.publish()
    assert found(kb, kb.scope(["one.txt"])) == ["one.txt"]


def test_a_new_title_is_searched(kb: KnowledgeBase, add: Adder) -> None:
    add(kb.store, "a.txt", ["dose is 5 mg", "dose is 7 mg"])
    document = add(kb.store, "b.txt", ["nothing of note"])
    kb.embed_pending()
    kb.edit_document(document.id, DocumentDetails(title="Zyloprim handbook"))
    assert [hit.document.file for hit in kb.search("Zyloprim", 1)] == ["b.txt"]
    assert kb.pending() == 0
    assert kb.store.check() == []
    add(kb.store, "c.txt", ["one more"])
    assert len(set(kb.store.chunk_numbers().tolist())) == 4
