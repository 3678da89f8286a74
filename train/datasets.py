"""Examples in, an immutable dataset version out: `<home>/datasets/<name>/<version>/`.

A version holds train.jsonl, validation.jsonl, test.jsonl, chunks.jsonl (every chunk shown or rested on, with its
hash) and manifest.json. Its name is the first 12 hex digits of the hash over its files, so the same content is the same
version, and what was changed by hand is refused at loading. The split is by unit (document; drug in monograph files)
and by the unit's own hash: a unit never moves from test to training when the library grows.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from kb.errors import StoreError, UsageError
from kb.prompt_formats import Style
from kb.store import Store
from kb.types import Chunk, Hit, QAExample
from train.contexts import ContextPlan, Contexts, hits_of, make_contexts
from train.examples import Examples, Selection, chunks_now, chunks_of
from train.rows import make_row

FORMAT = 1
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_FILES = (*(f"{split}.jsonl" for split in SPLITS), "chunks.jsonl")
_SEARCH_DEPTH = 60  # hits looked at for distractors: a tenth of them are of the test split
_BATCH = 200


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """What goes into a dataset, and how."""

    selection: Selection = field(default_factory=lambda: Selection(states=("kept", "accepted")))
    contexts: ContextPlan = field(default_factory=ContextPlan)
    style: Style = "app"
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Of the units, for training, validation and test."""
    mixing: Mapping[str, float] = field(default_factory=dict)
    """Wanted share of rows by task, or by 'task:source'; what is too many is left out, nothing is repeated."""
    unanswerable: float = 0.25
    """Largest share of unanswerable single questions among the examples (1: all there are)."""
    chat_files: tuple[Path, ...] = ()
    """General conversations to mix in (JSONL rows with messages); all of them go to training."""
    limit: int = 0
    """Most examples from the library; 0 is all."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A version on disk, its hashes verified."""

    name: str
    version: str
    folder: Path
    train: Path
    validation: Path
    test: Path
    manifest: dict[str, Any]


def load(home: Path, name: str, version: str | None = None) -> Dataset:
    """The dataset version (default: the newest), after checking that its files are what its name says.

    Raises UsageError if there is none, StoreError if a file is missing or was changed.
    """
    folder = _folder(home, name, version)
    manifest = _manifest(folder)
    for file in _FILES:
        path = folder / file
        wanted = manifest["files"][file]["sha256"]
        if not path.is_file() or _sha256(path) != wanted:
            raise StoreError(
                f"Dataset {name}/{folder.name}: {file} is missing or was changed after it was built. "
                f"Build it again with `vademecum datasets build {name}`, or restore it from backup."
            )
    if _version(manifest["files"]) != folder.name:
        raise StoreError(f"Dataset {name}/{folder.name}: its manifest was changed by hand. Build it again.")
    paths = [folder / f"{split}.jsonl" for split in SPLITS]
    return Dataset(name, folder.name, folder, paths[0], paths[1], paths[2], manifest)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a split, one at a time."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def versions(home: Path) -> list[dict[str, Any]]:
    """The manifests of all versions, by name, newest first."""
    found = [_manifest(path.parent) for path in sorted((home / "datasets").glob("*/*/manifest.json"))]
    found.sort(key=lambda manifest: str(manifest["created"]), reverse=True)
    return sorted(found, key=lambda manifest: str(manifest["name"]))


def split_of(unit: str, shares: Sequence[float], seed: int = 0) -> Split:
    """Where a unit belongs, whatever else there is."""
    digest = hashlib.sha256(f"split/{seed}/{unit}".encode()).digest()
    point = int.from_bytes(digest[:8], "big") / 2**64 * sum(shares)
    return "train" if point < shares[0] else "validation" if point < shares[0] + shares[1] else "test"


