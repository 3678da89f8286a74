"""Any OpenAI-compatible endpoint (vLLM, Ollama, llama.cpp, a gateway) as a chat model, streamed.

langchain_openai speaks the protocol; this adds what a hospital needs of it: no proxy, redirect or key taken from the
environment, failures named in plain words, and an answer that broke off never passes for a whole one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
from langchain_core.exceptions import ContextOverflowError
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from kb.model_failures import FailureKind, ModelFailure

CONNECT_TIMEOUT_S = 5.0
RETRIES = 1
"""Tries beyond the first, and only before the first piece: a stream that has begun is never repeated."""
_LONGEST_DETAIL = 200


class EndpointModel(ChatOpenAI):
    """ChatOpenAI whose stream ends well or raises ModelFailure."""

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        begun = whole = False
        try:
            for chunk in super()._stream(*args, **kwargs):
                begun = True
                whole = whole or bool((chunk.generation_info or {}).get("finish_reason"))
                yield chunk
        except openai.OpenAIError as error:
            raise self._failure(error, begun=begun) from error
        except httpx.HTTPError as error:
            raise self._failed("cut" if begun else "down", _innermost(error)) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # not JSON, or JSON of another shape
            raise self._failed("garbled", type(error).__name__) from error
        if not begun:
            raise self._failed("garbled", "no event of the protocol")
        if not whole:
            raise self._failed("cut", "no finish_reason")

    def _failure(self, error: openai.OpenAIError, *, begun: bool) -> ModelFailure:
        if isinstance(error, ContextOverflowError) or getattr(error, "code", None) == "context_length_exceeded":
            return self._failed("too long", str(error))
        if isinstance(error, openai.APITimeoutError):
            return self._failed("slow", f"{self._timeout_s():g}")
        if isinstance(error, openai.APIConnectionError):
            return self._failed("cut" if begun else "down", _innermost(error))
        if isinstance(error, openai.APIStatusError):
            busy = error.status_code == 429 or error.status_code >= 500
            said = error.message.removeprefix(f"Error code: {error.status_code}").strip(" -")
            return self._failed("busy" if busy else "refused", f"HTTP {error.status_code} {said}".strip())
        return self._failed("broke", str(error))

    def _failed(self, kind: FailureKind, detail: str) -> ModelFailure:
        key = self.openai_api_key.get_secret_value() if isinstance(self.openai_api_key, SecretStr) else ""
        shown = " ".join(detail.split())
        if len(key) > 4:
            shown = shown.replace(key, "…")
        return ModelFailure(kind, public_address(self.openai_api_base or ""), shown[:_LONGEST_DETAIL])

    def _timeout_s(self) -> float:
        timeout = self.request_timeout
        return float(timeout.read or 0) if isinstance(timeout, httpx.Timeout) else 0.0


def _innermost(error: BaseException) -> str:
    """What the operating system said: 'Connection refused' rather than 'Connection error.'"""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error) or type(error).__name__


def public_address(url: str) -> str:
    """The address without user, password or query."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}".rstrip("/")


def build_endpoint_model(
    base_url: str, model: str, *, key: SecretStr, max_new_tokens: int, timeout_s: float
) -> EndpointModel:
    """The model `model` at `base_url` (.../v1). Nothing is sent until it is asked."""
    timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
    quiet = {"trust_env": False, "follow_redirects": False, "timeout": timeout}
    built = EndpointModel(
        name=f"openai:{model}",
        model=model,
        base_url=base_url.rstrip("/"),
        api_key=key if key.get_secret_value() else SecretStr("none"),
        openai_proxy="",
        timeout=timeout,
        max_retries=RETRIES,
        temperature=0.0,
        # As it is, not as max_completion_tokens: several servers know only this older name.
        extra_body={"max_tokens": max_new_tokens},
        streaming=True,
        stream_usage=False,
        use_responses_api=False,
        http_client=httpx.Client(**quiet),  # type: ignore[arg-type]
        http_async_client=httpx.AsyncClient(**quiet),  # type: ignore[arg-type]
    )
    # Both libraries would fill these from OPENAI_* variables.
    built.root_client.organization = None
    built.root_client.project = None
    return built
