"""Texts for pre-training: the formats, no repeats, the shares asked for, nothing of the test, every token used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kb.errors import UsageError
from kb.knowledge_base import KnowledgeBase
from kb.store import Store
from tests.conftest import Adder, chunk_of, document_of
from tests.train.test_sft import built
from train import datasets, fit
from train.corpus import CorpusPlan, gather, library_texts, text_of
from train.packing import Packed
from train.pretrain import NewModel, Pretrain, prepare_pretrain
from train.recipe import Plan, Recipe
from train.runs import Runs

NEW = NewModel(width=32, layers=2, heads=2, head_width=16, inner=32, context=128, vocabulary=420)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"text": " 利可君 "}, "利可君"),
        ({"question": "发烧怎么办？", "answer": "多喝水。"}, "发烧怎么办？\n多喝水。"),
        ({"q": "a?", "a": "b"}, "a?\nb"),
        ({"instruction": "翻译", "input": "fever", "output": "发热"}, "翻译\nfever\n发热"),
        (
            {"messages": [{"role": "user", "content": "头痛"}, {"role": "assistant", "content": "多久了？"}]},
            "患者：头痛\n医生：多久了？",
        ),
        ({"dialogue": ["My head hurts", "Since when?"]}, "Patient: My head hurts\nDoctor: Since when?"),
        (
            {"conversations": [{"from": "患者", "value": "咳嗽"}, {"from": "医生", "value": "有痰吗？"}]},
            "患者：咳嗽\n医生：有痰吗？",
        ),
    ],
)
def test_every_format_becomes_its_text(row: dict[str, Any], text: str) -> None:
    assert text_of(row) == (text, "")


@pytest.mark.parametrize(
    "row", [{"title": "x"}, {"text": "  "}, {"q": "x", "a": " "}, {"messages": []}, {"messages": [{"role": "user"}]}]
)
def test_a_row_without_a_text_says_why(row: dict[str, Any]) -> None:
    text, reason = text_of(row)
    assert not text
    assert reason


def lines(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
    return path


def test_repeats_are_taken_out_but_other_doses_are_other_texts(store: Store, tmp_path: Path) -> None:
    """Lost: what is written ten times is learned by heart, or the dose of 30 mL/min is thrown away."""
    long = "本品用于治疗由敏感菌引起的下列感染：呼吸道感染、泌尿道感染、皮肤软组织感染，疗程视病情而定，请遵医嘱。"
    one = lines(
        tmp_path / "one.jsonl",
        [long, "eGFR 30 时每次 500 mg，每天两次口服给药。", "eGFR 45 时每次 500 mg，每天两次口服给药。"],
    )
    two = lines(tmp_path / "two.jsonl", [long.replace("，", ","), long + "谢谢", "另一篇完全不同的文章。"])
    corpus = gather(store, CorpusPlan(library=False, files=(one, two), held_out=0))
    assert [text.text[:8] for text in corpus.train] == [long[:8], "eGFR 30 ", "eGFR 45 ", "另一篇完全不同的"[:8]]
    assert (corpus.sources["two.jsonl"]["repeats"], corpus.sources["two.jsonl"]["near_repeats"]) == (1, 1)


def test_a_document_that_is_being_read_is_no_source(store: Store) -> None:
    """Lost: half a book is trained on, and the run's hash says it was the book."""
    document = document_of("half.txt")
    store.start_document(document)
    store.add_chunks([chunk_of(document.id, 0, "The first half.")])
    with pytest.raises(UsageError, match="not read to its end"):
        gather(store, CorpusPlan(documents=(document,)))


def test_shares_are_reached_by_leaving_out(store: Store, tmp_path: Path) -> None:
    many = lines(tmp_path / "many.jsonl", [f"第{n}篇 {'甲乙丙丁'[n % 4] * 20}{n * 7919}" for n in range(200)])
    few = lines(tmp_path / "few.jsonl", [f"另{n}篇 {'戊己庚辛'[n % 4] * 20}{n * 7907}" for n in range(40)])
    plan = CorpusPlan(library=False, files=(many, few), shares={"many.jsonl": 0.5, "few.jsonl": 0.5}, held_out=0.1)
    corpus = gather(store, plan)
    texts = corpus.train + corpus.held_out
    size = {name: sum(len(text.text) for text in texts if text.source == name) for name in plan.shares}
    assert size["many.jsonl"] == pytest.approx(size["few.jsonl"], rel=0.1)
    assert not {text.text for text in corpus.train} & {text.text for text in corpus.held_out}
    assert corpus.held_out
    assert gather(store, plan).hash == corpus.hash
    with pytest.raises(UsageError, match="no such source"):
        gather(store, CorpusPlan(library=False, files=(many,), shares={"none": 1.0}))


def test_a_document_is_one_text_with_its_headings(store: Store, add: Adder) -> None:
    document = add(store, "guide.txt", ["第一段。", "第二段。"])
    assert list(library_texts(store, [document])) == ["第一段。\n第二段。"]
    with pytest.raises(UsageError, match="no text to train on"):
        gather(store, CorpusPlan(library=False))


def test_what_is_kept_for_the_test_is_not_pretrained_on(base: KnowledgeBase) -> None:
    """Lost: the proof on unseen drugs is none, since the model has read them."""
    dataset = built(base)
    kept = gather(base.store, CorpusPlan(without_test_of=dataset, held_out=0))
    said = "\n".join(text.text for text in kept.train)
    tested = {row["metadata"]["unit"].removeprefix("drug:") for row in datasets.rows(dataset.test)}
    assert tested
    assert not [name for name in tested if f"{name}\n药品类型" in said]
    whole = gather(base.store, CorpusPlan(held_out=0))
    assert len(whole.train) - len(kept.train) == kept.sources["library"]["kept_for_test"] >= len(tested)


@pytest.mark.parametrize("packing", ["slice", "best-fit"])
def test_a_new_model_is_pretrained_with_every_token_used(base: KnowledgeBase, packing: Any) -> None:
    recipe = Recipe(rows=4, learning_rate=5e-3, max_steps=6, threads=1, log_every=1)
    asked = Pretrain(CorpusPlan(held_out=0.1), recipe, new=NEW, packing=packing, length=128)
    run = prepare_pretrain(Runs(base.store), base.store, asked)
    facts = run.facts["train"]
    rows = Packed.load(run.folder / "data" / "train")
    tokens = sum(len(piece) for number in range(len(rows)) for piece in rows.row(number))
    assert tokens == facts["tokens"] == facts["trained_tokens"] == sum(facts["by_source"].values())
    assert len(rows) < facts["examples"]
    if packing == "slice":  # only the last row has room left
        assert tokens > (len(rows) - 1) * 128
    tokenizer = fit.load_tokenizer(run.folder / "base")
    ends = sum(int((piece.tokens == tokenizer.eos_token_id).sum()) for n in range(len(rows)) for piece in rows.row(n))
    assert ends == facts["examples"]
    if packing == "slice":
        result = fit.fit(Plan.load(run.folder))
        assert result.held_out_loss is not None
        assert result.held_out_loss_before is not None
        assert result.held_out_loss < result.held_out_loss_before - 0.2
