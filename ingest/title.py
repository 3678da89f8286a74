"""What a document is called: the file's own word for it if it can be trusted, else its first large line, else its name.

Many PDFs carry the title of the file they were made from ('Microsoft Word - x.doc') or of the template before that, so
a stated title counts only if the first pages bear it out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ingest.clean import normalise
from kb.types import DocumentKind, Line, Page

_NO_TITLE = re.compile(
    r"microsoft (?:word|powerpoint|excel|office)\b|untitled|(?:document|slide|presentation|book)\s?\d*$|无标题|未命名"
    r"|.*\.(?:docx?|pdf|pptx?|xlsx?|indd|qxd|tex|dvi|wpd|rtf|html?|txt|ps|eps)$",
    re.IGNORECASE,
)
_MOJIBAKE = re.compile(r"[\x80-\x9f\ufffd\ue000-\uf8ff]|(?:[\u00a0-\u00ff]{2}.?){2}")
_ANNEX = re.compile(r"附件\s*\d*\s*[:：]?")
_RULE = re.compile(r"(?:\s*[-–—_=*·.]){3,}\s*$")  # a line of dashes that was taken in with the title
_LONGEST = 150
_SUFFIXES = frozenset(
    ".xz .gz .pdf .txt .text .md .markdown .json .jsonl .ndjson .csv .tsv .docx .pptx .xlsx .epub .html .htm"
    " .xhtml".split()
)
_LARGER = 1.12
_ASIDE = re.compile(r"\s*[（(][^（()）]*[)）]\s*$")  # （2024 年修订版）: part of a title, never one by itself


def choose_title(kind: DocumentKind, stated: str, pages: Sequence[Page], file: Path) -> str:
    """The title to show for `file`, whose metadata state `stated`."""
    stem = file.name
    while Path(stem).suffix.lower() in _SUFFIXES:
        stem = Path(stem).stem
    stem = " ".join(stem.replace("_", " ").split()) or file.name
    if kind == "markdown":
        return next((m[1] for page in pages[:1] for line in page.lines if (m := _TOP.match(line.text))), stem)
    if kind in ("html", "epub") and stated.strip():
        return " ".join(stated.split())[:_LONGEST]
    if kind not in ("pdf", "docx"):
        return stem
    early = [page for page in pages if page.lines][:3]
    stated = " ".join(normalise(stated).split())
    if _looks_right(stated) and _borne_out(stated, early, stem):
        return stated
    return _largest(early) or stem


_TOP = re.compile(r"#\s+(\S.*?)\s*#*$")


def _letters(text: str) -> int:
    """Width of the letters: a Chinese character says as much as two Latin letters or more."""
    return sum(2 if c > "\u2e80" else 1 for c in text if c.isalnum())


def _looks_right(title: str) -> bool:
    return (
        _letters(title) >= 8 and len(title) <= _LONGEST and not _NO_TITLE.match(title) and not _MOJIBAKE.search(title)
    )


def _borne_out(title: str, pages: Sequence[Page], stem: str) -> bool:
    """Whether the title's Chinese, or most of its words, stand on the first pages or in the file's name."""
    text = " ".join([stem, *(normalise(line.text) for page in pages for line in page.lines)]).casefold()
    tight = re.sub(r"\s+", "", text)
    words = re.findall(r"[a-z0-9]{2,}", title.casefold())
    runs = re.findall(r"[\u3400-\u9fff]{2,}", title)
    if runs:
        return all(run in tight for run in runs)
    return sum(word in text for word in words) >= 0.6 * len(words) > 0


def _largest(pages: Sequence[Page]) -> str:
    """The first block of the largest lines of the first page that has lines larger than most of its text."""
    sizes = sorted(line.size for page in pages for line in page.lines if line.size > 0)
    for page in pages[:2]:
        lines = [
            line for line in page.lines if line.size > 0 and _letters(line.text) >= 4 and not _ASIDE.match(line.text)
        ]
        if not lines:
            continue
        largest = max(line.size for line in lines)
        if largest < _LARGER * sizes[len(sizes) // 2]:
            continue
        title = _block(page.lines, largest)
        says_enough = _letters(title) >= 8 and (" " in title or title[-1] > "\u2e80")
        if says_enough and len(title) <= _LONGEST and not _MOJIBAKE.search(title):
            return title
    return ""


def _block(lines: Sequence[Line], size: float) -> str:
    taken: list[str] = []
    for line in lines:
        if _ANNEX.fullmatch(line.text.strip()):
            continue
        if abs(line.size - size) <= 0.1 * size and len(taken) < 4:
            taken.append(normalise(line.text).replace("\t", " "))
        elif taken:
            break
    title = ""
    for text in taken:
        glue = "" if not title or (title[-1] > "\u2e80" and text[:1] > "\u2e80") else " "
        title += glue + text
    return _RULE.sub("", title).strip()
