"""Question and hits in, a streamed and cited answer out: Found, then Deltas, then Finished.

A model's statements are checked before they are shown (kb.statements). When it fails in whatever way, its text is
withdrawn (Restart says why) and the extractive answer takes its place. What needs no library gets a short reply.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from kb.citations import MarkReader
from kb.errors import ModelError
from kb.extract import Extractor
from kb.intent import REPLIES
from kb.model_failures import ModelFailure
from kb.model_stream import ModelStream, ThoughtReader
from kb.plan import Plan
from kb.terms import language_of, storable
from kb.types import Answer, AnswerEvent, Delta, Finished, Found, Hit, Intent, Language, Restart, Turn

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from kb.prompts import Prompt
    from kb.statements import StatementReader

ENGINE_RULES = "rules"
"""Who words a reply that needs no library."""
ENGINE_AFTER_FAILURE = "extractive (model failed)"
_INSTEAD: dict[Language, str] = {
    "zh": "{cause}以下改为直接摘录原文。",
    "en": "{cause} What follows is quoted from the documents instead.",
}
_WITHHELD: dict[Language, str] = {
    "zh": "有 {n} 句含有所引文段中没有的内容（数字、单位、药名或否定），已略去，以 […] 标出。",
    "en": "{n} of its sentences held something that the cited passages do not (a number, a unit, a drug's name, "
    "a 'not') and were left out; […] stands where they stood.",
}
_MARKED: dict[Language, str] = {
    "zh": "有 {n} 句含有所引文段中没有的内容（数字、单位、药名或否定），已在句末注明。",
    "en": "{n} of its sentences hold something that the cited passages do not (a number, a unit, a drug's name, "
    "a 'not'); this is said behind them.",
}
_SOME_UNCITED: dict[Language, str] = {
    "zh": "有 {n} 句没有标注出处。",
    "en": "{n} of its sentences cite nothing.",
}
_UNCITED: dict[Language, str] = {
    "zh": "这个回答没有标注任何出处，请对照下面的文段核实。",
    "en": "Nothing in this answer is cited. Check it against the passages below.",
}
_UNKNOWN_MARKS: dict[Language, str] = {
    "zh": "回答引用了不存在的文段 {numbers}，这些标记已去掉。",
    "en": "The answer cited passages that do not exist ({numbers}); those marks were taken out.",
}
_LENGTH: dict[Language, str] = {
    "zh": "回答达到长度上限（max_new_tokens），可能不完整。",
    "en": "The answer reached its length limit (max_new_tokens) and may be incomplete.",
}

_log = structlog.get_logger("vademecum")


def answer(
    question: str,
    hits: Sequence[Hit],
    *,
    history: Sequence[Turn] = (),
    model: BaseChatModel | None = None,
    engine: str = "",
    extractor: Extractor | None = None,
    timeout_s: float = 60.0,
    withhold: bool = True,
    plan: Plan | None = None,
) -> Generator[AnswerEvent, None, None]:
    """Answer `question` from `hits`: by `model` if given, else by quoting. `plan` is what the hits were searched by.

    A model's statements are checked before they are shown; with `withhold` what the cited passages do not bear out is
    left out, else it is marked. `engine` names a model that does not name itself (Runnable.name). Closing the iterator
    stops the model. Raises nothing of its own: trouble with the model is told in Restart and in Answer.notice.
    """
    started = time.monotonic()
    hits = tuple(hits)
    plan = plan or Plan(question)
    searched_as = plan.search if plan.search != question else ""
    yield Found(hits, searched_as)
    finished = yield from _answered(
        question, hits, plan, history, model, engine, extractor or Extractor(), timeout_s, withhold
    )
    seconds = time.monotonic() - started
    yield Finished(replace(finished, searched_as=searched_as, thought=plan.thought, seconds=seconds))


def reply(question: str, intent: Intent) -> Iterator[AnswerEvent]:
    """The short reply to what needs no library; `intent` is not 'library'."""
    text = REPLIES[intent][language_of(question)]
    yield Found(())
    yield Delta(text)
    declined = intent in ("off_topic", "harmful")
    yield Finished(Answer(text, (), declined, ENGINE_RULES, (), intent=intent))


def _answered(
    question: str,
    hits: tuple[Hit, ...],
    plan: Plan,
    history: Sequence[Turn],
    model: BaseChatModel | None,
    engine: str,
    quoting: Extractor,
    timeout_s: float,
    withhold: bool,
) -> Generator[AnswerEvent, None, Answer]:
    alone = plan.search or question
    if model is None or (not hits and plan.search):
        return (yield from _quoted(quoting.extract(alone, hits)))
    name = model.name or engine or type(model).__name__
    try:
        found = yield from _generated(question, hits, plan, history, model, timeout_s, withhold)
    except ModelError as error:
        _log.warning("model failed", engine=name, error=str(error))
        if not plan.search:
            yield Restart("")
            text = REPLIES["about"][language_of(question)]
            return (yield from _quoted(Answer(text, (), False, ENGINE_RULES, (), intent="about")))
        notice = _what_happened(error, language_of(question))
        yield Restart(notice)
        instead = replace(quoting.extract(alone, hits), engine=ENGINE_AFTER_FAILURE, notice=notice)
        return (yield from _quoted(instead))
    return replace(found, engine=name)


def _quoted(found: Answer) -> Generator[AnswerEvent, None, Answer]:
    yield Delta(found.text)
    return found


def _what_happened(error: ModelError, language: Language) -> str:
    cause = error.explain(language) if isinstance(error, ModelFailure) else str(error)
    return _INSTEAD[language].format(cause=cause)


def _generated(
    question: str,
    hits: tuple[Hit, ...],
    plan: Plan,
    history: Sequence[Turn],
    model: BaseChatModel,
    timeout_s: float,
    withhold: bool,
) -> Generator[AnswerEvent, None, Answer]:
    """The model's answer, its marks and statements checked as they come. Raises ModelError."""
    from kb.statements import StatementReader

    prompt = _prompt(question, hits, plan, history, model)
    thoughts = ThoughtReader()
    marks = MarkReader(prompt.passages)
    reader = StatementReader(hits[: prompt.passages], withhold=withhold)
    shown: list[str] = []
    reason = ""
    stream = ModelStream(model, list(prompt.messages), timeout_s)
    try:
        for chunk in stream:
            reason = str(chunk.response_metadata.get("finish_reason") or reason)
            if text := reader.feed(marks.feed(thoughts.feed(storable(str(chunk.text))))):
                shown.append(text)
                yield Delta(text)
    finally:
        stream.stop()
    if rest := reader.feed(marks.feed(thoughts.close()) + marks.close()) + reader.close():
        shown.append(rest)
        yield Delta(rest)
    text = "".join(shown)
    if not text.strip():
        raise ModelFailure("empty", stream.name)
    if reader.withheld and not any(statement.shown for statement in reader.statements):
        raise ModelFailure("unsupported", stream.name)
    return _checked(question, text, marks, reader, hits, cut_short=reason == "length")


