"""What of Gradio is reachable: the paths that the page needs, by whom they are meant for, in the sizes they have.

Gradio runs any event for whoever names its number, answers on many more paths than the page uses, and keeps what a page
holds (and streams what it is sent) under a session hash that the browser makes up. Here a hash belongs to the principal
who came with it first; to all others it does not exist.

Its own files (a page needs some seventy) are compressed once and kept; as each is named by its hash, browsers may keep
them too.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kb.access import Permission, Principal

_EVENTS: Final = "/gradio_api/"
_PAGES: Final = frozenset({"/", "/config", "/theme.css", "/favicon.ico", "/gradio_api/startup-events"})
_FILES: Final = ("/assets/", "/static/", "/svelte/")
_POSTED: Final = frozenset(
    {"/gradio_api/run/predict", "/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/reset"}
)
_KEPT_BYTES: Final = 32 << 20
_BESIDE: Final = 2048
"""What an answer's path and headers may take beside its body."""
_FOR_GOOD: Final = (b"cache-control", b"private, max-age=31536000, immutable")
_BODY_BYTES: Final = 1 << 20
_HASH_CHARS: Final = 64
_PATH_CHARS: Final = 500
_HASHES: Final = 20_000


class GradioDoor:
    """ASGI app around Gradio's, inside the door."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._files = _Files(app)
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        principal = scope.get("state", {}).get("principal")
        if not isinstance(principal, Principal):
            await _refused(401, "Sign in first.")(scope, receive, send)
            return
        path, reading = scope["path"], scope["method"] in ("GET", "HEAD")
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"x-gradio-server"]
        if len(path) > _PATH_CHARS:
            await _refused(404, "Not Found")(scope, receive, send)
        elif reading and path.startswith(_FILES):
            await self._files(scope, receive, send)
        elif reading and path in _PAGES:
            await self._app(scope, receive, send)
        elif reading and path == "/gradio_api/queue/data":
            named = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])
            await self._if_own(principal, named[-1], scope, receive, send)
        elif reading and path.startswith("/gradio_api/heartbeat/"):
            await self._if_own(principal, path.rpartition("/")[2], scope, receive, send)
        elif scope["method"] == "POST" and path == "/gradio_api/upload":
            refusal = None if principal.may(Permission.UPLOAD) else _refused(403, "This role may not add documents.")
            await (refusal or self._app)(scope, receive, send)
        elif scope["method"] == "POST" and path in _POSTED:
            await self._posted(principal, scope, receive, send)
        else:
            await _refused(404, "Not Found")(scope, receive, send)

    async def _posted(self, principal: Principal, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            await _refused(413, "Too large.")(scope, receive, send)
            return
        try:
            posted = json.loads(body)
            session = posted.get("session_hash", "")
        except (ValueError, AttributeError, RecursionError):
            await _refused(422, "Not understood.")(scope, receive, send)
            return
        if session == "" and scope["path"].endswith("/reset"):  # names an event, whose id is as long as a key
            await self._app(scope, _again(body), send)
            return
        await self._if_own(principal, session, scope, _again(body), send)

    async def _if_own(self, principal: Principal, session: object, scope: Scope, receive: Receive, send: Send) -> None:
        if not isinstance(session, str) or not 0 < len(session) <= _HASH_CHARS:
            await _refused(422, "Not understood.")(scope, receive, send)
        elif self._owner(session, principal.id) != principal.id:
            await _refused(404, "Not Found")(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _owner(self, session: str, who: str) -> str:
        with self._lock:
            owner = self._owners.setdefault(session, who)
            self._owners.move_to_end(session)
            if len(self._owners) > _HASHES:
                self._owners.popitem(last=False)
            return owner


class _Files:
    """ASGI app before Gradio's own files: each answer is kept as it went out, once for each way it is compressed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[tuple[str, str], list[Message]] = {}
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = Headers(scope=scope)
        if scope["method"] != "GET" or "range" in wanted or "if-none-match" in wanted:
            await self._app(scope, receive, send)
            return
        # as Gradio chooses: whatever else a browser names, or names twice, neither mixes nor multiplies what is kept
        accepted = wanted.get("accept-encoding", "")
        key = (scope["path"], next((way for way in ("br", "gzip") if way in accepted), ""))
        answer = self._kept.get(key) or await self._answer(scope, receive)
        start = answer[0]
        size = _BESIDE + sum(len(message.get("body", b"")) for message in answer)
        if start["status"] == 200 and key not in self._kept and self._bytes + size <= _KEPT_BYTES:
            self._kept[key] = answer
            self._bytes += size
        for message in answer:
            # what stands around this adds headers of its own
            await send({**message, "headers": list(message["headers"])} if "headers" in message else message)

    async def _answer(self, scope: Scope, receive: Receive) -> list[Message]:
        """What Gradio sends, whole."""
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        await self._app(scope, receive, keep)
        if sent[0]["status"] == 200 and "/assets/" in scope["path"]:
            headers = [pair for pair in sent[0]["headers"] if pair[0].lower() != b"cache-control"]
            sent[0]["headers"] = [*headers, _FOR_GOOD]
        return sent


def narrow(mounted: BaseRoute) -> None:
    """Put the door before Gradio, where it is mounted."""
    assert isinstance(mounted, Mount)
    mounted.app = GradioDoor(mounted.app)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None if it is too large or broke off."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += bytes(message.get("body", b""))
        if len(body) > _BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return body


def _again(body: bytes) -> Receive:
    """A receive that gives the body that was read, then waits as the real one would for the end."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _refused(status: int, why: str) -> Response:
    return JSONResponse({"detail": why}, status)
