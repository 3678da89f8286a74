"""Embedding engines side by side: `python -m bench.embedding FILE… [--onnx MODEL.onnx …] [--chunks 200] [--threads 1]`.

Our embedder beside the same weights in float32 as LangChain's recipe runs them, in torch's dynamic int8, and in ONNX
Runtime where exported models are given (`torch.onnx.export` of the encoder, and its int8 by
`onnxruntime.quantization.quantize_dynamic`; inputs input_ids, attention_mask, token_type_ids, output the hidden
states). The same English chunks, sorted by length and batched alike for all, each engine several times in turn and its
quickest round counted. Cosines are to float32.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ingest.add import add_paths
from kb.embed import build_embedder, embedding_text, packaged_folder
from kb.knowledge_base import KnowledgeBase
from kb.settings import load_settings

Engine = Callable[[list[str]], np.ndarray]
_BATCH = 16


def engines(threads: int, exported: list[Path]) -> Iterator[tuple[str, Engine]]:
    """Name and engine; each takes texts, sorted by length, and gives unit vectors."""
    torch.set_num_threads(threads)
    ours = build_embedder(load_settings(embedder="minilm", threads=threads))
    yield "ours", lambda texts: ours.encode(texts)
    yield "torch, float32 (LangChain's recipe)", _sentence_transformer(quantised=False)
    yield "torch, dynamic int8", _sentence_transformer(quantised=True)
    for path in exported:
        yield f"ONNX Runtime, {path.name}", _onnx(path, threads)


def _sentence_transformer(*, quantised: bool) -> Engine:
    from sentence_transformers import SentenceTransformer

    model: Any = SentenceTransformer(str(packaged_folder()), local_files_only=True, device="cpu")
    if quantised:
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)  # type: ignore[attr-defined]
    return lambda texts: np.asarray(
        model.encode(texts, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)
    )


def _onnx(path: Path, threads: int) -> Engine:
    import onnxruntime
    from transformers import AutoTokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    tokenizer = AutoTokenizer.from_pretrained(packaged_folder(), local_files_only=True)

    def encode(texts: list[str]) -> np.ndarray:
        found = []
        for start in range(0, len(texts), _BATCH):
            read = dict(
                tokenizer(
                    texts[start : start + _BATCH], padding=True, truncation=True, max_length=256, return_tensors="np"
                )
            )
            states = session.run(None, {name: array.astype(np.int64) for name, array in read.items()})[0]
            mask = read["attention_mask"][:, :, None]
            mean = (states * mask).sum(1) / mask.sum(1)
            found.append(mean / np.linalg.norm(mean, axis=1, keepdims=True))
        return np.concatenate(found)

    return encode


def english_chunks(files: list[Path], most: int) -> list[str]:
    """Chunks of the files as a library cuts them, shortest first."""
    with (
        tempfile.TemporaryDirectory(prefix="vademecum-bench-") as home,
        KnowledgeBase.open(load_settings(home=Path(home) / "home"), write=True) as kb,
    ):
        add_paths(kb, files, embed=False)
        chunks = [chunk for document in kb.store.documents() for chunk in kb.store.chunks(document.id)]
    texts = [embedding_text(chunk) for chunk in chunks if chunk.language == "en"]
    return sorted(random.Random(0).sample(texts, min(most, len(texts))), key=len)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="English documents")
    parser.add_argument("--onnx", type=Path, nargs="*", default=[])
    parser.add_argument("--chunks", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    texts = english_chunks(given.files, given.chunks)
    running = list(engines(given.threads, given.onnx))
    vectors = {name: engine(texts) for name, engine in running}  # warms up, too
    best: dict[str, float] = {}
    for _ in range(given.rounds):
        for name, engine in running:
            before = time.process_time()
            engine(texts)
            best[name] = min(best.get(name, np.inf), time.process_time() - before)
    exact = vectors["torch, float32 (LangChain's recipe)"]
    quickest = min(best.values())
    print(f"{len(texts)} chunks of {sum(map(len, texts)) / len(texts):.0f} characters, {given.threads} thread(s)\n")
    print("| engine | chunks a processor second | time, of the quickest | cosine to float32, mean / least |")
    print("|---|---|---|---|")
    for name, seconds in best.items():
        cosines = (vectors[name] * exact).sum(1)
        near = f"{cosines.mean():.4f} / {cosines.min():.4f}"
        print(f"| {name} | {len(texts) / seconds:.1f} | {seconds / quickest:.2f} | {near} |")


if __name__ == "__main__":
    main()
