"""Neighbours: only of the same section, each once and citable by its own chunk, within bounds, never quoted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kb.extract import Extractor
from kb.knowledge_base import KnowledgeBase
from kb.neighbours import Around, with_neighbours
from kb.settings import load_settings
from kb.testing import make_hit
from kb.types import Chunk, DocumentKind, Hit
from tests.conftest import Adder


def section(*texts: str, heading: str = "Dose", kind: DocumentKind = "pdf", pages: Sequence[int] = ()) -> list[Hit]:
    pages = pages or [1] * len(texts)
    return [
        make_hit(text, heading=heading, kind=kind, position=at, page=page)
        for at, (text, page) in enumerate(zip(texts, pages, strict=True))
    ]


def around(hits: Sequence[Hit]) -> Around:
    def chunks(document: str, position: int) -> list[Chunk]:
        return [h.chunk for h in hits if h.document.id == document and abs(h.chunk.position - position) <= 1]

    return chunks


def texts(hits: Sequence[Hit]) -> list[str]:
    return [hit.chunk.text for hit in hits]


def test_what_follows_comes_first_and_behind_all_that_was_found() -> None:
    """Marks of the found passages must not move: [1] stays the best hit."""
    whole = section("a b", "c d", "e f", "g h", "i j")
    shown = with_neighbours([whole[3], whole[1]], around(whole), 100)
    assert texts(shown) == ["g h", "c d", "i j", "e f", "a b"]
    assert [hit.beside for hit in shown] == [False, False, True, True, True]
    assert len({hit.chunk.id for hit in shown}) == 5


def test_another_section_is_no_neighbour() -> None:
    whole = section("a b", "c d")
    other = make_hit("x y", heading="Storage", position=2)
    assert texts(with_neighbours([whole[1]], around([*whole, other]), 100)) == ["c d", "a b"]


def test_another_record_is_no_neighbour() -> None:
    """Given as context, the next drug's dose would be taken for this one's."""
    whole = section("a b", "c d", "e f", heading="", kind="records", pages=[1, 2, 2])
    assert texts(with_neighbours([whole[1]], around(whole), 100)) == ["c d", "e f"]


def test_they_keep_within_their_tokens() -> None:
    whole = section("a b", "c d e f g", "h i")
    assert texts(with_neighbours([whole[1]], around(whole), 3)) == ["c d e f g", "h i"]
    assert with_neighbours([whole[1]], around(whole), 0) == [whole[1]]


def test_a_document_cut_anew_since_has_no_neighbours() -> None:
    old, new = make_hit("as it was", position=1), section("a b", "c d", "e f", heading="")
    assert with_neighbours([old], around(new), 100) == [old]


def test_the_extractive_engine_quotes_none_of_them() -> None:
    """When a model fails, the quotation in its place is judged by what was found, as the calibration was."""
    whole = section("Metformin is taken with meals.", "Adults start with 500 mg of metformin twice daily.")
    shown = with_neighbours([whole[0]], around(whole), 100)
    assert len(shown) == 2
    answer = Extractor().extract("What is the dose of metformin for adults?", shown)
    assert "500 mg" not in answer.text
    assert answer.hits == (whole[0],)


def test_only_a_model_is_shown_them_and_not_when_switched_off(tmp_path: Path, add: Adder) -> None:
    """Whoever quotes is given what was found; a model is given the sentence that the passage breaks off before."""
    endpoint = {"engine": "openai", "openai_base_url": "http://127.0.0.1:9/v1", "openai_model": "none"}
    given = {"home": tmp_path / "home", "top_k": 1}
    seen = []
    for changes in (endpoint, {**endpoint, "neighbour_tokens": 0}, {}):
        with KnowledgeBase.open(load_settings(**given, **changes), write=True) as kb:
            if not seen:
                add(kb.store, "a.txt", ["Metformin: the dose of adults is", "500 mg twice daily."])
                kb.publish()
            seen.append(texts(kb.passages("metformin")))
            assert len(kb.passages("metformin", quotes_only=True)) == 1
    assert seen[0] == ["Metformin: the dose of adults is", "500 mg twice daily."]
    assert seen[1] == seen[2] == seen[0][:1]
