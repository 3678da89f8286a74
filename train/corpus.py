"""Texts to pre-train on: the library's published documents and files, repeats taken out, in the shares that are asked.

A text is what ends with an end token: a record (monograph), a document, a line of a file. Lines of JSONL may be plain
texts, questions with answers (`question`, newline, `answer`) or dialogues (`患者：…`, newline, `医生：…`). A row of
another shape is counted with its reason. What a dataset keeps for its test can be left out, so the proof stays one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kb.errors import UsageError
from kb.evaluate import read_rows
from kb.store import Store
from kb.terms import language_of
from kb.types import READ_STATES, Chunk, Document
from train import datasets
from train.deduplicate import exact_repeats, near_repeats, numbers_differ

LIBRARY = "library"
_RECORDS = ("monographs", "records")
_SPEAKERS = {"zh": {"user": "患者：", "assistant": "医生："}, "en": {"user": "Patient: ", "assistant": "Doctor: "}}
_SIDES = {"user": "user", "human": "user", "患者": "user", "patient": "user"}
_SIDES |= {"assistant": "assistant", "gpt": "assistant", "医生": "assistant", "doctor": "assistant"}
_ASKED = (("question", "answer"), ("q", "a"), ("text", "answer"), ("prompt", "completion"), ("instruction", "output"))
_SHORT = 400  # characters up to which two texts that differ in a number only are two texts


@dataclass(frozen=True, slots=True)
class Text:
    """One text and the source it is from."""

    text: str
    source: str


@dataclass
class SourceCount:
    """What became of a source."""

    read: int = 0
    unusable: Counter[str] = field(default_factory=Counter)
    kept_for_test: int = 0
    repeats: int = 0
    near_repeats: int = 0
    left_out_by_share: int = 0
    kept: int = 0

    def row(self) -> dict[str, Any]:
        counts = ("read", "kept_for_test", "repeats", "near_repeats", "left_out_by_share", "kept")
        return {name: getattr(self, name) for name in counts} | {"unusable": dict(self.unusable)}


@dataclass(frozen=True, slots=True)
class Corpus:
    """The texts, split, and where they are from. `hash` is over all of them."""

    train: tuple[Text, ...]
    held_out: tuple[Text, ...]
    sources: dict[str, dict[str, Any]]
    hash: str


@dataclass(frozen=True, slots=True)
class CorpusPlan:
    """What goes into a corpus."""

    library: bool = True
    documents: tuple[Document, ...] = ()
    """Of the library, instead of all published ones."""
    files: tuple[Path, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    """Wanted share of characters by source ('library' or a file's name); what is too much is left out."""
    held_out: float = 0.02
    """Share of texts kept for the held-out perplexity."""
    without_test_of: datasets.Dataset | None = None


def gather(store: Store, plan: CorpusPlan, progress: Callable[[str], None] = lambda told: None) -> Corpus:
    """Read the sources and take repeats out. Raises UsageError if nothing is left or a share has no source."""
    counts: dict[str, SourceCount] = {}
    texts: list[Text] = []
    if plan.library or plan.documents:
        counts[LIBRARY] = count = SourceCount()
        if unread := [d for d in plan.documents if d.state not in READ_STATES]:
            raise UsageError(f"{unread[0].file} was not read to its end; there is no text of it to train on.")
        chosen = plan.documents or tuple(d for d in store.documents() if d.state == "ready")
        texts += [Text(text, LIBRARY) for text in library_texts(store, chosen, _tested(plan.without_test_of), count)]
        progress(f"{LIBRARY}: {count.read:,} texts")
    for path in plan.files:
        counts[path.name] = count = SourceCount()
        texts += [Text(text, path.name) for text in file_texts(path, count)]
        progress(f"{path.name}: {count.read:,} texts")
    unknown = [name for name in plan.shares if name not in counts]
    if unknown:
        raise UsageError(f"--mix {unknown[0]}: there is no such source (there are: {', '.join(counts)}).")
    progress(f"looking for repeats among {len(texts):,} texts")
    texts = _mixed(_without_repeats(texts, counts), plan.shares, counts)
    for text in texts:
        counts[text.source].kept += 1
    if not texts:
        raise UsageError("There is no text to train on. Publish documents, or name files with --file.")
    train, held = _split(texts, plan.held_out)
    digest = hashlib.sha256("".join(_digest(text.text) for text in texts).encode()).hexdigest()
    return Corpus(train, held, {name: count.row() for name, count in counts.items()}, digest)


def library_texts(
    store: Store, documents: Iterable[Document], tested: frozenset[str] = frozenset(), count: SourceCount | None = None
) -> Iterator[str]:
    """The texts of these documents: one for each record, or one for a whole document, headings where they change.

    Texts that hold a chunk of `tested` are left out.
    """
    count = count or SourceCount()
    for document in documents:
        for chunks in _units(document, store.chunks(document.id)):
            count.read += 1
            if tested and any(chunk.id in tested for chunk in chunks):
                count.kept_for_test += 1
            else:
                yield _joined(document, chunks)


def _units(document: Document, chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    if document.kind not in _RECORDS:
        return [list(chunks)] if chunks else []
    by_record: dict[int, list[Chunk]] = {}
    for chunk in chunks:
        by_record.setdefault(chunk.pages[0] if chunk.pages else 0, []).append(chunk)
    return list(by_record.values())


def _joined(document: Document, chunks: Sequence[Chunk]) -> str:
    parts: list[str] = []
    heading = ""
    for chunk in chunks:
        if chunk.heading != heading and document.kind not in _RECORDS:
            heading = chunk.heading
            parts.append(heading.rpartition(" › ")[2])
        parts.append(chunk.text.strip())
    return "\n".join(part for part in parts if part)


def _tested(dataset: datasets.Dataset | None) -> frozenset[str]:
    if dataset is None:
        return frozenset()
    rows = datasets.rows(dataset.test)
    return frozenset(chunk for row in rows for chunk, _ in row["metadata"].get("sources", []))


# -- files -----------------------------------------------------------------------------------------------------------


def file_texts(path: Path, count: SourceCount | None = None) -> Iterator[str]:
    """The texts of a .txt file (the whole file is one) or of JSON lines, which may be packed (.xz, .gz)."""
    count = count or SourceCount()
    if path.suffix == ".txt":
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} cannot be read as UTF-8 text: {error}.") from None
        count.read += 1
        if text:
            yield text
        return
    for row in read_rows(path):
        count.read += 1
        text, reason = text_of(row)
        if reason:
            count.unusable[reason] += 1
        else:
            yield text


def text_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """The text of a row, or the reason why it has none."""
    for asked, answered in _ASKED:
        if isinstance(row.get(asked), str) and isinstance(row.get(answered), str):
            question = "\n".join(part for part in (row[asked].strip(), str(row.get("input") or "").strip()) if part)
            text = f"{question}\n{row[answered].strip()}"
            return (text, "") if question and row[answered].strip() else ("", "an empty question or answer")
    for name in ("messages", "conversations", "dialogue", "dialog"):
        if isinstance(row.get(name), list):
            return _dialogue(row[name])
    plain = row.get("text")
    if isinstance(plain, str):
        return (plain.strip(), "") if plain.strip() else ("", "an empty text")
    return "", "neither text, question and answer, nor dialogue"


def _dialogue(turns: Sequence[Any]) -> tuple[str, str]:
    said: list[tuple[str, str]] = []
    for turn in turns:
        text: Any = turn
        if isinstance(turn, str):  # in turns, the patient first
            side = "assistant" if len(said) % 2 else "user"
        elif isinstance(turn, Mapping):
            side = str(turn.get("role") or turn.get("from") or turn.get("speaker") or "").lower()
            text = turn.get("content") or turn.get("value") or turn.get("text") or turn.get("utterance") or ""
        else:
            return "", "a turn that is no text"
        if side == "system":
            continue
        if side not in _SIDES or not isinstance(text, str) or not text.strip():
            return "", "a turn without a speaker or without words"
        said.append((_SIDES[side], text.strip()))
    if not said:
        return "", "an empty dialogue"
    speakers = _SPEAKERS[language_of(said[0][1])]
    return "\n".join(speakers[side] + text for side, text in said), ""


# -- repeats, shares, split ------------------------------------------------------------------------------------------


def _without_repeats(texts: list[Text], counts: Mapping[str, SourceCount]) -> list[Text]:
    """The first of those that are the same, or nearly."""
    said = [text.text for text in texts]
    first = exact_repeats(said)
    for at in (first >= 0).nonzero()[0]:
        counts[texts[at].source].repeats += 1
    texts = [text for text, repeat in zip(texts, first, strict=True) if repeat < 0]
    said = [text.text for text in texts]

    def apart(one: int, two: int) -> bool:
        return len(said[one]) <= _SHORT and numbers_differ(said[one], said[two])

    near = near_repeats(said, apart=apart)
    for at in (near >= 0).nonzero()[0]:
        counts[texts[at].source].near_repeats += 1
    return [text for text, repeat in zip(texts, near, strict=True) if repeat < 0]


def _mixed(texts: list[Text], shares: Mapping[str, float], counts: Mapping[str, SourceCount]) -> list[Text]:
    """As many texts of each source as its share allows; by hash, so that a larger sample holds the smaller."""
    if not shares:
        return texts
    have: Counter[str] = Counter()
    for text in texts:
        have[text.source] += len(text.text)
    wanted = {name: share for name, share in shares.items() if share > 0}
    empty = [name for name in wanted if not have[name]]
    if empty or not wanted:
        raise UsageError(f"--mix asks for {', '.join(empty) or 'nothing'}, of which there is no text.")
    size = min(have[name] / share for name, share in wanted.items())
    room = {name: share * size for name, share in wanted.items()}
    kept: set[int] = set()
    for at in sorted(range(len(texts)), key=lambda i: _digest(texts[i].text)):
        source = texts[at].source
        if room.get(source, 0.0) > 0:
            room[source] -= len(texts[at].text)
            kept.add(at)
        else:
            counts[source].left_out_by_share += 1
    return [text for at, text in enumerate(texts) if at in kept]


def _split(texts: Sequence[Text], share: float) -> tuple[tuple[Text, ...], tuple[Text, ...]]:
    """By each text's own hash: it stays where it is when others come."""
    point = int(share * 16**8)
    held = [int(_digest(text.text)[-8:], 16) < point for text in texts]
    if share > 0 and len(texts) > 1 and not any(held):
        held[max(range(len(texts)), key=lambda i: _digest(texts[i].text))] = True
    train = tuple(text for text, out in zip(texts, held, strict=True) if not out)
    return train, tuple(text for text, out in zip(texts, held, strict=True) if out)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
