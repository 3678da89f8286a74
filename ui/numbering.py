"""Marks as readers count: 1 for the first passage that an answer cites, whatever place the search gave it.

Records and the API keep the places among the hits, which is how models and quotes name passages; only what a person
reads (page, copy, download) is numbered anew.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from kb.types import Answer

MARK: Final = re.compile(r"\[(\d{1,3})\]")


def order_of(text: str, cited: Collection[int] = ()) -> dict[int, int]:
    """Place among the hits → number, in the order in which the marks come; `cited` without a mark come last."""
    marked = dict.fromkeys(int(n) for n in MARK.findall(text))
    return {n: number for number, n in enumerate([*marked, *sorted(set(cited) - marked.keys())], start=1)}


def in_order(answer: Answer) -> Answer:
    """The answer with its marks, citations and conflicts numbered so."""
    order = order_of(answer.text, {citation.n for citation in answer.citations})
    citations = (replace(citation, n=order[citation.n]) for citation in answer.citations)
    conflicts = tuple(
        replace(
            conflict,
            sides=tuple(
                replace(side, citation=replace(side.citation, n=order.get(side.citation.n, 0)))
                for side in conflict.sides
            ),
        )
        for conflict in answer.conflicts
    )
    return replace(
        answer,
        text=MARK.sub(lambda mark: f"[{order[int(mark[1])]}]", answer.text),
        citations=tuple(sorted(citations, key=lambda citation: citation.n)),
        statements=tuple(replace(one, cites=tuple(order.get(n, n) for n in one.cites)) for one in answer.statements),
        conflicts=conflicts,
    )
