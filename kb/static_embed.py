"""A table of token vectors: the mean of its tokens' is a text's vector. No torch; a few microseconds a token.

The folder is a sentence-transformers StaticEmbedding (tokenizer.json, model.safetensors), its rows float32, or int8
with a scale each; docs/embedder.md says how the one that ships was made (`vademecum train embedder`).
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BATCH = 1000
_WEIGHTS = "model.safetensors"
_ROWS = ("embeddings", "embedding.weight")  # with a scale for each row (int8), or without


class StaticTable:
    """The vectors of one folder, read when the first text comes."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds tokenizer.json and model.safetensors."""
        self._folder = folder
        self._loading = threading.Lock()

    @cached_property
    def identity(self) -> str:
        """SHA-256 over weights and tokenizer: what decides the vectors."""
        digest = hashlib.sha256()
        for name in (_WEIGHTS, "tokenizer.json"):
            with (self._folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32 (n, dimension); a text without a known token gets the zero vector."""
        with self._loading:
            tokenizer, (rows, scales) = self._tokenizer, self._table
        found = np.zeros((len(texts), rows.shape[1]), dtype=np.float32)
        for start in range(0, len(texts), _BATCH):
            batch = tokenizer.encode_batch_fast(list(texts[start : start + _BATCH]), add_special_tokens=False)
            for at, encoding in enumerate(batch, start=start):
                if ids := encoding.ids:
                    found[at] = scales[ids] @ rows[ids]
        return unit(found)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return tokenizer_of(self._folder / "tokenizer.json")

    @cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        from safetensors.numpy import load_file

        tensors = load_file(str(self._folder / _WEIGHTS))
        rows = next(tensors[name] for name in _ROWS if name in tensors)
        return rows, tensors.get("weights", np.ones(len(rows), dtype=np.float32)).astype(np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    """The rows at length 1, float32; a zero row stays one."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0), dtype=np.float32)


def tokenizer_of(path: Path) -> Tokenizer:
    """The tokenizer of a tokenizer.json, which neither cuts nor pads."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def table_shape(folder: Path) -> tuple[int, int]:
    """Tokens and dimension of the table in `folder`."""
    with (folder / _WEIGHTS).open("rb") as file:  # safetensors: the length of a JSON header, the header, the numbers
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    tokens, dimension = next(header[name]["shape"] for name in _ROWS if name in header)
    return int(tokens), int(dimension)
