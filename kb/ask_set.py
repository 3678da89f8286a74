"""A set of questions asked of a library, each the way a reader would ask it: rows in, Outcomes out.

Over contexts, the library is a throw-away one that the real path builds from them. The honest default asks over the
whole of it, and a row marked unanswerable over the whole of it less whatever holds its answer; `alone` gives each row
its own context and nothing else, which is the easier task of a reading test.
"""

from __future__ import annotations

import json
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kb.calibrate import Judged
from kb.errors import UsageError
from kb.evaluate_answers import AnswerRow, Outcome, passages_of, score, withheld
from kb.types import Answer, Finished, Hit

if TYPE_CHECKING:
    from kb.knowledge_base import KnowledgeBase
    from kb.settings import Settings

AddFiles = Callable[["KnowledgeBase", Sequence[Path]], object]
"""ingest.add.add_paths, handed in by cli.py: kb does not import ingest."""
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

    def hits(self, row: AnswerRow, *, alone: bool = False, quotes_only: bool = False) -> list[Hit]:
        """The passages for the answer to a row."""
        if alone:
            page = self._page[row.context or ""]
            return [Hit(chunk, self._document, 1.0) for chunk in self._kb.store.chunks_on_page(self._document.id, page)]
        taken = self._withheld[row.id] if not row.answerable else frozenset[str]()
        if not taken:
            return self._kb.passages(row.question, quotes_only=quotes_only)
        pages = {self._page[text] for text in taken}
        found = [hit for hit in self._kb.search(row.question, _DEEP) if pages.isdisjoint(hit.chunk.pages)]
        return self._kb.completed(row.question, found[: self._kb.settings.top_k], quotes_only=quotes_only)


def require_ready(kb: KnowledgeBase) -> None:
    """Raises UsageError if what was added to a throw-away library cannot be found: all figures would be zero."""
    for document in kb.documents():
        if document.state != "ready":
            raise UsageError(
                f"The passages could not be added ({document.state}: {document.reason or 'no reason given'}). "
                "On a busy machine, raise the limits of reading (read_cpu_s); otherwise mend the file."
            )
    if not kb.documents():
        raise UsageError("The passages could not be added: the library is empty. Look at the lines above.")


@contextmanager
def library_of(
    rows: Sequence[AnswerRow], settings: Settings, add_files: AddFiles
) -> Iterator[tuple[KnowledgeBase, ContextLibrary | None]]:
    """The library that the rows are asked of: a throw-away one of their contexts, or the home that is configured."""
    from kb.knowledge_base import KnowledgeBase

    if rows[0].context is None:
        with KnowledgeBase.open(settings, create=False) as kb:
            yield kb, None
        return
    with tempfile.TemporaryDirectory(prefix="vademecum-evaluate-") as folder:
        contexts = write_contexts(rows, Path(folder))
        apart = settings.model_copy(update={"home": Path(folder) / "home"})
        with KnowledgeBase.open(apart, write=True) as kb:
            add_files(kb, [contexts])
            require_ready(kb)
            yield kb, ContextLibrary(kb, rows)


def judge_rows(kb: KnowledgeBase, rows: Sequence[AnswerRow], library: ContextLibrary | None) -> Iterator[Judged]:
    """The evidence for each row in turn; where a monograph's field decides, whether that answers."""
    for row in rows:
        hits = library.hits(row, quotes_only=True) if library else kb.passages(row.question, quotes_only=True)
        extractor = kb.extractor(row.question)
        evidence = extractor.weigh(row.question, hits)
        answered = evidence is None and not extractor.extract(row.question, hits).abstained
        yield Judged(row, evidence, answered)


def ask_rows(
    kb: KnowledgeBase, rows: Sequence[AnswerRow], library: ContextLibrary | None, *, alone: bool = False
) -> Iterator[Outcome]:
    """Each row asked in turn; without a `library` of contexts, of the knowledge base as it is."""
    for row in rows:
        hits = library.hits(row, alone=alone) if library else kb.passages(row.question)
        outcome = score(row, finished(kb, row.question, hits))
        share = verbatim_share(kb, outcome.answer)
        yield outcome if share is None else replace(outcome, scores={**outcome.scores, "verbatim": share})


def verbatim_share(kb: KnowledgeBase, answer: Answer) -> float | None:
    """The share of an answer's quotations that stand on the pages they name; None when nothing is quoted.

    Compared are the pages as they were read, before lines are joined, so spaces, control characters and hyphens at
    line ends do not count.
    """
    if not answer.citations:
        return None
    found = []
    for citation in answer.citations:
        chunk = answer.hits[citation.n - 1].chunk
        pages = (kb.store.page(chunk.document, number) for number in chunk.pages)
        text = "".join(_bare(page.text) for page in pages if page is not None)
        found.append(_bare(citation.quote) in text)
    return sum(found) / len(found)


def _bare(text: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f\u00ad\u2010-]+", "", unicodedata.normalize("NFKC", text))


def finished(kb: KnowledgeBase, question: str, hits: Sequence[Hit]) -> Answer:
    """The finished answer from these passages, by the engine that is configured."""
    for event in kb.answer_from(question, hits):
        if isinstance(event, Finished):
            return event.answer
    raise AssertionError("an answer always ends with Finished")
