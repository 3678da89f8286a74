"""A real OpenAI-compatible endpoint on loopback for tests: /v1/chat/completions over server-sent events, scripted.

The model's name chooses the script: ok, slow, drip, hang, cut, cut-clean, error-500, error-429, error-401, garbage,
html, redirect, empty, length, error-event.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

WORDS = ["The maximum ", "daily dose ", "is 2550 mg ", "[", "1", "]."]


class OpenAIServer:
    """Context manager; `url` is the base_url, `requests` what was asked (path, headers, body)."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.released = threading.Event()
        self.broken_pipes = 0
        server = self

        class Handler(_Handler):
            owner = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: OpenAIServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.owner.requests.append((self.path, dict(self.headers), {}))
        self._plain(404, "text/plain", b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        asked = json.loads(body) if body.startswith(b"{") else {}
        self.owner.requests.append((self.path, dict(self.headers), asked))
        script = str(asked.get("model", "ok")).replace("-", "_")
        try:
            getattr(self, f"_script_{script}")(asked)
        except (BrokenPipeError, ConnectionResetError):
            self.owner.broken_pipes += 1

    def _plain(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def _raw(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _piece(self, text: str, reason: str | None = None) -> None:
        delta = {"role": "assistant", "content": text}
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        self._raw(
            "data: "
            + json.dumps(
                {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            )
            + "\n\n"
        )

    def _end(self, reason: str = "stop") -> None:
        self._piece("", reason)
        self._raw("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _error(self, status: int, message: str) -> None:
        self._plain(status, "application/json", json.dumps({"error": {"message": message, "type": "x"}}).encode())

    def _script_ok(self, asked: dict[str, Any], wait: float = 0.0) -> None:
        self._begin()
        for word in WORDS:
            time.sleep(wait)
            self._piece(word)
        self._end()

    def _script_slow(self, asked: dict[str, Any]) -> None:
        self._script_ok(asked, wait=0.1)

    def _script_drip(self, asked: dict[str, Any]) -> None:
        self._begin()
        while not self.owner.released.wait(0.05):
            self._piece("drip ")

    def _script_hang(self, asked: dict[str, Any]) -> None:
        self._begin()
        self._piece(WORDS[0])
        self.owner.released.wait(30)

    def _script_hang_first(self, asked: dict[str, Any]) -> None:
        self.owner.released.wait(30)

    def _script_cut(self, asked: dict[str, Any]) -> None:
        self._begin()
        self._piece(WORDS[0])
        self._piece(WORDS[1])
        self.close_connection = True
        self.connection.close()

    def _script_cut_clean(self, asked: dict[str, Any]) -> None:
        self._begin()
        self._piece(WORDS[0])
        self.wfile.write(b"0\r\n\r\n")

    def _script_error_500(self, asked: dict[str, Any]) -> None:
        self._error(500, "out of memory")

    def _script_error_429(self, asked: dict[str, Any]) -> None:
        self._error(429, "too many requests")

    def _script_error_401(self, asked: dict[str, Any]) -> None:
        self._error(401, f"wrong key: {self.headers.get('authorization', '')}")

    def _script_error_400(self, asked: dict[str, Any]) -> None:
        message = "This model's maximum context length is 4096 tokens, your prompt has 5000."
        error = {"message": message, "type": "invalid_request_error", "code": "context_length_exceeded"}
        self._plain(400, "application/json", json.dumps({"error": error}).encode())

    def _script_garbage(self, asked: dict[str, Any]) -> None:
        self._begin()
        self._raw("data: {this is not json\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _script_html(self, asked: dict[str, Any]) -> None:
        self._plain(200, "text/html", b"<html>It works!</html>")

    def _script_redirect(self, asked: dict[str, Any]) -> None:
        self._plain(307, "text/plain", b"", location=f"{self.owner.url}/elsewhere")

    def _script_empty(self, asked: dict[str, Any]) -> None:
        self._begin()
        self._end()

    def _script_length(self, asked: dict[str, Any]) -> None:
        self._begin()
        for word in WORDS:
            self._piece(word)
        self._end("length")

    def _script_error_event(self, asked: dict[str, Any]) -> None:
        self._begin()
        self._piece(WORDS[0])
        self._raw('data: {"error": {"message": "CUDA out of memory"}}\n\n')
        self.wfile.write(b"0\r\n\r\n")
