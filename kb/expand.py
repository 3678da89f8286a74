"""Names that mean the same, mined from the library itself: 阿司匹林, aspirin and 乙酰水杨酸 meet.

Three sources, each exact enough to be trusted without a reader: the 别名 and 英文名 lines of monographs; a Chinese term
followed by its foreign name in brackets, 慢性肾脏病（chronic kidney disease，CKD）; an English term followed by its
abbreviation (Schwartz and Hearst, "A Simple Algorithm for Identifying Abbreviation Definitions", PSB 2003).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kb.types import Chunk

MOST_NAMES = 8
"""Other names that one name is expanded to."""
_MOST_MEANINGS = 2  # a name of more things than this says too little (an abbreviation used in every sense)

_CJK = "\u3400-\u9fff"
_TITLE_BREAK = " › "
_NAME_LINE = re.compile(r"^(?:别名|又名|曾用名|商品名|通用名|英文名)[:：](.+)$", re.MULTILINE)
_BREAK = re.compile(r"\s*[;；、，,]\s*")
_BRACKETED = re.compile(rf"([{_CJK}]{{2,12}})\s?[（(]([A-Za-z][A-Za-z0-9αβγ ,，;；'-]{{1,80}})[)）]")
_SHORT = re.compile(r"\(([A-Z][A-Za-z0-9-]{1,9})\)")
_WORDS_BEFORE = re.compile(r"(?:[A-Za-z][A-Za-z-]*\s+){1,8}$")
_FARTHEST = 300  # characters that the words before an abbreviation may take
_WORDS = re.compile(r"[a-z0-9]+(?:[.'-][a-z0-9]+)*")
_LONGEST = 16


@dataclass(frozen=True, slots=True)
class Replacement:
    """Characters [start, end) of a question are a name; `others` mean the same."""

    start: int
    end: int
    others: tuple[str, ...]


def mine(chunks: Iterable[Chunk]) -> Iterator[tuple[str, str]]:
    """Pairs of names that the passages say are the same. The same pair may come many times."""
    bracketed: dict[str, set[str]] = defaultdict(set)
    for chunk in chunks:
        yield from _from_record(chunk)
        yield from _abbreviations(chunk.text)
        for before, inside in _BRACKETED.findall(chunk.text):
            for name in _BREAK.split(inside):
                if 2 <= len(name) <= 60:
                    bracketed[name.strip()].add(_with_edge(chunk.text, before, inside))
    yield from _bracketed_names(bracketed)


def _from_record(chunk: Chunk) -> Iterator[tuple[str, str]]:
    title = chunk.heading.split(_TITLE_BREAK)[0].strip()
    lines = _NAME_LINE.findall(chunk.text)
    if not title or not lines:
        return
    for line in lines:
        for name in _BREAK.split(line):
            if _is_name(name) and name != title:
                yield title, name.strip()


def _abbreviations(text: str) -> Iterator[tuple[str, str]]:
    end = 0
    for found in _SHORT.finditer(text):
        before = _WORDS_BEFORE.search(text[max(end, found.start() - _FARTHEST) : found.start()])
        if before is None:
            continue
        end, short = found.end(), found[1]
        full = _long_form(before.group().split(), short)
        if full:
            yield full, short


def _long_form(words: Sequence[str], short: str) -> str:
    """The shortest run of last words whose letters, in order, hold the abbreviation's, its first starting a word."""
    letters = [c for c in short.lower() if c.isalnum()]
    for count in range(1, min(len(words), len(letters) + 5) + 1):
        run = words[-count:]
        if run[0][0].lower() == letters[0] and _holds(" ".join(run).lower(), letters) and len(run) >= len(letters) / 2:
            return " ".join(run) if len(" ".join(run)) > len(short) + 2 else ""
    return ""


def _holds(text: str, letters: Sequence[str]) -> bool:
    at = 0
    for letter in letters:
        at = text.find(letter, at) + 1
        if not at:
            return False
    return True


