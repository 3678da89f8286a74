"""Reading PDFs: what stands on the page, in order, where it stands; and every way a file can be bad."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdf
import pypdfium2 as pdfium
import pytest

from ingest import read_pdf as module
from ingest.layout import page_lines
from ingest.pieces import Characters
from ingest.read import Head, ReadLimits, Tail, read
from ingest.read_pdf import read_pdf
from kb.errors import ReadError
from kb.types import Page
from tests.ingest.tiny_pdf import Sheet, Text, lines, pdf

LIMITS = ReadLimits()


def pages_of(path: Path, limits: ReadLimits = LIMITS, first_page: int = 1) -> list[Page]:
    return [event for event in read(path, limits, first_page) if isinstance(event, Page)]


def texts_of(page: Page) -> list[str]:
    return [line.text for line in page.lines]


@pytest.fixture
def write(tmp_path: Path):
    def put(sheets: Sequence[Sheet], name: str = "a.pdf", **more: object) -> Path:
        path = tmp_path / name
        path.write_bytes(pdf(sheets, **more))  # type: ignore[arg-type]
        return path

    return put


def reason(path: Path, limits: ReadLimits = LIMITS) -> str:
    with pytest.raises(ReadError) as caught:
        list(read(path, limits))
    return str(caught.value)


# -- what is read ------------------------------------------------------------------------------------------------------


def test_text_outline_metadata_and_title_arrive(write) -> None:
    path = write(
        [Sheet(lines(["Dosage", "Take 500 mg twice a day."])), Sheet(lines(["二甲双胍每日两次"]))],
        info={"Title": "Handbook", "Author": "张三"},
        outline=[("Dosage", 1), ("二甲双胍", 2)],
    )
    events = list(read_pdf(path, LIMITS))
    head = events[0]
    assert isinstance(head, Head)
    assert (head.kind, head.pages) == ("pdf", 2)
    assert [(e.title, e.level, e.page) for e in head.outline] == [("Dosage", 0, 1), ("二甲双胍", 0, 2)]
    assert head.metadata["title"] == "Handbook"
    assert head.metadata["author"] == "张三"
    first, second = events[1:3]
    assert isinstance(first, Page)
    assert isinstance(second, Page)
    assert texts_of(first) == ["Dosage", "Take 500 mg twice a day."]
    assert texts_of(second) == ["二甲双胍每日两次"]
    assert first.reader.startswith("pdfium-")
    assert isinstance(events[-1], Tail)


def test_reading_can_begin_at_a_later_page(write) -> None:
    path = write([Sheet(lines([f"Page {n}"])) for n in range(1, 6)])
    assert [(page.number, page.text) for page in pages_of(path, first_page=4)] == [(4, "Page 4"), (5, "Page 5")]


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [None, (30.0, 50.0, 390.0, 580.0)])
def test_boxes_frame_the_ink_on_the_displayed_page(write, rotate: int, crop) -> None:
    """A citation highlights the lines it quotes: their ink lies in their boxes, and nowhere else."""
    path = write([Sheet(lines(["First line of it", "Second, longer line of it"], top=500), crop=crop, rotate=rotate)])
    page = pages_of(path)[0]
    scale = 3
    image = pdfium.PdfDocument(path)[0].render(scale=scale).to_numpy()
    assert (round(page.width), round(page.height)) == (image.shape[1] // scale, image.shape[0] // scale)
    dark = image.min(axis=2) < 128
    inside = np.zeros_like(dark)
    for line in page.lines:
        assert line.box is not None
        x0, y0, x1, y1 = (value * scale for value in line.box)
        frame = np.s_[int(dark.shape[0] - y1) - 2 : int(dark.shape[0] - y0) + 3, int(x0) - 2 : int(x1) + 3]
        assert dark[frame].any(), "an empty box"
        inside[frame] = True
    assert not (dark & ~inside).any()


def test_text_outside_the_visible_page_is_left_out(write) -> None:
    path = write([Sheet([Text(50, 300, "seen"), Text(50, 20, "printer's mark")], crop=(0, 100, 400, 600))])
    assert texts_of(pages_of(path)[0]) == ["seen"]


def test_raised_digits_stay_exponents(write) -> None:
    """10⁹ read as 109 would be a wrong count."""
    raised = b"BT 1 0 0 1 50 500 Tm /F1 12 Tf (platelets 10) Tj /F1 7 Tf 5 Ts (9) Tj 0 Ts /F1 12 Tf (/L or 12) Tj ET"
    assert pages_of(write([Sheet(content=raised)]))[0].text == "platelets 10⁹/L or 12"


def test_raised_digits_at_the_end_of_the_stream_go_back_to_their_words(write) -> None:
    """Some label printers emit the 2 of m² after the whole page: 'mL/min/1.73 m' would lose its unit."""
    line = Text(50, 480, "eGFR 30 mL/min/1.73 m", 12)
    box = pages_of(write([Sheet([line])]))[0].lines[0].box
    assert box is not None
    sheet = Sheet(
        [line, Text(box[2] + 12, 480, "(2.3)", 12), Text(50, 460, "next line", 12), Text(box[2], 485, "2", 7)]
    )
    assert texts_of(pages_of(write([sheet]))[0]) == ["eGFR 30 mL/min/1.73 m² (2.3)", "next line"]


def characters(text: str, boxes: Sequence[tuple[float, float, float, float]]) -> Characters:
    """Characters whose ink fills their cells."""
    blank = (float("inf"), float("inf"), float("-inf"), float("-inf"))
    inked = [blank if c.isspace() else box for c, box in zip(text, boxes, strict=True)]
    left, bottom, right, top = ([box[k] for box in inked] for k in range(4))
    return Characters(text, left, right, bottom, top, lambda i: boxes[i])


def test_marks_at_the_end_of_the_stream_go_back_to_their_words() -> None:
    """Else '®' stands alone between two pages and breaks the sentence that goes on over them."""
    text = "with AMOXIL over 250\n®"
    starts = [50.0 + 6 * i + (10 if i > 11 else 0) for i in range(len(text))]
    boxes = [(x, 500.0, x + 6, 512.0) for x in starts[:-1]]
    boxes.append((starts[10] + 6 + 4, 506, starts[10] + 6 + 10, 514))
    found = page_lines(characters(text, boxes), 600).lines
    assert [line.text for line in found] == ["with AMOXIL® over 250"]
    assert found[0].box == (50, 500, starts[19] + 6, 514)


def test_latin_words_do_not_make_a_chinese_line_larger() -> None:
    """It would become a heading, and give a false section to all that follows it."""
    text = "虑术后主要不良事件（Major Adverse Event, MAE）的发"
    boxes = [
        (50.0 + 14 * i, 500.0, 50.0 + 14 * i + (8 if c.isascii() else 14), 519.0 if c.isascii() else 513.0)
        for i, c in enumerate(text)
    ]
    found = page_lines(characters(text, boxes), 600).lines
    assert {line.size for line in found} == {14}


def test_a_cell_that_spans_rows_is_read_after_them(write) -> None:
    """Else the second drug's row seems to go on from the notes that stand beside all rows."""
    rows = [Text(30, 540 - 30 * i, f"drug {i} with its dose", 9) for i in range(4)]
    notes = [Text(250, 540 - 15 * i, f"note line {i}", 9) for i in range(6)]
    page = pages_of(write([Sheet([rows[0], *notes, *rows[1:]])]))[0]
    assert texts_of(page) == [*(row.text for row in rows), *(note.text for note in notes)]


