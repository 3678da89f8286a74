"""False answers read by a person: what was answered though nothing should out, to be marked; the marked back in.

A question set calls a question unanswerable when one passage is taken away. In a large library another passage may
answer it all the same, and no set says so. Rows that were found right are still asked, but neither counted nor fitted
(pooled judgements, as retrieval has had them since Spärck Jones and van Rijsbergen, "Report on the need for and
provision of an 'ideal' information retrieval test collection", 1975).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kb.errors import UsageError
from kb.evaluate import read_rows
from kb.evaluate_answers import AnswerRow, Outcome


@dataclass(frozen=True, slots=True)
class Mark:
    """What a person found right: the row, its question, and the answer that was read; '' where the mark names none."""

    id: str
    question: str = ""
    answer: str = ""


class Marks:
    """The rows that were found right. A mark holds for its question, and for no other answer than the one read."""

    def __init__(self, marks: Iterable[Mark] = ()) -> None:
        self._marks = {mark.id: mark for mark in marks}

    def holds(self, row: AnswerRow, answer: str = "") -> bool:
        """Whether the row was found right; where an `answer` is given, with that one."""
        mark = self._marks.get(row.id)
        if mark is None or row.answerable or (mark.question and mark.question != row.question):
            return False
        return not (mark.answer and answer) or mark.answer == answer


def left_out(count: int) -> str:
    """What is said of so many rows that were found right."""
    return f"Left out, since their answer was read and found right: {count}."


def write_to_read(path: Path, outcomes: Iterable[Outcome], marks: Marks) -> int:
    """Write every false answer as {id, question, answer, right}, the surest first, `right` as marked; returns how many
    are still to be read.

    Raises UsageError if the file cannot be written.
    """
    wrong = [one for one in outcomes if not one.row.answerable and not one.answer.abstained]
    wrong.sort(key=lambda one: -(one.answer.confidence or 1.0))  # a monograph's field has no likelihood and no doubt
    rows = [
        {
            "id": one.row.id,
            "question": one.row.question,
            "answer": one.answer.text,
            "right": marks.holds(one.row, one.answer.text),
        }
        for one in wrong
    ]
    try:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    return sum(not row["right"] for row in rows)


def read_found_right(path: Path | None) -> Marks:
    """The rows that are marked {right: true}. Raises UsageError naming the row that is none."""
    marks = []
    for number, row in enumerate(read_rows(path) if path else (), start=1):
        if not isinstance(row.get("id"), str) or not isinstance(row.get("right"), bool):
            raise UsageError(f"{path}, row {number}: needs 'id' (text) and 'right' (true or false).")
        if row["right"]:
            marks.append(Mark(str(row["id"]), str(row.get("question", "")), str(row.get("answer", ""))))
    return Marks(marks)
