"""Formats beside PDF: what a reader of the document sees must be found, and a hostile file must end with a reason."""

from __future__ import annotations

import gzip
import time
import zipfile
from pathlib import Path

import openpyxl
import pytest

from ingest.blocks import Block, parted
from ingest.numerals import spelt
from ingest.read import Head, ReadLimits, Tail, read
from kb.errors import ReadError
from kb.types import Page
from tests.ingest.office_files import docx, epub, packed, paragraph, pptx, row

LIMITS = ReadLimits()


def pages_of(path: Path) -> tuple[Head, list[Page], Tail]:
    events = list(read(path, LIMITS))
    head, tail = events[0], events[-1]
    assert isinstance(head, Head)
    assert isinstance(tail, Tail)
    return head, [event for event in events if isinstance(event, Page)], tail


def texts(pages: list[Page]) -> list[str]:
    return [line.text for page in pages for line in page.lines]


def test_a_word_document_reads_as_it_is_seen(tmp_path: Path) -> None:
    """Numbers that Word works out are text to a reader: '见 1.1' must lead somewhere."""
    deleted = "<w:p><w:r><w:t>dose is </w:t></w:r><w:del><w:r><w:delText>50</w:delText></w:r></w:del>"
    deleted += "<w:ins><w:r><w:t>5 mg</w:t></w:r></w:ins></w:p>"
    body = paragraph("Overview", style="h1") + deleted
    body += paragraph("适应证", numbered=0) + paragraph("高血压", numbered=1) + paragraph("心绞痛", numbered=1)
    body += paragraph("用法", numbered=0) + paragraph("口服", numbered=1)
    body += f"<w:tbl>{row('Drug', 'Dose', head=True)}{row('Aspirin', '75 mg')}</w:tbl>"
    head, pages, _ = pages_of(docx(tmp_path / "a.docx", body))
    assert head.kind == "docx"
    assert texts(pages) == [
        "Overview",
        "dose is 5 mg",
        "一、适应证",
        "1.1 高血压",
        "1.2 心绞痛",
        "二、用法",
        "2.1 口服",
        "Drug\tDose",
        "Aspirin\t75 mg",
    ]
    assert [line.role for line in pages[0].lines[-2:]] == ["head", "row"]
    assert pages[0].tables == 1


@pytest.mark.parametrize(
    ("number", "form", "expected"),
    [
        (12, "chineseCounting", "十二"),
        (20, "chineseCountingThousand", "二十"),
        (4, "upperRoman", "IV"),
        (28, "lowerLetter", "bb"),
    ],
)
def test_numerals(number: int, form: str, expected: str) -> None:
    assert spelt(number, form) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_a_web_page_keeps_text_headings_and_tables_and_drops_the_rest(tmp_path: Path, encoding: str) -> None:
    page = (
        '<html><head><meta charset="gbk"><title>高血压指南</title><style>x{}</style></head><body><nav>首页</nav>'
        "<h1>治疗</h1><p>目标血压<b>低于</b>140 mmHg。<br>另见<sup>2</sup></p><script>alert(1)</script>"
        "<ul><li>限盐</li></ul>"
        "<table><tr><th>药物</th><th>剂量</th></tr><tr><td>氨氯地平</td><td>5 mg</td></tr></table>"
        '<p style="display: none">隐藏</p></body></html>'
    )
    path = tmp_path / "a.html"
    path.write_bytes((page if encoding == "gb18030" else page.replace("gbk", "utf-8")).encode(encoding))
    head, pages, _ = pages_of(path)
    assert head.title == "高血压指南"
    assert [(entry.title, entry.level) for entry in head.outline] == [("治疗", 0)]
    assert texts(pages) == ["治疗", "目标血压低于140 mmHg。", "另见2", "• 限盐", "药物\t剂量", "氨氯地平\t5 mg"]


