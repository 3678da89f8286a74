"""Marks in an answer: `[n]` found in a stream of pieces and checked; and which part of a passage a statement rests on.

A mark may be cut anywhere by the stream's borders, so an opening bracket is held back until it is plain whether a mark
follows; everything else passes at once, untouched. Groups and ranges ([1, 2], [1-3], 【1】) come out as [1][2]. A mark
that names no passage is taken out and reported: a citation that points nowhere looks like evidence and is none.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kb.content_terms import terms
from kb.sentences import sentence_spans

_NUMBER = r"\d{1,3}"
_COMMA = r"[,，、;；\-–—~～至]"
_BLANK = r"[ \u3000]{0,2}"
_OPENERS = "[【［"
_OPEN = re.compile(f"[{re.escape(_OPENERS)}]")
_MARK = re.compile(
    rf"[{re.escape(_OPENERS)}]{_BLANK}({_NUMBER}(?:{_BLANK}{_COMMA}{_BLANK}{_NUMBER}){{0,9}}){_BLANK}[\]】］]"
)
# Every beginning of a mark, and nothing else: whatever does not match here can no longer become one.
_BEGUN = re.compile(
    rf"[{re.escape(_OPENERS)}]{_BLANK}(?:{_NUMBER}(?:{_BLANK}{_COMMA}{_BLANK}{_NUMBER}){{0,9}}{_BLANK}"
    rf"|{_NUMBER}(?:{_BLANK}{_COMMA}{_BLANK}{_NUMBER}){{0,8}}{_BLANK}{_COMMA}{_BLANK})?"
)
_RANGE = re.compile(rf"({_NUMBER}){_BLANK}[\-–—~～至]{_BLANK}({_NUMBER})|({_NUMBER})")
LONGEST_RANGE = 50
_WIDEN = 0.25
"""A neighbouring sentence joins the quote when it brings this share of the statement's weight."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Passage number `n`, cited at character `at` of the answer's text (where its bracket opens)."""

    n: int
    at: int


class MarkReader:
    """Feed it the pieces of an answer; show what it returns. `marks` and `unknown` fill as it reads."""

    def __init__(self, passages: int) -> None:
        """`passages`: how many there are to cite; marks outside 1..passages are dropped."""
        self._passages = passages
        self._held = ""
        self._length = 0
        self.marks: list[Mark] = []
        self.unknown: list[int] = []

    def feed(self, piece: str) -> str:
        """The text that can be shown now."""
        self._held += piece
        return self._read(final=False)

    def close(self) -> str:
        """The rest, when the stream has ended: a bracket that never became a mark is text."""
        return self._read(final=True)

    def _read(self, *, final: bool) -> str:
        shown: list[str] = []
        while opened := _OPEN.search(self._held):
            at = opened.start()
            shown.append(self._pass(self._held[:at]))
            self._held = self._held[at:]
            if mark := _MARK.match(self._held):
                shown.append(self._cite(mark.group(1)))
                self._held = self._held[mark.end() :]
            elif _BEGUN.fullmatch(self._held) and not final:
                return "".join(shown)
            else:
                shown.append(self._pass(self._held[0]))
                self._held = self._held[1:]
        shown.append(self._pass(self._held))
        self._held = ""
        return "".join(shown)

    def _pass(self, text: str) -> str:
        self._length += len(text)
        return text

    def _cite(self, group: str) -> str:
        shown: list[str] = []
        for n in dict.fromkeys(_numbers(group)):
            if 1 <= n <= self._passages:
                self.marks.append(Mark(n, self._length))
                shown.append(self._pass(f"[{n}]"))
            elif n not in self.unknown:
                self.unknown.append(n)
        return "".join(shown)


def _numbers(group: str) -> list[int]:
    numbers: list[int] = []
    for first, last, single in _RANGE.findall(group):
        if single:
            numbers.append(int(single))
        elif 0 <= int(last) - int(first) <= LONGEST_RANGE:
            numbers.extend(range(int(first), int(last) + 1))
        else:
            numbers += [int(first), int(last)]
    return numbers


def supporting_span(statement: str, passage: str) -> tuple[int, int]:
    """Where `passage` best matches `statement`: a sentence, widened to its neighbours while they add to the match.

    When nothing matches (a statement in the other language), the whole passage, for it is all that was named.
    """
    spans = sentence_spans(passage)
    weights = _weights(statement, [passage[a:b] for a, b in spans])
    held = [frozenset(terms(passage[a:b])) & weights.keys() for a, b in spans]
    worth = [_weight(found, weights) for found in held]
    if not spans or max(worth) <= 0:
        return 0, len(passage)
    best = worth.index(max(worth))
    first, last = best, best
    total = sum(weights.values())
    covered = held[best]
    while last + 1 < len(spans) and _weight(held[last + 1] - covered, weights) >= _WIDEN * total:
        last += 1
        covered |= held[last]
    while first > 0 and _weight(held[first - 1] - covered, weights) >= _WIDEN * total:
        first -= 1
        covered |= held[first]
    return spans[first][0], spans[last][1]


def _weights(statement: str, sentences: Sequence[str]) -> dict[str, float]:
    """Rarity of the statement's terms over the passage's sentences; numbers count double, doses hang on them."""
    counts = Counter(term for sentence in sentences for term in set(terms(sentence)))
    n = len(sentences)
    return {
        term: math.log(1 + (n - counts[term] + 0.5) / (counts[term] + 0.5)) * (2 if term[0].isdigit() else 1)
        for term in dict.fromkeys(terms(statement))
    }


def _weight(found: frozenset[str], weights: dict[str, float]) -> float:
    return sum(weights[term] for term in sorted(found))
