"""Adding: every file ends with a status and a reason, nothing is read twice, nothing half is searchable."""

from __future__ import annotations

import errno
import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from ingest import take_in as module
from ingest.add import Added, Progress, add_paths
from ingest.jobs import handlers, see_through, set_right
from ingest.read import read
from ingest.read_pdf import reader_version
from ingest.take_in import submit_file
from kb.editions import DocumentDetails
from kb.errors import StoreError, UsageError
from kb.jobs import Job, JobQueue
from kb.quality import read_quality
from kb.settings import Settings
from kb.store import Store
from kb.testing import HashEmbedder
from kb.types import Document
from kb.worker import Worker
from tests.conftest import chunk_of, document_of
from tests.ingest.office_files import docx, epub, paragraph, pptx
from tests.ingest.tiny_pdf import Sheet, Text, lines, pdf


class Base:
    """A knowledge base without an index: a real store, and notes of what was asked of it."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home)
        self.store = Store(home)
        self.embedder = HashEmbedder()
        self.published = 0
        self.embedded = 0

    def publish(self) -> None:
        self.published += 1

    def embed_pending(self, progress: object = None, cancelled: object = None) -> int:
        self.embedded += 1
        return 0


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Base]:
    home = tmp_path / "home"
    home.mkdir()
    made = Base(home)
    yield made
    made.store.close()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


def add(base: Base, *paths: Path, **more: object) -> list[Added]:
    return add_paths(base, paths, **more)  # type: ignore[arg-type]


def book(pages: int) -> bytes:
    return pdf([Sheet(lines([f"Chapter {n}", f"Page {n} says that dose {n} is right."])) for n in range(1, pages + 1)])


def test_good_bad_and_known_files_each_get_their_result(base: Base, files: Path) -> None:
    (files / "a.pdf").write_bytes(book(3))
    (files / "b.pdf").write_bytes(b"%PDF-1.4 broken")
    (files / "c.doc").write_bytes(b"PK")
    (files / "d.json").write_text(json.dumps(["阿司匹林\n剂型:片剂"]), encoding="utf-8")
    (files / "e.pdf").write_bytes(book(3))
    (files / "f.pdf").write_bytes(pdf([Sheet(), Sheet()]))
    (files / "g.txt").write_bytes(b"")
    (files / ".hidden.txt").write_text("x")
    (files / "sub").mkdir()
    (files / "sub" / "h.md").write_text("# Title\n\nSome text.")
    results = add(base, files, files / "missing.pdf")
    told = {Path(r.file).name: (r.status, r.reason) for r in results}
    assert list(told) == ["a.pdf", "b.pdf", "c.doc", "d.json", "e.pdf", "f.pdf", "g.txt", "h.md", "missing.pdf"]
    assert told["a.pdf"] == ("added", "")
    assert told["b.pdf"] == ("failed", "is damaged: its structure cannot be read as a PDF")
    assert "unsupported type '.doc': save it as .docx" in told["c.doc"][1]
    assert told["d.json"] == ("added", "")
    assert told["e.pdf"] == ("known", "already in the library as a.pdf")
    assert "no text on any of its 2 pages" in told["f.pdf"][1]
    assert told["g.txt"] == ("failed", "is empty (0 bytes)")
    assert told["h.md"][0] == "added"
    assert told["missing.pdf"] == ("failed", "no such file or folder")
    states = {d.file: d.state for d in base.store.documents()}
    assert states == {"a.pdf": "ready", "b.pdf": "failed", "d.json": "ready", "f.pdf": "failed", "h.md": "ready"}
    assert base.published >= 1  # once more for each 2 s that a slow machine takes
    assert base.embedded == 1


def test_every_format_is_read_from_its_nameless_original(base: Base, files: Path) -> None:
    """Lost once: all workbooks, whose reader refused the library's copy because it has no suffix."""
    said = "Zolvarin is given as 5 mg each day."
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["Drug", "Dose"])
    book.active.append(["Zolvarin", said])
    book.save(files / "a.xlsx")
    docx(files / "b.docx", paragraph(said))
    pptx(files / "c.pptx", [("Zolvarin", said)])
    epub(files / "d.epub", [f"<p>{said}</p>"])
    (files / "e.html").write_text(f"<html><body><p>{said} {said}</p></body></html>")
    (files / "f.csv").write_text(f"name,text\nZolvarin,{said}\n")
    (files / "g.jsonl").write_text(json.dumps({"title": "Zolvarin", "text": f"Doses: {said}"}) + "\n")
    (files / "h.md").write_text(f"# Zolvarin\n\n{said}\n")
    (files / "i.txt.gz").write_bytes(gzip.compress(f"{said}\nNo more than that.\n".encode()))
    (files / "j.tsv").write_text(f"name\ttext\nZolvarin\t{said} {said} {said}\n")
    results = add(base, files)
    assert [(Path(one.file).name, one.reason) for one in results if one.status != "added"] == []
    assert len(results) == 10
    for one in results:
        assert any(said in chunk.text for chunk in base.store.chunks(one.document)), one.file


