"""Without these a guessed password, a stolen or old session, or a dismissed colleague would open the library."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
from argon2 import PasswordHasher

from kb.access import PERMISSIONS, ROLES, SINGLE, Permission, Principal, require
from kb.accounts import KEY_PREFIX, Accounts, checked_name, checked_password
from kb.audit import Audit
from kb.errors import AccessDenied, KBError, LoginRefused, NotFound, TooManyTries, UsageError
from kb.store import Store

PASSWORD = "correct horse battery"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(store: Store, clock: Clock) -> Accounts:
    cheap = PasswordHasher(time_cost=1, memory_cost=2048, parallelism=1)
    opened = Accounts(store, clock=clock, hasher=cheap)
    opened.add("Li Wei", "reader", PASSWORD, by="test")
    return opened


def test_only_the_right_password_signs_in(accounts: Accounts) -> None:
    principal, token = accounts.login("  li WEI ", PASSWORD, "10.0.0.1")
    assert (principal.name, principal.role) == ("li wei", "reader")
    assert accounts.principal(token) == principal
    for name, password in [("li wei", PASSWORD + "x"), ("li wei", ""), ("nobody", PASSWORD)]:
        with pytest.raises(LoginRefused, match="Name or password is wrong"):
            accounts.login(name, password, "10.0.0.1")


def test_neither_password_nor_token_nor_key_lies_in_the_store(accounts: Accounts, store: Store) -> None:
    principal, token = accounts.login("li wei", PASSWORD, "10.0.0.1")
    _, key = accounts.add_key(principal.id, "ward", by=principal)
    store.close()
    for file in store.home.glob("catalog.sqlite*"):
        data = file.read_bytes()
        assert not [secret for secret in (PASSWORD, token, key) if secret.encode() in data]


def test_session_ends_when_idle_when_old_and_when_revoked(accounts: Accounts, clock: Clock) -> None:
    _, token = accounts.login("li wei", PASSWORD, "10.0.0.1")
    for _ in range(12):
        clock.now += 3590
        assert accounts.principal(token) is not None
    clock.now += 3590
    assert accounts.principal(token) is None, "open longer than twelve hours"
    _, token = accounts.login("li wei", PASSWORD, "10.0.0.1")
    clock.now += 3700
    assert accounts.principal(token) is None, "idle for more than an hour"
    principal, token = accounts.login("li wei", PASSWORD, "10.0.0.1")
    _, other = accounts.login("li wei", PASSWORD, "10.0.0.1")
    accounts.logout(token)
    assert accounts.principal(token) is None
    assert accounts.end_sessions(principal.id, by="test") == 1
    assert accounts.principal(other) is None
    assert accounts.principal("") is None


def test_disabled_user_and_changed_role_count_at_once(accounts: Accounts) -> None:
    principal, token = accounts.login("li wei", PASSWORD, "10.0.0.1")
    _, key = accounts.add_key(principal.id, "ward", by=principal)
    accounts.set_role("li wei", "curator", by="test")
    found = accounts.principal(token)
    assert found is not None
    assert found.role == "curator"
    accounts.disable("li wei", by="test")
    assert accounts.principal(token) is None
    assert accounts.principal_of_key(key) is None
    with pytest.raises(LoginRefused):
        accounts.login("li wei", PASSWORD, "10.0.0.1")
    accounts.disable("li wei", disabled=False, by="test")
    assert accounts.principal(token) is None, "the old session must not come back"


def test_keys_are_ones_own_and_revocable(accounts: Accounts) -> None:
    mine, _ = accounts.login("li wei", PASSWORD, "10.0.0.1")
    other, _ = accounts.add("zhang", "admin", by="test")
    key, secret = accounts.add_key(mine.id, "ward  computer", by=mine)
    assert secret.startswith(KEY_PREFIX)
    assert accounts.principal_of_key(secret) == (mine, key.id)
    assert [k.label for k in accounts.keys(mine.id)] == ["ward computer"]
    with pytest.raises(NotFound):
        accounts.revoke_key(key.id, by=other.principal, user=other.id)
    accounts.revoke_key(key.id, by=mine, user=mine.id)
    assert accounts.principal_of_key(secret) is None


def test_new_password_ends_sessions_and_keys(accounts: Accounts) -> None:
    principal, token = accounts.login("li wei", PASSWORD, "10.0.0.1")
    with pytest.raises(LoginRefused):
        accounts.change_password(principal, "wrong", "another long password", "10.0.0.1")
    accounts.change_password(principal, PASSWORD, "another long password", "10.0.0.1")
    assert accounts.principal(token) is None
    _, key = accounts.add_key(principal.id, "", by=principal)
    _, made_up = accounts.reset("li wei", by="test")
    assert accounts.principal_of_key(key) is None
    accounts.login("li wei", made_up, "10.0.0.1")


def tried(accounts: Accounts, names: list[str], addresses: list[str]) -> Counter[str]:
    """What came of a thousand wrong passwords, from eight threads at once."""
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def attack(worker: int) -> None:
        for n in range(worker, 1000, 8):
            try:
                accounts.login(names[n % len(names)], f"wrong password {n}", addresses[n % len(addresses)])
                outcome = "in"
            except KBError as error:
                outcome = type(error).__name__
            with lock:
                outcomes[outcome] += 1

    threads = [threading.Thread(target=attack, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_a_thousand_wrong_passwords_get_ten_looked_at(accounts: Accounts) -> None:
    many = [f"10.0.{n // 250}.{n % 250}" for n in range(1000)]
    assert tried(accounts, ["li wei"], many) == {"LoginRefused": 10, "TooManyTries": 990}
    with pytest.raises(TooManyTries, match="minutes") as refused:
        accounts.login("li wei", PASSWORD, "10.9.9.9")
    assert 0 < refused.value.retry_after_s <= 900
    names = [f"user{n}" for n in range(1000)]
    assert tried(accounts, names, ["10.8.8.8"]) == {"LoginRefused": 10, "TooManyTries": 990}


def test_right_passwords_are_not_counted(accounts: Accounts) -> None:
    for _ in range(12):
        accounts.login("li wei", PASSWORD, "10.0.0.1")


def test_unknown_name_costs_as_much_as_a_known_one(accounts: Accounts) -> None:
    """Otherwise the time of an answer tells which names exist. The processor's time is compared, not the clock's."""

    def cost(name: str) -> float:
        started = time.thread_time()
        with pytest.raises(LoginRefused):
            accounts.login(name, "wrong password", f"address of {name}")
        return time.thread_time() - started

    cost("somebody else")  # makes the hash that unknown names are compared with
    known, unknown = min(cost("li wei") for _ in range(4)), min(cost("nobody") for _ in range(4))
    assert 0.5 < unknown / known < 2.0


def test_last_admin_stays(accounts: Accounts) -> None:
    first = accounts.add("chief", "admin", by="test")[0]
    for change in (
        lambda: accounts.disable("chief", by="test"),
        lambda: accounts.set_role("chief", "reader", by="test"),
    ):
        with pytest.raises(UsageError, match="last admin"):
            change()
    accounts.add("second", "admin", by="test")
    assert accounts.disable(first.name, by="test").disabled


def test_first_admin_is_made_once_with_a_password_of_its_own(store: Store) -> None:
    accounts = Accounts(store)
    assert not accounts.exist()
    first = accounts.first_admin()
    assert first is not None
    assert len(first[1]) >= 16
    accounts.login(first[0].name, first[1], "10.0.0.1")
    assert accounts.first_admin() is None


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "../admin", "<b>", "a\x00b"])
def test_unusable_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        checked_name(name)


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "x" * 257, "dr.wang@ward3"])
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(UsageError, match=r"[Pp]assword"):
        checked_password(password, "dr.wang@ward3")


def test_roles_grow_and_nobody_may_nothing() -> None:
    reader, curator, admin = (PERMISSIONS[role] for role in ROLES)
    assert reader < curator < admin
    assert not {Permission.UPLOAD, Permission.REMOVE, Permission.USERS, Permission.AUDIT} & reader
    assert Permission.USERS not in curator
    with pytest.raises(AccessDenied, match="Sign in"):
        require(None, Permission.ASK)
    with pytest.raises(AccessDenied, match="'reader' may not remove"):
        require(Principal("1", "li", "reader"), Permission.REMOVE)
    assert require(SINGLE, Permission.PROMOTE) is SINGLE


def test_accounts_are_on_record(accounts: Accounts, store: Store) -> None:
    principal, token = accounts.login("li wei", PASSWORD, "10.0.0.1")
    accounts.logout(token)
    assert [entry.action for entry in Audit(store).entries()] == ["user added", "login", "logout"]
    assert [entry.actor for entry in Audit(store).entries()] == ["test", principal.id, principal.id]
