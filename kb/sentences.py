"""Text in, spans of its sentences out, for Chinese and English together.

Spans rather than strings, because every quote must stay an exact substring of its passage. A full stop ends a sentence
only when what follows can begin one: not after 'e.g.', 'Dr.', an initial or a list number, not inside '0.5 mg'.
A line break ends one too, unless the next line plainly goes on (a lower-case word after an unfinished line). A line of
cells parted by tabs is a table's row and one sentence: a dose without its row's drug would be anyone's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Abbreviations after which a full stop does not end a sentence (lower case, without the stop).
_ABBREVIATIONS = frozenset(
    "e.g i.e cf ca vs viz etc al dr mr mrs ms prof st no nos fig figs tab eq eqs ref refs sec ch vol pp p approx"
    " resp max min incl excl ed eds dept inc ltd co corp jr sr sp spp var subsp wt hr hrs wk wks mo yr yrs"
    " u.s u.k u.n ph.d m.d b.i.d t.i.d q.i.d b.d p.o i.v i.m s.c p.r.n q.d a.m p.m jan feb mar apr jun jul aug"
    " sep sept oct nov dec".split()
)
# Those that stand for 'number' and the like only before a digit or capital; else they are words.
_BEFORE_NUMBER = frozenset("no nos fig figs tab eq eqs ref refs sec ch vol p pp max min st mar may jun sat".split())
# Those that may also end a sentence: they do when a capital follows.
_MAY_END = frozenset("etc al inc ltd co corp a.m p.m u.s u.k p.o i.v i.m s.c b.i.d t.i.d q.i.d p.r.n q.d".split())

_STOP = re.compile(r"[。！？!?．]+|\.+|…+")
_CLOSERS = "\"'”’」』）)]】》〉"
_WORD_BEFORE = re.compile(r"[A-Za-z][A-Za-z.]*$")
_LIST_NUMBER = re.compile(r"(?:^|\n|[。；;：:])[ \t]*[(（]?(?:\d{1,3}(?:\.\d{1,3})*|[A-Za-z]|[ivxIVX]{1,5})[)）]?$")
_NEXT_BEGINS = re.compile(r"[ \t]*(?:[\"'“‘「『(（\[【•●▪·–—-]*[ \t]*(?:[A-Z0-9]|[^\x00-\x7f])|$)")
_LONGEST_WORD = 100  # what stands before a full stop is looked at no further back
_GOES_ON = re.compile(r"[ \t]*[a-z]")
_ENDS_LINE = re.compile(r"[。！？!?.:：;；|]\s*$")
_CLAUSE = re.compile(r"[；;]\s*|(?<=[,，])\s*")

LONGEST = 600
"""Characters of the longest span; a longer sentence (a table row, a run-on list) is cut at semicolons or commas."""


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """The (start, end) of each sentence of `text`, in order, without surrounding white space; none is empty."""
    spans: list[tuple[int, int]] = []
    for start, end in _lines(text):
        for a, b in _split_line(text, start, end):
            spans.extend(_short_enough(text, a, b))
    return spans


def sentences(text: str) -> list[str]:
    """The sentences themselves, each an exact substring of `text`."""
    return [text[start:end] for start, end in sentence_spans(text)]


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Paragraph lines, hard-wrapped ones joined."""
    start = 0
    for found in re.finditer(r"\n", text):
        at = found.start()
        following = text.find("\n", at + 1)
        row = text.find("\t", start, following if following >= 0 else len(text)) >= 0
        wrapped = not row and not _ENDS_LINE.search(text[start:at]) and _GOES_ON.match(text, at + 1)
        if not wrapped:
            yield start, at
            start = at + 1
    yield start, len(text)


def _split_line(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    if text.find("\t", start, end) >= 0:
        yield from trimmed(text, start, end)
        return
    begin = start
    for found in _STOP.finditer(text, start, end):
        stop = found.end()
        if stop < begin:
            continue
        while stop < end and text[stop] in _CLOSERS:
            stop += 1
        if found.group()[0] == "." and not _ends_sentence(text, begin, found.start(), stop, end):
            continue
        yield from trimmed(text, begin, stop)
        begin = stop
    yield from trimmed(text, begin, end)


def _ends_sentence(text: str, begin: int, dot: int, after: int, end: int) -> bool:
    """Whether the full stop at `dot` ends the sentence begun at `begin`; `after` is where the next would begin."""
    if after < end and not text[after].isspace() and text[after] < "\u2e80":
        return False  # 0.5, e.g., kb.types, a URL
    if not _NEXT_BEGINS.match(text, after, end):
        return False
    before = text[begin:dot]
    if _LIST_NUMBER.search(before):
        return False
    word = _WORD_BEFORE.search(before[-_LONGEST_WORD:])
    if word is None:
        return True
    last = word.group().lower()
    if last in _BEFORE_NUMBER and not re.match(r"\s*[\dA-Z(]", text[after:end]):
        return True
    if last in {"no", "max", "min"} and not re.match(r"\s*\d", text[after:end]):
        return True
    if last in _ABBREVIATIONS:
        return last in _MAY_END and bool(re.match(r"\s+[A-Z][a-z]", text[after:end]))
    return not (len(last) == 1 and word.group().isupper() and _is_initial(text, dot, after))


def _is_initial(text: str, dot: int, after: int) -> bool:
    """'E. coli', 'J. Smith' go on; 'vitamin C. It …' ends."""
    following = re.match(r"\s+([A-Za-z][\w-]*)", text[after:])
    if following is None:
        return False
    before = re.search(r"([A-Za-z]+)\s+[A-Z]$", text[max(0, dot - _LONGEST_WORD) : dot])
    names_a_kind = before is not None and before.group(1).lower() in {"vitamin", "hepatitis", "type", "group", "class"}
    return not names_a_kind


def trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """[start, end) without white space at either side; nothing, if there is nothing else."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if end > start:
        yield start, end


def _short_enough(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The span itself, or its pieces of at most LONGEST characters cut at clause marks (at the limit, if none)."""
    while end - start > LONGEST:
        cuts = [m.end() for m in _CLAUSE.finditer(text, start, start + LONGEST) if m.end() > start]
        semicolons = [at for at in cuts if text[:at].rstrip().endswith(("；", ";"))]
        cut = (semicolons or cuts or [start + LONGEST])[-1]
        yield from trimmed(text, start, cut)
        start = cut
    yield from trimmed(text, start, end)
