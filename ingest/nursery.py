"""An order in, a reading child out, ready in milliseconds: what ingest.read_pdf reads with, forked from a warm process.

Starting Python and loading pdfium costs as much processor time as reading thirty pages, which doubles the cost of a
short document. So one process, the nursery, loads them once and forks a child for each document: as far apart from
one another as processes started anew (own memory, own limits; each may die at any point). The nursery itself never
opens a document. Each child has a keeper that waits for its end, says how it ended, and kills it when the parent says
so or is gone.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

from ingest.frames import surroundings
from kb.errors import ReadError

_IDLE_S = 120.0  # a nursery that nobody asks goes home; the next order starts another
_BIRTH_S = 60.0  # imports, on a busy machine
_BORN = b"born"


class Child:
    """A reading process, as subprocess.Popen shows one: `stdout`, poll, kill, wait."""

    def __init__(self, pipe: int, line: socket.socket) -> None:
        self.stdout = os.fdopen(pipe, "rb", buffering=0)
        self._line = line
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code (negative: the signal that ended it) once it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0.0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        if self._code is None:
            self._line.settimeout(timeout)
            try:
                said = self._line.recv(32)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("the reading child", timeout or 0.0) from None
            except OSError:
                said = b""
            self._code = int(said) if said else -signal.SIGKILL  # a keeper that was killed takes its child with it
            self._line.close()
        return self._code

    def kill(self) -> None:
        if self._code is None:
            with contextlib.suppress(OSError):
                self._line.send(b"stop")


class Nursery:
    """The warm process; started with the first order, and again whenever it has ended. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._door: socket.socket | None = None

    def start(self, order: dict[str, Any]) -> Child:
        """A child that works on this order (see ingest.pdf_child). Raises ReadError if none can be started."""
        for _ in range(2):
            with contextlib.suppress(OSError):
                child = self._born(json.dumps(order).encode())
                if child is not None:
                    return child
            self.close()
        raise ReadError("could not be read: no reading process could be started (is the machine out of memory?)")

    def close(self) -> None:
        """End it. Children that still read go on."""
        with self._lock:
            if self._door is not None:
                self._door.close()
            if self._process is not None:
                try:
                    self._process.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
            self._door = self._process = None

    def _born(self, order: bytes) -> Child | None:
        out, into = os.pipe()
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with self._lock:
                socket.send_fds(self._opened(), [order], [into, theirs.fileno()])
            os.close(into)
            into = -1
            theirs.close()
            mine.settimeout(_BIRTH_S)
            if mine.recv(16) == _BORN:
                out_, out = out, -1
                return Child(out_, mine)
            mine.close()
            return None
        except OSError:
            mine.close()
            theirs.close()
            raise
        finally:
            for handle in (out, into):
                if handle >= 0:
                    os.close(handle)

    def _opened(self) -> socket.socket:
        if self._door is None or self._process is None or self._process.poll() is not None:
            mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "ingest.nursery", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=surroundings(),
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C belongs to the parent, which then stops its children itself
                )
            self._door = mine
        return self._door


@cache
def nursery() -> Nursery:
    """This process's own."""
    made = Nursery()
    atexit.register(made.close)
    return made


# -- in the nursery's own process --------------------------------------------------------------------------------------


def main(arguments: list[str]) -> None:
    """Fork a keeper and its child for each order that comes through the door, until it is closed."""
    from ingest.pdf_child import main as read

    door = socket.socket(fileno=int(arguments[0]))
    door.settimeout(_IDLE_S)
    gc.freeze()
    with contextlib.suppress(TimeoutError):
        while True:
            order, handles, _, _ = socket.recv_fds(door, 1 << 17, 2)
            if not order:
                break
            if os.fork() == 0:
                door.close()
                _keep(order.decode(), handles[0], socket.socket(fileno=handles[1]), read)
            for handle in handles:
                os.close(handle)
            _reap(os.WNOHANG)
    door.close()
    _reap(0)


def _reap(options: int) -> None:
    """Take note of keepers that have ended, so that their processor time counts as this process's children's."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def _keep(order: str, out: int, parent: socket.socket, read: Callable[[str], None]) -> None:
    """Fork the child, wait for its end or the parent's word, say how it ended. Never returns."""
    child = os.fork()
    if child == 0:
        try:
            parent.close()
            os.dup2(out, 1)
            os.close(out)
            read(order)
        finally:
            os._exit(1)
    os.close(out)
    with contextlib.suppress(OSError):
        parent.send(_BORN)
    ended = os.pidfd_open(child)
    if ended not in select.select([ended, parent.fileno()], [], [])[0]:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):
        parent.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
