"""A question in, the best passages out: dense and lexical search side by side, their scores combined.

The combination is convex (Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", TOIS 2023):
BM25 divided by its best, cosine as it is, so that a question whose vectors are near to nothing is left to the words.
Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009) is kept
as the baseline that `evaluate retrieval` prints beside it. A list only takes part where it means something: dense
search is left out for questions in a language that the embedder does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kb.embed import Embedder
from kb.errors import QuestionError
from kb.index import PassageIndex, Scored
from kb.store import Store
from kb.terms import language_of, storable
from kb.types import Hit, Scope

LEXICAL_WEIGHT = 0.4  # best of 0.3–0.7 on the English development sets, flat around it (docs/measurements.md)
RRF_CONSTANT = 60  # the authors' own
DEPTH = 100  # candidates taken from each list
_DEEPER = 8  # times as many are looked at when too few of them may be shown


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk number with its fused score and its rank (1-based) in each list that held it."""

    number: int
    score: float
    dense_rank: int | None
    lexical_rank: int | None


def fuse(dense: Sequence[Scored], lexical: Sequence[Scored]) -> list[Candidate]:
    """Convex combination of cosine and relative BM25, best first, in [0, 1]. One empty list leaves the other's order.

    A chunk that a list does not hold counts there as 0 if the list is lexical (it shares no better term), and as that
    list's last score if it is dense (its true cosine is that or less, or it has no vector yet).
    """
    if not dense or not lexical:
        return _ranked(dense, lexical, {one.number: one.score for one in (*dense, *lexical)})
    dense_scores = {one.number: max(one.score, 0.0) for one in dense}
    lexical_scores = {one.number: one.score for one in lexical}
    best_lexical = max(lexical_scores.values()) or 1.0
    floor = min(dense_scores.values())
    return _ranked(
        dense,
        lexical,
        {
            number: LEXICAL_WEIGHT * lexical_scores.get(number, 0.0) / best_lexical
            + (1 - LEXICAL_WEIGHT) * dense_scores.get(number, floor)
            for number in dense_scores.keys() | lexical_scores.keys()
        },
    )


def fuse_by_rank(dense: Sequence[Scored], lexical: Sequence[Scored]) -> list[Candidate]:
    """Reciprocal rank fusion, the baseline."""
    scores: dict[int, float] = {}
    for found in (dense, lexical):
        for rank, one in enumerate(found, start=1):
            scores[one.number] = scores.get(one.number, 0.0) + 1 / (RRF_CONSTANT + rank)
    return _ranked(dense, lexical, scores)


def _ranked(dense: Sequence[Scored], lexical: Sequence[Scored], scores: Mapping[int, float]) -> list[Candidate]:
    """Best score first; ties go to the better lexical rank, then to the older chunk."""
    dense_rank = {one.number: rank for rank, one in enumerate(dense, start=1)}
    lexical_rank = {one.number: rank for rank, one in enumerate(lexical, start=1)}
    candidates = [Candidate(n, score, dense_rank.get(n), lexical_rank.get(n)) for n, score in scores.items()]
    return sorted(candidates, key=lambda c: (-c.score, c.lexical_rank or DEPTH + 1, c.number))


def check_question(question: str, limit: int) -> str:
    """The question without surrounding space.

    Raises QuestionError if it is empty or longer than `limit` characters.
    """
    question = storable(question).strip()
    if not question:
        raise QuestionError("The question is empty. Type what you want to know. / 问题为空，请输入要查询的内容。")
    if len(question) > limit:
        raise QuestionError(
            f"The question has {len(question):,} characters, more than the {limit:,} accepted. "
            "Ask in fewer words. / 问题过长，请缩短。"
        )
    return question


class Retriever:
    """Finds passages. Holds nothing of its own: store, index and embedder are passed in."""

    def __init__(self, store: Store, index: PassageIndex, embedder: Embedder) -> None:
        self._store = store
        self._index = index
        self._embedder = embedder

    def search(self, question: str, k: int, scope: Scope | None = None) -> list[Hit]:
        """The k best passages of documents that are ready (or within `scope`), best first.

        Looks deeper as long as too few of the candidates may be shown and there are more.
        """
        allowed = self._store.in_scope(scope) if scope and scope != Scope() else None
        depth = DEPTH
        while True:
            candidates = self.candidates(question, depth)
            hits = self.hits(candidates, k, allowed)
            if len(hits) >= k or len(candidates) < depth or not (allowed is None or allowed):
                return hits
            depth *= _DEEPER

    def candidates(self, question: str, depth: int = DEPTH) -> list[Candidate]:
        """The fused candidates, before they are looked up in the store."""
        return fuse(self._dense(question, depth), self._index.lexical(question, depth))

    def stages(self, question: str, k: int = 50) -> dict[str, list[Hit]]:
        """What each stage would find, k hits each: words alone, with titles, with other names too ('lexical');
        vectors alone; both by rank ('rrf') and by score ('fused', the whole)."""
        dense, lexical = self._dense(question), self._index.lexical(question, DEPTH)
        runs = {
            "fused": fuse(dense, lexical),
            "rrf": fuse_by_rank(dense, lexical),
            "dense": fuse(dense, []),
            "lexical": fuse([], lexical),
            "titles": fuse([], self._index.lexical(question, DEPTH, names=False)),
            "words": fuse([], self._index.lexical(question, DEPTH, titles=False, names=False)),
        }
        return {name: self.hits(run, k) for name, run in runs.items()}

    def _dense(self, question: str, depth: int = DEPTH) -> list[Scored]:
        if not self._embedder.knows(language_of(question)):
            return []
        return self._index.dense(self._embedder.encode([question], question=True)[0], depth)

    def hits(self, candidates: Sequence[Candidate], k: int, allowed: frozenset[str] | None = None) -> list[Hit]:
        """The first k candidates whose documents are ready (or of these ids), with their chunks and documents."""
        hits: list[Hit] = []
        for start in range(0, len(candidates), 2 * k):
            part = candidates[start : start + 2 * k]
            chunks = self._store.chunks_by_number(candidate.number for candidate in part)
            documents = self._store.documents_by_id(chunk.document for chunk in chunks.values())
            for candidate in part:
                chunk = chunks.get(candidate.number)  # absent: removed since the index was published
                document = documents.get(chunk.document) if chunk is not None else None
                if chunk is None or document is None:
                    continue
                if document.id in allowed if allowed is not None else document.state == "ready":
                    hits.append(Hit(chunk, document, candidate.score, candidate.dense_rank, candidate.lexical_rank))
            if len(hits) >= k:
                break
        return hits[:k]
