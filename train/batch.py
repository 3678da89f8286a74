"""A file of questions in, a JSON-lines file of answers with citations out; a kill loses no finished line.

The file that is written is its own journal: a line is one answer, flushed when it is finished. A run that finds the
file reads which questions are answered, cuts off a line that broke in the middle, and goes on.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb.commands import citation_json
from kb.errors import QuestionError, StoreError, UsageError
from kb.evaluate import read_rows
from kb.knowledge_base import KnowledgeBase
from kb.types import Answer, Finished


@dataclass(slots=True)
class Answered:
    """Counts of one run."""

    questions: int = 0
    known: int = 0
    answered: int = 0
    abstained: int = 0
    failed: int = 0


def answer_file(
    base: KnowledgeBase, questions: Path, out: Path, progress: Callable[[int, int], None] | None = None
) -> Answered:
    """Answer each question that `out` does not hold yet.

    A question that cannot be asked (empty, too long) gets a line with its error. Raises UsageError, StoreError.
    """
    asked = list(read_questions(questions))
    done = Answered(len(asked))
    known = _finished(out)
    try:
        with out.open("a", encoding="utf-8") as file:
            for number, question in enumerate(asked, start=1):
                if known.get(number) == question:
                    done.known += 1
                    continue
                row = {"n": number, "question": question, **_answer(base, question, done)}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
                if progress:
                    progress(number, len(asked))
    except OSError as error:
        raise StoreError(f"{out} could not be written: {error.strerror}. What is in it is whole; run again.") from None
    return done


def read_questions(path: Path) -> Iterator[str]:
    """The questions of a .txt (one a line), .csv (column `question`) or .jsonl file (also .xz, .gz)."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    try:
        if ".csv" in suffixes:
            with path.open(encoding="utf-8-sig", newline="") as file:
                for row in csv.DictReader(file):
                    if row.get("question") is None:
                        raise UsageError(f"{path.name} needs a column 'question'.")
                    yield str(row["question"]).strip()
        elif ".txt" in suffixes:
            for line in path.read_text(encoding="utf-8-sig").splitlines():
                if line.strip():
                    yield line.strip()
        else:
            for number, item in enumerate(read_rows(path), start=1):
                if not isinstance(item.get("question"), str):
                    raise UsageError(f"{path.name}, row {number}: needs 'question'.")
                yield str(item["question"]).strip()
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} cannot be read: {error}. Save it as UTF-8.") from None


def _finished(out: Path) -> dict[int, str]:
    """The answered questions by number; a last line without its end is cut off. Raises UsageError on other files."""
    if not out.is_file():
        return {}
    data = out.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with out.open("r+b") as file:
            file.truncate(len(whole))
    found: dict[int, str] = {}
    for line in whole.decode("utf-8", "replace").splitlines():
        try:
            row = json.loads(line)
            found[int(row["n"])] = str(row["question"])
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"{out} exists and is no file of answers. Name another with --out.") from None
    return found


def _answer(base: KnowledgeBase, question: str, done: Answered) -> dict[str, Any]:
    try:
        answer = _finish(base, question)
    except QuestionError as error:
        done.failed += 1
        return {"error": str(error)}
    done.answered += 1
    done.abstained += answer.abstained
    return {
        "answer": answer.text,
        "abstained": answer.abstained,
        "citations": [citation_json(citation) for citation in answer.citations],
        "engine": answer.engine,
        "notice": answer.notice,
    }


def _finish(base: KnowledgeBase, question: str) -> Answer:
    for event in base.ask(question):
        if isinstance(event, Finished):
            return event.answer
    raise QuestionError("The answer broke off. Ask again.")
