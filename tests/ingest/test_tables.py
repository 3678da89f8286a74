"""Tables: a row is one line that says what its cells say, stands where the row stands, and is never cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ingest.chunk import chunk_pages
from ingest.read import ReadLimits
from ingest.read_pdf import read_pdf
from kb.sentences import sentences
from kb.types import Line, Page
from tests.ingest.test_chunk import count
from tests.ingest.tiny_pdf import Sheet, Text, _shown, pdf


def drawn(texts: Sequence[Text], rules: Sequence[tuple[float, float, float, float]]) -> Sheet:
    """A page of texts and straight lines."""
    lines = [f"{a:g} {b:g} m {c:g} {d:g} l S" for a, b, c, d in rules]
    return Sheet(content="\n".join(lines).encode() + b"\n" + b"\n".join(map(_shown, texts)))


def grid(xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float, float, float]]:
    return [(x, ys[-1], x, ys[0]) for x in xs] + [(xs[0], y, xs[-1], y) for y in ys]


def pages_of(tmp_path: Path, *sheets: Sheet) -> list[Page]:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(sheets))
    return [event for event in read_pdf(path, ReadLimits()) if isinstance(event, Page)]


def rows(page: Page) -> list[tuple[str, str]]:
    return [(line.role, line.text) for line in page.lines]


HEAD = [Text(55, 500, "Age", 9), Text(155, 500, "Dose", 9), Text(255, 500, "At most", 9)]


def test_a_ruled_table_is_read_row_by_row_with_its_cells(tmp_path: Path) -> None:
    """'6 to 11 years' and '5 in 24 hours' read as lines of their own are anyone's dose."""
    cells = [
        Text(55, 480, "6 to 11", 9), Text(55, 469, "years", 9), Text(155, 480, "1 tablet every", 9),
        Text(155, 469, "4-6 hours", 9), Text(255, 480, "5 in 24 hours", 9),
        Text(55, 450, "12 and over", 9), Text(155, 450, "2 tablets", 9), Text(255, 450, "10 in 24 hours", 9),
    ]  # fmt: skip
    before, after = Text(50, 540, "Table 1 Directions", 9), Text(50, 420, "Ask a doctor.", 9)
    page = pages_of(tmp_path, drawn([before, *HEAD, *cells, after], grid([50, 150, 250, 350], [512, 492, 462, 440])))[0]
    assert rows(page) == [
        ("text", "Table 1 Directions"),
        ("head", "Age\tDose\tAt most"),
        ("row", "6 to 11 years\t1 tablet every 4-6 hours\t5 in 24 hours"),
        ("row", "12 and over\t2 tablets\t10 in 24 hours"),
        ("text", "Ask a doctor."),
    ]
    assert page.tables == 1
    assert page.lines[2].box == pytest.approx((50, 462, 350, 492), abs=1)


def test_a_cell_that_spans_rows_is_said_in_each(tmp_path: Path) -> None:
    texts = [*HEAD, Text(55, 470, "Adults", 9), Text(155, 480, "250 mg", 9), Text(255, 480, "500 mg", 9)]
    texts += [Text(155, 460, "500 mg", 9), Text(255, 460, "1000 mg", 9)]
    rules = [rule for rule in grid([50, 150, 250, 350], [512, 492, 472, 450]) if rule[1] != 472 or rule[3] != 472]
    page = pages_of(tmp_path, drawn(texts, [*rules, (150, 472, 350, 472)]))[0]
    assert rows(page)[1:] == [("row", "Adults\t250 mg\t500 mg"), ("row", "Adults\t500 mg\t1000 mg")]


def test_a_table_with_three_level_lines_is_a_table(tmp_path: Path) -> None:
    texts = [
        *HEAD,
        *(Text(x, 480 - 24 * i, f"{i} {w}", 9) for i in range(3) for x, w in ((55, "a"), (155, "b"), (255, "c"))),
    ]
    texts.append(Text(155, 469, "goes on", 9))
    rules = [(50, y, 350, y) for y in (512, 492, 420)]
    page = pages_of(tmp_path, drawn(texts, rules))[0]
    assert rows(page) == [
        ("head", "Age\tDose\tAt most"),
        ("row", "0 a\t0 b goes on\t0 c"),
        ("row", "1 a\t1 b\t1 c"),
        ("row", "2 a\t2 b\t2 c"),
    ]


