"""DOCX beside the PDF rendered from it: `python -m bench.docx_chunks FOLDER` (a folder of .docx, the PDFs beside it).

Both are read and cut into passages by the product's own steps. Printed per document: passages of each; the share of the
PDF's text (by characters, white space apart) that the DOCX's has too, in order; the share of the PDF's passages that
begin where one of the DOCX begins; and the share of the PDF's section titles that the DOCX has too.
"""

from __future__ import annotations

import argparse
import re
from difflib import SequenceMatcher
from pathlib import Path

from ingest.chunk import chunk_pages
from ingest.clean import clean_pages
from ingest.read import Head, ReadLimits, read
from kb.embed import build_embedder
from kb.settings import load_settings
from kb.types import Chunk, Page


def chunks_of(path: Path) -> list[Chunk]:
    """The passages of one file."""
    settings = load_settings()
    embedder = build_embedder(settings)
    events = list(read(path, ReadLimits.of(settings)))
    head = next(event for event in events if isinstance(event, Head))
    pages = clean_pages([event for event in events if isinstance(event, Page)])
    return list(
        chunk_pages(
            "d" * 16,
            pages,
            outline=head.outline,
            count_tokens=embedder.count_tokens,
            max_tokens=settings.chunk_tokens,
            kind=head.kind,
        )
    )


def tight(text: str) -> str:
    """Without white space and the marks of lists, which renderings set differently."""
    return re.sub(r"[\s•●·]+", "", text)


def compared(docx: list[Chunk], pdf: list[Chunk]) -> tuple[float, float, float]:
    """(text, starts, headings): see above."""
    ours, theirs = "".join(tight(c.text) for c in docx), "".join(tight(c.text) for c in pdf)
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks() if len(ours) < 60_000 else []
    same = sum(block.size for block in blocks if block.size >= 8) / max(1, len(theirs))
    starts = {tight(c.text)[:12] for c in docx}
    begun = sum(tight(c.text)[:12] in starts for c in pdf) / max(1, len(pdf))
    titles = [{tight(part) for c in side for part in c.heading.split(" › ") if part} for side in (docx, pdf)]
    return same, begun, len(titles[0] & titles[1]) / max(1, len(titles[1]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    print("| document | passages docx | pdf | same text | same starts | same headings |\n|---|---|---|---|---|---|")
    rows: list[tuple[float, float, float]] = []
    for docx in sorted(options.folder.glob("*.docx")):
        pdf = docx.parent.parent / f"{docx.stem}.pdf"
        if not pdf.exists():
            continue
        ours, theirs = chunks_of(docx), chunks_of(pdf)
        rows.append(compared(ours, theirs))
        shares = " | ".join(f"{value:.2f}" for value in rows[-1])
        print(f"| {docx.stem[:24]} | {len(ours)} | {len(theirs)} | {shares} |", flush=True)
    means = " | ".join(f"{sum(row[i] for row in rows) / len(rows):.3f}" for i in range(3))
    print(f"| mean of {len(rows)} | | | {means} |")


if __name__ == "__main__":
    main()
