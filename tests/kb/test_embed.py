"""The packaged embedder: offline, unit length, and near in meaning is near in space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kb.embed import Embedder, build_embedder, embedding_text
from kb.errors import UsageError
from kb.settings import load_settings
from kb.types import Chunk


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    return build_embedder(load_settings())


def test_vectors_are_unit_length_and_of_the_stated_dimension(minilm: Embedder) -> None:
    matrix = minilm.encode(["fever", "a much longer text about fever " * 100])
    assert matrix.shape == (2, minilm.dimension) == (2, 384)
    assert matrix.dtype == np.float32
    assert np.allclose(np.linalg.norm(matrix, axis=1), 1.0, atol=1e-5)


def test_near_in_meaning_is_near_in_space(minilm: Embedder) -> None:
    asked, near, far = minilm.encode(["heart attack", "myocardial infarction", "hip replacement"])
    assert asked @ near > asked @ far + 0.2


def test_langchain_sees_the_same_vectors(minilm: Embedder) -> None:
    assert np.allclose(minilm.embed_query("fever"), minilm.encode(["fever"])[0], atol=1e-2)
    assert np.allclose(minilm.embed_documents(["fever"])[0], minilm.encode(["fever"])[0], atol=1e-2)


def test_it_says_that_it_knows_english_only(minilm: Embedder) -> None:
    assert minilm.knows("en")
    assert not minilm.knows("zh")


def test_tokens_are_counted_without_the_weights(minilm: Embedder) -> None:
    fresh = build_embedder(load_settings())
    assert fresh.count_tokens(["aspirin 100 mg", ""]) == minilm.count_tokens(["aspirin 100 mg", ""])
    assert fresh.count_tokens(["阿司匹林"])[0] == 4
    assert "_model" not in fresh.__dict__


def test_the_key_changes_with_the_weights(minilm: Embedder, tmp_path: Path) -> None:
    """Vectors of one model must never be searched with another's questions."""
    source = minilm._folder  # type: ignore[attr-defined]
    for path in source.rglob("*"):
        if path.is_file():
            target = tmp_path / "m" / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            data = bytearray(path.read_bytes())
            if path.suffix == ".safetensors":
                data[-1] ^= 1
            target.write_bytes(bytes(data))
    other = build_embedder(load_settings(embedder=str(tmp_path / "m")))
    assert other.key.partition("@")[2] != minilm.key.partition("@")[2]
    assert other.languages is None


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        build_embedder(load_settings(embedder=str(tmp_path / "none")))
    with pytest.raises(UsageError, match="holds no sentence-transformers model"):
        build_embedder(load_settings(embedder=str(tmp_path)))


def test_the_section_path_goes_into_the_vector() -> None:
    """'500 mg twice a day' says of no drug what its heading says."""
    chunk = Chunk("c", "d", 0, "500 mg twice a day", "Metformin › Dosage", (), "en", 5)
    assert embedding_text(chunk) == "Metformin › Dosage\n500 mg twice a day"
