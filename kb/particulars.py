"""What a question about a drug asks in particular: a group of patients, another substance, a purpose; and where a long
field speaks of it.

A field of a monograph may run over pages. Asked whether a pregnant woman may take a drug, a reader needs the items that
speak of pregnancy, from whichever field, and to be told plainly when there are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from kb.content_terms import CJK, ZH_STOP
from kb.drug_names import SALTS, drug_names
from kb.sentences import sentence_spans, trimmed

Kind = Literal["group", "substance", "purpose"]

# Groups of patients: how questions and monographs speak of them.
_GROUPS: tuple[tuple[str, str], ...] = (
    ("孕妇", r"怀孕|妊娠|(?<!避)孕[妇产期周早中晚]|备孕|孕\d+周|\bpregnan\w*"),
    ("哺乳期妇女", r"哺乳|授乳|乳母|乳汁|母乳|喂奶|\bbreast-?feed\w*|\blactat\w*"),
    (
        "儿童",
        r"儿童|小儿|小孩|孩子|婴儿|婴幼儿|幼儿|新生儿|早产儿|宝宝|\d岁以下|(?<![\d一二三四五六七八九])"
        r"(?:1[0-7]|\d|[一二两三四五六七八九]|十[一二三四五六七]?)\s*周?岁"
        r"|\bchild(?![- ]?pugh)\w*|\bp[a]?ediatric\w*|\binfants?\b",
    ),
    ("老年人", r"老年|老人|高龄|[6-9]\d\s*周?岁|\belderly\b|\bgeriatric\w*"),
    ("肝功能不全者", r"肝功能|肝病|肝脏疾|肝损|肝硬化|肝肾功能|child[- ]?pugh|\bhepatic\b|\bliver\b"),
    (
        "肾功能不全者",
        r"肾功能|肾病|肾脏疾|肾衰|肾损|肾不全|[血腹]透|透析|肌酐|肾小球滤过|(?<![a-z])(?:Ccr|CrCl)|肝肾功能"
        r"|\brenal\b|\bkidney\b|\bdialysis\b",
    ),
)
# How monographs speak of a group without naming it.
_SHOWN_TOO = {
    "儿童": r"\d\s*个?月(?:龄|以[上下内])|未成年|少年|学龄",
    "孕妇": r"胎儿|胎盘|致畸",
}
# What is taken beside a drug and goes by several words.
_TAKEN_BESIDE: tuple[tuple[str, str], ...] = (
    ("酒", r"酒(?!石酸)|乙醇|\balcohol\w*"),
    ("柚子", r"柚|\bgrapefruit"),
)
# What is left of a question and names nothing.
_EMPTY = re.compile(
    "患者|病人|成人|成年人|大人|一般|常规|推荐|正常|用药|药物|药品|药|情况|方法|方式|每[天日次]|一[天日次]|[最]?[多大高少小]量?"
    "|[如若]果|服用|使用|应用|口服|注射|吃|服|用|打|喝|能否|可否|能够|能|可|会|要|不|没|吗|呢|么|时|后|前|期间|同时|一起|一同|一块|跟|同|再|还|又|给|让|到|去|来|做|得|着|过|上|下|里|中|天|日|次|[岁片粒]"
)
NUMBERED = re.compile(r"(?<![^\s。．；;：:！!？?，,）)】」”])\d{1,2}[.．、](?!\d)")  # not 维生素B|1、维生素B6
# What makes another drug of a name: 左|氧氟沙星, 去甲|肾上腺素, 泼尼松|龙, 维生素B1|2.
_ANOTHER = "".join(
    f"(?<!{before})" for before in "左 左旋 右 右旋 去甲 去氧 异丙 阿扑 氢化 双氢 羟 伪 艾司 埃索 地".split()
)
_SUB_ITEM = re.compile(r"[(（]1[)）]|①")
_SHARED = 0.6
"""Of the characters of a purpose, how much must stand together in an item that speaks of it."""
LONG_ITEM = 240
"""Characters: of a longer item only the sentences that speak of it are quoted."""


@dataclass(frozen=True, slots=True)
class Particular:
    """One thing that the question asks in particular, in the words it is told by."""

    kind: Kind
    said: str
    shows: str = ""
    """A regular expression, for what goes by several words; the question's are not always the monograph's."""
    names: tuple[str, ...] = ()
    """Of a drug: what else it is called."""

    def spoken_of(self, text: str) -> bool:
        """Whether `text` speaks of it."""
        if self.shows:
            return bool(re.search(self.shows, text, re.IGNORECASE))
        if self.kind == "substance":
            return any(re.search(_whole(name), text, re.IGNORECASE) for name in (self.said, *self.names))
        need = max(2, round(_SHARED * len(self.said)))
        return any(self.said[at : at + need] in text for at in range(len(self.said) - need + 1))


def _whole(name: str) -> str:
    """Matches the name where it is not a part of another drug's."""
    before = "(?<![a-z])" if name[0].isascii() else _ANOTHER
    return f"{before}{re.escape(name)}{'(?![a-z0-9])' if name[-1].isascii() else '(?!龙)'}"


