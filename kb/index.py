"""The index: tantivy for words, FAISS for vectors, both derived from the store and thrown away without loss.

What is on disk is a generation: a folder with `manifest.json` (embedder, terms version, counts, SHA-256 of each file),
written under a temporary name, fsynced, renamed; the CURRENT file flips last. FAISS loads bit-flipped files without
complaint and answers wrongly, so checksums are verified at load; a bad generation is refused and the caller rebuilds.
A new generation starts as hard links to the old one's immutable files, so adding one document costs one document.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock

from kb import expand
from kb.errors import IndexMismatch, KBError, StoreError
from kb.expand import Synonyms
from kb.store import Store
from kb.terms import VERSION as TERMS_VERSION
from kb.terms import Terms, language_of, mine_words
from kb.types import Chunk
from kb.vector_index import VectorIndex

_FORMAT = 2
_BATCH = 2000
_QUERY_TERMS = 256  # a pasted page asks no better question than its first few hundred distinct terms
_CURRENT = "CURRENT"
_MUTABLE = {"meta.json", ".managed.json"}  # tantivy rewrites these; all its other files never change
_TITLE_WEIGHT = {"zh": 0.4, "en": 0.0}
"""Of a question's term in title or section path, beside what it weighs there as part of the text: it helps where a
title names the one thing that is told (Chinese monographs), and harms where it repeats it (docs/measurements.md)."""
_NAME_WEIGHT = 0.4  # of another name of what was asked about
_HEAP = 64_000_000  # bytes of tantivy's writer

Progress = Callable[[int, int], None]


class DamagedIndex(KBError):
    """The current generation fails its checksums or cannot be loaded; it must be rebuilt from the store."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Chunk `number` in the store and its score; higher is better, comparable within one list only."""

    number: int
    score: float


class PassageIndex(Protocol):
    """The seam: what retrieval asks of an index."""

    def dense(self, vector: np.ndarray, k: int) -> list[Scored]:
        """The k chunks whose vectors have the highest inner product with `vector` (dimension,)."""

    def lexical(self, question: str, k: int, *, titles: bool = True, names: bool = True) -> list[Scored]:
        """The k chunks with the highest BM25 score; `titles` counts title and section path as a field of their own,
        `names` also looks for other names of what the question names."""

    def question_rarity(self, question: str) -> dict[str, float]:
        """Each of the question's terms and its rarity; their sum is what BM25 could find of it, up to a factor."""


@dataclass(frozen=True, slots=True)
class _Generation:
    """One loaded generation. Never changed once it is searched: publishing makes another."""

    folder: Path | None
    manifest: dict[str, Any]
    lexical: Any  # tantivy.Index
    dense: VectorIndex
    numbers: np.ndarray  # int64, ascending: chunks in the word index
    synonyms: Synonyms = field(default_factory=Synonyms)


