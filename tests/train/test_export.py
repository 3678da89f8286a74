"""Exports are loaded by the libraries they are for."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb.errors import UsageError
from train.export import FORMATS, chat_messages, export


def row(n: int, *, thought: bool = False) -> dict[str, Any]:
    said = [{"role": "system", "content": "规则"}, {"role": "user", "content": f"问题{n}？"}]
    if thought:
        said += [{"role": "thought", "content": "需要检索"}, {"role": "search", "content": "文段"}]
    said.append({"role": "assistant", "content": f"答案{n} [1]。"})
    metadata = {
        "example": f"e{n}",
        "task": "qa",
        "language": "zh",
        "document": "d",
        "chunk_id": f"c{n}",
        "chunk_hash": f"h{n}",
        "question": f"问题{n}？",
        "answers": [f"答案{n}。"],
        "answerable": n % 2 == 0,
        "generator": "fields",
        "contexts": ["文段"],
        "topic": "用法用量",
    }
    return {"messages": said, "metadata": metadata}


ROWS = [row(0), row(1, thought=True), row(2)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exports")
    paths = {}
    for form in FORMATS:
        suffix = form if form in ("csv", "parquet") else "jsonl"
        paths[form] = export(iter(ROWS), form, folder / f"{form}.{suffix}").path
    return paths


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("form", FORMATS)
def test_datasets_loads_it(written: dict[str, Path], cache: str, form: str) -> None:
    """Lost: hours of reformatting before the first training run."""
    datasets = pytest.importorskip("datasets")
    kind = form if form in ("csv", "parquet") else "json"
    loaded = datasets.load_dataset(kind, data_files=str(written[form]), split="train", cache_dir=cache)
    assert len(loaded) == 3
    assert "答案2" in json.dumps(loaded[2], ensure_ascii=False)
    where = loaded[1] if kind != "json" else loaded[1]["metadata"]
    assert (where["chunk_id"], where["chunk_hash"], where["answerable"]) == ("c1", "h1", False)


@pytest.mark.parametrize("form", ["messages", "prompt-completion"])
def test_trl_takes_it_for_a_conversation(written: dict[str, Path], cache: str, form: str) -> None:
    """Lost: the trainer sees plain text and puts the loss on the question."""
    data_utils = pytest.importorskip("trl.data_utils")
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset("json", data_files=str(written[form]), split="train", cache_dir=cache)
    assert data_utils.is_conversational(loaded[0])
    said = loaded[1]["messages"] if form == "messages" else [*loaded[1]["prompt"], *loaded[1]["completion"]]
    assert [message["role"] for message in said] == ["system", "user", "assistant", "user", "assistant"]
    assert said[2]["content"] == "Thought: 需要检索"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_role_text_is_the_seeds(written: dict[str, Path]) -> None:
    """Lost: the roles' spaces and ends, by which a model trained on the older data knows its turn."""
    assert lines(written["roles"])[1]["text"] == (
        "System: 规则</s>\n User: 问题1？</s>\n Thought: 需要检索</s>\n Search: 文段</s>\n Assistant: 答案1 [1]。</s>"
    )
    assert lines(written["seed"])[0] == {
        "text": "问题0？",
        "answer": "答案0 [1]。",
        "metadata": lines(written["messages"])[0]["metadata"],
    }


def test_llamafactory_finds_the_file(written: dict[str, Path]) -> None:
    info = json.loads((written["llamafactory"].parent / "dataset_info.json").read_text())
    entry = info["llamafactory"]
    assert (written["llamafactory"].parent / entry["file_name"]).is_file()
    first = lines(written["llamafactory"])[0]
    assert entry["columns"] == {"messages": "conversations", "system": "system"}
    assert [turn["from"] for turn in first["conversations"]] == ["human", "gpt"]


def test_a_spreadsheet_runs_no_formula(tmp_path: Path) -> None:
    """Lost: a question that begins with '=' runs on the reviewer's machine."""
    risky = row(0)
    risky["metadata"]["question"] = '=HYPERLINK("http://evil")'
    path = export([risky], "csv", tmp_path / "x.csv").path
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert next(csv.DictReader(file))["question"].startswith("'=")


def test_a_failed_export_leaves_the_old_file(tmp_path: Path) -> None:
    """Lost: half a file that looks whole."""
    path = tmp_path / "x.jsonl"
    path.write_text("old\n")

    def broken() -> Iterator[dict[str, Any]]:
        yield row(0)
        raise UsageError("the dataset was changed")

    with pytest.raises(UsageError):
        export(broken(), "messages", path)
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UsageError, match="prompt-completion"):
        export([], "excel", path)


@pytest.mark.parametrize("form", ["messages", "sharegpt", "alpaca", "seed"])
def test_exports_can_be_mixed_in_again(written: dict[str, Path], form: str) -> None:
    """Lost: general chat data in a common format is refused."""
    said = chat_messages(lines(written[form])[0])
    assert said[-1] == {"role": "assistant", "content": "答案0 [1]。"}
    assert "问题0？" in said[-2]["content"]