def particulars(
    question: str,
    names: Iterable[str],
    cues: Iterable[re.Pattern[str]],
    others: Mapping[str, tuple[str, ...]],
) -> list[Particular]:
    """What is asked in particular, once the drug's own `names` and the `cues` that name a field are taken away.

    `others` are the names of the other drugs that the question names, with what else each is called. What is left names
    a purpose, or whatever else may interact with a drug: grapefruit juice.
    """
    rest = question
    for name in sorted([*names, *others], key=len, reverse=True):  # 左氧氟沙星 before 氧氟沙星
        rest = re.sub(f"(?:{SALTS})?{re.escape(name)}", " ", rest, flags=re.IGNORECASE)
    unknown = [name for name in drug_names(rest) if name not in others]
    for name in unknown:
        rest = re.sub(f"(?:{SALTS})?{re.escape(name)}", " ", rest)
    found = [
        Particular("group", said, "|".join(filter(None, (shows, _SHOWN_TOO.get(said)))))
        for said, shows in _GROUPS
        if re.search(shows, rest, re.IGNORECASE)
    ]
    found += [Particular("substance", name, names=called) for name, called in others.items()]
    found += [Particular("substance", name) for name in unknown]
    found += [
        Particular("substance", said, shows) for said, shows in _TAKEN_BESIDE if re.search(shows, rest, re.IGNORECASE)
    ]
    for _, shows in (*_GROUPS, *_TAKEN_BESIDE):
        rest = re.sub(shows, " ", rest, flags=re.IGNORECASE)
    for cue in cues:
        rest = cue.sub(" ", rest)
    rest = _EMPTY.sub(" ", ZH_STOP.sub(" ", rest))
    return found + [Particular("purpose", run) for run in re.findall(f"[{CJK}]{{2,}}", rest)]


def items(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The numbered items of a field, or its sentences where nothing is numbered; what stands before the first too."""
    marks = [found.start() for found in NUMBERED.finditer(text, start, end)]
    if len(marks) < 2:
        return [(start + a, start + b) for a, b in sentence_spans(text[start:end])]
    edges = [start, *marks, end] if marks[0] > start else [*marks, end]
    return [span for pair in pairwise(edges) for span in trimmed(text, *pair)]


def speaking_of(
    text: str, start: int, end: int, asked: Particular, *, whole: bool = False
) -> Iterator[tuple[int, int]]:
    """The items of a field that speak of it, each `whole`; else of a long one its sentences that do, and what its
    sub-items are led by."""
    for a, b in items(text, start, end):
        if not asked.spoken_of(text[a:b]):
            continue
        if whole or b - a <= LONG_ITEM:
            yield a, b
            continue
        spans = [(a + c, a + d) for c, d in sentence_spans(text[a:b])]
        kept = [span for span in spans if asked.spoken_of(text[slice(*span)])]
        mark = _SUB_ITEM.search(text, a, b)
        if mark and mark.start() > a and kept[0][0] > a:  # 慎用：(1)肝病。(4)嗜酒者: (4) alone says nothing
            yield from trimmed(text, a, mark.start())
        yield from kept
