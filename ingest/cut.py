"""Pages in, the chunks of a document out one after another, and what is known of them once the last has come.

Cleaning and cutting keep what they need of the pages packed; neither pages nor chunks are held here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from ingest.chunk import VERSION as CHUNK_VERSION
from ingest.chunk import chunk_pages
from ingest.clean import cleaned
from ingest.paragraphs import Outline
from kb.errors import ReadError
from kb.knowledge_base import KnowledgeBase
from kb.likeness import Sketcher
from kb.types import Chunk, DocumentKind, Language, Making, OutlineEntry, Page

_HEADROOM = 36  # tokens kept free in the embedder for the section path


def cutter(kb: KnowledgeBase) -> str:
    """Names what chunks are cut by now: the chunker, its limit, and whose tokens it counts."""
    return f"{CHUNK_VERSION}/{_most_tokens(kb)}/{kb.embedder.key}"


def _most_tokens(kb: KnowledgeBase) -> int:
    return min(kb.settings.chunk_tokens, kb.embedder.max_tokens - _HEADROOM)


class Cutting:
    """The chunks of one document, to be iterated over once."""

    def __init__(
        self,
        kb: KnowledgeBase,
        document: str,
        kind: DocumentKind,
        pages: Iterable[Page],
        outline: Outline,
        *,
        again: Callable[[], Iterable[Page]],
    ) -> None:
        """`pages` are read through once; `again` gives them once more, for a document of what looks like furniture."""
        self._kb = kb
        self._document = document
        self._kind = kind
        self._pages = pages
        self._outline = outline
        self._again = again
        self.count = 0
        self._with_text: list[int] = []
        self._with_clean_text: set[int] = set()
        self._used: set[int] = set()
        self._languages: Counter[Language] = Counter()
        self._sketcher = Sketcher()

    def __iter__(self) -> Iterator[Chunk]:
        """Raises ReadError if there are no chunks."""
        yield from self._cut(self._noted(cleaned(self._read())))
        if not self._with_clean_text:  # nothing but what looks like furniture: then it is the text
            yield from self._cut(self._noted(self._again()))
        if not self.count:
            raise ReadError("has no text that could be made into passages")

    @property
    def language(self) -> Language:
        """That of most chunks."""
        return self._languages.most_common(1)[0][0]

    @property
    def left_out(self) -> dict[int, str]:
        """Why those pages that have text gave no chunk."""
        return {
            page: "a printed table of contents"
            if page in self._with_clean_text
            else "only running headers, footers or page numbers"
            for page in self._with_text
            if page not in self._used
        }

    def making(self, outline: tuple[OutlineEntry, ...]) -> Making:
        """How they were made."""
        text_hash, sketch = self._sketcher.sketched()
        return Making(cutter(self._kb), outline, self.left_out, text_hash, sketch)

    def _read(self) -> Iterator[Page]:
        for page in self._pages:
            if page.lines:
                self._with_text.append(page.number)
            yield page

    def _noted(self, pages: Iterable[Page]) -> Iterator[Page]:
        for page in pages:
            if page.lines:
                self._with_clean_text.add(page.number)
            yield page

    def _cut(self, pages: Iterable[Page]) -> Iterator[Chunk]:
        made = chunk_pages(
            self._document,
            pages,
            outline=self._outline,
            count_tokens=self._kb.embedder.count_tokens,
            max_tokens=_most_tokens(self._kb),
            kind=self._kind,
        )
        for chunk in made:
            self.count += 1
            self._used.update(chunk.pages)
            self._languages[chunk.language] += 1
            self._sketcher.add(chunk.text)
            yield chunk


def batched(chunks: Iterable[Chunk], size: int) -> Iterator[list[Chunk]]:
    """As many at a time."""
    rest = iter(chunks)
    while batch := list(islice(rest, size)):
        yield batch
