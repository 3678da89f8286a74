"""The packaged embedders: offline, unit length, and near in meaning is near in space, across languages too."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kb.embed import Embedder, build_embedder, embedding_text
from kb.errors import UsageError
from kb.settings import load_settings
from kb.types import Chunk


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    return build_embedder(load_settings(embedder="minilm"))


@pytest.fixture(scope="module")
def bilingual() -> Embedder:
    return build_embedder(load_settings())


def test_vectors_are_unit_length_and_of_the_stated_dimension(minilm: Embedder) -> None:
    matrix = minilm.encode(["fever", "a much longer text about fever " * 100])
    assert matrix.shape == (2, minilm.dimension) == (2, 384)
    assert matrix.dtype == np.float32
    assert np.allclose(np.linalg.norm(matrix, axis=1), 1.0, atol=1e-5)


def test_near_in_meaning_is_near_in_space(minilm: Embedder) -> None:
    asked, near, far = minilm.encode(["heart attack", "myocardial infarction", "hip replacement"])
    assert asked @ near > asked @ far + 0.2


def test_langchain_sees_the_same_vectors(minilm: Embedder) -> None:
    assert np.allclose(minilm.embed_query("fever"), minilm.encode(["fever"])[0], atol=1e-2)
    assert np.allclose(minilm.embed_documents(["fever"])[0], minilm.encode(["fever"])[0], atol=1e-2)


def test_a_sentence_is_embedded_once_however_often_it_is_found(
    minilm: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each question to the same passages takes half a second of processor time."""
    encoded: list[str] = []
    encode = minilm.encode

    def watched(texts: Sequence[str], *, question: bool = False, urgent: bool = False) -> np.ndarray:
        encoded.extend(texts)
        return encode(texts, question=question, urgent=urgent)

    monkeypatch.setattr(minilm, "encode", watched)
    first = minilm.sentence_vectors(["Take with food.", "Keep dry.", "Take with food."])
    again = minilm.sentence_vectors(["Keep dry.", "Shake well.", "Take with food."])
    assert encoded == ["Take with food.", "Keep dry.", "Shake well."]
    assert np.allclose(first, encode(["Take with food.", "Keep dry.", "Take with food."]), atol=1e-5)
    assert np.allclose(again, encode(["Keep dry.", "Shake well.", "Take with food."]), atol=1e-5)
    assert minilm.sentence_vectors([]).shape == (0, 384)


def test_a_question_is_held_against_sentences_token_by_token(minilm: Embedder) -> None:
    """Lost: a sentence on another drug that is worded like the question counts as near as one on the drug itself."""
    question = "What is the dose of amiodarone?"
    sentences = ["Amiodarone is given at 200 mg daily.", "Metformin is given at 500 mg daily.", "Amiodarone 200 mg."]
    found = minilm.compare(question, sentences)
    assert np.allclose(found.cosines, minilm.encode(sentences) @ minilm.question_vector(question), atol=1e-3)
    assert found.tokens.shape == (3, len(found.places))
    drug = [at for at, (a, b) in enumerate(found.places) if question[a:b] in "amiodarone"]
    near = found.tokens[:, drug].mean(axis=1)
    assert near[0] > near[1] + 0.2
    assert near[2] > near[1] + 0.2
    again = minilm.compare(question, sentences[::-1])
    assert np.allclose(again.tokens, found.tokens[::-1])
    assert minilm.compare(question, []).tokens.shape[0] == 0


def test_a_table_of_tokens_and_a_model_with_a_prompt_are_compared_as_a_whole(
    bilingual: Embedder, minilm: Embedder
) -> None:
    """Lost: every answer, to an error; or the prompt's tokens pass for the question's."""
    table = load_settings(embedder=str(bilingual._chinese._folder.parent))  # type: ignore[attr-defined]
    prompted = load_settings(embedder=str(minilm._folder), embedder_document_prompt="passage: ")  # type: ignore[attr-defined]
    for settings in (table, prompted):
        embedder = build_embedder(settings)
        question, texts = "二甲双胍 metformin", ["Metformin is given at 500 mg.", "二甲双胍的剂量"]
        found = embedder.compare(question, texts)
        assert found.tokens.shape == (2, 0)
        assert np.allclose(found.cosines, embedder.encode(texts) @ embedder.question_vector(question), atol=1e-2)


def test_across_languages_no_tokens_are_compared(bilingual: Embedder) -> None:
    found = bilingual.compare("dose of metformin", ["二甲双胍的剂量", "The dose of metformin is 500 mg."])
    assert found.tokens[0].max() == 0.0
    assert found.tokens[1].max() > 0.7
    assert found.cosines.shape == (2,)
    assert bilingual.compare("二甲双胍的剂量", ["二甲双胍的剂量"]).tokens.shape == (1, 0)


def test_it_says_that_it_knows_english_only(minilm: Embedder) -> None:
    assert minilm.knows("en")
    assert not minilm.knows("zh")


