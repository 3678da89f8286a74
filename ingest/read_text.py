"""Plain text, Markdown and record files in; Head, Pages and Tail out. Runs in the reading child.

Text has no pages, so it is parted where a reader can find the place again: at form feeds if it has them, else at the
first blank line or heading after about 3,000 characters (a printed page). A part's number stands in for the page, its
label is the range of lines, '121–187'. Record files (.json, .jsonl: strings, or objects with title and text; .csv,
.tsv: rows below a row of headings) give one page a record: number = place in the file, label = title. Records that
cannot be used are counted and named.
"""

from __future__ import annotations

import codecs
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.read import Head, ReadEvent, Reading, ReadLimits, Tail, suffix_of
from ingest.read_table import table_rows
from kb.errors import ReadError
from kb.records import are_monographs
from kb.types import DocumentKind, Line, Page

_TEXT_READER = "text/1"
_RECORD_READER = "records/2"
_PART = 3000
_PART_MOST = 6000
_LINE_MOST = 2_000_000  # characters: a thick book that was saved without a single line break
_LABEL_LONGEST = 80
_NAME_LONGEST = 40
_HEADING = re.compile(r"#{1,6}\s|第[一二三四五六七八九十百千零〇\d]+[章节篇卷]|<[^<>\s]{1,4}>|Chapter\s", re.IGNORECASE)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_RARE = re.compile(r"[\ue000-\uf8ff\ufffd]")


def read_text(path: Path, limits: ReadLimits, first_page: int = 1, *, name: Path | None = None) -> Reading:
    """Read a text, Markdown, JSON or JSON-lines file (also packed as .xz or .gz) from `first_page` on.

    `name` tells the format by its suffixes where `path` does not.

    Raises ReadError if it is damaged, in an unknown encoding, not text, or holds no usable record.
    """
    name = name or path
    text = decoded(_unpacked(path, name.suffix.lower(), limits.file_bytes))
    suffix = suffix_of(name)
    if suffix in (".json", ".jsonl", ".ndjson", ".csv", ".tsv"):
        yield from _read_records(text, suffix, limits, first_page)
        return
    pages = list(_parts(text, limits))
    if not pages:
        raise ReadError("has no text in it")
    if len(pages) > limits.pages:
        raise ReadError(f"has {len(pages):,} parts, more than the limit of {limits.pages:,} (max_pages)")
    yield Head("markdown" if suffix in (".md", ".markdown") else "text", len(pages))
    yield from pages[first_page - 1 :]
    yield Tail()


# -- bytes to text ---------------------------------------------------------------------------------------------------


def _unpacked(path: Path, packing: str, most: int) -> bytes:
    """The file's bytes, unpacked; never more than `most` (a packed file may be a bomb)."""
    try:
        if packing == ".xz":
            with lzma.open(path) as packed:
                data = packed.read(most + 1)
        elif packing == ".gz":
            with gzip.open(path) as packed:
                data = packed.read(most + 1)
        else:
            return path.read_bytes()
    except (lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile):
        raise ReadError(f"is damaged: it cannot be unpacked as {packing}") from None
    if len(data) > most:
        raise ReadError(f"is larger than the limit of {most >> 20:,} MB when unpacked (max_file_mb)")
    return data


def decoded(data: bytes) -> str:
    """Text of UTF-8, UTF-16 and -32 with their marks, or GB18030 (which includes GBK and GB2312)."""
    for bom, name in _BOMS:
        if data.startswith(bom):
            return _strictly(data, name)
    if b"\x00" in data[:4096]:
        guess = _without_bom(data)
        if guess is None:
            raise ReadError("is not text: it contains binary data")
        return guess
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = _strictly(data, "gb18030")
        if len(_RARE.findall(text)) + len(_CONTROL.findall(text)) > len(text) // 200:
            raise ReadError("is in an unknown encoding: save it as UTF-8 and add it again") from None
    if len(_CONTROL.findall(text)) > len(text) // 50:
        raise ReadError("is not text: it contains binary data")
    return text


def _strictly(data: bytes, name: str) -> str:
    try:
        return data.decode(name)
    except UnicodeDecodeError as error:
        raise ReadError(
            f"is not valid {error.encoding.upper()} (at byte {error.start:,}), nor UTF-8: "
            "save it as UTF-8 and add it again"
        ) from None


def _without_bom(data: bytes) -> str | None:
    """UTF-16 without its mark: every second byte of Latin text is zero."""
    sample = data[:4096]
    for name, offset in (("utf-16-le", 1), ("utf-16-be", 0)):
        zeros = sample[offset::2].count(0)
        if zeros > len(sample) // 40 and zeros > 5 * sample[1 - offset :: 2].count(0):
            return _strictly(data, name)
    return None


# -- text ------------------------------------------------------------------------------------------------------------


