"""Reading drills for a small model: passages of single fields in, conversations of several questions about them out.

Real fields alone teach a small model to recite what it has seen. So in a share of the drills the values are made up: of
random pieces (nothing can be recited, all must be read), or spliced from two real ones. Several questions share one
reading of the passages; some have no answer there, and some are requests to be refused. Drugs go by letters, and a
reply begins with the drug and the field that it reads (kb.prompt_formats, style `named`): the words that stand before
the value in the passage, so that what is to be copied is found by what was just said.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kb.prompt_formats import field_text, letters_of

Kind = Literal["real", "spliced", "random"]
Asker = Callable[[random.Random, str, str], str]
"""(chance, field, name) → a question for that field of that drug."""
Shower = Callable[[Sequence[str], str], list[dict[str, str]]]
"""(passages, question) → the messages before the answer."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of one drug."""

    name: str
    field: str
    value: str

    @property
    def text(self) -> str:
        """As a passage of its own."""
        return field_text(self.name, self.field, self.value)


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """Shares of the kinds, and sizes."""

    spliced: float = 0.3
    random: float = 0.4
    questions: int = 3
    longest: int = 80
    """Characters of the longest value."""
    pieces: int = 24
    """Tokens of the longest random value."""
    unanswerable: float = 0.3
    """Share of the questions whose answer is not there."""
    refused: float = 0.1
    """Share of the conversations with a request among their questions that is to be refused."""


def drills(
    fields: Sequence[Field],
    pieces: Sequence[str],
    plan: DrillPlan,
    *,
    ask: Asker,
    show: Shower,
    refused: Callable[[random.Random], str],
    not_mentioned: str,
    seed: int,
) -> Iterator[list[dict[str, str]]]:
    """Endless conversations (chat messages). `pieces` are what random values are made of: the tokenizer's tokens."""
    chance = random.Random(seed)
    by_name: dict[str, list[Field]] = {}
    for one in fields:
        if len(one.value) <= plan.longest:
            by_name.setdefault(one.name, []).append(one)
    drugs = list(by_name.values())
    values = [one.value for own in drugs for one in own]
    names = sorted({one.field for own in drugs for one in own})
    while True:
        shown = _passages(chance, drugs)
        kind = _kind(chance, plan)
        if kind != "real":
            shown = [replace(one, value=_made_up(chance, kind, pieces, values, plan)) for one in shown]
        letters = letters_of([one.text for one in shown])
        shown = [replace(one, name=letters[one.name]) for one in shown]
        asked = [
            (ask(chance, field, name), _reply(name, field, answer or not_mentioned, letters.values()))
            for name, field, answer in _questions(chance, shown, names, list(by_name), plan)
        ]
        if chance.random() < plan.refused:
            asked.insert(chance.randint(0, len(asked)), (refused(chance), not_mentioned))
        texts = [one.text for one in shown]
        messages: list[dict[str, str]] = []
        for number, (question, answer) in enumerate(asked):
            messages += show(texts, question) if number == 0 else [{"role": "user", "content": question}]
            messages.append({"role": "assistant", "content": answer})
        if messages:
            yield messages


def _reply(name: str, field: str, answer: str, letters: Collection[str]) -> str:
    """The answer behind what it is read from; alone if no passage is of that drug."""
    return field_text(name, field, answer) if name in letters else answer


def _kind(chance: random.Random, plan: DrillPlan) -> Kind:
    at = chance.random()
    return "random" if at < plan.random else "spliced" if at < plan.random + plan.spliced else "real"


def _passages(chance: random.Random, drugs: Sequence[Sequence[Field]]) -> list[Field]:
    """One to three fields of one drug, one or two of others; most of those the same field."""
    own = chance.choice(drugs)
    shown = chance.sample(list(own), min(len(own), chance.choice((1, 2, 2, 3))))
    for _ in range(chance.choice((1, 1, 2))):
        other = chance.choice(drugs)
        if other[0].name == own[0].name:
            continue
        wanted = chance.choice(shown).field
        same = [one for one in other if one.field == wanted]
        shown.append(same[0] if same and chance.random() < 0.75 else chance.choice(other))
    chance.shuffle(shown)
    return shown


def _made_up(chance: random.Random, kind: Kind, pieces: Sequence[str], values: Sequence[str], plan: DrillPlan) -> str:
    return _random(chance, pieces, 2, plan.pieces) if kind == "random" else _spliced(chance, values, plan.longest)


def _random(chance: random.Random, pieces: Sequence[str], fewest: int, most: int) -> str:
    return "".join(chance.choice(pieces) for _ in range(chance.randint(fewest, most)))


def _spliced(chance: random.Random, values: Sequence[str], longest: int) -> str:
    first, second = chance.choice(values), chance.choice(values)
    value = (first[: chance.randint(0, len(first))] + second[chance.randint(0, len(second)) :])[:longest]
    return value if len(value) > 3 else first


def _questions(
    chance: random.Random, shown: Sequence[Field], fields: Sequence[str], names: Sequence[str], plan: DrillPlan
) -> list[tuple[str, str, str]]:
    """(name, field, answer) of `plan.questions` or fewer; an empty answer: the passages do not say."""
    answers = {(one.name, one.field): one.value for one in shown}
    asked: list[tuple[str, str, str]] = []
    for _ in range(plan.questions):
        if chance.random() < plan.unanswerable:
            name = chance.choice(shown).name if chance.random() < 0.85 else chance.choice(names)
            field = chance.choice(fields) if chance.random() < 0.6 else chance.choice(shown).field
            answer = ""
            if (name, field) in answers:
                continue
        else:
            (name, field), answer = chance.choice(list(answers.items()))
        if all((name, field) != (n, f) for n, f, _ in asked):
            asked.append((name, field, answer))
    return asked