def _with_edge(text: str, before: str, inside: str) -> str:
    """The Chinese run before a bracket, marked with ^ where it starts after something else than a Chinese character."""
    at = text.find(before)
    edge = at <= 0 or not re.match(f"[{_CJK}]", text[at - 1])
    return f"^{before}" if edge else before


def _bracketed_names(bracketed: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Where a Chinese name starts is known if it starts the run, or if two different runs end in it."""
    for name, runs in bracketed.items():
        whole = [run[1:] for run in runs if run.startswith("^") and len(run) <= 9]
        if len(runs) >= 2:
            ending = _common_ending([run.removeprefix("^") for run in runs])
            if len(ending) >= 2:
                yield ending, name
                continue
        for run in whole[:1]:
            yield run, name


def _common_ending(runs: Sequence[str]) -> str:
    shortest = min(runs, key=len)
    for start in range(len(shortest)):
        if all(run.endswith(shortest[start:]) for run in runs):
            return shortest[start:]
    return ""


def _is_name(name: str) -> bool:
    return 2 <= len(name.strip()) <= 60 and not re.search(r"[。:：（(]", name) and bool(re.search(r"[^\W\d_]{2}", name))


class Synonyms:
    """Names by what they are names of. Immutable once built."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        """`pairs` of a main name (title, full words, Chinese term) and another name of it."""
        self._names: dict[str, dict[str, str]] = defaultdict(dict)  # of a main name
        self._meanings: dict[str, dict[str, str]] = defaultdict(dict)  # main names of a name
        for main, other in pairs:
            a, b = _folded(main), _folded(other)
            if a and b and a != b:
                self._names[a][b] = other
                self._meanings[b][a] = main

    def __len__(self) -> int:
        return len(self._names.keys() | self._meanings.keys())

    def __contains__(self, folded: str) -> bool:
        return folded in self._names or folded in self._meanings

    def pairs(self) -> list[tuple[str, str]]:
        """Each pair once, sorted: what is written to disk."""
        return sorted({(a, other) for a, others in self._names.items() for other in others.values()})

    def others(self, name: str) -> tuple[str, ...]:
        """Names that mean the same as `name`: the other names of it, what it is a name of, and their other names.

        Two things that share a nickname are not taken for each other: from a main name one goes to its own names only.
        """
        folded = _folded(name)
        meanings = self._meanings.get(folded, {})
        found = dict(meanings)
        if len(meanings) <= _MOST_MEANINGS:
            for main in meanings:
                found |= {k: v for k, v in self._names[main].items() if k not in found}
        found |= {k: v for k, v in self._names.get(folded, {}).items() if k not in found}
        found.pop(folded, None)
        return tuple(found.values())[:MOST_NAMES]

    def find(self, question: str) -> list[Replacement]:
        """The names that the question holds, longest first, without overlap."""
        text = question.lower()
        found: list[Replacement] = []
        taken = [False] * len(text)
        for start, end in self._spans(text):
            if any(taken[start:end]):
                continue
            others = self.others(text[start:end])
            if others:
                taken[start:end] = [True] * (end - start)
                found.append(Replacement(start, end, others))
        return sorted(found, key=lambda one: one.start)

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Where a known name could stand: runs of whole English words, and any Chinese substring; longest first."""
        spans = []
        words = [match.span() for match in _WORDS.finditer(text)]
        for i, (start, _) in enumerate(words):
            spans += [(start, end) for _, end in words[i : i + 6] if _folded(text[start:end]) in self]
        for run in re.finditer(f"[{_CJK}]+", text):
            for start in range(run.start(), run.end() - 1):
                for end in range(start + 2, min(run.end(), start + _LONGEST) + 1):
                    if text[start:end] in self:
                        spans.append((start, end))
        return sorted(spans, key=lambda span: (span[0] - span[1], span[0]))


def _folded(name: str) -> str:
    return " ".join(name.lower().split())
