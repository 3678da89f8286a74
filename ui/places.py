"""How much a program may ask: so many answers at once, so many waiting, so many requests a minute. More is refused at
once and in order (429 with Retry-After), so that those who are being answered are answered in time.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kb.errors import TooManyRequests

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.strategies import MovingWindowRateLimiter

T = TypeVar("T")
_END: Final = object()


class Places:
    """The answers that are worked on, each in a thread of its own, and those that wait. For one event loop."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self.at_once = at_once
        self.most_waiting = waiting
        self.running = 0
        self.waiting = 0
        self._free = asyncio.Semaphore(at_once)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="answer")
        self._seconds = 1.0  # how long an answer took lately

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, done in its turn. Raises TooManyRequests."""
        async with self._place():
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def each(self, begin: Callable[[], Iterator[T]]) -> AsyncGenerator[T]:
        """What `begin()` yields, in its turn. Leaving early closes it. Raises TooManyRequests, and what it raises."""
        loop = asyncio.get_running_loop()
        async with self._place():
            steps = _Steps(begin)
            try:
                while (event := await loop.run_in_executor(self._threads, steps.next)) is not _END:
                    yield event
            finally:
                await asyncio.shield(loop.run_in_executor(self._threads, steps.close))

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._free.locked():
            if self.waiting >= self.most_waiting:
                wait = math.ceil(max(1.0, self.waiting * self._seconds / self.at_once))
                raise TooManyRequests(f"{self.running} answers are being worked on and {self.waiting} wait.", wait)
            self.waiting += 1
            try:
                await self._free.acquire()
            finally:
                self.waiting -= 1
        else:
            await self._free.acquire()
        self.running += 1
        started = time.monotonic()
        try:
            yield
        finally:
            self._seconds += 0.1 * (time.monotonic() - started - self._seconds)
            self.running -= 1
            self._free.release()


class _Steps:
    """An iterator that one thread goes on with and another may close: the one waits for the other."""

    def __init__(self, begin: Callable[[], Iterator[Any]]) -> None:
        self._begin = begin
        self._events: Iterator[Any] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def next(self) -> Any:
        with self._lock:
            if self._closed:
                return _END
            if self._events is None:
                self._events = self._begin()
            return next(self._events, _END)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            close = getattr(self._events, "close", None)
            if close:
                close()


class Rate:
    """So many requests a minute for each who asks; 0 is no limit."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._parts: tuple[MovingWindowRateLimiter, RateLimitItem] | None = None

    def count(self, who: str) -> None:
        """Count one request. Raises TooManyRequests."""
        if not self.per_minute:
            return
        limiter, item = self._parts = self._parts or self._made()
        if not limiter.hit(item, who):
            wait = max(1, math.ceil(limiter.get_window_stats(item, who).reset_time - time.time()))
            raise TooManyRequests(f"More than {self.per_minute} requests in a minute.", wait)

    def _made(self) -> tuple[MovingWindowRateLimiter, RateLimitItem]:
        from limits import RateLimitItemPerMinute
        from limits.storage import MemoryStorage
        from limits.strategies import MovingWindowRateLimiter

        return MovingWindowRateLimiter(MemoryStorage()), RateLimitItemPerMinute(self.per_minute)
