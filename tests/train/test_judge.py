"""The judge sees the passage, is asked once, and its verdict drops what the passage does not bear out."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from kb.local_model import load_local_model
from kb.store import Store
from kb.types import Hit
from tests.conftest import Adder
from tests.tiny_model import save_tiny_model
from train import judge, qa_commands
from train.engine import LocalEngine, Reply
from train.examples import Examples, Selection
from train.replies import Unreadable
from train.tasks import Item, make

PASSAGE = (
    "服用奥美拉唑期间应监测血镁。成人每次20mg，每日1次，疗程4周。严重肝功能不全者每日不超过20mg，须在医生指导下使用。"
)


class _Judge(BaseHTTPRequestHandler):
    """Answers as a careful model would on PASSAGE; `asked` keeps every request."""

    asked: list[str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = body["messages"][1]["content"]
        self.asked.append(text)
        if "supported" in text:
            wrong = "疗程8周" in text
            reply = {"supported": not wrong, "reason": "文段写的是4周" if wrong else ""}
        else:
            reply = {"answer": "每次20mg，每日1次。" if "剂量" in text else "文本中未提及"}
        sent = {"choices": [{"message": {"content": json.dumps(reply, ensure_ascii=False)}, "finish_reason": "stop"}]}
        data = json.dumps(sent).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Judge,), {"asked": asked}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked
    server.shutdown()
    server.server_close()


def test_the_judge_drops_what_the_rules_let_pass(
    tmp_path: Path, add: Adder, endpoint: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost: fluent, wrong answers in the training data, or a second bill for the same verdict."""
    address, asked = endpoint
    (tmp_path / "home").mkdir()
    store = Store(tmp_path / "home")
    document = add(store, "奥美拉唑.txt", [PASSAGE])
    (chunk,) = store.chunks(document.id)
    item = Item("zh", Hit(chunk, document, 1.0))
    good = make("qa", item, "奥美拉唑成人的剂量是多少？", "成人每次20mg，每日1次。")
    wrong = make("qa", item, "奥美拉唑的疗程多久？", "疗程8周。")
    elsewhere = make("qa", item, "服用奥美拉唑期间监测什么？", "应监测血镁。")  # the model cannot find it again
    Examples(store).add([good, wrong, elsewhere])
    store.close()
    for name, value in {"ENGINE": "openai", "OPENAI_BASE_URL": address, "OPENAI_MODEL": "judge"}.items():
        monkeypatch.setenv(f"VADEMECUM_{name}", value)
    app = typer.Typer()
    qa_commands.register(app)
    run = ["qa", "curate", "--judge", "-k", "5", "--home", str(tmp_path / "home"), "--json"]
    result = CliRunner().invoke(app, run)
    assert result.exit_code == 0, result.output
    store = Store(tmp_path / "home")
    found = {e.id: (e.state, e.reason) for e in Examples(store).stream(Selection())}
    assert found[good.id] == ("kept", "")
    assert found[wrong.id][0] == "dropped"
    assert found[elsewhere.id] == ("dropped", "answerability: no answer from its source")
    assert len(asked) == 6
    assert all(PASSAGE[:10] in text for text in asked)
    Examples(store).set_states([(good.id, "candidate", ""), (wrong.id, "candidate", "")])
    store.close()
    assert CliRunner().invoke(app, run).exit_code == 0
    assert len(asked) == 6


@pytest.mark.parametrize(
    ("reply", "supported"),
    [
        ('{"supported": true}', True),
        ('```json\n{"supported": "yes", "reason": ""}\n```', True),
        ('{"supported": false, "reason": "剂量不符"}', False),
        ('{"有依据": "否"}', False),
    ],
)
def test_verdicts_are_read_however_they_are_worded(reply: str, supported: bool) -> None:
    assert judge.verdict(reply).supported is supported


@pytest.mark.parametrize("reply", ["", "I think so", '{"supported": "maybe"}', "[]", '{"reason": "x"}'])
def test_a_reply_without_a_verdict_is_no_approval(reply: str) -> None:
    """Lost: a broken reply counts as a pass."""
    with pytest.raises(Unreadable):
        judge.verdict(reply)


def test_a_local_model_is_asked_like_an_endpoint(tmp_path: Path) -> None:
    """Lost: generation and judging with the model that this machine serves."""
    engine = LocalEngine(load_local_model(save_tiny_model(tmp_path), max_new_tokens=8))
    asked = [{"role": "system", "content": "Answer."}, {"role": "user", "content": "metformin?"}]

    async def ask() -> Reply:
        return await engine.complete(asked, max_tokens=8, key="k")

    reply = asyncio.run(ask())
    assert reply.text.strip()
    assert reply.prompt_tokens >= 4
    assert reply.completion_tokens >= 1


def test_samples_are_read() -> None:
    """Lost: `sample_reply` shows a form the parser refuses."""
    assert judge.verdict(judge.JUDGE.sample_reply) == judge.Verdict(False, "文段写的是0.25g")
    assert re.match("口服", judge.answer_of(judge.ANSWER_AGAIN.sample_reply))
