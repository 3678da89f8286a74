"""Monograph passages: a name on the first line, then `field:value` lines; which line does a question ask for?

A record that was cut into several chunks is put together again from the hits (same document, same record number).
The rule that matters: a field is quoted only from the record of the very drug that was asked about. 左氧氟沙星 is not
氧氟沙星, and a dose of the wrong one is worse than no answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from kb.drug_names import SALTS
from kb.types import Chunk, Hit

# What asks for a field: Chinese words, then English ones.
_ASKED_BY: dict[str, tuple[str, str]] = {
    "用法用量": (
        r"用法|用量|剂量|怎[么样]?[服吃用]|怎么(?:使用|服用)|如何(?:服|吃|使?用|给药)|[吃服用]多少|几[次片粒]|[服用]几",
        r"dos(?:e|es|age|ing)|administration|how (?:do|does|should|to|much|often|is)\b.{0,30}\b"
        r"(?:take|taken|use|used|give|given|administer\w*)",
    ),
    "不良反应": (
        r"不良反应|副作用|毒副",
        r"side[- ]effects?|adverse (?:reactions?|effects?|events?)|undesirable effects?",
    ),
    "禁忌证": (
        r"(?<!哪些)(?<!什么)(?:孕妇|孕期|妊娠期?|哺乳期?|儿童|小儿|小孩|孩子|婴儿|老人|老年人|患者|病人|的人|过敏者?|\d\s*周?岁).{0,3}"
        r"(?:能不能|可不可以|能否|可否|能|可以|适合)(?:使用|服用|应用|用|吃|服|打)|禁忌|禁用|(?:不能|不可|不宜|不应|不得)(?:使用|服用|应用|用|吃|服)",
        r"contra-?indicat\w*|(?:who|when) (?:should|must|can) ?not",
    ),
    "适应证": (
        r"适应[证症]|主治|治疗?(?:什么|哪些|何)|[能可]治|治(?:疗)?的?(?:病|疾病)|用于(?:什么|哪些|治疗)"
        r"|(?:功效|(?<![互副理毒])作用)是什么|有(?:什么|哪些|何)(?:功效|作用)|管什么",
        r"(?<!contra)(?<!contra-)(?<!contra )indicat(?:ion|ions|ed)|used (?:for|to treat)"
        r"|what (?:does|do|can) .{0,40}\btreat|what (?:is|are) (?:[\w-]+ ){1,3}for(?=\s*\??$)",
    ),
    "药物相互作用": (
        r"相互作用|(?:一起|同时|合并|联合)[服用吃使]|合用|同服|联用|[喝饮]酒"
        r"|(?:期间|时候?|同时|[和与跟同]).{0,10}(?:不能|不可|不宜|不应|避免|禁止|能)(?:一起|同时|再)?"
        r"(?:服用|使用|合用|联用|吃|服|用)?(?:什么|哪些|何)(?:中成|中|西)?药"
        r"|(?:什么|哪些|何)(?:中成|中|西)?药(?:物|品)?(?:不能|不可|不宜|不应|不得|会|可以?|能)?[和与跟同]",
        r"interact(?:ion|ions|s|ed|ing)?"
        r"|(?:tak(?:e|en|ing)|combin(?:e|ed|ing)|mix(?:ed|ing)?|given) (?:together |along )?with"
        r"(?! (?:food|meals?|milk|water|or without))"
        r"|tak(?:e|en|ing) [\w-]+ (?:(?:together|along) with\b|(?:and|with) [\w-]+ together)",
    ),
    "注意事项": (r"注意|慎用", r"precautions?|warnings?|cautions?"),
    "英文名": (r"英文|英语", r"english name"),
    "别名": (r"别名|又[叫名称]|别称|商品名|还叫|其他名|另名", r"(?:other|brand|trade) names?|also known as|synonyms?"),
    "剂型": (r"剂型|规格|什么包装", r"dosage forms?|strengths?|formulations?"),
    "药品类型": (
        r"药品类型|类型|[是算于][哪何]一?[类种]药|[是算于](?:一种)?什么药|属于(?:什么|哪)",
        r"(?:class|kind|type) of (?:drug|medicine)|drug class",
    ),
    "药动学": (r"药动学|药代|半衰期|吸收|代谢|排泄", r"pharmacokinetics?|half-life"),
    "药理作用": (r"药理|作用机[制理]|机制", r"pharmacolog\w+|mechanism"),
    "专家点评": (r"点评", r"expert comments?"),
}
INTERACTIONS = "药物相互作用"
SYNONYMS = {
    "适应症": "适应证",
    "禁忌症": "禁忌证",
    "禁忌": "禁忌证",
    "副作用": "不良反应",
    "规格": "剂型",
    "相互作用": "药物相互作用",
}

IN_ENGLISH = {
    "用法用量": "dosage and administration",
    "不良反应": "adverse reactions",
    "禁忌证": "contraindications",
    "适应证": "indications",
    "药物相互作用": "drug interactions",
    "注意事项": "precautions",
    "英文名": "English name",
    "别名": "other names",
    "剂型": "dosage forms",
    "药品类型": "drug class",
    "药动学": "pharmacokinetics",
    "药理作用": "pharmacology",
    "专家点评": "expert comments",
}
"""How a field is named to a reader of English."""

_CUES = {name: re.compile(rf"{zh}|\b(?:{en})\b", re.IGNORECASE) for name, (zh, en) in _ASKED_BY.items()}
_FIELD_LINE = re.compile(
    rf"^({'|'.join(sorted([*_ASKED_BY, *SYNONYMS], key=len, reverse=True))})[ \t]*[:：]",
    re.MULTILINE,
)
_ASKS_FOR_DRUGS = re.compile(
    r"(?<![是叫于为])(?:哪[些几个一]{0,2}(?:种|类)?|什么|何)(?:中成|中|西)?药(?!物?相互|物?间|理|代|动|效)"
    r"|\b(?:which|what) (?:drugs?|medicines?|medications?)\b",
    re.IGNORECASE,
)
_TREATS = re.compile(r"(?:可以|能够?)?(?:用来|用于)?(?:治疗?|缓解|改善|预防)|用于|\b(?:treat\w*|cure\w*)\b")
_UNSTATED = re.compile(
    r"^[\s。.．、(（]*(?:(?:目前)?(?:[尚还仍]?[不未])(?:明确|明|详|清楚)|暂无|暂缺|无资料|无相关资料|缺乏资料"
    r"|未见(?:报道|描述))?[\s。.．)）]*$"
)
_NAME_SEPARATOR = re.compile(r"[；;、，,\n]")
_ASIDE = re.compile(r"[(（\[【][^)）\]】]*[)）\]】]")


def _any_of(words: str) -> str:
    return "|".join(sorted(words.split(), key=len, reverse=True))


# A preparation's form, which may follow a drug's name: 缓释胶囊, 片. The group is what the 剂型 field must mention.
_FORM = (
    rf"(?:{_any_of('缓释 控释 肠溶 分散 泡腾 咀嚼 口崩 双释 速释 软 硬 干 粉 冻干 浓 糖衣 薄膜 薄膜衣 含')}"
    rf"|{_any_of('混悬 吸入 雾化 滴眼 外用 口服')})*"
    r"(?P<form>片|胶囊|颗粒|丸|散|软膏|乳膏|膏|糖浆|口服液|合剂|注射液|注射|针|粉针|滴剂|滴丸|滴眼液"
    r"|喷雾|气雾|栓|贴|凝胶|溶液|混悬|冲剂|酒|酊|搽剂|洗剂)剂?"
)
_SALTS = re.compile(rf"(?:{SALTS})$")
# What may stand right before and right after a drug's name in a question. Anything else makes it part of a longer
# name: 左|氧氟沙星, 小儿|清热解毒口服液, 胰岛素|样生长因子. Words, where a character may belong to a name: 氯丁喘|安.
_BEFORE = re.compile(
    "(?:^|[^\\w/+＋·-]|"
    + _any_of(
        "请问 问 药品 药物 药 的 关于 服用 口服 使用 应用 注射 静滴 用 吃 服 打 开 给 让 请 说 下"
        " 和 与 跟 同 及 或 把 将 在 是 为 比 查 看 找 介绍 了解 知道"
        " 患者 病人 孕妇 儿童 小孩 成人 大人 老人 老年人 者 时 后 前 期间 能 要 了 叫 称 名 名为"
    )
    + ")$"
)
_AFTER = re.compile(
    f"(?:{_FORM})?(?:$|[^\\w/+＋·-]|"
    + _any_of(
        "这个 这种 那个 的 是 有 怎 如何 可能 可以 可否 可用 可治 可引 能不能 能否 能治 能用 能吃 能和 能与"
        " 能跟 能同 会不会 会有 会引 会导致 主治 主要 用于 用法 用量 用来 用途"
        " 用药 用什 用哪 用多 用几 治疗 治什 治哪 适应 适用 适合 应该 应如何 应怎 都 要 一般 一天 一次"
        " 一日 每 属于 属 与 和 跟 同 及 或 对 在 什么 哪 吃 服 不良 不能 不可 不宜"
        " 不应 禁 忌 副 英文 英语 别名 别称 又名 又叫 叫什么 还叫 还有 剂型 剂量 规格 注意 注射 吗 呢"
        " 多少 多久 多长 多大 几 孕妇 儿童 小儿 小孩 成人 成分 老人 老年 给药 需 该"
        " 为什么 为何 过敏 过量 使用 临床 相互作用 具有 含有 含什么 由 其 功效 功能 作用 说明书 药物 药品"
        " 预防 防治 药理 药动 药代 药效 药名 药 安全 慎用 最大 最多 最高 常用 常规 通用名"
        " 一起 一同 一块 同时 期间 以后 之后 之前 以前 饭前 饭后 空腹 睡前 漏服 中毒 能喝 能一 能长 能给 会影响 可用于"
        " 口服 长期 止痛 退烧 退热 降压 降糖 消炎 止咳 简介 类药 哺乳 半衰期 专家点评 商品名 时 后"
    )
    + ")"
)
_JOINED = re.compile(r"\s*[/+＋·-]\s*[^\W\d]")  # of a compound preparation: 地氯雷他定/硫酸伪麻黄碱


MOST_RECORDS = 3
"""Monographs that one answer quotes from, if the question does not name more drugs."""
_MOST_LOOKED_AT = 8
_Named = TypeVar("_Named")


@dataclass(frozen=True, slots=True)
class FieldLine:
    """One `field:value` line of a record: where it stands in which hit."""

    field: str
    index: int
    """Index of the hit in the list given."""
    start: int
    end: int
    value_start: int


@dataclass(frozen=True, slots=True)
class Record:
    """What the hits hold of one monograph."""

    name: str
    names: tuple[str, ...]
    lines: tuple[FieldLine, ...]
    indices: tuple[int, ...]


def complete(
    question: str, hits: Sequence[Hit], chunks_of: Callable[[str, int], Sequence[Chunk]], *, most: int = MOST_RECORDS
) -> list[Hit]:
    """The hits, with the missing chunks of the monographs asked about put in beside those found.

    Most monographs are longer than one chunk. With half of one at hand, a dose may end in mid-line, and a field may
    seem to be unstated that stands in the other half. `chunks_of(document, record)` gives all chunks of a record.
    """
    found = [hit for hit in hits if is_record(hit) and hit.chunk.pages]
    keys = list(dict.fromkeys((hit.document.id, hit.chunk.pages[0]) for hit in found))
    named: list[tuple[tuple[tuple[str, int], list[Hit]], str]] = []
    for key in keys[:_MOST_LOOKED_AT]:
        like = next(hit for hit in found if (hit.document.id, hit.chunk.pages[0]) == key)
        scored = {hit.chunk.id: hit for hit in hits}
        parts = [
            scored.get(c.id) or replace(like, chunk=c, dense_rank=None, lexical_rank=None) for c in chunks_of(*key)
        ]
        if parts and (name := name_asked(question, records(parts)[0], parts)):
            named.append(((key, parts), name))
    whole = dict(chosen for chosen, _ in one_of_each(named, most))
    completed: list[Hit] = []
    for hit in hits:
        record = (hit.document.id, hit.chunk.pages[0] if hit.chunk.pages else 0)
        completed.extend(part for part in whole.get(record, [hit]) if part not in completed)
    return completed


def one_of_each(named: Sequence[tuple[_Named, str]], most: int = MOST_RECORDS) -> list[tuple[_Named, str]]:
    """Of what has the name of a drug beside it, the first of each name, and then the others up to `most`."""
    firsts: list[tuple[_Named, str]] = []
    others: list[tuple[_Named, str]] = []
    for one in named:
        (others if any(one[1] == name for _, name in firsts) else firsts).append(one)
    return (firsts + others)[: max(most, len(firsts))]


def are_monographs(texts: Sequence[str]) -> bool:
    """Whether most of these records consist of fields; other records are ordinary passages."""
    return 2 * sum(len(_FIELD_LINE.findall(text)) >= 2 for text in texts) > len(texts)


def asked_fields(question: str) -> list[str]:
    """The monograph fields a question asks for, in the order of the table; empty if none.

    The words that ask for interactions (吃华法林时不能吃什么药) ask for nothing else.
    """
    rest = _CUES[INTERACTIONS].sub(" ", question)
    return [name for name, cue in _CUES.items() if cue.search(question if name == INTERACTIONS else rest)]


def cue(field: str) -> re.Pattern[str]:
    """The words by which a question asks for the field."""
    return _CUES[field]


def is_record(hit: Hit) -> bool:
    """A passage of a monograph: filed as one, or most of its lines are `field:value` lines of the table."""
    if hit.document.kind == "monographs":
        return True
    lines = [line for line in hit.chunk.text.splitlines() if line.strip()]
    return len(_FIELD_LINE.findall(hit.chunk.text)) >= max(2, len(lines) // 2)


def records(hits: Sequence[Hit]) -> list[Record]:
    """The monographs among the hits, best hit first; the chunks of one are put together in reading order."""
    grouped: dict[tuple[str, int | str], list[int]] = {}
    for index, hit in enumerate(hits):
        if is_record(hit):
            pages = hit.chunk.pages
            grouped.setdefault((hit.document.id, pages[0] if pages else hit.chunk.id), []).append(index)
    return [_record(hits, sorted(group, key=lambda i: hits[i].chunk.position)) for group in grouped.values()]


def _record(hits: Sequence[Hit], group: list[int]) -> Record:
    names: list[str] = []
    lines: list[FieldLine] = []
    previous: Hit | None = None
    for index in group:
        text = hits[index].chunk.text
        if lines and previous is not None and hits[index].chunk.position == previous.chunk.position + 1:
            lines.extend(_continued(hits[index], index, lines[-1].field))
        previous = hits[index]
        first = text.split("\n", 1)[0].strip()
        if hits[index].chunk.heading:
            names.append(hits[index].chunk.heading.split(" › ")[-1].strip())
        elif first and not _FIELD_LINE.match(first) and len(first) <= 40:
            names.append(first)
        lines.extend(_field_lines(text, index))
    for line in lines:
        if line.field in ("英文名", "别名"):
            value = hits[line.index].chunk.text[line.value_start : line.end]
            names.extend(_NAME_SEPARATOR.split(value))
    tidy = [n.strip(" 。.") for name in names for n in (name, _ASIDE.sub("", name))]
    kept = tuple(dict.fromkeys(n for n in tidy if len(n) >= 2))
    return Record(kept[0] if kept else "", kept, tuple(lines), tuple(group))


def _field_lines(text: str, index: int) -> Iterator[FieldLine]:
    found = list(_FIELD_LINE.finditer(text))
    for at, match in enumerate(found):
        end = found[at + 1].start() if at + 1 < len(found) else len(text)
        end = match.start() + len(text[match.start() : end].rstrip())
        value = re.compile(r"\s*").match(text, match.end())
        field = SYNONYMS.get(match.group(1), match.group(1))
        yield FieldLine(field, index, match.start(), end, min(value.end() if value else match.end(), end))


def _continued(hit: Hit, index: int, field: str) -> Iterator[FieldLine]:
    """The rest of a field that the chunk before this one began."""
    text = hit.chunk.text
    name, _, rest = text.partition("\n")
    start = len(text) - len(rest) if rest and hit.chunk.heading.endswith(name.strip()) else 0
    first = _FIELD_LINE.search(text, start)
    end = first.start() if first else len(text)
    end = start + len(text[start:end].rstrip())
    if end > start:
        yield FieldLine(field, index, start, end, start)


def unstated(value: str) -> bool:
    """Blank, or only 尚不明确 and the like."""
    return bool(_UNSTATED.match(value))


def name_asked(question: str, record: Record, hits: Sequence[Hit]) -> str:
    """The name by which the question asks for this record's drug; '' when it asks for another, or for none."""
    forms = "".join(
        hits[line.index].chunk.text[line.start : line.end]
        for line in record.lines
        if line.field in ("剂型", "用法用量")
    )
    for name in sorted(record.names, key=len, reverse=True):
        for found in re.finditer(re.escape(name), question, re.IGNORECASE):
            if stands_alone(question, found.start(), found.end(), forms + name):
                return name
    return ""


