"""Scanned and garbled pages: what is printed on them is found, where it stands; what cannot be read says so."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pypdfium2 as pdfium
import pytest

from ingest import ocr
from ingest.frames import Frames
from ingest.garbled import garbled
from ingest.ocr import RecognisedPage, recognise
from ingest.read import ReadLimits, read
from kb.types import Line, Page
from tests.ingest.tiny_pdf import Sheet, Text, lines, pdf

LIMITS = ReadLimits()
PRINTED = Sheet(
    [Text(30, 160, "Take 500 mg twice a day with food.", 14), Text(30, 130, "二甲双胍每日两次，饭后服用。", 14)],
    media=(0, 0, 300, 200),
)


def scan(sheet: Sheet, turn: int = 0) -> bytes:
    """The page as a scanner would give it: an image of it, turned clockwise on the glass."""
    image = pdfium.PdfDocument(pdf([sheet]))[0].render(scale=200 / 72).to_pil().rotate(-turn, expand=True)
    made = io.BytesIO()
    image.convert("RGB").save(made, "PDF", resolution=200, quality=85)
    return made.getvalue()


def joined(*parts: bytes) -> bytes:
    whole = pdfium.PdfDocument.new()
    for part in parts:
        whole.import_pages(pdfium.PdfDocument(part))
    made = io.BytesIO()
    whole.save(made)
    return made.getvalue()


def pages_of(path: Path, limits: ReadLimits = LIMITS) -> list[Page]:
    return [event for event in read(path, limits) if isinstance(event, Page)]


def test_a_scanned_page_between_text_pages_is_read_in_both_languages(tmp_path: Path) -> None:
    path = tmp_path / "mixed.pdf"
    text = pdf([Sheet(lines(["A page with text of its own."]))])
    path.write_bytes(joined(text, scan(PRINTED), text))
    first, scanned, last = pages_of(path)
    assert [line.text for line in scanned.lines] == [
        "Take 500 mg twice a day with food.",
        "二甲双胍每日两次，饭后服用。",
    ]
    assert (scanned.source, scanned.rotated, scanned.garbled, scanned.note) == ("ocr", 0, False, "")
    assert scanned.confidence is not None
    assert scanned.confidence > 0.9
    assert "rapidocr" in scanned.reader
    for line, text_ in zip(scanned.lines, PRINTED.texts, strict=True):
        x0, y0, x1, y1 = line.box or (0, 0, 0, 0)
        assert x0 < text_.x + 3
        assert y0 < text_.y + 3 < text_.y + 9 < y1
        assert text_.x + 150 < x1 < 300
    for page in (first, last):
        assert (page.source, page.confidence, page.text) == ("text", None, "A page with text of its own.")


@pytest.mark.parametrize("turn", [90, 180])
def test_a_page_that_lies_on_its_side_is_turned_and_its_boxes_stay_where_the_ink_is(tmp_path: Path, turn: int) -> None:
    path = tmp_path / "sideways.pdf"
    path.write_bytes(scan(PRINTED, turn))
    page = pages_of(path)[0]
    assert page.text.splitlines()[0] == "Take 500 mg twice a day with food."
    assert page.rotated == 360 - turn
    image = pdfium.PdfDocument(path)[0].render(scale=1).to_numpy().min(axis=2) < 128
    for line in page.lines:
        x0, y0, x1, y1 = line.box or (0, 0, 0, 0)
        assert (y1 - y0 > x1 - x0) == (turn == 90)
        inside = image[round(page.height - y1) : round(page.height - y0), round(x0) : round(x1)]
        assert inside.any()


def test_the_settings_decide_what_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(joined(scan(PRINTED), pdf([Sheet()])))
    scanned, blank = pages_of(path, replace(LIMITS, ocr="never"))
    assert scanned.lines == ()
    assert "recognition is off" in scanned.note
    assert blank.note == "no text"


MOJIBAKE = "二甲双胍每日两次，饭后服用。肾功能不全者禁用。".encode("gb18030").decode("latin-1") * 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (MOJIBAKE, "mojibake"),
        ("\ue123\ue456\ue789 " * 30, "no meaning"),
        ("\ufffd\ufffd\ufffd. " * 30, "no meaning"),
        ("䶮䴙䴘䲡㸆䏝䓖䗪䓬㛃" * 6, "rare"),
        ("wkh sdwlhqw vkrxog wdnh wkh gdloj grvh zlwk irrg dqg zdwhu " * 8, "spell no words"),
    ],
)
def test_garbage_is_known_by_its_characters(text: str, reason: str) -> None:
    assert reason in garbled(text)


@pytest.mark.parametrize(
    "text",
    [
        "肾功能不全患者（eGFR＜30 mL/min/1.73 m²）禁用二甲双胍；剂量见表 2。" * 4,
        "Le médecin a prescrit à l'élève âgé une dose élevée d'héparine, répétée après l'opération." * 4,
        "Chapter 1 ………………………………………………… 1\nChapter 2 ………………………………………………… 17\n" * 4,
        "\uf0b7 nausea\n\uf0b7 vomiting\n\uf0b7 dizziness\n\uf0b7 rash on the face and the trunk\n" * 3,
        "血壓應低於 140/90 mmHg，糖尿病患者應低於 130/80 mmHg。" * 4,
        "12.5 37.1 120 80 64 98 5.6 7.2 140 4.1 102 24 1.2 " * 4,
        "HbA1c mmHg mmol/L PCR DNA qPCR CYP3A4 CYP2D6 SLC22A1 HLA-B*5701 ng/mL mg/dL " * 4,
    ],
)
def test_what_can_be_read_is_no_garbage(text: str) -> None:
    """Text judged garbage is replaced or left out: a page of a real guideline must never be."""
    assert garbled(text) == ""


def test_a_garbled_text_layer_gives_way_to_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong number in a garbled layer could be quoted with confidence."""
    path = tmp_path / "garbled.pdf"
    cipher = "wkh sdwlhqw vkrxog wdnh 600 pj wkh gdloj grvh zlwk irrg"
    path.write_bytes(pdf([Sheet(lines([cipher] * 8)), Sheet(lines(["sound text"]))]))
    asked: list[int] = []

    def fake(path: Path, numbers: Sequence[int], limits: ReadLimits):  # type: ignore[no-untyped-def]
        asked.extend(numbers)
        return (RecognisedPage(n, (Line("the patient should take 500 mg", (0, 0, 9, 9)),), 0.97) for n in numbers)

    monkeypatch.setattr("ingest.read_pdf.recognise", fake)
    first, second = pages_of(path)
    assert (first.text, first.source, first.garbled) == ("the patient should take 500 mg", "ocr", True)
    assert "spell no words" in first.note
    assert (second.text, second.source) == ("sound text", "text")
    assert asked == [1]
    left_out = pages_of(path, replace(LIMITS, ocr="never"))[0]
    assert (left_out.lines, left_out.garbled) == ((), True)


