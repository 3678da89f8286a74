"""An OpenAI-compatible endpoint on loopback; a word of the question decides: slowly, hostile, else it fails.

Run in a thread of the test process, so that the app under test talks to it over real HTTP.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOSTILE = (
    "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script> "
    "![x](http://outside.example/x.png) $$\\href{javascript:alert(1)}{x}$$ {{x}} ${document.title='hacked'} [1]"
)


class ScriptedModel:
    """`url` is the base URL; `close` ends it and whatever streams."""

    def __init__(self, hostile: str = HOSTILE) -> None:
        """`hostile` is what it says when asked for hostile things."""
        self.closed = threading.Event()
        closed = self.closed

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                question = asked["messages"][-1]["content"]
                if "slowly" not in question and "hostile" not in question:
                    self.send_error(503, "overloaded")
                    return
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                try:
                    self.stream(question)
                except (BrokenPipeError, ConnectionResetError):
                    return

            def stream(self, question: str) -> None:
                if "hostile" in question:
                    for start in range(0, len(hostile), 7):
                        self.piece(hostile[start : start + 7])
                else:
                    self.piece("Something first [1]. ")
                    while not closed.wait(0.1):
                        self.piece("Drip drip. ")
                self.piece("", "stop")
                self.wfile.write(b"data: [DONE]\n\n")

            def piece(self, text: str, reason: str | None = None) -> None:
                choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}
                chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
