"""Small honest fakes of the seams, builders of values, and the contracts that every engine must pass.

A fake here does what the real thing does, only simpler: the embedder gives real unit vectors, the model really streams.
Contracts are classes to subclass in tests/contracts; nothing here imports pytest or is imported by the product.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, PrivateAttr

from kb.answer import answer
from kb.embed import Embedder
from kb.extract import Extractor
from kb.terms import language_of
from kb.types import Answer, Box, Chunk, Delta, Document, DocumentKind, Finished, Found, Hit, Language, Restart, Span

_WORD = re.compile(r"[A-Za-z0-9]+|[\u3400-\u9fff]")


def make_document(title: str = "Handbook", *, kind: DocumentKind = "pdf", file: str = "") -> Document:
    """A ready document named by its title."""
    sha256 = hashlib.sha256(title.encode()).hexdigest()
    return Document(
        id=sha256[:16], sha256=sha256, file=file or f"{title}.{kind}", title=title, kind=kind, bytes=1, state="ready"
    )


def make_hit(
    text: str,
    *,
    title: str = "Handbook",
    heading: str = "",
    page: int = 1,
    position: int = 0,
    kind: DocumentKind = "pdf",
    spans: Sequence[Span] | None = None,
    score: float = 1.0,
) -> Hit:
    """A hit on one chunk. Unless `spans` are given, each line of `text` gets a span with a box of its own on `page`."""
    document = make_document(title, kind=kind)
    chunk = Chunk(
        id=hashlib.sha256(f"{document.id}/{position}/{text}".encode()).hexdigest()[:16],
        document=document.id,
        position=position,
        text=text,
        heading=heading,
        spans=tuple(spans) if spans is not None else line_spans(text, page),
        language=language_of(text),
        tokens=len(_WORD.findall(text)),
    )
    return Hit(chunk, document, score)


def line_spans(text: str, page: int = 1) -> tuple[Span, ...]:
    """A span for each line of `text`, its box 10 points high, from the top of a 800-point page down."""
    spans: list[Span] = []
    start = 0
    for number, line in enumerate(text.split("\n")):
        top = 800.0 - 12 * number
        box: Box = (50.0, top - 10, 50.0 + 5 * len(line), top)
        spans.append(Span(start, start + len(line), page, (box,)))
        start += len(line) + 1
    return tuple(spans)


class HashEmbedder(Embedder):
    """Unit vectors seeded by the hash of each word, summed: texts that share words are near, and always the same."""

    def __init__(
        self, dimension: int = 64, *, languages: frozenset[Language] | None = None, max_tokens: int = 256
    ) -> None:
        self.dimension = dimension
        self.languages = languages
        self.max_tokens = max_tokens
        self.key = f"hash-{dimension}"

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(_WORD.findall(text)) for text in texts]

    def encode(self, texts: Sequence[str], *, question: bool = False, urgent: bool = False) -> np.ndarray:
        rows = [self._vector(_WORD.findall(text.lower())[: self.max_tokens] or [text]) for text in texts]
        return np.stack(rows).astype(np.float32) if rows else np.zeros((0, self.dimension), np.float32)

    def _vector(self, words: Sequence[str]) -> np.ndarray:
        total = np.zeros(self.dimension)
        for word in words:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            total += np.random.default_rng(seed).standard_normal(self.dimension)
        return np.asarray(total / np.linalg.norm(total))


class ScriptedModel(BaseChatModel):
    """A chat model that streams the pieces it was given, then fails or stops as told, and keeps what it was asked."""

    pieces: list[str]
    wait_s: float = 0.0
    """Before each piece."""
    fails_with: BaseException | None = None
    """Raised after the pieces."""
    hangs_s: float = 0.0
    """Silence after the pieces, in one blocking call that nothing can interrupt."""
    finish_reason: str = "stop"
    _asked: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _closed: threading.Event = PrivateAttr(default_factory=threading.Event)

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @property
    def asked(self) -> list[list[BaseMessage]]:
        """The messages of each call."""
        return self._asked

    @property
    def closed(self) -> threading.Event:
        """Set when a stream has ended, however it ended."""
        return self._closed

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop=stop, run_manager=run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        self._asked.append(list(messages))
        self._closed.clear()
        try:
            for piece in self.pieces:
                time.sleep(self.wait_s)
                yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
            time.sleep(self.hangs_s)
            if self.fails_with is not None:
                raise self.fails_with
            yield ChatGenerationChunk(
                message=AIMessageChunk(content=""), generation_info={"finish_reason": self.finish_reason}
            )
        finally:
            self._closed.set()


class AnsweringContract:
    """What every way of answering must keep, whatever the model says. Subclass it and give `model`."""

    timeout_s = 30.0

    def model(self) -> BaseChatModel | None:
        """The engine under test; None for the extractive one."""
        raise NotImplementedError

    def hits(self) -> list[Hit]:
        """Passages that answer `question`."""
        return [
            make_hit("Metformin is taken with meals. The maximum daily dose is 2550 mg.", title="Metformin", page=3),
            make_hit("Ibuprofen may cause stomach bleeding. The maximum is 1200 mg a day.", title="Ibuprofen", page=7),
        ]

    question = "What is the maximum daily dose of metformin?"

    def events(self, hits: Sequence[Hit] | None = None) -> list[Found | Delta | Restart | Finished]:
        given = self.hits() if hits is None else hits
        return list(answer(self.question, given, model=self.model(), extractor=Extractor(), timeout_s=self.timeout_s))

    def test_events_come_in_order(self) -> None:
        """Lost: the page shows an answer before its passages, or never stops waiting."""
        events = self.events()
        assert isinstance(events[0], Found)
        assert isinstance(events[-1], Finished)
        assert not any(isinstance(event, Found | Finished) for event in events[1:-1])

    def test_deltas_are_the_answer(self) -> None:
        """Lost: the text on the screen differs from the one that is stored and audited."""
        events = self.events()
        restarts = [at for at, event in enumerate(events) if isinstance(event, Restart)]
        shown = "".join(event.text for event in events[restarts[-1] if restarts else 0 :] if isinstance(event, Delta))
        assert shown == self._answer(events).text

    def test_citations_can_be_looked_up(self) -> None:
        """Lost: a click on a citation opens the wrong page, or text that is not there."""
        hits = self.hits()
        found = self._answer(self.events(hits))
        for citation in found.citations:
            hit = hits[citation.n - 1]
            assert citation.chunk_id == hit.chunk.id
            assert citation.quote
            assert citation.quote in hit.chunk.text
            assert citation.page in hit.chunk.pages
            assert citation.boxes
        cited = {citation.n for citation in found.citations}
        assert {int(n) for n in re.findall(r"\[(\d{1,3})\]", found.text)} == cited

    def test_nothing_found_is_said(self) -> None:
        """Lost: an answer from thin air when the library holds nothing on the subject."""
        found = self._answer(self.events([]))
        assert found.abstained
        assert not found.citations
        assert found.text

    def test_the_engine_is_named(self) -> None:
        """Lost: nobody can tell who worded an answer."""
        assert self._answer(self.events()).engine

    @staticmethod
    def _answer(events: Sequence[object]) -> Answer:
        last = events[-1]
        assert isinstance(last, Finished)
        return last.answer
