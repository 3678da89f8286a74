"""The page of one's own account: a new password, API keys. Plain forms, no script."""

from __future__ import annotations

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from kb.access import Permission, Principal, require
from kb.accounts import Accounts
from kb.errors import AccessDenied, KBError, TooManyTries
from kb.types import Language
from ui.door import COOKIE
from ui.i18n import say
from ui.login import address_of, page, posted_form, spoken, told
from ui.markup import safe
from ui.reasons import reason_in


def account_routes(accounts: Accounts) -> APIRouter:
    """The routes, for the app to mount."""
    router = APIRouter(include_in_schema=False, prefix="/account")

    @router.get("")
    def account(request: Request) -> Response:
        return _page(accounts, request)

    @router.post("/password")
    async def password(request: Request) -> Response:
        form = await posted_form(request)
        me: Principal = request.state.principal
        try:
            old, new = form.get("old", ""), form.get("new", "")
            await run_sync(accounts.change_password, me, old, new, address_of(request))
        except KBError as error:
            return _page(
                accounts,
                request,
                bad=reason_in(spoken(request), str(error)),
                status=429 if isinstance(error, TooManyTries) else 422,
            )
        answer = RedirectResponse("/login?told=changed", 303)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    @router.post("/keys")
    async def add_key(request: Request) -> Response:
        form = await posted_form(request)
        me: Principal = request.state.principal
        try:
            require(me, Permission.OWN_ACCOUNT)
            label = form.get("label", "")
            _, secret = await run_sync(lambda: accounts.add_key(me.id, label, by=me))
        except KBError as error:
            return _page(accounts, request, bad=reason_in(spoken(request), str(error)), status=422)
        return _page(accounts, request, secret=secret)

    @router.post("/keys/{key}/revoke")
    async def revoke_key(request: Request, key: str) -> Response:
        me: Principal = request.state.principal
        try:
            require(me, Permission.OWN_ACCOUNT)
            await run_sync(lambda: accounts.revoke_key(key, by=me, user=me.id))
        except KBError as error:
            return _page(accounts, request, bad=reason_in(spoken(request), str(error)), status=404)
        return _page(accounts, request, good=say(spoken(request), "apikey_revoked"))

    return router


def _page(
    accounts: Accounts, request: Request, *, good: str = "", bad: str = "", secret: str = "", status: int = 200
) -> HTMLResponse:
    language: Language = spoken(request)
    me: Principal = request.state.principal
    try:
        require(me, Permission.OWN_ACCOUNT)
    except AccessDenied as error:
        return page(language, say(language, "account"), told(str(error)), status=403, to="/account")
    title = say(language, "account_of", name=me.name)
    keeps = (
        f' · <a href="/users?lang={language}">{safe(say(language, "users"))}</a>' if me.may(Permission.USERS) else ""
    )
    body = (
        f'<div class="vm-wide"><h1>{safe(title)}</h1><p class="vm-soft">{safe(say(language, f"role_{me.role}"))}</p>'
        f'<p><a href="/">{safe(say(language, "account_back"))}</a>{keeps}</p>{told(good, good=True)}{told(bad)}</div>'
        f"{_password(me, language)}{_keys(accounts, me, language, secret)}"
        f'<form method="post" action="/logout"><button class="vm-plain">{safe(say(language, "logout"))}</button></form>'
    )
    return page(language, say(language, "account"), body, status=status, to="/account")


def _password(me: Principal, language: Language) -> str:
    return (
        f'<form class="vm-card" method="post" action="/account/password?lang={language}">'
        f"<h2>{safe(say(language, 'password_title'))}</h2>"
        f'<input class="vm-hidden" name="name" value="{safe(me.name)}" autocomplete="username" readonly tabindex="-1" '
        'aria-hidden="true">'
        f'<label for="old">{safe(say(language, "password_old"))}</label>'
        '<input id="old" name="old" type="password" autocomplete="current-password" maxlength="256" required>'
        f'<label for="new">{safe(say(language, "password_new"))}</label>'
        '<input id="new" name="new" type="password" autocomplete="new-password" minlength="12" maxlength="256" '
        "required>"
        f"<button>{safe(say(language, 'password_go'))}</button>"
        f'<p class="vm-soft">{safe(say(language, "password_hint"))}</p></form>'
    )


def _keys(accounts: Accounts, me: Principal, language: Language, secret: str) -> str:
    revoke = safe(say(language, "apikey_revoke"))
    rows = "".join(
        f"<li><span>{safe(key.label or key.id)} · {safe(key.created[:10])}</span>"
        f'<form method="post" action="/account/keys/{safe(key.id)}/revoke?lang={language}">'
        f'<button class="vm-plain" aria-label="{revoke}: {safe(key.label or key.id)}">{revoke}</button></form></li>'
        for key in accounts.keys(me.id)
    )
    none = f'<p class="vm-soft">{safe(say(language, "apikey_none"))}</p>'
    new = f'<p class="vm-told vm-good" role="status">{safe(say(language, "apikey_new"))}</p><code>{safe(secret)}</code>'
    return (
        f'<section class="vm-card"><h2>{safe(say(language, "apikey_title"))}</h2>'
        f'<p class="vm-soft">{safe(say(language, "apikey_hint_api"))}</p>{new if secret else ""}'
        f"{f'<ul>{rows}</ul>' if rows else none}"
        f'<form method="post" action="/account/keys?lang={language}">'
        f'<label for="label">{safe(say(language, "apikey_label"))}</label>'
        f'<input id="label" name="label" maxlength="60" required><button>{safe(say(language, "apikey_add"))}</button>'
        "</form></section>"
    )