def _parts(text: str, limits: ReadLimits) -> Iterator[Page]:
    number = 0
    first = 1
    part: list[str] = []
    size = 0
    for at, fed, line in _lines(text):
        due = size >= _PART and (not line.strip() or _HEADING.match(line.lstrip()))
        if part and (fed or due or size + len(line) > _PART_MOST):
            if any(x.strip() for x in part):
                number += 1
                yield _part(number, first, at - 1, part, limits)
            part, size, first = [], 0, at
        for piece in _pieces(line):
            if part and size + len(piece) > _PART_MOST:  # only within a line that is longer than a part
                number += 1
                yield _part(number, first, at, part, limits)
                part, size, first = [], 0, at
            part.append(piece)
            size += len(piece) + 1
    if any(x.strip() for x in part):
        yield _part(number + 1, first, at, part, limits)


def _lines(text: str) -> Iterator[tuple[int, bool, str]]:
    """(number, whether a form feed stands before it, text) of each line; a form feed within a line parts it."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(plain.split("\n"), start=1):
        if len(line) > _LINE_MOST:
            raise ReadError(
                f"has {len(line):,} characters in line {number:,}, more than a line of text for people has "
                f"({_LINE_MOST:,}): save it with line breaks and add it again"
            )
        for i, piece in enumerate(line.split("\f")):
            if piece or not i:
                yield number, i > 0 or (not piece and "\f" in line), piece


def _pieces(line: str) -> Iterator[str]:
    """The line itself; a line longer than a part (a file without line breaks) in pieces that end at sentences."""
    start = 0
    while len(line) - start > _PART_MOST:
        least, most = start + _PART // 2, start + _PART
        cut = max(line.rfind(mark, least, most) + len(mark) for mark in ("。", "！", "？", ". ", "; ", "；"))
        cut = cut if cut > least else max(line.rfind(" ", least, most) + 1, least)
        yield line[start:cut]
        start = cut
    yield line[start:]


def _part(number: int, first: int, last: int, lines: list[str], limits: ReadLimits) -> Page:
    kept = tuple(Line(line.rstrip()[: limits.page_chars]) for line in lines)
    return Page(number, kept, label=f"{first}–{max(first, last)}", reader=_TEXT_READER)


# -- records ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bad:
    number: int
    reason: str


def _read_records(text: str, suffix: str, limits: ReadLimits, first_page: int) -> Iterator[ReadEvent]:
    bad: list[_Bad] = []
    pages: list[Page] = []
    rows = suffix in (".csv", ".tsv")
    items = list(table_rows(text, suffix) if rows else _items(text, lines=suffix != ".json"))
    for number, item in enumerate(items, start=1):
        made = item if isinstance(item, _Bad) else _record(number, item, limits)
        if isinstance(made, _Bad):
            bad.append(_Bad(number, made.reason))
        else:
            pages.append(made)
    if not pages:
        example = f" (record {bad[0].number}: {bad[0].reason})" if bad else ""
        raise ReadError(f"holds no usable record: a list of strings, or of objects with title and text{example}")
    kind: DocumentKind = "monographs" if are_monographs([page.text for page in pages]) else "records"
    yield Head(kind, len(items))
    for page in pages:
        if page.number >= first_page:
            yield page
    yield Tail(notes=(_bad_note(bad, len(items)),) if bad else ())


def _items(text: str, *, lines: bool) -> Iterator[object]:
    if lines:
        for line in text.split("\n"):
            if line.strip():
                try:
                    yield json.loads(line)
                except (ValueError, RecursionError):
                    yield _Bad(0, "not valid JSON")
        return
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ReadError(f"is not valid JSON (line {error.lineno}: {error.msg})") from None
    except (ValueError, RecursionError):
        raise ReadError("is not usable JSON: nested too deeply, or a number too long") from None
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 and "text" not in data else [data]
    if not isinstance(data, list):
        raise ReadError("holds no records: a list of strings, or of objects with title and text, is expected")
    yield from data


def _name_line(lines: Sequence[str]) -> str:
    """The first line, if it is a name over what follows (a monograph's drug) and not its first sentence."""
    first = lines[0]
    return first if len(lines) > 1 and len(first) <= _NAME_LONGEST and first[-1] not in "。.！!？?；;，,：:" else ""


def _record(number: int, item: object, limits: ReadLimits) -> Page | _Bad:
    title = ""
    if isinstance(item, dict):
        text, title = item.get("text"), item.get("title") or item.get("name") or ""
        if not isinstance(text, str) or not isinstance(title, str):
            return _Bad(number, "no text" if text is None else "its title or text is not a string")
    elif isinstance(item, str):
        text = item
    else:
        return _Bad(number, "neither a string nor an object")
    lines = [line.strip() for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    if not lines:
        return _Bad(number, "no text")
    title = " ".join(title.split())
    if title and lines[0] != title:
        lines.insert(0, title)
    label = title[:_LABEL_LONGEST] or _name_line(lines)
    note = ""
    if sum(map(len, lines)) > limits.page_chars:
        note = f"longer than {limits.page_chars:,} characters (max_page_chars); cut"
        lines = _cut(lines, limits.page_chars)
    return Page(number, tuple(map(Line, lines)), label=label, reader=_RECORD_READER, note=note)


def _cut(lines: list[str], most: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        kept.append(line[:most])
        most -= len(line)
        if most <= 0:
            break
    return kept


def _bad_note(bad: list[_Bad], count: int) -> str:
    named = ", ".join(f"{one.number} ({one.reason})" for one in bad[:5])
    more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
    return f"{len(bad)} of {count} records could not be used: {named}{more}"
