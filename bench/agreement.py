"""Two texts in, how far they agree out: characters, joins between lines, digits. White space counts nowhere.

Both sides are brought to one form first (NFKC: a ligature is its letters, ² is 2), so that a reader is judged by what
it read and not by how it writes it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

_JOIN = 8  # characters on each side of a line's end that must follow one another


def solid(text: str) -> str:
    """The text in one form without white space and soft hyphens."""
    return re.sub(r"[\s\u00ad\u200b]+", "", unicodedata.normalize("NFKC", text))


def distance(a: str, b: str) -> int:
    """Insertions, deletions and substitutions from one to the other, by Hyyrö's bit vectors (2003)."""
    if not a or not b:
        return max(len(a), len(b))
    places: dict[str, int] = {}
    for i, character in enumerate(a):
        places[character] = places.get(character, 0) | 1 << i
    mask, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    up, down, score = mask, 0, len(a)
    for character in b:
        here = places.get(character, 0) | down
        diagonal = (((here & up) + up) ^ up) | here
        plus, minus = down | (~(diagonal | up) & mask), up & diagonal
        score += bool(plus & last) - bool(minus & last)
        plus, minus = (plus << 1 | 1) & mask, (minus << 1) & mask
        up, down = (minus | ~(diagonal | plus)) & mask, plus & diagonal
    return score


def accuracy(truth: str, read: str) -> float:
    """1 − edit distance / length of the truth, not below 0."""
    truth, read = solid(truth), solid(read)
    return max(0.0, 1 - distance(truth, read) / max(1, len(truth)))


def joins(lines: Sequence[str], read: str) -> tuple[int, int]:
    """(line ends at which what follows is what should, line ends): the score of a reading order."""
    text = solid(read)
    wanted = [(solid(a)[-_JOIN:], solid(b)[:_JOIN]) for a, b in pairwise(lines)]
    wanted = [(a, b) for a, b in wanted if len(a) == len(b) == _JOIN]
    return sum(a + b in text for a, b in wanted), len(wanted)


def digits(text: str) -> Counter[str]:
    """How often each digit stands on a page."""
    return Counter(re.findall(r"[0-9]", unicodedata.normalize("NFKC", text)))
