"""Examples from monographs without a model, and the table they live in."""

from __future__ import annotations

import pytest

from kb import records
from kb.knowledge_base import KnowledgeBase
from kb.testing import make_hit
from kb.types import QAExample
from train import fields
from train.examples import Examples, Selection, chunk_hash, chunks_of, unit_of


def made(base: KnowledgeBase, report: fields.FieldsReport | None = None) -> list[QAExample]:
    return list(fields.generate(base.store, base.store.documents(), report or fields.FieldsReport()))


@pytest.mark.parametrize("name", sorted(fields.TEMPLATES))
def test_every_template_asks_for_its_field(name: str) -> None:
    """Lost: the model learns to answer another field than the one asked for."""
    for template in fields.TEMPLATES[name]:
        assert records.asked_fields(template.format(name="甲洛芬"))[:1] == [name], template


def test_answers_stand_in_their_chunks_word_for_word(base: KnowledgeBase) -> None:
    """Lost: a dose in the training data that no document states."""
    examples = made(base)
    chunks = chunks_of(base.store, [source.chunk_id for example in examples for source in example.sources])
    assert sum(example.answerable for example in examples) > 200
    for example in examples:
        texts = [chunks[source.chunk_id].text for source in example.sources]
        assert [chunk_hash(text) for text in texts] == [source.chunk_hash for source in example.sources]
        if example.answerable:
            assert example.answers[0] in "\n".join(texts), example.question


def test_a_name_that_two_records_bear_is_not_asked_by(base: KnowledgeBase) -> None:
    """Lost: two right answers to one question, one of them the other preparation's dose."""
    asked = [example.question for example in made(base)]
    assert not any("甲洛芬" in question and "甲洛芬素" not in question for question in asked)
    assert any("Drug000" in question or "甲洛芬素" in question for question in asked)


def test_unstated_and_absent_fields_are_unanswerable(base: KnowledgeBase) -> None:
    """Lost: nothing teaches the model to say that the documents do not say."""
    report = fields.FieldsReport()
    without = [example for example in made(base, report) if not example.answerable]
    assert {example.answers for example in without} == {("文本中未提及",)}
    topics = {example.topic for example in without}
    assert "禁忌证" in topics  # 尚不明确
    assert topics & {"不良反应", "药物相互作用", "药动学", "药理作用"}  # not in the record at all
    assert report.unanswerable == len(without)


def test_generating_twice_adds_nothing(base: KnowledgeBase) -> None:
    """Lost: every run doubles the training data."""
    examples = Examples(base.store)
    batch = made(base)
    assert examples.add(batch) == len(batch)
    assert examples.add(made(base)) == 0
    assert next(iter(examples.stream(Selection()))) == batch[0]
    assert examples.count(Selection()) == len(batch)


def test_a_removed_document_makes_its_examples_stale(base: KnowledgeBase) -> None:
    """Lost: the model is trained on a withdrawn edition."""
    examples = Examples(base.store)
    batch = made(base)
    examples.add(batch)
    assert examples.stale() == 0
    base.remove("drugs.json")
    assert examples.stale() == len(batch)
    assert examples.count(Selection()) == 0
    assert examples.count(Selection(include_stale=True)) == len(batch)


def test_the_chunks_of_a_nameless_record_are_one_unit() -> None:
    """Lost: half a record is in training, the other half in the test."""
    parts = [
        make_hit(text, title="drugs", kind="monographs", page=7, position=at)
        for at, text in enumerate(("【英文名】Samarium\n别名:来昔决南钐", "注意事项:骨髓抑制。\n剂型:注射剂。"))
    ]
    units = {unit_of(hit.document, hit.chunk) for hit in parts}
    other = make_hit("剂型:片剂。", title="drugs", kind="monographs", page=8)
    assert len(units) == 1
    assert unit_of(other.document, other.chunk) not in units


def test_states_narrow_the_selection(base: KnowledgeBase) -> None:
    examples = Examples(base.store)
    batch = made(base)
    examples.add(batch)
    examples.set_states([(batch[0].id, "kept", ""), (batch[1].id, "dropped", "format: no question")])
    assert [example.id for example in examples.stream(Selection(states=("kept",)))] == [batch[0].id]
    assert examples.get(batch[1].id[:8]).reason == "format: no question"
    assert examples.count(Selection(states=("candidate",))) == len(batch) - 2
