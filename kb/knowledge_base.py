"""The façade that the command line and the web app share: one open home, its store, index, embedder and answers.

Opening is cheap: torch, jieba and the generative model load when first needed, or in `warm_up`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

import structlog

from kb import duplicates, editions
from kb.access import Principal
from kb.audit import COMMAND_LINE, noting
from kb.duplicates import Duplicate
from kb.editions import DocumentDetails
from kb.embed import Embedder, build_embedder, embedding_text
from kb.errors import HomeBusy, IndexMismatch, KBError, UsageError
from kb.evidence import Calibration, Lexicon, calibration_of
from kb.home import HomeLock, check_home
from kb.index import DamagedIndex, LocalIndex
from kb.quality import ReadQuality, read_quality
from kb.retrieve import Retriever, check_question
from kb.serving import Serving
from kb.settings import Settings
from kb.store import Store
from kb.terms import language_of
from kb.types import AnswerEvent, Document, Finished, Hit, Scope, Turn

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from kb.extract import Extractor, Similarity
    from kb.plan import Plan

_log = structlog.get_logger("vademecum")

Progress = Callable[[int, int], None]

_EMBED_BATCH = 256  # chunks embedded between two commits
_PUBLISH_EVERY_S = 5.0  # at most this often while vectors trickle in
_FEW_PASSAGES = 200  # the calibration was fitted on libraries of hundreds and more


class KnowledgeBase:
    """One open home. Use as a context manager, or call close()."""

    def __init__(self, settings: Settings, store: Store, embedder: Embedder, lock: HomeLock | None) -> None:
        self.settings = settings
        self.store = store
        self.embedder = embedder
        self.index = self._index_of(settings, embedder)
        self.outdated = False
        """Whether another embedder than the configured one answers, until the index is renewed."""
        self.retriever = Retriever(store, self.index, embedder)
        self._lock = lock
        self._publishing = threading.Lock()

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        write: bool = False,
        create: bool = True,
        for_rebuild: bool = False,
        under_app: bool = False,
    ) -> KnowledgeBase:
        """Open the home that the settings name; `write` takes its lock and, with `create`, makes it if need be.

        `under_app` is for the app's own worker process, which writes while the app holds the lock.

        Raises HomeError, HomeBusy, StoreError, IndexMismatch (not `for_rebuild`) or UsageError.
        """
        home = check_home(settings.home, create=write and create)
        lock = HomeLock(home) if write and not under_app else None
        try:
            kb = cls(settings, Store(home, read_only=not write), build_embedder(settings), lock)
            if not for_rebuild:
                kb._load_index()
        except KBError:
            if lock:
                lock.release()
            raise
        return kb

    def _index_of(self, settings: Settings, embedder: Embedder) -> LocalIndex:
        source = {name: value for name, value in settings.model_dump().items() if name.startswith("embedder")}
        return LocalIndex(self.store.home, embedder=embedder.key, dimension=embedder.dimension, source=source)

    def close(self) -> None:
        """Let go of the home."""
        self.store.close()
        if self._lock:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- asking --------------------------------------------------------------------------------------------------

    def search(self, question: str, k: int | None = None, scope: Scope | None = None) -> list[Hit]:
        """The k best passages (default: settings.top_k), best first. Raises QuestionError."""
        question = check_question(question, self.settings.max_question_chars)
        return self.retriever.search(question, k or self.settings.top_k, scope)

    def ask(
        self,
        question: str,
        history: Sequence[Turn] = (),
        scope: Scope | None = None,
        *,
        quotes_only: bool = False,
    ) -> Iterator[AnswerEvent]:
        """The streamed answer; `quotes_only`: by quoting, whatever model there is.

        What needs no library gets a short reply; a follow-up is made to stand alone before it is searched. Raises
        QuestionError before the first event; later trouble is in the events.
        """
        question = check_question(question, self.settings.max_question_chars)
        return self._asked(question, history, scope, quotes_only)

    def _asked(
        self, question: str, history: Sequence[Turn], scope: Scope | None, quotes_only: bool
    ) -> Iterator[AnswerEvent]:
        from kb.answer import reply
        from kb.intent import intent_of
        from kb.plan import make_plan

        intent = intent_of(question)
        if intent != "library":
            yield from reply(question, intent)
            return
        plan = make_plan(
            question,
            history,
            names=self.index.names_in,
            model=None if quotes_only else self.model,
            thinks=self.settings.thinks,
            timeout_s=self.settings.model_timeout_s,
        )
        hits = self.passages(plan.search, scope, quotes_only=quotes_only) if plan.search else []
        yield from self.answer_from(question, hits, history, plan, quotes_only=quotes_only)

    def passages(self, question: str, scope: Scope | None = None, *, quotes_only: bool = False) -> list[Hit]:
        """What an answer is made from: the best passages and what belongs to them."""
        return self.completed(question, self.search(question, self.settings.top_k, scope), quotes_only=quotes_only)

    def completed(self, question: str, found: Sequence[Hit], *, quotes_only: bool = False) -> list[Hit]:
        """These passages, monographs asked about completed; before a model, the passages beside them too."""
        from kb import records
        from kb.neighbours import with_neighbours

        hits = records.complete(question, found, self.store.chunks_on_page)
        if quotes_only or not self.settings.neighbour_tokens or self.model is None:
            return hits
        return with_neighbours(hits, self.store.chunks_around, self.settings.neighbour_tokens)

    def answer_from(
        self,
        question: str,
        hits: Sequence[Hit],
        history: Sequence[Turn] = (),
        plan: Plan | None = None,
        *,
        quotes_only: bool = False,
    ) -> Iterator[AnswerEvent]:
        """The streamed answer from these passages, found by `plan`, by the configured engine, or by quoting only."""
        from kb.answer import answer
        from kb.conflicts import find_conflicts

        asked = plan.search if plan and plan.search else question
        events = answer(
            question,
            hits,
            history=history,
            model=None if quotes_only else self.model,
            extractor=self.extractor(asked),
            timeout_s=self.settings.model_timeout_s,
            withhold=self.settings.unsupported == "withhold",
            plan=plan,
        )
        with closing(events):  # stops the model when the reader goes away
            for event in events:
                if isinstance(event, Finished):
                    conflicts = find_conflicts(
                        asked, event.answer, self._newer, lambda newer: self.search(asked, 1, Scope((newer.id,)))
                    )
                    event = Finished(replace(event.answer, conflicts=conflicts))
                yield event

    def _newer(self, document: Document) -> Document | None:
        """The published edition that replaces a document, however many lie between."""
        if document.state != "superseded":
            return None
        following = {one.supersedes: one for one in self.store.documents() if one.supersedes}
        newer = following.get(document.id)
        while newer is not None and newer.state == "superseded":
            newer = following.get(newer.id)
        return newer if newer is not None and newer.state == "ready" else None

    def _rarity(self, terms: Iterable[str]) -> Mapping[str, float]:
        """How rare words are, for judging evidence. In a library of few passages every absent word would seem rare."""
        return self.index.rarity(terms, at_least=_FEW_PASSAGES)

    def extractor(self, question: str) -> Extractor:
        """The extractive engine, with what the library knows of words and the embedder of meaning."""
        from kb.extract import Extractor

        lexicon = Lexicon(self.index.terms, self._rarity, self.index.counts[0])
        return Extractor(self.similarity(question), lexicon, self.calibration, self._other_names)

    def _other_names(self, name: str) -> list[str]:
        return [other for others in self.index.other_names(name) for other in others]

    def similarity(self, question: str) -> Similarity | None:
        """How near sentences are to a question in meaning; None where the embedder does not know its language."""
        return self.embedder.compare if self.embedder.grades(language_of(question)) else None

    @property
    def calibration(self) -> Calibration:
        """What is enough evidence to answer, as fitted in this home or shipped. Raises UsageError."""
        return calibration_of(self.store.home).for_embedder(self.embedder.grading_key)

    @cached_property
    def serving(self) -> Serving:
        """Who answers: the promoted model, else the settings' engine."""
        return Serving(self.store, self.settings)

    @property
    def model(self) -> BaseChatModel | None:
        """The generative model, or None for the extractive engine. Raises UsageError or ModelError."""
        return self.serving.model()

    def warm_up(self) -> None:
        """Load what the first question would wait for."""
        self.embedder.sentence_vectors(["warm up", "预热"])
        self.index.terms("预热")

    # -- the index -----------------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Make what the store holds findable: its words at once, its vectors as far as computed."""
        with self._publishing:
            self.index.publish(self.store)

    def refresh_index(self) -> bool:
        """Take up the generation that another process has written since; False if there is none."""
        with self._publishing:
            try:
                return self.index.refresh()
            except IndexMismatch:
                if not self.outdated:
                    raise
            renewed = self._index_of(self.settings, self.embedder)
            renewed.load()
            self._take_up(renewed)
            return True

    def _take_up(self, index: LocalIndex) -> None:
        """From now on answer from this index, which the configured embedder built."""
        self.index, self.retriever = index, Retriever(self.store, index, self.embedder)
        self.outdated = False

    def _answer_from_older(self) -> bool:
        """Answer by the embedder that the index was built with, if it is still there; whether it is."""
        built = self.index.built_with()
        source = built.get("source") or {}
        try:
            older = build_embedder(self.settings.model_copy(update=source)) if source else None
        except UsageError:
            older = None
        if older is None or older.key != built["key"] or older.key == self.embedder.key:
            return False
        index = self._index_of(self.settings.model_copy(update=source), older)
        index.load()
        self.index, self.retriever = index, Retriever(self.store, index, older)
        self.outdated = True
        _log.warning("the index is of another embedder, which answers until it is renewed", now=built["key"])
        return True

    def pending(self) -> int:
        """How many chunks still lack the vector they should have."""
        return len(self.store.pending(self.embedder.key, self.embedder.languages))

    def embed_pending(
        self, progress: Progress | None = None, cancelled: Callable[[], bool] | None = None, *, publish: bool = True
    ) -> int:
        """Compute missing vectors, commit them batch by batch, publish now and then. Returns how many were made."""
        numbers = self.store.pending(self.embedder.key, self.embedder.languages)
        published = time.monotonic()
        done = 0
        for start in range(0, len(numbers), _EMBED_BATCH):
            if cancelled and cancelled():
                break
            chunks = self.store.chunks_by_number(numbers[start : start + _EMBED_BATCH].tolist())
            if chunks:
                matrix = self.embedder.encode([embedding_text(chunk) for chunk in chunks.values()])
                self.store.add_vectors(self.embedder.key, list(chunks), matrix)
            done += len(chunks)
            if progress:
                progress(done, len(numbers))
            if publish and time.monotonic() - published > _PUBLISH_EVERY_S:
                self.publish()
                published = time.monotonic()
        if publish:
            self.publish()
        return done

    def rebuild(self, progress: Callable[[str, int, int], None] | None = None) -> None:
        """Compute vectors that are missing for the configured embedder, then write the index anew.

        The old generation stays live until the new one is complete.
        """

        def step(name: str) -> Progress:
            return lambda done, total: progress(name, done, total) if progress else None

        self.embed_pending(step("embed"), publish=False)
        self.renew_index(step("index"))

    def renew_index(self, progress: Progress | None = None) -> None:
        """Write the index anew from what the store holds; the old generation answers until the new one is complete."""
        with self._publishing:
            index = self._index_of(self.settings, self.embedder) if self.outdated else self.index
            index.rebuild(self.store, progress)
            if self.outdated:
                self._take_up(index)

    def _load_index(self) -> None:
        """Load the index; rebuild it when damaged, publish when behind (a killed process left it so)."""
        try:
            self.index.load()
        except IndexMismatch:
            if not self._answer_from_older():
                raise
        except DamagedIndex as damage:
            _log.warning("index damaged, rebuilding from the store", reason=str(damage))
            self._repair(lambda: self.index.rebuild(self.store))
        if not self.index.level_with(self.store):
            try:
                self._repair(lambda: self.index.publish(self.store))
            except HomeBusy:
                _log.info("the index is behind the catalog; the process that writes will publish it")

    def _repair(self, mend: Callable[[], object]) -> None:
        """Run `mend` under the home's lock, borrowed for the moment if this process only reads."""
        if self._lock or not self.store.read_only:
            mend()
            return
        lock = HomeLock(self.store.home)
        try:
            mend()
        finally:
            lock.release()

    # -- documents -----------------------------------------------------------------------------------------------

    def documents(self) -> list[Document]:
        """All documents, newest first, with how many of their chunks have vectors."""
        return self.store.documents(embedder=self.embedder.key)

    def document(self, key: str) -> Document:
        """The document of this id, beginning of an id, or file name. Raises UsageError if there is none."""
        document = self.store.document(key)
        if document is None:
            raise UsageError(f"No document '{key}' in the library. `vademecum documents` lists them.")
        return document

    def scope(self, documents: Sequence[str] = (), collection: str = "", as_of: str = "") -> Scope:
        """A scope from what a user names. Raises UsageError for a document, collection or date that is not there."""
        editions.check_date(as_of)
        ids = tuple(self.document(key).id for key in documents)
        if collection and all(document.collection != collection for document in self.store.documents()):
            raise UsageError(f"No document is in a collection '{collection}'. `vademecum documents` lists them.")
        return Scope(ids, collection, as_of)

    def publish_document(self, key: str, by: Principal | str = COMMAND_LINE) -> Document:
        """Make a draft searchable, at once; what it supersedes leaves default search. Raises UsageError.

        Whoever publishes a document that is like another wants both.
        """
        published = editions.publish(self.store, self.document(key), by)
        duplicates.decide(self.store, published, by)
        return self._decided(published)

    def unpublish_document(self, key: str, by: Principal | str = COMMAND_LINE) -> Document:
        """Take a document out of search, at once; it stays as a draft. Raises UsageError."""
        return self._decided(editions.unpublish(self.store, self.document(key), by))

    def supersede(self, older: str, newer: str, by: Principal | str = COMMAND_LINE) -> Document:
        """Note that `newer` replaces `older`, which leaves default search but stays citable. Raises UsageError."""
        return self._decided(editions.supersede(self.store, self.document(older), self.document(newer), by))

    def edit_document(self, key: str, details: DocumentDetails, by: Principal | str = COMMAND_LINE) -> Document:
        """Set those details that are not empty. Raises UsageError."""
        return self._decided(editions.edit(self.store, self.document(key), details, by))

    def read_quality(self, key: str) -> ReadQuality:
        """How well a document was read, page by page, with sample chunks. Raises UsageError if there is none such."""
        return read_quality(self.store, self.document(key))

    def duplicates(self, *, undecided: bool = False) -> list[Duplicate]:
        """Pairs of documents that say the same, or much of the same; those to be decided first."""
        return duplicates.duplicates(self.store, undecided=undecided)

    def keep_duplicate(self, key: str, by: Principal | str = COMMAND_LINE) -> list[Duplicate]:
        """Decide that a document is wanted beside all that are like it. Raises UsageError if nothing is."""
        return duplicates.keep(self.store, self.document(key), by)

    def _decided(self, document: Document) -> Document:
        self.publish()
        return document

    def remove(self, key: str, by: Principal | str = COMMAND_LINE) -> Document:
        """Take a document out of the library and its search, at once."""
        document = self.document(key)
        self.store.remove_document(document, record=noting(by, "removed", document.id, sha256=document.sha256))
        self.publish()
        return document
