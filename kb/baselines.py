"""The naive ways to answer that ours must beat: the first passage as it is, and the one sentence nearest in meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kb.content_terms import terms
from kb.extract import Similarity
from kb.quoting import cite
from kb.sentences import sentence_spans
from kb.types import Answer, Hit, Statement

Baseline = Callable[[str, Sequence[Hit]], Answer]


def first_passage(question: str, hits: Sequence[Hit]) -> Answer:
    """All of the best passage. It never keeps silent."""
    return _quoted(hits, 0, 0, len(hits[0].chunk.text), "first passage") if hits else _nothing("first passage")


def best_sentence(similarity: Similarity | None) -> Baseline:
    """The sentence whose vector is nearest to the question's; by shared words where no embedder knows the language."""

    def answer(question: str, hits: Sequence[Hit]) -> Answer:
        spans = [(at, a, b) for at, hit in enumerate(hits) for a, b in sentence_spans(hit.chunk.text)]
        if not spans:
            return _nothing("best sentence")
        texts = [hits[at].chunk.text[a:b] for at, a, b in spans]
        asked = frozenset(terms(question))
        shared = [len(asked & frozenset(terms(text))) for text in texts]
        scores: Sequence[float] = similarity(question, texts).cosines.tolist() if similarity else shared
        return _quoted(hits, *spans[max(range(len(spans)), key=lambda n: scores[n])], "best sentence")

    return answer


def _quoted(hits: Sequence[Hit], at: int, start: int, end: int, engine: str) -> Answer:
    citation = cite(hits[at], at + 1, start, end)
    statement = Statement(citation.quote, (at + 1,), "quoted")
    return Answer(f"{citation.quote} [{at + 1}]", (citation,), False, engine, tuple(hits), statements=(statement,))


def _nothing(engine: str) -> Answer:
    return Answer("", (), True, engine, ())