def _prompt(question: str, hits: Sequence[Hit], plan: Plan, history: Sequence[Turn], model: BaseChatModel) -> Prompt:
    from kb.prompt_formats import APP, word
    from kb.prompts import Prompt, build_prompt, build_reply_prompt

    if not plan.search:
        return Prompt(build_reply_prompt(question, history), 0)
    limit = getattr(model, "prompt_tokens", None)
    count = getattr(model, "count_tokens", None)
    if limit is None or count is None:
        return build_prompt(question, hits, history, plan.thought)
    form = getattr(model, "prompt_format", APP)
    asked = question if form == APP else plan.search  # the short format shows no conversation
    return word(asked, hits, history, form, count=count, limit=limit, thought=plan.thought)


def _checked(
    question: str, text: str, marks: MarkReader, reader: StatementReader, hits: tuple[Hit, ...], *, cut_short: bool
) -> Answer:
    from kb.prompts import says_not_mentioned

    language = language_of(question)
    citations, statements = tuple(reader.citations), tuple(reader.statements)
    abstained = says_not_mentioned(text) and (not citations or len(statements) == 1)
    uncited = sum(one.support == "uncited" and not says_not_mentioned(one.text) for one in statements)
    notices: list[str] = []
    if marks.unknown:
        notices.append(_UNKNOWN_MARKS[language].format(numbers=" ".join(f"[{n}]" for n in marks.unknown)))
    for template, n in ((_WITHHELD, reader.withheld), (_MARKED, reader.marked)):
        if n:
            notices.append(template[language].format(n=n))
    if not hits:
        return Answer(text, (), False, "", (), " ".join(notices), statements=statements, intent="about")
    if not citations and not abstained:
        notices.append(_UNCITED[language])
    elif uncited and not abstained:
        notices.append(_SOME_UNCITED[language].format(n=uncited))
    if cut_short:
        notices.append(_LENGTH[language])
    return Answer(text, citations, abstained, "", hits, " ".join(notices), statements=() if abstained else statements)
