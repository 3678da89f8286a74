"""`vademecum add`: what a script reads from it."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from typer.testing import CliRunner

from ingest.add import Progress
from ingest.commands import _shown, register

app = typer.Typer()
register(app)


@app.callback()
def _main() -> None:
    """Two commands, as in the real program, so that `add` keeps its name."""


def run(*arguments: str) -> tuple[int, dict[str, object]]:
    result = CliRunner().invoke(app, ["add", *arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_json_and_exit_codes(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    good = tmp_path / "drugs.json"
    good.write_text(json.dumps(["阿司匹林\n剂型:片剂\n禁忌证:活动性溃疡。"]), encoding="utf-8")
    code, told = run(str(good), "--home", home)
    assert code == 0
    assert set(told) == {"documents", "seconds"}
    (document,) = told["documents"]  # type: ignore[misc]
    assert set(document) == {"file", "document", "status", "pages", "chunks", "reason", "state", "alike"}
    assert (document["status"], document["pages"], document["chunks"]) == ("added", 1, 1)

    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
    code, told = run(str(good), str(tmp_path / "bad.pdf"), "--home", home)
    assert code == 1
    assert [d["status"] for d in told["documents"]] == ["known", "failed"]  # type: ignore[attr-defined]

    code, told = run(str(good), "--issued", "soon", "--home", home)
    assert code == 2
    assert "2024-05" in str(told["error"])


def test_progress_says_how_long_it_will_take() -> None:
    assert _shown(Progress("a/book.pdf", "read", 3, 20, 34.4)) == "reading book.pdf: 3 of 20, about 34 s left"
    assert _shown(Progress("book.pdf", "read", 3, 2000, 3599.0)).endswith("3 of 2,000, about 60 min left")
    assert _shown(Progress("", "embed", 3, 20, 1.0)) == "computing vectors: 3 of 20"
