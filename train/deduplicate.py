"""Questions in, for each the earlier one it repeats (or −1) out: exact, near (MinHash), and same in meaning (vectors).

MinHash (Broder, "On the resemblance and containment of documents", 1997) over character trigrams, banded as in
locality-sensitive hashing, all in numpy: a million questions take minutes and no n² matrix. Likeness is not sameness
in medicine: 阿莫西林 and 阿莫西林钠, 30 and 45 mL/min make other questions, so `apart` may veto a pair.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

Apart = Callable[[int, int], bool]
"""Whether two questions, by index, are other questions however alike they look."""

NEAR = 0.8
"""Jaccard similarity of trigram sets from which questions are the same."""
MEANING = 0.9
"""Cosine from which they are."""
_BANDS, _ROWS = 16, 4  # a pair at similarity 0.8 shares a band with probability 0.9998, one at 0.5 with 0.64
_BATCH = 20_000
_BATCH_CHARS = 4_000_000
_PRIME = np.uint64((1 << 61) - 1)
_SPLIT_FROM = 30_000  # vectors from which the search is split into cells
_NEIGHBOURS = 8
_NOT_SAID = re.compile(r"[\W_]+")
_NUMBERS = re.compile(r"\d+(?:\.\d+)?")


def plain(text: str) -> str:
    """What is compared: one width, one case, no punctuation or space."""
    return _NOT_SAID.sub("", unicodedata.normalize("NFKC", text).lower())


def numbers_differ(first: str, second: str) -> bool:
    """Whether the questions name different numbers: eGFR 30 is not eGFR 45."""
    return sorted(_NUMBERS.findall(first)) != sorted(_NUMBERS.findall(second))


def exact_repeats(texts: Sequence[str]) -> np.ndarray:
    """int64 (n,): the first text that is the same but for case, width and punctuation, or −1."""
    seen: dict[str, int] = {}
    repeats = np.full(len(texts), -1, dtype=np.int64)
    for at, text in enumerate(texts):
        first = seen.setdefault(plain(text), at)
        if first != at:
            repeats[at] = first
    return repeats


def near_repeats(texts: Sequence[str], *, threshold: float = NEAR, apart: Apart | None = None) -> np.ndarray:
    """int64 (n,): an earlier text, itself kept, whose trigrams are alike to `threshold`, or −1."""
    if len(texts) < 2:
        return np.full(len(texts), -1, dtype=np.int64)
    said = [plain(text) for text in texts]
    marks = signatures(said)
    pairs = _candidates(marks)
    alike = np.mean(marks[pairs[:, 0]] == marks[pairs[:, 1]], axis=1) if len(pairs) else np.empty(0)
    pairs = pairs[alike >= threshold - 0.2]  # the estimate's standard error is 0.05; the exact value decides
    return _keep_first(
        len(texts),
        (
            (int(first), int(second))
            for first, second in pairs
            if _jaccard(said[first], said[second]) >= threshold and not (apart and apart(int(first), int(second)))
        ),
    )


def same_meaning(vectors: np.ndarray, *, threshold: float = MEANING, apart: Apart | None = None) -> np.ndarray:
    """int64 (n,): an earlier question, itself kept, whose unit vector has cosine `threshold` or more, or −1.

    Each is compared with its nearest few, found by FAISS: exact below 30,000 vectors, in the nearest cells above.
    """
    count = len(vectors)
    if count < 2:
        return np.full(count, -1, dtype=np.int64)
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    index = _vector_index(vectors)
    pairs: list[tuple[int, int]] = []
    for start in range(0, count, _BATCH):
        scores, found = index.search(vectors[start : start + _BATCH], min(_NEIGHBOURS, count))
        rows, columns = np.nonzero(scores >= threshold)
        for row, other in zip(rows + start, found[rows, columns], strict=True):
            if other >= 0 and other != row and not (apart and apart(int(min(row, other)), int(max(row, other)))):
                pairs.append((int(min(row, other)), int(max(row, other))))
    return _keep_first(count, pairs)


def signatures(texts: Sequence[str]) -> np.ndarray:
    """MinHash signatures, uint32 (n, 64), of `plain` texts; those under three characters hash whole."""
    generator = np.random.default_rng(1)
    count = _BANDS * _ROWS
    times = generator.integers(1, 1 << 31, count, dtype=np.uint64)
    plus = generator.integers(0, 1 << 31, count, dtype=np.uint64)
    parts = [_sign(batch, times, plus) for batch in _batches(texts)]
    return np.concatenate(parts) if parts else np.empty((0, count), np.uint32)


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """At most so many texts and, but for a single long one, so many characters at a time."""
    start = size = 0
    for at, text in enumerate(texts):
        if at > start and (at - start >= _BATCH or size + len(text) > _BATCH_CHARS):
            yield texts[start:at]
            start, size = at, 0
        size += len(text)
    if start < len(texts):
        yield texts[start:]


def _sign(texts: Sequence[str], times: np.ndarray, plus: np.ndarray) -> np.ndarray:
    padded = [text if len(text) >= 3 else (text + "\0\0\0")[:3] for text in texts]
    points = np.frombuffer("".join(padded).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    lengths = np.fromiter((len(text) for text in padded), dtype=np.int64, count=len(padded))
    hashed = (points[:-2] * np.uint64(1_000_003) + points[1:-1]) * np.uint64(1_000_003) + points[2:]
    hashed = (hashed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    inside = np.ones(len(hashed), dtype=bool)
    for back in (2, 1):  # trigrams that reach over the border of two texts
        border = starts[1:] - back
        inside[border[border < len(inside)]] = False
    kept = hashed[inside]
    offsets = np.concatenate([[0], np.cumsum(lengths - 2)[:-1]])
    marks = np.empty((len(texts), len(times)), dtype=np.uint32)
    for at, (a, b) in enumerate(zip(times, plus, strict=True)):
        marks[:, at] = np.minimum.reduceat((kept * a + b) % _PRIME & np.uint64(0xFFFFFFFF), offsets)
    return marks


def _candidates(marks: np.ndarray) -> np.ndarray:
    """int64 (m, 2), first < second: pairs that share a band, each with its neighbour and the first of its bucket."""
    found: list[np.ndarray] = []
    for band in range(_BANDS):
        columns = marks[:, band * _ROWS : (band + 1) * _ROWS].astype(np.uint64)
        key = columns[:, 0]
        for row in range(1, _ROWS):
            key = key * np.uint64(0x100000001B3) ^ columns[:, row]
        order = np.argsort(key, kind="stable")
        same = key[order[1:]] == key[order[:-1]]
        if not same.any():
            continue
        bucket = np.concatenate([[0], np.cumsum(~same)])
        first_of = np.concatenate([[0], np.nonzero(~same)[0] + 1])
        heads = order[first_of[bucket]]
        follows = np.nonzero(same)[0] + 1
        found.append(np.stack([order[follows - 1], order[follows]], axis=1))
        found.append(np.stack([heads[follows], order[follows]], axis=1))
    if not found:
        return np.empty((0, 2), dtype=np.int64)
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _jaccard(first: str, second: str) -> float:
    one = {first[at : at + 3] for at in range(max(1, len(first) - 2))}
    two = {second[at : at + 3] for at in range(max(1, len(second) - 2))}
    return len(one & two) / len(one | two)


def _keep_first(count: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Each text repeats the earliest kept one that it is paired with."""
    repeats = np.full(count, -1, dtype=np.int64)
    for first, second in sorted(pairs, key=lambda pair: (pair[1], pair[0])):
        if repeats[second] < 0 and repeats[first] < 0:
            repeats[second] = first
    return repeats


def _vector_index(vectors: np.ndarray) -> Any:
    import faiss

    count, dimension = vectors.shape
    if count < _SPLIT_FROM:
        flat = faiss.IndexFlatIP(dimension)
        flat.add(vectors)
        return flat
    cells = int(2 * count**0.5)
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dimension), dimension, cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 8
    sample = np.random.default_rng(1).choice(count, min(count, 40 * cells), replace=False)
    index.train(vectors[np.sort(sample)])
    index.add(vectors)
    index.nprobe = 8
    return index