def test_a_book_is_read_in_the_order_of_its_spine(tmp_path: Path) -> None:
    path = epub(tmp_path / "a.epub", ["<h1>One</h1><p>first dose</p>", "<h1>Two</h1><p>second dose</p>"])
    head, pages, _ = pages_of(path)
    assert (head.title, [page.label for page in pages]) == ("A Book", ["One", "Two"])
    assert texts(pages) == ["One", "first dose", "Two", "second dose"]


def test_slides_keep_their_numbers(tmp_path: Path) -> None:
    _, pages, _ = pages_of(pptx(tmp_path / "a.pptx", [("Warfarin", "INR 2–3"), ("", ""), ("Heparin", "aPTT")]))
    assert [(page.number, page.label) for page in pages] == [(1, "Warfarin"), (2, "2"), (3, "Heparin")]
    assert texts(pages) == ["Warfarin", "INR 2–3", "Heparin", "aPTT"]


def test_a_workbook_repeats_its_heading_row(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Doses"
    sheet.append(["Drug", "Dose mg"])
    for n in range(400):
        sheet.append([f"Drug number {n}", n / 4])
    book.create_sheet("hidden").sheet_state = "hidden"
    book.save(tmp_path / "a.xlsx")
    head, pages, _ = pages_of(tmp_path / "a.xlsx")
    assert head.kind == "sheets"
    assert len(pages) > 1
    assert all(page.lines[0].text == "Drug\tDose mg" for page in pages)
    assert "Drug number 7\t1.75" in texts(pages)
    assert pages[0].label.startswith("Doses, 1–")


def test_rows_of_a_csv_are_records(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        '药品名称,适应证,用法用量\n硝苯地平,"高血压,心绞痛",口服\n,,\n阿司匹林,发热,口服\n'.encode("gb18030")
    )
    head, pages, _ = pages_of(path)
    assert [page.label for page in pages] == ["硝苯地平", "阿司匹林"]
    assert [line.text for line in pages[0].lines] == ["硝苯地平", "适应证:高血压,心绞痛", "用法用量:口服"]
    assert head.kind == "monographs"


def test_a_part_never_ends_with_a_heading() -> None:
    blocks = [Block("x" * 500) for _ in range(6)] + [Block("Heading", level=1), Block("under it")]
    assert [part.blocks[-1].text for part in parted(blocks)][-1] == "under it"
    assert all(part.blocks[-1].level < 0 for part in parted(blocks))


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'


def hostile(folder: Path, name: str) -> Path:
    path = folder / name
    if name == "laughs.docx":
        return packed(path, {"word/document.xml": LAUGHS})
    if name == "laughs.epub":
        return packed(path, {"META-INF/container.xml": LAUGHS})
    if name in ("bomb.docx", "bomb.xlsx"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for n in range(5):
                archive.writestr(f"word/{n}.xml", b"\0" * (100 << 20))
        return path
    if name == "bomb.json.gz":
        path.write_bytes(gzip.compress(b"[" * (250 << 20), 1))
    elif name == "deep.json":
        path.write_bytes(b"[" * 5_000_000)
    elif name == "deep.html":
        path.write_bytes(b"<div>" * 500_000)
    elif name == "old.docx":
        path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
    elif name == "no.pptx":
        path.write_bytes(b"PK\x03\x04 nothing")
    elif name == "empty.docx":
        return docx(path, paragraph(" "))
    return path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("laughs.docx", "entit"),
        ("laughs.epub", "entit"),
        ("bomb.docx", "would unpack"),
        ("bomb.xlsx", "would unpack"),
        ("bomb.json.gz", "larger than the limit"),
        ("deep.json", "nested too deeply"),
        ("deep.html", "no text"),
        ("old.docx", "encrypted, or of an older format"),
        ("no.pptx", "damaged"),
        ("empty.docx", "no text"),
    ],
)
def test_hostile_files_end_soon_with_a_reason(tmp_path: Path, name: str, reason: str) -> None:
    path = hostile(tmp_path, name)
    started = time.monotonic()
    with pytest.raises(ReadError, match=reason):
        list(read(path, LIMITS))
    assert time.monotonic() - started < 60
