"""OpenAI's interface to the library: chat completions (whole or streamed), models, embeddings.

The last user message is the question, earlier turns its history; system messages and sampling settings are ignored,
because the answer is made from the documents. What OpenAI's format has no place for (citations, abstention, engine,
notice, the answer's id) stands in the field `vademecum` of the answer, or of the stream's last choice-bearing piece.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kb.access import Permission, Principal, require
from kb.commands import citation_json, hit_json
from kb.errors import KBError, QuestionError
from kb.retrieve import check_question
from kb.service import Asking, Service
from kb.types import Answer, AnswerEvent, Delta, Finished, Restart, Turn
from ui.places import Places
from ui.refusals import body_of, status_of

MODEL: Final = "vademecum"
EXTRACTIVE: Final = "vademecum-extractive"
_MESSAGES = 200
_CONTENT_CHARS = 100_000
_INPUTS = 64
_INPUT_CHARS = 20_000


class Part(BaseModel):
    """A part of a message; only text is understood."""

    type: str
    text: str = Field("", max_length=_CONTENT_CHARS)


class Message(BaseModel):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = Field("", max_length=_CONTENT_CHARS)

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            if any(part.type != "text" for part in self.content):
                raise QuestionError("A message holds something other than text. Only text is understood.")
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class Where(BaseModel):
    """Where to look; the extension field `vademecum` of a request."""

    documents: list[str] = Field(default=[], max_length=100, description="Only in these documents (ids).")
    collection: str = Field(default="", max_length=300, description="Only in documents of this collection.")
    as_of: str = Field(default="", max_length=10, description="Only what was in force on that day.")


class StreamOptions(BaseModel):
    """OpenAI's."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """OpenAI's request; what is not named here is taken and ignored."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(MODEL, max_length=100)
    messages: list[Message] = Field(min_length=1, max_length=_MESSAGES)
    stream: bool = False
    stream_options: StreamOptions | None = None
    vademecum: Where = Field(default_factory=Where)


class EmbeddingRequest(BaseModel):
    """OpenAI's request."""

    model_config = ConfigDict(extra="allow")

    input: str | list[str] = Field(max_length=_INPUT_CHARS)
    model: str = Field("", max_length=200)
    encoding_format: Literal["float", "base64"] = "float"


def openai_routes(service: Service, places: Places) -> APIRouter:
    """The routes, for the app to mount."""
    router = APIRouter(prefix="/v1", tags=["openai"])
    created = int(time.time())

    @router.get("/models")
    def models(request: Request) -> dict[str, Any]:
        require(request.state.principal, Permission.ASK)
        data = [
            {"id": name, "object": "model", "created": created, "owned_by": "vademecum"} for name in (MODEL, EXTRACTIVE)
        ]
        return {"object": "list", "data": data}

    @router.post("/chat/completions", response_model=None)
    async def chat(request: Request, asked: ChatRequest) -> Response:
        """Answer the last user message from the documents."""
        if asked.model not in (MODEL, EXTRACTIVE):
            message = f"There is no model '{asked.model}'. Models are {MODEL} and {EXTRACTIVE}."
            return JSONResponse(body_of("/v1/", message, "invalid_request_error", "model_not_found"), 404)
        question, history = conversation_of(asked.messages)
        check_question(question, service.kb.settings.max_question_chars)
        me: Principal = request.state.principal
        completion = Completion(service, asked, question, history)
        events = places.each(lambda: completion.begin(me))
        if not asked.stream:
            async for event in events:
                completion.note(event)
            return JSONResponse(completion.whole())
        first = await anext(events)  # so that a refusal still has its status
        return StreamingResponse(completion.stream(first, events), media_type="text/event-stream", headers=_STREAMED)

    @router.post("/embeddings", response_model=None)
    async def embeddings(request: Request, asked: EmbeddingRequest) -> JSONResponse:
        """Vectors of the library's own embedder (texts in, unit vectors out)."""
        require(request.state.principal, Permission.ASK)
        texts = [asked.input] if isinstance(asked.input, str) else asked.input
        if not 0 < len(texts) <= _INPUTS or any(not text or len(text) > _INPUT_CHARS for text in texts):
            raise QuestionError(f"Send 1 to {_INPUTS} texts of 1 to {_INPUT_CHARS:,} characters.")
        embedder = service.kb.embedder
        matrix = await places.run(lambda: embedder.encode(texts, urgent=True))
        used = sum(embedder.count_tokens(texts))
        data = [
            {
                "object": "embedding",
                "index": i,
                "embedding": base64.b64encode(row.astype("<f4").tobytes()).decode()
                if asked.encoding_format == "base64"
                else [float(value) for value in row],
            }
            for i, row in enumerate(matrix)
        ]
        usage = {"prompt_tokens": used, "total_tokens": used}
        return JSONResponse({"object": "list", "model": embedder.key, "data": data, "usage": usage})

    return router


