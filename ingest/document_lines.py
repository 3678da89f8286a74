"""The lines of a document, kept packed: what headings and paragraphs are found in, whatever the number of pages.

As Python values, a book's lines take ten to thirty KB a page; packed in blocks, of which only those used last are
unpacked, they take two. Reading through them costs about a microsecond a line more.
"""

from __future__ import annotations

import marshal
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, overload

from kb.types import Box, LineRole

_SHIFT = 7
_BLOCK = 1 << _SHIFT  # lines
_UNPACKED = 24  # blocks: a document of up to about 60 pages is never packed


class FlatLine(NamedTuple):
    """A line of the document with its place, tabs in it still. A tuple: they are made again from packed ones, often."""

    text: str
    page: int
    box: Box | None
    """Where it stands when its page is held so that it can be read."""
    size: float
    place: Box | None = None
    """Where it stands on the page as displayed: for citations."""
    role: LineRole = "text"
    bold: bool = False

    @property
    def in_table(self) -> bool:
        return self.role in ("head", "row")


class DocumentLines(Sequence[FlatLine]):
    """An immutable sequence of lines."""

    def __init__(self, lines: Iterable[FlatLine]) -> None:
        self._packed: dict[int, bytes] = {}
        self._unpacked: OrderedDict[int, list[FlatLine]] = OrderedDict()
        self._length = 0
        rest = iter(lines)
        while block := list(islice(rest, _BLOCK)):
            self._keep(self._length >> _SHIFT, block)
            self._length += len(block)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> FlatLine: ...
    @overload
    def __getitem__(self, at: slice) -> list[FlatLine]: ...
    def __getitem__(self, at: int | slice) -> FlatLine | list[FlatLine]:
        if isinstance(at, slice):
            start, stop, step = at.indices(self._length)
            if step != 1:
                return [self[i] for i in range(start, stop, step)]
            return self._between(start, stop)
        if at < 0:
            at += self._length
        if not 0 <= at < self._length:
            raise IndexError(at)
        return self._block(at >> _SHIFT)[at & (_BLOCK - 1)]

    def __iter__(self) -> Iterator[FlatLine]:
        for number in range((self._length + _BLOCK - 1) >> _SHIFT):
            yield from self._block(number)

    def _between(self, start: int, stop: int) -> list[FlatLine]:
        found: list[FlatLine] = []
        while start < stop:
            number, first = start >> _SHIFT, start & (_BLOCK - 1)
            part = self._block(number)[first : first + stop - start]
            found += part
            start += len(part)
        return found

    def _block(self, number: int) -> list[FlatLine]:
        block = self._unpacked.get(number)
        if block is None:
            block = list(map(FlatLine._make, marshal.loads(zlib.decompress(self._packed[number]))))
            self._keep(number, block)
        return block

    def _keep(self, number: int, block: list[FlatLine]) -> None:
        """Keep it unpacked for now, in place of the block that was unpacked longest ago."""
        self._unpacked[number] = block
        if len(self._unpacked) <= _UNPACKED:
            return
        oldest, lines = self._unpacked.popitem(last=False)
        if oldest not in self._packed:
            self._packed[oldest] = zlib.compress(marshal.dumps(list(map(tuple, lines))), 1)
