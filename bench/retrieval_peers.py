"""Every stage of the search beside its peers: `python -m bench.retrieval_peers --set QUESTIONS PASSAGES [--set …]`.

Peers: plain BM25 over whole passages (k1 1.2, b 0.75; jieba's words for Chinese); the LangChain recipe
(RecursiveCharacterTextSplitter of 1000 and 200, FAISS) with the same embedder; haystack's in-memory BM25 retriever as
it comes. A passage is as good as its best piece. Texts that our library embedded already are not embedded again for the
recipe: the same text has the same vector. Needs the `bench` extra.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np
from langchain_core.embeddings import Embeddings

from bench.rerank import library
from kb.embed import embedding_text
from kb.evaluate import METRICS, Question, read_questions, read_rows, report
from kb.knowledge_base import KnowledgeBase
from kb.terms import language_of

K = 50
"""Pieces asked of each side: enough for ten passages."""
Search = Callable[[str], Sequence[str]]
"""A question in, the ids of passages out, best first; ids may repeat."""


def cut(text: str) -> list[str]:
    """Words for the plain BM25."""
    import jieba

    text = text.lower()
    return re.findall(r"\w+", " ".join(jieba.cut(text)) if language_of(text) == "zh" else text)


def plain_bm25(passages: Mapping[str, str]) -> Search:
    """Robertson's BM25 over whole passages."""
    ids = list(passages)
    counts = [Counter(cut(text)) for text in passages.values()]
    lengths = np.array([sum(one.values()) for one in counts], dtype=np.float64)
    norm = 1.2 * (1 - 0.75 + 0.75 * lengths / lengths.mean())
    listed: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, one in enumerate(counts):
        for word, count in one.items():
            listed[word].append((number, count))
    postings = {word: np.array(found).T for word, found in listed.items()}

    def search(question: str) -> list[str]:
        scores = np.zeros(len(ids))
        for word in set(cut(question)) & postings.keys():
            numbers, found = postings[word]
            rarity = math.log(1 + (len(ids) - len(numbers) + 0.5) / (len(numbers) + 0.5))
            scores[numbers] += rarity * found * 2.2 / (found + norm[numbers])
        return [ids[i] for i in np.argsort(-scores, kind="stable")[:K] if scores[i] > 0]

    return search


class Remembering(Embeddings):
    """The library's embedder for LangChain, with the vectors that the library has."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self._embedder = kb.embedder
        self._known: dict[str, np.ndarray] = {}
        numbers = kb.store.vector_numbers(kb.embedder.key).tolist()
        for start in range(0, len(numbers), 2000):
            part = numbers[start : start + 2000]
            chunks = kb.store.chunks_by_number(part)
            found, matrix = kb.store.vectors(kb.embedder.key, part)
            self._known |= {embedding_text(chunks[int(number)]): row for number, row in zip(found, matrix, strict=True)}

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        print(f"{len(texts):,} pieces, {len(new):,} of them to embed", flush=True)
        if new:
            self._known |= dict(zip(new, self._embedder.encode(new), strict=True))
        return [self._known[text].tolist() for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(x) for x in self._embedder.question_vector(text)]


def langchain_recipe(passages: Mapping[str, str], kb: KnowledgeBase) -> Search:
    """Split, embed, FAISS: as the tutorials have it."""
    from langchain_community.vectorstores import FAISS
    from langchain_core.documents import Document
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
    documents = [Document(text, metadata={"passage": id}) for id, text in passages.items()]
    faiss = FAISS.from_documents(splitter.split_documents(documents), Remembering(kb))
    return lambda question: [one.metadata["passage"] for one in faiss.similarity_search(question, k=K)]


def haystack_bm25(passages: Mapping[str, str]) -> Search:
    """The in-memory store and its BM25 retriever, nothing set."""
    os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
    from haystack import Document
    from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    store = InMemoryDocumentStore()
    store.write_documents([Document(content=text, meta={"passage": id}) for id, text in passages.items()])
    retriever = InMemoryBM25Retriever(store)
    return lambda question: [one.meta["passage"] for one in retriever.run(query=question, top_k=K)["documents"]]


def sides(
    kb: KnowledgeBase, ids: Sequence[str], passages: Mapping[str, str], questions: Sequence[Question]
) -> Iterator[tuple[str, list[list[str]]]]:
    """Each side and the passages it found for each question."""
    peers = {
        "plain BM25": lambda: plain_bm25(passages),
        "LangChain FAISS, same embedder": lambda: langchain_recipe(passages, kb),
        "haystack BM25": lambda: haystack_bm25(passages),
    }
    for name, build in peers.items():
        search = build()
        yield name, [list(dict.fromkeys(search(question.text))) for question in questions]
    stages: dict[str, list[list[str]]] = {}
    for question in questions:
        for stage, hits in kb.retriever.stages(question.text, K).items():
            found = dict.fromkeys(ids[hit.chunk.pages[0] - 1] for hit in hits)
            stages.setdefault(stage, []).append(list(found))
    yield from reversed(stages.items())


def measure(questions_file: Path, passages_file: Path, limit: int | None, out: Path | None) -> None:
    """Print the rows of one set."""
    questions = read_questions(questions_file)
    if limit is not None and limit < len(questions):
        questions = Random(0).sample(questions, limit)
    passages = {
        str(row["id"]): f"{row['title']}\n{row['text']}" if row.get("title") else str(row["text"])
        for row in read_rows(passages_file)
    }
    name = questions_file.name.partition(".")[0].removeprefix("retrieval_")
    with library(passages_file) as (kb, ids):
        started = time.perf_counter()
        for side, runs in sides(kb, ids, passages, questions):
            one = report(questions, runs)
            cells = "/".join(f"{one.means[metric]:.3f}".lstrip("0") for metric in METRICS)
            low, high = one.intervals["recall@10"]
            took = time.perf_counter() - started
            print(
                f"| {name} | {len(questions):,} | {side} | {cells} | [{low:.3f}, {high:.3f}] | {took:.0f} |", flush=True
            )
            if out is not None:
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"set": name, "side": side, "n": one.n, **one.means}) + "\n")
            started = time.perf_counter()


def main() -> None:
    """Print one table for all sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--set", type=Path, nargs=2, action="append", required=True, metavar=("QUESTIONS", "PASSAGES"))
    parser.add_argument("--questions", type=int, help="a random sample of so many questions of each set")
    parser.add_argument("--out", type=Path, help="append the figures here, as JSON lines")
    options = parser.parse_args()
    print(f"| set | questions | side | {'/'.join(METRICS)} | recall@10, 95% | s |\n|---|---|---|---|---|---|")
    for questions_file, passages_file in options.set:
        measure(questions_file, passages_file, options.questions, options.out)


if __name__ == "__main__":
    main()
