"""Reading text and records: every encoding a hospital still has, and every bad record named."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest

from ingest.read import Head, ReadLimits, Tail, read
from kb.errors import ReadError
from kb.types import Page

LIMITS = ReadLimits()


def events_of(path: Path, limits: ReadLimits = LIMITS) -> tuple[Head, list[Page], Tail]:
    head, *pages, tail = read(path, limits)
    assert isinstance(head, Head)
    assert isinstance(tail, Tail)
    return head, [page for page in pages if isinstance(page, Page)], tail


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030", "gbk", "utf-32"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    text = "阿司匹林 Aspirin 100mg，每日一次。\n禁忌：活动性溃疡。\n" + "plain words " * 20
    path = put(tmp_path, "a.txt", text.encode(encoding))
    assert events_of(path)[1][0].lines[0].text == "阿司匹林 Aspirin 100mg，每日一次。"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.txt", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "not text"),
        ("a.txt", b"\xff\x81\x20" * 50, "not valid"),
        ("a.txt", b" \n\n \n", "no text"),
        ("a.txt", b"", "empty"),
        ("a.json", b"{", "not valid JSON (line 1"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.json", b"3", "holds no records"),
        ("a.json", b'[1, {"title": "x"}, ""]', "no usable record"),
        ("a.jsonl", b"not json\n", "not valid JSON"),
        ("a.txt.xz", b"no archive", "cannot be unpacked as .xz"),
        ("a.txt.gz", b"no archive", "cannot be unpacked as .gz"),
        ("a.doc", b"PK", "unsupported type '.doc'"),
    ],
)
def test_bad_files_have_their_reason(tmp_path: Path, name: str, data: bytes, expected: str) -> None:
    with pytest.raises(ReadError) as caught:
        list(read(put(tmp_path, name, data), LIMITS))
    assert expected in str(caught.value)


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_a_packed_bomb_is_refused(tmp_path: Path, suffix: str, pack) -> None:
    path = put(tmp_path, f"a.txt{suffix}", pack(b"a" * 3_000_000))
    with pytest.raises(ReadError, match="larger than the limit of 2 MB when unpacked"):
        list(read(path, ReadLimits(file_bytes=2 << 20)))


def test_a_long_text_is_parted_where_it_can_be_found_again(tmp_path: Path) -> None:
    text = "\n".join(f"line {n} of a long text that is wrapped" if n % 10 else "" for n in range(1, 400))
    _, pages, _ = events_of(put(tmp_path, "a.txt", text.encode()))
    assert len(pages) > 2
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    assert pages[0].label.startswith("1–")
    last = int(pages[0].label.split("–")[1])
    assert pages[1].label.startswith(f"{last + 1}–")
    lines = [line.text for page in pages for line in page.lines]
    assert lines == text.split("\n")


def test_a_book_without_line_breaks_has_parts_too_and_an_absurd_line_is_refused(tmp_path: Path) -> None:
    """Lost: one page of a million characters, all but the first of them beyond the limit of a page."""
    text = "".join(f"第{n}种药每次{n}mg，每天两次。" for n in range(2000))
    _, pages, _ = events_of(put(tmp_path, "a.txt", text.encode()))
    assert len(pages) > 4
    assert all(len(page.text) <= 6100 for page in pages)
    assert {page.label for page in pages} == {"1–1"}
    assert "".join(line.text for page in pages for line in page.lines) == text
    with pytest.raises(ReadError, match=r"3,000,000 characters in line 2,.*line breaks"):
        list(read(put(tmp_path, "b.txt", b"A line.\n" + b"ab" * 1_500_000), LIMITS))


def test_form_feeds_are_page_breaks(tmp_path: Path) -> None:
    _, pages, _ = events_of(put(tmp_path, "a.txt", b"one\ftwo\n\fthree"))
    assert [page.text.strip() for page in pages] == ["one", "two", "three"]


def test_records_keep_their_number_title_and_lines(tmp_path: Path) -> None:
    records = ["阿司匹林\n剂型:片剂", {"id": "x", "title": "Aspirin", "text": "Dose: 100 mg\nAspirin"}]
    head, pages, _ = events_of(put(tmp_path, "a.json", json.dumps(records).encode()))
    assert (head.kind, head.pages) == ("records", 2)
    assert [(p.number, p.label) for p in pages] == [(1, "阿司匹林"), (2, "Aspirin")]
    assert pages[1].text == "Aspirin\nDose: 100 mg\nAspirin"


def test_bad_records_are_counted_and_named(tmp_path: Path) -> None:
    lines = ['"good"', "broken", "7", '{"title": "no text"}', '{"title": 1, "text": "x"}', '""', '{"text": "fine"}']
    _, pages, tail = events_of(put(tmp_path, "a.jsonl.xz", lzma.compress("\n".join(lines).encode())))
    assert [page.number for page in pages] == [1, 7]
    assert tail.notes[0].startswith("5 of 7 records could not be used: 2 (not valid JSON), 3 (neither")


def test_only_records_made_of_fields_are_monographs(tmp_path: Path) -> None:
    """Ordinary passages in JSON must not be held to the rule that only the asked drug's own record may answer."""
    drugs, passages = tmp_path / "drugs.json", tmp_path / "passages.json"
    drugs.write_text('["阿司匹林\\n适应证:发热。\\n用法用量:口服。"]', encoding="utf-8")
    passages.write_text('[{"title": "Sepsis", "text": "Give 30 mL/kg within three hours."}]', encoding="utf-8")
    kinds = [events_of(path)[0].kind for path in (drugs, passages)]
    assert kinds == ["monographs", "records"]


def test_a_first_sentence_is_no_title(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(
        '["阿司匹林\\n适应证:发热。", "Only one line that is long enough to be a sentence."]', encoding="utf-8"
    )
    labels = [page.label for page in events_of(path)[1]]
    assert labels == ["阿司匹林", ""]
