"""One spelling for two: haemodialysis and hemodialysis, oedema and edema, tumour and tumor."""

from __future__ import annotations

import re
from functools import lru_cache

_BRITISH = ((re.compile(r"(?<=[a-z])[ao]e(?=[a-z])|^oe(?=[a-z])"), "e"), (re.compile(r"our(?=s?$|ed$|ing$)"), "or"))


@lru_cache(65_536)
def folded(word: str) -> str:
    """The American spelling of a word in small letters."""
    for british, american in _BRITISH:
        word = british.sub(american, word) if len(word) > 4 else word
    return word
