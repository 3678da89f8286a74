"""Training rows in, files of the formats that training tools read out, streamed.

messages (OpenAI, TRL) · prompt-completion (TRL) · alpaca · sharegpt · llamafactory (sharegpt and dataset_info.json)
· seed {"text", "answer"} · roles (`User: …</s>\\n Assistant: …</s>`) · csv · parquet. Each row carries its metadata:
task, chunk id, the chunk's hash. Chat formats know no thoughts and searches: there a thought is said by the assistant
("Thought: …"), what was found by the user ("Search: …"), and neighbours of one role are joined.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb.errors import StoreError, UsageError

Row = Mapping[str, Any]
Messages = list[dict[str, str]]

FORMATS = (
    "messages",
    "prompt-completion",
    "alpaca",
    "sharegpt",
    "llamafactory",
    "seed",
    "roles",
    "csv",
    "parquet",
)
_ROLE_LABELS = {"system": "System", "user": "User", "thought": "Thought", "search": "Search", "assistant": "Assistant"}
_FROM = {"system": "system", "user": "human", "assistant": "gpt"}
_FROM_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
END = "</s>"
_PARQUET_BATCH = 1000
_INSTRUCTION = {"zh": "根据资料回答问题。", "en": "Answer the question from the passages."}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    path: Path
    rows: int
    also: tuple[Path, ...] = ()


def export(rows: Iterable[Row], form: str, path: Path, *, progress: Callable[[int], None] | None = None) -> Exported:
    """Write the rows to `path` in the format `form`; the file appears whole or not at all.

    Raises UsageError for an unknown format, StoreError if the disk refuses.
    """
    if form not in FORMATS:
        raise UsageError(f"There is no format '{form}'. Use one of: {', '.join(FORMATS)}.")
    part = path.with_name(path.name + ".part")
    counted = _Counted(rows, progress)
    also: tuple[Path, ...] = ()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if form == "csv":
            _write_csv(counted, part)
        elif form == "parquet":
            _write_parquet(counted, part)
        else:
            shape = _SHAPES[form]
            with part.open("w", encoding="utf-8") as file:
                for row in counted:
                    file.write(json.dumps(shape(row), ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        if form == "llamafactory":
            also = (_dataset_info(path),)
        part.rename(path)
    except OSError as error:
        raise StoreError(
            f"{path} could not be written: {error.strerror}. Free disk space or name another file."
        ) from None
    finally:
        part.unlink(missing_ok=True)
    return Exported(path, counted.count, also)


class _Counted:
    """The rows, counted as they pass."""

    def __init__(self, rows: Iterable[Row], progress: Callable[[int], None] | None) -> None:
        self._rows = rows
        self._progress = progress
        self.count = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            if self._progress:
                self._progress(self.count)
            yield row


# -- shapes ----------------------------------------------------------------------------------------------------------


def chat_messages(row: Row) -> Messages:
    """The conversation of a row of messages, sharegpt conversations, alpaca or {"text", "answer"}; [] if it is none."""
    found: list[dict[str, Any]]
    if isinstance(said := row.get("messages"), list):
        found = [{"role": str(m.get("role")), "content": m.get("content")} for m in said if isinstance(m, dict)]
    elif isinstance(said := row.get("conversations"), list):
        found = [
            {"role": _FROM_ROLES.get(str(m.get("from")), ""), "content": m.get("value")}
            for m in said
            if isinstance(m, dict)
        ]
    elif isinstance(row.get("text"), str) and isinstance(row.get("answer"), str):
        found = [{"role": "user", "content": row["text"]}, {"role": "assistant", "content": row["answer"]}]
    elif isinstance(row.get("instruction"), str) and isinstance(row.get("output"), str):
        asked = "\n".join(part for part in (row["instruction"], str(row.get("input") or "")) if part)
        found = [{"role": "user", "content": asked}, {"role": "assistant", "content": row["output"]}]
    else:
        return []
    good = all(m["role"] in _ROLE_LABELS and isinstance(m["content"], str) and m["content"].strip() for m in found)
    return [{"role": str(m["role"]), "content": str(m["content"])} for m in found] if good and len(found) > 1 else []


def _plain_chat(row: Row) -> Messages:
    """System, user and assistant only, in turns."""
    plain: Messages = []
    for message in row["messages"]:
        role, content = message["role"], message["content"]
        if role in ("thought", "search"):
            content = f"{_ROLE_LABELS[role]}: {content}"
            role = "assistant" if role == "thought" else "user"
        if plain and plain[-1]["role"] == role:
            plain[-1] = {"role": role, "content": f"{plain[-1]['content']}\n{content}"}
        else:
            plain.append({"role": role, "content": content})
    return plain


def _metadata(row: Row) -> dict[str, Any]:
    """What every exported row says of its origin; the same keys and types in all, as `datasets` wants."""
    metadata = row["metadata"]
    return {
        "example": metadata.get("example", ""),
        "task": metadata.get("task", ""),
        "document": metadata.get("document", ""),
        "chunk_id": metadata.get("chunk_id", ""),
        "chunk_hash": metadata.get("chunk_hash", ""),
        "question": metadata.get("question", ""),
        "answerable": bool(metadata.get("answerable", True)),
        "generator": metadata.get("generator", ""),
    }


def _as_messages(row: Row) -> dict[str, Any]:
    return {"messages": _plain_chat(row), "metadata": _metadata(row)}


def _as_prompt_completion(row: Row) -> dict[str, Any]:
    messages = _plain_chat(row)
    return {"prompt": messages[:-1], "completion": messages[-1:], "metadata": _metadata(row)}


def _as_alpaca(row: Row) -> dict[str, Any]:
    said = _plain_chat(row)
    system = said[0]["content"] if said[0]["role"] == "system" else ""
    turns = [message["content"] for message in said if message["role"] != "system"]
    earlier = [[turns[at], turns[at + 1]] for at in range(0, len(turns) - 2, 2)]
    single = not earlier and bool(row["metadata"].get("contexts"))
    language = row["metadata"].get("language", "zh")
    return {
        "instruction": _INSTRUCTION[language] if single else turns[-2],
        "input": turns[-2] if single else "",
        "output": turns[-1],
        "system": system,
        "history": earlier,
        "metadata": _metadata(row),
    }


def _as_sharegpt(row: Row) -> dict[str, Any]:
    said = _plain_chat(row)
    system = said[0]["content"] if said[0]["role"] == "system" else ""
    turns = [{"from": _FROM[m["role"]], "value": m["content"]} for m in said if m["role"] != "system"]
    return {"conversations": turns, "system": system, "metadata": _metadata(row)}


def _as_seed(row: Row) -> dict[str, Any]:
    """One question and its answer: earlier turns stand in the text."""
    said = [message for message in _plain_chat(row) if message["role"] != "system"]
    return {"text": _joined(said[:-1]), "answer": said[-1]["content"], "metadata": _metadata(row)}


def _joined(said: Sequence[Mapping[str, str]]) -> str:
    if len(said) == 1:
        return said[0]["content"]
    return "\n".join(f"{_ROLE_LABELS[m['role']]}: {m['content']}" for m in said)


def _as_roles(row: Row) -> dict[str, Any]:
    """The role text that knows all five roles; END closes each of them."""
    said = [f"{_ROLE_LABELS[message['role']]}: {message['content']}{END}" for message in row["messages"]]
    return {"text": "\n ".join(said), "metadata": _metadata(row)}


_SHAPES: dict[str, Callable[[Row], dict[str, Any]]] = {
    "messages": _as_messages,
    "prompt-completion": _as_prompt_completion,
    "alpaca": _as_alpaca,
    "sharegpt": _as_sharegpt,
    "llamafactory": _as_sharegpt,
    "seed": _as_seed,
    "roles": _as_roles,
}


# -- tables and side files -------------------------------------------------------------------------------------------


def _flat(row: Row) -> dict[str, Any]:
    metadata = row["metadata"]
    return {
        **_metadata(row),
        "language": metadata.get("language", ""),
        "topic": metadata.get("topic", ""),
        "answer": (metadata.get("answers") or [row["messages"][-1]["content"]])[0],
        "contexts": json.dumps(metadata.get("contexts", []), ensure_ascii=False),
        "messages": json.dumps(row["messages"], ensure_ascii=False),
    }


_COLUMNS = (
    *("example", "task", "document", "chunk_id", "chunk_hash", "question", "answerable", "generator"),
    *("language", "topic", "answer", "contexts", "messages"),
)
_RISKY = ("=", "+", "-", "@", "\t", "\r")


def _write_csv(rows: Iterable[Row], path: Path) -> None:
    """UTF-8 with its mark, so that Excel reads Chinese; what a spreadsheet would run as a formula gets a quote."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        for row in rows:
            flat = _flat(row)
            writer.writerow({k: f"'{v}" if isinstance(v, str) and v.startswith(_RISKY) else v for k, v in flat.items()})
        file.flush()
        os.fsync(file.fileno())


def _write_parquet(rows: Iterable[Row], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.bool_() if name == "answerable" else pa.string()) for name in _COLUMNS])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for row in rows:
            batch.append(_flat(row))
            if len(batch) >= _PARQUET_BATCH:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch.clear()
        writer.write_table(pa.Table.from_pylist(batch, schema))


def _dataset_info(path: Path) -> Path:
    """LLaMA-Factory finds a data file through dataset_info.json in the same folder; entries of other files are kept."""
    info = path.parent / "dataset_info.json"
    try:
        known = json.loads(info.read_text(encoding="utf-8")) if info.is_file() else {}
    except ValueError:
        raise UsageError(f"{info} is not valid JSON. Correct it or move it away, then export again.") from None
    known[path.stem] = {
        "file_name": path.name,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system"},
    }
    info.write_text(json.dumps(known, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return info