def test_tokens_are_counted_without_the_weights(minilm: Embedder) -> None:
    fresh = build_embedder(load_settings(embedder="minilm"))
    assert fresh.count_tokens(["aspirin 100 mg", ""]) == minilm.count_tokens(["aspirin 100 mg", ""])
    assert fresh.count_tokens(["阿司匹林"])[0] == 4
    assert "_model" not in fresh.__dict__


def test_the_key_changes_with_the_weights(minilm: Embedder, tmp_path: Path) -> None:
    """Vectors of one model must never be searched with another's questions."""
    source = minilm._folder  # type: ignore[attr-defined]
    for path in source.rglob("*"):
        if path.is_file():
            target = tmp_path / "m" / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            data = bytearray(path.read_bytes())
            if path.suffix == ".safetensors":
                data[-1] ^= 1
            target.write_bytes(bytes(data))
    other = build_embedder(load_settings(embedder=str(tmp_path / "m")))
    assert other.key.partition("@")[2] != minilm.key.partition("@")[2]
    assert other.languages is None


def test_a_chinese_question_and_an_english_passage_meet(bilingual: Embedder) -> None:
    asked, near, far = bilingual.encode(
        ["慢性肾脏病的治疗", "treatment of chronic kidney disease", "hip replacement surgery"]
    )
    assert asked @ near > asked @ far + 0.2


def test_chinese_words_for_the_same_thing_are_near(bilingual: Embedder) -> None:
    asked, near, far = bilingual.encode(["血压高怎么办", "高血压的治疗方法", "儿童龋齿的预防"])
    assert asked @ near > asked @ far + 0.2


def test_english_is_embedded_as_by_the_packaged_model(bilingual: Embedder, minilm: Embedder) -> None:
    """What was measured of English, and the cuts set on its cosines, still hold."""
    texts = ["heart attack", "Metformin is contraindicated below an eGFR of 30 (肾小球滤过率)."]
    assert np.array_equal(bilingual.encode(texts), minilm.encode(texts))
    assert bilingual.grading_key == minilm.key, "what was calibrated with the one holds for the other"
    assert bilingual.count_tokens(["阿司匹林 aspirin"]) == minilm.count_tokens(["阿司匹林 aspirin"])


def test_chinese_cosines_find_passages_but_prove_no_answer(bilingual: Embedder) -> None:
    assert bilingual.knows("zh")
    assert bilingual.grades("en")
    assert not bilingual.grades("zh")


def test_a_text_without_a_known_word_is_near_to_nothing(bilingual: Embedder) -> None:
    """Not NaN, which would spoil the whole index."""
    blank, text = bilingual.encode(["㐂㐃。", "高血压"])
    assert not blank.any()
    assert blank @ text == 0.0


def test_the_chinese_half_is_a_sentence_transformers_model(bilingual: Embedder) -> None:
    """So that it can be fine-tuned, and used elsewhere, by the tools people have."""
    folder = bilingual._chinese._folder.parent  # type: ignore[attr-defined]
    alone = build_embedder(load_settings(embedder=str(folder)))
    texts = ["高血压怎么治疗", "二甲双胍 metformin 的用法用量"]
    assert alone.dimension == bilingual.dimension
    assert np.allclose(alone.encode(texts), bilingual.encode(texts), atol=1e-2)


def test_prompts_go_before_questions_and_passages(bilingual: Embedder) -> None:
    """bge, E5 and Qwen models are much worse without theirs."""
    folder = str(bilingual._chinese._folder.parent)  # type: ignore[attr-defined]
    plain = build_embedder(load_settings(embedder=folder))
    prompted = build_embedder(
        load_settings(embedder=folder, embedder_query_prompt="检索：", embedder_document_prompt="文段：")
    )
    assert np.allclose(prompted.encode(["高血压"], question=True), plain.encode(["检索：高血压"]), atol=1e-2)
    assert np.allclose(prompted.encode(["高血压"]), plain.encode(["文段：高血压"]), atol=1e-2)
    assert prompted.key != plain.key, "vectors with another prompt are other vectors"


def test_the_models_own_prompts_are_used(bilingual: Embedder, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(bilingual._chinese._folder.parent, folder)  # type: ignore[attr-defined]
    plain = build_embedder(load_settings(embedder=str(folder)))
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "检索：", "document": ""}}')
    own = build_embedder(load_settings(embedder=str(folder)))
    assert np.allclose(own.encode(["高血压"], question=True), plain.encode(["检索：高血压"]), atol=1e-2)
    assert own.key == plain.key


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        build_embedder(load_settings(embedder=str(tmp_path / "none")))
    with pytest.raises(UsageError, match="holds no sentence-transformers model"):
        build_embedder(load_settings(embedder=str(tmp_path)))


def test_the_section_path_goes_into_the_vector() -> None:
    """'500 mg twice a day' says of no drug what its heading says."""
    chunk = Chunk("c", "d", 0, "500 mg twice a day", "Metformin › Dosage", (), "en", 5)
    assert embedding_text(chunk) == "Metformin › Dosage\n500 mg twice a day"
