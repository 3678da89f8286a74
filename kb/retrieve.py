"""A question in, the best passages out: dense and lexical search side by side, their scores combined.

The combination is convex (Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", TOIS 2023):
BM25 divided by its best, cosine as it is, so that a question whose vectors are near to nothing is left to the words.
Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009) is kept
as the baseline that `evaluate retrieval` prints beside it. A list only takes part where it means something: dense
search is left out for questions in a language that the embedder does not know.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kb.embed import Embedder
from kb.errors import QuestionError
from kb.index import PassageIndex, Scored
from kb.rerank import DEPTH as RERANKED
from kb.rerank import Weights, rerank, shipped
from kb.store import Store
from kb.terms import language_of, storable
from kb.types import Chunk, Document, Hit, Scope

LEXICAL_WEIGHT = 0.4  # best of 0.3–0.7 on the English development sets, flat around it (docs/measurements.md)
LEXICAL_WEIGHT_COARSE = 0.6  # for questions whose cosines are those of a table of tokens: best on the Chinese sets
LEAST_MATCH = 0.12  # of a question's rarity: most find more in text of their language, less in that of the other
RRF_CONSTANT = 60  # the authors' own
WHOLE = "diverse"
"""The stage that all others lead to: what search gives."""
DEPTH = 100  # candidates taken from each list
_DEEPER = 8  # times as many are looked at when too few of them may be shown
_SHINGLE = 5  # characters
_Rows = tuple[Mapping[int, Chunk], Mapping[str, Document]]  # of the store: by number, by id
_SAME = 0.85  # share of the shorter text's shingles that the other holds, when they say the same


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk number with its fused score and its rank (1-based) in each list that held it."""

    number: int
    score: float
    dense_rank: int | None
    lexical_rank: int | None
    cosine: float = 0.0
    words: float = 0.0


