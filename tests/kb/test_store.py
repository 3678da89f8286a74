"""The catalog: what was acknowledged is there, what was not is not, and a damaged one says so."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from kb.errors import StoreError
from kb.home import CATALOG
from kb.schema import HEAD
from kb.store import Store
from kb.types import Line, Page
from tests.conftest import Adder, chunk_of, document_of


def test_sqlite_is_new_enough_for_two_writers() -> None:
    import pysqlite3

    assert tuple(map(int, pysqlite3.sqlite_version.split("."))) >= (3, 51, 3)


def test_pages_come_back_as_they_went_in(store: Store) -> None:
    document = document_of("a.pdf")
    store.start_document(document)
    pages = [
        Page(1, (Line("高血压", (1.25, 2.5, 30.0, 14.0), 12.0), Line("plain", None, 0.0)), 595.0, 842.0, "i", "r/1"),
        Page(2, (), 595.0, 842.0, "ii", "r/1", "no text"),
        Page(
            3,
            (Line("drug\tdose", None, 9.0, "head"), Line("a\t5 mg", (1.0, 2.0, 3.0, 4.0), 9.0, "row")),
            note="its own text is garbage; recognised",
            source="ocr",
            confidence=0.93,
            tables=1,
            rotated=90,
            garbled=True,
        ),
    ]
    store.add_pages(document.id, pages)
    assert list(store.pages(document.id)) == pages


def test_chunks_come_back_as_they_went_in(store: Store, add: Adder) -> None:
    document = add(store, "a.txt", ["first passage", "第二段"])
    assert store.chunks(document.id) == [
        chunk_of(document.id, 0, "first passage"),
        chunk_of(document.id, 1, "第二段"),
    ]


def test_chunks_are_found_by_the_page_they_touch(store: Store, add: Adder) -> None:
    document = add(store, "a.txt", ["on page one", "on page two"])
    assert [chunk.text for chunk in store.chunks_on_page(document.id, 2)] == ["on page two"]
    assert store.chunks_on_page(document.id, 3) == []


def test_reading_can_be_taken_up_where_it_stopped(store: Store) -> None:
    document = document_of("a.pdf")
    assert store.start_document(document) == 0
    store.add_pages(document.id, [Page(1, ()), Page(2, ())])
    assert store.start_document(document) == 2


def test_a_ready_document_cannot_be_started_again(store: Store, add: Adder) -> None:
    document = add(store, "a.txt", ["text"])
    with pytest.raises(StoreError, match="already in the library"):
        store.start_document(document)


def test_a_document_is_searchable_whole_or_not_at_all(store: Store, add: Adder) -> None:
    """A chunk that cannot be stored must not leave its neighbours searchable."""
    document = document_of("a.txt")
    store.start_document(document)
    twice = chunk_of(document.id, 0, "same id")
    with pytest.raises(StoreError):
        store.finish_document(document, [twice, twice])
    assert len(store.chunk_numbers()) == 0
    found = store.document(document.id)
    assert found is not None
    assert found.state == "reading"


def test_removing_takes_pages_chunks_vectors_and_original(store: Store, add: Adder, tmp_path: Path) -> None:
    document = add(store, "a.txt", ["text"])
    original = tmp_path / "a.txt"
    original.write_text("text")
    blob = store.put_blob(original, document.sha256)
    store.add_vectors("e", store.chunk_numbers().tolist(), np.ones((1, 4)))
    store.remove_document(document)
    assert store.documents() == []
    assert not blob.exists()
    assert len(store.vector_numbers("e")) == 0
    assert store.check() == []


def test_numbers_are_never_used_again(store: Store, add: Adder) -> None:
    """An old index generation may still hold the number of a removed chunk."""
    first = add(store, "a.txt", ["text"])
    number = store.chunk_numbers()[0]
    store.remove_document(first)
    add(store, "b.txt", ["other"])
    assert store.chunk_numbers()[0] > number


def test_vectors_of_a_removed_chunk_are_left_out(store: Store, add: Adder) -> None:
    add(store, "a.txt", ["text"])
    number = int(store.chunk_numbers()[0])
    store.add_vectors("e", [number, 99], np.array([[1.0, 2.0], [3.0, 4.0]]))
    numbers, matrix = store.vectors("e", [number, 99])
    assert numbers.tolist() == [number]
    assert matrix.tolist() == [[1.0, 2.0]]


def test_pending_asks_only_for_languages_the_embedder_knows(store: Store, add: Adder) -> None:
    add(store, "a.txt", ["english text", "中文文本"])
    assert len(store.pending("e", None)) == 2
    assert len(store.pending("e", frozenset({"en"}))) == 1


def test_revision_grows_with_every_change_that_search_can_see(store: Store, add: Adder) -> None:
    revisions = [store.revision()]
    document = add(store, "a.txt", ["text"])
    revisions.append(store.revision())
    store.add_vectors("e", store.chunk_numbers().tolist(), np.ones((1, 2)))
    revisions.append(store.revision())
    store.remove_document(document)
    revisions.append(store.revision())
    assert revisions == sorted(set(revisions))


def test_documents_are_found_by_id_beginning_and_name(store: Store, add: Adder) -> None:
    document = add(store, "a.txt", ["text"])
    for key in (document.id, document.id[:8], "a.txt"):
        found = store.document(key)
        assert found is not None
        assert found.id == document.id
    assert store.document(document.id[:3]) is None


def test_a_newer_catalog_is_refused(store: Store, tmp_path: Path) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    with pytest.raises(StoreError, match=f"newer version.*this one knows {HEAD}"):
        Store(tmp_path)


def test_a_file_that_is_no_catalog_is_refused(tmp_path: Path) -> None:
    (tmp_path / CATALOG).write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="not a library"):
        Store(tmp_path)


def test_full_disk_refuses_the_document_and_keeps_the_others(tmp_path: Path) -> None:
    """A writer that hits its file-size limit (a full disk, as SQLite sees it) must not harm what was acknowledged."""
    script = """
        import resource, signal, sys
        from pathlib import Path
        from kb.errors import StoreError
        from kb.store import Store
        from tests.conftest import chunk_of, document_of
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = Store(Path(sys.argv[1]))
        kept = document_of("kept.txt")
        store.start_document(kept)
        store.finish_document(kept, [chunk_of(kept.id, 0, "acknowledged")])
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        big = document_of("big.txt")
        try:
            store.start_document(big)
            store.finish_document(big, [chunk_of(big.id, i, str(i) * 3000) for i in range(2000)])
        except StoreError as error:
            print(error)
            sys.exit(7)
    """
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 7, done.stderr
    assert "intact" in done.stdout
    store = Store(tmp_path)
    assert [chunk.text for chunk in store.chunks_by_number(store.chunk_numbers()).values()] == ["acknowledged"]
    assert store.check() == []
    store.close()