def test_adding_again_changes_nothing_and_says_so(base: Base, files: Path) -> None:
    path = files / "a.pdf"
    path.write_bytes(book(3))
    first = add(base, path)[0]
    again = add(base, path)[0]
    assert (again.status, again.document, again.chunks) == ("known", first.document, first.chunks)
    assert base.published == 1


def test_pages_without_text_are_counted_and_named(base: Base, files: Path) -> None:
    path = files / "a.pdf"
    path.write_bytes(pdf([Sheet(lines(["text of page one"])), Sheet(), Sheet(lines(["text of page three"])), Sheet()]))
    added = add(base, path)[0]
    assert (added.pages, added.reason) == (4, "2 of 4 pages have no text: 2, 4")
    document = base.store.document(added.document)
    assert document is not None
    assert document.reason == added.reason


def stop_after(reads: int) -> tuple[Callable[[Progress], None], Callable[[], bool]]:
    seen: list[Progress] = []
    return seen.append, lambda: sum(p.step == "read" for p in seen) >= reads


def test_a_stopped_read_goes_on_where_it_was(
    base: Base, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 5,000-page book whose reading is killed must not begin at page 1, and must come out the same."""
    path = files / "a.pdf"
    path.write_bytes(book(8))
    progress, cancelled = stop_after(5)
    stopped = add(base, path, progress=progress, cancelled=cancelled)[0]
    assert (stopped.status, "stopped" in stopped.reason) == ("failed", True)
    assert base.store.documents()[0].state == "reading"
    begun: list[int] = []

    def noting(blob: Path, limits: object, first_page: int, **more: object) -> object:
        begun.append(first_page)
        return read(blob, limits, first_page, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "read", noting)
    added = add(base, path)[0]
    assert begun == [6]
    (tmp_path / "other").mkdir()
    other = Base(tmp_path / "other")
    whole = add(other, path)[0]
    assert base.store.chunks(added.document) == other.store.chunks(whole.document)
    other.store.close()


def test_pages_of_another_reader_version_are_read_again(
    base: Base, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = files / "a.pdf"
    path.write_bytes(book(4))
    progress, cancelled = stop_after(2)
    add(base, path, progress=progress, cancelled=cancelled)
    monkeypatch.setattr("ingest.read_pdf.version", lambda name: "99.0")
    added = add(base, path)[0]
    assert {page.reader for page in base.store.pages(added.document)} == {reader_version()}


def test_a_failed_document_can_be_added_again(base: Base, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files / "a.pdf"
    path.write_bytes(book(2))
    with monkeypatch.context() as patch:
        patch.setattr("ingest.read_pdf.read_pdf", _denied)
        assert add(base, path)[0].status == "failed"
    assert add(base, path)[0].status == "added"


def _denied(*_: object) -> object:
    raise OSError(errno.EIO, "Input/output error")


def test_a_full_disk_fails_that_file_and_keeps_the_rest(
    base: Base, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, pages in (("a", 2), ("b", 3), ("c", 4)):
        (files / f"{name}.pdf").write_bytes(book(pages))
    finish = base.store.finish_document
    full = {"b.pdf"}

    def finishing(document: Document, **more: Any) -> None:
        if document.file in full:
            raise StoreError("The disk is full")
        finish(document, **more)

    monkeypatch.setattr(base.store, "finish_document", finishing)
    results = add(base, files)
    assert [(r.status, r.reason) for r in results] == [("added", ""), ("failed", "The disk is full"), ("added", "")]
    left = next(document for document in base.store.documents() if document.file == "b.pdf")
    cut = {chunk.document for chunk in base.store.chunks_by_number(range(1, 100)).values()}
    found = base.store.chunks_by_number(base.store.chunk_numbers()).values()
    assert left.id in cut  # cut already, but not to be found
    assert left.id not in {chunk.document for chunk in found}
    full.clear()
    assert [r.status for r in add(base, files)] == ["known", "added", "known"]


def test_details_go_into_the_document_and_wrong_ones_are_refused(base: Base, files: Path) -> None:
    (files / "a.pdf").write_bytes(book(2))
    (files / "b.pdf").write_bytes(book(3))
    old = add(base, files / "a.pdf")[0]
    details = DocumentDetails("My title", "2nd", "2024-05", "a.pdf")
    new = base.store.document(add(base, files / "b.pdf", details=details)[0].document)
    assert new is not None
    assert (new.title, new.edition, new.issued, new.supersedes) == ("My title", "2nd", "2024-05", old.document)
    for wrong in (
        DocumentDetails(issued="May 2024"),
        DocumentDetails(issued="2024-13"),
        DocumentDetails(supersedes="x"),
    ):
        with pytest.raises(UsageError):
            add(base, files / "b.pdf", details=wrong)
    with pytest.raises(UsageError, match="describe one file"):
        add(base, files, details=DocumentDetails(title="x"))


def test_progress_counts_pages(base: Base, files: Path) -> None:
    path = files / "a.pdf"
    path.write_bytes(book(5))
    seen: list[Progress] = []
    add(base, path, progress=seen.append)
    reads = [(p.done, p.total) for p in seen if p.step == "read"]
    assert reads == [(n, 5) for n in range(1, 6)]
    assert {p.file for p in seen} == {str(path)}


def test_a_document_of_page_numbers_only_is_still_kept(base: Base, files: Path) -> None:
    path = files / "a.pdf"
    path.write_bytes(pdf([Sheet(lines([f"- {n} -"], top=580)) for n in range(1, 6)]))
    assert add(base, path)[0].status == "added"


def test_links_in_a_folder_are_named_not_followed(base: Base, files: Path, tmp_path: Path) -> None:
    """A link in a shared folder must not carry a file of this machine into the library."""
    secret = tmp_path / "secret.txt"
    secret.write_text("not for the library")
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "link.txt").symlink_to(secret)
    (result,) = add(base, folder)
    assert result.status == "failed"
    assert "is a link" in result.reason


def test_a_document_removed_while_it_is_read_stays_removed(base: Base, files: Path) -> None:
    """Lost: a document that was taken back appears again, searchable and without its passages."""
    path = files / "a.pdf"
    path.write_bytes(book(3))

    def remove(progress: Progress) -> None:
        if progress.step == "store" and (found := base.store.documents()):
            base.store.remove_document(found[0])

    added = add(base, path, progress=remove)[0]
    assert (added.status, added.reason) == ("failed", "a.pdf was removed meanwhile.")
    assert base.store.documents() == []
    job = JobQueue(base.store).retry(1)
    assert see_through_again(base, job).state == "failed"
    assert base.store.documents() == []
    assert add(base, path)[0].status == "added"


def test_what_was_cut_of_a_document_that_cannot_be_read_is_dropped(base: Base, files: Path) -> None:
    """Lost: passages that no search finds and no removal was asked for, left behind by a job in quarantine."""
    (files / "a.txt").write_text("Aspirin.")
    document = document_of("a.txt")
    base.store.put_blob(files / "a.txt", document.sha256)
    base.store.start_document(document)
    base.store.add_chunks([chunk_of(document.id, 0, "Aspirin.")])
    queue = JobQueue(base.store)
    submit_file(queue, document.file, document.sha256, 8, DocumentDetails())
    while lease := queue.claim("1"):
        queue.set_back(lease, "the disk is full", 0)
    set_right(base, queue)  # type: ignore[arg-type]
    assert [found.state for found in base.store.documents()] == ["failed"]
    assert base.store.chunks(document.id) == []


def see_through_again(base: Base, job: Job) -> Job:
    queue = JobQueue(base.store)
    return see_through(queue, Worker(queue, handlers(base)), job, lambda job: None)  # type: ignore[arg-type]


def test_half_characters_and_odd_names_stop_nothing(base: Base, tmp_path: Path) -> None:
    """Broken JSON escapes and names from old zip archives are common; the rest of the folder must still be read."""
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "a.json").write_text('[{"text": "Surrogate \\\\ud800 inside a passage."}]', encoding="utf-8")
    with open(os.fsencode(folder) + b"/\xb8\xdf\xd1\xaa\xd1\xb9.txt", "w") as file:
        file.write("A guideline with a GBK file name.")
    (folder / "z.txt").write_text("The last file of the folder.")
    results = add(base, folder)
    assert [(result.status, result.reason) for result in results] == [("added", "")] * 3
    assert all(result.file.encode() for result in results)


def test_a_page_that_gives_no_passage_says_why(base: Base, files: Path) -> None:
    body = "Metformin lowers blood glucose and is the first drug given in type 2 diabetes mellitus."
    sheets = [Sheet([*lines([body] * 3), Text(190, 20, f"- {number} -")]) for number in range(1, 9)]
    sheets[4] = Sheet([Text(190, 20, "- 5 -")])
    (files / "guide.pdf").write_bytes(pdf(sheets))
    (added,) = add(base, files / "guide.pdf")
    document = base.store.document(added.document)
    assert document
    dropped = read_quality(base.store, document).dropped
    assert {page.number: page.dropped for page in dropped} == {5: "only running headers, footers or page numbers"}
