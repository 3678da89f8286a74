"""Generation under fire: `python -m bench.generate [--chunks 4000] [--concurrency 64] [--kills 50] [--flat 100000]`.

A scripted server (bench.generation_server) with 50–500 ms latency and 12% failures. Three tables: how busy the
places were kept; what kill -9 at random moments lost or repeated; memory over growing numbers of passages.
A reply is repeated if its request was journalled before the kill and answered again after it. What was in flight at
the kill must be sent again, also where the server had sent its reply in that very moment.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from kb.schema import requests
from kb.store import Store
from kb.types import Chunk, Document, Span
from train.engine import EndpointEngine
from train.generate import GenerationReport, Limits, generate
from train.items import Mix, passages
from train.tasks import all_tasks

_SENTENCE = (
    "第{n}号病例应先评估肾功能，再按体重计算剂量，每次{d}mg，每日两次，"
    "疗程七天，用药期间监测血常规与肝功能，并记录不良反应。"
)


def fill(home: Path, count: int) -> None:
    """A library of `count` short passages, 1,000 to a document."""
    home.mkdir(parents=True, exist_ok=True)
    store = Store(home)
    for part in range(0, count, 1000):
        digest = hashlib.sha256(f"{part}".encode()).hexdigest()
        document = Document(digest[:16], digest, f"{part}.txt", f"Part {part}", "text", 1, "reading", language="zh")
        store.start_document(document)
        chunks = []
        for at in range(min(1000, count - part)):
            text = _SENTENCE.format(n=part + at, d=at + 1)
            chunks.append(Chunk(f"{digest[:8]}-{at}", document.id, at, text, "", (Span(0, len(text), 1),), "zh", 60))
        store.finish_document(document, chunks)
    store.close()


@contextmanager
def server(log: Path, *options: str) -> Iterator[str]:
    """The scripted server's address."""
    command = [sys.executable, "-m", "bench.generation_server", "--log", str(log), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        process.kill()
        process.wait()


def run(home: Path, address: str, concurrency: int) -> GenerationReport:
    """One whole run in this process."""
    store = Store(home)
    task, report = all_tasks()["qa"], GenerationReport()
    engine = EndpointEngine(address, "scripted", timeout_s=3.0, concurrency=concurrency)
    limits = Limits(concurrency, tries=12, first_wait_s=0.3)

    async def whole() -> None:
        try:
            items = passages(store, store.documents(), Mix(), ("zh",))
            await generate(store, task, items, engine, limits, report)
        finally:
            await engine.close()

    asyncio.run(whole())
    store.close()
    return report


def journalled(home: Path) -> set[str]:
    """Keys of the requests whose reply is in the journal."""
    store = Store(home)
    with store.reading() as connection:
        found = set(connection.execute(sa.select(requests.c.key).where(requests.c.state != "failed")).scalars())
    store.close()
    return found


def busy(chunks: int, concurrency: int) -> None:
    """Share of the places kept busy."""
    with tempfile.TemporaryDirectory() as folder:
        home, log = Path(folder) / "home", Path(folder) / "log"
        fill(home, chunks)
        with server(log) as address:
            report = run(home, address, concurrency)
        print(
            f"| {chunks:,} | {concurrency} | {report.done + report.unreadable:,} | {report.unreadable:,} | "
            f"{report.failed:,} | {report.retries:,} | {report.seconds:.1f} | {report.occupancy(concurrency):.3f} |",
            flush=True,
        )


def killed(chunks: int, concurrency: int, kills: int) -> None:
    """What kill -9 loses and repeats."""
    chooser = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        home, log = Path(folder) / "home", Path(folder) / "log"
        fill(home, chunks)
        log.touch()
        repeated = lost = done = 0
        before: set[str] = set()
        with server(log, "--hang", "5") as address:
            command = [sys.executable, "-m", "bench.generate", "--child", str(home), address, str(concurrency)]
            while True:
                sent = len(log.read_text().splitlines())
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
                wait = chooser.uniform(1.2, 3.5) if done < kills else 900
                try:
                    process.wait(wait)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    done += 1
                time.sleep(0.6)  # replies under way reach the log
                now = journalled(home)
                lost += len(before - now)
                repeated += len(before & set(log.read_text().splitlines()[sent:]))
                before = now
                if process.returncode == 0:
                    break
        sends = Counter(log.read_text().splitlines())
        again = sum(count - 1 for count in sends.values())
        print(f"| {done} | {chunks:,} | {len(before):,} | {lost} | {repeated} | {again} |", flush=True)


def flat(sizes: list[int], concurrency: int) -> None:
    """Peak memory of a run, a process each; the server answers at once and never fails."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            home, log = Path(folder) / "home", Path(folder) / "log"
            fill(home, size)
            with server(log, "--low", "0", "--high", "0.001", "--failures", "0") as address:
                command = [sys.executable, "-m", "bench.generate", "--child", str(home), address, str(concurrency)]
                said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            print(f"| {size:,} | {said[0]} | {float(said[1]):.0f} | {int(said[0]) / float(said[1]):.0f} | {said[2]} |")


def _head(*names: str) -> None:
    print(f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}")


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--chunks", type=int, default=4000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--flat", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        report = run(Path(options.child[0]), options.child[1], int(options.child[2]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(report.done + report.unreadable, report.seconds, peak)
        return
    _head("passages", "places", "replies", "unreadable", "given up", "retries", "s", "busy")
    busy(options.chunks, options.concurrency)
    if options.kills:
        _head("kills", "passages", "journalled", "lost", "repeated", "in flight at a kill, sent again")
        killed(options.chunks, options.concurrency, options.kills)
    if options.flat:
        _head("passages", "replies", "s", "replies/s", "peak MiB")
        flat(options.flat, options.concurrency)


if __name__ == "__main__":
    main()
