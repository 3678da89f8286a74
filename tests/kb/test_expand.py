"""Other names of a thing, mined from the passages. Lost without them: the monograph filed under the name not typed."""

from __future__ import annotations

from kb.expand import Synonyms, mine
from kb.index import LocalIndex
from kb.store import Store
from kb.types import Chunk
from tests.conftest import Adder, chunk_of, document_of


def record(name: str, text: str) -> Chunk:
    return chunk_of(document_of(f"{name}.json").id, 0, text, heading=name)


ASPIRIN = record("阿司匹林", "阿司匹林\n英文名:Aspirin\n别名:乙酰水杨酸；醋柳酸；拜阿司匹灵\n适应证:用于发热、头痛。")


def test_a_monographs_names_meet_whichever_is_asked() -> None:
    names = Synonyms(mine([ASPIRIN]))
    assert "乙酰水杨酸" in names.others("阿司匹林")
    assert "阿司匹林" in names.others("Aspirin")
    assert "Aspirin" in names.others("乙酰水杨酸")


def test_names_are_found_inside_a_question() -> None:
    names = Synonyms(mine([ASPIRIN]))
    (found,) = names.find("请问醋柳酸怎么吃？")
    assert ("请问醋柳酸怎么吃？"[found.start : found.end]) == "醋柳酸"
    assert "阿司匹林" in found.others
    assert names.find("aspirins are old") == []  # a whole word, not the beginning of one
    assert names.find("布洛芬怎么吃？") == []


def test_an_abbreviation_and_its_words_meet() -> None:
    text = "Patients with chronic kidney disease (CKD) should be asked. Use in adults (18 years) was studied."
    names = Synonyms(mine([record("Guide", text)]))
    assert names.others("CKD") == ("chronic kidney disease",)
    assert len(names) == 2


def test_a_chinese_term_and_the_foreign_name_in_its_brackets_meet() -> None:
    text = "慢性肾脏病（chronic kidney disease，CKD）很常见。有的患者合并慢性肾脏病（CKD）的进展。"
    names = Synonyms(mine([record("指南", text)]))
    assert "CKD" in names.others("慢性肾脏病")
    assert "慢性肾脏病" in names.others("chronic kidney disease")


def test_two_things_of_one_alias_are_not_taken_for_each_other() -> None:
    """A shared nickname must not send a question about one drug to the monograph of another."""
    records = [record(name, f"{name}\n别名:消炎片\n适应证:用于感染。") for name in ("甲药片", "乙药片", "丙药片")]
    names = Synonyms(mine(records))
    assert "乙药片" not in names.others("甲药片")


def test_numbers_are_no_names() -> None:
    names = Synonyms(mine([record("羟乙基淀粉", "羟乙基淀粉\n别名:130、0.4；贺斯\n用法用量:静脉滴注。")]))
    assert names.others("0.4") == ()
    assert names.others("贺斯") == ("羟乙基淀粉",)


def test_the_word_index_finds_the_monograph_by_a_name_that_the_passage_lacks(store: Store, add: Adder) -> None:
    add(store, "drugs.json", [f"第{i}种药的用法用量：口服。" for i in range(30)])
    document = document_of("monographs.json")
    store.start_document(document)
    parts = ["阿司匹林\n英文名:Aspirin\n别名:乙酰水杨酸", "用法用量:口服，一日三次。", "他汀类的用法用量:睡前。"]
    headings = ["阿司匹林", "阿司匹林", "他汀类"]
    chunks = [chunk_of(document.id, i, t, h) for i, (t, h) in enumerate(zip(parts, headings, strict=True))]
    store.finish_document(document, chunks)
    index = LocalIndex(store.home, embedder="fake@1", dimension=8)
    index.publish(store)
    for question in ("aspirin 用法用量", "乙酰水杨酸的用法用量"):
        found = store.chunks_by_number(scored.number for scored in index.lexical(question, 2))
        assert {chunk.heading for chunk in found.values()} == {"阿司匹林"}
        without = store.chunks_by_number(scored.number for scored in index.lexical(question, 2, names=False))
        assert {chunk.heading for chunk in without.values()} != {"阿司匹林"}
    again = LocalIndex(store.home, embedder="fake@1", dimension=8)
    again.load()
    assert again.other_names("乙酰水杨酸怎么吃") == index.other_names("乙酰水杨酸怎么吃") != []