def test_columns_that_interleave_are_read_one_after_the_other(write) -> None:
    left = [f"left column sentence number {i} goes on" for i in range(8)]
    right = [f"right column sentence number {i} goes on" for i in range(8)]
    texts: list[Text] = [Text(30, 560, "A title that spans both of the columns on this page here", 10)]
    for i in range(8):
        texts += [Text(30, 540 - 14 * i, left[i], 8), Text(215, 540 - 14 * i, right[i], 8)]
    assert texts_of(pages_of(write([Sheet(texts)]))[0])[1:] == left + right


def test_table_rows_are_not_taken_for_columns(write) -> None:
    texts: list[Text] = []
    for i in range(8):
        texts += [Text(30, 540 - 14 * i, f"drug {i}", 9), Text(215, 540 - 14 * i, f"{i}00 mg", 9)]
    assert texts_of(pages_of(write([Sheet(texts)]))[0]) == [f"drug {i}\t{i}00 mg" for i in range(8)]


def test_wide_table_cells_keep_their_rows(write) -> None:
    """'below 5.5 mmol/L: within 0.83' must not come apart, however long the cells are."""
    texts: list[Text] = []
    for i in range(8):
        texts += [Text(30, 540 - 30 * i, f"glucose concentration class {i}", 9)]
        texts += [Text(215, 540 - 30 * i, f"standard deviation within class {i}", 9)]
    rows = texts_of(pages_of(write([Sheet(texts)]))[0])
    assert [row.count(str(i)) for i, row in enumerate(rows)] == [2] * 8


