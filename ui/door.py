"""Who comes in: every request gets its principal here, for the own routes and for Gradio's events alike.

A browser shows its session's cookie, a program its API key. Without accounts, on this machine alone, everyone is the
single user. Whoever is nobody sees the login page and nothing else.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import quote

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kb.access import SINGLE, Principal
from kb.accounts import Accounts
from kb.errors import TooManyRequests
from ui.places import Rate
from ui.refusals import body_of, refusal

COOKIE: Final = "vademecum"
OPEN: Final = frozenset({"/login", "/login.css", "/health", "/favicon.ico"})
"""Paths that need no principal."""
API: Final = ("/api/", "/v1/")
_ROOM = 16  # sessions looked up at a time; the threads of answers are others


class Door:
    """ASGI middleware inside the guard. `single` says whether the library may be open without accounts."""

    def __init__(self, app: ASGIApp, *, accounts: Accounts, single: bool, rate: Rate | None = None) -> None:
        self._app = app
        self._accounts = accounts
        self._single = single
        self._rate = rate or Rate(0)
        self._room: CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            self._room = self._room or CapacityLimiter(_ROOM)
            principal, key = await run_sync(self._who, Headers(scope=scope), scope["path"], limiter=self._room)
            if principal is None and scope["path"] not in OPEN:
                await _turned_away(scope)(scope, receive, send)
                return
            scope.setdefault("state", {})["principal"] = principal
            if principal and scope["path"].startswith(API):
                try:
                    self._rate.count(key or principal.id)
                except TooManyRequests as error:
                    await refusal(scope["path"], error)(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _who(self, headers: Headers, path: str) -> tuple[Principal | None, str]:
        """The principal, and the id of the API key that it showed, if one."""
        if self._single and not self._accounts.exist():
            return SINGLE, ""
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and path.startswith(API):
            return self._accounts.principal_of_key(secret.strip()) or (None, "")
        token = token_of(headers)
        return (self._accounts.principal(token) if token else None), ""


def token_of(headers: Headers) -> str:
    """The session token that a browser brings; empty if none."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _turned_away(scope: Scope) -> Response:
    path = scope["path"]
    page = (
        scope["method"] == "GET" and not path.startswith(API) and "text/html" in Headers(scope=scope).get("accept", "")
    )
    if page:
        return RedirectResponse(f"/login?next={quote(path)}" if path != "/" else "/login", status_code=303)
    told = "Sign in with an API key." if path.startswith(API) else "Sign in first."
    return JSONResponse(body_of(path, told, "authentication_error"), 401, {"WWW-Authenticate": "Bearer"})
