"""Readers of PDFs side by side: a path in, the text of each page out. Ours is the product's own, furniture removed.

The others are what the field's tutorials and pipelines read with: pypdf (LangChain's PyPDFLoader), pdfminer.six
(LangChain's PDFMinerLoader, Haystack, MarkItDown, unstructured's fast strategy). Those not installed are left out.
"""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from ingest.clean import clean_pages
from ingest.nursery import nursery
from ingest.read import ReadLimits, read
from kb.types import Page

Reader = Callable[[Path], list[str]]


def pages_of(path: Path, *, ocr: bool = False) -> list[Page]:
    """The pages as the product stores them."""
    limits = replace(ReadLimits(), ocr="auto" if ocr else "never")
    return [event for event in read(path, limits) if isinstance(event, Page)]


def ours(path: Path) -> list[str]:
    return [page.text for page in clean_pages(pages_of(path))]


def raw(path: Path) -> list[str]:
    """Ours with furniture, as the others have it."""
    return [page.text for page in pages_of(path)]


def pypdf(path: Path) -> list[str]:
    from pypdf import PdfReader

    return [page.extract_text() for page in PdfReader(path).pages]


def pdfminer(path: Path) -> list[str]:
    from pdfminer.high_level import extract_pages
    from pdfminer.layout import LTTextContainer

    return ["\n".join(e.get_text() for e in page if isinstance(e, LTTextContainer)) for page in extract_pages(path)]


def readers() -> dict[str, Reader]:
    """Those installed here, ours first."""
    logging.disable(logging.CRITICAL)
    found: dict[str, Reader] = {"ours": raw, "pypdf": pypdf}
    if find_spec("pdfminer"):
        found["pdfminer"] = pdfminer
    return found


def timed(reader: Reader, files: Sequence[Path]) -> tuple[list[list[str]], float]:
    """(pages of each file, processor seconds of this process and its children)."""
    nursery().close()  # its children's time counts once it has ended; its start is part of what is measured
    before = _used()
    texts = [reader(path) for path in files]
    nursery().close()
    return texts, _used() - before


def children_seconds() -> float:
    """Processor seconds of the children that this process has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _used() -> float:
    return time.process_time() + children_seconds()
