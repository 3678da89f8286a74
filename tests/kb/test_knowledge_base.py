"""The façade: what a killed process left is mended at the next opening, and readers never wait for the writer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kb.errors import HomeBusy, HomeError
from kb.knowledge_base import KnowledgeBase
from kb.settings import Settings, load_settings
from kb.types import Delta, Finished, Found, Turn
from tests.conftest import Adder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home")


def found(kb: KnowledgeBase, question: str) -> list[str]:
    return [hit.chunk.text for hit in kb.search(question)]


def test_words_first_then_vectors(settings: Settings, add: Adder) -> None:
    """A document must be found by its words while its vectors are still being computed."""
    with KnowledgeBase.open(settings, write=True) as kb:
        add(kb.store, "a.txt", ["Aspirin relieves pain.", "阿司匹林用于止痛。"])
        kb.publish()
        assert found(kb, "aspirin") == ["Aspirin relieves pain."]
        assert kb.pending() == kb.embed_pending() == 2
        assert kb.pending() == 0
        assert kb.search("medicine against ache")[0].dense_rank == 1
        assert kb.documents()[0].embedded == 2


def test_a_reader_catches_up_with_what_a_killed_writer_committed(settings: Settings, add: Adder) -> None:
    with KnowledgeBase.open(settings, write=True) as kb:
        add(kb.store, "a.txt", ["Aspirin relieves pain."])
    with KnowledgeBase.open(settings) as kb:
        assert found(kb, "aspirin") == ["Aspirin relieves pain."]


def test_a_follow_up_is_searched_as_it_is_meant(settings: Settings, add: Adder) -> None:
    """Lost: 'and in children?' finds another drug's dose for children."""
    with KnowledgeBase.open(settings, write=True) as kb:
        add(kb.store, "a.txt", ["Ibuprofen dose in children: 10 mg/kg.", "Amoxicillin dose in children: 25 mg/kg."])
        kb.publish()
        history = [Turn("user", "What is the dose of amoxicillin?"), Turn("assistant", "500 mg [1].")]
        first, *_, last = kb.ask("And in children?", history)
        assert isinstance(first, Found)
        assert first.searched_as == "What is the dose of amoxicillin in children?"
        assert isinstance(last, Finished)
        assert last.answer.searched_as == first.searched_as
        assert "25 mg/kg" in last.answer.text
        assert "10 mg/kg" not in last.answer.text


def test_a_question_is_embedded_once_for_search_and_answer(
    settings: Settings, add: Adder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost: whoever asks in English waits for the model twice."""
    with KnowledgeBase.open(settings, write=True) as kb:
        add(kb.store, "a.txt", ["Aspirin relieves pain.", "Ibuprofen relieves fever."])
        kb.embed_pending()
        asked: list[str] = []
        encode = kb.embedder.encode

        def noting(texts: Sequence[str], *, question: bool = False, urgent: bool = False) -> np.ndarray:
            asked.extend(texts if question else ())
            return encode(texts, question=question, urgent=urgent)

        monkeypatch.setattr(kb.embedder, "encode", noting)
        *_, last = kb.ask("What relieves pain?")
        assert isinstance(last, Finished)
        assert "Aspirin" in last.answer.text
        assert asked == ["What relieves pain?"]


def test_what_needs_no_library_is_not_looked_up(settings: Settings, add: Adder) -> None:
    with KnowledgeBase.open(settings, write=True) as kb:
        add(kb.store, "a.txt", ["Hello is a greeting. 你好。"])
        kb.publish()
        for question, intent, abstained in (("你好", "greeting", False), ("How to make meth?", "harmful", True)):
            *_, last = kb.ask(question)
            assert isinstance(last, Finished)
            assert (last.answer.intent, last.answer.abstained) == (intent, abstained)
            assert not last.answer.hits


def test_reading_goes_on_while_another_process_writes(settings: Settings, add: Adder) -> None:
    with KnowledgeBase.open(settings, write=True) as writer:
        add(writer.store, "a.txt", ["Aspirin relieves pain."])
        writer.publish()
        add(writer.store, "b.txt", ["Ibuprofen reduces fever."])  # committed, not yet published
        with KnowledgeBase.open(settings) as reader:
            assert found(reader, "aspirin") == ["Aspirin relieves pain."]
        with pytest.raises(HomeBusy):
            KnowledgeBase.open(settings, write=True)


def test_removed_documents_vanish_even_before_the_index_knows(settings: Settings, add: Adder) -> None:
    with KnowledgeBase.open(settings, write=True) as kb:
        document = add(kb.store, "a.txt", ["Aspirin relieves pain."])
        kb.publish()
        kb.store.remove_document(document)
        assert found(kb, "aspirin") == []


def test_searching_while_publishing(settings: Settings, add: Adder) -> None:
    """Generations are swapped under the feet of searching threads; none may fail or see half of one."""
    with KnowledgeBase.open(settings, write=True) as kb:
        add(kb.store, "base.txt", ["Aspirin relieves pain."])
        kb.publish()
        failures: list[str] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                if "Aspirin relieves pain." not in found(kb, "aspirin pain"):
                    failures.append("lost")

        kb.warm_up()
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for i in range(6):
            add(kb.store, f"{i}.txt", [f"Note {i} about something else."])
            kb.publish()
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []


def test_what_is_warm_loads_nothing_for_the_first_question(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost: the first who asks in Chinese waits for the table of token vectors."""
    with KnowledgeBase.open(settings, write=True) as kb:
        kb.warm_up()
        monkeypatch.setattr("safetensors.numpy.load_file", None)
        assert kb.embedder.encode(["二甲双胍的禁忌证"], question=True).any()
        assert kb.embedder.encode(["What is metformin?"], question=True).any()


def test_a_reader_makes_no_home(settings: Settings) -> None:
    with pytest.raises(HomeError, match="no library"):
        KnowledgeBase.open(settings)
    assert not settings.home.exists()


def test_asking_ends_with_a_finished_answer(settings: Settings, add: Adder) -> None:
    with KnowledgeBase.open(settings, write=True) as kb:
        add(kb.store, "a.txt", ["The maximum daily dose of paracetamol is 4 g."])
        kb.publish()
        events = list(kb.ask("What is the maximum daily dose of paracetamol?"))
    assert isinstance(events[0], Found)
    assert isinstance(events[-1], Finished)
    assert "".join(event.text for event in events if isinstance(event, Delta)) == events[-1].answer.text
    assert "4 g" in events[-1].answer.citations[0].quote


def test_a_monograph_is_whole_before_it_is_quoted(settings: Settings) -> None:
    """Half a record must not make a field seem unstated that stands in the other half."""
    from ingest.add import add_paths

    filler = "注意事项:" + "本品应在医师指导下使用，并定期检查肝肾功能。" * 40
    record = f"阿司匹林\n适应证:用于发热。\n{filler}\n用法用量:口服：每次0.3g，每天3次。"
    folder = settings.home.parent
    (folder / "drugs.json").write_text(f'["{record}"]'.replace("\n", "\\n"), encoding="utf-8")
    with KnowledgeBase.open(settings, write=True) as kb:
        add_paths(kb, [folder / "drugs.json"], embed=False)
        assert len(kb.store.chunk_numbers()) > 1
        finished = list(kb.ask("阿司匹林的用法用量"))[-1]
    assert isinstance(finished, Finished)
    assert "每次0.3g" in finished.answer.text
