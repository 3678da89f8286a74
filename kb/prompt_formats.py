"""How a model was taught to be asked: question and hits in, the prompt in that model's own format out.

A model tuned on one wording answers badly in another, and a small one not at all, so the format a model was trained
with travels in its lineage and is used to ask it. `app` is kb.prompts, whose passages the model cites itself. `short`
is for models too small for a page of rules: single fields of monographs and the question, no marks; the passage that
holds a sentence word for word is cited for it (`ShortMarks`). `named` is asked the same way, but each drug is called by
a letter (`lettered`), and its reply begins with the drug and the field that it reads, which is checked and taken off
(`NamedMarks`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from kb import records
from kb.errors import UsageError
from kb.prompts import Prompt, fit_prompt, harmless, says_not_mentioned
from kb.sentences import sentence_spans
from kb.terms import language_of
from kb.types import Hit, Language, Turn

Style = Literal["app", "short", "named"]
ContextKind = Literal["passages", "fields", "none"]

SHORT_SYSTEM: dict[Language, str] = {
    "zh": "根据资料回答问题；资料中没有答案时回答：文本中未提及。",
    "en": "Answer from the passages; if they do not say, answer: Not mentioned in the documents.",
}
MOST_FIELDS = 4
_SHOWN = "vademecum_passages"
_ASKED = "vademecum_question"
_STOPS = "。；;！!？?"
LETTERS = "ⒶⒷⒸⒹⒺⒻⒼⒽ"
"""What drugs are called in the named format, one token each."""


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """The wording, and what stands in it for the passages."""

    style: Style = "app"
    contexts: ContextKind = "passages"

    def __str__(self) -> str:
        return f"{self.style}/{self.contexts}"

    @staticmethod
    def parse(text: str) -> PromptFormat:
        """The format of that name. Raises UsageError for one this version does not know."""
        found = next((form for form in KNOWN if str(form) == text), None)
        if found is None:
            known = ", ".join(map(str, KNOWN))
            raise UsageError(
                f"Prompt format {text!r} is unknown here, so a model taught with it cannot be asked. Known: {known}."
            )
        return found


APP = PromptFormat()
KNOWN = (
    APP,
    PromptFormat("short", "passages"),
    PromptFormat("short", "fields"),
    PromptFormat("named", "fields"),
)
Count = Callable[[list[BaseMessage]], int]


def word(
    question: str,
    hits: Sequence[Hit],
    history: Sequence[Turn],
    form: PromptFormat,
    *,
    count: Count,
    limit: int,
    thought: str = "",
) -> Prompt:
    """The prompt in the format, within `limit` tokens as `count` counts them. Only the app's knows a `thought`."""
    if form == APP:
        return fit_prompt(question, hits, history, count=count, limit=limit, thought=thought)
    shown = single_fields(question, hits) if form.contexts == "fields" else list(enumerate(hits, 1))
    if form.style == "named":
        shown = shown[: len(LETTERS)]
    names = records.names_asked(question, hits) if form.style == "named" else ()
    while True:
        prompt = Prompt(short_messages(question, shown, form.style, names), len(hits))
        if len(shown) <= 1 or count(list(prompt.messages)) <= limit:
            return prompt
        shown.pop()


def short_messages(
    question: str, shown: Sequence[tuple[int, Hit]], style: Style, names: Collection[str] = ()
) -> tuple[BaseMessage, ...]:
    """The short wording. Passages are numbered as they stand; which hit each one is goes along unseen."""
    texts = [hit.chunk.text for _, hit in shown]
    language, fields = language_of(question), records.asked_fields(question)
    question, texts = called(question, texts, style, names)
    about = {
        _SHOWN: [[n, text] for (n, _), text in zip(shown, texts, strict=True)],
        _ASKED: [[letter for letter in LETTERS if letter in question], fields],
    }
    return (
        SystemMessage(SHORT_SYSTEM[language]),
        HumanMessage(short_text(question, [harmless(text) for text in texts]), additional_kwargs=about),
    )


def short_text(question: str, passages: Sequence[str]) -> str:
    """What the user says in the short wording."""
    return "\n".join([*(f"[{n}] {text}" for n, text in enumerate(passages, 1)), question])


def short_chat(question: str, passages: Sequence[str], language: Language) -> list[dict[str, str]]:
    """The short wording as a dataset's rows have it; the answer follows."""
    return [
        {"role": "system", "content": SHORT_SYSTEM[language]},
        {"role": "user", "content": short_text(question, passages)},
    ]


def called(question: str, passages: Sequence[str], style: Style, names: Collection[str] = ()) -> tuple[str, list[str]]:
    """Question and passages with drugs called as the style calls them: by letters in `named`, else by their names."""
    return lettered(question, passages, names) if style == "named" else (question, list(passages))


