"""Text in, lexical terms out: what the word index stores and what a question is turned into.

Chinese gives dictionary words (jieba's search mode, with the library's own drug names and aliases added), character
bigrams and single characters (so that 盐 meets 食盐); English words are stemmed (Snowball) and stop words dropped.
Measured choice: on the Chinese development sets the three together beat any of them alone, and stemming with stop words
beats plain words on the English ones (docs/measurements.md). Marks keep 肺炎 the word and 肺炎 the bigram apart.
"""

from __future__ import annotations

import logging
import re
import threading
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kb.spelling import folded
from kb.types import Chunk, Language

if TYPE_CHECKING:
    from tantivy import TextAnalyzer

VERSION = 2
"""Raised whenever the same text would give other terms: the index is then rebuilt."""

BIGRAM = "²"
CHARACTER = "¹"
_CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ffff"
_RUNS = re.compile(f"[{_CJK}]+|[^\\W_]+(?:[.'-][^\\W_]+)*")
_IS_CJK = re.compile(f"[{_CJK}]")
_INNER = re.compile(r"[.'-]")
_TRADE = re.compile("[™℠]")  # else NFKC makes a word of Yescarta™ that no question has: yescartatm
_MIXED = re.compile(f"[{_CJK}]+|[^{_CJK}]+")
_STOP = frozenset(
    "a an and are as at be been by can could did do does for from had has have how i if in into is it its may me my no "
    "not of on or our shall should so such than that the their them then there these they this those to was we were "
    "what when where which who whom whose why will with would you your".split()
)
_ALIASES = re.compile(r"^(?:别名|又名|曾用名|商品名|通用名)[:：](.+)$", re.MULTILINE)
_ALIAS_BREAK = re.compile(r"[、,，;；/。\s（）()]+")


def storable(text: str) -> str:
    """The text with lone surrogates (half a character, as broken JSON and file names hold them) replaced by '?'."""
    return text.encode("utf-8", "replace").decode("utf-8")


def language_of(text: str) -> Language:
    """'zh' if at least a fifth of the letters are Chinese, else 'en'. A Chinese drug label quotes much English."""
    if text.isascii():
        return "en"
    chinese = len(_IS_CJK.findall(text))
    letters = sum(character.isalpha() for character in text)
    return "zh" if chinese and chinese * 5 >= letters else "en"


def mine_words(chunks: Iterable[Chunk]) -> set[str]:
    """Names the library itself introduces: record titles (outermost heading) and the values of alias fields."""
    words: set[str] = set()
    for chunk in chunks:
        title = chunk.heading.split(" › ")[0]
        names = _ALIAS_BREAK.split("、".join(_ALIASES.findall(chunk.text)))
        words.update(name for name in [title, *names] if 2 <= len(name) <= 12 and _all_cjk(name))
    return words


def _all_cjk(text: str) -> bool:
    return all(_IS_CJK.match(character) for character in text)


class Terms:
    """Turns text into terms. Holds the dictionary; build one and share it (safe from any thread)."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        """`words` join jieba's dictionary."""
        self.words = set(words)
        self._lock = threading.Lock()

    def add_words(self, words: Iterable[str]) -> None:
        """Teach it more names. Text already indexed keeps its old words (and all its bigrams) until a rebuild."""
        new = set(words) - self.words
        self.words |= new
        if "_jieba" in self.__dict__:
            with self._lock:
                for word in new:
                    self._jieba.add_word(word)

    def __call__(self, text: str) -> list[str]:
        """Terms in text order, repeats kept."""
        terms: list[str] = []
        english: list[str] = []
        for run in _RUNS.findall(unicodedata.normalize("NFKC", _TRADE.sub(" ", text)).lower()):
            if run.isascii():
                english += _english(run)
                continue
            for part in _MIXED.findall(run):
                if _IS_CJK.match(part):
                    terms += self._chinese(part)
                else:
                    english += _english(part)
        if english:
            terms += self._stemmer.analyze(" ".join(english))
        return terms

    def _chinese(self, run: str) -> list[str]:
        with self._lock:
            words = list(self._jieba.cut_for_search(run)) if len(run) > 1 else [run]
        bigrams = [BIGRAM + run[i : i + 2] for i in range(len(run) - 1)]
        return words + bigrams + [CHARACTER + character for character in run]

    @cached_property
    def _jieba(self) -> Any:
        import jieba

        jieba.setLogLevel(logging.WARNING)
        tokenizer = jieba.Tokenizer()
        # Not tokenizer.initialize(): that unmarshals a cache from the shared temporary folder. Costs 0.5 s more, once.
        tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
        tokenizer.initialized = True
        for word in sorted(self.words):
            tokenizer.add_word(word)
        return tokenizer

    @cached_property
    def _stemmer(self) -> TextAnalyzer:
        import tantivy

        builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
        return builder.filter(tantivy.Filter.stemmer("english")).build()


def _english(run: str) -> tuple[str, ...]:
    run = folded(run.strip(".'-"))
    if not run or run in _STOP:
        return ()
    parts = [part for part in _INNER.split(run) if part and part not in _STOP]
    return (run, *parts) if len(parts) > 1 else (run,)
