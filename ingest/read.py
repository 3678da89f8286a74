"""A file in, one Head and then its Pages out, whatever the format: the only thing later steps know of readers.

A reader is a generator: first a Head, then Pages in order from `first_page`, last a Tail. It raises ReadError with a
reason a person can act on; pages already given are then worth nothing. Closing the generator stops the reading.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kb.errors import ReadError
from kb.settings import OcrWhen, Settings
from kb.types import DocumentKind, OutlineEntry, Page


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What reading one file may cost. Sizes in bytes, times in seconds."""

    file_bytes: int = 200 << 20
    pages: int = 5000
    page_chars: int = 200_000
    cpu_s: float = 20.0
    cpu_s_per_page: float = 0.2
    memory_bytes: int = 1536 << 20
    ocr: OcrWhen = "auto"
    ocr_workers: int = 0
    """Recognising processes; 0: one for each core."""
    ocr_page_s: float = 45.0
    ocr_memory_bytes: int = 4096 << 20

    @classmethod
    def of(cls, settings: Settings) -> ReadLimits:
        return cls(
            file_bytes=settings.max_file_mb << 20,
            pages=settings.max_pages,
            page_chars=settings.max_page_chars,
            cpu_s=settings.read_cpu_s,
            cpu_s_per_page=settings.read_cpu_s_per_page,
            memory_bytes=settings.read_memory_mb << 20,
            ocr=settings.ocr,
            ocr_workers=settings.ocr_workers,
            ocr_page_s=settings.ocr_page_s,
            ocr_memory_bytes=settings.ocr_memory_mb << 20,
        )


@dataclass(frozen=True, slots=True)
class Head:
    """Known before the first page."""

    kind: DocumentKind
    pages: int
    outline: tuple[OutlineEntry, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True, slots=True)
class Tail:
    """Known after the last page. `outline` counts only if the head had none.

    `notes` belong into the document's reason.
    """

    outline: tuple[OutlineEntry, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


ReadEvent = Head | Page | Tail
Reading = Generator[ReadEvent, None, None]

_TEXT = {".txt", ".text", ".md", ".markdown", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".html", ".htm", ".xhtml"}
_OFFICE = {".docx", ".epub", ".pptx", ".xlsx"}
_OLD = {".doc": ".docx", ".ppt": ".pptx", ".xls": ".xlsx"}
KNOWN = "PDF, DOCX, EPUB, HTML, PPTX, XLSX, CSV, TSV, .txt, .md, .json and .jsonl (text also packed as .xz or .gz)"
_PACKED = {".xz", ".gz"}


def suffix_of(path: Path) -> str:
    """The suffix that tells the format, lower case; that of the packed file for .xz and .gz."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def is_supported(path: Path) -> bool:
    """Whether a file of this name is one that can be read."""
    packed = path.suffix.lower() in _PACKED
    return suffix_of(path) in _TEXT or (suffix_of(path) in {".pdf", *_OFFICE} and not packed)


def check_type(name: Path) -> None:
    """Raise ReadError if no reader knows files of this name."""
    if not is_supported(name):
        newer = _OLD.get(suffix_of(name))
        remedy = f"save it as {newer} and add that" if newer else f"{KNOWN} can be read"
        raise ReadError(f"unsupported type '{name.suffix or name.name}': {remedy}")


def check_size(path: Path, limits: ReadLimits) -> None:
    """Raise ReadError if the file is empty or over the limit."""
    size = path.stat().st_size
    if size == 0:
        raise ReadError("is empty (0 bytes)")
    if size > limits.file_bytes:
        raise ReadError(
            f"is {size / (1 << 20):,.0f} MB, larger than the limit of {limits.file_bytes >> 20:,} MB (max_file_mb)"
        )


def read(path: Path, limits: ReadLimits, first_page: int = 1, *, name: Path | None = None) -> Reading:
    """Read a file by the suffix of `name` (default: of `path`; the library keeps its copies without names).

    Raises ReadError if it is of no known type, too large, empty, or its reader refuses it.
    """
    name = name or path
    check_type(name)
    check_size(path, limits)
    if suffix_of(name) == ".pdf":
        from ingest.read_pdf import read_pdf

        return read_pdf(path, limits, first_page)
    from ingest.read_apart import read_apart

    return read_apart(path, limits, first_page, name=name)


def resumable(name: Path) -> str:
    """The version of the reader whose stored pages can be gone on from; '' for formats that are simply read again."""
    if suffix_of(name) != ".pdf":
        return ""
    from ingest.read_pdf import reader_version

    return reader_version()
