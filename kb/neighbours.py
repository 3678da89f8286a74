"""Hits in, the same hits and behind them the passages beside theirs out: context for a model that words the answer.

A passage is cut to a length, so what it begins to say may end in the next one. The passages just before and after a
hit in its own section (of its own record, in a record file) are put behind all hits, best hit first, each a hit of its
own with its own chunk: a model may cite it, and where a prompt is too long it is the first to go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kb.types import Chunk, Hit

Around = Callable[[str, int], Sequence[Chunk]]
"""The chunks of a document just before, at and after a position."""


def with_neighbours(hits: Sequence[Hit], around: Around, tokens: int) -> list[Hit]:
    """The hits, then their neighbours of up to `tokens` tokens in all; none of them twice."""
    shown = list(hits)
    known = {hit.chunk.id for hit in hits}
    left = tokens
    for hit in hits:
        if left <= 0:
            break
        beside = around(hit.document.id, hit.chunk.position)
        if all(chunk.id != hit.chunk.id for chunk in beside):  # the document has been cut anew since
            continue
        for chunk in sorted(beside, key=lambda one: one.position < hit.chunk.position):  # what follows comes first
            if chunk.id not in known and chunk.tokens <= left and _same_section(chunk, hit):
                shown.append(replace(hit, chunk=chunk, dense_rank=None, lexical_rank=None, beside=True))
                known.add(chunk.id)
                left -= chunk.tokens
    return shown


def _same_section(chunk: Chunk, hit: Hit) -> bool:
    if hit.document.kind in ("records", "monographs"):
        return chunk.pages[:1] == hit.chunk.pages[:1]
    return chunk.heading == hit.chunk.heading
