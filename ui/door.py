"""Who comes in: every request gets the principal whose it is, for the own routes and for Gradio's events alike."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from kb.access import SINGLE


class Door:
    """ASGI middleware inside the guard. Without accounts everyone on this machine is the single user."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope.setdefault("state", {})["principal"] = SINGLE
        await self._app(scope, receive, send)
