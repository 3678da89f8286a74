"""Users, their passwords (argon2id), sessions and API keys, all in the catalog; secrets only as hashes.

A session ends when it was idle or open too long, when it is revoked, or when its user is disabled. Wrong passwords are
counted per account and per address; past the limit nothing is verified until the window has passed. A name that does
not exist costs as much time as one that does.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from kb.access import ROLES, Permission, Principal, Role, require
from kb.audit import append
from kb.errors import LoginRefused, NotFound, TooManyTries, UsageError
from kb.schema import api_keys, sessions, users
from kb.store import Store

if TYPE_CHECKING:
    from argon2 import PasswordHasher
    from limits import RateLimitItem
    from limits.strategies import MovingWindowRateLimiter

SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 256
WINDOW_MIN: Final = 15
"""Wrong passwords are counted over this many minutes."""
KEY_PREFIX: Final = "vmk_"
FIRST_ADMIN: Final = "admin"

_NAME = re.compile(r"[\w][\w.@+ -]{0,62}\w|\w")
_KEYS_PER_USER = 20
_SEEN_EVERY_S = 60.0  # a session's last use is noted at most this often


@dataclass(frozen=True, slots=True)
class User:
    """An account as lists show it."""

    id: str
    name: str
    role: Role
    disabled: bool
    created: str

    @property
    def principal(self) -> Principal:
        return Principal(self.id, self.name, self.role)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as lists show it. `id` is the part that a log may hold."""

    id: str
    user: str
    label: str
    created: str


