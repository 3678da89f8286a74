"""Texts in, a small sketch out, by which documents are compared without being read again.

MinHash in its first form, the smallest hashes of all phrases (Broder, "On the resemblance and containment of
documents", 1997): the sketches of two documents give the share of phrases they have in common, ±0.02 at one standard
error; short documents are compared whole. A phrase is five words in a row, a Chinese character counting as a word;
width, case, spaces, line breaks and punctuation make no difference.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
import zlib
from collections.abc import Iterable

import numpy as np

SIZE = 512
"""Hashes kept: 4 KiB a document."""
NEAR = 0.6
"""Share of common phrases from which two documents are reported as alike (docs/measurements.md)."""

_WORD = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]|[^\W_\u3400-\u9fff\U00020000-\U0003ffff]+")
_PHRASE = 5
_AT_ONCE = 50_000  # words that wait to be sketched, and words whose hashes are remembered
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def sketched(texts: Iterable[str]) -> tuple[str, bytes]:
    """(SHA-256 of the words, sketch) of a document given as its passages in order."""
    sketcher = Sketcher()
    for text in texts:
        sketcher.add(text)
    return sketcher.sketched()


class Sketcher:
    """Takes a document's passages in order; what it holds of them does not grow with their number."""

    def __init__(self) -> None:
        self._words = _Words()
        self._digest = hashlib.sha256()
        self._waiting: list[np.ndarray] = []
        self._size = 0
        self._smallest = np.empty(0, np.uint64)

    def add(self, text: str) -> None:
        """The next passage."""
        said = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
        self._digest.update("".join(said).encode())
        self._waiting.append(self._words.hashes(said))
        self._size += len(said)
        if self._size > _AT_ONCE:
            words = self._merged()
            self._waiting, self._size = [words[1 - _PHRASE :]], 0  # phrases go on over the border

    def sketched(self) -> tuple[str, bytes]:
        """(SHA-256 of the words, sketch) of what was added."""
        self._merged()
        return self._digest.hexdigest(), self._smallest.astype("<u8").tobytes()

    def _merged(self) -> np.ndarray:
        """Take the phrases of what waits into the sketch; returns the hashes of its words."""
        words = np.concatenate(self._waiting) if self._waiting else np.empty(0, np.uint64)
        if len(words) >= _PHRASE or not len(self._smallest):
            self._smallest = np.union1d(self._smallest, _phrases(words))[:SIZE]
        return words


def resemblance(one: bytes, other: bytes) -> float:
    """The share of all phrases of both that both have, from their sketches; 0 if either is empty."""
    first, second = np.frombuffer(one, "<u8"), np.frombuffer(other, "<u8")
    if not len(first) or not len(second):
        return 0.0
    smallest = np.union1d(first, second)[:SIZE]
    common = np.isin(smallest, first, assume_unique=True) & np.isin(smallest, second, assume_unique=True)
    return float(common.sum() / len(smallest))


class _Words:
    """Hashes of words; each distinct one is hashed once."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def hashes(self, words: Iterable[str]) -> np.ndarray:
        known = self._known
        return np.fromiter((known.get(word) or self._new(word) for word in words), dtype=np.uint64)

    def _new(self, word: str) -> int:
        raw = word.encode()
        value = zlib.crc32(raw) << 32 | zlib.adler32(raw) or 1
        if len(self._known) >= _AT_ONCE:
            self._known.clear()
        self._known[word] = value
        return value


def _phrases(words: np.ndarray) -> np.ndarray:
    """One hash for each five words in a row (for fewer words: of them all)."""
    length = min(_PHRASE, len(words))
    if not length:
        return words
    mixed = np.zeros(len(words) - length + 1, dtype=np.uint64)
    for at in range(length):
        mixed = (mixed ^ words[at : at + len(mixed)]) * _FACTOR
        mixed ^= mixed >> np.uint64(29)
    return mixed
