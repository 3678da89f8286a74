"""Search latency by library size, split by stage: `python -m bench.search [--sizes 10000 100000] [--questions 200]`.

Chunks are sentences of the sample library shuffled into passages of about 200 tokens; vectors are random unit vectors
(latency of exact search does not depend on their values), questions are real ones embedded by the packaged model.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kb.embed import Embedder, build_embedder
from kb.index import LocalIndex
from kb.retrieve import DEPTH, Retriever, fuse
from kb.settings import Settings
from kb.store import Store
from kb.terms import language_of
from kb.types import Chunk, Document, Span

SAMPLES = Path(__file__).parents[1] / "samples" / "documents"
QUESTIONS = (
    "What is the starting dose of metformin for adults?",
    "Which patients should not receive ciprofloxacin?",
    "How common is chronic kidney disease among US adults?",
    "When should naloxone be offered with opioid therapy?",
    "二甲双胍的用法用量",
    "高血压患者每天食盐应少于多少克？",
    "阿莫西林有哪些不良反应？",
    "无创血糖监测产品的准确度如何评价？",
)


def sentences() -> list[str]:
    """Real sentences, Chinese and English, from the drug monographs and the English sample labels."""
    monographs: list[str] = json.loads((SAMPLES / "drug_monographs.json").read_text(encoding="utf-8"))
    chinese = [line for text in monographs for line in text.splitlines() if len(line) > 20]
    import pypdfium2

    english: list[str] = []
    for path in sorted(SAMPLES.glob("fda_*.pdf")):
        document = pypdfium2.PdfDocument(path)
        for page in document:
            text = page.get_textpage().get_text_range().replace("\r\n", " ")
            english += [s.strip() + "." for s in text.split(". ") if 40 < len(s) < 400]
    return chinese + english


def passages(pool: list[str], n: int) -> Iterator[str]:
    """n passages of three to five sentences."""
    chooser = random.Random(0)
    for number in range(n):
        yield f"{number}. " + "\n".join(chooser.choices(pool, k=chooser.randint(3, 5)))


def fill(store: Store, embedder: Embedder, n: int) -> None:
    """Put n chunks with vectors into the store, 1,000 to a document."""
    texts = passages(sentences(), n)
    generator = np.random.default_rng(0)
    for part in range(0, n, 1000):
        digest = hashlib.sha256(str(part).encode()).hexdigest()
        document = Document(digest[:16], digest, f"{part}.txt", f"Part {part}", "text", 1, "reading")
        store.start_document(document)
        chunks = [
            Chunk(f"{digest[:8]}-{i}", document.id, i, text, "", (Span(0, len(text), 1),), language_of(text), 200)
            for i, text in enumerate(itertools.islice(texts, min(1000, n - part)))
        ]
        store.finish_document(document, chunks)
        numbers = store.pending(embedder.key, None)
        matrix = generator.normal(size=(len(numbers), embedder.dimension)).astype(np.float32)
        store.add_vectors(embedder.key, numbers.tolist(), matrix / np.linalg.norm(matrix, axis=1, keepdims=True))


def timed(times: list[float], run: Callable[[], object]) -> object:
    """Append the milliseconds that `run` took."""
    started = time.perf_counter()
    result = run()
    times.append(1000 * (time.perf_counter() - started))
    return result


def measure(size: int, questions: int) -> dict[str, list[float]]:
    """Milliseconds per stage over `questions` searches of a library of `size` chunks."""
    embedder = build_embedder(Settings())
    times: dict[str, list[float]] = {name: [] for name in ("embedding", "dense", "lexical", "fusion", "look-up", "all")}
    with tempfile.TemporaryDirectory(prefix="vademecum-bench-") as folder:
        store = Store(Path(folder))
        fill(store, embedder, size)
        index = LocalIndex(store.home, embedder=embedder.key, dimension=embedder.dimension)
        index.publish(store)
        retriever = Retriever(store, index, embedder)
        for question in QUESTIONS:
            retriever.search(question, 8)  # warm up
        for number, question in zip(range(questions), itertools.cycle(QUESTIONS), strict=False):
            asked = f"{question} {number}"
            vector = timed(times["embedding"], lambda asked=asked: embedder.encode([asked], question=True)[0])
            dense = timed(times["dense"], lambda vector=vector: index.dense(vector, DEPTH))  # type: ignore[misc]
            lexical = timed(times["lexical"], lambda asked=asked: index.lexical(asked, DEPTH))
            fused = timed(times["fusion"], lambda d=dense, w=lexical: fuse(d, w))  # type: ignore[misc]
            timed(times["look-up"], lambda fused=fused: retriever.hits(fused, 8))  # type: ignore[misc]
            times["all"].append(sum(times[name][-1] for name in times if name != "all"))
        store.close()
    return times


def main() -> None:
    """Print one table for all sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--questions", type=int, default=200)
    options = parser.parse_args()
    print("| chunks | stage | p50 ms | p95 ms |\n|---|---|---|---|")
    for size in options.sizes:
        for stage, values in measure(size, options.questions).items():
            p50, p95 = np.percentile(values, [50, 95])
            print(f"| {size:,} | {stage} | {p50:.1f} | {p95:.1f} |", flush=True)


if __name__ == "__main__":
    main()
