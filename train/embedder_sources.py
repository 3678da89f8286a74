"""Files in, what a Chinese embedder learns from out: words with their English, passages, pairs that mean the same.

A dictionary is a CSV with the columns `word` (English) and `translation` (Chinese), ECDICT's own form, or a JSON list
of drug monographs that give their 英文名. Texts are plain text, JSON or JSON lines; every long enough string in them
counts. Texts that share a sentence with a held-out file are left out, so that what is measured on those files was never
seen.
"""

from __future__ import annotations

import csv
import gzip
import json
import lzma
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from kb.errors import UsageError

_CJK = "\u3400-\u4dbf\u4e00-\u9fff"
_HAS_CJK = re.compile(f"[{_CJK}]")
_LABEL = re.compile(r"^\s*(?:\[[^\]]{1,6}\]|[a-z]{1,6}\.)\s*")
_ASIDE = re.compile(r"[(（<【\[][^)）>】\]]*[)）>】\]]")
_SENSES = re.compile(r"[\n,，;；、:：=]|\\n")
_ENGLISH_NAME = re.compile(r"^英文名[:：](.+)$", re.MULTILINE)
_OTHER_NAMES = re.compile(r"^别名[:：](.+)$", re.MULTILINE)
_NAMES = re.compile(r"[;；、，,。]")
_SENTENCE = re.compile(r"(?<=[。！？；!?;\n])")
_LONGEST_SENSE = 14
_LONGEST_PASSAGE = 600
_SHORTEST_PASSAGE = 30
_SHORTEST_SHARED = 12
"""Characters of a sentence that is no coincidence when two texts share it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A Chinese word or phrase and English words for it."""

    chinese: str
    english: str
    medical: bool


def read_dictionary(path: Path) -> Iterator[Entry]:
    """The senses of a dictionary, one entry each. Raises UsageError if it has not the columns."""
    if ".json" in path.name:
        yield from _names_of_drugs(path)
        return
    with _open_text(path) as file:
        rows = csv.DictReader(file)
        if not {"word", "translation"} <= set(rows.fieldnames or ()):
            raise UsageError(f"{path.name} is no dictionary: its first line must name the columns word, translation.")
        for row in rows:
            medical = "[医]" in (row["translation"] or "")
            for sense in senses(row["translation"] or ""):
                yield Entry(sense, row["word"], medical)


def _names_of_drugs(path: Path) -> Iterator[Entry]:
    for text in _texts(path):
        english = _ENGLISH_NAME.search(text)
        if english:
            other = _OTHER_NAMES.search(text)
            names = [text.partition("\n")[0], *(_NAMES.split(other[1]) if other else ())]
            for name in names:
                for word in _NAMES.split(english[1])[:2]:
                    if _HAS_CJK.search(name) and len(name) <= _LONGEST_SENSE and word.strip():
                        yield Entry(name.strip(), word.strip(), True)


def senses(translation: str) -> list[str]:
    """Chinese senses of a dictionary's translation: labels, word classes and asides left out."""
    found = []
    for part in _SENSES.split(_ASIDE.sub("", translation)):
        sense = _LABEL.sub("", _LABEL.sub("", part)).strip(" .。…")
        if _HAS_CJK.search(sense) and len(sense) <= _LONGEST_SENSE:
            found.append(sense)
    return list(dict.fromkeys(found))


def read_passages(paths: Sequence[Path], held_out: frozenset[str] = frozenset()) -> Iterator[str]:
    """Chinese passages of up to 600 characters from the files, those that share a sentence with `held_out` left out."""
    for path in paths:
        for text in _texts(path):
            for passage in _cut(text):
                if _HAS_CJK.search(passage) and not any(one in held_out for one in shared_sentences(passage)):
                    yield passage


def read_held_out(paths: Sequence[Path]) -> frozenset[str]:
    """The sentences of question sets and passages that must not be trained on."""
    return frozenset(one for path in paths for text in _texts(path, shortest=4) for one in shared_sentences(text))


def shared_sentences(text: str) -> Iterator[str]:
    """Its sentences as they are compared: without spaces, the short ones left out."""
    for sentence in _SENTENCE.split(text):
        squeezed = "".join(sentence.split())
        if len(squeezed) >= _SHORTEST_SHARED:
            yield squeezed


def read_pairs(paths: Sequence[Path], held_out: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
    """Two texts that belong together: JSON lines {question, positive}, or lines `1<TAB>text<TAB>text` (0: not)."""
    for path in paths:
        for one, other in _json_pairs(path) if ".json" in path.name else _tab_pairs(path):
            if not held_out & {"".join(one.split()), "".join(other.split())}:
                yield one, other


def _tab_pairs(path: Path) -> Iterator[tuple[str, str]]:
    with _open_text(path) as file:
        for number, line in enumerate(file, start=1):
            parts = line.rstrip("\n").split("\t")
            if len(parts) != 3 or parts[0] not in {"0", "1"}:
                raise UsageError(f"{path.name}, line {number}: expected 0 or 1, a text and a text, with tabs between.")
            if parts[0] == "1":
                yield parts[1], parts[2]


def _json_pairs(path: Path) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(_json_rows(path), start=1):
        if not isinstance(row, dict) or not {"question", "positive"} <= row.keys():
            raise UsageError(f"{path.name}, row {number}: needs 'question' and 'positive'.")
        yield str(row["question"]), str(row["positive"])


def inverse_cloze(passages: Iterable[str], chooser: random.Random) -> Iterator[tuple[str, str]]:
    """A sentence and the passage it was taken from (Lee, Chang and Toutanova, ACL 2019); one in ten stays in."""
    for passage in passages:
        sentences = [one for one in _SENTENCE.split(passage) if len(one.strip()) >= 6]
        if len(sentences) >= 2:
            at = chooser.randrange(len(sentences))
            rest = sentences if chooser.random() < 0.1 else sentences[:at] + sentences[at + 1 :]
            yield sentences[at].strip(), "".join(rest)


def _cut(text: str) -> Iterator[str]:
    """Passages of whole sentences, each up to 600 characters."""
    passage = ""
    for sentence in _SENTENCE.split(text):
        if passage and len(passage) + len(sentence) > _LONGEST_PASSAGE:
            yield passage
            passage = ""
        passage += sentence[:_LONGEST_PASSAGE]
    if len(passage) >= _SHORTEST_PASSAGE:
        yield passage


def _texts(path: Path, shortest: int = _SHORTEST_PASSAGE) -> Iterator[str]:
    if ".json" in path.name:
        for row in _json_rows(path):
            yield from (text for text in _strings(row) if len(text) >= shortest)
        return
    with _open_text(path) as file:
        for paragraph in re.split(r"\n\s*\n", file.read()):
            if len(paragraph) >= shortest:
                yield paragraph


def _json_rows(path: Path) -> Iterator[Any]:
    try:
        with _open_text(path) as file:
            if ".jsonl" in path.name:
                yield from (json.loads(line) for line in file if line.strip())
            else:
                whole = json.load(file)
                yield from whole if isinstance(whole, list) else [whole]
    except ValueError as error:
        raise UsageError(f"{path.name} cannot be read as JSON: {error}.") from None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def _open_text(path: Path) -> TextIO:
    try:
        if path.suffix == ".xz":
            return lzma.open(path, "rt", encoding="utf-8", newline="")
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8", newline="")
        return path.open(encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from None
