"""Search by library size: `python -m bench.search [--sizes 10000 100000] [--questions 200] [--keep FOLDER]`.

Milliseconds of each stage (p50, p95), how many of the exact ten nearest the chosen index finds, how long opening the
library takes, and how long a reader waits for the first word of a quoted answer. Passages are three to five sentences
of the sample library, of one language, each with the passage's number, so that none is met twice; a passage's vector is
the mean of its sentences' with a little noise, so that vectors lie as densely as those of text do. Questions are names
with fields, and English ones made of a sentence's words; each is asked once, so nothing is remembered of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from kb.embed import Embedder, build_embedder
from kb.index import LocalIndex
from kb.knowledge_base import KnowledgeBase
from kb.retrieve import DEPTH, fuse
from kb.settings import load_settings
from kb.store import Store
from kb.terms import language_of
from kb.types import Chunk, Delta, Document, Language, Span

SAMPLES = Path(__file__).parents[1] / "samples" / "documents"
FIELDS = ("用法用量", "禁忌证", "不良反应", "药物相互作用")
POOL = 700  # sentences of a language: embedding them is most of what a small run takes
NOISE = 0.3  # length of what is added to a passage's unit vector
Pool = dict[Language, tuple[list[str], np.ndarray]]
"""Sentences of a language, and their vectors."""


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


def pool_of(embedder: Embedder) -> Pool:
    """The sentences by language, embedded once."""
    both = sentences()
    pool: Pool = {}
    for language in ("zh", "en"):
        own = [text for text in both if language_of(text) == language]
        own = random.Random(0).sample(own, min(POOL, len(own)))
        pool[language] = (own, embedder.encode(own))
    return pool


def asked(pool: Pool, n: int) -> Iterator[str]:
    """n questions, Chinese and English in turn."""
    chooser = random.Random(1)
    monographs: list[str] = json.loads((SAMPLES / "drug_monographs.json").read_text(encoding="utf-8"))
    for number in range(n):
        if number % 2:
            words = [word for word in chooser.choice(pool["en"][0]).split() if word.isalpha() and len(word) > 4]
            yield f"What is known about {' '.join(words[:5]) or 'dosage'}, case {number}?"
        else:
            name = chooser.choice(monographs).splitlines()[0].partition(":")[2].strip() or "阿莫西林"
            yield f"{name}的{chooser.choice(FIELDS)}是什么？{number}"


def fill(store: Store, embedder: Embedder, pool: Pool, n: int) -> None:
    """Put n chunks with vectors into the store, 1,000 to a document."""
    chooser, generator = random.Random(0), np.random.default_rng(0)
    for part in range(0, n, 1000):
        digest = hashlib.sha256(str(part).encode()).hexdigest()
        document = Document(digest[:16], digest, f"{part}.txt", f"Part {part}", "text", 1, "reading")
        store.start_document(document)
        chunks, rows = [], []
        for i in range(min(1000, n - part)):
            language: Language = "zh" if chooser.random() < 0.5 else "en"
            texts, vectors = pool[language]
            picked = chooser.choices(range(len(texts)), k=chooser.randint(3, 5))
            text = "\n".join(
                f"{texts[at].rstrip('.。')} {part + i}{'。' if language == 'zh' else '.'}" for at in picked
            )
            chunks.append(
                Chunk(f"{digest[:8]}-{i}", document.id, i, text, "", (Span(0, len(text), i + 1),), language, 200)
            )
            rows.append(vectors[picked].mean(axis=0))
        store.finish_document(document, chunks)
        matrix = np.array(rows, np.float32)
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        noise = generator.normal(size=matrix.shape).astype(np.float32)
        matrix += NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        numbers = store.pending(embedder.key, None)
        store.add_vectors(embedder.key, numbers.tolist(), matrix / np.linalg.norm(matrix, axis=1, keepdims=True))


def exact(store: Store, embedder: Embedder, questions: np.ndarray, k: int = 10) -> list[set[int]]:
    """Numbers of the k nearest chunks of each question, every vector compared."""
    numbers = store.vector_numbers(embedder.key)
    best = np.full((len(questions), k), -2.0, np.float32)
    held = np.zeros((len(questions), k), np.int64)
    for start in range(0, len(numbers), 20_000):
        found, matrix = store.vectors(embedder.key, numbers[start : start + 20_000].tolist())
        scores = np.hstack([best, questions @ matrix.T])
        both = np.hstack([held, np.broadcast_to(found, (len(questions), len(found)))])
        order = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        best, held = np.take_along_axis(scores, order, 1), np.take_along_axis(both, order, 1)
    return [set(row.tolist()) for row in held]


def timed(times: list[float], run: Callable[[], object]) -> object:
    """Append the milliseconds that `run` took."""
    started = time.perf_counter()
    result = run()
    times.append(1000 * (time.perf_counter() - started))
    return result


def first_word(kb: KnowledgeBase, question: str) -> None:
    """Ask, and leave at the first text that a reader would see."""
    with closing(kb.ask(question, quotes_only=True)) as events:  # type: ignore[type-var]
        for event in events:
            if isinstance(event, Delta):
                return


def make(folder: Path, embedder: Embedder, pool: Pool, size: int) -> tuple[float, float]:
    """A library of so many chunks, there when it is whole; returns the seconds of filling and of indexing."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    started = time.perf_counter()
    with closing(Store(part)) as store:
        fill(store, embedder, pool, size)
        filled = time.perf_counter() - started
        _say(f"{size:,}: filled in {filled:.0f} s, indexing")
        LocalIndex(store.home, embedder=embedder.key, dimension=embedder.dimension).publish(store)
    part.rename(folder)
    return filled, time.perf_counter() - started - filled


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(size: int, n: int, kept: Path | None) -> None:
    """Print the rows of one size. The library is made in `kept`, or found there from an earlier time."""
    embedder = build_embedder(load_settings())
    pool = pool_of(embedder)
    stages = ("embedding", "dense", "lexical", "fusion", "look-up", "all but embedding", "search", "first word")
    times: dict[str, list[float]] = {name: [] for name in stages}
    with tempfile.TemporaryDirectory(prefix="vademecum-bench-") as scratch:
        folder = (kept or Path(scratch)) / str(size)
        made = None if folder.exists() else make(folder, embedder, pool, size)
        started = time.perf_counter()
        with KnowledgeBase.open(load_settings(home=folder), create=False) as kb:
            opened = time.perf_counter() - started
            kb.warm_up()
            _say(f"{size:,}: opened, asking")
            questions = list(asked(pool, n + 20))
            for question in questions[n:]:  # what a server has long done: pages of the index are in memory
                kb.search(question)
                first_word(kb, question)
            vectors = time_stages(kb, questions[:n], times)
            for name, run in (("search", kb.search), ("first word", lambda question: first_word(kb, question))):
                for question in asked_anew(questions[:n], name):
                    timed(times[name], lambda run=run, question=question: run(question))  # type: ignore[misc]
            near = exact(kb.store, embedder, vectors)
            found = [{one.number for one in kb.index.dense(vector, 10)} for vector in vectors]
            shared = sum(len(ours & theirs) for ours, theirs in zip(found, near, strict=True)) / (10 * n)
    for name, values in times.items():
        p50, p95 = np.percentile(values, [50, 95])
        print(f"| {size:,} | {name}, ms | {p50:.1f} | {p95:.1f} |", flush=True)
    for language, rest in (("zh", 0), ("en", 1)):
        p50, p95 = np.percentile(times["first word"][rest::2], [50, 95])
        print(f"| {size:,} | first word, {language}, ms | {p50:.1f} | {p95:.1f} |")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| {size:,} | recall@10 of exact | {shared:.4f} | |")
    spent = f"{made[0]:.0f}, {made[1]:.0f}" if made else "found, found"
    print(f"| {size:,} | filling, indexing, opening, s | {spent}, {opened:.1f} | |")
    print(f"| {size:,} | most memory, MiB | {memory:,.0f} | |", flush=True)


