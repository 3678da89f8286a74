"""Around the web app: which names it answers to, whose requests it takes, and that nothing in a page may reach outside.

Host names that are not its own are refused (a web site that rebinds its DNS name to 127.0.0.1 would otherwise read the
library), so are writes from another origin. A Content-Security-Policy holds the browser to this origin; Gradio's page
needs inline script and eval (its templates), everything else is closed.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kb.errors import UsageError
from kb.settings import Settings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OUTSIDE_META = re.compile(rb"<meta\b[^>]*https?://[^>]*>")
_OUTSIDE_EXAMPLE = re.compile(rb'https://github\.com/gradio-app/[^"]*')
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with "no-referrer" browsers post forms from origin "null"
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def own_names(host: str, names: Sequence[str]) -> frozenset[str]:
    """The host names that a request may name, lower case: this machine's, unless only its loopback is served."""
    own = LOOPBACK | {name.lower() for name in names}
    return own if host in LOOPBACK else own | {host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}


def may_be_single(settings: Settings) -> bool:
    """Whether the library may be open without accounts: on this machine alone, unless accounts are demanded."""
    return settings.host in LOOPBACK and not settings.accounts


def check_tls(settings: Settings) -> None:
    """Raise UsageError unless certificate and key are both there, or neither is named."""
    named = {"tls_certificate": settings.tls_certificate, "tls_key": settings.tls_key}
    if any(named.values()):
        for name, path in named.items():
            if path is None or not path.is_file():
                raise UsageError(f"Setting {name} names no file ({path}). https needs tls_certificate and tls_key.")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything slow is loaded. Raises UsageError if the port is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends without delay only on sockets that say they are TCP; else each answer waits 40 ms for an ACK
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"Port {port} on {host} cannot be used: {error.strerror}. "
            "Is Vademecum running already? Stop it, or name another port with --port."
        ) from None
    return listener


class Guard:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, *, names: frozenset[str] = LOOPBACK, addresses: bool = False) -> None:
        """`addresses`: requests that name a bare address, which no DNS name can stand behind, are taken too."""
        self._app = app
        self._names = names
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope.get("method", "GET"), headers)
        if refusal:
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)
            return
        await self._app(scope, receive, _Cleaned(send))

    def _refusal(self, method: str, headers: Headers) -> str:
        """Why this request is refused; empty if it may come in."""
        host = headers.get("host", "")
        if not self._own(_name(f"//{host}")):
            remedy = "Name it in the setting `names`." if self._addresses else "Use 127.0.0.1 or localhost."
            return f"Vademecum does not answer to this name. {remedy}"
        origin = headers.get("origin")
        foreign = origin is not None and (not self._own(_name(origin)) or urlsplit(origin).netloc != host)
        if foreign or (headers.get("sec-fetch-site") == "cross-site" and method not in _SAFE_METHODS):
            return "This request comes from another web site and was refused."
        return ""

    def _own(self, name: str | None) -> bool:
        return name is not None and (name in self._names or (self._addresses and _is_address(name)))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


class _Cleaned:
    """Sends on what the app sends, with the headers above, and pages without Gradio's links to the outside."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            own_policy = headers.get("Content-Security-Policy")  # a route may be stricter, as the one for PDFs is
            for name, value in _HEADERS.items():
                headers[name] = value
            if own_policy:
                headers["Content-Security-Policy"] = own_policy
            if headers.get("content-type", "").startswith("text/html"):
                self._start = message
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_page()
            return
        await self._send(message)

    async def _send_page(self) -> None:
        start, self._start = self._start, None
        assert start is not None
        body = _OUTSIDE_EXAMPLE.sub(b"", _OUTSIDE_META.sub(b"", self._body))
        headers = MutableHeaders(scope=start)
        if "content-encoding" in headers:
            body = self._body
        elif self._body:  # a HEAD answer has none, and keeps its length
            headers["content-length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})
