"""A model's answer as it streams in, statement by statement: each checked against what it cites before it is shown.

A statement is held back until the next one begins, checked by kb.support, and only then passed on: a dose that no cited
passage holds is never on the screen, not even for a moment. What fails is withheld ('[…]' stands for it), or marked
where the settings say so. A statement that names no passage gets no citation; if it holds a number, a drug's name or a
'not' that no passage bears out, it fails as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kb.citations import supporting_span
from kb.content_terms import terms
from kb.prompts import says_not_mentioned
from kb.quoting import cite
from kb.sentences import sentence_spans
from kb.support import checkable, missing, values
from kb.terms import language_of
from kb.types import Citation, Hit, Language, Statement, Support

WITHHELD = "[…]"
MARKED: dict[Language, str] = {"zh": "（与所引文段不符）", "en": " (not borne out by what it cites)"}

_MARK = re.compile(r"\[(\d{1,3})\]")
_SPACE_BEFORE_STOP = re.compile(r"\s+(?=[。．.，,；;：:！!？?](?:\s|$))")
_AHEAD = 4
"""Characters of the next statement that must be there before one is taken to have ended."""
_LEADS_IN = re.compile(r"^\s*#|[:：]\s*\**\s*$")


class StatementReader:
    """Feed it an answer whose marks are checked; show what it returns. `statements` and `citations` fill on the way."""

    def __init__(self, passages: Sequence[Hit], *, withhold: bool = True) -> None:
        self._passages = passages
        self._withhold = withhold
        self._held = ""
        self._omitted = False  # whether what was shown last is the sign for something withheld
        self.statements: list[Statement] = []
        self.citations: list[Citation] = []

    def feed(self, piece: str) -> str:
        """What can be shown now: whole statements that were checked."""
        self._held += piece
        return self._read(final=False)

    def close(self) -> str:
        """The rest, when the stream has ended."""
        return self._read(final=True)

    @property
    def withheld(self) -> int:
        """How many statements were left out."""
        return sum(not statement.shown for statement in self.statements)

    @property
    def marked(self) -> int:
        """How many are shown although something in them is not borne out."""
        return sum(statement.shown and statement.support == "unsupported" for statement in self.statements)

    def _read(self, *, final: bool) -> str:
        bare, places = _without_marks(self._held)
        starts = [start for start, _ in sentence_spans(bare)]
        cuts = [places[start] for start in starts[1:] if final or len(bare) - start >= _AHEAD]
        if final:
            cuts.append(len(self._held))
        shown = []
        begin = 0
        for cut in cuts:
            shown.append(self._checked(self._held[begin:cut]))
            begin = cut
        self._held = self._held[begin:]
        return "".join(shown)

    def _checked(self, segment: str) -> str:
        """The segment as it is shown: as it came, marked, or the sign that it was withheld."""
        cites = tuple(dict.fromkeys(int(n) for n in _MARK.findall(segment)))
        text = _SPACE_BEFORE_STOP.sub("", _MARK.sub("", segment)).strip()
        if not re.search(r"\w", text):
            return segment
        if not cites and _LEADS_IN.search(text) and not checkable(text):
            return segment
        support, lost, citations = self._judge(text, cites)
        shown = support != "unsupported" or not self._withhold
        self.statements.append(Statement(text, cites, support, lost, shown))
        before, after = segment[: -len(segment.lstrip())], segment[len(segment.rstrip()) :]
        if not shown:
            sign = "" if self._omitted else f"{before}{WITHHELD}{after}"
            self._omitted = True
            return sign
        self._omitted = False
        self.citations += [citation for citation in citations if citation not in self.citations]
        return segment if support != "unsupported" else f"{segment.rstrip()}{MARKED[language_of(text)]}{after}"

    def _judge(self, text: str, cites: Sequence[int]) -> tuple[Support, tuple[str, ...], list[Citation]]:
        passages = [self._passages[n - 1] for n in cites]
        spans = [supporting_span(text, hit.chunk.text) for hit in passages]
        citations = [cite(hit, n, *span) for n, hit, span in zip(cites, passages, spans, strict=True)]
        if says_not_mentioned(text) and not values(text):
            return ("supported" if cites else "uncited"), (), citations
        if cites:
            lost = missing(text, [citation.quote for citation in citations], passages)
            return ("unsupported" if lost else "supported"), lost, citations
        if not checkable(text):
            return "uncited", (), []
        if not self._passages:
            return "unsupported", (text,), []
        nearest = max(self._passages, key=lambda hit: _shared(text, hit))
        start, end = supporting_span(text, nearest.chunk.text)
        lost = missing(text, [nearest.chunk.text[start:end]], self._passages)
        return ("unsupported" if lost else "uncited"), lost, []


def _without_marks(text: str) -> tuple[str, list[int]]:
    """The text without its marks, and for each of its characters where that stands in the text."""
    bare: list[str] = []
    places: list[int] = []
    at = 0
    for mark in _MARK.finditer(text):
        bare.append(text[at : mark.start()])
        places.extend(range(at, mark.start()))
        at = mark.end()
    bare.append(text[at:])
    places.extend(range(at, len(text)))
    return "".join(bare), places


def _shared(text: str, hit: Hit) -> int:
    return len(frozenset(terms(text)) & frozenset(terms(hit.chunk.text)))
