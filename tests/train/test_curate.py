"""Curation drops what it should, for the reason it says, and keeps the rest; duplicates; review; batch answers."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kb.access import Principal
from kb.errors import AccessDenied, UsageError
from kb.extract import Extractor
from kb.knowledge_base import KnowledgeBase
from kb.testing import make_hit
from kb.types import Hit, QAExample
from train import curate, fields
from train.batch import answer_file
from train.contexts import PassageSearch
from train.curation import curate as run_curation
from train.deduplicate import exact_repeats, near_repeats, same_meaning
from train.examples import Examples, Selection, identified
from train.review import Review, cohens_kappa
from train.tasks import Item, make

PROSE = make_hit(
    "阿莫西林胶囊用于敏感菌所致的感染。成人一次0.5g，每6～8小时1次，一日剂量不超过4g。青霉素过敏者禁用。",
    title="阿莫西林",
)
LABEL = make_hit(
    "The starting dose of metformin is 500 mg twice a day. The maximum is 2550 mg a day.", title="Metformin"
)


def example(hit: Hit, question: str, answer: str) -> QAExample:
    return make("qa", Item(hit.chunk.language, hit), question, answer)


GOOD = [
    example(PROSE, "阿莫西林成人的常用剂量是多少？", "成人一次0.5g，每6～8小时1次，一日剂量不超过4g。"),
    example(LABEL, "What is the maximum daily dose of metformin?", "The maximum is 2550 mg a day."),
]
BAD = {
    "format": [example(PROSE, "阿莫西林？", ""), example(PROSE, "阿莫西林怎么用？", "答案：一次0.5g。")],
    "language": [example(PROSE, "What is the dose of amoxicillin for adults?", "成人一次0.5g。")],
    "leakage": [
        example(PROSE, "根据上述文本，阿莫西林用于什么？", "用于敏感菌所致的感染。"),
        example(LABEL, "According to the passage, what is the starting dose of metformin?", "500 mg twice a day."),
    ],
    "groundedness": [
        example(PROSE, "阿莫西林成人一次用多少？", "成人一次5g，每6～8小时1次。"),
        example(PROSE, "左氧氟沙星成人一次用多少？", "左氧氟沙星成人一次0.5g。"),
        example(
            LABEL, "What is the starting dose of metformin?", "The starting dose of metformin is 850 mg twice a day."
        ),
    ],
}
FILTERS = {
    "format": curate.check_format,
    "language": curate.check_language,
    "leakage": curate.check_leakage,
    "groundedness": curate.check_grounded,
}


def judged(one: QAExample, hit: Hit) -> str:
    return next(curate.judge([(one, [hit])], FILTERS, curate.CurationReport()))[1]


@pytest.mark.parametrize("name", sorted(BAD))
def test_each_filter_drops_its_kind_and_says_why(name: str) -> None:
    """Lost: a wrong dose that the model learns by heart."""
    for one in BAD[name]:
        hit = LABEL if "etformin" in one.question else PROSE
        assert judged(one, hit).startswith(f"{name}: "), one


def test_good_examples_pass() -> None:
    """Lost: data, for no reason."""
    assert [judged(one, hit) for one, hit in zip(GOOD, (PROSE, LABEL), strict=True)] == ["", ""]


def test_the_whole_run_on_monographs(base: KnowledgeBase) -> None:
    """Lost: the loop without a model. Planted bad examples are dropped; nearly all others stay."""
    examples = Examples(base.store)
    made = list(fields.generate(base.store, base.store.documents(), fields.FieldsReport()))
    dose = next(e for e in made if e.topic == "用法用量" and "丙西林" in e.question)
    planted = {
        "groundedness": replace(dose, question=dose.question.replace("丙西林", "丁西林")),
        "exact": replace(dose, answers=("每天服用。",), question=dose.question.replace("？", "?")),
        "answerability": replace(dose, answerable=False, answers=("文本中未提及",), question="丙西林的用法用量如何？"),
    }
    planted = {name: identified(one) for name, one in planted.items()}
    examples.add([*made, *planted.values()])
    search = PassageSearch(base.store, base.retriever)
    filters = {
        **FILTERS,
        "answerability": curate.answerable_again(curate.by_quoting(Extractor())),
        "retrievability": curate.retrievable(search, 10),
    }
    report = curate.CurationReport()
    run_curation(base.store, Selection(states=("candidate",)), filters, report)
    reasons = {name: examples.get(one.id).reason.partition(":")[0] for name, one in planted.items()}
    assert reasons["groundedness"] == "groundedness"
    assert reasons["answerability"] == "answerability"
    assert reasons["exact"] in ("exact", "answerability")
    kept = Counter(one.state for one in examples.stream(Selection()))
    assert kept["candidate"] == 0
    assert kept["kept"] == report.kept > 0.9 * len(made)


def test_repeats_are_found_once_and_other_drugs_are_other_questions() -> None:
    """Lost: the same question a hundred times; or 30 and 45 mL/min taken for one."""
    asked = [
        "高血压患者每天食盐应少于多少克？",
        "高血压患者每天食盐应少于多少克?",
        "高血压患者，每天的食盐应少于多少克呢？",
    ]
    asked += ["eGFR低于30的患者如何使用二甲双胍？", "eGFR低于45的患者如何使用二甲双胍？"]
    assert exact_repeats(asked).tolist() == [-1, 0, -1, -1, -1]
    assert near_repeats(asked, threshold=0.6, apart=lambda a, b: {a, b} == {3, 4}).tolist() == [-1, 0, 0, -1, -1]


def test_meaning_is_found_without_comparing_all_with_all() -> None:
    vectors = np.random.default_rng(0).normal(size=(2000, 32)).astype(np.float32)
    vectors[1500:] = vectors[:500] + 0.05 * np.random.default_rng(1).normal(size=(500, 32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    repeats = same_meaning(vectors)
    assert repeats[1500:].tolist() == list(range(500))
    assert (repeats[:1500] == -1).all()


ANNA, BO = Principal("1", "anna", "curator"), Principal("2", "bo", "curator")


def test_review_keeps_who_said_what_and_how_well_they_agree(base: KnowledgeBase) -> None:
    """Lost: an example nobody answers for."""
    examples = Examples(base.store)
    made = list(fields.generate(base.store, base.store.documents(), fields.FieldsReport()))[:4]
    examples.add([replace(one, state="kept") for one in made])
    review, kept = Review(base.store), Selection(states=("kept",))
    case = review.next(ANNA, kept)
    assert case is not None
    assert (case.example.id, case.left) == (made[0].id, 4)
    assert case.chunk is not None
    review.accept(ANNA, made[0].id)
    with pytest.raises(UsageError, match="reason"):
        review.reject(ANNA, made[1].id, " ")
    review.reject(ANNA, made[1].id, "wrong")
    new = review.edit(ANNA, made[2].id, answer="改过的答案")
    assert (examples.get(made[2].id).state, new.state, new.parent) == ("edited", "accepted", made[2].id)
    again = review.next(BO, Selection(states=("accepted",)))
    assert again is not None
    review.accept(BO, made[0].id)
    review.accept(BO, made[1].id)
    pair = review.agreement(ANNA)[0]
    assert (pair.examples, pair.same) == (2, 1)
    with pytest.raises(AccessDenied):
        review.accept(Principal("3", "c", "reader"), made[3].id)
    from kb.audit import Audit

    acts = [
        (entry.actor, entry.detail["verdict"]) for entry in Audit(base.store).entries() if entry.action == "reviewed"
    ]
    assert acts == [("1", "accepted"), ("1", "rejected"), ("1", "edited"), ("2", "accepted"), ("2", "accepted")]
    assert Audit(base.store).verify().problem == ""


def test_kappa_is_cohens() -> None:
    pairs = [("a", "a")] * 20 + [("a", "r")] * 5 + [("r", "a")] * 10 + [("r", "r")] * 15
    assert cohens_kappa(pairs) == pytest.approx(0.4)
    assert cohens_kappa([("a", "a")]) is None


def test_batch_answers_go_on_after_a_kill(base: KnowledgeBase, tmp_path: Path) -> None:
    """Lost: a night's answers, or every one of them twice."""
    questions, out = tmp_path / "q.txt", tmp_path / "a.jsonl"
    questions.write_text("丙西林的用法用量是什么？\n丁西林有哪些禁忌？\n" + "长" * 9000 + "\n", encoding="utf-8")
    first = answer_file(base, questions, out)
    assert (first.answered, first.failed) == (2, 1)
    rows = out.read_text(encoding="utf-8").splitlines()
    assert json.loads(rows[0])["citations"][0]["chunk_id"]
    out.write_text(rows[0] + "\n" + rows[1][: len(rows[1]) // 2], encoding="utf-8")
    second = answer_file(base, questions, out)
    assert (second.known, second.answered, second.failed) == (1, 1, 1)
    assert [json.loads(row)["n"] for row in out.read_text(encoding="utf-8").splitlines()] == [1, 2, 3]
    with pytest.raises(UsageError, match="no file of answers"):
        answer_file(base, questions, questions)
