"""Many askers at once: `python -m bench.load [--seconds 600] [--askers 200] [--flood 2000] [--home DIR]`.

The real app in a process of its own over the sample library, asked through the API by that many connections, with the
extractive engine and then with a scripted OpenAI-compatible server on loopback (a line of the first passage, cited, in
eight pieces 20 ms apart). First what the cores hold is measured (eight askers without pause); then the askers together
ask at a share of that rate. What the scripted server takes is subtracted: the rest is the app's own. Last, a flood: all
at once, in answers or orderly 429s. The questions come again and again, so the vectors of their sentences are
remembered by then; what a first question costs, `python -m bench.web` tells.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from bench.startup import COMMAND, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUESTIONS = [
    "What are the contraindications of metformin?",
    "metformin starting dose for adults",
    "硝苯地平有哪些不良反应？",
    "How should ciprofloxacin be taken with dairy products?",
    "成人高血压患者每天吃多少盐？",
    "What is the capital of France?",
    "Who should not take ciprofloxacin?",
    "What is the risk of lactic acidosis with metformin?",
    "How should amoxicillin tablets be stored?",
    "Can ibuprofen be taken with aspirin?",
    "阿莫西林的用法用量是什么？",
    "布洛芬有哪些禁忌？",
    "无创血糖监测产品的临床评价有哪些要求？",
    "高血压患者可以喝酒吗？",
    "When should opioid therapy be started?",
    "What are the risk factors of chronic kidney disease?",
]
PIECES = 8
WORD_S = 0.02
MODEL_S = PIECES * WORD_S
_PASSAGE = re.compile(r"<<<(?:PASSAGE|文段) 1>>>\n[^\n]*\n(.*?)\n<<<", re.DOTALL)
_LINE = re.compile(r"[^\n]{20,}")
ENGINES = ("extractive", "openai")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Result:
    """What came back in one phase."""

    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    memory_mb: list[float] = field(default_factory=list)
    wall: float = 0.0


async def main_async(args: argparse.Namespace) -> None:
    """Print the table."""
    heads = ["engine", "askers", "asked /s", "answered", "errors", "own p50 ms", "own p95 ms", "first text p95 ms"]
    print("| " + " | ".join([*heads, "MB, first third", "MB, last third"]) + " |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    async with scripted_model() as model_url:
        for engine in args.engines:
            taken = MODEL_S if engine == "openai" else 0.0
            more = {"OPENAI_BASE_URL": model_url, "OPENAI_MODEL": "m"} if engine == "openai" else {}
            async with running_app(Path(args.home), engine, more) as app:
                await phase(app, 8, 20.0, 0.0)  # warm
                capacity = await phase(app, 8, args.probe, 0.0)
                held = len(capacity.seconds) / capacity.wall
                rate = args.share * held
                result = await phase(app, args.askers, args.seconds, args.askers / rate)
                print(row(engine, args.askers, rate, result, taken), flush=True)
                if wrong := {name: n for name, n in result.statuses.items() if name != "200"}:
                    print(f"{engine}: {wrong}", file=sys.stderr)
                flood = await phase(app, args.flood, 0.0, 0.0)
                print(
                    f"\n{engine}: eight askers without pause {held:.1f} answers/s; flood of {args.flood}: "
                    f"{dict(flood.statuses)} in {flood.wall:.0f} s; afterwards answered: "
                    f"{dict((await phase(app, 4, 0.0, 0.0)).statuses)}\n",
                    flush=True,
                )


def row(engine: str, askers: int, rate: float, result: Result, taken: float) -> str:
    """One line of the table."""
    own = sorted(1000 * (s - taken) for s in result.seconds)
    first = sorted(1000 * s for s in result.first)
    errors = sum(result.statuses.values()) - result.statuses["200"]
    third = max(1, len(result.memory_mb) // 3)
    memory = f"{statistics.median(result.memory_mb[:third]):.0f} | {statistics.median(result.memory_mb[-third:]):.0f}"
    figures = [f"{rate:.1f}", result.statuses["200"], errors, *(f"{at(own, s):.0f}" for s in (0.5, 0.95))]
    return f"| {engine} | {askers} | {' | '.join(map(str, figures))} | {at(first, 0.95):.0f} | {memory} |"


def at(values: list[float], share: float) -> float:
    """The value below which that share lies."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


