"""What the web app and the API call: the knowledge base for a principal, each call checked and put on record.

Asking is noted before anything is answered, and what came of it afterwards, so that an answer that was read can be
shown again, judged and audited. The command line, run by whoever owns the files, uses KnowledgeBase itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

import structlog

from kb.access import Permission, Principal, require
from kb.accounts import Accounts
from kb.audit import Audit
from kb.conversations import Conversations, Exchange, State, found_passages
from kb.duplicates import Duplicate
from kb.editions import DocumentDetails
from kb.errors import KBError, NotFound, StoreError
from kb.knowledge_base import KnowledgeBase
from kb.quality import ReadQuality, read_quality
from kb.retrieve import check_question
from kb.terms import language_of
from kb.types import Answer, AnswerEvent, Delta, Document, Finished, Found, Hit, Restart, Scope, Turn

_log = structlog.get_logger("vademecum")

_NOT_KEPT = {
    "zh": "这个回答未能保存（{reason}），之后无法再次查看。",
    "en": "This answer could not be kept and will not be found again: {reason}",
}

Ask = Callable[[str, Sequence[Turn]], Iterator[AnswerEvent]]


class Service:
    """One open library as its users meet it."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self.kb = kb
        self.accounts = Accounts(
            kb.store, idle_s=60 * kb.settings.session_idle_min, absolute_s=3600 * kb.settings.session_hours
        )
        self.conversations = Conversations(kb.store)
        self.audit = Audit(kb.store)

    # -- asking --------------------------------------------------------------------------------------------------

    def search(
        self, principal: Principal, question: str, k: int | None = None, scope: Scope | None = None
    ) -> list[Hit]:
        """The best passages. Raises AccessDenied, NotFound (a document in the scope) or QuestionError."""
        require(principal, Permission.ASK)
        self._check_scope(principal, scope)
        hits = self.kb.search(question, k, scope)
        self.audit.record(principal, "asked", via="search")
        return hits

    def stages(self, principal: Principal, question: str, k: int) -> dict[str, list[Hit]]:
        """What each stage of the search finds, for those who look after the library. Raises as `search` does."""
        require(principal, Permission.SEE_UNPUBLISHED)
        question = check_question(question, self.kb.settings.max_question_chars)
        found = self.kb.retriever.stages(question, k)
        self.audit.record(principal, "asked", via="search test")
        return found

    def ask(
        self,
        principal: Principal,
        question: str,
        *,
        conversation: str = "",
        history: Sequence[Turn] | None = None,
        scope: Scope | None = None,
        via: str = "web",
        answering: Ask | None = None,
        quotes_only: bool = False,
    ) -> Asking:
        """Begin to answer; iterate over the result for the events.

        In a `conversation` the earlier exchanges are the history, unless one is given. `answering` stands in for
        KnowledgeBase.ask; `quotes_only` leaves the model out. Raises AccessDenied, NotFound, QuestionError, StoreError.
        """
        require(principal, Permission.ASK)
        self._check_scope(principal, scope)
        question = check_question(question, self.kb.settings.max_question_chars)
        if history is None:
            history = self.conversations.history(principal, conversation) if conversation else ()
        exchange = self.conversations.begin(
            principal, question, conversation=conversation, via=via, scope=scope, quotes_only=quotes_only
        )

        def plainly(question: str, history: Sequence[Turn]) -> Iterator[AnswerEvent]:
            return self.kb.ask(question, history, scope, quotes_only=quotes_only)

        return Asking(self.conversations, exchange, answering or plainly, history)

    def scope(
        self, principal: Principal, documents: Sequence[str] = (), collection: str = "", as_of: str = ""
    ) -> Scope:
        """A scope from what is named, documents by whole ids. Raises AccessDenied, NotFound or UsageError."""
        for key in documents:
            self.document(principal, key)
        return self.kb.scope(documents, collection, as_of)

    def _check_scope(self, principal: Principal, scope: Scope | None) -> None:
        for document in scope.documents if scope else ():
            self.document(principal, document)

    # -- documents -----------------------------------------------------------------------------------------------

    def documents(self, principal: Principal) -> list[Document]:
        """The documents that this principal may know of, newest first."""
        require(principal, Permission.READ)
        return [document for document in self.kb.documents() if visible(principal, document)]

    def document(self, principal: Principal, key: str) -> Document:
        """One of them, by its whole id. Raises NotFound."""
        require(principal, Permission.READ)
        document = self.kb.store.document(key)
        if document is None or document.id != key or not visible(principal, document):
            raise NotFound("No such document in the library.")
        return document

    def read_quality(self, principal: Principal, key: str) -> ReadQuality:
        """How well a document was read. Raises AccessDenied or NotFound."""
        require(principal, Permission.SEE_UNPUBLISHED)
        return read_quality(self.kb.store, self.document(principal, key))

    def duplicates(self, principal: Principal, *, undecided: bool = False) -> list[Duplicate]:
        """Pairs of documents that are alike, those to be decided first. Raises AccessDenied."""
        require(principal, Permission.SEE_UNPUBLISHED)
        return self.kb.duplicates(undecided=undecided)

    def keep_duplicate(self, principal: Principal, key: str) -> list[Duplicate]:
        """Decide that a document is wanted beside all that are like it. Raises AccessDenied, NotFound, UsageError."""
        require(principal, Permission.EDIT)
        return self.kb.keep_duplicate(self.document(principal, key).id, principal)

    def remove(self, principal: Principal, key: str) -> Document:
        """Withdraw a document. Raises AccessDenied or NotFound."""
        require(principal, Permission.REMOVE)
        return self.kb.remove(self.document(principal, key).id, principal)

    def publish(self, principal: Principal, key: str) -> Document:
        """Make a draft searchable. Raises AccessDenied, NotFound or UsageError."""
        require(principal, Permission.EDIT)
        return self.kb.publish_document(self.document(principal, key).id, principal)

    def unpublish(self, principal: Principal, key: str) -> Document:
        """Take a document out of search. Raises AccessDenied, NotFound or UsageError."""
        require(principal, Permission.EDIT)
        return self.kb.unpublish_document(self.document(principal, key).id, principal)

    def edit(self, principal: Principal, key: str, details: DocumentDetails) -> Document:
        """Set those details that are not empty. Raises AccessDenied, NotFound or UsageError."""
        require(principal, Permission.EDIT)
        return self.kb.edit_document(self.document(principal, key).id, details, principal)


