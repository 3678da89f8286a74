"""A model's text as it comes, its thoughts taken out.

It is read in a thread, so that a model that hangs costs the reader model_timeout_s and no more. Whatever goes wrong in
the model, it ends here as a ModelError that says what.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from kb.errors import ModelError
from kb.model_failures import ModelFailure
from kb.terms import storable

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk, BaseMessage

LONGEST_ANSWER = 10
"""An answer may take this many times the timeout in all; an endpoint that drips for ever is slow too."""


def whole_reply(model: BaseChatModel, messages: Sequence[BaseMessage], timeout_s: float) -> str:
    """All that the model says, its leading <think>...</think> left out. Raises ModelError."""
    stream = ModelStream(model, list(messages), timeout_s)
    thoughts = ThoughtReader()
    try:
        pieces = [thoughts.feed(storable(str(chunk.text))) for chunk in stream]
    finally:
        stream.stop()
    return "".join([*pieces, thoughts.close()])


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


class ModelStream:
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
