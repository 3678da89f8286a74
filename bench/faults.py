"""Kills and full disks: `python -m bench.faults [--kills 200] [--sizes 12] [--seed 1]`.

Each round forks a process that works on a library (adds files, cuts it anew, queues, pauses and cancels jobs, withdraws
documents, rewrites the index) and kills it with SIGKILL after a random part of the time that the work takes; a second
process then opens what is left and checks it: nothing that was acknowledged is gone, no document is half there, the
index opens and holds exactly what may be found. Disks are filled by a limit on the size of files. Everything is real
but the embedder, which is the small one of kb.testing, so that two hundred rounds take minutes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ingest.add import add_paths, hash_of
from ingest.jobs import Tending, background_handlers, rechunk_here, see_through, submit_embedding
from ingest.take_in import submit_file
from kb.editions import DocumentDetails
from kb.errors import KBError
from kb.jobs import JobQueue
from kb.knowledge_base import KnowledgeBase
from kb.settings import Settings
from kb.store import Store
from kb.terms import Terms
from kb.testing import HashEmbedder
from kb.types import READ_STATES
from kb.worker import Worker
from tests.ingest.tiny_pdf import Sheet, lines, pdf

Say = Callable[[str], None]


@contextmanager
def opened(home: Path, *, chunk_tokens: int = 220) -> Iterator[KnowledgeBase]:
    """The library, index loaded or repaired as any process does that opens it."""
    home.mkdir(parents=True, exist_ok=True)
    kb = KnowledgeBase(Settings(home=home, chunk_tokens=chunk_tokens), Store(home), HashEmbedder(), None)
    try:
        kb._load_index()
        yield kb
    finally:
        kb.close()


# -- what is done while the kill is on its way ---------------------------------------------------------------------


def adding(home: Path, files: list[Path], chooser: random.Random, say: Say) -> None:
    """The verb add: each file is acknowledged when it is in."""
    with opened(home) as kb:
        for file in files:
            for one in add_paths(kb, [file], embed=chooser.random() < 0.5):
                if one.status in ("added", "known"):
                    say(f"read {one.document}")


def uploading(home: Path, files: list[Path], chooser: random.Random, say: Say) -> None:
    """The app and its worker: a file is acknowledged when its job is queued; some are paused or cancelled."""
    with opened(home) as kb:
        queue = JobQueue(kb.store)
        for file in files:
            sha256 = hash_of(file)
            kb.store.put_blob(file, sha256)
            job = submit_file(queue, file.name, sha256, file.stat().st_size, DocumentDetails())
            say(f"queued {sha256[:16]}")
            if chooser.random() < 0.2:
                queue.pause(job.number)
                queue.resume(job.number)
            elif chooser.random() < 0.1:
                say(f"forget {sha256[:16]}")  # from here on it may be gone
                queue.cancel(job.number)
        tend = Tending(kb, queue)
        tend()
        Worker(queue, background_handlers(kb, queue)).run()


def recutting(home: Path, files: list[Path], chooser: random.Random, say: Say) -> None:
    """The chunker has changed: all is cut anew and switched."""
    with opened(home, chunk_tokens=chooser.choice([64, 96, 128, 180, 256])) as kb:
        rechunk_here(kb, lambda job: None)


def publishing(home: Path, files: list[Path], chooser: random.Random, say: Say) -> None:
    """Documents are withdrawn, unpublished and published; the index is written anew."""
    with opened(home) as kb:
        ready = [document.id for document in kb.documents() if document.state == "ready"]
        for document in chooser.sample(ready, min(2, len(ready))):
            say(f"forget {document}")
            kb.remove(document)
        for document in chooser.sample(ready, min(2, len(ready))):
            with suppress(KBError):
                kb.unpublish_document(document)
                kb.publish_document(document)
        kb.renew_index()


def embedding(home: Path, files: list[Path], chooser: random.Random, say: Say) -> None:
    """Vectors that are missing, and the index with them."""
    with opened(home) as kb:
        queue = JobQueue(kb.store)
        worker = Worker(queue, background_handlers(kb, queue))
        for document in kb.documents()[:20]:
            with kb.store.writing() as connection:
                connection.exec_driver_sql(
                    "DELETE FROM vectors WHERE chunk IN (SELECT number FROM chunks WHERE document = ?)", (document.id,)
                )
        see_through(queue, worker, submit_embedding(queue), lambda job: None)


WORK = {"add": adding, "upload": uploading, "rechunk": recutting, "publish": publishing, "embed": embedding}


def made_files(folder: Path, chooser: random.Random, count: int = 4) -> list[Path]:
    """New files: records, text, PDF; each holds the phrase 'probe <file>' once in every record or page."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for _ in range(count):
        name = f"f{chooser.randrange(1 << 40):010x}"
        said = [
            f"Probe {name} part {n}: drug {chooser.randrange(9999)} is given as {chooser.randrange(900)} mg each day, "
            f"and no more than {chooser.randrange(9)} times; 用于第{chooser.randrange(999)}种疾病，口服。"
            for n in range(chooser.randrange(5, 60))
        ]
        kind = chooser.choice(["json", "txt", "pdf"])
        path = folder / f"{name}.{kind}"
        if kind == "json":
            path.write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
        elif kind == "txt":
            path.write_text("\n\n".join(said), encoding="utf-8")
        else:
            latin = [text.partition(";")[0] for text in said]
            path.write_bytes(pdf([Sheet(lines(latin[at : at + 20])) for at in range(0, len(latin), 20)]))
        files.append(path)
    return files


