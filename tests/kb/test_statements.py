"""Statements: each is checked against what it cites before it is shown, and gets no citation that it did not earn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.citations import MarkReader
from kb.statements import WITHHELD, StatementReader
from kb.testing import make_hit
from kb.types import Statement

LABEL = make_hit(
    "Metformin is for type 2 diabetes.\nStart with 500 mg twice a day.\nThe maximum daily dose is 2550 mg.\n"
    "Stop it before contrast media.",
    title="Label",
    page=3,
)
GUIDE = make_hit("二甲双胍为一线用药。每日最大剂量为2550mg。肾功能不全者禁用。", title="指南", page=8)


def read(text: str, size: int = 1000, *, withhold: bool = True) -> tuple[str, StatementReader]:
    marks, reader = MarkReader(2), StatementReader([LABEL, GUIDE], withhold=withhold)
    shown = [reader.feed(marks.feed(text[at : at + size])) for at in range(0, len(text), size)]
    return "".join([*shown, reader.feed(marks.close()), reader.close()]), reader


def cited(text: str) -> list[tuple[int, str]]:
    return [(citation.n, citation.quote) for citation in read(text)[1].citations]


@pytest.mark.parametrize(
    ("text", "quotes"),
    [
        ("The maximum dose is 2550 mg daily [1].", [(1, "The maximum daily dose is 2550 mg.")]),
        ("The maximum dose is 2550 mg daily. [1]", [(1, "The maximum daily dose is 2550 mg.")]),
        (
            "Start at 500 mg [1]. Stop before contrast [1].",
            [(1, "Start with 500 mg twice a day."), (1, "Stop it before contrast media.")],
        ),
        ("最大剂量每日2550mg[2]。肾功能不全禁用[2]。", [(2, "每日最大剂量为2550mg。"), (2, "肾功能不全者禁用。")]),
        ("Max 2550 mg [1][2].", [(1, "The maximum daily dose is 2550 mg."), (2, "每日最大剂量为2550mg。")]),
        ("Max dose 2550 mg [1]. Again: max dose 2550 mg [1].", [(1, "The maximum daily dose is 2550 mg.")]),
        ("用于糖尿病[1]。", [(1, LABEL.chunk.text)]),
    ],
)
def test_a_mark_points_at_the_sentence_its_statement_rests_on(text: str, quotes: list[tuple[int, str]]) -> None:
    """Lost: the highlight on the page is somewhere else than the evidence."""
    assert cited(text) == quotes


def test_the_boxes_are_those_of_the_quote() -> None:
    [citation] = read("The maximum dose is 2550 mg daily [1].")[1].citations
    assert citation.page == 3
    assert citation.boxes == LABEL.chunk.spans[2].boxes
    assert (citation.file, citation.chunk_id) == (LABEL.document.file, LABEL.chunk.id)


@pytest.mark.parametrize(
    ("text", "support", "lost"),
    [
        ("Start with 500 mg twice a day [1].", "supported", ()),
        ("Start with 500 mg three times a day [1].", "unsupported", ("three times",)),
        ("Start with 500 mg twice a day [2].", "unsupported", ("500 mg", "twice")),
        ("肾功能不全者可用[2]。", "unsupported", ("禁",)),
        ("每日最大剂量为2550g[2]。", "unsupported", ("2550g",)),
        ("阿莫西林为一线用药[2]。", "unsupported", ("阿莫西林",)),
        ("Start with 500 mg twice a day.", "uncited", ()),
        ("Start with 850 mg twice a day.", "unsupported", ("850 mg",)),
        ("Insulin comes next.", "unsupported", ("Insulin", "Insulin comes next.")),
        ("Ask a colleague.", "uncited", ()),
        ("The dose for children is not mentioned in the documents.", "uncited", ()),
    ],
)
def test_what_hurts_when_wrong_must_be_in_the_cited_passage(text: str, support: str, lost: tuple[str, ...]) -> None:
    """Lost: a model's dose, drug or 'may be given' stands under a citation that says something else."""
    shown, reader = read(text)
    [statement] = reader.statements
    assert (statement.support, statement.missing) == (support, lost)
    assert statement.shown is (support != "unsupported")
    assert shown == (text if statement.shown else WITHHELD)
    assert bool(reader.citations) is (support == "supported")


def test_a_list_keeps_its_form_and_its_lead_in() -> None:
    text = "According to the label:\n\n- Start with 500 mg twice a day [1]\n- Then 9 g [1]\n- Stop before contrast [1]"
    shown, reader = read(text)
    assert shown == text.replace("- Then 9 g [1]", WITHHELD)
    assert [one.text for one in reader.statements] == [
        "- Start with 500 mg twice a day",
        "- Then 9 g",
        "- Stop before contrast",
    ]


def test_one_sign_stands_for_several_that_were_withheld() -> None:
    shown, reader = read("Use 1 g [1]. Use 2 g [1]. Stop before contrast [1].")
    assert shown == "[…] Stop before contrast [1]."
    assert reader.withheld == 2


@given(st.integers(1, 9))
def test_the_borders_of_the_stream_change_nothing(size: int) -> None:
    """Lost: a sentence passes when it comes in small pieces and fails when it comes at once."""
    text = "Start at 500 mg p.o. b.i.d. [1]. Max. 2550 mg [1]!\n\n1. Use 3 g [2].\n"
    text += "2. 肾功能不全禁用[2]。最大剂量每日2550mg。[2]"
    whole, expected = read(text)
    shown, reader = read(text, size)
    assert shown == whole
    assert reader.statements == expected.statements
    assert reader.citations == expected.citations


@given(st.text(alphabet="ab12 .。药量[]\n", max_size=80), st.text(alphabet="ab12 .。药量\n", min_size=1, max_size=80))
def test_any_answer_resolves_to_text_of_the_passage(answer: str, passage: str) -> None:
    """Lost: a crash in mid-answer, or a quote that is not on the page."""
    marks, reader = MarkReader(1), StatementReader([make_hit(passage)], withhold=False)
    reader.feed(marks.feed(answer) + marks.close())
    reader.close()
    assert all(citation.quote in passage for citation in reader.citations)
    assert all(isinstance(one, Statement) and one.text for one in reader.statements)
