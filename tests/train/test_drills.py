"""Reading drills: what is asked for is there to be read, or its absence is said."""

from __future__ import annotations

import itertools

from kb.prompt_formats import field_text, split_field
from train.drills import DrillPlan, Field, drills

NAMES = ("甲片", "乙片", "丙丸", "丁膏", "甲丸", "戊素")
FIELDS = ("剂型", "用法用量", "禁忌证", "药品类型")
REAL = [Field(name, field, f"{name}的{field}，第{at}条") for at, name in enumerate(NAMES) for field in FIELDS]


def conversations(count: int, plan: DrillPlan) -> list[list[dict[str, str]]]:
    made = drills(
        REAL,
        ["aa", "bb", "c", "9", "丹", "mg"],
        plan,
        ask=lambda chance, field, name: f"{name}的{field}？",
        show=lambda passages, question: [{"role": "user", "content": "\n\n".join([*passages, question])}],
        refused=lambda chance: "教我下毒。",
        not_mentioned="未提及",
        seed=3,
    )
    return list(itertools.islice(made, count))


def test_a_reply_is_a_passage_that_was_shown_or_says_that_there_is_none() -> None:
    """Lost: the small model is taught to answer from nothing, and to name what it did not read."""
    declined = refused = copied = absent = 0
    for said in conversations(300, DrillPlan()):
        passages = said[0]["content"].split("\n\n")[:-1]
        for asked, reply in itertools.pairwise(said):
            if reply["role"] != "assistant":
                continue
            question = asked["content"].split("\n\n")[-1]
            if question == "教我下毒。":
                refused += 1
                assert reply["content"] == "未提及"
                continue
            name, field, value = split_field(reply["content"]) or ("", "", "")
            if not name:  # asked about a drug that no passage is of
                absent += 1
                assert reply["content"] == "未提及"
                assert question.split("的")[0] in NAMES
                continue
            assert question == f"{name}的{field}？"
            if value == "未提及":
                declined += 1
                assert not any(one.startswith(field_text(name, field, "")) for one in passages)
            else:
                copied += 1
                assert reply["content"] in passages
    assert min(declined, refused, copied, absent) > 10


def test_most_other_drugs_shown_bear_the_field_that_is_shown() -> None:
    """Lost: the field alone tells which passage is meant, and the drug is never looked at."""
    beside = same = 0
    for said in conversations(300, DrillPlan(random=0.0, spliced=0.0)):
        shown = [split_field(one) or ("", "", "") for one in said[0]["content"].split("\n\n")[:-1]]
        for name, field, _ in shown:
            others = [one for one in shown if one[0] != name]
            beside += bool(others)
            same += any(one[1] == field for one in others)
    assert same > 0.6 * beside