def asked_anew(questions: Sequence[str], how: str) -> list[str]:
    """The questions in other words, so that no vector of theirs is remembered."""
    return [f"{question} {how}" for question in questions]


def time_stages(kb: KnowledgeBase, questions: Sequence[str], times: dict[str, list[float]]) -> np.ndarray:
    """Each question through each stage; returns their vectors."""
    vectors = []
    for question in questions:
        vector = timed(times["embedding"], lambda q=question: kb.embedder.encode([q], question=True)[0])  # type: ignore[misc]
        dense = timed(times["dense"], lambda v=vector: kb.index.dense(v, DEPTH))  # type: ignore[misc]
        lexical = timed(times["lexical"], lambda q=question: kb.index.lexical(q, DEPTH))  # type: ignore[misc]
        fused = timed(times["fusion"], lambda d=dense, w=lexical: fuse(d, w))  # type: ignore[misc]
        timed(times["look-up"], lambda f=fused: kb.retriever.hits(f, 16))  # type: ignore[misc]
        parts = ("dense", "lexical", "fusion", "look-up")
        times["all but embedding"].append(sum(times[name][-1] for name in parts))
        vectors.append(vector)
    return np.array(vectors, np.float32)


def main() -> None:
    """Print one table for all sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="a folder for the libraries made, found there again the next time")
    options = parser.parse_args()
    print("| chunks | what | p50 | p95 |\n|---|---|---|---|")
    for size in options.sizes:
        measure(size, options.questions, options.keep)


if __name__ == "__main__":
    main()
