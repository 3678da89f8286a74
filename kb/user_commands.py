"""Verbs on accounts: `vademecum users …`. They work beside the app, which heeds them at its next request.

Passwords are never arguments (a process list shows those): they are made up, or read from standard input.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import Home, Json, Output, settings_of, verb

if TYPE_CHECKING:
    from kb.accounts import Accounts, ApiKey, User

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input; else one is made up.")
]


def register(app: typer.Typer) -> None:
    """Mount the verbs on `app`."""
    users = typer.Typer(help="Accounts, their roles, sessions and API keys.", no_args_is_help=True)
    for command in (add, disable, enable, role, password, keys):
        users.command()(command)
    users.command("list")(list_users)
    users.command("sign-out")(sign_out)
    users.command("add-key")(add_key)
    users.command("revoke-key")(revoke_key)
    app.add_typer(users, name="users")


def add(
    name: Name,
    role: Annotated[str, typer.Option(help="reader, curator or admin.")] = "reader",
    password_stdin: FromInput = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make an account. Once there is one, everyone must sign in."""
    with verb(as_json) as output, _accounts(home) as accounts:
        given = _read(password_stdin)
        user, secret = accounts.add(name, role, given, by=_actor())
        _tell_password(output, user, secret, made_up=given is None)


def list_users(as_json: Json = False, home: Home = None) -> None:
    """List the accounts."""
    with verb(as_json) as output, _accounts(home, write=False) as accounts:
        rows = accounts.users()
        output.result = {"users": [user_json(user) for user in rows]}
        for user in rows:
            output.say(f"{user.name:24} {user.role:8} {'disabled ' if user.disabled else ''}since {user.created[:10]}")
        output.say(f"{len(rows)} accounts." if rows else "No accounts: whoever uses this machine has the library.")


def disable(name: Name, as_json: Json = False, home: Home = None) -> None:
    """Close an account: its sessions end at once, its keys no longer work."""
    with verb(as_json) as output, _accounts(home) as accounts:
        _tell(output, accounts.disable(name, by=_actor()), "is disabled and signed out")


def enable(name: Name, as_json: Json = False, home: Home = None) -> None:
    """Open a disabled account again."""
    with verb(as_json) as output, _accounts(home) as accounts:
        _tell(output, accounts.disable(name, disabled=False, by=_actor()), "is open again")


def role(
    name: Name,
    new: Annotated[str, typer.Argument(metavar="ROLE", help="reader, curator or admin.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Give an account another role; it holds from the next request on."""
    with verb(as_json) as output, _accounts(home) as accounts:
        _tell(output, accounts.set_role(name, new, by=_actor()), f"is {new} now")


def password(name: Name, password_stdin: FromInput = False, as_json: Json = False, home: Home = None) -> None:
    """Give an account a new password; its sessions and API keys end."""
    with verb(as_json) as output, _accounts(home) as accounts:
        given = _read(password_stdin)
        user, secret = accounts.reset(name, given, by=_actor())
        _tell_password(output, user, secret, made_up=given is None)


def sign_out(name: Name, as_json: Json = False, home: Home = None) -> None:
    """End all sessions of an account."""
    with verb(as_json) as output, _accounts(home) as accounts:
        user = accounts.user(name)
        ended = accounts.end_sessions(user.id, by=_actor())
        output.result = {"user": user_json(user), "sessions": ended}
        output.say(f"{user.name}: {ended} sessions ended.")


def keys(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this account's.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List API keys; their secrets are not kept."""
    with verb(as_json) as output, _accounts(home, write=False) as accounts:
        names = {user.id: user.name for user in accounts.users()}
        rows = accounts.keys(accounts.user(name).id if name else "")
        output.result = {"keys": [_key_json(key, names.get(key.user, key.user)) for key in rows]}
        for key in rows:
            output.say(f"{key.id}  {names.get(key.user, key.user):24} since {key.created[:10]}  {key.label}")
        output.say(f"{len(rows)} keys.")


def add_key(
    name: Name,
    label: Annotated[str, typer.Option(help="What the key is for.")] = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make an API key for an account; its secret is shown this once."""
    with verb(as_json) as output, _accounts(home) as accounts:
        user = accounts.user(name)
        key, secret = accounts.add_key(user.id, label, by=_actor())
        output.result = {"key": _key_json(key, user.name), "secret": secret}
        output.say(f"Key {key.id} of {user.name}, shown this once:\n{secret}")


def revoke_key(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id, as `vademecum users keys` lists it.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """End an API key."""
    with verb(as_json) as output, _accounts(home) as accounts:
        accounts.revoke_key(key, by=_actor())
        output.result = {"revoked": key}
        output.say(f"Key {key} was revoked.")


def user_json(user: User) -> dict[str, object]:
    """An account at the wire edge."""
    row = asdict(user)
    row["user"] = row.pop("id")
    return row


def _key_json(key: ApiKey, name: str) -> dict[str, object]:
    return {"key": key.id, "user": name, "label": key.label, "created": key.created}


@contextmanager
def _accounts(home: Path | None, *, write: bool = True) -> Iterator[Accounts]:
    """The accounts of a home, whoever else writes to it; a new home is made for the first one."""
    from kb.accounts import Accounts
    from kb.home import check_home
    from kb.store import Store

    store = Store(check_home(settings_of(home).home, create=write), read_only=not write)
    try:
        yield Accounts(store)
    finally:
        store.close()


def _actor() -> str:
    from kb.audit import COMMAND_LINE

    return COMMAND_LINE


def _read(from_input: bool) -> str | None:
    if not from_input:
        return None
    return sys.stdin.readline().rstrip("\r\n")


def _tell(output: Output, user: User, what: str) -> None:
    output.result = {"user": user_json(user)}
    output.say(f"{user.name} {what}.")


def _tell_password(output: Output, user: User, secret: str, *, made_up: bool) -> None:
    output.result = {"user": user_json(user), **({"password": secret} if made_up else {})}
    output.say(
        f"{user.name} ({user.role}) " + (f"has the password, shown this once:\n{secret}" if made_up else "is set.")
    )
