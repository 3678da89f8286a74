"""A conversation in, tokens and the mask of those that carry loss out: the assistant's words and their end, no others.

Three wordings: the model's own chat template; the seed's role format for models without one (`User: …</s>\\n
Assistant: …</s>`, one space after the colon, end token inside the loss); plain text for pre-training. The text is
tokenised once, whole, so training sees the very tokens that serving produces; the mask is laid over it by character
offsets. A template that rewrites earlier turns when a later one is added has no such mask and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kb.errors import UsageError
from train.packing import Encoded

TemplateName = Literal["auto", "chat", "roles"]
Message = Mapping[str, str]

TRAINED_ROLES = frozenset({"assistant", "thought"})
"""Roles whose words the model is to produce; 'search' is what the library returned."""
ROLES_TEMPLATE = (
    "{% for m in messages %}{{ '' if loop.first else '\n' }}{{ m['role'] | capitalize }}: {{ m['content'] | trim }}"
    "{{ eos_token }}{% endfor %}{% if add_generation_prompt %}{{ '\n' }}Assistant:{% endif %}"
)
"""The role format as a chat template, saved with a model tuned on it: serving then asks in the same words."""
_ROLE_NAMES = {"system": "System", "user": "User", "thought": "Thought", "search": "Search", "assistant": "Assistant"}


@dataclass(frozen=True, slots=True)
class _Piece:
    """Characters [start, end) of the rendered text carry loss."""

    start: int
    end: int


def choose_template(tokenizer: Any, wanted: TemplateName) -> Literal["chat", "roles"]:
    """'auto' takes the model's own template where it has one. Raises UsageError if 'chat' is asked of one without."""
    if wanted == "chat" and not tokenizer.chat_template:
        raise UsageError("The model has no chat template. Use --template roles, or give its tokenizer one.")
    if tokenizer.eos_token is None:
        raise UsageError(
            "The model's tokenizer names no end token, so it could not learn where an answer ends. "
            "Set eos_token in its tokenizer_config.json."
        )
    return "chat" if wanted == "chat" or (wanted == "auto" and tokenizer.chat_template) else "roles"


def encode(tokenizer: Any, messages: Sequence[Message], template: Literal["chat", "roles"]) -> Encoded:
    """Tokens and loss mask of one conversation. Raises ValueError with the reason when it cannot be trained on."""
    check_messages(messages)
    text, trained = render_chat(tokenizer, messages) if template == "chat" else render_roles(tokenizer, messages)
    coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    offsets = np.asarray(coded["offset_mapping"], np.int64).reshape(-1, 2)
    mask = np.zeros(len(offsets), np.bool_)
    for piece in trained:
        mask |= (offsets[:, 0] >= piece.start) & (offsets[:, 1] <= piece.end) & (offsets[:, 1] > offsets[:, 0])
        # A token that reaches into the answer from before it cannot be left out without losing the answer's beginning.
        mask |= (offsets[:, 0] < piece.start) & (offsets[:, 1] > piece.start) & (offsets[:, 1] <= piece.end)
    return Encoded(np.asarray(coded["input_ids"], np.int32), mask)


def encode_text(tokenizer: Any, text: str) -> Encoded:
    """A document for pre-training: every token carries loss, the end token closes it."""
    ids = [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    return Encoded(np.asarray(ids, np.int32), np.ones(len(ids), np.bool_))


def check_messages(messages: Sequence[Message]) -> None:
    """Raises ValueError naming what is wrong with a conversation."""
    if not messages:
        raise ValueError("no messages")
    for message in messages:
        if message.get("role") not in _ROLE_NAMES:
            raise ValueError(f"unknown role {message.get('role')!r}")
        if not isinstance(message.get("content"), str) or not message["content"].strip():
            raise ValueError(f"empty {message['role']} message")
    if messages[-1]["role"] != "assistant":
        raise ValueError(f"ends with a {messages[-1]['role']} message, not with an answer")
    if messages[0]["role"] not in ("system", "user"):
        raise ValueError(f"begins with a {messages[0]['role']} message")


def render_roles(tokenizer: Any, messages: Sequence[Message]) -> tuple[str, list[_Piece]]:
    """`Role: text` lines; turns that end what one side says carry the end token."""
    end = tokenizer.eos_token
    text, trained = "", []
    for number, message in enumerate(messages):
        text += ("\n" if number else "") + f"{_ROLE_NAMES[message['role']]}:"
        start = len(text)  # the space is the model's: a prompt that ended in one would be cut into other tokens
        text += f" {message['content'].strip()}{end}"
        if message["role"] in TRAINED_ROLES:
            trained.append(_Piece(start, len(text)))
    return text, trained


def render_chat(tokenizer: Any, messages: Sequence[Message]) -> tuple[str, list[_Piece]]:
    """The model's own template, and where in its text the assistant speaks."""
    turns = _template_turns(messages)
    text = _render(tokenizer, turns, prompt=False)
    trained = []
    for number, turn in enumerate(turns):
        if turn["role"] != "assistant":
            continue
        before = _render(tokenizer, turns[:number], prompt=True)
        after = _render(tokenizer, turns[: number + 1], prompt=False)
        if not after.startswith(before) or not text.startswith(after):
            raise ValueError(
                "the chat template rewrites earlier turns when a later one is added; train on one answer per "
                "conversation, or use --template roles"
            )
        trained.append(_answer_piece(after, before, turn["content"], tokenizer.eos_token))
    return text, trained


def _answer_piece(after: str, before: str, content: str, eos: str) -> _Piece:
    """From the first character the model must write to its end token: what the template adds behind is not its own."""
    said = after.find(content.strip(), len(before))
    if said < 0:
        raise ValueError("the chat template changes what the assistant says")
    end = after.find(eos, said + len(content.strip()))
    if end >= 0:
        return _Piece(len(before), end + len(eos))
    # Some templates close a turn with a token that is not the tokenizer's end token (<|eot_id|>, <end_of_turn>).
    closing = after[said + len(content.strip()) :].rstrip()
    if not closing:
        raise ValueError("the chat template writes no end after the assistant's turn, so the model could not learn it")
    return _Piece(len(before), said + len(content.strip()) + len(closing))


def _template_turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Chat templates know three roles: a thought is said by the assistant, a search result told by the user."""
    turns: list[dict[str, str]] = []
    for message in messages:
        role, content = message["role"], message["content"].strip()
        if role == "thought":
            role, content = "assistant", f"Thought: {content}"
        elif role == "search":
            role, content = "user", f"Search: {content}"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n{content}"
        else:
            turns.append({"role": role, "content": content})
    return turns


def _render(tokenizer: Any, turns: Sequence[Mapping[str, str]], *, prompt: bool) -> str:
    from jinja2 import TemplateError

    chat = [dict(turn) for turn in turns]
    try:
        return str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=prompt))
    except TemplateError:
        if len(chat) < 2 or chat[0]["role"] != "system":
            raise ValueError("the chat template refuses this order of roles") from None
    system, first, *rest = chat  # some templates know no system role; serving words it the same way
    merged = [{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *rest]
    try:
        return str(tokenizer.apply_chat_template(merged, tokenize=False, add_generation_prompt=prompt))
    except TemplateError:
        raise ValueError("the chat template refuses this order of roles") from None
