"""An example and its contexts in, one training row out: the chat messages and what they were made from.

The style `app` is word for word what the app sends (kb.prompts), so that the model is asked in training as it will be
in use, and its answers end in the number of the passage they rest on. The style `short` is for models that cannot
afford a page of rules; `named` is the same with letters for drugs, and replies begin with the drug and field they read.
A row is a dict because it is a line of a file; docs/data.md describes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kb.prompt_formats import LETTERS, Style, called, field_text, short_chat, split_field
from kb.prompts import NOT_MENTIONED, build_prompt
from kb.types import QAExample
from train.contexts import Contexts

_ROLES = {"human": "user", "ai": "assistant", "system": "system"}
_ENDS = "。.！!？?"


def make_row(example: QAExample, contexts: Contexts, style: Style) -> dict[str, Any]:
    """{"messages": [{"role", "content"}], "metadata": {…}}."""
    first = example.sources[0] if example.sources else None
    answers = list(example.answers) if contexts.answerable else [NOT_MENTIONED[example.language]]
    return {
        "messages": _messages(example, contexts, style, answers[0]),
        "metadata": {
            "example": example.id,
            "task": example.task,
            "language": example.language,
            "document": example.document,
            "unit": example.unit,
            "chunk_id": first.chunk_id if first else "",
            "chunk_hash": first.chunk_hash if first else "",
            "sources": [[source.chunk_id, source.chunk_hash] for source in example.sources],
            "question": example.question,
            "answers": answers,
            "answerable": contexts.answerable,
            "topic": example.topic,
            "generator": example.generator,
            "contexts": [hit.chunk.text for hit in contexts.hits],
            "context_chunks": [[source.chunk_id, source.chunk_hash] for source in contexts.sources],
            "oracles": list(contexts.oracles) if contexts.answerable else [],
        },
    }


def _messages(example: QAExample, contexts: Contexts, style: Style, answer: str) -> list[dict[str, str]]:
    if example.messages and not contexts.hits:
        return [{"role": message.role, "content": message.content} for message in example.messages]
    if example.messages and style == "named":
        style = "short"  # its answers are in a person's words, not read from a field
    question, passages = called(example.question, [hit.chunk.text for hit in contexts.hits], style)
    if style == "app" and contexts.hits:
        prompt = build_prompt(question, contexts.hits)
        asked = [{"role": _ROLES[message.type], "content": str(message.content)} for message in prompt.messages]
    else:
        asked = short_chat(question, passages, example.language)
    if example.messages:  # a conversation: the passages stand before its first question
        said = [{"role": message.role, "content": message.content} for message in example.messages]
        first = next((at for at, message in enumerate(said) if message["role"] == "user"), 0)
        return [*asked, *said[first + 1 :]]
    shown = answer
    if style == "app" and contexts.answerable:
        shown = _cited(answer, contexts)
    elif style == "named":
        shown = _named(question, passages, contexts, example.topic, answer)
    return [*asked, {"role": "assistant", "content": shown}]


def _named(question: str, passages: Sequence[str], contexts: Contexts, topic: str, answer: str) -> str:
    """The answer behind the drug and the field it is read from; alone where no passage is of the drug asked about."""
    if contexts.answerable and contexts.oracles:
        letter, field, _ = split_field(passages[contexts.oracles[0]]) or ("", "", "")
    else:
        letter, field = next((letter for letter in question if letter in LETTERS), ""), topic
    return field_text(letter, field, answer) if letter and letter in question and field else answer


def _cited(answer: str, contexts: Contexts) -> str:
    """The answer with the numbers of its passages before its last stop."""
    marks = "".join(f"[{at + 1}]" for at in contexts.oracles)
    if not marks:
        return answer
    stop = answer[-1:] if answer[-1:] in _ENDS else ""
    return f"{answer[: len(answer) - len(stop)]} {marks}{stop}"