def letters_of(passages: Sequence[str]) -> dict[str, str]:
    """The letter of each drug that these single fields are headed by, in the order in which they stand."""
    headed = dict.fromkeys(heading[0] for heading in map(_heading, passages) if heading)
    return dict(zip(headed, LETTERS, strict=False))


def lettered(question: str, passages: Sequence[str], names: Collection[str] = ()) -> tuple[str, list[str]]:
    """The same question and single fields with letters in place of the drugs' names.

    So a small model need not tell 归肾丸 from 安肾丸, nor can it answer from what it remembers of a drug: which name is
    whose is told by code (Hermann et al., "Teaching Machines to Read and Comprehend", 2015). A heading `X（Y）` names
    one drug twice. `names` are known to be asked for; others are replaced where they stand alone, and a name that two
    headings bear is not replaced. Passages that are no single fields of a monograph stay as they are.
    """
    letters = letters_of(passages)
    bearers: dict[str, set[str]] = {}
    for heading in letters:
        for name in _names(heading):
            bearers.setdefault(name, set()).add(heading)
    for name in sorted(bearers, key=len, reverse=True):
        if len(bearers[name]) > 1:
            continue
        (heading,) = bearers[name]
        forms = name + "".join(one for one in passages if one.startswith(heading))
        for found in reversed(list(re.finditer(re.escape(name), question, re.IGNORECASE))):
            if name in names or records.stands_alone(question, *found.span(), forms):
                question = question[: found.start()] + letters[heading] + question[found.end() :]
    return question, [_headed(passage, letters) for passage in passages]


def _heading(passage: str) -> tuple[str, str] | None:
    """Drug and field of a single field of a monograph."""
    found = split_field(passage)
    return found[:2] if found and found[1] in records.IN_ENGLISH else None


def _names(heading: str) -> list[str]:
    """`X（Y）` is called that, X, and Y."""
    own, bracket, other = heading.partition("（")
    parts = (own, other.removesuffix("）")) if bracket and heading.endswith("）") else ()
    return [heading, *(part for part in parts if len(part) > 1)]


def _headed(passage: str, letters: Mapping[str, str]) -> str:
    name, field, value = split_field(passage) or ("", "", "")
    return field_text(letters[name], field, value) if name in letters and _heading(passage) else passage


class ShortMarks:
    """Puts the marks into a short-format answer as it comes: behind each sentence, of the passage that holds it.

    The model itself cites nothing. A sentence earns a mark by standing word for word in a passage it was shown, after
    the sentences before it. While several passages hold the same words these are held back until one remains. A
    sentence that stands nowhere gets none.
    """

    def __init__(self, messages: Sequence[BaseMessage]) -> None:
        self._passages = [(n, _plain(text)) for n, text in _shown(messages)]
        self._held = ""
        self._run = ""  # what was said so far of the passage under way, without spaces

    def feed(self, piece: str) -> str:
        """What can be shown now."""
        self._held += piece
        return self._read(final=False)

    def close(self) -> str:
        """The rest, when the answer has ended."""
        return self._read(final=True)

    def _read(self, *, final: bool) -> str:
        ends = [end for _, end in sentence_spans(self._held)]
        if not final:
            ends = ends[:-1]  # the last one may go on
        shown: list[str] = []
        pending: list[str] = []
        holding: list[int] = []
        begin = done = 0
        for end in ends:
            sentence = self._held[begin:end]
            holders = self._holders(self._run + _plain("".join([*pending, sentence])))
            if not holders:
                shown += _marked(pending, holding)
                pending, done, self._run = [], begin, ""
                holders = self._holders(_plain(sentence))
            pending.append(sentence)
            holding, begin = holders, end
            if len(holders) < 2:
                self._run = self._run + _plain("".join(pending)) if holders else ""
                shown += _marked(pending, holders)
                pending, done = [], end
        if final:
            shown += [*_marked(pending, holding), self._held[begin:]]
            done = len(self._held)
        self._held = self._held[done:]
        return "".join(shown)

    def _holders(self, text: str) -> list[int]:
        return [n for n, passage in self._passages if text and text in passage]


