"""Without these a new chunker or embedder means hours without answers, or a library that is half old and half new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest import recut
from ingest.add import add_paths
from ingest.jobs import Tending, background_handlers, handlers, rechunk_here, reread_here
from kb import knowledge_base
from kb.errors import IndexMismatch, StoreError
from kb.index import LocalIndex
from kb.jobs import Job, JobQueue
from kb.knowledge_base import KnowledgeBase
from kb.settings import OcrWhen, Settings
from kb.store import Store
from kb.testing import HashEmbedder
from kb.worker import Worker
from tests.ingest.test_ocr import PRINTED, joined, scan
from tests.ingest.tiny_pdf import Sheet, lines, pdf

QUESTION = "How much of drug 7 is given?"


def opened(home: Path, *, chunk_tokens: int = 220, dimension: int = 64, ocr: OcrWhen = "auto") -> KnowledgeBase:
    """A real library; only its embedder is the small one."""
    home.mkdir(exist_ok=True)
    settings = Settings(home=home, chunk_tokens=chunk_tokens, ocr=ocr)
    kb = KnowledgeBase(settings, Store(home), HashEmbedder(dimension), None)
    kb.index.load()
    return kb


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A PDF with an outline, and a text, both cut into large passages and embedded."""
    texts = [
        [f"Drug {n} is given as {n + 1} mg each day, with water and after a meal." for n in range(i, i + 8)]
        for i in (0, 8)
    ]
    outline = (("Chapter one", 1), ("Chapter two", 2))
    sheets = [Sheet(lines([f"Chapter {name}", *body])) for name, body in zip(("one", "two"), texts, strict=True)]
    (tmp_path / "book.pdf").write_bytes(pdf(sheets, outline=outline))
    (tmp_path / "note.txt").write_text("Aspirin is taken with water.\n")
    kb = opened(tmp_path / "home")
    added = add_paths(kb, [tmp_path / "book.pdf", tmp_path / "note.txt"])
    assert [one.status for one in added] == ["added", "added"]
    kb.close()
    return tmp_path / "home"


@pytest.fixture
def finer(home: Path) -> Iterator[KnowledgeBase]:
    """The same library, to be cut into smaller passages."""
    kb = opened(home, chunk_tokens=64)
    yield kb
    kb.close()


def watch(job: Job) -> None:
    """Nobody looks."""


def test_all_is_cut_anew_from_the_stored_pages(finer: KnowledgeBase) -> None:
    for blob in (finer.store.home / "blobs").glob("*/*"):
        blob.unlink()
    book = finer.document("book.pdf")
    before = finer.store.chunks(book.id)
    job = rechunk_here(finer, watch)
    assert (job.state, job.result["left"]) == ("done", {})
    after = finer.store.chunks(book.id)
    assert len(after) > len(before)
    assert {chunk.heading for chunk in after} == {"Chapter one", "Chapter two"}
    assert finer.document("book.pdf").chunks == len(after)
    assert finer.pending() == 0
    words, vectors = finer.index.counts
    assert words == vectors == len(after) + 1
    assert "Drug 7" in finer.search(QUESTION)[0].chunk.text
    assert recut.stale(finer) == []
    assert rechunk_here(finer, watch).result["documents"] == 0


def test_the_old_index_answers_until_the_switch_and_a_little_longer(finer: KnowledgeBase, home: Path) -> None:
    reader = opened(home)
    old = [hit.chunk.text for hit in reader.search(QUESTION)]
    assert rechunk_here(finer, watch).state == "done"
    assert [hit.chunk.text for hit in reader.search(QUESTION)] == old
    assert reader.refresh_index()
    assert [hit.chunk.text for hit in reader.search(QUESTION)] != old
    reader.close()