_STREAMED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def conversation_of(messages: Sequence[Message]) -> tuple[str, list[Turn]]:
    """The question, which is the last message, and the turns before it. Raises QuestionError."""
    if messages[-1].role != "user":
        raise QuestionError("The last message must be the user's: it is the question.")
    turns = [
        Turn("user" if message.role == "user" else "assistant", message.text)
        for message in messages[:-1]
        if message.role in ("user", "assistant") and message.text
    ]
    return messages[-1].text, turns


class Completion:
    """One chat completion: the events of an answer, as OpenAI's format words them."""

    def __init__(self, service: Service, asked: ChatRequest, question: str, history: list[Turn]) -> None:
        self._service = service
        self._asked = asked
        self._question = question
        self._history = history
        self._created = int(time.time())
        self._asking: Asking | None = None
        self._answer: Answer | None = None

    def begin(self, me: Principal) -> Iterator[AnswerEvent]:
        """Start answering, in the thread that answers."""
        where = self._asked.vademecum
        scope = self._service.scope(me, where.documents, where.collection, where.as_of)
        quotes = self._asked.model == EXTRACTIVE
        self._asking = self._service.ask(
            me, self._question, history=self._history, scope=scope, via="api", quotes_only=quotes
        )
        return iter(self._asking)

    def note(self, event: AnswerEvent) -> None:
        """Keep the answer when it is there."""
        if isinstance(event, Finished):
            self._answer = event.answer

    def whole(self) -> dict[str, Any]:
        """The answer in one piece."""
        assert self._answer is not None
        message = {"role": "assistant", "content": self._answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return self._head("chat.completion") | {
            "choices": [choice],
            "usage": self._usage(),
            "vademecum": self._extension(),
        }

    async def stream(self, first: AnswerEvent, rest: AsyncGenerator[AnswerEvent]) -> AsyncIterator[str]:
        """The answer as server-sent events. Trouble on the way is an event too; the status has gone out by then."""
        yield self._piece({"role": "assistant", "content": ""})
        try:
            for text in self._words(first):
                yield self._piece({"content": text})
            async with aclosing(rest):
                async for event in rest:
                    for text in self._words(event):
                        yield self._piece({"content": text})
        except KBError as error:
            yield _sent(body_of("/v1/", str(error), status_of(error)[1]))
            yield "data: [DONE]\n\n"
            return
        yield self._piece({}, finish="stop", vademecum=self._extension())
        if self._asked.stream_options and self._asked.stream_options.include_usage:
            yield _sent(self._head("chat.completion.chunk") | {"choices": [], "usage": self._usage()})
        yield "data: [DONE]\n\n"

    def _words(self, event: AnswerEvent) -> Iterator[str]:
        self.note(event)
        if isinstance(event, Delta):
            yield event.text
        elif isinstance(event, Restart):  # what was sent cannot be taken back, so the notice stands between
            yield f"\n\n[{event.notice}]\n\n"

    def _piece(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _sent(self._head("chat.completion.chunk") | {"choices": [choice], **more})

    def _head(self, kind: str) -> dict[str, Any]:
        assert self._asking is not None
        name = f"chatcmpl-{self._asking.exchange.id}"
        return {"id": name, "object": kind, "created": self._created, "model": self._asked.model}

    def _extension(self) -> dict[str, Any]:
        assert self._answer is not None
        assert self._asking is not None
        found = self._answer
        return {
            "answer_id": self._asking.exchange.id,
            "abstained": found.abstained,
            "engine": found.engine,
            "notice": found.notice,
            "citations": [citation_json(citation) for citation in found.citations],
            "hits": [hit_json(hit) for hit in found.hits],
        }

    def _usage(self) -> dict[str, int]:
        """Tokens as the embedder counts them: near enough to plan with, not what a model was billed for."""
        assert self._answer is not None
        asked = [self._question, *(turn.text for turn in self._history)]
        *prompt, completion = self._service.kb.embedder.count_tokens([*asked, self._answer.text])
        total = sum(prompt) + completion
        return {"prompt_tokens": sum(prompt), "completion_tokens": completion, "total_tokens": total}


def _sent(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
