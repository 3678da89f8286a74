"""Cleaning: what is said never changes; furniture goes, body text stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.clean import Joiner, clean_pages, normalise
from kb.types import Line, Page


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("10⁹/L 与 m²、kg·m⁻²", "10⁹/L 与 m²、kg·m⁻²"),  # digits of exponents stay exponents
        ("1½ 片，①5mg", "1½ 片，①5mg"),  # NFKC: '11⁄2', '15mg'
        ("⒈5 mg", "1. 5 mg"),  # NFKC: '1.5 mg'
        ("㎎ ㎡ ℃ ﬁbrosis", "mg m² °C fibrosis"),
        ("ＡＢ１２％，（５）０．５", "AB12%，（5）0.5"),
        ("⾼⾎压 ⻓期", "高血压 长期"),  # Kangxi radicals look right and are never found
        ("a\u00adb\u200bc\u0003", "abc"),
        ("医 学 影 像 设 备 的", "医学影像设备的"),
        ("外科植入物 金属材料 纯钽", "外科植入物 金属材料 纯钽"),
        ("Å é naïve", "Å é naïve"),
        ("\uf0b7 item", "• item"),
    ],
)
def test_characters(text: str, plain: str) -> None:
    assert normalise(text) == plain


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(st.text(alphabet="0123456789.,/ ⁰¹²³⁴⁵⁶⁷⁸⁹⁻½¼⅓①②mgL血压×", max_size=40))
def test_numbers_are_left_alone(text: str) -> None:
    assert normalise(text).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("left", "right", "whole"),
    [
        ("the recom-", "mended dose", "the recommended dose"),
        ("the clinician-", "patient bond", "the clinician-patient bond"),  # both are words of the document
        ("evidence-", "based care", "evidence-based care"),  # the document writes it so elsewhere
        ("a β-", "lactamase", "a β-lactamase"),
        ("IL-", "6 and 1-", "IL-6 and 1-"),
        ("from 10 -", "20 mg", "from 10 - 20 mg"),
        ("soft\u00ad", "ware", "software"),
        ("高血", "压患者", "高血压患者"),
        ("服用 Aspirin", "，每日", "服用 Aspirin，每日"),
        ("take", "two", "take two"),
    ],
)
def test_lines_are_joined_as_they_were_meant(left: str, right: str, whole: str) -> None:
    joiner = Joiner(["clinician and patient relationship", "evidence-based medicine", "recommended"])
    kept, glue = joiner.join(left, right)
    assert kept + glue + right == whole


def page(number: int, body: list[str], *, head: str = "", foot: str = "") -> Page:
    lines = [Line(head, (50, 780, 500, 790), 9)] if head else []
    lines += [Line(text, (50, 700 - 15 * i, 500, 710 - 15 * i), 10) for i, text in enumerate(body)]
    if foot:
        lines.append(Line(foot, (250, 30, 300, 40), 9))
    return Page(number, tuple(lines), 600, 842)


def texts(pages: list[Page]) -> list[str]:
    return [line.text for page in pages for line in page.lines]


def test_running_heads_and_page_numbers_go() -> None:
    pages = [page(n, [f"body {n}"], head="Guideline 2024", foot=f"- {n + 4} -") for n in range(1, 9)]
    assert texts(clean_pages(pages)) == [f"body {n}" for n in range(1, 9)]


def test_left_and_right_heads_and_changing_chapters_go() -> None:
    heads = ["内科学", "第一章 总论"] * 3 + ["内科学", "第二章 心脏"] * 3
    pages = [page(n, [f"正文{n}"], head=head, foot=f"第 {n} 页 共 12 页") for n, head in enumerate(heads, start=1)]
    assert texts(clean_pages(pages)) == [f"正文{n}" for n in range(1, 13)]


def test_roman_page_numbers_go() -> None:
    pages = [page(n, ["text"], foot=roman) for n, roman in enumerate(["ii", "iii", "iv", "v"], start=1)]
    assert texts(clean_pages(pages)) == ["text"] * 4


def test_a_short_document_keeps_what_it_says() -> None:
    single = [page(1, ["Dose: 5 mg"], head="Aspirin", foot="2024")]
    assert texts(clean_pages(single)) == ["Aspirin", "Dose: 5 mg", "2024"]
    double = [page(n, [f"part {n}"], head="Aspirin", foot=f"{n}") for n in (1, 2)]
    assert texts(clean_pages(double)) == ["Aspirin", "part 1", "Aspirin", "part 2"]


def test_repeated_table_heads_and_body_lines_stay() -> None:
    pages = [page(n, ["same body line", f"{n}00 mg"], head="Drug\tDose\tRoute") for n in range(1, 7)]
    assert texts(clean_pages(pages)).count("Drug\tDose\tRoute") == 6
    assert texts(clean_pages(pages)).count("same body line") == 6


def test_a_column_of_figures_at_the_foot_is_no_page_number() -> None:
    figures = ["140", "95", "180", "133", "71", "166"]
    pages = [page(n, ["values"], foot=figure) for n, figure in enumerate(figures, start=1)]
    assert texts(clean_pages(pages)).count("values") == 6
    assert [text for text in texts(clean_pages(pages)) if text.isdecimal()] == figures


def test_line_numbers_go_but_numbered_values_stay() -> None:
    def numbered(number: int, first: int, count: int) -> Page:
        body = [Line(f"line {i}", (90, 700 - 15 * i, 500, 710 - 15 * i), 10) for i in range(20)]
        marks = [Line(str(first + i), (40, 700 - 15 * i, 55, 710 - 15 * i), 10) for i in range(count)]
        return Page(number, (*body, *marks), 600, 842)

    kept = texts(clean_pages([numbered(1, 1, 20), numbered(2, 21, 3)]))
    assert kept == [f"line {i}" for i in range(20)] * 2
    table = Page(1, (Line("Day", (40, 500, 80, 510), 10), *numbered(1, 1, 6).lines[20:]), 600, 842)
    assert len(clean_pages([table])[0].lines) == 7


def test_characters_that_a_narrow_cell_has_spread_are_words_again() -> None:
    """'纤 维 上 消化 道' would be found by nobody who asks for 纤维上消化道."""
    assert normalise("纤 维 上 消化 道 内 窥") == "纤维上消化道内窥"
    assert normalise("内科 外科 儿科 妇科 眼科") == "内科 外科 儿科 妇科 眼科"