def test_line_numbers_stand_apart_from_the_text(write) -> None:
    sheets = []
    for page in range(2):
        numbered = [(20 * page + i + 1, f"the text of this line of the draft goes on {i}") for i in range(20)]
        sheets.append(
            Sheet(
                [
                    t
                    for n, text in numbered
                    for t in (Text(20, 560 - 14 * n + 280 * page, str(n)), Text(50, 560 - 14 * n + 280 * page, text))
                ]
            )
        )
    for page in pages_of(write(sheets)):
        assert all(text.startswith("the text") for text in texts_of(page)[:20])
        assert all(text.isdecimal() for text in texts_of(page)[20:])


def test_an_owner_password_does_not_keep_readers_out(tmp_path: Path) -> None:
    assert "open to all" in pages_of(encrypted(tmp_path, user=""))[0].text


# -- what is refused, and why ------------------------------------------------------------------------------------------


def encrypted(folder: Path, *, user: str) -> Path:
    writer = pypdf.PdfWriter(io.BytesIO(pdf([Sheet(lines(["open to all"]))])))
    writer.encrypt(user_password=user, owner_password="owner", algorithm="RC4-128")
    path = folder / "locked.pdf"
    writer.write(path)
    return path


def test_each_bad_file_has_its_reason(tmp_path: Path, write) -> None:
    good = pdf([Sheet(lines(["text"]))])
    cases = {
        "empty": (b"", "empty"),
        "text": (b"just some words", "is not a PDF"),
        "broken": (b"%PDF-1.7\n" + os.urandom(500), "damaged"),
        "cut": (good[: len(good) // 3], "damaged"),
        "nopages": (pdf([]), "no pages"),
    }
    for name, (data, expected) in cases.items():
        path = tmp_path / f"{name}.pdf"
        path.write_bytes(data)
        assert expected in reason(path), name
    assert "needs a password" in reason(encrypted(tmp_path, user="secret"))
    many = write([Sheet(lines(["x"]))] * 5)
    assert "5 pages, more than the limit of 3" in reason(many, replace(LIMITS, pages=3))
    assert "larger than the limit" in reason(many, replace(LIMITS, file_bytes=100))


def test_a_page_with_too_much_text_is_cut_and_says_so(write) -> None:
    page = pages_of(write([Sheet(lines(["word " * 10] * 30))]), replace(LIMITS, page_chars=1000))[0]
    assert len(page.text) <= 1000
    assert "cut at 1,000" in page.note


def test_a_decompression_bomb_ends_within_its_memory(write) -> None:
    bomb = b"BT /F1 9 Tf 1 0 0 1 10 10 Tm " + b"(a) Tj " * 30_000_000
    started = time.monotonic()
    path = write([Sheet(lines(["before"])), Sheet(content=bomb)])
    told = reason(path, replace(LIMITS, memory_bytes=400 << 20))
    assert "at page 2" in told
    assert "memory" in told or "longer" in told
    assert time.monotonic() - started < 60


def child_that(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Replace the reading child by a script; frames are sent with `send(dict)`."""
    prelude = """
import json, os, resource, signal, sys, time
def send(frame):
    data = json.dumps(frame).encode()
    os.write(1, len(data).to_bytes(4, "big") + data)
head = {"head": {"pages": 3, "outline": [], "metadata": {}}}
line = ["x", None, 0, "text", False]
def page(n): return {"page": {"number": n, "label": "", "width": 1, "height": 1, "note": "", "lines": [line]}}
"""

    def start(path: Path, limits: ReadLimits, first_page: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", prelude + code], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )

    monkeypatch.setattr(module, "_start", start)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("send(head); send(page(1)); os.kill(os.getpid(), signal.SIGSEGV)", "crashed its reader (signal 11) at page 2"),
        (
            "send(head); send(page(1)); os.kill(os.getpid(), signal.SIGABRT)",
            "ran out of memory (limit 1.5 GiB) at page 2",
        ),
        ("send(head); send(page(1)); send({'error': 'memory'})", "ran out of memory (limit 1.5 GiB) at page 2"),
        ("send(head); send(page(1)); time.sleep(60)", "took longer than 1 s and was stopped at page 2"),
        ("time.sleep(60)", "was stopped while it was being opened"),
        ("resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass", "processor time"),
        ("send(head); send(page(2))", "broken page 1"),
        ("send(head); send({'page': 7})", "broken page 1"),
        ("send(head); os.write(1, b'\\xff\\xff\\xff\\xff')", "implausibly large at page 1"),
        ("os.write(1, b'\\0\\0\\0\\2{]')", "no data"),
        ("send({'head': {'pages': 10**9}})", "broken head"),
        ("sys.exit(3)", "exit code 3"),
    ],
)
def test_whatever_the_child_does_the_parent_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, expected: str
) -> None:
    child_that(monkeypatch, code)
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-")
    slow = "longer" in expected or "stopped while" in expected
    limits = replace(LIMITS, cpu_s=0.34, cpu_s_per_page=0.0) if slow else LIMITS
    assert expected in reason(path, limits)


def test_a_child_that_dies_after_the_last_page_costs_only_extras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that(monkeypatch, "send(head)\nfor n in (1, 2, 3): send(page(n))\nsend({'read': 3}); sys.exit(1)")
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-")
    assert len(pages_of(path)) == 3


def test_closing_stops_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_that(monkeypatch, "send(head); send(page(1)); time.sleep(600)")
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-")
    events = read_pdf(path, LIMITS)
    next(events)
    started = time.monotonic()
    events.close()
    assert time.monotonic() - started < 5


def test_columns_stay_apart_where_the_line_is_full_of_narrow_letters(write) -> None:
    """Five narrow letters once made a line look like text that runs up the page, whose gaps say nothing."""
    texts = [Text(30, 540 - 14 * i, f"left column sentence number {i} goes on", 8) for i in range(8)]
    texts += [Text(215, 540 - 14 * i, f"right column sentence number {i} goes", 8) for i in range(8)]
    texts[3] = Text(30, 540 - 14 * 3, "illicit ill till it is still tilt i", 8)
    texts[11] = Text(215, 540 - 14 * 3, "it lit its little illicit tilt still i", 8)
    rows = [text for i in range(8) for text in (texts[i], texts[8 + i])]
    assert texts_of(pages_of(write([Sheet(rows)]))[0]) == [text.text for text in texts]


def test_a_bold_face_is_told(tmp_path: Path) -> None:
    """Headings that are no larger than the text can only be told by it."""
    content = b"BT 1 0 0 1 50 500 Tm /F1 10 Tf (Directions) Tj ET BT 1 0 0 1 50 480 Tm /F1 10 Tf (Take one.) Tj ET"
    made = pdf([Sheet(content=content)]).replace(b"/BaseFont /Helvetica ", b"/BaseFont /Helvetica-Bold ")
    for name, bytes_, bold in (("bold.pdf", made, True), ("plain.pdf", pdf([Sheet(content=content)]), False)):
        (tmp_path / name).write_bytes(bytes_)
        assert [line.bold for line in pages_of(tmp_path / name)[0].lines] == [bold, bold]
