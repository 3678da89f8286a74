"""The kinds of training examples a model is asked for: one file each, with prompt, parser, checks and a sample.

A task takes an Item (a passage, an earlier example, or nothing but a wish), asks through kb.task_prompts, and turns the
reply into examples. `check` says what is wrong with an example beyond what curation checks of all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kb.task_prompts import VERSION, task_messages
from kb.types import Hit, Language, Message, QAExample
from train.examples import identified, source_of, unit_of

Needs = Literal["passage", "example", "nothing"]


@dataclass(frozen=True, slots=True)
class Item:
    """What one request is about. `wish` fills the request's gaps: n, persona, topic, difficulty."""

    language: Language
    hit: Hit | None = None
    example: QAExample | None = None
    wish: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of example."""

    name: str
    summary: str
    needs: Needs
    parse: Callable[[str, Item], list[QAExample]]
    """The reply's examples. Raises replies.Unreadable."""
    check: Callable[[QAExample], str]
    """'' or what is wrong with it."""
    sample_passage: str
    sample_reply: str
    wish: Mapping[str, Any] = field(default_factory=dict)
    """What is asked for unless the mix says otherwise."""

    @property
    def prompt(self) -> str:
        """Name and version of its prompt."""
        return f"{self.name}/{VERSION}"

    def messages(self, item: Item) -> list[dict[str, str]]:
        """The request as chat messages."""
        wish: dict[str, Any] = {"n": 2, "persona": "", "topic": "", "difficulty": "", **self.wish, **item.wish}
        if item.example is not None:
            wish |= {"question": item.example.question, "answer": item.example.answers[0]}
        source, passage = "", ""
        if item.hit is not None:
            source = " | ".join(part for part in (item.hit.document.title, item.hit.chunk.heading) if part)
            passage = item.hit.chunk.text
        return task_messages(self.name, item.language, source=source, passage=passage, **wish)

    def key(self, item: Item, model: str) -> str:
        """What makes a request the same request: task, prompt version, model, passage, example and wish."""
        about = item.hit.chunk.id if item.hit else ""
        about += f"/{item.example.id}" if item.example else ""
        wish = "/".join(f"{name}={item.wish[name]}" for name in sorted(item.wish))
        return hashlib.sha256(f"{self.prompt}/{item.language}/{model}/{about}/{wish}".encode()).hexdigest()[:32]


def make(
    task: str, item: Item, question: str, answer: str, *, answerable: bool = True, messages: tuple[Message, ...] = ()
) -> QAExample:
    """An example of this task on this item; the generator fills in who made it."""
    hit, parent = item.hit, item.example
    return identified(
        QAExample(
            id="",
            task=task,
            language=item.language,
            document=hit.document.id if hit else "",
            unit=unit_of(hit.document, hit.chunk) if hit else "",
            sources=parent.sources if parent else (source_of(hit.chunk),) if hit else (),
            question=question,
            answers=(answer,),
            answerable=answerable,
            topic=str(item.wish.get("topic", "")),
            persona=str(item.wish.get("persona", "")),
            difficulty=str(item.wish.get("difficulty", "")),
            messages=messages,
            prompt=f"{task}/{VERSION}",
            parent=parent.id if parent else "",
        )
    )


def nothing_more(example: QAExample) -> str:
    """A task whose examples need no check of their own."""
    return ""


def all_tasks() -> dict[str, Task]:
    """Every task by name, in the order they are listed."""
    from train.tasks import (
        diagnosis,
        dialogue,
        harmless,
        imaging_extraction,
        multi_turn,
        multiple_choice,
        qa,
        typo_check,
        ultrasound_impression,
        unanswerable,
    )

    modules = (
        *(qa, multi_turn, dialogue, unanswerable, harmless, multiple_choice),
        *(imaging_extraction, ultrasound_impression, typo_check, diagnosis),
    )
    return {module.TASK.name: module.TASK for module in modules}