class NamedMarks:
    """Reads an answer that begins with the drug's letter and the field it reads, as the passage does (`field_text`).

    That beginning is never shown, and nothing is before the answer has ended. It is shown, each sentence cited, if it
    is whole sentences of the passage it names, word for word, and that is of the one drug and a field that the question
    asks for; so is a plain decline. Anything else was read in the wrong place or nowhere, or breaks off in the middle
    of a dose, and gives no answer at all.
    """

    def __init__(self, messages: Sequence[BaseMessage]) -> None:
        self._passages = _shown(messages)
        self._letters, self._fields = _asked(messages)
        self._said = ""

    def feed(self, piece: str) -> str:
        """Nothing yet."""
        self._said += piece
        return ""

    def close(self) -> str:
        """The answer with its marks, a decline, or nothing."""
        name, field, value = split_field(self._said) or ("", "", self._said)
        value = value.strip()
        if says_not_mentioned(value) and len(list(sentence_spans(value))) == 1:
            return value
        if [name] != self._letters or (self._fields and field not in self._fields):
            return ""
        start = _plain(field_text(name, field, ""))
        for n, text in self._passages:
            if _plain(text).startswith(start) and _is_whole(_plain(value), _plain(text)[len(start) :]):
                return "".join(_marked([value[a:b] for a, b in sentence_spans(value)], [n]))
        return ""


def _is_whole(said: str, told: str) -> bool:
    """Whether `said` is one or more whole sentences of `told`."""
    for found in re.finditer(re.escape(said), told) if said else ():
        before, after = told[: found.start()], told[found.end() :]
        if (not before or before[-1] in _STOPS) and (not after or said[-1] in _STOPS or after[0] in _STOPS):
            return True
    return False


def marks_of(form: PromptFormat, messages: Sequence[BaseMessage]) -> ShortMarks | NamedMarks | None:
    """What reads an answer in that format; None where the model cites by itself."""
    if form.style == "named":
        return NamedMarks(messages)
    return ShortMarks(messages) if form.style == "short" else None


def _marked(sentences: Sequence[str], holders: Sequence[int]) -> list[str]:
    return [f"{sentence} [{holders[0]}]" if holders else sentence for sentence in sentences]


def _shown(messages: Sequence[BaseMessage]) -> list[tuple[int, str]]:
    for message in reversed(messages):
        if found := message.additional_kwargs.get(_SHOWN):
            return [(int(n), str(text)) for n, text in found]
    return []


def _asked(messages: Sequence[BaseMessage]) -> tuple[list[str], list[str]]:
    """The letters that stand in the question, and the fields it asks for."""
    for message in reversed(messages):
        if found := message.additional_kwargs.get(_ASKED):
            letters, fields = found
            return list(letters), list(fields)
    return [], []


def _plain(text: str) -> str:
    return "".join(text.split())


# -- single fields ---------------------------------------------------------------------------------------------------


def single_fields(question: str, hits: Sequence[Hit], *, most: int = MOST_FIELDS) -> list[tuple[int, Hit]]:
    """(number of the hit, the hit cut down to one field): as such a model has learned to be shown them.

    First what the question asks for, of the drug it names; then that field of other drugs and other fields of its own.
    Hits that are single fields already, and those that are no monographs, stay as they are.
    """
    found = records.records(hits)
    lines = Counter(line.index for record in found for line in record.lines)
    if not found or max(lines.values(), default=0) <= 1:
        return list(enumerate(hits, 1))
    asked = set(records.asked_fields(question))
    named = {id(record): records.name_asked(question, record, hits) for record in found}
    wanted: list[tuple[int, Hit]] = []
    beside: list[tuple[int, Hit]] = []
    for record in found:
        name = named[id(record)]
        for field in dict.fromkeys(line.field for line in record.lines):
            own = [line for line in record.lines if line.field == field]
            title = record.name if name in ("", record.name) else f"{record.name}（{name}）"
            cut = (own[0].index + 1, _cut(title, field, own, hits))
            if name and field in asked:
                wanted.append(cut)
            elif name or field in asked:
                beside.append(cut)
    return [*wanted, *beside][:most]


def _cut(title: str, field: str, lines: Sequence[records.FieldLine], hits: Sequence[Hit]) -> Hit:
    values = [hits[line.index].chunk.text[line.value_start : line.end].strip() for line in lines]
    hit = hits[lines[0].index]
    return replace(hit, chunk=replace(hit.chunk, text=field_text(title, field, "\n".join(values))))


def field_text(name: str, field: str, value: str) -> str:
    """One field of a monograph as a passage of its own."""
    return f"{name}\n{field}:{value}"


def split_field(text: str) -> tuple[str, str, str] | None:
    """(name, field, value) of such a passage; None if it is none."""
    name, _, rest = text.partition("\n")
    field, colon, value = rest.partition(":")
    return (name, field, value) if colon and name and field and "\n" not in field else None


def format_of(lineage: Mapping[str, Any]) -> PromptFormat | None:
    """The format that a model's lineage or a dataset's manifest states; None if it states none, or an unknown one."""
    stated = lineage.get("prompt_format")
    plan = lineage.get("plan")
    if not stated and isinstance(plan, Mapping):
        contexts = plan.get("contexts")
        stated = f"{plan.get('style')}/{contexts.get('kind') if isinstance(contexts, Mapping) else ''}"
    return next((form for form in KNOWN if str(form) == stated), None)
