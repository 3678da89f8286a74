"""`train embedder`: a Chinese half that lies where English does, and any model tuned on the library."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import cli
from kb.embed import Embedder, build_embedder
from kb.knowledge_base import KnowledgeBase
from kb.settings import load_settings
from train import embedder, embedder_sources
from train.examples import Examples
from train.fields import FieldsReport, generate
from train.finetune_embedder import Tuning, finetune, library_pairs

DICTIONARY = """word,translation
hypertension,"[医] 高血压(症), 血压过高"
diabetes,"n. 糖尿病\\n[医] 糖尿病"
fracture,"n. 骨折; 断口\\nvt. 折断"
treatment,"n. 治疗, 处理"
symptom,n. 症状
"""
QUESTIONS = ("高血压怎么治疗", "糖尿病有什么症状", "骨折怎么处理", "血压过高怎么办")


@pytest.fixture(scope="module")
def dictionary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dictionary") / "words.csv"
    path.write_text(DICTIONARY.replace("\\n", "\n"), encoding="utf-8")
    return path


def words_as_vectors(texts: list[str]) -> np.ndarray:
    """A teacher of sixteen dimensions: the same word, the same unit vector."""
    rows = [np.random.default_rng(sum(map(ord, text))).standard_normal(16) for text in texts]
    return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


@pytest.fixture(scope="module")
def static_model(dictionary: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for a moment on five words."""
    entries = list(embedder_sources.read_dictionary(dictionary))
    words = {word: 10.0 for entry in entries for word in (entry.chinese, *entry.chinese)} | {"怎么": 5.0, "▁copd▁": 1.0}
    tokenizer = embedder.make_tokenizer(words)
    plan = embedder.Plan(dictionary_steps=40, passage_steps=10, batch=32)
    lesson = embedder.make_lesson(entries, tokenizer, words_as_vectors, plan.phrases)
    trainer = embedder.StaticTrainer(tokenizer, lesson, plan)
    trainer.learn([("高血压", "血压过高"), ("骨折", "折断")])
    folder = tmp_path_factory.mktemp("static") / "model"
    embedder.save_static(folder, tokenizer, trainer.table, embedder.model_card([dictionary.name], plan))
    return folder


def load(folder: Path) -> Embedder:
    return build_embedder(load_settings(embedder=str(folder)))


def test_senses_are_words_without_labels_and_asides(dictionary: Path) -> None:
    entries = list(embedder_sources.read_dictionary(dictionary))
    assert [e.chinese for e in entries if e.english == "hypertension"] == ["高血压", "血压过高"]
    assert [e.chinese for e in entries if e.english == "fracture"] == ["骨折", "断口", "折断"]
    assert {e.english for e in entries if e.medical} == {"hypertension", "diabetes"}


def test_drug_records_are_a_dictionary_of_their_names(tmp_path: Path) -> None:
    path = tmp_path / "drugs.json"
    record = "阿司匹林\n英文名:Aspirin\n别名:乙酰水杨酸；醋柳酸\n适应证:发热、头痛、关节痛等症状的对症治疗。"
    path.write_text(json.dumps([record], ensure_ascii=False), encoding="utf-8")
    found = {(e.chinese, e.english) for e in embedder_sources.read_dictionary(path)}
    assert found == {("阿司匹林", "Aspirin"), ("乙酰水杨酸", "Aspirin"), ("醋柳酸", "Aspirin")}


def test_what_is_held_out_is_not_learnt_from(tmp_path: Path) -> None:
    """Else the figures measured on the question sets would be of texts already seen."""
    shared = "高血压患者应当每天少吃盐并且坚持规律运动。"
    kept = "糖尿病患者的饮食应当定时定量，少吃含糖的食物，多吃蔬菜，并按医嘱用药和监测血糖。"
    text, questions = tmp_path / "book.txt", tmp_path / "questions.jsonl"
    text.write_text(f"{shared}这一段还说了一些别的话，所以它不是同一段文字。\n\n{kept}", encoding="utf-8")
    questions.write_text(json.dumps({"id": "1", "text": shared}, ensure_ascii=False), encoding="utf-8")
    held_out = embedder_sources.read_held_out([questions])
    assert list(embedder_sources.read_passages([text], held_out)) == [kept]
    assert len(list(embedder_sources.read_passages([text]))) == 2


def test_chinese_lies_where_its_english_does(static_model: Path) -> None:
    found = load(static_model).encode(["高血压", "血压过高", "骨折"])
    english = words_as_vectors(["hypertension", "fracture"])
    assert (found @ english.T).argmax(axis=1).tolist() == [0, 0, 1]
    assert (found[:2] @ english[0] > 0.9).all()


def test_a_latin_word_counts_whole_or_not_at_all(static_model: Path) -> None:
    """Letters in common make no two drugs alike."""
    assert not load(static_model).encode(["copdine"]).any()
    assert load(static_model).encode(["COPD"]).any()


def test_int8_rows_are_as_good_as_floats(static_model: Path) -> None:
    from safetensors.numpy import load_file

    tensors = load_file(str(static_model / "0_StaticEmbedding" / "model.safetensors"))
    assert tensors["embeddings"].dtype == np.int8
    assert np.abs(tensors["embeddings"]).max(axis=1)[1:].min() == 127, "each row uses the whole range"


def test_a_model_is_tuned_on_questions_and_their_passages(static_model: Path, tmp_path: Path) -> None:
    pairs = [(question, f"{question}：见第{n}章的说明") for n, question in enumerate(QUESTIONS)] * 4
    pairs[0] = ("骨折怎么处理", "血压过高")
    before = load(static_model).encode([pairs[0][0], pairs[0][1]])
    loss = finetune(static_model, [pairs[0]] * 2 + pairs, tmp_path / "tuned", Tuning(epochs=20, rate=0.01, batch=8))
    after = load(tmp_path / "tuned").encode([pairs[0][0], pairs[0][1]])
    assert loss > 0
    assert after[0] @ after[1] > before[0] @ before[1] + 0.1


def test_the_librarys_own_examples_are_pairs(base: KnowledgeBase) -> None:
    """Only those that passed curation or review, each with the passage it rests on."""
    examples = Examples(base.store)
    made = [one for one in generate(base.store, base.documents(), FieldsReport()) if one.answerable][:2]
    examples.add(made)
    assert list(library_pairs(base.store)) == []
    examples.set_states([(made[0].id, "kept", "")])
    [(question, passage)] = library_pairs(base.store)
    assert question == made[0].question
    assert made[0].answers[0] in passage


def test_the_command_says_what_it_needs(tmp_path: Path) -> None:
    runner = CliRunner()
    out = str(tmp_path / "m")
    neither = runner.invoke(cli.app, ["train", "embedder", "--out", out, "--json"])
    assert neither.exit_code == 2
    assert "--dictionary" in json.loads(neither.stdout)["error"]
    (tmp_path / "pairs.tsv").write_text("1\t高血压\t血压过高\n", encoding="utf-8")
    few = ["train", "embedder", "--out", out, "--model", str(tmp_path), "--pairs", str(tmp_path / "pairs.tsv")]
    refused = runner.invoke(cli.app, [*few, "--json"])
    assert refused.exit_code == 2
    assert "too few" in json.loads(refused.stdout)["error"]
