"""The command line as a script sees it: JSON shapes, exit codes, plain refusals.

Verbs run in this process, so that torch is loaded once; what depends on a fresh process runs the real command.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import cli

ROOT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("vademecum")
MONOGRAPHS = [
    "阿司匹林\n英文名:Aspirin\n别名:乙酰水杨酸\n适应证:用于发热、头痛。\n禁忌证:活动性溃疡病禁用。\n用法用量:口服：每次0.3～0.6g，每天3次。",
    "布洛芬\n英文名:Ibuprofen\n适应证:用于关节痛。\n不良反应:(尚不明确)\n用法用量:口服：每次0.2g，每天3次。",
]


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str, home: Path | None = None, environment: dict[str, str] | None = None) -> Done:
    result = CliRunner().invoke(cli.app, [*arguments, *(["--home", str(home)] if home else [])], env=environment)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def run_command(*arguments: str) -> Done:
    """The installed command in a process of its own."""
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    return Done(done.returncode, done.stdout, done.stderr)


def run_json(*arguments: str, home: Path, code: int = 0) -> dict[str, Any]:
    done = run(*arguments, "--json", home=home)
    assert done.returncode == code, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of two monographs and one English note."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "drugs.json").write_text(json.dumps(MONOGRAPHS, ensure_ascii=False), encoding="utf-8")
    note = "# Metformin\n\nThe usual starting dose of metformin is 500 mg twice a day. Take it with meals.\n"
    (folder / "note.md").write_text(note, encoding="utf-8")
    (folder / "empty.pdf").write_bytes(b"")
    added = run_json("add", str(folder / "drugs.json"), str(folder / "note.md"), home=folder / "home")
    assert [row["status"] for row in added["documents"]] == ["added", "added"]
    return folder / "home"


def test_help_is_instant() -> None:
    """Processor time, for another process may hold the machine; bench.startup prints the wall time (goal 0.5 s)."""
    best = 9.9
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run_command("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert best <= 1.0


def test_the_command_line_loads_nothing_heavy() -> None:
    code = "import sys, cli; print(sorted({'faiss', 'gradio', 'torch', 'transformers', 'trl'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.strip() == "[]"


def test_add_says_known_the_second_time_and_why_a_file_failed(home: Path) -> None:
    added = run_json("add", str(home.parent / "note.md"), str(home.parent / "empty.pdf"), home=home, code=1)
    known, failed = added["documents"]
    assert (known["status"], failed["status"]) == ("known", "failed")
    assert "empty" in failed["reason"]
    assert set(known) >= {"file", "document", "status", "pages", "chunks", "reason"}
    assert "seconds" in added


def test_search_shape(home: Path) -> None:
    hits = run_json("search", "阿司匹林的禁忌", "-k", "3", home=home)["hits"]
    assert {"chunk_id", "document", "file", "title", "pages", "heading", "score", "text"} <= set(hits[0])
    assert hits[0]["pages"] == [1]
    assert "活动性溃疡病" in hits[0]["text"]


def test_ask_cites_what_is_there(home: Path) -> None:
    answer = run_json("ask", "阿司匹林的用法用量", home=home)
    assert not answer["abstained"]
    assert answer["engine"] == "extractive"
    (citation,) = answer["citations"]
    assert "每次0.3～0.6g" in citation["quote"]
    assert citation["quote"] in MONOGRAPHS[0]
    assert {"n", "chunk_id", "document", "file", "title", "page", "quote", "boxes"} <= set(citation)


def test_ask_in_english(home: Path) -> None:
    answer = run_json("ask", "What is the starting dose of metformin?", home=home)
    assert "500 mg twice a day" in answer["answer"]


def test_ask_abstains_on_what_is_not_there(home: Path) -> None:
    assert run_json("ask", "二甲双胍的禁忌证", home=home)["abstained"]
    assert run_json("ask", "What is the capital of France?", home=home)["abstained"]


def test_documents_lists_and_shows(home: Path) -> None:
    rows = run_json("documents", home=home)["documents"]
    assert {row["file"] for row in rows if row["state"] == "ready"} == {"drugs.json", "note.md"}
    shown = run_json("documents", "note.md", home=home)
    assert shown["document"]["title"] == "Metformin"
    assert shown["chunks"][0]["pages"] == [1]


def test_remove_and_rebuild(home: Path) -> None:
    extra = home.parent / "extra.txt"
    extra.write_text("Naloxone reverses opioid overdose.")
    run_json("add", str(extra), home=home)
    assert run_json("search", "naloxone", home=home)["hits"]
    assert run_json("remove", "extra.txt", home=home)["removed"]["file"] == "extra.txt"
    assert not any("Naloxone" in hit["text"] for hit in run_json("search", "naloxone", home=home)["hits"])
    assert run_json("rebuild", home=home)["chunks"] == 3


def test_a_flipped_byte_in_the_index_is_detected_and_mended(home: Path) -> None:
    folder = home / "index" / (home / "index" / "CURRENT").read_text()
    damaged = bytearray((folder / "dense.faiss").read_bytes())
    damaged[-3] ^= 4
    (folder / "dense.faiss").write_bytes(bytes(damaged))
    checks = run_json("doctor", home=home, code=1)["checks"]
    assert "dense.faiss fails its checksum" in next(c["detail"] for c in checks if c["name"] == "index")
    done = run("search", "metformin", home=home)
    assert done.returncode == 0
    assert "index damaged, rebuilding" in done.stderr
    assert run_json("doctor", home=home)["ok"]


def test_with_another_embedder_the_old_one_answers_and_says_so(home: Path, tmp_path: Path) -> None:
    from kb.embed import build_embedder
    from kb.settings import load_settings

    packaged = build_embedder(load_settings(embedder="minilm"))._folder  # type: ignore[attr-defined]
    (tmp_path / "other").symlink_to(packaged)
    done = run("search", "x", home=home, environment={"VADEMECUM_EMBEDDER": str(tmp_path / "other")})
    assert done.returncode == 0
    assert "another embedder, which answers until it is renewed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ask", "   "], "empty"),
        (["search", "x" * 100_000], "more than the 4,000"),
        (["remove", "nothing.pdf"], "No document 'nothing.pdf'"),
        (["evaluate", "retrieval", "none.jsonl"], "There is no file"),
        (["ask", "x", "--history", "none.json"], "is not a JSON list"),
        (["ask", "x", "--model", "magic"], "engine"),
    ],
)
def test_wrong_usage_is_told_without_a_traceback(home: Path, arguments: list[str], said: str) -> None:
    done = run(*arguments, home=home)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["search", "ask", "documents", "remove"])
def test_a_home_without_a_library_is_refused(verb: str, tmp_path: Path) -> None:
    done = run(verb, *([] if verb == "documents" else ["x"]), home=tmp_path / "nowhere")
    assert done.returncode == 2
    assert "no library" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_the_installed_command_answers(home: Path) -> None:
    done = run_command("ask", "阿司匹林的用法用量", "--json", "--home", str(home))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["citations"]
    assert run_command("ask", "", "--home", str(home)).stderr.startswith("vademecum: The question is empty")


def test_a_second_writer_is_told(home: Path) -> None:
    from kb.home import HomeLock

    lock = HomeLock(home)
    try:
        done = run("remove", "note.md", home=home)
    finally:
        lock.release()
    assert done.returncode == 2
    assert f"process {os.getpid()}" in done.stderr


def test_evaluation_over_a_throw_away_library(home: Path, tmp_path: Path) -> None:
    passages = tmp_path / "passages.jsonl"
    rows = [
        {"id": "p1", "title": "", "text": "Aspirin irreversibly inhibits cyclooxygenase."},
        {"id": "p2", "title": "Insulin", "text": "Insulin lowers blood glucose."},
        {"id": "p3", "title": "肺炎", "text": "肺炎由细菌或病毒引起。"},
    ]
    passages.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    questions = tmp_path / "questions.jsonl"
    asked = [
        {"question": "What does aspirin inhibit?", "gold_passage_ids": ["p1"], "source": "en"},
        {"question": "肺炎的病因", "gold_passage_ids": ["p3"], "source": "zh"},
    ]
    questions.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in asked))
    result = run_json("evaluate", "retrieval", str(questions), "--passages", str(passages), home=home)
    assert result["n"] == 2
    assert result["recall@5"] == result["mrr@10"] == 1.0
    assert set(result["stages"]) >= {"reranked", "fused", "rrf", "dense", "lexical", "titles", "words"}
    assert result["by_source"]["zh"]["n"] == 1
