"""The page of all accounts, for admins: make one, change its role, give a new password, close it. Forms, no script."""

from __future__ import annotations

from functools import partial

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from kb.access import ROLES, SINGLE, Permission, Principal, require
from kb.accounts import Accounts, User
from kb.errors import AccessDenied, KBError, UsageError
from kb.types import Language
from ui.i18n import say
from ui.login import page, posted_form, spoken, told
from ui.markup import options, safe, with_commands
from ui.reasons import reason_in

_PATH = "/users"


def user_routes(accounts: Accounts) -> APIRouter:
    """The routes, for the app to mount."""
    router = APIRouter(include_in_schema=False, prefix=_PATH)

    @router.get("")
    def users(request: Request) -> Response:
        return _page(accounts, request)

    @router.post("")
    async def change(request: Request) -> Response:
        form = await posted_form(request)
        me: Principal = request.state.principal
        act, name, role = (form.get(field, "") for field in ("act", "name", "role"))
        if me == SINGLE:  # the command line makes the first account and shows its password; here nobody would see it
            return _page(accounts, request)
        try:
            require(me, Permission.USERS)
            secret = await run_sync(partial(_done, accounts, act, name, role, me))
        except AccessDenied:
            return _page(accounts, request)
        except KBError as error:
            return _page(accounts, request, bad=reason_in(spoken(request), str(error)), status=422)
        good = say(spoken(request), f"users_did_{act}", name=name)
        return _page(accounts, request, good=good, secret=secret)

    return router


def _done(accounts: Accounts, act: str, name: str, role: str, me: Principal) -> str:
    """Do it; the password that was made up, if one was. Raises KBError."""
    if act == "add":
        return accounts.add(name, role, by=me)[1]
    if act == "password":
        return accounts.reset(name, by=me)[1]
    if act == "role":
        accounts.set_role(name, role, by=me)
    elif act in ("disable", "enable"):
        accounts.disable(name, disabled=act == "disable", by=me)
    elif act == "sign_out":
        accounts.end_sessions(accounts.user(name).id, by=me)
    else:
        raise UsageError(f"There is nothing called '{act[:20]}' to do with an account.")
    return ""


def _page(
    accounts: Accounts, request: Request, *, good: str = "", bad: str = "", secret: str = "", status: int = 200
) -> HTMLResponse:
    language: Language = spoken(request)
    me: Principal = request.state.principal
    title = say(language, "users")
    refused = with_commands(say(language, "users_single")) if me == SINGLE else ""
    if not me.may(Permission.USERS):
        refused = safe(say(language, "users_refused"))
    back = f'<p><a href="/">{safe(say(language, "account_back"))}</a></p>'
    if refused:
        body = f'<div class="vm-wide"><h1>{safe(title)}</h1><p>{refused}</p>{back}</div>'
        return page(language, title, body, status=403, to=_PATH)
    shown = f"<code>{safe(secret)}</code><p>{safe(say(language, 'users_secret'))}</p>" if secret else ""
    rows = "".join(_row(user, me, language) for user in accounts.users())
    body = (
        f'<div class="vm-wide"><h1>{safe(title)}</h1>{back}{told(good, good=True)}{told(bad)}{shown}</div>'
        f'<section class="vm-card"><h2>{safe(say(language, "users_all"))}</h2>'
        f'<ul class="vm-users">{rows}</ul></section>'
        f"{_adding(language)}"
    )
    return page(language, title, body, status=status, to=_PATH)


def _row(user: User, me: Principal, language: Language) -> str:
    facts = [say(language, f"role_{user.role}"), say(language, "users_since", date=user.created[:10])]
    if user.id == me.id:
        facts.insert(0, say(language, "users_you"))
    if user.disabled:
        facts.insert(0, say(language, "users_closed"))
    change = safe(say(language, "users_change"))
    open_or_close = "enable" if user.disabled else "disable"
    return (
        f'<li><div><strong>{safe(user.name)}</strong><p class="vm-soft">{safe(" · ".join(facts))}</p></div>'
        f'<details><summary aria-label="{change}: {safe(user.name)}">{change}</summary>'
        f"{_form('role', user, language, _roles(user.role, f'role-{user.id}', language))}"
        f"{_form('password', user, language)}{_form('sign_out', user, language)}"
        f"{_form(open_or_close, user, language)}</details></li>"
    )


def _form(act: str, user: User, language: Language, fields: str = "") -> str:
    words = safe(say(language, f"users_{act}"))
    hint = safe(say(language, f"users_{act}_hint"))
    return (
        f'<form method="post" action="{_PATH}?lang={language}">{fields}'
        f'<input type="hidden" name="act" value="{act}"><input type="hidden" name="name" value="{safe(user.name)}">'
        f'<button class="vm-plain" aria-label="{words}: {safe(user.name)}">{words}</button>'
        f'<p class="vm-soft">{hint}</p></form>'
    )


def _roles(chosen: str, key: str, language: Language) -> str:
    roles = options([(role, say(language, f"role_{role}")) for role in ROLES], chosen)
    return (
        f'<label for="{key}">{safe(say(language, "users_role_label"))}</label>'
        f'<select id="{key}" name="role">{roles}</select>'
    )


def _adding(language: Language) -> str:
    return (
        f'<form class="vm-card" method="post" action="{_PATH}?lang={language}">'
        f"<h2>{safe(say(language, 'users_add_title'))}</h2>"
        f'<input type="hidden" name="act" value="add"><label for="name">{safe(say(language, "login_name"))}</label>'
        '<input id="name" name="name" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="64" '
        f"required>{_roles('reader', 'role', language)}"
        f"<button>{safe(say(language, 'users_add'))}</button>"
        f'<p class="vm-soft">{safe(say(language, "users_add_hint"))}</p></form>'
    )
