"""Pages with known text: paragraphs in, a PDF out, in one or two columns, and its text in reading order.

Chinese and English, plain lines of real text. `order` says how the characters follow one another in the file: column by
column as most programs write, or row by row across the columns, as some do: a reader that trusts the file then reads
half of each sentence from the other column. `printed` sets the same text with a browser's typesetter (justified,
ligatures, embedded fonts), where Chromium and playwright are installed.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.readers import ours
from kb.types import Language

SAMPLES = Path(__file__).parents[1] / "samples" / "documents"
Order = Literal["columns", "rows"]
WIDTH, HEIGHT, MARGIN, GAP = 595.0, 842.0, 60.0, 24.0


@dataclass(frozen=True, slots=True)
class Typeset:
    """A PDF and what is printed in it: the lines of each page in reading order."""

    path: Path
    pages: tuple[tuple[str, ...], ...]

    @property
    def text(self) -> str:
        return "\n".join(line for page in self.pages for line in page)


def known_text(language: Language) -> list[str]:
    """Paragraphs of real text that ships with the repository."""
    if language == "zh":
        book = (SAMPLES / "伤寒论.txt").read_text(encoding="utf-8")
        lines = [line.strip() for line in book.splitlines()]
        return [line for line in lines if len(line) > 20][:600]
    pages = ours(SAMPLES / "fda_ciprofloxacin_2025.pdf")
    text = " ".join(line for page in pages for line in page.splitlines() if len(line) > 40)
    sentences = re.split(r"(?<=[a-z]\.) (?=[A-Z])", text)
    return [" ".join(sentences[at : at + 4]) for at in range(0, len(sentences), 4)]


def typeset(
    path: Path,
    paragraphs: Sequence[str],
    language: Language,
    *,
    columns: int,
    order: Order = "columns",
    most_pages: int = 10,
    size: float = 10.0,
) -> Typeset:
    """Write the paragraphs, as far as `most_pages` hold them."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    font = "Times-Roman"
    if language == "zh":
        font = "STSong-Light"
        pdfmetrics.registerFont(UnicodeCIDFont(font))
    width = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) / columns
    step = 1.45 * size
    per_column = int((HEIGHT - 2 * MARGIN) / step)
    lines = list(_wrapped(paragraphs, font, size, width))[: most_pages * columns * per_column]
    canvas = Canvas(str(path), pagesize=(WIDTH, HEIGHT), invariant=1)
    pages = [lines[at : at + columns * per_column] for at in range(0, len(lines), columns * per_column)]
    for page in pages:
        canvas.setFont(font, size)
        placed = [(i // per_column, i % per_column, line) for i, line in enumerate(page)]
        if order == "rows":
            placed.sort(key=lambda one: (one[1], one[0]))
        for column, row, line in placed:
            canvas.drawString(MARGIN + column * (width + GAP), HEIGHT - MARGIN - row * step, line)
        canvas.showPage()
    canvas.save()
    return Typeset(path, tuple(map(tuple, pages)))


def _wrapped(paragraphs: Sequence[str], font: str, size: float, width: float) -> Iterator[str]:
    """Lines of at most this width; Chinese breaks anywhere, and Latin words and numbers in it too."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    for paragraph in paragraphs:
        parts = [word + " " for word in paragraph.split()] if font == "Times-Roman" else list(paragraph)
        line = ""
        for part in parts:
            if line and stringWidth(line + part.rstrip(), font, size) > width:
                yield line.rstrip()
                line = ""
            line += part
        if line.strip():
            yield line.rstrip()


def printed(path: Path, paragraphs: Sequence[str], language: Language, *, columns: int) -> str:
    """The same through a browser's typesetter; returns the text. Raises ImportError without playwright."""
    from playwright.sync_api import sync_playwright

    family = "'Noto Serif CJK SC'" if language == "zh" else "'DejaVu Serif', serif"
    style = (
        "@page { size: A4; margin: 20mm } body { margin: 0; font: 10pt/1.5 %s; text-align: justify; "
        "columns: %d; column-gap: 8mm } p { margin: 0 0 6pt }"
    )
    body = "".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs)
    lang = "zh-CN" if language == "zh" else "en"
    page = (
        f"<!doctype html><html lang={lang}><meta charset=utf-8><style>{style % (family, columns)}</style>{body}</html>"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        tab = browser.new_page()
        tab.set_content(page)
        tab.pdf(path=str(path), prefer_css_page_size=True)
        browser.close()
    return "\n".join(paragraphs)
