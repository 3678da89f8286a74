"""Routes and pages of signing in and out. No script, nothing from elsewhere: it stands before the door.

A session is a random token in a cookie that scripts cannot read; the catalog keeps its hash (kb.accounts).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from kb.accounts import Accounts
from kb.errors import LoginRefused, TooManyTries
from kb.types import Language
from ui.door import COOKIE, token_of
from ui.i18n import LANGUAGES, say
from ui.markup import safe

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0b6575"/>'
    '<path d="M8 9l8 15 8-15" fill="none" stroke="#fff" stroke-width="3.4" stroke-linecap="round"/></svg>'
)
_FORM_BYTES = 16_384
_NOTICES = {"changed": "login_changed", "out": "login_out"}


def login_routes(accounts: Accounts) -> APIRouter:
    """The routes, for the app to mount."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login.css")
    def style() -> Response:
        return Response(_style(), media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})

    @router.get("/favicon.ico")
    def icon() -> Response:
        return Response(_ICON, media_type="image/svg+xml", headers={"Cache-Control": "public, max-age=86400"})

    @router.get("/login")
    def login_page(request: Request, next: str = "/", told: str = "") -> Response:
        if request.state.principal is not None:
            return RedirectResponse(_own_path(next), 303)
        notice = _NOTICES.get(told, "")
        language = spoken(request)
        return _login(language, next, say(language, notice) if notice else "", good=True)

    @router.post("/login")
    async def login(request: Request) -> Response:
        form = await posted_form(request)
        language, wanted = spoken(request), form.get("next", "/")
        name, password = form.get("name", ""), form.get("password", "")
        try:
            _, token = await run_sync(accounts.login, name, password, address_of(request))
        except TooManyTries as error:
            minutes = -(-error.retry_after_s // 60)
            page = _login(language, wanted, say(language, "login_wait", minutes=minutes), name=name, status=429)
            page.headers["Retry-After"] = str(error.retry_after_s)
            return page
        except LoginRefused:
            return _login(language, wanted, say(language, "login_refused"), name=name, status=403)
        answer = RedirectResponse(_own_path(wanted), 303)
        answer.set_cookie(
            COOKIE,
            token,
            max_age=int(accounts.absolute_s),
            path="/",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        token = token_of(request.headers)
        if token:
            await run_sync(accounts.logout, token)
        answer = RedirectResponse("/login?told=out", 303)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    return router


async def posted_form(request: Request) -> dict[str, str]:
    """The fields of a posted form, the first of each; empty if it is larger than any form here."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _FORM_BYTES:
            return {}
    try:
        return {name: values[0] for name, values in parse_qs(body.decode("utf-8"), max_num_fields=16).items()}
    except ValueError:
        return {}


def address_of(request: Request) -> str:
    """Where the request comes from, as far as the server knows."""
    return request.client.host if request.client else ""


def spoken(request: Request) -> Language:
    """The language chosen on the page, else the browser's first."""
    chosen = request.query_params.get("lang") or request.headers.get("accept-language", "")
    return "zh" if chosen.lower().startswith("zh") else "en"


def page(
    language: Language, title: str, body: str, *, status: int = 200, to: str = "/login", **query: str
) -> HTMLResponse:
    """A whole page in the look of the rest."""
    others = [(word, key) for word, key in LANGUAGES if key != language]
    links = " ".join(
        f'<a href="{safe(to)}?{safe(urlencode({**query, "lang": key}))}" lang="{key}">{safe(word)}</a>'
        for word, key in others
    )
    html = (
        f'<!doctype html><html lang="{"zh-CN" if language == "zh" else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{safe(title)} · Vademecum</title><link rel="stylesheet" href="/login.css"></head><body>'
        f'<header><div><p class="vm-brand">{safe(say(language, "name"))}</p>'
        f'<p class="vm-tagline">{safe(say(language, "tagline"))}</p></div><nav>{links}</nav></header>'
        f"<main>{body}</main></body></html>"
    )
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(html, status, headers)


def told(text: str, *, good: bool = False) -> str:
    """A line that says what came of it."""
    if not text:
        return ""
    return (
        f'<p class="vm-told {"vm-good" if good else "vm-bad"}" role="{"status" if good else "alert"}">{safe(text)}</p>'
    )


def _login(
    language: Language, wanted: str, text: str, *, name: str = "", good: bool = False, status: int = 200
) -> HTMLResponse:
    wanted = _own_path(wanted)
    first, second = ("", " autofocus") if name else (" autofocus", "")
    body = (
        f'<form class="vm-card" method="post" action="/login?lang={language}">'
        f"<h1>{safe(say(language, 'login_title'))}</h1>"
        f"{told(text, good=good)}"
        f'<label for="name">{safe(say(language, "login_name"))}</label>'
        f'<input id="name" name="name" value="{safe(name[:64])}" autocomplete="username" autocapitalize="none" '
        f'spellcheck="false" maxlength="64" required{first}>'
        f'<label for="password">{safe(say(language, "login_password"))}</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" maxlength="256" '
        f'required{second}><input type="hidden" name="next" value="{safe(wanted)}">'
        f"<button>{safe(say(language, 'login_go'))}</button>"
        f'<p class="vm-soft">{safe(say(language, "login_help"))}</p></form>'
    )
    return page(language, say(language, "login_title"), body, status=status, next=wanted)


def _own_path(wanted: str) -> str:
    """The path to go on to, if it is one of ours."""
    return wanted if re.fullmatch(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,200}", wanted) else "/"


@cache
def _style() -> str:
    """login.css with the colours of the rest, dark ones where the browser wants them."""
    here = Path(__file__).parent
    colours = (here / "viewer.css").read_text("utf-8")
    light, dark = (_rule(colours, name) for name in (":root", ".dark"))
    return f":root {light}\n@media (prefers-color-scheme: dark) {{ :root {dark} }}\n" + (here / "login.css").read_text(
        "utf-8"
    )


def _rule(css: str, selector: str) -> str:
    found = re.search(rf"^{re.escape(selector)} (\{{[^}}]*\}})", css, re.MULTILINE)
    assert found, selector
    return found[1]
