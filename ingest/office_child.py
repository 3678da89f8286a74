"""The reading child for every format but PDF: one file in, frames on standard output (ingest.frames). May be killed.

Runs under hard limits on memory, processor time and files written, because archives, XML and JSON can be made to blow
up; the parent (ingest.read_apart) trusts nothing that it sends.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from ingest.frames import send
from ingest.read import Head, Reading, ReadLimits, suffix_of
from kb.errors import ReadError
from kb.types import OutlineEntry, Page


def main(arguments: list[str]) -> None:
    """`office_child.py ORDER_JSON`: path, name, cpu_s, and the fields of ReadLimits that readers use."""
    order = json.loads(arguments[0])
    out = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    os.dup2(2, 1)  # whatever prints must not disturb the frames
    limits = ReadLimits(order["file_bytes"], order["pages"], order["page_chars"])
    resource.setrlimit(resource.RLIMIT_AS, (order["memory_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (order["cpu_s"],) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for event in reader_of(Path(order["path"]), Path(order["name"]), limits):
            send(out, _frame(event))
        send(out, {"end": True})
    except ReadError as error:
        send(out, {"error": str(error)})
    except (MemoryError, RecursionError) as error:
        send(out, {"error": "memory" if isinstance(error, MemoryError) else "is nested too deeply to be read"})
    out.close()
    os._exit(0)


def reader_of(path: Path, name: Path, limits: ReadLimits) -> Reading:
    """The reader for files of this name."""
    suffix = suffix_of(name)
    if suffix == ".docx":
        from ingest.read_docx import read_docx

        return read_docx(path, limits)
    if suffix in (".html", ".htm", ".xhtml"):
        from ingest.read_html import read_html

        return read_html(path, limits)
    if suffix == ".epub":
        from ingest.read_html import read_epub

        return read_epub(path, limits)
    if suffix in (".pptx", ".xlsx"):
        from ingest.read_office import read_pptx, read_xlsx

        return read_pptx(path, limits) if suffix == ".pptx" else read_xlsx(path, limits)
    from ingest.read_text import read_text

    return read_text(path, limits, name=name)


def _frame(event: Any) -> dict[str, Any]:
    if isinstance(event, Page):
        lines = [[line.text, line.size, line.role] for line in event.lines]
        page = {"number": event.number, "label": event.label, "reader": event.reader, "note": event.note}
        return {"page": {**page, "tables": event.tables, "lines": lines}}
    known = {"outline": [_entry(entry) for entry in event.outline], "metadata": dict(event.metadata)}
    if isinstance(event, Head):
        return {"head": {**known, "kind": event.kind, "pages": event.pages, "title": event.title}}
    return {"tail": {**known, "notes": list(event.notes)}}


def _entry(entry: OutlineEntry) -> list[Any]:
    return [entry.title, entry.level, entry.page]


if __name__ == "__main__":
    main(sys.argv[1:])