@pytest.mark.parametrize("step", ["chunk", "embed", "store"])
def test_what_breaks_off_leaves_the_old_one_and_is_gone_on_from(
    finer: KnowledgeBase, home: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [hit.chunk.text for hit in finer.search(QUESTION)]
    broken = {"chunk": "stage", "embed": "add_vectors", "store": "switch"}[step]

    def full(*_: object, **__: object) -> None:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(recut.staging, broken, full)
        assert rechunk_here(finer, watch).state == "failed"
    again = opened(home)
    assert [hit.chunk.text for hit in again.search(QUESTION)] == old
    queue = JobQueue(again.store)
    again.close()
    assert queue.unfinished([recut.KIND]) == []
    assert rechunk_here(finer, watch).state == "done"
    assert recut.stale(finer) == []


def test_an_index_that_cannot_be_written_leaves_the_old_one_answering(
    finer: KnowledgeBase, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = opened(home)
    old = [hit.chunk.text for hit in reader.search(QUESTION)]

    def full(*_: object, **__: object) -> None:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(LocalIndex, "rebuild", full)
        assert rechunk_here(finer, watch).state == "failed"
    assert not reader.refresh_index()
    assert [hit.chunk.text for hit in reader.search(QUESTION)] == old
    finer.publish()
    assert reader.refresh_index()
    assert len(reader.search(QUESTION)) > 0
    reader.close()


def test_another_embedder(home: Path) -> None:
    other = KnowledgeBase(Settings(home=home), Store(home), HashEmbedder(32), None)
    assert rechunk_here(other, watch).state == "done"
    assert other.index.counts[0] == other.index.counts[1]
    assert "Drug 7" in other.search(QUESTION)[0].chunk.text
    other.close()


def test_a_document_removed_meanwhile_stays_removed(finer: KnowledgeBase) -> None:
    queue = JobQueue(finer.store)
    recut.submit_rechunk(queue)
    lease = queue.claim("1")
    assert lease

    def remove(job: Job) -> None:
        if job.step == "embed" and finer.store.document("book.pdf"):
            finer.remove("book.pdf")

    job = Worker(queue, handlers(finer)).run_one(lease, watch=remove)
    assert job.state == "done"
    assert [document.file for document in finer.documents()] == ["note.txt"]
    assert finer.store.check() == []
    assert all(hit.document.file == "note.txt" for hit in finer.search(QUESTION))


def test_read_again(home: Path) -> None:
    kb = opened(home, chunk_tokens=64)
    book = kb.document("book.pdf")
    title = kb.store.change_document(book.id, title="What the admin calls it").title
    with kb.store.writing() as connection:
        connection.exec_driver_sql("UPDATE pages SET note = 'read by an older reader'")
    job = reread_here(kb, book, watch)
    assert job.state == "done"
    assert all(not page.note for page in kb.store.pages(book.id))
    assert (kb.document("book.pdf").title, kb.document("book.pdf").state) == (title, "ready")
    assert kb.pending() == 0
    assert "Drug 7" in kb.search(QUESTION)[0].chunk.text
    kb.close()


def test_a_draft_that_is_read_again_still_says_why_it_is_one(home: Path, tmp_path: Path) -> None:
    (tmp_path / "draft.txt").write_text("Ibuprofen is taken with food.\n")
    kb = opened(home)
    assert add_paths(kb, [tmp_path / "draft.txt"], draft=True)[0].state == "draft"
    assert reread_here(kb, kb.document("draft.txt"), watch).state == "done"
    assert (kb.document("draft.txt").state, kb.document("draft.txt").reason) == ("draft", "not published yet")
    kb.publish_document("draft.txt")
    assert reread_here(kb, kb.document("draft.txt"), watch).state == "done"
    assert (kb.document("draft.txt").state, kb.document("draft.txt").reason) == ("ready", "")
    kb.close()


def test_what_reads_as_badly_as_before_says_so_again(home: Path, tmp_path: Path) -> None:
    text = pdf([Sheet(lines(["A page with text of its own."]))])
    (tmp_path / "mixed.pdf").write_bytes(joined(text, scan(PRINTED)))
    kb = opened(home, ocr="never")
    assert add_paths(kb, [tmp_path / "mixed.pdf"])[0].state == "draft"
    before = kb.document("mixed.pdf")
    assert "1 of 2 pages could not be read" in before.reason
    assert reread_here(kb, before, watch).state == "done"
    assert (kb.document("mixed.pdf").state, kb.document("mixed.pdf").reason) == ("draft", before.reason)
    kb.close()


def test_what_cannot_be_read_again_stays(home: Path) -> None:
    kb = opened(home)
    book = kb.document("book.pdf")
    kb.store.blob(book).write_bytes(b"%PDF-1.7 not any more")
    before = kb.store.chunks(book.id)
    job = reread_here(kb, book, watch)
    assert job.state == "failed"
    assert job.reason
    assert kb.store.chunks(book.id) == before
    assert json.dumps(kb.document("book.pdf").reason) == json.dumps(book.reason)
    kb.close()


def test_the_older_embedder_answers_while_the_index_is_renewed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(settings: Settings) -> HashEmbedder:
        return HashEmbedder(int(settings.embedder))

    monkeypatch.setattr(knowledge_base, "build_embedder", build)
    with KnowledgeBase.open(Settings(home=home, embedder="64"), write=True, for_rebuild=True) as kb:
        kb.rebuild()
    with (
        KnowledgeBase.open(Settings(home=home, embedder="32"), write=True) as worker,
        KnowledgeBase.open(Settings(home=home, embedder="32")) as reader,
    ):
        assert reader.outdated
        old = reader.search(QUESTION)
        assert old[0].dense_rank == 1
        queue = JobQueue(worker.store)
        Tending(worker, queue)()
        assert Worker(queue, background_handlers(worker, queue)).run() > 0
        assert not worker.outdated
        assert worker.index.counts[0] == worker.index.counts[1]
        assert [hit.chunk.text for hit in reader.search(QUESTION)] == [hit.chunk.text for hit in old]
        assert reader.refresh_index()
        assert not reader.outdated
        assert reader.search(QUESTION)[0].dense_rank == 1
    monkeypatch.setattr(knowledge_base, "build_embedder", lambda settings: HashEmbedder(16))
    with pytest.raises(IndexMismatch, match="rebuild"):
        KnowledgeBase.open(Settings(home=home))
