"""Without these an answer that was acted on could not be shown again, or could be read by someone else."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from kb.access import Principal
from kb.audit import Audit
from kb.conversations import CORRECTION_CHARS, Conversations, Exchange, found_passages
from kb.errors import AccessDenied, NotFound, QuestionError
from kb.schema import conversations as conversations_table
from kb.store import Store
from kb.types import Answer, Citation, Hit, Scope, Turn
from tests.conftest import Adder

LI = Principal("li", "Li", "reader")
ZHANG = Principal("zhang", "Zhang", "admin")
CURATOR = Principal("curator", "Curator", "curator")


@pytest.fixture
def talks(store: Store) -> Conversations:
    return Conversations(store)


def answered(talks: Conversations, store: Store, add: Adder, question: str, conversation: str = "") -> Exchange:
    document = add(store, f"label {len(store.documents())}.txt", ["每次5 mg，每日一次。", "慎用于孕妇。"])
    hits = tuple(Hit(chunk, document, 1.0 / (n + 1), n, None) for n, chunk in enumerate(store.chunks(document.id)))
    citation = Citation(
        1, hits[0].chunk.id, document.id, document.file, document.title, 1, "每次5 mg", ((1.0, 2.0, 3.0, 4.0),)
    )
    answer = Answer("每次5 mg [1]。", (citation,), False, "extractive", hits, "notice", 0.25)
    scope = Scope((document.id,), "Ward sheets", "2024-05")
    exchange = talks.begin(LI, question, conversation=conversation, scope=scope, quotes_only=True)
    exchange = dataclasses.replace(
        exchange, state="done", text=answer.text, answer=answer, found=found_passages(hits), timings={"total": 0.25}
    )
    talks.finish(exchange)
    return exchange


def test_answer_comes_back_whole(talks: Conversations, store: Store, add: Adder) -> None:
    conversation = talks.start(LI, "剂量？")
    exchange = answered(talks, store, add, "剂量？", conversation.id)
    assert talks.exchanges(LI, conversation.id, with_hits=True) == [exchange]
    assert talks.exchange(LI, exchange.id, with_hits=True) == exchange
    assert talks.history(LI, conversation.id) == [Turn("user", "剂量？"), Turn("assistant", "每次5 mg [1]。")]


def test_answer_stays_citable_when_its_document_is_gone(talks: Conversations, store: Store, add: Adder) -> None:
    exchange = answered(talks, store, add, "剂量？")
    assert exchange.answer is not None
    document = store.document(exchange.answer.citations[0].document)
    assert document is not None
    store.remove_document(document)
    kept = talks.exchange(LI, exchange.id, with_hits=True)
    assert kept.answer is not None
    assert kept.answer.citations == exchange.answer.citations
    assert kept.answer.hits == ()
    assert kept.found == exchange.found


def test_nobody_else_sees_finds_changes_or_judges_it(talks: Conversations, store: Store, add: Adder) -> None:
    """An admin neither: a conversation may speak of a patient."""
    conversation = talks.start(LI, "剂量？")
    exchange = answered(talks, store, add, "剂量？", conversation.id)
    assert talks.find(ZHANG) == talks.find(ZHANG, "剂量") == []
    for forbidden in (
        lambda: talks.get(ZHANG, conversation.id),
        lambda: talks.exchanges(ZHANG, conversation.id),
        lambda: talks.exchange(ZHANG, exchange.id),
        lambda: talks.rename(ZHANG, conversation.id, "x"),
        lambda: talks.delete(ZHANG, conversation.id),
        lambda: talks.remove_last(ZHANG, conversation.id),
        lambda: talks.begin(ZHANG, "x", conversation=conversation.id),
        lambda: talks.give_feedback(ZHANG, exchange.id, "wrong"),
        lambda: talks.feedback_on(ZHANG, exchange.id),
        lambda: talks.history(ZHANG, conversation.id),
    ):
        with pytest.raises(NotFound, match="No such"):
            forbidden()
    with pytest.raises(NotFound, match="No such"):
        talks.get(LI, "0" * 24)
    assert len(talks.exchanges(LI, conversation.id)) == 1


def test_conversations_are_found_by_title_question_and_answer(talks: Conversations, store: Store, add: Adder) -> None:
    first, second = talks.start(LI, "Metformin"), talks.start(LI, "100% sure?")
    answered(talks, store, add, "剂量是多少", first.id)
    assert [c.id for c in talks.find(LI)] == [first.id, second.id], "the latest used first"
    assert [c.id for c in talks.find(LI, "metf")] == [first.id]
    assert [c.id for c in talks.find(LI, "剂量")] == [first.id]
    assert [c.id for c in talks.find(LI, "5 mg")] == [first.id]
    assert [c.id for c in talks.find(LI, "%")] == [second.id], "a sign is looked for as it is"
    assert talks.find(LI, "insulin") == []


def test_renamed_deleted_and_taken_back(talks: Conversations, store: Store, add: Adder) -> None:
    conversation = talks.start(LI, "x" * 500)
    assert len(conversation.title) == 120
    assert talks.rename(LI, conversation.id, " new \n title ").title == "new title"
    assert talks.get(LI, conversation.id).title == "new title"
    with pytest.raises(QuestionError):
        talks.rename(LI, conversation.id, "  ")
    first = answered(talks, store, add, "one", conversation.id)
    second = answered(talks, store, add, "two", conversation.id)
    talks.give_feedback(LI, first.id, "wrong")
    talks.remove_last(LI, conversation.id)
    assert [e.id for e in talks.exchanges(LI, conversation.id)] == [first.id]
    talks.finish(second)  # its answer arrives late
    assert [e.id for e in talks.exchanges(LI, conversation.id)] == [first.id]
    talks.delete(LI, conversation.id)
    with pytest.raises(NotFound):
        talks.exchange(LI, first.id)
    assert talks.pending_feedback(CURATOR) == []


def test_feedback_reaches_review_with_the_whole_answer(talks: Conversations, store: Store, add: Adder) -> None:
    exchange = answered(talks, store, add, "剂量？")
    talks.give_feedback(LI, exchange.id, "helpful")
    talks.give_feedback(LI, exchange.id, "unsafe", " 应为2.5 mg ")
    assert talks.feedback_on(LI, exchange.id) == ("unsafe", "应为2.5 mg")
    (waiting,) = talks.pending_feedback(CURATOR)
    assert (waiting.author, waiting.verdict, waiting.correction) == ("li", "unsafe", "应为2.5 mg")
    assert waiting.exchange.question == "剂量？"
    assert waiting.exchange.answer is not None
    assert waiting.exchange.answer.citations
    with pytest.raises(AccessDenied):
        talks.pending_feedback(LI)
    talks.handle_feedback(CURATOR, waiting.id, "accepted")
    assert talks.pending_feedback(CURATOR) == []
    for verdict, correction in [("great", ""), ("wrong", "x" * (CORRECTION_CHARS + 1))]:
        with pytest.raises(QuestionError):
            talks.give_feedback(LI, exchange.id, verdict, correction)


def test_old_conversations_are_forgotten_for_good(talks: Conversations, store: Store, add: Adder) -> None:
    canary = "canary-7e1f"
    old, recent = talks.start(LI, f"{canary} old"), talks.start(LI, "recent")
    answered(talks, store, add, f"{canary} question", old.id)
    answered(talks, store, add, "kept", recent.id)
    alone = answered(talks, store, add, "alone")
    before = (datetime.now(UTC) - timedelta(days=31)).isoformat()
    with store.writing() as connection:
        connection.execute(
            conversations_table.update().where(conversations_table.c.id == old.id).values(updated=before)
        )
    assert talks.purge(30) == 1
    assert [c.id for c in talks.find(LI)] == [recent.id]
    assert talks.exchange(LI, alone.id).question == "alone"
    store.close()
    left = [
        file for file in store.home.glob("catalog.sqlite*") if canary in file.read_bytes().decode("utf-8", "replace")
    ]
    assert left == [], "overwritten, not only unlinked"
    assert "canary" not in str(list(Audit(Store(store.home)).entries()))


def test_record_of_an_older_version_still_reads(talks: Conversations, store: Store, add: Adder) -> None:
    """Fields added to Answer later must have defaults; a field taken away is passed over."""
    exchange = answered(talks, store, add, "剂量？")
    with store.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE exchanges SET answer = json_remove(json_set(answer, '$.gone', 1), '$.notice', '$.seconds')"
        )
    kept = talks.exchange(LI, exchange.id)
    assert kept.answer is not None
    assert kept.answer.text == exchange.text
