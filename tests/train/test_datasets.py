"""Dataset versions: immutable, split by drug, true to what the app sends, and honest about what went stale."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb.errors import StoreError, UsageError
from kb.knowledge_base import KnowledgeBase
from kb.prompt_formats import LETTERS, lettered, split_field
from kb.settings import load_settings
from train import datasets, fields
from train.contexts import ContextPlan, PassageSearch
from train.datasets import Dataset, DatasetPlan
from train.examples import Examples, Selection, chunk_hash, chunks_of


@pytest.fixture(scope="module")
def base(monograph_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    """One library with its examples for the whole module; datasets are written, nothing else changes."""
    home = tmp_path_factory.mktemp("datasets") / "home"
    shutil.copytree(monograph_home, home)
    with KnowledgeBase.open(load_settings(home=home), write=True) as opened:
        made = fields.generate(opened.store, opened.store.documents(), fields.FieldsReport())
        Examples(opened.store).add(list(made))
        yield opened


def built(base: KnowledgeBase, **changes: Any) -> Dataset:
    plan = DatasetPlan(selection=Selection(), **{"shares": (0.6, 0.2, 0.2), **changes})
    return datasets.build(base.store, "drugs", plan, PassageSearch(base.store, base.retriever))


def all_rows(dataset: Dataset) -> list[tuple[str, dict[str, Any]]]:
    paths = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    return [(split, row) for split, path in paths.items() for row in datasets.rows(path)]


def test_the_same_content_is_the_same_version(base: KnowledgeBase) -> None:
    """Lost: nobody can say what a model was trained on."""
    first = built(base)
    again = built(base)
    assert (first.version, first.manifest) == (again.version, again.manifest)
    assert built(base, style="short").version != first.version
    assert datasets.load(base.store.home, "drugs", first.version).folder.name == first.version
    assert len({manifest["version"] for manifest in datasets.versions(base.store.home)}) >= 2


def test_what_was_changed_by_hand_is_refused(base: KnowledgeBase) -> None:
    """Lost: a run claims a dataset whose test rows someone edited."""
    dataset = built(base, limit=50)
    with dataset.test.open("a") as file:
        file.write("{}\n")
    with pytest.raises(StoreError, match=r"test\.jsonl is missing or was changed"):
        datasets.load(base.store.home, "drugs", dataset.version)


def test_no_drug_is_in_two_splits_not_even_as_a_distractor(base: KnowledgeBase) -> None:
    """Lost: the gate's proof: a model that has read the test drugs looks better than it is."""
    splits: dict[str, set[str]] = {}
    chunks: dict[str, set[str]] = {}
    for split, row in all_rows(built(base)):
        splits.setdefault(row["metadata"]["unit"], set()).add(split)
        for chunk, _ in row["metadata"]["context_chunks"]:
            chunks.setdefault(chunk, set()).add(split)
    assert {split for found in splits.values() for split in found} == {"train", "validation", "test"}
    assert all(len(found) == 1 for found in splits.values())
    assert all(len(found) == 1 for found in chunks.values())


@pytest.mark.parametrize("kind", ["passages", "fields"])
def test_answers_are_in_the_oracle_and_nowhere_else(base: KnowledgeBase, kind: Any) -> None:
    """Lost: the model is taught to answer from a passage that does not say so, or to cite the wrong one."""
    rows = [row["metadata"] for _, row in all_rows(built(base, contexts=ContextPlan(kind, 3, 0.2)))]
    withheld = 0
    for row in rows:
        answer = "".join(row["answers"][0].split())
        holding = [at for at, text in enumerate(row["contexts"]) if answer in "".join(text.split())]
        if row["answerable"]:
            assert set(row["oracles"]) <= set(holding), row
            assert len(holding) == len(row["oracles"]), row
        else:
            assert row["answers"] == ["文本中未提及"]
            assert holding == []
            withheld += row["topic"] in ("用法用量", "适应证")
    assert withheld > 3
    shown_at = [row["oracles"][0] for row in rows if row["answerable"] and len(row["contexts"]) > 3]
    assert {0, 1, 2, 3} <= set(shown_at)  # the place of the right passage gives nothing away


