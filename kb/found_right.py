"""False answers read by a person: what was answered though nothing should out, to be marked; the marked back in.

A question set calls a question unanswerable when one passage is taken away. In a large library another passage may
answer it all the same, and no set says so. Rows that were found right are still asked, but neither counted nor fitted
(pooled judgements, as retrieval has had them since Spärck Jones and van Rijsbergen, "Report on the need for and
provision of an 'ideal' information retrieval test collection", 1975).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from kb.errors import UsageError
from kb.evaluate import read_rows
from kb.evaluate_answers import AnswerRow, Outcome


def write_to_read(path: Path, outcomes: Iterable[Outcome]) -> int:
    """Write every false answer as {id, question, answer, right: false}, the surest first; returns how many.

    Raises UsageError if the file cannot be written.
    """
    wrong = [one for one in outcomes if not one.row.answerable and not one.answer.abstained]
    wrong.sort(key=lambda one: -(one.answer.confidence or 1.0))  # a monograph's field has no likelihood and no doubt
    rows = [
        {"id": one.row.id, "question": one.row.question, "answer": one.answer.text, "right": False} for one in wrong
    ]
    try:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    return len(rows)


def read_found_right(path: Path | None) -> frozenset[str]:
    """The ids of the rows that are marked {right: true}. Raises UsageError naming the row that is none."""
    found = set()
    for number, row in enumerate(read_rows(path) if path else (), start=1):
        if not isinstance(row.get("id"), str) or not isinstance(row.get("right"), bool):
            raise UsageError(f"{path}, row {number}: needs 'id' (text) and 'right' (true or false).")
        if row["right"]:
            found.add(str(row["id"]))
    return frozenset(found)


def not_right(rows: Sequence[AnswerRow], found_right: frozenset[str]) -> frozenset[str]:
    """The ids of the rows that count. Raises UsageError if an answerable row is among those found right."""
    for row in rows:
        if row.answerable and row.id in found_right:
            raise UsageError(f"{row.id} is answerable: only rows asked as unanswerable can be found right elsewhere.")
    return frozenset(row.id for row in rows) - found_right
