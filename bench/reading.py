"""How well documents are read: `python -m bench.reading [--documents FOLDER] [--parts text digits …]`, one table.

text      known text in one and two columns, Chinese and English: characters right, line ends followed by what follows
digits    real PDFs: pages whose digits no second reader confirms; pages per processor second of each reader, in one run
headings  PDFs with an outline, which the reader is not shown: how many of its titles are found as headings
tables    PDFs beside the .docx they were made from (FOLDER/docx): cells and pairs of neighbours as in the .docx
ocr       known pages drawn at 200 dpi, clean and noisy: character error rate, pages a minute

Without --documents the samples of the repository are read (they have no .docx beside them). Goals stand in the table.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.agreement import accuracy, digits, joins, solid
from bench.readers import pages_of, readers, timed
from bench.typeset import SAMPLES, Typeset, known_text, printed, typeset
from ingest.clean import clean_pages
from ingest.document_lines import FlatLine
from ingest.paragraphs import headed_lines
from ingest.read import Head, ReadLimits, read
from kb.types import OutlineEntry, Page

_LEAST_ENTRIES = 5  # outlines of fewer say nothing about headings


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    measure: str
    ours: str
    others: str = ""
    goal: str = ""


# -- text and order ----------------------------------------------------------------------------------------------------


def text_rows(folder: Path) -> Iterator[Row]:
    """Characters and order on pages with known text, all readers."""
    for language in ("zh", "en"):
        paragraphs = known_text(language)
        for columns, order in ((1, "columns"), (2, "columns"), (2, "rows")):
            made = typeset(
                folder / f"{language}{columns}{order}.pdf", paragraphs, language, columns=columns, order=order
            )
            how = "" if columns == 1 else ", stream by columns" if order == "columns" else ", stream row by row"
            yield _text_row(f"{language}, {columns} column{'s' * (columns - 1)}{how}", made)
        for columns in (1, 2):
            path = folder / f"{language}{columns}printed.pdf"
            try:
                truth = printed(path, paragraphs[:120], language, columns=columns)
            except ImportError:
                continue
            yield _printed_row(f"{language}, {columns} column{'s' * (columns - 1)}, printed by a browser", path, truth)


def _text_row(name: str, made: Typeset) -> Row:
    told = {}
    for reader, read_ in readers().items():
        text = "\n".join(read_(made.path))
        kept = [joins(page, text) for page in made.pages]
        order = sum(a for a, _ in kept) / max(1, sum(b for _, b in kept))
        told[reader] = f"{accuracy(made.text, text):.4f} / {order:.3f}"
    return Row(f"characters / order: {name}, {len(made.pages)} p", told.pop("ours"), _listed(told), "≥ .995")


def _printed_row(name: str, path: Path, truth: str) -> Row:
    told = {reader: f"{accuracy(truth, _mended(read_(path))):.4f}" for reader, read_ in readers().items()}
    return Row(f"characters: {name}", told.pop("ours"), _listed(told), "≥ .995")


def _mended(pages: list[str]) -> str:
    return re.sub(r"(?<=[a-z])[-\u2010]\n(?=[a-z])", "", "\n".join(pages))


def _listed(told: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in told.items())


# -- digits and speed --------------------------------------------------------------------------------------------------


def digit_rows(files: list[Path]) -> Iterator[Row]:
    """Pages with other digits than every second reader that read them; and what each reader cost."""
    texts: dict[str, list[list[str]]] = {}
    rates: dict[str, float] = {}
    for name, reader in readers().items():
        texts[name], seconds = timed(reader, files)
        rates[name] = sum(map(len, texts[name])) / seconds
        _say(f"speed: {name} {rates[name]:.1f} pages per processor second")
    wrong: Counter[str] = Counter()
    pages = 0
    for at, path in enumerate(files):
        for number in range(len(texts["ours"][at])):
            found = {name: digits(text[at][number]) for name, text in texts.items() if number < len(text[at])}
            if not any(found.values()):
                continue
            pages += 1
            for name, mine in found.items():
                if all(mine != other for reader, other in found.items() if reader != name):
                    wrong[name] += 1
                    if name == "ours":
                        more, less = dict(mine - found["pypdf"]), dict(found["pypdf"] - mine)
                        _say(f"digits: {path.name} page {number + 1}: more {more} less {less} than pypdf")
    told = {name: str(wrong[name]) for name in texts}
    yield Row(f"pages of {pages} whose digits no other reader has", told.pop("ours"), _listed(told), "0")
    ours_rate = rates.pop("ours")
    others = {name: f"{rate:.1f} ({ours_rate / rate:.1f}×)" for name, rate in rates.items()}
    pages = sum(map(len, texts["ours"]))
    what = f"pages per processor second, {len(files)} files, {pages} pages, child processes counted"
    yield Row(what, f"{ours_rate:.1f}", _listed(others), "≥ 5× pypdf")


# -- headings ----------------------------------------------------------------------------------------------------------


def heading_rows(files: list[Path]) -> Iterator[Row]:
    """Outline titles found as headings without the outline, by document and in all."""
    found_in_all = entries_in_all = 0
    for path in files:
        events = list(read(path, replace(ReadLimits(), ocr="never")))
        head = events[0]
        assert isinstance(head, Head)
        tail_outline = getattr(events[-1], "outline", ())
        outline = head.outline or tail_outline
        pages = clean_pages([event for event in events if isinstance(event, Page)])
        lines, headings, _ = headed_lines(pages, (), "pdf")
        wanted = list(_printed_entries(outline, lines, pages))
        if len(wanted) < _LEAST_ENTRIES:
            continue
        titles = {(lines[h.first].page, _key(h.title)) for h in headings if h.last >= h.first}
        missed = [entry for entry in wanted if not _is_found(entry, titles)]
        for entry in missed:
            _say(f"headings: {path.name[:30]} page {entry.page}: missed {entry.title[:60]!r}")
        found_in_all += len(wanted) - len(missed)
        entries_in_all += len(wanted)
        share = 1 - len(missed) / len(wanted)
        yield Row(f"headings: {path.stem[:28]}, {len(wanted)} titles, {len(headings)} found in all", f"{share:.3f}")
    if entries_in_all:
        yield Row(f"headings: all {entries_in_all} titles", f"{found_in_all / entries_in_all:.3f}", "", "≥ .90")


def _key(text: str) -> str:
    return "".join(c for c in solid(text).casefold() if c.isalnum())


def _printed_entries(
    outline: tuple[OutlineEntry, ...], lines: Sequence[FlatLine], pages: list[Page]
) -> Iterator[OutlineEntry]:
    """Entries whose title is printed on their page, each once.

    Some outlines name each section twice, where the printed table of contents lists it and where it begins: the first,
    on a page whose lines of contents `lines` has no more, is no heading.
    """
    printed_on: dict[int, str] = {}
    for line in lines:
        printed_on[line.page] = printed_on.get(line.page, "") + _key(line.text)
    listed = {page.number for page in pages if len(_key(page.text)) > len(printed_on.get(page.number, ""))}
    whole = {page.number: _key(page.text) for page in pages}
    later = Counter(_key(entry.title) for entry in outline)
    seen: set[tuple[int, str]] = set()
    for entry in outline:
        again = later[_key(entry.title)] > 1 and entry.page in listed
        if again and _key(entry.title) not in printed_on.get(entry.page, ""):
            continue
        key = entry.page, _key(entry.title)
        if key[1] and key not in seen and key[1] in whole.get(entry.page, ""):
            seen.add(key)
            yield entry


def _is_found(entry: OutlineEntry, titles: set[tuple[int, str]]) -> bool:
    key = _key(entry.title)[:60]
    return any(
        page == entry.page and (title[:60] == key or (title.endswith(key) and len(title) - len(key) <= 6))
        for page, title in titles
    )


# -- tables ------------------------------------------------------------------------------------------------------------


def table_rows(folder: Path) -> Iterator[Row]:
    """Cells and pairs of neighbours of the .docx files that are found in the PDFs made from them."""
    from bench.docx_tables import cells, docx_tables, neighbours

    sums = [0, 0, 0, 0, 0]
    for docx in sorted(folder.glob("docx/*.docx")):
        pdf = folder / f"{docx.stem}.pdf"
        tables = docx_tables(docx) if pdf.exists() else []
        if not tables:
            continue
        truth = [row for table in tables for row in table]
        lines = [line for page in pages_of(pdf) for line in page.lines if line.role in ("head", "row")]
        mine = [line.text.split("\t") for line in lines]
        both, pairs = cells(truth) & cells(mine), neighbours(truth) & neighbours(mine)
        counts = [both.total(), cells(truth).total(), pairs.total(), neighbours(truth).total(), len(tables)]
        sums = [a + b for a, b in zip(sums, counts, strict=True)]
        for cell in list((cells(truth) - cells(mine)).keys())[:6]:
            _say(f"tables: {docx.stem[:20]}: no cell {cell[:60]!r}")
        yield Row(f"tables: {docx.stem[:24]}, {len(tables)}: cells / neighbours", _shares(counts))
    if sums[1]:
        yield Row(f"tables: all {sums[4]}, {sums[1]} cells", _shares(sums), "", "report")


def _shares(counts: list[int]) -> str:
    return f"{counts[0] / max(1, counts[1]):.3f} / {counts[2] / max(1, counts[3]):.3f}"


# -- the table ---------------------------------------------------------------------------------------------------------


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> None:
    """Print the table, row by row as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, default=SAMPLES)
    parts = ["text", "digits", "headings", "tables", "ocr"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    options = parser.parse_args()
    files = sorted(path for path in options.documents.glob("*.pdf"))
    print("| measure | ours | others | goal |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="vademecum-bench-") as name:
        from bench.recognition import ocr_rows

        folder = Path(name)
        measures: dict[str, Callable[[], Iterator[Row]]] = {
            "text": lambda: text_rows(folder),
            "digits": lambda: digit_rows(files),
            "headings": lambda: heading_rows(files),
            "tables": lambda: table_rows(options.documents),
            "ocr": lambda: (Row(*one) for one in ocr_rows(folder)),
        }
        for part in options.parts:
            for row in measures[part]():
                print(f"| {row.measure} | {row.ours} | {row.others} | {row.goal} |", flush=True)


if __name__ == "__main__":
    main()