def test_rows_ask_as_the_app_asks_and_cite_the_oracle(base: KnowledgeBase) -> None:
    """Lost: the tuned model meets a prompt in the app that it has never seen."""
    for _, row in all_rows(built(base)):
        assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant"]
        said, metadata = row["messages"][2]["content"], row["metadata"]
        assert row["messages"][1]["content"].endswith("问题：" + metadata["question"])
        assert row["messages"][1]["content"].count("<<<文段") == 2 * len(metadata["contexts"])
        if metadata["answerable"]:
            assert f"[{metadata['oracles'][0] + 1}]" in said
        else:
            assert said == "文本中未提及"


def test_an_alias_is_explained_in_short_contexts(base: KnowledgeBase) -> None:
    """Lost: the question names a drug that no passage names; only a guess could answer it."""
    dataset = built(base, contexts=ContextPlan("fields", 2, 0.0), style="short")
    asked_by_alias = 0
    for _, row in all_rows(dataset):
        metadata = row["metadata"]
        if metadata["answerable"] and metadata["topic"] not in ("英文名", "别名"):
            names = metadata["contexts"][metadata["oracles"][0]].split("\n")[0]
            asked_by_alias += "（" in names
            assert any(name in metadata["question"] for name in names.rstrip("）").split("（")), (names, metadata)
    assert asked_by_alias > 5


def test_a_named_reply_is_the_passage_it_reads(base: KnowledgeBase) -> None:
    """Lost: the model is taught to name another field than it reads, so what it says is never cited."""
    dataset = built(base, contexts=ContextPlan("fields", 2, 0.2), style="named")
    declined = 0
    for _, row in all_rows(dataset):
        said, metadata = row["messages"][2]["content"], row["metadata"]
        question, passages = lettered(metadata["question"], metadata["contexts"])
        assert row["messages"][1]["content"].endswith(question)
        name, field, value = split_field(said) or ("", metadata["topic"], said)
        assert field == metadata["topic"]
        assert name in question
        if metadata["answerable"]:
            assert said == passages[metadata["oracles"][0]]
        else:
            assert value == "文本中未提及"
            assert bool(name) == any(letter in question for letter in LETTERS)
            declined += 1
    assert declined > 5


def test_every_row_resolves_to_its_chunk_and_hash(base: KnowledgeBase) -> None:
    """Lost: the way back from a model's answer to the page."""
    dataset = built(base)
    listed = {row["chunk_id"]: row["chunk_hash"] for row in datasets.rows(dataset.folder / "chunks.jsonl")}
    texts = {key: chunk.text for key, chunk in chunks_of(base.store, list(listed)).items()}
    assert {key: chunk_hash(text) for key, text in texts.items()} == listed
    for _, row in all_rows(dataset):
        metadata = row["metadata"]
        assert listed[metadata["chunk_id"]] == metadata["chunk_hash"]
        assert all(listed[chunk] == digest for chunk, digest in metadata["context_chunks"])


def test_mixing_reaches_the_shares_by_leaving_out(base: KnowledgeBase, tmp_path: Path) -> None:
    """Lost: a thousand templated rows drown the few that matter."""
    none = built(base, unanswerable=0.0).manifest
    assert sum(none["counts"].values()) < Examples(base.store).count(Selection())
    with pytest.raises(UsageError, match="dialogue"):
        built(base, mixing={"qa": 0.5, "dialogue": 0.5})
    chat = tmp_path / "chat.jsonl"
    said = [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "您好，请问有什么可以帮您？"}]
    chat.write_text(json.dumps({"messages": said}, ensure_ascii=False) + "\n", encoding="utf-8")
    mixed = built(base, chat_files=(chat,))
    assert mixed.manifest["by_task"]["train"]["chat"] == 1
    assert "chat" not in mixed.manifest["by_task"]["test"]
    chat.write_text('{"messages": [{"role": "bot", "content": "x"}]}\n')
    with pytest.raises(UsageError, match=r"chat\.jsonl, row 1"):
        built(base, chat_files=(chat,))


def test_an_empty_selection_is_refused(base: KnowledgeBase) -> None:
    with pytest.raises(UsageError, match="qa curate"):
        datasets.build(base.store, "none", DatasetPlan(), PassageSearch(base.store, base.retriever))
    assert not (base.store.home / "datasets" / "none").exists()


def test_a_dataset_says_what_it_would_lose(base: KnowledgeBase) -> None:
    """Lost: a withdrawn document lives on in the next training run. (Last of the module: it empties the library.)"""
    dataset = built(base)
    assert datasets.loss(base.store, dataset).chunks == 0
    base.remove("drugs.json")
    lost = datasets.loss(base.store, dataset)
    assert lost.rows == dataset.manifest["counts"]
    assert len(lost.documents) == 1
