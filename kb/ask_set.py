"""A set of questions asked of a library, each the way a reader would ask it: rows in, Outcomes out.

Over contexts, the library is a throw-away one that the real path builds from them. The honest default asks over the
whole of it, and a row marked unanswerable over the whole of it less whatever holds its answer; `alone` gives each row
its own context and nothing else, which is the easier task of a reading test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kb import records
from kb.evaluate_answers import AnswerRow, Outcome, passages_of, score, withheld
from kb.types import Answer, Finished, Hit

if TYPE_CHECKING:
    from kb.knowledge_base import KnowledgeBase

_DEEP = 60
"""Passages looked at for a row from whose library some are withheld."""


def write_contexts(rows: Sequence[AnswerRow], folder: Path) -> Path:
    """The contexts as a record file: record n is the n-th of `passages_of`."""
    path = folder / "contexts.json"
    path.write_text(json.dumps([{"text": text} for text in passages_of(rows)], ensure_ascii=False), encoding="utf-8")
    return path


class ContextLibrary:
    """The throw-away library of a set's contexts: which passages are at hand for which row."""

    def __init__(self, kb: KnowledgeBase, rows: Sequence[AnswerRow]) -> None:
        self._kb = kb
        self._document = kb.documents()[0]
        self._page = {text: number for number, text in enumerate(passages_of(rows), start=1)}
        self._withheld = dict(zip((row.id for row in rows), withheld(rows), strict=True))

    def hits(self, row: AnswerRow, *, alone: bool = False) -> list[Hit]:
        """The passages for the answer to a row."""
        if alone:
            page = self._page[row.context or ""]
            return [Hit(chunk, self._document, 1.0) for chunk in self._kb.store.chunks_on_page(self._document.id, page)]
        taken = self._withheld[row.id] if not row.answerable else frozenset[str]()
        if not taken:
            return self._kb.passages(row.question)
        pages = {self._page[text] for text in taken}
        found = [hit for hit in self._kb.search(row.question, _DEEP) if pages.isdisjoint(hit.chunk.pages)]
        return records.complete(row.question, found[: self._kb.settings.top_k], self._kb.store.chunks_on_page)


def ask_rows(
    kb: KnowledgeBase, rows: Sequence[AnswerRow], library: ContextLibrary | None, *, alone: bool = False
) -> Iterator[Outcome]:
    """Each row asked in turn; without a `library` of contexts, of the knowledge base as it is."""
    for row in rows:
        hits = library.hits(row, alone=alone) if library else kb.passages(row.question)
        yield score(row, finished(kb, row.question, hits))


def finished(kb: KnowledgeBase, question: str, hits: Sequence[Hit]) -> Answer:
    """The finished answer from these passages, by the engine that is configured."""
    for event in kb.answer_from(question, hits):
        if isinstance(event, Finished):
            return event.answer
    raise AssertionError("an answer always ends with Finished")
