"""A page's text in, the reason why it is garbage out ('' if it reads like a language).

Text layers go wrong in few ways: fonts without a map to characters (replacement and private-use characters), a wrong
character set (mojibake), a wrong map (rare ideographs, letters shifted like a cipher). Each has its own sign, counted
over the page; thresholds are far from what real pages show (docs/measurements.md), because a page judged garbage is
read from its image instead or left out.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from string import ascii_letters

_LEAST = 40  # characters below which a page says too little to judge
_UNMAPPED = re.compile("[\ufffd\ue000-\uf8ff\U000f0000-\U0010fffd\x00-\x08\x0e-\x1f\x80-\x9f\ufdd0-\ufdef]")
_CID = re.compile(r"\(cid:\d+\)")
_BULLETS = re.compile("(?:^|(?<=\\s))[\ue000-\uf8ff](?=\\s|$)", re.MULTILINE)
_MOJIBAKE_RUN = re.compile(
    "[\u00a1-\u00ff\u0152-\u0178\u02c6\u02dc\u201a-\u201e\u2020\u2021\u2030\u2039\u203a\u20ac\u2122]{4,}"
)
_IDEOGRAPH = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0002ffff]")
_WORDS = re.compile("[a-z]{4,}")


def garbled(text: str) -> str:
    """Why this page's text cannot be what is printed on it; '' if nothing says so."""
    solid = re.sub(r"\s+", "", text)
    if len(solid) < _LEAST:
        return ""
    unmapped = len(_UNMAPPED.findall(solid)) + len(_CID.findall(solid)) - len(_BULLETS.findall(text))
    if unmapped > 0.15 * len(solid):
        return "most of its characters have no meaning stated"
    ascii_only = solid.isascii()
    ideographs = 0 if ascii_only else len(_IDEOGRAPH.findall(solid))
    runs = 0 if ascii_only else sum(map(len, _MOJIBAKE_RUN.findall(text)))
    if runs > 0.25 * len(solid) and ideographs < 0.05 * len(solid):
        return "it was written in another character set (mojibake)"
    if ideographs >= _LEAST:
        rare = sum(n for one, n in Counter(solid).items() if _IDEOGRAPH.match(one) and not _is_common(one))
        if rare > 0.3 * ideographs:
            return "its ideographs are rare ones that make no words"
    spelling = "".join(_WORDS.findall(text))
    spelt = len(spelling)
    if spelt >= 200 and spelt > 0.5 * sum(map(solid.count, ascii_letters)):
        vowels = sum(map(spelling.count, "aeiouy"))
        if not 0.24 <= vowels / spelt <= 0.62:
            return "its letters spell no words"
    return ""


@lru_cache(maxsize=1 << 15)
def _is_common(character: str) -> bool:
    """Whether the ideograph is in the everyday sets of mainland China, Taiwan or Japan."""
    for charset in ("gb2312", "big5", "shift_jis"):
        try:
            character.encode(charset)
        except UnicodeEncodeError:
            continue
        return True
    return False
