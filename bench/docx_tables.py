"""The tables of a Word file, straight from its XML: rows of cell texts, a merged cell said once. The truth for tables.

Independent of ingest.read_docx, which is one of the things measured by it.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from lxml import etree

from bench.agreement import solid

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def docx_tables(path: Path) -> list[list[list[str]]]:
    """Tables with two rows and columns or more; those inside others are part of their cell."""
    with zipfile.ZipFile(path) as file:
        body = etree.fromstring(file.read("word/document.xml"))
    found = []
    for table in body.iter(f"{_W}tbl"):
        if any(True for _ in table.iterancestors(f"{_W}tbl")):
            continue
        rows = [[_text(cell) for cell in row.findall(f"{_W}tc")] for row in table.findall(f"{_W}tr")]
        if len(rows) > 1 and max(map(len, rows)) > 1:
            found.append(rows)
    return found


def _text(cell: etree._Element) -> str:
    merge = cell.find(f"{_W}tcPr/{_W}vMerge")
    if merge is not None and merge.get(f"{_W}val", "continue") == "continue":
        return ""
    return "".join(node.text or "" for node in cell.iter(f"{_W}t"))


def neighbours(rows: Sequence[Sequence[str]]) -> Counter[tuple[str, str]]:
    """Pairs of cells that stand beside one another in a row, white space apart: which value belongs to which name."""
    pairs: Counter[tuple[str, str]] = Counter()
    for row in rows:
        cells = [tight for cell in row if (tight := _tight(cell))]
        pairs.update(pairwise(cells))
    return pairs


def cells(rows: Sequence[Sequence[str]]) -> Counter[str]:
    return Counter(tight for row in rows for cell in row if (tight := _tight(cell)))


def _tight(text: str) -> str:
    return re.sub(r"[·•●\u2026.…]+$", "", solid(text))