def build(
    store: Store,
    name: str,
    plan: DatasetPlan,
    search: Callable[[str, int], Sequence[Hit]],
    *,
    progress: Callable[[int, int], None] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Dataset:
    """Write the version that these examples make; the same content again is the same version and writes nothing new.

    `search(question, k)` finds distractors; `extra` goes into the manifest (counts of filters, …).
    Raises UsageError if no example is selected, or the name is unusable.
    """
    _check_name(name)
    examples = Examples(store)
    total = examples.count(plan.selection)
    if not total:
        raise UsageError(
            "No example is selected, so there is no dataset. `vademecum qa generate` makes examples and "
            "`vademecum qa curate` keeps the good ones; `vademecum qa list` shows what there is."
        )
    rates = _rates(examples, plan)
    root = store.home / "datasets" / name
    part = root / f".building-{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        writer = _Writer(part, plan, name)
        for done, example in enumerate(examples.stream(plan.selection), start=1):
            if plan.limit and writer.examples >= plan.limit:
                break
            if _drawn(example, rates) and _short_enough(example, plan.contexts):
                writer.pend(example)
            if len(writer.pending) >= _BATCH:
                writer.flush(store, search)
            if progress:
                progress(done, total)
        writer.flush(store, search)
        for path in plan.chat_files:
            writer.add_chat(path)
        manifest = writer.close(total, extra or {})
        return _publish(store.home, root, part, name, manifest)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Loss:
    """What a dataset would lose if it were built from the library of today."""

    rows: dict[str, int]
    chunks: int
    documents: tuple[str, ...]


def loss(store: Store, dataset: Dataset) -> Loss:
    """Rows whose source chunks, or passages shown, are gone or changed."""
    listed = list(rows(dataset.folder / "chunks.jsonl"))
    now = chunks_now(store, [row["chunk_id"] for row in listed])
    gone = {row["chunk_id"] for row in listed if now.get(row["chunk_id"]) != row["chunk_hash"]}
    documents = tuple(sorted({row["document"] for row in listed if row["chunk_id"] in gone}))
    lost: dict[str, int] = {}
    for split in SPLITS:
        lost[split] = (
            sum(bool(gone & _chunks_in(row)) for row in rows(dataset.folder / f"{split}.jsonl")) if gone else 0
        )
    return Loss(lost, len(gone), documents)


def _chunks_in(row: Mapping[str, Any]) -> set[str]:
    metadata = row["metadata"]
    return {chunk for chunk, _ in [*metadata.get("sources", []), *metadata.get("context_chunks", [])]}


# -- writing ---------------------------------------------------------------------------------------------------------


class _Writer:
    """The files of a version in the making."""

    def __init__(self, folder: Path, plan: DatasetPlan, name: str) -> None:
        self.folder = folder
        self.plan = plan
        self.name = name
        self.examples = 0
        self.pending: list[QAExample] = []
        self._files = {split: (folder / f"{split}.jsonl").open("w", encoding="utf-8") for split in SPLITS}
        self._chunks: dict[str, tuple[str, str]] = {}
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._without_oracle = 0
        self._units: dict[Split, set[str]] = {split: set() for split in SPLITS}
        self._prompts: Counter[str] = Counter()
        self._generators: Counter[str] = Counter()

    def pend(self, example: QAExample) -> None:
        """Take an example; it is written by the next flush."""
        self.pending.append(example)
        self.examples += 1

    def flush(self, store: Store, search: Callable[[str, int], Sequence[Hit]]) -> None:
        """Write the rows of the pending examples."""
        ids = [source.chunk_id for example in self.pending for source in example.sources]
        chunks = chunks_of(store, ids)
        documents = store.documents_by_id(chunk.document for chunk in chunks.values())
        record_of = _RecordChunks(store)
        for example in self.pending:
            sources = [chunks[source.chunk_id] for source in example.sources if source.chunk_id in chunks]
            split = split_of(example.unit or example.id, self.plan.shares)
            contexts = make_contexts(
                example,
                hits_of(sources, documents),
                self.plan.contexts,
                lambda question: search(question, _SEARCH_DEPTH),
                lambda unit, split=split: split_of(unit, self.plan.shares) == split,  # type: ignore[misc]
                hits_of(record_of(sources[0]), documents) if sources and example.unit.startswith("drug:") else (),
            )
            self._note_chunks(sources, contexts)
            self._write(example, contexts, split)
        self.pending.clear()

    def add_chat(self, path: Path) -> None:
        """Mix general conversations in: JSONL rows with `messages` (or `conversations` in the sharegpt form)."""
        from train.export import chat_messages

        for number, row in enumerate(_json_lines(path), start=1):
            messages = chat_messages(row)
            if not messages:
                raise UsageError(f"{path.name}, row {number}: needs 'messages' of role and content.")
            metadata = {"task": "chat", "generator": path.name, "answers": [], "contexts": []}
            self._files["train"].write(
                json.dumps({"messages": messages, "metadata": metadata}, ensure_ascii=False) + "\n"
            )
            self._counts["train", "chat", path.name] += 1

    def close(self, selected: int, extra: Mapping[str, Any]) -> dict[str, Any]:
        """Finish the files; returns the manifest."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()
        with (self.folder / "chunks.jsonl").open("w", encoding="utf-8") as file:
            for chunk, (digest, document) in sorted(self._chunks.items()):
                file.write(json.dumps({"chunk_id": chunk, "chunk_hash": digest, "document": document}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        files = {file: {"sha256": _sha256(self.folder / file), "rows": _lines(self.folder / file)} for file in _FILES}
        return {
            "format": FORMAT,
            "name": self.name,
            "version": _version(files),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": files,
            "counts": {split: files[f"{split}.jsonl"]["rows"] for split in SPLITS},
            "by_task": self._by(1),
            "by_source": self._by(2),
            "units": {split: len(units) for split, units in self._units.items()},
            "selected": selected,
            "without_oracle": self._without_oracle,
            "prompts": dict(sorted(self._prompts.items())),
            "generators": dict(sorted(self._generators.items())),
            "split": {
                "rule": "by unit (document, or drug of a monograph file), by the unit's hash",
                **_shares(self.plan),
            },
            "plan": _plain(asdict(self.plan)),
            **extra,
        }

    def _by(self, at: int) -> dict[str, dict[str, int]]:
        table: dict[str, dict[str, int]] = {split: {} for split in SPLITS}
        for key, count in sorted(self._counts.items()):
            table[key[0]][key[at]] = table[key[0]].get(key[at], 0) + count
        return table

    def _note_chunks(self, sources: Sequence[Chunk], contexts: Contexts) -> None:
        from train.examples import chunk_hash

        for chunk in sources:
            self._chunks[chunk.id] = (chunk_hash(chunk.text), chunk.document)
        for hit, source in zip(contexts.hits, contexts.sources, strict=True):
            self._chunks[source.chunk_id] = (source.chunk_hash, hit.document.id)

    def _write(self, example: QAExample, contexts: Contexts, split: Split) -> None:
        row = make_row(example, contexts, self.plan.style)
        self._files[split].write(json.dumps(row, ensure_ascii=False) + "\n")
        self._counts[split, example.task, example.generator] += 1
        self._without_oracle += example.answerable and not contexts.answerable
        self._units[split].add(example.unit or example.id)
        self._prompts[example.prompt] += 1
        self._generators[example.generator] += 1


class _RecordChunks:
    """All chunks of a chunk's record; examples of one record follow one another, so the last is kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key: tuple[str, int] = ("", 0)
        self._chunks: list[Chunk] = []

    def __call__(self, chunk: Chunk) -> list[Chunk]:
        key = (chunk.document, chunk.pages[0] if chunk.pages else 0)
        if key != self._key:
            self._key, self._chunks = key, self._store.chunks_on_page(*key)
        return self._chunks


def _publish(home: Path, root: Path, part: Path, name: str, manifest: dict[str, Any]) -> Dataset:
    """Rename the finished folder to its version, unless that is there already."""
    target = root / str(manifest["version"])
    if not target.exists():
        path = part / "manifest.json"
        with path.open("w", encoding="utf-8") as file:
            json.dump(manifest, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
        handle = os.open(root, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    return load(home, name, target.name)


# -- which examples --------------------------------------------------------------------------------------------------


def _rates(examples: Examples, plan: DatasetPlan) -> dict[str, float]:
    """The share of examples to draw, by 'task', 'task:source' or 'unanswerable'. Absent means all.

    The wanted shares are reached by leaving out: the group that is scarcest for its share sets the size.
    """
    rates = {"unanswerable": _unanswerable_rate(examples, plan)}
    if not plan.mixing:
        return rates
    counts: Counter[str] = Counter()
    for example in examples.stream(plan.selection):
        counts[example.task] += 1
        counts[f"{example.task}:{example.generator}"] += 1
    missing = [key for key, share in plan.mixing.items() if share > 0 and not counts[key]]
    if missing:
        raise UsageError(
            f"Mixing asks for {', '.join(missing)}, of which there is no selected example. "
            "`vademecum qa list` counts examples by task and source."
        )
    size = min(counts[key] / share for key, share in plan.mixing.items() if share > 0)
    rates.update({key: share * size / counts[key] if share > 0 else 0.0 for key, share in plan.mixing.items()})
    return rates


def _unanswerable_rate(examples: Examples, plan: DatasetPlan) -> float:
    if plan.unanswerable >= 1:
        return 1.0
    with_answer = without = 0
    for example in examples.stream(plan.selection):
        with_answer += example.answerable
        without += not example.answerable
    wanted = plan.unanswerable / (1 - plan.unanswerable) * with_answer
    return min(1.0, wanted / without) if without else 1.0


def _drawn(example: QAExample, rates: Mapping[str, float]) -> bool:
    """Whether the example is in the sample; by its hash, so that a larger sample holds the smaller."""
    rate = rates.get(f"{example.task}:{example.generator}", rates.get(example.task, 1.0))
    if not example.answerable:
        rate *= rates["unanswerable"]
    return int(hashlib.sha256(f"draw/{example.id}".encode()).hexdigest()[:8], 16) / 16**8 < rate


def _short_enough(example: QAExample, plan: ContextPlan) -> bool:
    """Whether the field asked for is among those that a plan for small models shows."""
    return plan.kind != "fields" or not plan.longest or len(example.answers[0]) <= plan.longest


# -- small pieces ----------------------------------------------------------------------------------------------------


def _check_name(name: str) -> None:
    if not name or name.startswith(".") or not all(c.isalnum() or c in "-_." for c in name) or len(name) > 60:
        raise UsageError(f"Dataset name {name!r} is not usable. Use letters, digits, '-', '_' and '.', 60 at most.")


def _folder(home: Path, name: str, version: str | None) -> Path:
    _check_name(name)
    root = home / "datasets" / name
    folders = [path.parent for path in root.glob("*/manifest.json")]
    wanted = [folder for folder in folders if version is None or folder.name.startswith(version)]
    if not wanted or (version is not None and len(wanted) > 1):
        there = ", ".join(sorted(folder.name for folder in folders)) or "none"
        asked = f"version {version} of dataset {name}" if version else f"dataset {name}"
        raise UsageError(f"No {asked} (versions there: {there}). `vademecum datasets list` shows all.")
    return max(wanted, key=lambda folder: (str(_manifest(folder)["created"]), folder.name))


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder / 'manifest.json'} cannot be read: {error}. Build the dataset again.") from None
    if manifest.get("format") != FORMAT:
        raise StoreError(f"Dataset {folder.name} has format {manifest.get('format')}, this version reads {FORMAT}.")
    return manifest


def _version(files: Mapping[str, Mapping[str, Any]]) -> str:
    content = "".join(f"{name} {files[name]['sha256']}\n" for name in sorted(files))
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _json_lines(path: Path) -> Iterable[Any]:
    from kb.evaluate import read_rows

    return read_rows(path)


def _shares(plan: DatasetPlan) -> dict[str, float]:
    return dict(zip(SPLITS, plan.shares, strict=True))


def _plain(value: Any) -> Any:
    """Paths as text, tuples as lists: what JSON holds."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