class Accounts:
    """The accounts of one library. Every method may be called from any thread."""

    def __init__(
        self,
        store: Store,
        *,
        idle_s: float = 3600,
        absolute_s: float = 12 * 3600,
        wrong_passwords: int = 10,
        clock: Callable[[], float] = time.time,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._store = store
        self._given_hasher = hasher
        self._idle_s = idle_s
        self.absolute_s = absolute_s
        self._wrong_passwords = wrong_passwords
        self._clock = clock
        self._verifying = threading.Lock()
        self._there_are_some = False

    def exist(self) -> bool:
        """Whether there is any account; once there was one, always."""
        if not self._there_are_some:
            with self._store.reading() as connection:
                self._there_are_some = connection.execute(sa.select(users.c.id).limit(1)).scalar() is not None
        return self._there_are_some

    # -- users ---------------------------------------------------------------------------------------------------

    def users(self) -> list[User]:
        """All accounts by name."""
        with self._store.reading() as connection:
            return [_user(row) for row in connection.execute(sa.select(users).order_by(users.c.name))]

    def add(self, name: str, role: str, password: str | None = None, *, by: Principal | str) -> tuple[User, str]:
        """A new account and its password (made up, if none is given). Raises AccessDenied, UsageError."""
        _may_keep(by)
        name = checked_name(name)
        password = new_password() if password is None else checked_password(password, name)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        user = User(secrets.token_hex(8), name, _checked_role(role), False, created)
        row = {"id": user.id, "name": name, "role": user.role, "disabled": 0, "created": created}
        hashed = self._hasher.hash(password)
        with self._store.writing() as connection:
            if connection.execute(sa.select(users.c.id).where(users.c.name == name)).scalar():
                raise UsageError(f"There is an account '{name}' already. Choose another name.")
            connection.execute(sa.insert(users), {**row, "password": hashed})
            append(connection, by, "user added", user.id, role=user.role)
        return user, password

    def first_admin(self) -> tuple[User, str] | None:
        """An admin with a made-up password, if there is no account yet."""
        return None if self.exist() else self.add(FIRST_ADMIN, "admin", by="first start")

    def disable(self, name: str, *, disabled: bool = True, by: Principal | str) -> User:
        """Close an account and end its sessions, or open it again. Raises NotFound; UsageError for the last admin."""
        _may_keep(by)
        with self._store.writing() as connection:
            user = _named(connection, name)
            if disabled:
                _keep_an_admin(connection, user)
                connection.execute(sa.delete(sessions).where(sessions.c.user == user.id))
            connection.execute(sa.update(users).where(users.c.id == user.id).values(disabled=int(disabled)))
            append(connection, by, "user changed", user.id, disabled=disabled)
            return _named(connection, name)

    def set_role(self, name: str, role: str, *, by: Principal | str) -> User:
        """Give an account another role, at once. Raises NotFound; UsageError."""
        _may_keep(by)
        wanted = _checked_role(role)
        with self._store.writing() as connection:
            user = _named(connection, name)
            if wanted != "admin":
                _keep_an_admin(connection, user)
            connection.execute(sa.update(users).where(users.c.id == user.id).values(role=wanted))
            append(connection, by, "user changed", user.id, role=wanted)
            return _named(connection, name)

    def reset(self, name: str, password: str | None = None, *, by: Principal | str) -> tuple[User, str]:
        """A new password (made up, if none is given); all sessions and keys of the account end."""
        _may_keep(by)
        with self._store.reading() as connection:
            user = _named(connection, name)
        password = new_password() if password is None else checked_password(password, user.name)
        self._set_password(user, password, by)
        with self._store.writing() as connection:
            connection.execute(sa.delete(api_keys).where(api_keys.c.user == user.id))
        return user, password

    def change_password(self, principal: Principal, old: str, new: str, address: str) -> None:
        """One's own new password; ends all one's sessions. Raises LoginRefused, TooManyTries or UsageError."""
        require(principal, Permission.OWN_ACCOUNT)
        with self._store.reading() as connection:
            user = _user(connection.execute(sa.select(users).where(users.c.id == principal.id)).one())
        new = checked_password(new, user.name)
        self._verify(user.name, old, address)
        self._set_password(user, new, principal)

    def _set_password(self, user: User, password: str, by: Principal | str) -> None:
        hashed = self._hasher.hash(password)
        with self._store.writing() as connection:
            connection.execute(sa.update(users).where(users.c.id == user.id).values(password=hashed))
            connection.execute(sa.delete(sessions).where(sessions.c.user == user.id))
            append(connection, by, "user changed", user.id, password=True)

    # -- sessions ------------------------------------------------------------------------------------------------

    def login(self, name: str, password: str, address: str) -> tuple[Principal, str]:
        """Who this is and the token of a new session. Raises LoginRefused or TooManyTries."""
        principal = self._verify(name, password, address)
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._store.writing() as connection:
            connection.execute(sa.delete(sessions).where(self._over(now)))
            row = {"token": _hashed(token), "user": principal.id, "created": now, "seen": now}
            connection.execute(sa.insert(sessions), row)
            append(connection, principal, "login")
        return principal, token

    def principal(self, token: str) -> Principal | None:
        """Whose session this is, if it still runs."""
        now = self._clock()
        query = (
            sa.select(users, sessions.c.seen)
            .join(sessions, sessions.c.user == users.c.id)
            .where(sessions.c.token == _hashed(token), ~self._over(now), users.c.disabled == 0)
        )
        with self._store.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if now - row.seen > _SEEN_EVERY_S:
            with self._store.writing() as connection:
                connection.execute(sa.update(sessions).where(sessions.c.token == _hashed(token)).values(seen=now))
        return _user(row).principal

    def logout(self, token: str) -> None:
        """End this session."""
        with self._store.writing() as connection:
            query = sa.select(sessions.c.user).where(sessions.c.token == _hashed(token))
            user = connection.execute(query).scalar()
            if user:
                connection.execute(sa.delete(sessions).where(sessions.c.token == _hashed(token)))
                append(connection, user, "logout")

    def end_sessions(self, user: str, *, by: Principal | str) -> int:
        """End every session of the user of this id; how many there were."""
        _may_keep(by)
        with self._store.writing() as connection:
            ended = connection.execute(sa.delete(sessions).where(sessions.c.user == user)).rowcount
            append(connection, by, "logout", user, sessions=ended)
            return ended

    def _over(self, now: float) -> sa.ColumnElement[bool]:
        return sa.or_(sessions.c.seen < now - self._idle_s, sessions.c.created < now - self.absolute_s)

    # -- keys ----------------------------------------------------------------------------------------------------

    def keys(self, user: str = "") -> list[ApiKey]:
        """The API keys, of one user's id or of all."""
        query = sa.select(api_keys).order_by(api_keys.c.created)
        if user:
            query = query.where(api_keys.c.user == user)
        with self._store.reading() as connection:
            return [ApiKey(row.id, row.user, row.label, row.created) for row in connection.execute(query)]

    def add_key(self, user: str, label: str, *, by: Principal | str) -> tuple[ApiKey, str]:
        """A new key for the user of this id, and its secret, which is shown this once. Raises UsageError."""
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        key = ApiKey(secrets.token_hex(4), user, " ".join(label.split())[:60], created)
        with self._store.writing() as connection:
            count = sa.select(sa.func.count()).where(api_keys.c.user == user)
            if connection.execute(count).scalar_one() >= _KEYS_PER_USER:
                raise UsageError(f"An account has at most {_KEYS_PER_USER} keys. Revoke one first.")
            row = {"id": key.id, "secret": _hashed(secret), "user": user, "label": key.label, "created": created}
            connection.execute(sa.insert(api_keys), row)
            append(connection, by, "key added", key.id, user=user)
        return key, secret

    def revoke_key(self, key: str, *, by: Principal | str, user: str = "") -> None:
        """End a key; with `user`, only if it is that user's. Raises NotFound."""
        with self._store.writing() as connection:
            mine = api_keys.c.id == key
            if user:
                mine = sa.and_(mine, api_keys.c.user == user)
            if not connection.execute(sa.delete(api_keys).where(mine)).rowcount:
                raise NotFound(f"There is no key '{key[:20]}'.")
            append(connection, by, "key revoked", key)

    def principal_of_key(self, secret: str) -> tuple[Principal, str] | None:
        """Whose key this is, and the key's id, if both are good."""
        query = (
            sa.select(users, api_keys.c.id.label("key"))
            .join(api_keys, api_keys.c.user == users.c.id)
            .where(api_keys.c.secret == _hashed(secret), users.c.disabled == 0)
        )
        with self._store.reading() as connection:
            row = connection.execute(query).one_or_none()
            return None if row is None else (_user(row).principal, row.key)

    # -- passwords -----------------------------------------------------------------------------------------------

    def user(self, name: str) -> User:
        """The account of this name. Raises NotFound."""
        with self._store.reading() as connection:
            return _named(connection, name)

    def _verify(self, name: str, password: str, address: str) -> Principal:
        """Raises LoginRefused or TooManyTries.

        One password is looked at at a time: argon2 takes 64 MiB, and only so is the count exact when many come at once.
        """
        name = _folded(name)[:64]
        self._refuse_if_too_many(name, address)
        with self._verifying:
            self._refuse_if_too_many(name, address)
            query = sa.select(users).where(users.c.name == name)
            with self._store.reading() as connection:
                row = connection.execute(query).one_or_none()
            good = self._matches(row.password if row else self._nobody, password[: LONGEST_PASSWORD + 1])
            if row is not None and good and not row.disabled:
                self._limiter.clear(self._rate, "account", name)
                return _user(row).principal
            self._limiter.hit(self._rate, "account", name)
            self._limiter.hit(self._rate, "address", address)
        with self._store.writing() as connection:
            append(connection, row.id if row else "nobody", "login refused")
        raise LoginRefused("Name or password is wrong.")

    def _refuse_if_too_many(self, name: str, address: str) -> None:
        for kind, value in (("account", name), ("address", address)):
            if not self._limiter.test(self._rate, kind, value):
                wait = max(1, round(self._limiter.get_window_stats(self._rate, kind, value).reset_time - time.time()))
                raise TooManyTries(f"Too many wrong passwords. Try again in {-(-wait // 60)} minutes.", wait)

    def _matches(self, hashed: str, password: str) -> bool:
        from argon2.exceptions import VerificationError

        try:
            return self._hasher.verify(hashed, password)
        except VerificationError:
            return False

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        # argon2id, 64 MiB, 3 passes: the second choice of RFC 9106, on one core
        return self._given_hasher or PasswordHasher(parallelism=1)

    @cached_property
    def _nobody(self) -> str:
        """What the password of an unknown name is compared with, so that it takes as long."""
        return self._hasher.hash(secrets.token_urlsafe(16))

    @cached_property
    def _limiter(self) -> MovingWindowRateLimiter:
        from limits.storage import MemoryStorage
        from limits.strategies import MovingWindowRateLimiter

        return MovingWindowRateLimiter(MemoryStorage())

    @cached_property
    def _rate(self) -> RateLimitItem:
        from limits import RateLimitItemPerMinute

        return RateLimitItemPerMinute(self._wrong_passwords, WINDOW_MIN)


def checked_name(name: str) -> str:
    """The name as it is kept: normalised, lower case. Raises UsageError."""
    folded = _folded(name)
    if not _NAME.fullmatch(folded):
        raise UsageError("A name is 1 to 64 letters, digits or . @ + - _ (and single spaces inside).")
    return folded


def checked_password(password: str, name: str) -> str:
    """The password, if it will do (length counts, composition does not: NIST SP 800-63B). Raises UsageError."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UsageError(f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters. Take a sentence.")
    if len(set(password)) < 5 or _folded(password) == name:
        raise UsageError("This password is too easy to guess. Take a sentence.")
    return password


def new_password() -> str:
    """Sixteen letters and digits that are not mistaken for one another, in groups: 78 bits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _checked_role(role: str) -> Role:
    if role not in ROLES:
        raise UsageError(f"There is no role '{role[:20]}'. Roles are {', '.join(ROLES)}.")
    return role


def _named(connection: sa.Connection, name: str) -> User:
    row = connection.execute(sa.select(users).where(users.c.name == _folded(name))).one_or_none()
    if row is None:
        raise NotFound(f"There is no account '{name[:64]}'. `vademecum users list` shows them.")
    return _user(row)


def _keep_an_admin(connection: sa.Connection, leaving: User) -> None:
    others = sa.select(users.c.id).where(users.c.role == "admin", users.c.disabled == 0, users.c.id != leaving.id)
    if leaving.role == "admin" and connection.execute(others.limit(1)).scalar() is None:
        raise UsageError(f"'{leaving.name}' is the last admin. Make another one first.")


def _may_keep(by: Principal | str) -> None:
    """Raises AccessDenied for someone signed in who is no admin; the command line owns the files anyway."""
    if isinstance(by, Principal):
        require(by, Permission.USERS)


def _user(row: Any) -> User:
    return User(row.id, row.name, row.role, bool(row.disabled), row.created)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
