"""Chat messages in, a whole reply with its token counts out: the seam behind which generation's models stand.

Not kb.models: there someone waits for a stream, here thousands of requests are in flight and each reply must be whole.
A failure says whether trying again can help: Retry (429, 5xx, timeouts, broken replies), Refused (this request never
will), ModelError (no request will: wrong key, wrong address).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kb.errors import ModelError, UsageError

if TYPE_CHECKING:
    import httpx
    from langchain_core.language_models import BaseChatModel

    from kb.settings import Settings

_HOPELESS = (401, 403, 404, 405)
_WORTH_A_TRY = (408, 409, 425, 429)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply. Token counts are the server's; estimated from the text where it gives none."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    cut_off: bool = False


class Retry(Exception):
    """The request failed for now; `after_s` is the server's own wish, if it had one."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        self.after_s = after_s
        super().__init__(reason)


class Refused(Exception):
    """The request will never succeed as it is."""


class Engine(Protocol):
    """What generation asks of a model."""

    name: str

    async def complete(self, messages: list[dict[str, str]], *, max_tokens: int, key: str) -> Reply:
        """The reply. Raises Retry, Refused or ModelError. `key` names the request, the same at every try."""

    async def close(self) -> None:
        """Let go of connections."""


def estimated_tokens(text: str) -> int:
    """About how many tokens: 0.7 a Chinese character, a quarter of other characters (common BPE vocabularies)."""
    chinese = sum("\u2e80" <= character <= "\uffef" for character in text)
    return int(0.7 * chinese + (len(text) - chinese) / 4) + 1


class EndpointEngine:
    """Any OpenAI-compatible server. The key travels as Idempotency-Key, for servers that then charge once."""

    def __init__(self, base_url: str, model: str, *, api_key: str = "", timeout_s: float, concurrency: int) -> None:
        import httpx

        self.name = model
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._address = base_url.rstrip("/")
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=min(10.0, timeout_s), pool=None),
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
            trust_env=False,
            follow_redirects=False,
        )

    async def complete(self, messages: list[dict[str, str]], *, max_tokens: int, key: str) -> Reply:
        import httpx

        body = {"model": self.name, "messages": messages, "max_tokens": max_tokens, "temperature": 0.7}
        try:
            response = await self._client.post(
                f"{self._address}/chat/completions", json=body, headers={"idempotency-key": key}
            )
        except httpx.TimeoutException:
            raise Retry("timeout") from None
        except httpx.TransportError as error:
            raise Retry(f"connection: {error or type(error).__name__}") from None
        self._raise_for(response)
        return _read(response, messages)

    def _raise_for(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        said = f"HTTP {status} {response.text[:160]}".strip()
        if status in _WORTH_A_TRY or status >= 500:
            raise Retry(said, _after(response.headers.get("retry-after", "")))
        if status in _HOPELESS or 300 <= status < 400:
            raise ModelError(
                f"The endpoint {self._address} does not serve model {self.name}: {said}. Check openai_base_url (it "
                "usually ends in /v1), openai_model and openai_api_key."
            )
        raise Refused(said)

    async def close(self) -> None:
        await self._client.aclose()


def _after(header: str) -> float | None:
    try:
        return min(300.0, max(0.0, float(header)))
    except ValueError:
        return None


def _read(response: httpx.Response, messages: list[dict[str, str]]) -> Reply:
    try:
        body: Any = response.json()
        choice = body["choices"][0]
        text = choice["message"]["content"] or ""
        usage = body.get("usage") or {}
        reason = choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise Retry("a reply that is not of the protocol") from None
    if not isinstance(text, str) or not text.strip():
        raise Retry("an empty reply")
    asked = "".join(message["content"] for message in messages)
    return Reply(
        text,
        int(usage.get("prompt_tokens") or estimated_tokens(asked)),
        int(usage.get("completion_tokens") or estimated_tokens(text)),
        reason == "length",
    )


class LocalEngine:
    """The local transformers model, one request at a time."""

    def __init__(self, model: BaseChatModel) -> None:
        self.name = str(getattr(model, "name", "") or "local")
        self._model = model
        self._one = asyncio.Lock()

    async def complete(self, messages: list[dict[str, str]], *, max_tokens: int, key: str) -> Reply:
        from langchain_core.messages import HumanMessage, SystemMessage

        kinds = {"system": SystemMessage, "user": HumanMessage}
        asked = [kinds[message["role"]](message["content"]) for message in messages]
        async with self._one:
            said = str((await asyncio.to_thread(self._model.invoke, asked)).content)
        if not said.strip():
            raise Retry("an empty reply")
        told = "".join(message["content"] for message in messages)
        return Reply(said, estimated_tokens(told), estimated_tokens(said))

    async def close(self) -> None:
        """Nothing to let go of."""


def engine_of(settings: Settings, concurrency: int) -> Engine:
    """The engine that the settings name. Raises UsageError when they name none that generates."""
    from kb.models import build_model

    if settings.engine == "extractive":
        raise UsageError(
            "A model is needed: set engine to 'openai' (with openai_base_url and openai_model) or 'transformers'. "
            "Examples of monographs need none: `vademecum qa generate --generator fields`."
        )
    model = build_model(settings)
    if settings.engine == "transformers":
        assert model is not None
        return LocalEngine(model)
    return EndpointEngine(
        settings.openai_base_url,
        settings.openai_model,
        api_key=settings.openai_api_key.get_secret_value(),
        timeout_s=settings.model_timeout_s,
        concurrency=concurrency,
    )
