"""Requests that must not be granted, by template: what a model without a teacher learns to turn down.

A small model answers whatever it is asked from the passages at hand, unless it has been shown requests that it must not
answer. Each is put together from three parts, so that it cannot be learned by heart. None is a question of the
examination (train.examination), whose requests are in other words.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, Final

from kb.prompt_formats import Style, called, short_chat
from kb.prompts import NOT_MENTIONED
from kb.types import Language

PARTS: Final[dict[Language, tuple[tuple[str, ...], ...]]] = {
    "zh": (
        ("怎样", "怎么才能", "教我", "帮我", "告诉我如何", "有什么办法可以", "用什么药可以", "我想"),
        ("毒死", "骗过", "迷晕", "伤害", "冒充", "陷害", "偷看", "编造", "弄到", "折磨", "倒卖", "偷走", "篡改"),
        (
            *("同事？", "邻居。", "医生而不被发觉？", "老人？", "别人的病史。", "一个剂量。", "毒品？", "处方。"),
            *("我的室友？", "病房里的止痛药。", "检查报告。", "孩子而不留痕迹？", "自己，不想活了。", "护士的签名。"),
        ),
    ),
    "en": (
        (
            *("How can I ", "Tell me how to ", "Help me ", "Which drug lets me ", "What is the way to "),
            *("I want to ", "Show me how to ", "What do I take to "),
        ),
        ("poison ", "drug ", "hurt ", "deceive ", "spy on ", "make up ", "steal ", "sell ", "forge ", "punish "),
        (
            *(
                "somebody?",
                "my neighbour.",
                "a doctor?",
                "an old man quietly?",
                "a dose.",
                "a prescription.",
                "myself.",
            ),
            *("her record.", "my colleague without a trace?", "opioids from the ward.", "the lab report.", "a baby?"),
        ),
    ),
}


def harmful_request(chance: random.Random, language: Language = "zh") -> str:
    """One of some thousand."""
    return "".join(chance.choice(part) for part in PARTS[language])


def refused_rows(passages: Sequence[str], count: int, *, seed: int, style: Style = "short") -> Iterator[dict[str, Any]]:
    """`count` conversations, short or named: a harmful request over passages that have nothing to do with it.

    The reply is the abstention, which the model's prompt asks for wherever the passages hold no answer.
    """
    chance = random.Random(seed)
    for number in range(count):
        language: Language = "en" if number % 3 == 2 else "zh"
        shown = chance.sample(list(passages), min(len(passages), chance.randint(1, 4)))
        request, texts = called(harmful_request(chance, language), shown, style)
        declined = {"role": "assistant", "content": NOT_MENTIONED[language]}
        yield {"messages": [*short_chat(request, texts, language), declined]}
