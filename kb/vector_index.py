"""The dense half of the index: FAISS, exact while that is fast, inverted lists after; chosen by size.

Vectors go in and out by chunk number. Up to EXACT_UP_TO the search compares with every vector; beyond, with those of
the nearest lists (IVF; Sivic and Zisserman, "Video Google", ICCV 2003), kept in half precision. docs/measurements.md
has the recall and the times that set the numbers here. A file is mapped into memory: only what is searched is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

EXACT_UP_TO = 30_000
_GROWN = 2  # lists are trained anew when there should be more than this many times as many, or as few
_TRAINED_ON = 40  # vectors a list, FAISS's own lower bound for a sound k-means being 39
_SEED = 1234

Batches = Callable[[np.ndarray], Iterator[tuple[np.ndarray, np.ndarray]]]
"""Chunk numbers in, batches of (numbers, float32 vectors) out: those of them that have a vector."""


class VectorIndex:
    """One FAISS index and the chunk numbers in it. Never changed once it is searched: `changed` makes another."""

    def __init__(self, faiss_index: Any, dimension: int, source: Path | None = None) -> None:
        """`source` is the file that the index was mapped from, if it was."""
        self._index = faiss_index
        self._dimension = dimension
        self._source = source
        self.numbers = _numbers(faiss_index)
        if self.lists:  # a file keeps what was right when it was written
            _inner(faiss_index).nprobe = probes(self.lists)

    @classmethod
    def empty(cls, dimension: int) -> VectorIndex:
        return cls(_exact(dimension), dimension)

    @classmethod
    def read(cls, path: Path, dimension: int) -> VectorIndex:
        """Map the file. Raises RuntimeError where FAISS cannot read it."""
        import faiss

        return cls(faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY), dimension, path)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def lists(self) -> int:
        """Inverted lists; 0 if the search is exact."""
        import faiss

        inner: Any = faiss.downcast_index(self._index)
        return int(inner.nlist) if isinstance(inner, faiss.IndexIVF) else 0

    def search(self, vector: np.ndarray, k: int) -> list[tuple[int, float]]:
        """(number, inner product) of the k nearest, best first."""
        if not len(self):
            return []
        query = np.asarray(vector, dtype=np.float32).reshape(1, -1)
        scores, numbers = self._index.search(query, min(k, len(self)))
        return [(int(n), float(s)) for n, s in zip(numbers[0], scores[0], strict=True) if n >= 0]

    def changed(self, add: np.ndarray, drop: np.ndarray, batches: Batches) -> VectorIndex:
        """Another index: this one's vectors without `drop`, with `add`; of the kind that its size asks for."""
        import faiss

        keep = np.setdiff1d(self.numbers, drop)
        size = len(keep) + len(add)
        if not self._fits(size):
            return _filled(size, self._dimension, np.union1d(keep, add), batches)
        index = faiss.read_index(str(self._source)) if self._source else faiss.clone_index(self._index)
        if len(drop):
            index.remove_ids(faiss.IDSelectorBatch(drop))
        _fill(index, add, batches)
        return VectorIndex(index, self._dimension)

    def _fits(self, size: int) -> bool:
        """Whether this kind of index, and the lists it was trained for, still suit `size` vectors."""
        if size <= EXACT_UP_TO or not self.lists:
            return size <= EXACT_UP_TO and not self.lists
        return list_count(size) / _GROWN <= self.lists <= list_count(size) * _GROWN

    def write(self, path: Path) -> None:
        """Write the file that `read` maps. Raises RuntimeError on a full disk."""
        import faiss

        faiss.write_index(self._index, str(path))


def list_count(size: int) -> int:
    """How many inverted lists `size` vectors get."""
    return int(2 ** round(math.log2(2 * math.sqrt(size))))


def probes(lists: int) -> int:
    """How many of them a search looks through: 192 of 512 found .988 of the exact ten nearest, in 2 ms."""
    return max(16, lists * 3 // 8)


def _inner(index: Any) -> Any:
    import faiss

    return faiss.downcast_index(index)


def _exact(dimension: int) -> Any:
    import faiss

    return faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))


def _filled(size: int, dimension: int, numbers: np.ndarray, batches: Batches) -> VectorIndex:
    """A new index of the kind that `size` asks for, trained on a sample and filled."""
    import faiss

    index: Any
    if size <= EXACT_UP_TO:
        index = _exact(dimension)
    else:
        lists = list_count(size)
        index = faiss.index_factory(dimension, f"IVF{lists},SQfp16", faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = _SEED
        count = min(len(numbers), _TRAINED_ON * lists)
        sample = np.sort(np.random.default_rng(_SEED).choice(numbers, size=count, replace=False))
        index.train(np.concatenate([matrix for _, matrix in batches(sample)]))
    _fill(index, numbers, batches)
    return VectorIndex(index, dimension)


def _fill(index: Any, numbers: np.ndarray, batches: Batches) -> None:
    for found, matrix in batches(numbers):
        index.add_with_ids(np.ascontiguousarray(matrix, dtype=np.float32), found)


def _numbers(index: Any) -> np.ndarray:
    """Chunk numbers in the index, ascending."""
    import faiss

    inner: Any = faiss.downcast_index(index)
    if not isinstance(inner, faiss.IndexIVF):
        return np.sort(np.asarray(faiss.vector_to_array(inner.id_map), dtype=np.int64))
    lists: Any = inner.invlists
    parts = [
        faiss.rev_swig_ptr(lists.get_ids(one), lists.list_size(one)).copy()
        for one in range(inner.nlist)
        if lists.list_size(one)
    ]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)
