"""Question and hits in, a streamed and cited answer out: Found, then Deltas, then Finished.

A generative model is read in a thread of its own, so that one that hangs costs the reader model_timeout_s and no more.
When it fails in whatever way, its text is withdrawn (Restart says why) and the extractive answer takes its place.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

import structlog

from kb.citations import MarkReader
from kb.errors import ModelError
from kb.extract import ENGINE, Extractor
from kb.model_failures import ModelFailure
from kb.terms import language_of, storable
from kb.types import Answer, AnswerEvent, Delta, Finished, Found, Hit, Language, Restart, Turn

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk, BaseMessage

    from kb.prompts import Prompt
    from kb.statements import StatementReader

ENGINE_AFTER_FAILURE = "extractive (model failed)"
LONGEST_ANSWER = 10
"""An answer may take this many times the timeout in all; an endpoint that drips for ever is slow too."""

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
) -> Iterator[AnswerEvent]:
    """Answer `question` from `hits`: by `model` if given, else by quoting.

    A model's statements are checked before they are shown; with `withhold` what the cited passages do not bear out is
    left out, else it is marked. `engine` names a model that does not name itself (Runnable.name). Closing the iterator
    stops the model. Raises nothing of its own: trouble with the model is told in Restart and in Answer.notice.
    """
    started = time.monotonic()
    hits = tuple(hits)
    quoting = extractor or Extractor()
    yield Found(hits)
    if model is None or not hits:
        yield from _quoted(question, hits, quoting, started)
        return
    name = model.name or engine or type(model).__name__
    try:
        finished = yield from _generated(question, hits, history, model, timeout_s, withhold)
    except ModelError as error:
        _log.warning("model failed", engine=name, error=str(error))
        notice = _what_happened(error, language_of(question))
        yield Restart(notice)
        yield from _quoted(question, hits, quoting, started, engine=ENGINE_AFTER_FAILURE, notice=notice)
        return
    yield Finished(replace(finished, engine=name, seconds=time.monotonic() - started))


def _quoted(
    question: str, hits: tuple[Hit, ...], extractor: Extractor, started: float, engine: str = ENGINE, notice: str = ""
) -> Iterator[AnswerEvent]:
    found = extractor.extract(question, hits)
    yield Delta(found.text)
    yield Finished(replace(found, engine=engine, notice=notice, seconds=time.monotonic() - started))


def _what_happened(error: ModelError, language: Language) -> str:
    cause = error.explain(language) if isinstance(error, ModelFailure) else str(error)
    return _INSTEAD[language].format(cause=cause)


def _generated(
    question: str,
    hits: tuple[Hit, ...],
    history: Sequence[Turn],
    model: BaseChatModel,
    timeout_s: float,
    withhold: bool,
) -> Generator[AnswerEvent, None, Answer]:
    """The model's answer, its marks and statements checked as they come. Raises ModelError."""
    from kb.statements import StatementReader

    prompt = _prompt(question, hits, history, model)
    thoughts = ThoughtReader()
    marks = MarkReader(prompt.passages)
    reader = StatementReader(hits[: prompt.passages], withhold=withhold)
    shown: list[str] = []
    reason = ""
    stream = _Stream(model, list(prompt.messages), timeout_s)
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


def _prompt(question: str, hits: Sequence[Hit], history: Sequence[Turn], model: BaseChatModel) -> Prompt:
    from kb.prompt_formats import APP, word
    from kb.prompts import build_prompt

    limit = getattr(model, "prompt_tokens", None)
    count = getattr(model, "count_tokens", None)
    if limit is None or count is None:
        return build_prompt(question, hits, history)
    return word(question, hits, history, getattr(model, "prompt_format", APP), count=count, limit=limit)


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
    if not citations and not abstained:
        notices.append(_UNCITED[language])
    elif uncited and not abstained:
        notices.append(_SOME_UNCITED[language].format(n=uncited))
    if cut_short:
        notices.append(_LENGTH[language])
    return Answer(text, citations, abstained, "", hits, " ".join(notices), statements=() if abstained else statements)


class ThoughtReader:
    """Takes a reasoning model's leading <think>...</think> out of the stream, and white space before the answer."""

    _OPEN, _CLOSE = "<think>", "</think>"

    def __init__(self) -> None:
        self._held = ""
        self._answering = False

    def feed(self, piece: str) -> str:
        """What of the answer can be shown now."""
        if self._answering:
            return piece
        self._held = (self._held + piece).lstrip()
        if self._held.startswith(self._OPEN):
            _, closed, self._held = (
                self._held.partition(self._CLOSE) if self._CLOSE in self._held else ("", "", self._held)
            )
            return self.feed("") if closed else ""
        if self._OPEN.startswith(self._held):
            return ""
        self._answering = True
        return self._held

    def close(self) -> str:
        """What was held back as a possible beginning of a thought; an unfinished thought is no answer."""
        return "" if self._answering or self._held.startswith(self._OPEN) else self._held


class _Stream:
    """The chunks of `model.stream(messages)`, read in a thread so that waiting for the next one can end in time.

    As a context manager around that thread's work it passes whatever went wrong there to the reader: any failure
    of any engine behind the seam must end in the extractive answer, never in a dead page.
    """

    def __init__(self, model: BaseChatModel, messages: list[BaseMessage], timeout_s: float) -> None:
        self.name = model.name or type(model).__name__
        self._model = model
        self._messages = messages
        self._timeout_s = timeout_s
        self._queue: queue.SimpleQueue[AIMessageChunk | BaseException | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self.thread = threading.Thread(target=self._read, name="vademecum-answer", daemon=True)

    def __iter__(self) -> Iterator[AIMessageChunk]:
        self.thread.start()
        longest = LONGEST_ANSWER * self._timeout_s
        deadline = time.monotonic() + longest
        while True:
            try:
                item = self._queue.get(timeout=self._timeout_s)
            except queue.Empty:
                raise ModelFailure("slow", self.name, f"{self._timeout_s:g}") from None
            if time.monotonic() > deadline:
                raise ModelFailure("endless", self.name, f"{longest:g}")
            if item is None:
                return
            if isinstance(item, ModelError):
                raise item
            if isinstance(item, BaseException):
                raise ModelFailure("broke", self.name, f"{type(item).__name__}: {item}") from item
            yield item

    def stop(self) -> None:
        """Have the thread close the model's stream at its next chunk."""
        self._stopped.set()

    def _read(self) -> None:
        from langsmith import tracing_context

        # Whatever LANGSMITH_* variables say, no question is sent to a tracing service.
        with self, tracing_context(enabled=False):
            chunks = self._model.stream(self._messages)
            for chunk in chunks:
                if self._stopped.is_set():
                    break
                self._queue.put(chunk)
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._queue.put(error)
        return True
