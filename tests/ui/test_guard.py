"""Without these a web site could read the library through the clinician's browser (DNS rebinding, cross-site posts)."""

from __future__ import annotations

import asyncio
import socket

import pytest
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient

from ui.guard import Guard, listen


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.add_middleware(Guard)

    @app.get("/")
    def page() -> Response:
        text = '<head><meta property="og:image" content="https://outside.example/x.png"><title>V</title></head>'
        return Response(text, media_type="text/html")

    @app.post("/do")
    def do() -> dict[str, bool]:
        return {"done": True}

    return TestClient(app, base_url="http://127.0.0.1:7860")


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "LOCALHOST:1", "[::1]:7860"])
def test_own_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.5:7860", "", "[", "localhost.evil"]
)
def test_other_names_are_refused(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:9999", "http://127.0.0.1:7861", "http://["]
)
def test_posts_of_other_pages_are_refused(client: TestClient, origin: str) -> None:
    assert client.post("/do", headers={"origin": origin}).status_code == 403


def test_own_posts_pass(client: TestClient) -> None:
    assert client.post("/do", headers={"origin": "http://127.0.0.1:7860"}).json() == {"done": True}
    assert client.post("/do").status_code == 200
    assert client.post("/do", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_pages_name_no_outside_host_and_forbid_reaching_one(client: TestClient) -> None:
    answer = client.get("/")
    assert "outside.example" not in answer.text
    assert "<title>V</title>" in answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_answers_are_sent_without_delay() -> None:
    """Else every answer but the first of a connection comes 40 ms late, and a page is made of seventy."""

    async def sent_at_once() -> int:
        seen: list[int] = []

        async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            seen.append(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(connected, sock=listen("127.0.0.1", 0)) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            await reader.read()
            writer.close()
        return seen[0]

    assert asyncio.run(sent_at_once())