# -- what is left ----------------------------------------------------------------------------------------------------


def faults_of(home: Path, acknowledged: dict[str, str]) -> list[str]:
    """What is wrong with a library after a kill; empty if all is well."""
    found: list[str] = []
    with opened(home) as kb:
        found += kb.store.check()
        documents = {document.id: document for document in kb.store.documents()}
        waiting = {str(job.payload.get("sha256"))[:16] for job in JobQueue(kb.store).jobs(limit=2000) if not job.over}
        for id, how in acknowledged.items():
            document = documents.get(id)
            if not ((document and document.state in READ_STATES) or (how == "queued" and id in waiting)):
                state = document.state if document else "gone"
                found.append(f"acknowledged ({how}) and now {state}: {id}")
        whole = 0
        for document in documents.values():
            stored = len(kb.store.chunks(document.id))
            if document.state in READ_STATES:
                if stored != document.chunks or not stored:
                    found.append(f"half there: {document.file} has {stored} of {document.chunks} chunks")
                if not kb.store.has_blob(document):
                    found.append(f"no original: {document.file}")
                whole += stored if document.state != "draft" else 0
            elif stored and document.state != "reading":  # one that is being read has some already, searched by nobody
                found.append(f"{document.file} is {document.state} but has chunks")
        if not kb.index.level_with(kb.store):
            found.append("the index is not level after it was opened")
        if kb.index.counts[0] != whole:
            found.append(f"the index holds {kb.index.counts[0]} chunks of {whole}")
        if len(kb.store.chunk_numbers()) != whole:
            found.append(f"{len(kb.store.chunk_numbers())} chunks may be found, of {whole}")
        ready = [document for document in documents.values() if document.state == "ready"]
        for document in ready[:3]:
            name = Path(document.file).stem
            if all(hit.document.id != document.id for hit in kb.search(f"probe {name}", 5)):
                found.append(f"not found: {document.file}")
    return found


# -- rounds ----------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What came of the rounds."""

    rounds: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    faults: list[str] = field(default_factory=list)


