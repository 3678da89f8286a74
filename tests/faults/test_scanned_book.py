"""A scanned book is hours of recognition: paused, killed and overtaken, it goes on at the page where it was.

The real commands, the real recognition, one book; each part of its way is another process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pytest
from PIL import Image

from ingest.add import hash_of
from ingest.take_in import submit_file
from kb.editions import DocumentDetails
from kb.jobs import Job, JobQueue
from kb.store import Store
from tests.ingest.tiny_pdf import Sheet, Text, pdf

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]

PAGES = 20
SENTINEL = "stored before"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Pages that each say their number, as images with a scanner's noise: a file of more than a megabyte."""
    noise = np.random.default_rng(1)
    images = []
    for number in range(1, PAGES + 1):
        sheet = Sheet([Text(20, 60, f"Page {number}: take {100 + number} mg twice a day.", 14)], media=(0, 0, 300, 110))
        drawn = pdfium.PdfDocument(pdf([sheet]))[0].render(scale=200 / 72).to_numpy()[:, :, :3].astype(float)
        drawn += noise.normal(0, 10, drawn.shape)
        images.append(Image.fromarray(drawn.clip(0, 255).astype("uint8")))
    path = tmp_path / "book.pdf"
    images[0].save(path, "PDF", resolution=200, quality=95, save_all=True, append_images=images[1:])
    return path


class Library:
    """A home, the commands run on it, and what its catalog says meanwhile."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir()
        Store(home).close()
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "cli", *map(str, arguments), "--home", str(self.home)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._started.append(process)
        return process

    def run(self, *arguments: str | Path) -> dict[str, Any]:
        process = self.start(*arguments, "--json")
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        result: dict[str, Any] = json.loads(out)
        return result

    def pages(self) -> list[tuple[int, str]]:
        """(number, label) of the book's pages that are stored."""
        query = "SELECT number, label FROM pages WHERE document IN (SELECT id FROM documents WHERE file = 'book.pdf')"
        with self.opened() as store, store.reading() as connection:
            return sorted((row[0], row[1]) for row in connection.exec_driver_sql(query))

    def job(self) -> Job:
        """The book's."""
        with self.opened() as store:
            return next(job for job in JobQueue(store).jobs() if job.subject == "book.pdf")

    @contextmanager
    def opened(self) -> Iterator[Store]:
        store = Store(self.home)
        try:
            yield store
        finally:
            store.close()

    def mark(self) -> int:
        """Mark the pages that are stored, so that one that is recognised again is known by its lost mark."""
        with self.opened() as store, store.writing() as connection:
            connection.exec_driver_sql("UPDATE pages SET label = ?", (SENTINEL,))
        return len(self.pages())

    def stop(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = Library(tmp_path / "home")
    yield made
    made.stop()


def until(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait while the process works."""
    end = time.monotonic() + 300
    while not true():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)


def of_file(place: str) -> list[int]:
    """Processes that were told to read this file."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            said = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "ingest.ocr_child" in said and place in said:
            found.append(int(entry.name))
    return found


def test_a_book_goes_on_where_it_was(book: Path, library: Library, tmp_path: Path) -> None:
    adding = library.start("add", book, "--vectors-later")
    until(lambda: library.pages() and library.job().done, adding)  # what is stored is told a moment later
    job = library.job()
    assert (job.state, job.step, job.total) == ("running", "read", PAGES)
    assert 0 < job.done < PAGES
    number = str(job.number)
    library.run("jobs", "pause", number)
    out, _ = adding.communicate(timeout=300)
    assert adding.returncode == 1
    assert "add it again to go on" in out
    paused = library.mark()
    assert 0 < paused < PAGES, "a pause stores what was recognised"
    assert library.run("jobs")["jobs"][0]["state"] == "paused"

    library.run("jobs", "resume", number)
    killed = library.start("jobs", "run")
    until(lambda: len(library.pages()) > paused, killed)
    assert of_file(str(library.home))
    killed.kill()
    killed.communicate()
    end = time.monotonic() + 120
    while of_file(str(library.home)) and time.monotonic() < end:
        time.sleep(0.05)
    assert of_file(str(library.home)) == [], "what recognised for it must not live on"
    stored = [label for _, label in library.pages()]
    assert stored[:paused] == [SENTINEL] * paused, "a page was recognised again after the pause"
    before = library.mark()
    assert paused < before < PAGES

    last = library.start("jobs", "run")
    until(lambda: library.job().done > before, last)
    small = tmp_path / "small.txt"
    small.write_text("Zolvarin is given as 5 mg each day.\n")
    sha256 = hash_of(small)
    with library.opened() as store:
        store.put_blob(small, sha256)
        submit_file(JobQueue(store), small.name, sha256, small.stat().st_size, DocumentDetails())
    _, err = last.communicate(timeout=600)
    assert last.returncode == 0, err
    jobs = {job["subject"]: job for job in library.run("jobs", "--all")["jobs"] if job["kind"] == "add"}
    assert (jobs["book.pdf"]["state"], jobs["small.txt"]["state"]) == ("done", "done")
    assert jobs["small.txt"]["changed"] < jobs["book.pdf"]["changed"], "a small upload waited for the whole book"
    assert jobs["book.pdf"]["tries"] == 2, "one for the kill, one for the last: neither the pause nor giving way count"

    pages = library.pages()
    assert [number for number, _ in pages] == list(range(1, PAGES + 1))
    assert [label for _, label in pages[:before]] == [SENTINEL] * before, "a page was recognised again after the kill"
    assert SENTINEL not in {label for _, label in pages[before:]}
    with library.opened() as store:
        (document,) = (document for document in store.documents() if document.file == "book.pdf")
        read = {page.number: page.text for page in store.pages(document.id)}
    assert document.state == "ready", document.reason
    assert all(f"take {100 + number} mg" in text for number, text in read.items()), read


def test_a_running_job_that_is_cancelled_leaves_nothing(book: Path, library: Library) -> None:
    adding = library.start("add", book, "--vectors-later")
    until(library.pages, adding)
    library.run("jobs", "cancel", str(library.job().number))
    adding.communicate(timeout=300)
    assert adding.returncode == 1
    assert library.run("jobs")["jobs"] == []
    tending = library.start("jobs", "run")
    _, err = tending.communicate(timeout=300)
    assert tending.returncode == 0, err
    assert library.pages() == []
    assert library.run("documents")["documents"] == []