def names_asked(question: str, hits: Sequence[Hit]) -> list[str]:
    """The names by which the question asks for the monographs among the hits."""
    found = records(hits)
    return [name for record in found if (name := name_asked(question, record, hits))]


def form_named(question: str, name: str) -> bool:
    """Whether a form follows the name (异丁司特缓释胶囊): the record may then be of several, and says its own name."""
    after = question.lower().partition(name.lower())[2]
    return bool(re.match(_FORM, after))


def is_form(words: str) -> bool:
    """Whether the words name a preparation's form and nothing else: 缓释胶囊, 肠溶."""
    return bool(re.fullmatch(_FORM, words) or re.fullmatch(_FORM, f"{words}片"))


def asks_for_drugs(question: str) -> bool:
    """Whether the drug is what is asked for ('哪些药治缺铁性贫血？'), so that any monograph may answer.

    Asked which drugs go badly with one that is named, it is that one's monograph that answers.
    """
    return bool(_ASKS_FOR_DRUGS.search(question)) and not _CUES[INTERACTIONS].search(question)


def subject(question: str) -> str:
    """What such a question says of the drugs asked for: the words that ask are blanked out."""
    rest = _ASKS_FOR_DRUGS.sub(" ", question)
    for cue in _CUES.values():
        rest = cue.sub(" ", rest)
    return _TREATS.sub(" ", rest)


def stands_alone(question: str, start: int, end: int, forms: str) -> bool:
    """Whether the name at [start, end) is the whole name of the drug; a form after it must be one of its `forms`."""
    before, after = question[:start], question[end:]
    if _JOINED.match(after) or re.search(r"[^\W\d]\s*[/+＋·-]\s*$", before):
        return False
    if not _ends_word(question[start], before[-1:]) or not _ends_word(question[end - 1], after[:1]):
        return False
    left = question[start].isascii() or before[-1:].isascii() or bool(_BEFORE.search(_SALTS.sub("", before)))
    if question[end - 1].isascii():
        return left
    following = _AFTER.match(after)
    if following is None or not left:
        return False
    form = following["form"]
    return form is None or form in forms


def _ends_word(edge: str, beyond: str) -> bool:
    """Latin letters and digits on both sides of an edge are one word: 维生素B|12."""
    return not (edge.isascii() and beyond.isascii() and edge.isalnum() and beyond.isalnum())