def fuse(
    dense: Sequence[Scored], lexical: Sequence[Scored], lexical_weight: float = LEXICAL_WEIGHT, least: float = 0.0
) -> list[Candidate]:
    """Convex combination of cosine and relative BM25, best first, in [0, 1]. One empty list leaves the other's order.

    A chunk that a list does not hold counts there as 0 if the list is lexical (it shares no better term), and as that
    list's last score if it is dense (its true cosine is that or less, or it has no vector yet). BM25 is divided by its
    best, or by `least` if that is more: where words find next to nothing, as across languages, the vectors decide.
    """
    if not dense or not lexical:
        return _ranked(dense, lexical, {one.number: one.score for one in (*dense, *lexical)})
    dense_scores = {one.number: max(one.score, 0.0) for one in dense}
    lexical_scores = {one.number: one.score for one in lexical}
    best_lexical = max(*lexical_scores.values(), least) or 1.0
    floor = min(dense_scores.values())
    return _ranked(
        dense,
        lexical,
        {
            number: lexical_weight * lexical_scores.get(number, 0.0) / best_lexical
            + (1 - lexical_weight) * dense_scores.get(number, floor)
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
    cosine = {one.number: one.score for one in dense}
    words = {one.number: one.score / (lexical[0].score or 1.0) for one in lexical}
    candidates = [
        Candidate(n, score, dense_rank.get(n), lexical_rank.get(n), cosine.get(n, 0.0), words.get(n, 0.0))
        for n, score in scores.items()
    ]
    return sorted(candidates, key=lambda c: (-c.score, c.lexical_rank or DEPTH + 1, c.number))


def diversify(hits: Sequence[Hit], k: int) -> list[Hit]:
    """The first k hits, those last that repeat an earlier one: five copies of a paragraph are one passage.

    Two texts whose numbers differ are never copies of each other: another edition may give another dose.
    """
    kept: list[Hit] = []
    repeats: list[Hit] = []
    seen: list[tuple[tuple[str, ...], frozenset[str]]] = []
    told = [tuple(_NUMBERS.findall(hit.chunk.text)) for hit in hits]
    times = Counter(told)
    for hit, numbers in zip(hits, told, strict=True):
        if len(kept) >= k:
            break
        # most passages are alone with their numbers, and cutting one into shingles takes a millisecond
        shingles = _shingles(hit.chunk.text) if times[numbers] > 1 else frozenset[str]()
        if any(numbers == others and _overlap(shingles, known) >= _SAME for others, known in seen):
            repeats.append(hit)
        else:
            kept.append(hit)
            seen.append((numbers, shingles))
    return (kept + repeats)[:k]


_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")


def _shingles(text: str) -> frozenset[str]:
    squeezed = "".join(text.split()).lower()
    return frozenset(squeezed[i : i + _SHINGLE] for i in range(max(1, len(squeezed) - _SHINGLE + 1)))


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / min(len(one), len(other))


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

    def __init__(self, store: Store, index: PassageIndex, embedder: Embedder, weights: Weights | None = None) -> None:
        """`weights` of the order after fusion; None: the shipped ones."""
        self._weights = weights or shipped()
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
            hits = diversify(self._ordered(question, self.hits(candidates, self._many(question, k), allowed)), k)
            if len(hits) >= k or len(candidates) < depth or not (allowed is None or allowed):
                return hits
            depth *= _DEEPER

    def _many(self, question: str, k: int) -> int:
        """How many hits to look at for k of them: copies are put last, and the last order needs some to choose from."""
        return max(2 * k, RERANKED) if language_of(question) in self._weights.on else 2 * k

    def _ordered(self, question: str, hits: list[Hit]) -> list[Hit]:
        """The hits, put in their last order where that helps the question's language."""
        return self._reranked(question, hits) if language_of(question) in self._weights.on else hits

    def _reranked(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        return rerank(question, self._index.question_rarity(question), hits, self._weights)

    def candidates(self, question: str, depth: int = DEPTH) -> list[Candidate]:
        """The fused candidates, before they are looked up in the store."""
        return self._fused(question, self._dense(question, depth), self._index.lexical(question, depth))

    def _fused(self, question: str, dense: Sequence[Scored], lexical: Sequence[Scored]) -> list[Candidate]:
        if not dense:
            return fuse(dense, lexical)
        weight = LEXICAL_WEIGHT if self._embedder.grades(language_of(question)) else LEXICAL_WEIGHT_COARSE
        worth = sum(self._index.question_rarity(question).values())
        return fuse(dense, lexical, weight, LEAST_MATCH * worth)

    def stages(self, question: str, k: int = 50) -> dict[str, list[Hit]]:
        """What each stage would find, k hits each: words alone, with titles, with other names too ('lexical');
        vectors alone; both by rank ('rrf') and by score ('fused'), that put in a new order ('reranked', whether or not
        the search of this language uses it); copies last ('diverse', the whole)."""
        dense, lexical = self._dense(question), self._index.lexical(question, DEPTH)
        fused = self._fused(question, dense, lexical)
        runs = {
            "fused": fused,
            "rrf": fuse_by_rank(dense, lexical),
            "dense": fuse(dense, []),
            "lexical": fuse([], lexical),
            "titles": fuse([], self._index.lexical(question, DEPTH, names=False)),
            "words": fuse([], self._index.lexical(question, DEPTH, titles=False, names=False)),
        }
        rows = self._rows({one.number for run in runs.values() for one in run})  # looked up once for all stages
        found = {name: _hits(run, k, None, rows) for name, run in runs.items()}
        whole = diversify(self._ordered(question, _hits(fused, self._many(question, k), None, rows)), k)
        return {WHOLE: whole, "reranked": self._reranked(question, found["fused"])} | found

    def _dense(self, question: str, depth: int = DEPTH) -> list[Scored]:
        if not self._embedder.knows(language_of(question)):
            return []
        return self._index.dense(self._embedder.question_vector(question), depth)

    def hits(self, candidates: Sequence[Candidate], k: int, allowed: frozenset[str] | None = None) -> list[Hit]:
        """The first k candidates whose documents are ready (or of these ids), with their chunks and documents."""
        hits: list[Hit] = []
        for start in range(0, len(candidates), 2 * k):
            part = candidates[start : start + 2 * k]
            hits += _hits(part, k - len(hits), allowed, self._rows(candidate.number for candidate in part))
            if len(hits) >= k:
                break
        return hits

    def _rows(self, numbers: Iterable[int]) -> _Rows:
        chunks = self._store.chunks_by_number(numbers)
        return chunks, self._store.documents_by_id(chunk.document for chunk in chunks.values())


def _hits(candidates: Sequence[Candidate], k: int, allowed: frozenset[str] | None, rows: _Rows) -> list[Hit]:
    """The first k candidates that may be shown, with their rows. A number without a row was removed since the index
    was published."""
    chunks, documents = rows
    hits: list[Hit] = []
    for one in candidates:
        if len(hits) == k:
            break
        chunk = chunks.get(one.number)
        document = documents.get(chunk.document) if chunk is not None else None
        if chunk is None or document is None:
            continue
        if document.id in allowed if allowed is not None else document.state == "ready":
            hits.append(Hit(chunk, document, one.score, one.dense_rank, one.lexical_rank, one.cosine, one.words))
    return hits
