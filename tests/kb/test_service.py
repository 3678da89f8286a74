"""Without these a question could be answered off the record, or a stopped or failed answer be lost."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest

from kb.access import SINGLE, Principal
from kb.answer import answer
from kb.audit import Audit
from kb.editions import DocumentDetails
from kb.errors import AccessDenied, ModelError, NotFound, QuestionError, StoreError
from kb.knowledge_base import KnowledgeBase
from kb.service import Service, visible
from kb.settings import Settings
from kb.types import Answer, AnswerEvent, Delta, Finished, Found, Hit, Restart, Scope, Turn
from tests.conftest import Adder, document_of

LI = Principal("li", "Li", "reader")


@pytest.fixture
def service(tmp_path: Path, add: Adder) -> Iterator[Service]:
    with KnowledgeBase.open(Settings(home=tmp_path / "home"), write=True) as kb:
        add(kb.store, "metformin.txt", ["The starting dose of metformin is 500 mg twice a day, given with meals."])
        kb.publish()
        yield Service(kb)


def scripted(*events: AnswerEvent | Exception) -> object:
    def run(question: str, history: Sequence[Turn]) -> Generator[AnswerEvent, None, None]:
        for event in events:
            if isinstance(event, Exception):
                raise event
            yield event

    return run


def test_real_answer_is_kept_with_its_sources_and_on_record(service: Service) -> None:
    conversation = service.conversations.start(LI, "dose")
    (document,) = service.documents(LI)
    hits = [Hit(chunk, document, 1.0, 1, 2) for chunk in service.kb.store.chunks(document.id)]
    question = "What is the starting dose of metformin?"
    asking = service.ask(LI, question, conversation=conversation.id, answering=lambda q, _: answer(q, hits))
    events = list(asking)
    assert isinstance(events[-1], Finished)
    (kept,) = service.conversations.exchanges(LI, conversation.id, with_hits=True)
    assert (kept.id, kept.state) == (asking.exchange.id, "done")
    assert kept.answer == events[-1].answer
    assert kept.answer.citations[0].quote.startswith("The starting dose")
    assert {"found", "first_text", "total"} <= kept.timings.keys()
    entry = list(Audit(service.kb.store).entries())[-1]
    assert (entry.actor, entry.action, entry.object) == ("li", "asked", asking.exchange.id)


def test_follow_up_knows_the_conversation(service: Service) -> None:
    seen: list[Sequence[Turn]] = []

    def answering(question: str, history: Sequence[Turn]) -> Generator[AnswerEvent, None, None]:
        seen.append(history)
        yield Finished(Answer("yes", (), False, "x", ()))

    conversation = service.conversations.start(LI, "dose")
    for question in ("one", "two"):
        list(service.ask(LI, question, conversation=conversation.id, answering=answering))
    assert seen == [[], [Turn("user", "one"), Turn("assistant", "yes")]]


def test_stopped_answer_is_kept_as_far_as_it_went(service: Service) -> None:
    asking = service.ask(LI, "q", answering=scripted(Found(()), Delta("half "), Delta("more")))  # type: ignore[arg-type]
    events = iter(asking)
    next(events)
    next(events)
    asking.close()
    kept = service.conversations.exchange(LI, asking.exchange.id)
    assert (kept.state, kept.text, kept.answer) == ("stopped", "half ", None)


def test_withdrawn_text_is_not_kept_as_the_answer(service: Service) -> None:
    answer = Answer("quoted", (), False, "extractive (model failed)", (), "the model failed")
    events = (Found(()), Delta("wrong"), Restart("the model failed"), Delta("quoted"), Finished(answer))
    asking = service.ask(LI, "q", answering=scripted(*events))  # type: ignore[arg-type]
    list(asking)
    kept = service.conversations.exchange(LI, asking.exchange.id)
    assert (kept.text, kept.notice) == ("quoted", "the model failed")


def test_failure_is_kept_with_its_reason(service: Service) -> None:
    asking = service.ask(LI, "q", answering=scripted(Found(()), ModelError("the model is down")))  # type: ignore[arg-type]
    with pytest.raises(ModelError):
        list(asking)
    kept = service.conversations.exchange(LI, asking.exchange.id)
    assert (kept.state, kept.notice) == ("failed", "the model is down")


def test_answer_is_shown_even_if_it_cannot_be_kept(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(service.conversations, "finish", full)
    events = list(service.ask(LI, "q", answering=scripted(Finished(Answer("a", (), False, "x", ())))))  # type: ignore[arg-type]
    assert isinstance(events[-1], Finished)
    assert "could not be kept" in events[-1].answer.notice


def test_question_is_not_answered_off_the_record(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(service.conversations, "begin", full)
    with pytest.raises(StoreError):
        service.ask(LI, "q")


def test_unusable_questions_and_others_conversations_leave_no_trace(service: Service) -> None:
    theirs = service.conversations.start(Principal("zhang", "", "reader"), "private")
    for question, conversation, error in [
        ("", "", QuestionError),
        ("x" * 4001, "", QuestionError),
        ("q", theirs.id, NotFound),
    ]:
        with pytest.raises(error):
            service.ask(LI, question, conversation=conversation)
    assert list(Audit(service.kb.store).entries()) == []


def test_readers_see_what_answers_and_remove_nothing(service: Service) -> None:
    (document,) = service.documents(LI)
    reading = document_of("half-read.pdf")
    service.kb.store.start_document(reading)
    assert service.documents(LI) == [document]
    assert len(service.documents(SINGLE)) == 2
    assert not visible(LI, reading)
    with pytest.raises(NotFound):
        service.document(LI, reading.id)
    with pytest.raises(NotFound):
        service.document(LI, document.file)
    for ask in (service.ask, service.search):
        with pytest.raises(NotFound):
            ask(LI, "what does it say?", scope=Scope(documents=(reading.id,)))
    with pytest.raises(AccessDenied):
        service.remove(LI, document.id)
    service.remove(SINGLE, document.id)
    assert service.documents(LI) == []
    entry = list(Audit(service.kb.store).entries())[-1]
    assert (entry.actor, entry.action, entry.object) == ("single", "removed", document.id)


def test_each_decision_about_a_document_is_on_record_in_its_own_transaction(service: Service) -> None:
    curator = Principal("cao", "Cao", "curator")
    (document,) = service.documents(LI)
    for act in (service.publish, service.unpublish):
        with pytest.raises(AccessDenied):
            act(LI, document.id)
    with pytest.raises(AccessDenied):
        service.edit(LI, document.id, DocumentDetails(title="Mine"))
    service.unpublish(curator, document.id)
    assert service.documents(LI) == []
    service.publish(curator, document.id)
    service.edit(curator, document.id, DocumentDetails(title="Metformin: a secret title", issuer="WHO"))
    service.kb.remove(document.id)
    entries = list(Audit(service.kb.store).entries())
    assert [(e.actor, e.action, e.object) for e in entries] == [
        ("cao", "unpublished", document.id),
        ("cao", "published", document.id),
        ("cao", "edited", document.id),
        ("command line", "removed", document.id),
    ]
    assert entries[2].detail == {"fields": "issuer, title"}
