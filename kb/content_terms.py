"""What a text is about, in terms: Chinese character bigrams and stemmed English words, without those that say nothing.

For comparing a question with a sentence, or a sentence with its source, without loading anything. What search uses is
kb.terms.
"""

from __future__ import annotations

import re

from kb.spelling import folded

CJK = r"\u3400-\u9fff\uf900-\ufaff"
"""Chinese characters, as a regular expression's class without its brackets."""
HAS_CJK = re.compile(f"[{CJK}]")
_WORD = re.compile(rf"\d+(?:[.,]\d+)*|[A-Za-z][A-Za-z0-9]*(?:[-'.][A-Za-z0-9]+)*|[α-ωΑ-Ω]+|[{CJK}]+")
ZH_STOP = re.compile(
    "请问|请|告诉|我想知道|想知道|我|你|一下|为什么|为何|为甚么|什么样|什么|甚么|怎么样|怎么办|怎么|怎样|如何|哪些|哪个|哪种|哪位|哪裡|哪里|哪儿|哪一|哪|"
    "多少|多久|几个|几种|几|何时|何地|何人|何|谁|誰|是否|有没有|能不能|可不可以|是不是|会不会|需不需要|可以|应该|應該|需要|"
    "主要|包括|关于|關於|进行|以及|其中|时候|時候|分别|有|的|了|是|在|吗|嗎|呢|吧|和|与|與|及|或|被|把|对|對|由|于|於|这|這|那|其|之|以|为|為|而|也|都|就|所|及其|们|個|个"
)
_EN_STOP = frozenset(
    "a an the and or of in on at to for from by with without is are was were be been being am do does did done has have"
    " had what which who whom whose when where why how that this these those it its their there here as than then if"
    " can could may might should would will shall must not no i you he she they we my your our his her me him them us"
    " about into between during any some such also please tell describe explain list name used use using many much most"
    " more usually".split()
)
_SUFFIX = re.compile(r"(?:ies|ied|y|ing|edly|ed|es|s|e|ly|ations?|ated|ates?|ating|ions?|al|ic|ive)$")


def question_terms(question: str) -> list[str]:
    """Content terms of a question: what is left when question words and particles are gone."""
    return terms(ZH_STOP.sub(" ", question))


def terms(text: str) -> list[str]:
    """Chinese character bigrams (single characters where one stands alone) and stemmed English words."""
    found: list[str] = []
    for word in _WORD.findall(text):
        if HAS_CJK.match(word):
            found.extend(word[i : i + 2] for i in range(len(word) - 1)) if len(word) > 1 else found.append(word)
        elif word.lower() not in _EN_STOP:
            found.append(_stem(folded(word.lower())))
    return found


def _stem(word: str) -> str:
    """Cut an ending, keep at least four letters: infections, infected, infection → infect."""
    if len(word) <= 4 or not word.isalpha():
        return word.removesuffix("'s")
    cut = _SUFFIX.sub("", word)
    return cut if len(cut) >= 4 else word[: max(4, len(cut))]