class Said:
    """What a process says, line by line, on a pipe that outlives it."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()

    def __call__(self, text: str) -> None:
        os.write(self._writing, f"{text}\n".encode())

    def all(self) -> list[str]:
        """Everything, once the process has ended; what it started may hold the pipe open no longer than this waits."""
        os.close(self._writing)
        os.set_blocking(self._reading, False)
        parts = []
        with suppress(BlockingIOError):
            while part := os.read(self._reading, 1 << 16):
                parts.append(part)
        os.close(self._reading)
        return b"".join(parts).decode().splitlines()


def forked(work: Callable[[Say], object], kill_after: float | None = None) -> tuple[bool, list[str], float]:
    """Run `work` in a process of its own: (whether it was killed, what it said, seconds)."""
    said, started = Said(), time.monotonic()
    process = multiprocessing.get_context("fork").Process(target=work, args=(said,))
    process.start()
    process.join(kill_after)
    killed = process.is_alive()
    if killed:
        process.kill()
        process.join()
    lines_said = said.all()
    if not killed and process.exitcode:
        lines_said.append(f"error: it ended with code {process.exitcode}")
    return killed, lines_said, time.monotonic() - started


def checked(home: Path, acknowledged: dict[str, str]) -> list[str]:
    """`faults_of`, in a process of its own, so that this one stays without threads and can be forked."""

    def check(say: Say) -> None:
        for text in faults_of(home, acknowledged):
            say(text.replace("\n", " "))

    return forked(check)[1]


def kills(folder: Path, count: int, seed: int, *, renew_every: int = 25, show: Say = print) -> Tally:
    """`count` rounds that are killed, each checked."""
    Terms()("预热")  # the dictionary is loaded once, before any fork
    chooser = random.Random(seed)
    tally = Tally()
    took: dict[str, float] = {}
    acknowledged: dict[str, str] = {}
    home, rounds = folder / "home", 0
    while sum(tally.killed.values()) < count:
        if rounds % renew_every == 0:
            shutil.rmtree(home, ignore_errors=True)
            acknowledged.clear()
            note(acknowledged, _begun(home, folder, chooser, seed), tally)
        rounds += 1
        name = chooser.choice(list(WORK))
        files = made_files(folder / "files", chooser) if name in ("add", "upload") else []
        after = chooser.uniform(0.0, 1.0) * took[name] if name in took else None
        killed, said, seconds = forked(partial(_work, name, home, files, chooser.getrandbits(32)), after)
        tally.rounds[name] += 1
        tally.killed[name] += killed
        if not killed:
            took[name] = seconds
        _judge(f"round {rounds} ({name}, {'killed' if killed else 'whole'})", home, said, acknowledged, tally, show)
        if rounds % 20 == 0:
            show(f"{sum(tally.killed.values())} kills, {len(acknowledged)} documents, {len(tally.faults)} faults")
    return tally


def _begun(home: Path, folder: Path, chooser: random.Random, seed: int) -> list[str]:
    """What was said while a new library was filled."""
    return forked(partial(_work, "add", home, made_files(folder / "files", chooser), seed))[1]


def _judge(when: str, home: Path, said: list[str], acknowledged: dict[str, str], tally: Tally, show: Say) -> None:
    """Take note of what a round has said, and of what is wrong after it."""
    note(acknowledged, said, tally)
    for text in [*(text for text in said if text.startswith("error")), *checked(home, acknowledged)]:
        tally.faults.append(f"{when}: {text}")
        show(tally.faults[-1])


def _work(name: str, home: Path, files: list[Path], seed: int, say: Say) -> None:
    WORK[name](home, files, random.Random(seed), say)


def _cramped(name: str, home: Path, files: list[Path], limit: int, say: Say) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        WORK[name](home, files, random.Random(limit), say)
    except KBError as error:  # said in words, as the command line would
        say(f"refused {error}")


def note(acknowledged: dict[str, str], said: list[str], tally: Tally) -> None:
    """Keep what was acknowledged; what was withdrawn may be gone or not."""
    for text in said:
        what, _, id = text.partition(" ")
        if what == "forget":
            acknowledged.pop(id, None)
        elif what in ("read", "queued") and acknowledged.get(id) != "read":
            tally.acknowledged += id not in acknowledged
            acknowledged[id] = what


def full_disks(folder: Path, sizes: int, seed: int, *, show: Say = print) -> Tally:
    """The same work while files can grow by so much and no more; then again without the limit."""
    chooser = random.Random(seed)
    tally = Tally()
    home = folder / "full"
    acknowledged: dict[str, str] = {}
    note(acknowledged, _begun(home, folder, chooser, seed), tally)
    for step in range(sizes):
        files = made_files(folder / "files", chooser, 6)
        name = ("add", "rechunk", "upload", "embed")[step % 4]
        largest = max((path.stat().st_size for path in home.rglob("*") if path.is_file()), default=0)
        limit = ((step * step + 1) << 13) + largest * (step // 4 % 2)
        _, said, _ = forked(partial(_cramped, name, home, files, limit))
        tally.rounds[name] += 1
        tally.killed[name] += any(text.startswith("refused") for text in said)
        _judge(f"disk full after {limit >> 10} KiB ({name})", home, said, acknowledged, tally, show)
    return tally


def main() -> None:
    """Print the table; exit code 1 if there are faults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--sizes", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        started = time.monotonic()
        tally = kills(folder, options.kills, options.seed)
        disks = full_disks(folder, options.sizes, options.seed)
        print(f"\n{time.monotonic() - started:,.0f} s, seed {options.seed}\n")
        print("| work | rounds | killed in it | on a full disk | of these refused |\n|---|---|---|---|---|")
        for name in WORK:
            counts = (tally.rounds[name], tally.killed[name], disks.rounds[name], disks.killed[name])
            print(f"| {name} | {' | '.join(map(str, counts))} |")
        acknowledged, faults = tally.acknowledged + disks.acknowledged, [*tally.faults, *disks.faults]
        print(f"\nacknowledged documents: {acknowledged}; faults: {len(faults)}")
        for text in faults:
            print(f"- {text}")
        if faults:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