def test_a_table_that_goes_on_overleaf_has_no_second_head(tmp_path: Path) -> None:
    xs, ys = [50, 150, 250, 350], [512, 492, 472]
    body = [Text(55, 480, "child", 9), Text(155, 480, "one", 9), Text(255, 480, "five", 9)]
    more = [Text(t.x, t.y + 20, t.text.replace("child", "adult"), 9) for t in body]
    first, second = pages_of(tmp_path, drawn([*HEAD, *body], grid(xs, ys)), drawn([*more, *body], grid(xs, ys)))
    assert rows(first)[0] == ("head", "Age\tDose\tAt most")
    assert [role for role, _ in rows(second)] == ["row", "row"]
    assert (first.tables, second.tables) == (1, 0)


def test_frames_and_axes_are_no_tables(tmp_path: Path) -> None:
    prose = [Text(60, 490 - 12 * i, "prose in a frame that stands alone", 9) for i in range(4)]
    page = pages_of(tmp_path, drawn(prose, grid([50, 350], [512, 440])))[0]
    assert {role for role, _ in rows(page)} == {"text"}
    labels = [Text(40, 200 + 30 * i, f"{10 * i}", 9) for i in range(5)]
    page = pages_of(tmp_path, drawn(labels, grid([60, 120, 180, 240, 300], [350, 320, 290, 260, 230, 200])))[0]
    assert {role for role, _ in rows(page)} == {"text"}


def long_table(n: int) -> list[Page]:
    """A caption, a heading row and `n` rows, on two pages."""
    made = [Line("表1 剂量", (50, 720, 300, 730), 10), Line("药名\t剂量\t次数", (50, 700, 300, 715), 10, "head")]
    made += [
        Line(f"药{i}\t{i}00 mg。餐后\t每日{i}次", (50, 680 - 15 * i, 300, 695 - 15 * i), 10, "row") for i in range(n)
    ]
    return [Page(1, tuple(made[: n // 2]), 600, 842), Page(2, tuple(made[n // 2 :]), 600, 842)]


def test_each_part_of_a_long_table_repeats_caption_and_head_and_cuts_no_row() -> None:
    pages = long_table(20)
    chunks = list(chunk_pages("d", pages, count_tokens=count, max_tokens=50))
    assert len(chunks) > 3
    told: list[str] = []
    for chunk in chunks:
        caption, head, *body = chunk.text.split("\n")
        assert (caption, head) == ("表1 剂量", "药名\t剂量\t次数")
        assert chunk.tokens <= 60
        told += body
        for line, span in zip((caption, head, *body), chunk.spans, strict=True):
            assert chunk.text[span.start : span.end] == line
            assert span.boxes == next((row.box,) for page in pages for row in page.lines if row.text == line)
    assert told == [line.text for page in pages for line in page.lines][2:]


def test_a_small_table_is_not_cut_where_it_would_fit_whole() -> None:
    prose = Line("这是表前面的一段文字，它已经占去了这一段落的大部分，后面的表格放不下了。", (50, 760, 300, 770), 10)
    first, second = long_table(3)
    pages = [Page(1, (prose, *first.lines, *second.lines), 600, 842)]
    chunks = list(chunk_pages("d", pages, count_tokens=count, max_tokens=50))
    assert [chunk.text.count("\t") for chunk in chunks] == [0, 8]


def test_a_row_is_one_sentence() -> None:
    """Quoting 'Not more than 5.' without '6 to 11 years' before it could hurt."""
    text = "Directions\n6 to 11 years\tTake 1 tablet. Not more than 5.\nadults\tTake 2. Not more than 10."
    assert sentences(text) == text.split("\n")


def test_a_row_that_the_page_cuts_through_keeps_its_cells(tmp_path: Path) -> None:
    """Nothing closes it at the page's foot: its cells once ran into one another, and the dose stood beside no drug."""
    xs = [50, 150, 250, 350]
    cells = [Text(55, 480, "child", 9), Text(155, 480, "one", 9), Text(255, 480, "five", 9)]
    cut = [
        Text(55, 460, "adult", 9),
        Text(155, 460, "two every", 9),
        Text(255, 460, "ten", 9),
        Text(155, 449, "day", 9),
    ]
    rules = [(50.0, y, 350.0, y) for y in (512, 492, 472)] + [(x, 440, x, 512) for x in xs]
    page = pages_of(tmp_path, drawn([*HEAD, *cells, *cut], rules))[0]
    assert rows(page)[1:] == [("row", "child\tone\tfive"), ("row", "adult\ttwo every day\tten")]


def test_a_form_with_nothing_filled_in_keeps_its_columns(tmp_path: Path) -> None:
    names = [Text(55 + 75 * i, 500, name, 9) for i, name in enumerate(("Number", "Age", "Sex", "Result"))]
    page = pages_of(tmp_path, drawn(names, grid([50, 125, 200, 275, 350], [512, 492, 472, 452])))[0]
    assert rows(page) == [("head", "Number\tAge\tSex\tResult")]
