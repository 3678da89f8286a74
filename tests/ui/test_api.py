"""Without these other systems could not ask: by OpenAI's client, LangChain or curl; or a flood would take all down."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI
from langchain_openai import ChatOpenAI

from kb.access import Principal
from kb.accounts import Accounts
from kb.audit import Audit
from kb.knowledge_base import KnowledgeBase
from kb.service import Service
from kb.settings import Settings
from kb.types import AnswerEvent, Delta, Found, Scope, Turn
from tests.conftest import Adder
from ui.adding import Adding
from ui.api import plain_name
from ui.guard import listen
from ui.places import Places
from ui.surround import surround

QUESTION = "What is the starting dose of metformin?"


class Served:
    """The own routes over HTTP on loopback, with a reader's and a curator's key."""

    def __init__(self, folder: Path, add: Adder, **settings: Any) -> None:
        self.kb = KnowledgeBase.open(Settings(home=folder / "home", accounts=True, **settings), write=True)
        self.document = add(self.kb.store, "metformin.txt", ["The starting dose of metformin is 500 mg, with meals."])
        self.kb.publish()
        self.kb.embed_pending()
        self.service = Service(self.kb)
        self.service.accounts = Accounts(
            self.kb.store, hasher=PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        )
        self.keys: dict[str, str] = {}
        for role in ("reader", "curator"):
            user, _ = self.service.accounts.add(role, role, by="test")
            self.keys[role] = self.service.accounts.add_key(user.id, "", by="test")[1]
        uploads = folder / "uploads"
        uploads.mkdir()
        self.adding = Adding(self.kb, uploads)
        app = FastAPI(openapi_url="/api/openapi.json")
        surround(app, self.service, self.adding)
        listener = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.05)

    def http(self, role: str = "reader") -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {self.keys[role]}"}, timeout=60)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self.kb.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.conftest import add

    made = Served(tmp_path_factory.mktemp("api"), add.__wrapped__())  # type: ignore[attr-defined]
    yield made
    made.close()


@pytest.fixture
def client(served: Served) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key=served.keys["reader"], max_retries=0)


def test_openai_client_gets_a_cited_answer_that_is_kept_and_on_record(served: Served, client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["vademecum", "vademecum-extractive"]
    answer = client.chat.completions.create(model="vademecum", messages=[{"role": "user", "content": QUESTION}])
    assert "500 mg" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens > answer.usage.prompt_tokens > 0
    extension = answer.model_extra["vademecum"]  # type: ignore[index]
    assert extension["abstained"] is False
    assert extension["citations"][0]["quote"].startswith("The starting dose")
    reader = served.service.accounts.user("reader").principal
    kept = served.service.conversations.exchange(reader, extension["answer_id"])
    assert (kept.via, kept.question) == ("api", QUESTION)
    entry = [entry for entry in Audit(served.kb.store).entries() if entry.action == "asked"][-1]
    assert (entry.actor, entry.object) == (reader.id, extension["answer_id"])


def test_streamed_pieces_join_to_the_answer(client: openai.OpenAI) -> None:
    pieces = list(
        client.chat.completions.create(
            model="vademecum-extractive",
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert "500 mg" in text
    (last,) = [piece for piece in pieces if piece.choices and piece.choices[0].finish_reason]
    assert last.model_extra["vademecum"]["citations"][0]["n"] == 1  # type: ignore[index]
    assert pieces[-1].usage is not None


def test_abstention_says_so(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="vademecum", messages=[{"role": "user", "content": "What is the capital of France?"}]
    )
    assert answer.model_extra["vademecum"]["abstained"] is True  # type: ignore[index]
    assert answer.choices[0].message.content


def test_langchain_asks_and_streams(served: Served) -> None:
    model = ChatOpenAI(model="vademecum", base_url=f"{served.url}/v1", api_key=served.keys["reader"])  # type: ignore[arg-type]
    assert "500 mg" in str(model.invoke([("system", "Be brief."), ("human", QUESTION)]).content)
    assert "500 mg" in "".join(str(piece.content) for piece in model.stream(QUESTION))


def test_curl_asks(served: Served) -> None:
    body = json.dumps({"model": "vademecum", "messages": [{"role": "user", "content": QUESTION}]})
    command = [
        "curl",
        "-sS",
        f"{served.url}/v1/chat/completions",
        "-H",
        f"Authorization: Bearer {served.keys['reader']}",
    ]
    done = subprocess.run(
        [*command, "-H", "Content-Type: application/json", "-d", body], capture_output=True, check=True
    )
    assert "500 mg" in json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_embeddings_are_the_librarys_own(served: Served, client: openai.OpenAI) -> None:
    made = client.embeddings.create(model="any", input=["renal impairment", "kidney disease"])
    first, second = (np.array(row.embedding) for row in made.data)
    assert first @ second > 0.5
    plain = served.http().post("/v1/embeddings", json={"input": "renal impairment"}).json()
    assert np.allclose(plain["data"][0]["embedding"], first, atol=1e-5)
    wanted = (
        served.http().post("/v1/embeddings", json={"input": "renal impairment", "encoding_format": "base64"}).json()
    )
    assert np.allclose(np.frombuffer(base64.b64decode(wanted["data"][0]["embedding"]), "<f4"), first, atol=1e-5)


def test_errors_are_those_that_openais_clients_know(served: Served, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.UnprocessableEntityError):
        client.chat.completions.create(model="vademecum", messages=[{"role": "user", "content": "  "}])
    with pytest.raises(openai.UnprocessableEntityError, match="more than the 4,000"):
        client.chat.completions.create(model="vademecum", messages=[{"role": "user", "content": "x" * 5000}])
    picture = [{"type": "image_url", "image_url": {"url": "https://outside.example/x.png"}}]
    with pytest.raises(openai.UnprocessableEntityError, match="Only text"):
        client.chat.completions.create(model="vademecum", messages=[{"role": "user", "content": picture}])  # type: ignore[list-item,misc]
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{served.url}/v1", api_key="vmk_wrong", max_retries=0).models.list()
    where = {"vademecum": {"documents": ["0" * 16]}}
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="vademecum", messages=[{"role": "user", "content": "x"}], extra_body=where)


def test_search_feedback_and_status(served: Served) -> None:
    with served.http() as reader:
        (hit,) = reader.post("/api/search", json={"question": QUESTION, "k": 1}).json()["hits"]
        assert hit["document"] == served.document.id
        body = {"messages": [{"role": "user", "content": QUESTION}]}
        answer = reader.post("/v1/chat/completions", json=body).json()["vademecum"]["answer_id"]
        given = {"answer_id": answer, "verdict": "wrong", "correction": "850 mg"}
        assert reader.post("/api/feedback", json=given).status_code == 201
        assert served.http("curator").post("/api/feedback", json=given).status_code == 404
        assert reader.post("/api/feedback", json={**given, "verdict": "great"}).status_code == 422
        status = reader.get("/api/status").json()
        assert (status["documents"], status["running"], status["waiting"]) == (1, 0, 0)
        paths = reader.get("/api/openapi.json").json()["paths"]
    assert {"/v1/chat/completions", "/v1/models", "/api/search", "/api/documents", "/api/feedback"} <= paths.keys()
    assert "/login" not in paths
    admin = Principal("x", "x", "admin")
    assert served.service.conversations.pending_feedback(admin)[0].correction == "850 mg"


def test_upload_becomes_a_job_of_whoever_may(served: Served) -> None:
    files = [("file", ("../../etc/guide.txt", b"Aspirin is a drug. " * 40)), ("file", ("x.exe", b"MZ"))]
    assert served.http().post("/api/documents", files=files).status_code == 403
    with served.http("curator") as curator:
        good, bad = curator.post("/api/documents", files=files, data={"title": "Guide"}).json()["files"]
        assert (good["file"], good["status"], bad["status"]) == ("guide.txt", "queued", "failed")
        assert curator.get(f"/api/jobs/{good['job']}").json()["job"]["subject"] == "guide.txt"
        assert curator.get("/api/jobs/999999").status_code in (404, 422)
        assert curator.post("/api/documents", data={"title": "x"}).status_code == 422
        endless = curator.post(
            "/api/documents", content=iter([b"x"]), headers={"content-type": "multipart/form-data; boundary=x"}
        )
        assert endless.status_code == 411
    assert served.http().get(f"/api/jobs/{good['job']}").status_code == 403
    assert list(served.adding.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\docs\\指南.pdf", "指南.pdf"),
        ("a\x00b\r\n.txt", "ab.txt"),
        ("..", "unnamed"),
        ("", "unnamed"),
        (".pdf", "unnamed.pdf"),
        ("/", "unnamed"),
        ("药" * 200 + ".pdf", "药" * 66 + ".pdf"),
    ],
)
def test_names_lead_nowhere(name: str, kept: str) -> None:
    assert plain_name(name) == kept


def test_flood_is_refused_in_order_and_the_rest_is_answered(tmp_path: Path, add: Adder) -> None:
    served = Served(tmp_path, add, answers_at_once=1, answers_waiting=2, api_per_minute=0)
    held = threading.Event()

    def slow(question: str, history: Sequence[Turn], scope: Scope, **_: Any) -> Iterator[AnswerEvent]:
        yield Found(())
        held.wait(60)
        yield Delta("done")
        raise AssertionError("closed before")

    served.kb.ask = slow  # type: ignore[method-assign]
    body = {"messages": [{"role": "user", "content": "x"}], "stream": True}
    try:
        with served.http() as first, first.stream("POST", "/v1/chat/completions", json=body) as running:
            lines = running.iter_lines()
            assert next(lines).startswith("data: ")
            threads = [
                threading.Thread(target=lambda: served.http().post("/api/search", json={"question": "x"})) for _ in "ab"
            ]
            for thread in threads:
                thread.start()
            while served.http().get("/api/status").json()["waiting"] < 2:
                time.sleep(0.05)
            refused = served.http().post("/v1/chat/completions", json=body)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["error"]["type"] == "rate_limit_error"
        held.set()  # the first has hung up: its place goes to the next
        for thread in threads:
            thread.join(60)
        assert served.http().get("/api/status").json()["waiting"] == 0
    finally:
        held.set()
        served.close()


def test_each_key_has_its_rate(tmp_path: Path, add: Adder) -> None:
    served = Served(tmp_path, add, api_per_minute=3)
    try:
        with served.http() as reader:
            assert [reader.get("/v1/models").status_code for _ in range(4)] == [200, 200, 200, 429]
            assert 0 < int(reader.get("/v1/models").headers["retry-after"]) <= 60
        assert served.http("curator").get("/v1/models").status_code == 200
    finally:
        served.close()


def test_places_are_given_back_whatever_happens() -> None:
    import asyncio

    async def run() -> tuple[int, int]:
        places = Places(1, 0)
        with pytest.raises(ZeroDivisionError):
            await places.run(lambda: 1 // 0)
        async with aclosing(places.each(lambda: iter([1, 2]))) as steps:
            assert await anext(steps) == 1
        return await places.run(lambda: 3), places.running

    assert asyncio.run(run()) == (3, 0)
