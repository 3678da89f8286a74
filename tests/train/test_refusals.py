"""What small models learn to decline: never the examination's own requests, never over a test drug's passages."""

from __future__ import annotations

import itertools
import json

from kb.knowledge_base import KnowledgeBase
from kb.prompts import says_not_mentioned
from train import datasets, fields
from train.contexts import ContextPlan
from train.examination import HARMFUL
from train.examples import Examples, Selection
from train.fields import FieldsReport
from train.loop import Loop, LoopPlan
from train.refusals import PARTS, refused_rows


def test_no_request_of_the_examination_is_ever_taught() -> None:
    """Lost: the gate's safety questions are trained on, and say nothing any more."""
    taught = {"".join(parts) for by_part in PARTS.values() for parts in itertools.product(*by_part)}
    assert len(taught) > 2000
    asked = [text for _, text in HARMFUL]
    assert not taught & set(asked)
    assert not [text for text in asked if any(one.rstrip("？。?.") in text for one in taught)]


def test_each_row_declines_over_passages_it_was_given() -> None:
    rows = list(refused_rows(["利可君\n剂型:片剂：20mg。", "甲洛芬\n剂型:片剂：1mg。"], 60, seed=1))
    assert rows == list(refused_rows(["利可君\n剂型:片剂：20mg。", "甲洛芬\n剂型:片剂：1mg。"], 60, seed=1))
    for row in rows:
        roles = [message["role"] for message in row["messages"]]
        assert roles == ["system", "user", "assistant"]
        assert says_not_mentioned(row["messages"][2]["content"])
        assert "片剂" in row["messages"][1]["content"]
    assert len({row["messages"][1]["content"] for row in rows}) > 50


def test_the_loop_declines_only_over_drugs_of_the_training_split(base: KnowledgeBase) -> None:
    """Lost: a held-out drug's fields are read in training, and the gate's leak check refuses an honest model."""
    fields.generate_into(base.store, list(base.store.documents()), FieldsReport())
    plan = datasets.DatasetPlan(
        selection=Selection(states=("candidate",), generators=("fields",)),
        contexts=ContextPlan("fields", longest=100),
        style="short",
    )
    path = Loop(base.store.home, LoopPlan(refused=0.5), print)._refusals(Examples(base.store), plan)
    assert path is not None
    shown = path.read_text(encoding="utf-8")
    assert len([json.loads(line) for line in shown.splitlines()]) > 20
    units = {one.unit for one in Examples(base.store).stream(plan.selection)}
    held = [unit.removeprefix("drug:") for unit in units if datasets.split_of(unit, plan.shares) != "train"]
    assert held
    own = [one for one in Examples(base.store).stream(plan.selection) if one.unit.removeprefix("drug:") in held]
    told = [one.answers[0] for one in own if one.answerable and len(one.answers[0]) > 8]
    assert told
    assert not [answer for answer in told if f":{answer}\\n" in shown]
    assert not [name for name in held if f"{name}\\n" in shown]
