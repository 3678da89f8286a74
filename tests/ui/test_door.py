"""Without these whoever reaches the port reads the library, guesses passwords, or takes over a colleague's page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.datastructures import Headers

from kb.access import Principal
from kb.accounts import Accounts
from kb.errors import AccessDenied
from kb.store import Store
from ui.account import account_routes
from ui.door import COOKIE, Door
from ui.gradio_door import GradioDoor
from ui.guard import Guard
from ui.login import login_routes
from ui.users import user_routes

PASSWORD = "a sentence of some length"


@pytest.fixture
def accounts(store: Store) -> Accounts:
    """Cheap hashing, one reader."""
    made = Accounts(store, hasher=PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    made.add("li", "reader", PASSWORD, by="test")
    return made


@pytest.fixture
def app(accounts: Accounts) -> FastAPI:
    app = FastAPI()
    app.add_middleware(Door, accounts=accounts, single=True)
    app.add_middleware(Guard)
    app.include_router(login_routes(accounts))
    app.include_router(account_routes(accounts))
    app.include_router(user_routes(accounts))

    @app.get("/who")
    @app.get("/api/who")
    def who(request: Request) -> dict[str, str]:
        return {"name": request.state.principal.name}

    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1:7860", follow_redirects=False) as client:
        yield client


def sign_in(client: TestClient, name: str = "li", password: str = PASSWORD, **form: str) -> Any:
    return client.post("/login", data={"name": name, "password": password, **form})


def test_nobody_sees_the_login_page_and_nothing_else(client: TestClient) -> None:
    page = client.get("/who", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/who")
    assert client.get("/who").status_code == 401
    assert client.post("/account/keys", data={"label": "x"}).status_code == 401
    assert client.get("/v1/models").json()["error"]["type"] == "authentication_error"
    login = client.get("/login", headers={"accept-language": "zh-CN,en;q=0.8"})
    assert 'lang="zh-CN"' in login.text
    assert "default-src 'none'" in login.headers["content-security-policy"]
    assert "script" not in login.text


def test_session_lasts_from_login_to_logout(client: TestClient) -> None:
    answer = sign_in(client, next="/who")
    assert (answer.status_code, answer.headers["location"]) == (303, "/who")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert client.get("/who").json() == {"name": "li"}
    token = client.cookies[COOKIE]
    client.post("/logout")
    client.cookies.set(COOKIE, token)  # even if the browser keeps it
    assert client.get("/who").status_code == 401


@pytest.mark.parametrize(
    "next", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nSet-Cookie: x=1", ""]
)
def test_login_leads_nowhere_else(client: TestClient, next: str) -> None:
    assert sign_in(client, next=next).headers["location"] == "/"


def test_disabled_account_and_revoked_session_end_at_once(client: TestClient, accounts: Accounts) -> None:
    accounts.add("boss", "admin", PASSWORD + "!", by="test")
    sign_in(client)
    accounts.end_sessions(accounts.user("li").id, by="test")
    assert client.get("/who").status_code == 401
    sign_in(client)
    accounts.disable("li", by="test")
    assert client.get("/who").status_code == 401
    assert sign_in(client).status_code == 403


def test_thousand_wrong_passwords_are_not_all_looked_at(
    client: TestClient, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = 0
    true = PasswordHasher.verify

    def counting(*given: Any) -> bool:
        nonlocal verified
        verified += 1
        return true(*given)

    monkeypatch.setattr(PasswordHasher, "verify", counting)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: sign_in(client, password=f"wrong password {n}"), range(1000)))
    assert verified <= 10
    assert {answer.status_code for answer in answers} == {403, 429}
    late = sign_in(client)
    assert late.status_code == 429
    assert 0 < int(late.headers["retry-after"]) <= 900


def test_key_opens_the_api_alone_and_only_while_it_is_good(client: TestClient, accounts: Accounts) -> None:
    key, secret = accounts.add_key(accounts.user("li").id, "ward system", by="test")
    bearer = {"authorization": f"Bearer {secret}"}
    assert client.get("/api/who", headers=bearer).json() == {"name": "li"}
    assert client.get("/who", headers=bearer).status_code == 401
    accounts.revoke_key(key.id, by="test")
    assert client.get("/api/who", headers=bearer).status_code == 401


def test_account_page_changes_the_password_and_makes_keys(client: TestClient, accounts: Accounts) -> None:
    sign_in(client)
    page = client.post("/account/keys", data={"label": "<script>ward</script>"})
    secret = page.text.split("<code>")[1].split("</code>")[0]
    assert accounts.principal_of_key(secret) is not None
    assert "<script>" not in page.text
    (key,) = accounts.keys()
    assert secret not in client.get("/account").text
    client.post(f"/account/keys/{key.id}/revoke")
    assert accounts.keys() == []
    assert client.post("/account/password", data={"old": "wrong", "new": "another good sentence"}).status_code == 422
    changed = client.post("/account/password", data={"old": PASSWORD, "new": "another good sentence"})
    assert changed.headers["location"] == "/login?told=changed"
    assert client.get("/who").status_code == 401
    assert sign_in(client, password="another good sentence").status_code == 303


def test_key_of_another_is_not_revoked(client: TestClient, accounts: Accounts) -> None:
    other, _ = accounts.add("zhang", "reader", by="test")
    key, _ = accounts.add_key(other.id, "", by="test")
    sign_in(client)
    assert client.post(f"/account/keys/{key.id}/revoke").status_code == 404
    assert accounts.keys() == [key]


def test_without_accounts_this_machine_is_the_single_user(store: Store) -> None:
    accounts = Accounts(store)
    app = FastAPI()
    app.add_middleware(Door, accounts=accounts, single=True)

    @app.get("/who")
    def who(request: Request) -> dict[str, str]:
        return {"role": request.state.principal.role}

    client = TestClient(app)
    assert client.get("/who").json() == {"role": "single"}
    accounts.add("boss", "admin", PASSWORD, by="test")
    assert client.get("/who").status_code == 401
    closed = FastAPI()
    closed.add_middleware(Door, accounts=Accounts(store), single=False)
    assert TestClient(closed).get("/who").status_code == 401


# -- Gradio ----------------------------------------------------------------------------------------------------


@pytest.fixture
def gradio() -> TestClient:
    """The gate, with an app behind it that answers everything with the body it got."""

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive()).get("body", b"")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    gate = GradioDoor(behind)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            name, role = dict(scope["headers"]).get(b"x-who", b"li reader").decode().split()
            scope["state"] = {"principal": Principal(name, name, role)}
        await gate(scope, receive, send)

    return TestClient(app)


def test_only_admins_keep_accounts_and_the_last_one_stays(client: TestClient, accounts: Accounts) -> None:
    accounts.add("boss", "admin", PASSWORD, by="test")
    sign_in(client)
    for form in ({"act": "add", "name": "own", "role": "admin"}, {"act": "role", "name": "li", "role": "admin"}):
        assert client.post("/users", data=form).status_code == 403
    reader = accounts.user("li").principal
    for forbidden in (
        lambda: accounts.add("own", "admin", by=reader),
        lambda: accounts.set_role("li", "admin", by=reader),
        lambda: accounts.reset("boss", by=reader),
        lambda: accounts.disable("boss", by=reader),
        lambda: accounts.end_sessions(accounts.user("boss").id, by=reader),
    ):
        with pytest.raises(AccessDenied):
            forbidden()
    assert [(user.name, user.role) for user in accounts.users()] == [("boss", "admin"), ("li", "reader")]
    client.post("/logout")
    sign_in(client, "boss")
    refused = client.post("/users", data={"act": "disable", "name": "boss"})
    assert refused.status_code == 422
    assert "last admin" in refused.text
    for odd in ({"act": "add", "name": "x", "role": "single"}, {"act": "burn", "name": "li"}, {}):
        assert client.post("/users", data=odd).status_code == 422
    assert client.post("/users", data={"act": "role", "name": "li", "role": "curator"}).status_code == 200
    assert accounts.user("li").role == "curator"


def test_without_accounts_the_page_of_accounts_makes_none(store: Store) -> None:
    """Lost: a posted form makes the first account, whose password nobody was shown, and all are locked out."""
    accounts = Accounts(store, hasher=PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    app = FastAPI()
    app.add_middleware(Door, accounts=accounts, single=True)
    app.include_router(user_routes(accounts))
    client = TestClient(app)
    for answer in (client.get("/users"), client.post("/users", data={"act": "add", "name": "own", "role": "admin"})):
        assert answer.status_code == 403
        assert "vademecum users add NAME --role admin" in answer.text
    assert accounts.users() == []


def test_a_kept_file_goes_to_nobody_who_cannot_read_it() -> None:
    """Lost: a request that names its encodings twice leaves brotli for browsers that asked for gzip alone, or a
    thousand made-up encodings fill the memory."""
    made: list[str] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        accepted = Headers(scope=scope).get("accept-encoding", "")  # as Gradio's compression reads it
        made.append("br" if "br" in accepted else "gzip" if "gzip" in accepted else "plain")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": made[-1].encode()})

    gate = GradioDoor(behind)

    async def told(*encodings: bytes) -> bytes:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/assets/Index-abc.js",
            "query_string": b"",
            "headers": [(b"accept-encoding", one) for one in encodings],
            "state": {"principal": Principal("li", "li", "reader")},
        }
        await gate(scope, None, send)  # type: ignore[arg-type]
        return bytes(sent[-1]["body"])

    async def all_told() -> list[bytes]:
        odd = [await told(f"gzip, made-up-{n}".encode()) for n in range(50)]
        return [await told(b"br", b"gzip"), await told(b"gzip"), await told(b"br, gzip"), await told(), *odd]

    found = asyncio.run(all_told())
    assert found[:4] == [b"br", b"gzip", b"br", b"plain"]
    assert set(found[4:]) == {b"gzip"}
    assert sorted(made) == ["br", "gzip", "plain"]


def test_a_file_of_gradio_is_made_once_and_kept_by_browsers() -> None:
    """Else opening the page compresses seventy files anew for everyone who opens it."""
    asked: list[str] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        status = 404 if "none" in scope["path"] else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"cache-control", b"no-cache")]})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    gate = GradioDoor(behind)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["state"] = {"principal": Principal("li", "li", "reader")}
        await gate(scope, receive, send)

    client = TestClient(app)
    for _ in range(2):
        answer = client.get("/assets/Index-abc.js")
        assert answer.text == "/assets/Index-abc.js"
        assert answer.headers.get_list("cache-control") == ["private, max-age=31536000, immutable"]
    client.get("/assets/Index-abc.js", headers={"accept-encoding": "identity"})
    client.get("/assets/none.js")
    assert client.get("/assets/none.js").status_code == 404
    assert asked == ["/assets/Index-abc.js"] * 2 + ["/assets/none.js"] * 2


def test_page_of_another_does_not_exist(gradio: TestClient) -> None:
    join = {"session_hash": "abc", "fn_index": 3, "data": []}
    zhang = {"x-who": "zhang admin"}
    assert gradio.post("/gradio_api/queue/join", json=join).json() == join
    assert gradio.post("/gradio_api/queue/join", json=join, headers=zhang).status_code == 404
    assert gradio.post("/gradio_api/run/predict", json=join, headers=zhang).status_code == 404
    assert gradio.get("/gradio_api/queue/data?session_hash=abc", headers=zhang).status_code == 404
    assert gradio.get("/gradio_api/queue/data?session_hash=own&session_hash=abc", headers=zhang).status_code == 404
    assert gradio.get("/gradio_api/heartbeat/abc", headers=zhang).status_code == 404
    assert (
        gradio.post("/gradio_api/cancel", json={"session_hash": "abc", "fn_index": 1}, headers=zhang).status_code == 404
    )
    assert gradio.get("/gradio_api/queue/data?session_hash=abc").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/run/ask"),
        ("POST", "/gradio_api/api/predict"),
        ("POST", "/gradio_api/call/ask"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/proxy=https://evil.example/x"),
        ("GET", "/monitoring"),
        ("POST", "/gradio_api/component_server"),
        ("GET", "/gradio_api/vibe-code"),
        ("GET", "/gradio_api/stream/a/1/2/playlist.m3u8"),
    ],
)
def test_what_the_page_does_not_need_is_not_there(gradio: TestClient, method: str, path: str) -> None:
    assert gradio.request(method, path, json={} if method == "POST" else None).status_code == 404


def test_readers_cannot_fill_the_disk(gradio: TestClient) -> None:
    assert gradio.post("/gradio_api/upload", content=b"x").status_code == 403
    assert gradio.post("/gradio_api/upload", content=b"x", headers={"x-who": "cao curator"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x" * (1 << 20) + b"y", 413),
        (b"[1]", 422),
        (b"{", 422),
        (b'{"session_hash": 3}', 422),
        (b'{"data": []}', 422),
        (b'{"session_hash": "' + b"a" * 65 + b'"}', 422),
        (b"[" * 100_000, 422),
    ],
)
def test_unusable_events_go_no_further(gradio: TestClient, body: bytes, status: int) -> None:
    assert gradio.post("/gradio_api/queue/join", content=body).status_code == status