def child_that(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Replace the recognising child by a script."""
    prelude = """
import json, os, signal, sys, time
def send(frame):
    data = json.dumps(frame).encode()
    os.write(1, len(data).to_bytes(4, "big") + data)
def page(n): return {"page": n, "lines": [["line", [1, 2, 3, 4], 9]], "confidence": 0.9, "rotated": 0, "note": ""}
"""
    monkeypatch.setattr(ocr, "command", lambda module, order: [sys.executable, "-c", prelude + code])


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("send({'ready': 1}); os.kill(os.getpid(), signal.SIGSEGV)", "crashed (signal 11)"),
        ("send({'ready': 1}); sys.stdin.readline(); os.kill(os.getpid(), signal.SIGABRT)", "ran out of memory"),
        ("send({'ready': 1}); sys.stdin.readline(); time.sleep(60)", "took longer than 1 s"),
        ("send({'ready': 1}); send({'page': 7})", "broken page"),
        ("send({'ready': 1}); os.write(1, b'\\xff\\xff\\xff\\xff')", "implausibly large"),
        ("send({'unavailable': 'no models'})", "no models"),
    ],
)
def test_a_recogniser_that_fails_costs_its_page_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, told: str
) -> None:
    child_that(monkeypatch, code)
    pages = list(recognise(tmp_path, [4], replace(LIMITS, ocr_page_s=0.25 if "longer" in told else 30)))
    assert [page.number for page in pages] == [4]
    assert told in pages[0].note
    assert pages[0].lines == ()


def test_a_page_that_takes_too_long_says_so_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of hostile ink must neither hold a book up for hours nor vanish from it without a word."""
    monkeypatch.setattr(ocr, "_WALL", 12_000.0)  # so that processor time decides
    path = tmp_path / "slow.pdf"
    path.write_bytes(joined(scan(PRINTED), scan(PRINTED), scan(PRINTED), scan(PRINTED)))
    slow = list(recognise(path, [1, 2, 3, 4], replace(LIMITS, ocr_page_s=0.01, ocr_workers=1)))
    assert [page.note for page in slow] == [
        "could not be recognised in time (more than 0.01 s of processor time; setting ocr_page_s)"
    ] * 4
    assert not any(page.lines for page in slow)


def test_a_recogniser_ends_with_its_parent(tmp_path: Path) -> None:
    """Otherwise each killed worker would leave processes behind that work on for nobody."""
    path = tmp_path / "scan.pdf"
    path.write_bytes(scan(PRINTED))
    order = {"path": str(path), "threads": 1, "memory_bytes": LIMITS.ocr_memory_bytes, "page_cpu_s": 45}
    child = subprocess.Popen(
        ocr.command("ingest.ocr_child", order), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ocr.surroundings()
    )
    assert child.stdout is not None
    assert Frames(child.stdout.fileno()).read(120) == {"ready": True}
    child.communicate(b"1\n" * 500, timeout=30)  # minutes of work, and then nobody at the other end
    assert child.returncode == 0


def test_pages_come_in_order_and_recognition_is_given_up_after_three_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "send({'ready': 1})\nfor n in map(int, sys.stdin): n < 4 or os.abort(); time.sleep(n % 2 / 5); send(page(n))"
    child_that(monkeypatch, code)
    pages = list(recognise(tmp_path, range(1, 10), replace(LIMITS, ocr_workers=2)))
    assert [page.number for page in pages] == list(range(1, 10))
    assert [bool(page.lines) for page in pages] == [True] * 3 + [False] * 6
    assert "given up" in pages[-1].note


def test_closing_stops_the_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_that(monkeypatch, "send({'ready': 1}); sys.stdin.readline(); send(page(1)); time.sleep(600)")
    pages = recognise(tmp_path, [1, 2, 3], replace(LIMITS, ocr_workers=1))
    assert next(pages).lines
    started = time.monotonic()
    pages.close()
    assert time.monotonic() - started < 10
