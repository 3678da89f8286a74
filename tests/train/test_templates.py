"""Which tokens carry loss: the assistant's words and their end. Golden files show it, [[…]] around what is trained."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from kb.errors import UsageError
from tests.train.tiny import tokenizer
from train.templates import ROLES_TEMPLATE, check_messages, choose_template, encode, encode_text

GOLDEN = Path(__file__).parents[1] / "golden"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HEADERS = (
    "{{ '<|begin|>' }}{% for m in messages %}<|header|>{{ m['role'] }}<|/header|>\n\n{{ m['content'] | trim }}<|eot|>"
    "{% endfor %}{% if add_generation_prompt %}<|header|>assistant<|/header|>\n\n{% endif %}"
)
NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
FORGETFUL = (
    "{% for m in messages %}{% if loop.last or m['role'] != 'assistant' %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
DIALOGUE = [
    {"role": "system", "content": "只根据资料回答。"},
    {"role": "user", "content": "[1] 利可君\n剂型:片剂：10mg。\n利可君有哪些剂型？"},
    {"role": "assistant", "content": "片剂：10mg [1]。"},
    {"role": "user", "content": "What is the maximum dose?"},
    {"role": "assistant", "content": "文本中未提及"},
]
SEARCHING = [
    {"role": "user", "content": "利可君怎么用？"},
    {"role": "thought", "content": "需要检索。"},
    {"role": "search", "content": "每次10～20mg，每天3次。"},
    {"role": "assistant", "content": "每次10～20mg，每天3次。"},
    {"role": "user", "content": "谢谢"},
    {"role": "assistant", "content": "不客气。"},
]
CASES = {
    "chatml": (CHATML, "<|im_end|>", "chat"),
    "headers": (HEADERS, "<|eot|>", "chat"),
    "no_system": (NO_SYSTEM, "<end_of_turn>", "chat"),
    "roles": (None, "</s>", "roles"),
}


def with_template(template: str | None, eos: str) -> Any:
    made = tokenizer()
    made.add_special_tokens({"eos_token": eos})
    made.chat_template = template
    return made


def marked(made: Any, messages: list[dict[str, str]], template: Any) -> str:
    """The text as the model sees it, [[…]] around the tokens that carry loss."""
    coded = encode(made, messages, template)
    shown = ""
    pairs = zip(coded.tokens.tolist(), coded.trained.tolist(), strict=True)
    for trained, run in itertools.groupby(pairs, key=lambda pair: pair[1]):
        text = made.decode([token for token, _ in run])
        shown += f"[[{text}]]" if trained else text
    return shown


@pytest.mark.parametrize("name", CASES)
def test_masks_are_those_of_the_golden_files(name: str) -> None:
    """Lost: the model is trained on the questions, or never learns to stop. UPDATE_GOLDEN=1 rewrites the files."""
    template, eos, how = CASES[name]
    made = with_template(template, eos)
    shown = "\n=====\n".join(marked(made, messages, how) for messages in (DIALOGUE, SEARCHING)) + "\n"
    path = GOLDEN / f"masks_{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_the_prompt_of_training_is_the_prompt_of_serving(name: str) -> None:
    """Lost: the tuned model is asked in words it never saw."""
    template, eos, how = CASES[name]
    made = with_template(template, eos)
    coded = encode(made, DIALOGUE[1:3], how)
    first = coded.trained.tolist().index(True)
    before = made.decode(coded.tokens[:first].tolist())
    if how == "chat":
        asked = made.apply_chat_template(DIALOGUE[1:2], tokenize=False, add_generation_prompt=True)
        assert before == asked
    else:
        made.chat_template = ROLES_TEMPLATE
        assert before == made.apply_chat_template(DIALOGUE[1:2], tokenize=False, add_generation_prompt=True)
    said = made.decode(coded.tokens[coded.trained].tolist())
    assert said == (" " if how == "roles" else "") + "片剂：10mg [1]。" + eos


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    """Lost: the model is trained on a conversation that it will never see."""
    made = with_template(FORGETFUL, "<|end|>")
    with pytest.raises(ValueError, match="rewrites earlier turns"):
        encode(made, DIALOGUE, "chat")
    assert encode(made, DIALOGUE[:3], "chat").trained.any()


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "no messages"),
        (DIALOGUE[:2], "ends with a user"),
        ([{"role": "doctor", "content": "x"}], "unknown role"),
        ([{"role": "user", "content": " "}], "empty user"),
        ([{"role": "assistant", "content": "x"}], "begins with"),
    ],
)
def test_what_cannot_be_trained_on_says_why(messages: list[dict[str, str]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_messages(messages)


def test_the_template_is_chosen_and_refused_by_name() -> None:
    plain = with_template(None, "</s>")
    assert choose_template(plain, "auto") == "roles"
    assert choose_template(with_template(CHATML, "<|im_end|>"), "auto") == "chat"
    with pytest.raises(UsageError, match="no chat template"):
        choose_template(plain, "chat")
    plain.eos_token = None
    with pytest.raises(UsageError, match="end token"):
        choose_template(plain, "auto")


def test_a_document_ends_with_the_end_token() -> None:
    made = tokenizer()
    coded = encode_text(made, "利可君\n䲜")  # a character it has never seen
    assert coded.trained.all()
    assert made.decode(coded.tokens.tolist()) == "利可君\n䲜<|end|>"