def visible(principal: Principal, document: Document) -> bool:
    """Whether this principal may know of the document: readers see published and superseded ones, curators all."""
    return document.state in ("ready", "superseded") or principal.may(Permission.SEE_UNPUBLISHED)


class Asking:
    """A question that is being answered: its exchange, and the events as an iterator. Closing it stops the model."""

    def __init__(
        self, conversations: Conversations, exchange: Exchange, answering: Ask, history: Sequence[Turn]
    ) -> None:
        self.exchange = exchange
        self._conversations = conversations
        self._events = self._run(answering, history)

    def __iter__(self) -> Iterator[AnswerEvent]:
        return self._events

    def close(self) -> None:
        """Stop. What was written so far is kept as stopped."""
        self._events.close()

    def _run(self, answering: Ask, history: Sequence[Turn]) -> Generator[AnswerEvent, None, None]:
        started = time.monotonic()
        state: State = "stopped"
        events: Iterator[AnswerEvent] = iter(())
        try:
            events = answering(self.exchange.question, history)
            for event in events:
                self._note(event, round(time.monotonic() - started, 4))
                if isinstance(event, Finished):
                    state = "done"
                    event = Finished(self._kept(event.answer))
                yield event
        except KBError as error:
            state = "failed"
            self.exchange = replace(self.exchange, notice=str(error))
            raise
        finally:
            close = getattr(events, "close", None)
            if close is not None:
                close()  # stops the model
            if state != "done":
                self._keep(state)

    def _note(self, event: AnswerEvent, seconds: float) -> None:
        """Bring the exchange up to this event."""
        now = self.exchange
        match event:
            case Found(hits=hits, searched_as=searched_as):
                self.exchange = replace(
                    now, searched_as=searched_as, found=found_passages(hits), timings={**now.timings, "found": seconds}
                )
            case Delta(text=text):
                first = {"first_text": seconds} if not now.text else {}
                self.exchange = replace(now, text=now.text + text, timings={**now.timings, **first})
            case Restart(notice=notice):
                self.exchange = replace(now, text="", notice=notice)
            case Finished(answer=answer):
                self.exchange = replace(
                    now,
                    text=answer.text,
                    answer=answer,
                    notice=answer.notice,
                    found=found_passages(answer.hits) or now.found,
                    timings={**now.timings, "total": seconds},
                )

    def _kept(self, answer: Answer) -> Answer:
        """The answer, with a notice if it could not be kept: whoever waits for it needs it all the same."""
        reason = self._keep("done")
        if not reason:
            return answer
        told = _NOT_KEPT[language_of(self.exchange.question)].format(reason=reason)
        return replace(answer, notice=f"{answer.notice} {told}".strip())

    def _keep(self, state: State) -> str:
        """Store the exchange; why that failed, if it did."""
        self.exchange = replace(self.exchange, state=state)
        try:
            self._conversations.finish(self.exchange)
        except StoreError as error:
            _log.warning("an answer could not be kept", exchange=self.exchange.id, reason=str(error))
            return str(error)
        return ""
