"""Conflicts: documents that give other numbers for the same are told with their dates, and only those."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kb.answer import answer
from kb.conflicts import find_conflicts
from kb.testing import make_hit
from kb.types import Answer, Conflict, Document, Finished, Hit

QUESTION = "高血压患者每天吃多少盐？"


def dated(hit: Hit, issued: str) -> Hit:
    return replace(hit, document=replace(hit.document, issued=issued))


def asked(question: str, *hits: Hit) -> Answer:
    *_, last = answer(question, hits)
    assert isinstance(last, Finished)
    return last.answer


def conflicts(question: str, *hits: Hit) -> tuple[Conflict, ...]:
    return find_conflicts(question, asked(question, *hits))


OLD = dated(make_hit("高血压患者每人每天食盐摄入量不超过6克。", title="防治指南", page=4), "2010")
NEW = dated(make_hit("高血压患者每人每天食盐摄入量应不超过5克。", title="食养指南", page=8), "2023-01")


def test_two_documents_that_disagree_are_both_told_with_their_dates() -> None:
    """Lost: one of two limits is quoted as if nobody said otherwise."""
    [found] = conflicts(QUESTION, OLD, NEW)
    assert found.kind == "values"
    assert [(side.issued, side.values) for side in found.sides] == [("2023-01", ("5克",)), ("2010", ("6克",))]
    assert [side.citation.page for side in found.sides] == [8, 4]
    assert all(side.citation.quote in (OLD.chunk.text, NEW.chunk.text) for side in found.sides)
    assert found.told == (
        "不同文件的数值不一致：《食养指南》（2023-01）第 8 页为 5克；《防治指南》（2010）第 4 页为 6克。请核对原文。"
    )


def test_the_same_in_english() -> None:
    one = make_hit("The maximum daily dose of acetaminophen for adults is 4 g.", title="Label A")
    two = make_hit("The maximum daily dose of acetaminophen for adults is 3 g.", title="Label B")
    [found] = conflicts("What is the maximum daily dose of acetaminophen?", one, two)
    assert "“Label A” (no date noted), page 1: 4 g" in found.told
    assert "“Label B” (no date noted), page 1: 3 g" in found.told


@pytest.mark.parametrize(
    "other",
    [
        "高血压患者每人每天食盐摄入量不超过6克。",
        "高血压儿童患者每人每天食盐摄入量不超过3克。",
        "糖尿病患者每周运动不少于150分钟。",
        "高血压患者每人每天食用油摄入量为25毫升。",
        "高血压患者每人每天食盐摄入量应当减少。",
    ],
)
def test_what_says_the_same_or_speaks_of_something_else_is_no_conflict(other: str) -> None:
    """Lost: every answer carries a warning, and nobody reads them."""
    assert conflicts(QUESTION, OLD, make_hit(other, title="别的文件")) == ()


def test_one_document_does_not_disagree_with_itself() -> None:
    assert (
        conflicts(QUESTION, OLD, dated(make_hit("高血压患者每人每天食盐摄入量不超过5克。", title="防治指南"), "2010"))
        == ()
    )


def test_two_drugs_are_not_compared() -> None:
    one = make_hit("Ibuprofen: the maximum daily dose for adults is 1.2 g.", title="A")
    two = make_hit("Naproxen ibuprofen: the maximum daily dose of fenoprofen for adults is 3.2 g.", title="B")
    assert conflicts("What is the maximum daily dose of ibuprofen?", one, two) == ()


def test_a_cited_edition_that_was_replaced_is_told_with_the_newer_one() -> None:
    """Lost: a clinician follows the edition of 2010."""
    newer = {OLD.document.id: NEW.document}

    def replaced_by(document: Document) -> Document | None:
        return newer.get(document.id)

    [found] = find_conflicts(QUESTION, asked(QUESTION, OLD), replaced_by, lambda document: [NEW])
    assert found.kind == "superseded"
    assert found.told == "所引的《防治指南》（2010）已被《食养指南》（2023-01）取代，请以新版为准。"
    assert [(side.citation.n, side.citation.title) for side in found.sides] == [(0, "食养指南"), (1, "防治指南")]
    assert find_conflicts(QUESTION, asked(QUESTION, NEW), replaced_by) == ()