class LocalIndex:
    """The index of one home, in `<home>/index/`."""

    def __init__(self, home: Path, *, embedder: str, dimension: int, source: Mapping[str, Any] | None = None) -> None:
        """Nothing is read before `load`, `publish` or `rebuild`.

        `source`: the settings that name the embedder, noted in what is written, so that it can be found again.
        """
        self._source = dict(source or {})
        self._root = home / "index"
        self._embedder = embedder
        self._dimension = dimension
        self._live = _empty(dimension)
        self.terms = Terms()

    # -- searching -----------------------------------------------------------------------------------------------

    def dense(self, vector: np.ndarray, k: int) -> list[Scored]:
        return [Scored(number, score) for number, score in self._live.dense.search(vector, k)]

    def lexical(self, question: str, k: int, *, titles: bool = True, names: bool = True) -> list[Scored]:
        index = self._live.lexical
        if index is None:
            return []
        terms = list(dict.fromkeys(self.terms(question)))[:_QUERY_TERMS]
        if not terms:
            return []
        clauses = [_term(index.schema, "text", term) for term in terms]
        if titles and (weight := _TITLE_WEIGHT[language_of(question)]):
            clauses += [_boosted(_term(index.schema, "title", term), weight) for term in terms]
        if names:
            clauses += self._other_names(question, index.schema)
        return self._found(index, clauses, k)

    def _other_names(self, question: str, schema: Any) -> list[Any]:
        """A clause for each name in the question: passages that hold all terms of one of its other names."""
        import tantivy

        clauses = []
        for replacement in self._live.synonyms.find(question):
            others = [self._all_of(other, schema) for other in replacement.others]
            found = [query for query in others if query is not None]
            if found:
                clauses.append(_boosted(tantivy.Query.disjunction_max_query(found), _NAME_WEIGHT))
        return clauses

    def _all_of(self, name: str, schema: Any) -> Any:
        import tantivy

        terms = dict.fromkeys(self.terms(name))
        must = [(tantivy.Occur.Must, _term(schema, "text", term)) for term in terms]
        return tantivy.Query.boolean_query(must) if must else None

    def _found(self, index: Any, clauses: Sequence[Any], k: int) -> list[Scored]:
        import tantivy

        searcher = index.searcher()
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, clause) for clause in clauses])
        hits = searcher.search(query, k, count=False).hits
        numbers = searcher.fast_field_values("number", [address for _, address in hits])
        return [Scored(int(n), float(score)) for n, (score, _) in zip(numbers, hits, strict=True) if n is not None]

    def other_names(self, question: str) -> list[tuple[str, ...]]:
        """For each name that the question holds, its other names in this library."""
        return [replacement.others for replacement in self._live.synonyms.find(question)]

    def names_in(self, text: str) -> list[str]:
        """The names in a text that this library knows other names of, as they are written there."""
        return [text[found.start : found.end] for found in self._live.synonyms.find(text)]

    def question_rarity(self, question: str) -> dict[str, float]:
        return self.rarity(list(dict.fromkeys(self.terms(question)))[:_QUERY_TERMS])

    def rarity(self, terms: Iterable[str], *, at_least: int = 0) -> dict[str, float]:
        """BM25's inverse document frequency of each term over all passages, or as if there were `at_least` so many."""
        index = self._live.lexical
        searcher = index.searcher() if index is not None else None
        n = max(len(self._live.numbers), at_least)
        found = {term: searcher.doc_freq("text", term) if searcher else 0 for term in terms}
        return {term: math.log(1 + (n - count + 0.5) / (count + 0.5)) for term, count in found.items()}

    # -- state ---------------------------------------------------------------------------------------------------

    @property
    def counts(self) -> tuple[int, int]:
        """Chunks in the word index, vectors in the dense one."""
        return len(self._live.numbers), len(self._live.dense)

    @property
    def generation(self) -> str:
        """Name of the live generation; empty before the first."""
        return self._live.folder.name if self._live.folder else ""

    def level_with(self, store: Store) -> bool:
        """Whether all that the store holds is in the live generation."""
        return bool(self._live.manifest.get("revision", 0) == store.revision())

    def built_with(self) -> dict[str, Any]:
        """What the current generation notes of its embedder: key, dimension, source; empty if there is none."""
        try:
            folder = self._root / (self._root / _CURRENT).read_text(errors="replace").strip()
            embedder = json.loads((folder / "manifest.json").read_text())["embedder"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return embedder if isinstance(embedder, dict) else {}

    def load(self) -> None:
        """Make the generation that CURRENT names live. A home without one keeps the empty index.

        Raises IndexMismatch if another embedder or terms version built it, DamagedIndex if it fails its checksums.
        """
        pointer = self._root / _CURRENT
        if not pointer.is_file():
            return
        folder = self._root / pointer.read_text(errors="replace").strip()
        manifest = _verified_manifest(folder, self._live)
        self._check_mismatch(manifest)
        self._live = _load(folder, manifest)
        self.terms = Terms(json.loads((folder / "words.json").read_text()))

    def refresh(self) -> bool:
        """Take up a newer generation of another process; False if the live one is the current one.

        Raises IndexMismatch or DamagedIndex.
        """
        pointer = self._root / _CURRENT
        if not pointer.is_file() or pointer.read_text(errors="replace").strip() == self.generation:
            return False
        self.load()
        return True

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One process writes generations at a time, each on top of the newest."""
        self._root.mkdir(parents=True, exist_ok=True)
        with FileLock(self._root / "lock"):
            yield

    def _check_mismatch(self, manifest: dict[str, Any]) -> None:
        built = manifest["embedder"]
        if built["key"] != self._embedder:
            raise IndexMismatch(
                f"The index was built with embedder {built['key']} ({built['dimension']} d) but settings name "
                f"{self._embedder} ({self._dimension} d). Run `vademecum rebuild`, or set embedder back."
            )
        if manifest["terms"] != TERMS_VERSION or manifest["format"] != _FORMAT:
            raise IndexMismatch("The index was built by another version of Vademecum. Run `vademecum rebuild`.")

    # -- publishing ----------------------------------------------------------------------------------------------

    def publish(self, store: Store) -> bool:
        """Bring the index level with the store: what is new goes in, what is gone goes out. False if it was level."""
        with self._writing():
            self.refresh()
            return self._publish(store)

    def _publish(self, store: Store) -> bool:
        revision = store.revision()
        if self._live.manifest.get("revision", 0) == revision and self._live.folder:
            return False
        old = self._live
        words = store.chunk_numbers()
        vectors = store.vector_numbers(self._embedder)
        dense_ids = old.dense.numbers
        self._write(
            store,
            revision,
            base=old,
            add_words=np.setdiff1d(words, old.numbers),
            drop_words=np.setdiff1d(old.numbers, words),
            add_vectors=np.setdiff1d(vectors, dense_ids),
            drop_vectors=np.setdiff1d(dense_ids, vectors),
            numbers=words,
        )
        return True

    def rebuild(self, store: Store, progress: Progress | None = None) -> None:
        """Write a generation from nothing but the store; the old one answers until it is complete."""
        with self._writing():
            self._rebuild(store, progress)

    def _rebuild(self, store: Store, progress: Progress | None) -> None:
        revision = store.revision()
        words = store.chunk_numbers()
        nothing = np.empty(0, dtype=np.int64)
        self.terms = Terms()
        self._write(
            store,
            revision,
            base=_empty(self._dimension),
            add_words=words,
            drop_words=nothing,
            add_vectors=store.vector_numbers(self._embedder),
            drop_vectors=nothing,
            numbers=words,
            progress=progress,
        )

    def _write(
        self,
        store: Store,
        revision: int,
        *,
        base: _Generation,
        add_words: np.ndarray,
        drop_words: np.ndarray,
        add_vectors: np.ndarray,
        drop_vectors: np.ndarray,
        numbers: np.ndarray,
        progress: Progress | None = None,
    ) -> None:
        name = f"generation-{_next_number(self._root):06d}"
        part = self._root / f"{name}.part"
        try:
            shutil.rmtree(part, ignore_errors=True)
            (part / "lexical").mkdir(parents=True)
            names = self._write_lexical(store, part / "lexical", base, add_words, drop_words, progress)
            vectors = self._write_dense(store, part / "dense.faiss", base, add_vectors, drop_vectors)
            np.save(part / "numbers.npy", numbers)
            (part / "words.json").write_text(json.dumps(sorted(self.terms.words), ensure_ascii=False))
            (part / "synonyms.json").write_text(json.dumps(Synonyms(names).pairs(), ensure_ascii=False))
            manifest = {
                "format": _FORMAT,
                "terms": TERMS_VERSION,
                "embedder": {"key": self._embedder, "dimension": self._dimension, "source": self._source},
                "revision": revision,
                "chunks": len(numbers),
                "vectors": vectors,
                "files": _checksums(part, base),
            }
            _write_durably(part / "manifest.json", json.dumps(manifest, indent=1))
            _sync_tree(part)
            folder = self._root / name
            part.rename(folder)
            _write_durably(self._root / _CURRENT, name)
        except (OSError, ValueError, RuntimeError) as error:  # tantivy and faiss report a full disk as these
            shutil.rmtree(part, ignore_errors=True)
            raise StoreError(
                f"The index could not be written: {error}. The library itself is intact; free disk space and run "
                "`vademecum rebuild`."
            ) from error
        self._live = _load(folder, manifest)
        _sweep(self._root, keep={name, base.folder.name if base.folder else name})

    def _write_lexical(
        self,
        store: Store,
        folder: Path,
        base: _Generation,
        add: np.ndarray,
        drop: np.ndarray,
        progress: Progress | None,
    ) -> list[tuple[str, str]]:
        """Write the word index; the pairs of names that mean the same, those of the base included."""
        import tantivy

        names = base.synonyms.pairs()

        if base.folder:
            _link(base.folder / "lexical", folder)
        if base.folder and not len(add) and not len(drop):
            return names
        index = tantivy.Index(_schema(), path=str(folder), reuse=True)
        writer = index.writer(_HEAP, 1)
        for start in range(0, len(drop), _BATCH):  # by query: deleting by term misses unsigned fields (tantivy 0.27)
            gone = tantivy.Query.term_set_query(_schema(), "number", drop[start : start + _BATCH].tolist())
            writer.delete_documents_by_query(gone)
        done = 0
        for batch in _batches(store, add):
            self.terms.add_words(mine_words(batch.values()))
            names += expand.mine(batch.values())
            titles = {d.id: d.title for d in store.documents_by_id(c.document for c in batch.values()).values()}
            for number, chunk in batch.items():
                title = " ".join(self.terms(f"{titles[chunk.document]}\n{chunk.heading}"))
                document = tantivy.Document()
                document.add_unsigned("number", number)
                document.add_text("title", title)
                document.add_text("text", f"{title} {' '.join(self.terms(chunk.text))}")
                writer.add_document(document)
            done += len(batch)
            if progress:
                progress(done, len(add))
        writer.commit()
        writer.wait_merging_threads()
        for lock in folder.glob("*.lock"):
            lock.unlink()
        return names

    def _write_dense(self, store: Store, path: Path, base: _Generation, add: np.ndarray, drop: np.ndarray) -> int:
        """Write the vectors' file; how many it holds."""
        if base.folder and not len(add) and not len(drop):
            os.link(base.folder / "dense.faiss", path)
            return len(base.dense)

        def batches(numbers: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for start in range(0, len(numbers), _BATCH):
                found, matrix = store.vectors(self._embedder, numbers[start : start + _BATCH].tolist())
                if len(found):
                    yield found, matrix

        dense = base.dense.changed(add, drop, batches)
        dense.write(path)
        return len(dense)


# -- pieces ------------------------------------------------------------------------------------------------------


def _schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("number", indexed=True, fast=True)
    builder.add_text_field("title", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("text", tokenizer_name="whitespace", index_option="freq")
    return builder.build()


def _term(schema: Any, name: str, term: str) -> Any:
    import tantivy

    return tantivy.Query.term_query(schema, name, term, "freq")


def _boosted(query: Any, weight: float) -> Any:
    import tantivy

    return tantivy.Query.boost_query(query, weight)


def _empty(dimension: int) -> _Generation:
    return _Generation(None, {}, None, VectorIndex.empty(dimension), np.empty(0, dtype=np.int64))


def _open_lexical(folder: Path) -> Any:
    import tantivy

    index = tantivy.Index.open(str(folder))
    index.config_reader("manual")
    index.reload()
    for lock in folder.glob("*.lock"):
        lock.unlink()
    return index


def _load(folder: Path, manifest: dict[str, Any]) -> _Generation:
    try:
        dense = VectorIndex.read(folder / "dense.faiss", int(manifest["embedder"]["dimension"]))
        lexical = _open_lexical(folder / "lexical")
        numbers = np.load(folder / "numbers.npy", allow_pickle=False)
        synonyms = Synonyms(json.loads((folder / "synonyms.json").read_text()))
    except (OSError, ValueError, RuntimeError) as error:
        raise DamagedIndex(f"Index {folder.name} cannot be loaded: {error}.") from error
    return _Generation(folder, manifest, lexical, dense, numbers, synonyms)


def _batches(store: Store, numbers: np.ndarray) -> Iterator[dict[int, Chunk]]:
    for start in range(0, len(numbers), _BATCH):
        yield store.chunks_by_number(numbers[start : start + _BATCH].tolist())


def _next_number(root: Path) -> int:
    taken = [path.name.removesuffix(".part").rpartition("-")[2] for path in root.glob("generation-*")]
    return max((int(number) for number in taken if number.isdigit()), default=0) + 1


def _link(source: Path, target: Path) -> None:
    for path in source.iterdir():
        if path.name in _MUTABLE:
            shutil.copyfile(path, target / path.name)
        elif path.suffix != ".lock":
            os.link(path, target / path.name)


def _files(folder: Path) -> list[str]:
    """Relative names of what a generation consists of, the manifest left out."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return sorted(str(path.relative_to(folder)) for path in paths if path.name != "manifest.json")


def _checksums(folder: Path, base: _Generation) -> dict[str, dict[str, Any]]:
    """SHA-256 of each file; one that is a hard link to the base's keeps the sum verified there."""
    sums: dict[str, dict[str, Any]] = {}
    for name in _files(folder):
        path = folder / name
        known = base.manifest.get("files", {}).get(name)
        if known and base.folder and (base.folder / name).exists() and path.samefile(base.folder / name):
            sums[name] = known
        else:
            sums[name] = {"sha256": _sha256(path), "bytes": path.stat().st_size}
    return sums


def _shared(path: Path, expected: dict[str, Any], live: _Generation, name: str) -> bool:
    """Whether the file is the very one that the live generation holds, by the same sum."""
    mine = live.folder / name if live.folder else None
    known = live.manifest.get("files", {}).get(name)
    return mine is not None and known == expected and mine.exists() and path.exists() and path.samefile(mine)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verified_manifest(folder: Path, live: _Generation) -> dict[str, Any]:
    """The manifest of a generation whose files bear it out; those shared with the live one were verified with it."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        if not {"format", "terms", "embedder", "revision", "files"} <= manifest.keys():
            raise DamagedIndex(f"Index {folder.name} is damaged: its manifest is incomplete.")
        for name, expected in manifest["files"].items():
            if not _shared(folder / name, expected, live, name) and _sha256(folder / name) != expected["sha256"]:
                raise DamagedIndex(f"Index {folder.name} is damaged: {name} fails its checksum.")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedIndex(f"Index {folder.name} is damaged: {error}.") from error
    return manifest


def _write_durably(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    _sync(path.parent)


def _sync_tree(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(root: Path, keep: Sequence[str] | set[str]) -> None:
    """Delete generations that are neither live nor the one before, and what killed writers left."""
    for path in root.glob("generation-*"):
        if path.name not in keep:
            shutil.rmtree(path, ignore_errors=True)
