"""Books of many pages: `python -m bench.books [--pages 100 500 5000] [--samples] [--vectors]`, one table.

Each book is made of the sample's real English text, with chapters and running headers, and added to a fresh library in
a process of its own; with --samples the sample documents are in that library already. Printed: seconds until its last
page is found by its words (what a user waits for), peak memory of the adding process and of its readers, and with
--vectors the share of the whole time that is embedding.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from bench.apart import measured
from bench.bombs import Watch
from bench.typeset import HEIGHT, MARGIN, SAMPLES, WIDTH, known_text


def make_book(path: Path, pages: int) -> str:
    """Write it; returns a word that stands on its last page only."""
    from reportlab.lib.utils import simpleSplit
    from reportlab.pdfgen.canvas import Canvas

    word = f"zyxwv{pages}"
    width = WIDTH - 2 * MARGIN
    lines = cycle([line for text in known_text("en") for line in simpleSplit(text, "Times-Roman", 10, width)])
    canvas = Canvas(str(path), pagesize=(WIDTH, HEIGHT))
    for number in range(1, pages + 1):
        canvas.setFont("Times-Roman", 9)
        canvas.drawString(MARGIN, HEIGHT - 36, "Handbook of Everything")
        canvas.drawString(WIDTH / 2, 30, str(number))
        top = HEIGHT - MARGIN
        if number % 20 == 1:
            canvas.setFont("Times-Bold", 16)
            canvas.drawString(MARGIN, top, f"Chapter {number // 20 + 1} Part of the matter")
            canvas.bookmarkPage(str(number))
            canvas.addOutlineEntry(f"Chapter {number // 20 + 1} Part of the matter", str(number), 0)
            top -= 28
        canvas.setFont("Times-Roman", 10)
        for row, line in enumerate(islice(lines, 44)):
            canvas.drawString(MARGIN, top - 14.5 * row, f"{line} {number}" if row == 20 else line)
        if number == pages:
            canvas.drawString(MARGIN, 60, f"The last word is {word}.")
        canvas.showPage()
    canvas.save()
    return word


def add(path: Path, word: str, *, samples: bool, vectors: bool) -> dict[str, float]:
    """Add the book here; seconds and peak memory."""
    from ingest.add import add_paths
    from ingest.nursery import nursery
    from kb.knowledge_base import KnowledgeBase
    from kb.settings import load_settings

    with tempfile.TemporaryDirectory(prefix="vademecum-bench-") as folder:
        settings = load_settings(home=Path(folder) / "home")
        with KnowledgeBase.open(settings, write=True) as kb:
            kb.warm_up()  # as in a running service: the clock measures the book
            if samples:
                add_paths(kb, [SAMPLES], embed=vectors)
            kb.search("warm up", k=1)
            before = used_here()
            watch = Watch(0.5)
            watch.start()
            started = time.perf_counter()
            added = add_paths(kb, [path], embed=False)[0]
            words = time.perf_counter() - started
            if added.status != "added":
                raise SystemExit(f"not added: {added.reason}")
            kb.publish()
            if not any(word in hit.chunk.text for hit in kb.search(word, k=3)):
                raise SystemExit(f"{word} was not found")
            found = time.perf_counter() - started
            watch.stop()
            figures = {"pages": added.pages, "chunks": added.chunks, "stored": words, "found": found}
            figures |= {"cpu": used_here() - before, "reader": watch.most["child"]}
            if vectors:
                kb.embed_pending()
                figures["embedded"] = time.perf_counter() - started
        nursery().close()
    figures["MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


def used_here() -> float:
    """Processor seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the table, one book a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="+", default=[100, 500, 5000])
    parser.add_argument("--samples", action="store_true")
    parser.add_argument("--vectors", action="store_true")
    parser.add_argument("--book", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--word", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.book:
        print(json.dumps(add(options.book, options.word, samples=options.samples, vectors=options.vectors)))
        return
    print("| pages | passages | s to found by words | processor s | peak MiB | of its readers | embedding's share |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="vademecum-book-") as folder:
        for pages in options.pages:
            path = Path(folder) / f"{pages}.pdf"
            word = make_book(path, pages)
            more = ["--vectors"] * options.vectors + ["--samples"] * options.samples
            m = measured("bench.books", "--book", path, "--word", word, *more)
            share = f"{1 - m['found'] / m['embedded']:.3f}" if options.vectors else ""
            print(
                f"| {m['pages']} | {m['chunks']} | {m['found']:.1f} | {m['cpu']:.1f} "
                f"| {m['MiB']:.0f} | {m['reader']} | {share} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
