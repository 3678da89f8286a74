"""A scripted OpenAI-compatible server for generation: latency, 429, 500, hangs and broken replies, all by chance.

`python -m bench.generation_server --log FILE [--low 0.05 --high 0.5 --failures 0.12]` prints its port and serves. Each
reply that was sent whole is a line of the log: the request's idempotency key. Failures are drawn anew at each try.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from pathlib import Path
from typing import Any

REPLY = '[{"question": "第%d号问题是什么，应当如何处理？", "answer": "第%d号答案。"}]'


class Server:
    """Counts what it sends."""

    def __init__(self, log: Path, low: float, high: float, failures: float, hang_s: float = 30.0) -> None:
        self._log = log.open("a", encoding="utf-8")
        self._low, self._high, self._failures, self._hang_s = low, high, failures, hang_s
        self._random = random.Random(1)
        self._number = 0

    async def serve(self) -> None:
        """Print the port, serve for ever."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        async with server:
            await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                await reader.readexactly(int(fields.get("content-length", 0)))
                await self._answer(writer, fields.get("idempotency-key", ""))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, key: str) -> None:
        chance = self._random.random() / self._failures if self._failures else 9.0
        await asyncio.sleep(self._random.uniform(self._low, self._high))
        if chance < 0.3:
            await self._send(writer, 429, {"error": {"message": "slow down"}})
        elif chance < 0.6:
            await self._send(writer, 500, {"error": {"message": "out of memory"}})
        elif chance < 0.7:
            await asyncio.sleep(self._hang_s)
            raise ConnectionResetError
        elif chance < 0.85:
            writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{"choices": [')
            await writer.drain()
            raise ConnectionResetError
        else:
            await self._reply(writer, key, cut=chance < 1)

    async def _reply(self, writer: asyncio.StreamWriter, key: str, *, cut: bool) -> None:
        self._number += 1
        text = REPLY % (self._number, self._number)
        body = {
            "choices": [
                {
                    "message": {"role": "assistant", "content": text[:30] if cut else text},
                    "finish_reason": "length" if cut else "stop",
                }
            ],
            "usage": {"prompt_tokens": 300, "completion_tokens": 40},
        }
        await self._send(writer, 200, body)
        self._log.write(key + "\n")
        self._log.flush()

    async def _send(self, writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body, ensure_ascii=False).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        await writer.drain()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--low", type=float, default=0.05)
    parser.add_argument("--high", type=float, default=0.5)
    parser.add_argument("--failures", type=float, default=0.12)
    parser.add_argument("--hang", type=float, default=30.0)
    options = parser.parse_args()
    asyncio.run(Server(options.log, options.low, options.high, options.failures, options.hang).serve())


if __name__ == "__main__":
    main()
