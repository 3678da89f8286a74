"""Small real models and tokenizers for the tests of training: made here, nothing downloaded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from train.architecture import Size, train_tokenizer, write_new_model

TINY = Size(width=32, layers=2, heads=2, head_width=16, inner=32, context=256)
TEXTS = (
    "利可君\n适应证:用于防治各种原因引起的白细胞减少、再生障碍性贫血等。\n用法用量:口服给药：每次10～20mg，每天3次。",
    "奥古蛋白\n剂型:注射剂(粉)：4mg，8mg。\n禁忌证:对本品过敏者禁用。",
    "The maximum daily dose of metformin is 2550 mg. Take it with meals.",
    "文本中未提及 根据资料回答问题",
)


def tokenizer(vocabulary: int = 420, texts: Iterable[str] = TEXTS) -> Any:
    """A tokenizer with a chat template and an end token."""
    return train_tokenizer(texts, vocabulary, TINY.context)


def base_model(folder: Path, *, seed: int = 0, size: Size = TINY, induction: bool = False) -> Path:
    """A model folder like any other."""
    write_new_model(folder, tokenizer(), size, seed=seed, induction=induction)
    return folder


def conversation(question: str, answer: str, passages: Sequence[str] = ()) -> list[dict[str, str]]:
    """One question with its passages, and its answer."""
    return [
        {"role": "system", "content": "根据资料回答问题"},
        {"role": "user", "content": "\n".join([*passages, question])},
        {"role": "assistant", "content": answer},
    ]


def row(
    question: str, answer: str, *, document: str = "d1", answerable: bool = True, passages: Sequence[str] = ()
) -> dict[str, Any]:
    """A line of a dataset file."""
    return {
        "messages": conversation(question, answer, passages),
        "metadata": {
            "example": f"{document}/{question}",
            "task": "qa",
            "language": "zh",
            "document": document,
            "chunk_id": document,
            "chunk_hash": document,
            "question": question,
            "answers": [answer],
            "answerable": answerable,
            "contexts": list(passages),
        },
    }


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows), encoding="utf-8")
    return path
