"""Rows of a .csv or .tsv file in, records out: {title, text}, the text a line 'heading: value' for each filled cell.

A file with a column of titles and one of texts gives those as they are. The first row must name the columns.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from kb.errors import ReadError

_TITLES = {"title", "name", "名称", "标题", "药品名称", "通用名", "通用名称"}
_TEXTS = {"text", "content", "body", "内容", "正文", "说明书"}
_LONGEST_CELL = 1 << 24


def table_rows(text: str, suffix: str) -> Iterator[object]:
    """One record a row. Raises ReadError if there is no row below the headings."""
    csv.field_size_limit(_LONGEST_CELL)
    first = text.lstrip("\ufeff\n").split("\n", 1)[0]
    delimiter = "\t" if suffix == ".tsv" else max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        heads = [" ".join(cell.split()) for cell in next(rows, [])]
        if len(heads) < 2:
            raise ReadError("has no columns: a first row with a heading for each column is expected")
        titles = [i for i, head in enumerate(heads) if head.casefold() in _TITLES]
        texts = [i for i, head in enumerate(heads) if head.casefold() in _TEXTS]
        for row in rows:
            if any(cell.strip() for cell in row):
                yield _record(heads, row, titles[0] if titles else 0, texts[0] if titles and texts else None)
    except csv.Error as error:
        raise ReadError(f"is no table that can be read (line {rows.line_num}: {error})") from None


def _record(heads: list[str], row: list[str], title: int, text: int | None) -> object:
    cells = [cell.strip() for cell in row]
    name = " ".join(cells[title].split()) if title < len(cells) else ""
    if text is not None:
        return {"title": name, "text": cells[text] if text < len(cells) else ""}
    named = zip(heads, cells, strict=False)
    lines = [f"{head}:{' '.join(cell.split())}" for i, (head, cell) in enumerate(named) if cell and i != title]
    return {"title": name, "text": "\n".join(lines) or name}
