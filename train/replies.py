"""A model's reply in, its objects out: JSON however it is wrapped or broken off, else the numbered text form.

Models fence their JSON, talk around it, leave a comma too many, or are cut off in the middle of the last object: every
object that is whole is taken, and what is not is counted by the caller. The numbered form is that of the first data:
'1. question', an empty line, the answer.
"""

from __future__ import annotations

import json
import re
from typing import Any

_NUMBERED = re.compile(
    r"^\s*(?:\*\*)?(?:问题|Question|Q)?\s*(\d{1,2})\s*[.、．:：)）]\s*(?:\*\*)?", re.MULTILINE | re.IGNORECASE
)
_ANSWER_LABEL = re.compile(r"^\s*(?:\*\*)?(?:答案?|回答|Answer|A)\s*[:：]\s*(?:\*\*)?", re.IGNORECASE)
_THINK = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


class Unreadable(ValueError):
    """The reply holds nothing of the wanted form; the message says why."""


def objects(reply: str) -> list[dict[str, Any]]:
    """The JSON objects of a reply, in order: those of the outermost list, or the one object.

    Raises Unreadable if there is none ('[]' is an empty list, not an error).
    """
    text = _THINK.sub("", reply)
    found: list[dict[str, Any]] = []
    at, empty = 0, False
    decoder = json.JSONDecoder(strict=False)
    while (start := _next_bracket(text, at)) >= 0:
        try:
            value, at = decoder.raw_decode(text, start)
        except ValueError:
            at = start + 1  # a list that broke off or has a comma too many: its objects are read one by one
            continue
        empty = empty or value == []
        if isinstance(value, dict):
            found.append(value)
        elif isinstance(value, list):
            found.extend(item for item in value if isinstance(item, dict))
    if not found and not empty:
        raise Unreadable("no JSON in it")
    return found


def pairs(reply: str) -> list[tuple[str, str]]:
    """(question, answer) of each, from JSON or from the numbered form. Raises Unreadable."""
    try:
        found = objects(reply)
    except Unreadable:
        return _numbered(_THINK.sub("", reply))
    made = [(text(item, "question", "问题", "q"), text(item, "answer", "答案", "回答", "a")) for item in found]
    return [(question, answer) for question, answer in made if question and answer]


def text(item: dict[str, Any], *names: str) -> str:
    """The first of these fields that holds text; numbers are taken as text; '' if none does."""
    for name in names:
        value = item.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


def _next_bracket(text: str, at: int) -> int:
    places = [place for place in (text.find("[", at), text.find("{", at)) if place >= 0]
    return min(places, default=-1)


def _numbered(reply: str) -> list[tuple[str, str]]:
    starts = list(_NUMBERED.finditer(reply))
    made: list[tuple[str, str]] = []
    expected = 1
    blocks: list[tuple[int, int]] = []
    for match in starts:  # numbers inside an answer ('1. …') that are not the next question's are part of it
        if int(match.group(1)) == expected:
            blocks.append((match.start(), match.end()))
            expected += 1
    for index, (_, begin) in enumerate(blocks):
        end = blocks[index + 1][0] if index + 1 < len(blocks) else len(reply)
        question, _, answer = reply[begin:end].strip().partition("\n")
        answer = _ANSWER_LABEL.sub("", answer.strip())
        if question.strip(" *") and answer.strip():
            made.append((question.strip(" *"), answer.strip()))
    if not made:
        raise Unreadable("neither JSON nor numbered questions with answers")
    return made