async def phase(app: tuple[str, int], askers: int, seconds: float, pause: float) -> Result:
    """Ask for so long with so many; each waits about `pause` between two questions. 0 seconds: each asks once."""
    url, pid = app
    result = Result()
    end = time.monotonic() + seconds
    started = time.monotonic()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(300.0), limits=limits) as client:

        async def asker(n: int) -> None:
            chance = random.Random(n)
            await asyncio.sleep(min(chance.uniform(0, pause), seconds))
            while not seconds or time.monotonic() < end:
                await ask(client, chance.choice(QUESTIONS), result)
                if not seconds:
                    return
                await asyncio.sleep(min(chance.uniform(0, 2 * pause), max(0.0, end - time.monotonic())))

        watching = asyncio.create_task(watch(pid, result))
        await asyncio.gather(*(asker(n) for n in range(askers)))
        watching.cancel()
    result.wall = time.monotonic() - started
    return result


async def ask(client: httpx.AsyncClient, question: str, result: Result) -> None:
    """One question, streamed."""
    body = {"model": "vademecum", "stream": True, "messages": [{"role": "user", "content": question}]}
    started, first, whole = time.monotonic(), 0.0, False
    try:
        async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                orderly = answer.status_code == 429 and int(answer.headers.get("retry-after", "0")) > 0
                result.statuses["429" if orderly else f"error {answer.status_code}"] += 1
                return
            async for line in answer.aiter_lines():
                if not first and '"content": "' in line and '"content": ""' not in line:
                    first = time.monotonic() - started
                whole = whole or line == "data: [DONE]"
                if '"error"' in line:
                    result.statuses["error in stream"] += 1
                    return
    except httpx.HTTPError as error:
        result.statuses[type(error).__name__] += 1
        return
    result.statuses["200" if whole else "cut"] += 1
    result.seconds.append(time.monotonic() - started)
    result.first.append(first)


async def watch(pid: int, result: Result) -> None:
    """Note the app's memory every second."""
    while True:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        result.memory_mb.append(pages * resource.getpagesize() / 1e6)
        await asyncio.sleep(1)


@asynccontextmanager
async def running_app(home: Path, engine: str, more: dict[str, str]) -> AsyncIterator[tuple[str, int]]:
    """The app; its address and process."""
    port = free_port()
    settings = {
        "ENGINE": engine,
        "API_PER_MINUTE": "0",
        "ANSWERS_AT_ONCE": "4" if engine == "extractive" else "32",
        **more,
    }
    settings["ANSWERS_WAITING"] = "256"
    environment = {**os.environ, **{f"VADEMECUM_{name}": value for name, value in settings.items()}}
    process = subprocess.Popen(
        [COMMAND, "serve", "--port", str(port), "--home", str(home)], env=environment, stdout=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient() as client:
            while True:
                try:
                    if (await client.get(f"{url}/health")).status_code == 200:
                        break
                except httpx.HTTPError:
                    if process.poll() is not None:
                        raise SystemExit("the app did not start") from None
                    await asyncio.sleep(0.2)
        yield url, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


@asynccontextmanager
async def scripted_model() -> AsyncIterator[str]:
    """An OpenAI-compatible endpoint that repeats a line of the first passage to everyone."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = next((line[15:] for line in head.split("\r\n") if line.startswith("content-length:")), "0")
                said = reply(json.loads(await reader.readexactly(int(length))))
                writer.write(HEAD)
                for text in said:
                    await asyncio.sleep(WORD_S)
                    writer.write(piece(text, None))
                    await writer.drain()
                writer.write(piece("", "stop"))
                done = b"data: [DONE]\n\n"
                writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(done), done))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def reply(asked: dict[str, Any]) -> list[str]:
    """What is said in how many pieces: something that the check of statements finds in its passage."""
    passage = _PASSAGE.search(str(asked["messages"][-1]["content"]))
    line = _LINE.search(passage[1]) if passage else None
    text = f"{line[0][:160] if line else 'Not mentioned in the documents'} [1]"
    step = -(-len(text) // PIECES)
    return [text[at : at + step] for at in range(0, len(text), step)]


def piece(word: str, finish: str | None) -> bytes:
    """One event of the stream, as a chunk."""
    choice: dict[str, Any] = {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": finish}
    event = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    data = f"data: {json.dumps(event)}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


def main() -> None:
    """Parse, make the sample library if no home is given, run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long the askers ask, for each engine")
    parser.add_argument("--probe", type=float, default=30.0, help="how long the rate that is held is measured")
    parser.add_argument("--share", type=float, default=0.6, help="of the rate that the cores hold")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--askers", type=int, default=200)
    parser.add_argument("--flood", type=int, default=2000)
    parser.add_argument("--home", default="", help="a library; without it, one of samples/documents is made")
    args = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        if not args.home:
            args.home = str(Path(folder) / "home")
            # with its vectors: else they would be computed beside the askers
            add = [str(COMMAND), "add", "samples/documents", "--home", args.home]
            subprocess.run(add, check=True, stdout=sys.stderr)
        asyncio.run(main_async(args))


if __name__ == "__main__":
    main()
