"""Several questions decoded together: each must read as if it had been asked alone."""

from __future__ import annotations

import threading

import pytest
from langchain_core.messages import HumanMessage

from kb.local_model import LocalModel, load_local_model
from tests.tiny_model import save_tiny_model

PROMPTS = (
    "How much?",
    "每次服用多少？",
    "The maximum daily dose of metformin is 2550 mg. How much is it a day?",
    "5 mg",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return load_local_model(save_tiny_model(tmp_path_factory.mktemp("tiny")), max_new_tokens=24)


def answer(model: LocalModel, prompt: str) -> str:
    return str(model.invoke([HumanMessage(prompt)]).content)


def test_together_reads_as_alone(model: LocalModel) -> None:
    """Lost: a reader's answer depends on what others ask at the same moment."""
    alone = [answer(model, prompt) for prompt in PROMPTS]
    together = ["" for _ in PROMPTS]

    def ask(at: int) -> None:
        together[at] = answer(model, PROMPTS[at])

    readers = [threading.Thread(target=ask, args=(at,)) for at in range(len(PROMPTS))]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert together == alone
    assert model._batcher.largest > 1


def test_one_that_joins_late_and_one_that_leaves_early_disturb_nobody(model: LocalModel) -> None:
    """Lost: a long answer changes when a short question comes and goes beside it."""
    ids = [model._encode([HumanMessage(prompt)]) for prompt in PROMPTS]
    alone = [list(model._batcher.submit(prompt, 40)) for prompt in ids]
    long = model._batcher.submit(ids[2], 40)
    first = [next(iter(long)) for _ in range(5)]
    short = model._batcher.submit(ids[0], 3)
    late = model._batcher.submit(ids[1], 40)
    assert list(short) == alone[0][:3]
    assert [*first, *long] == alone[2]
    assert list(late) == alone[1]


def test_a_reader_who_leaves_frees_the_place(model: LocalModel) -> None:
    """Lost: closed pages go on computing, and those who stay wait for them."""
    ids = model._encode([HumanMessage(PROMPTS[0])])
    left = model._batcher.submit(ids, 1500)
    next(iter(left))
    left.cancel()
    assert len(list(model._batcher.submit(ids, 4))) <= 4
    assert left.made < 1500


@pytest.mark.parametrize("stop", ["metformin", "</s>"])
def test_stop_strings_are_exact(model: LocalModel, stop: str) -> None:
    """Lost: characters of the stop string are stripped from an answer's end, as the first scripts did."""
    whole = answer(model, PROMPTS[2])
    piece = whole[4:9]
    cut = model.model_copy(update={"stops": (piece, stop)})
    cut._model, cut._tokenizer, cut._batcher = model._model, model._tokenizer, model._batcher
    assert answer(cut, PROMPTS[2]) == whole[: whole.index(piece)]
