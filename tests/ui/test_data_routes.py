"""Without these a reader carries the training data away, or an export holds other rows than were asked for."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient

from kb.access import Principal, Role
from kb.knowledge_base import KnowledgeBase
from kb.service import Service
from kb.settings import Settings
from kb.types import Document, QAExample
from train.examples import Examples, identified, source_of, unit_of
from ui.data_routes import data_routes
from ui.refusals import refuse_in_order


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "exports"
    made.mkdir()
    return made


@pytest.fixture
def client(tmp_path: Path, folder: Path, add: Callable[..., Document]) -> Iterator[TestClient]:
    """Two examples, one of them accepted, seen by whoever the header `x-role` says."""
    with KnowledgeBase.open(Settings(home=tmp_path / "home"), write=True) as kb:
        document = add(kb.store, "handbook", ["Zolvarin is stored cold.", "Milofen is kept dry."])
        for chunk, state in zip(kb.store.chunks(document.id), ("accepted", "candidate"), strict=True):
            example = QAExample(
                id="",
                task="qa",
                language="en",
                document=document.id,
                unit=unit_of(document, chunk),
                sources=(source_of(chunk),),
                question=f"How? {chunk.position}",
                answers=(chunk.text,),
                answerable=True,
                state=state,  # type: ignore[arg-type]
            )
            Examples(kb.store).add([identified(example)])
        app = FastAPI()
        service = Service(kb)

        @app.middleware("http")
        async def door(request: Request, call_next: Callable[..., Response]) -> Response:
            role: Role = request.headers.get("x-role", "curator")  # type: ignore[assignment]
            request.state.principal = Principal("li", "li", role)
            return await call_next(request)  # type: ignore[misc]

        refuse_in_order(app)
        app.include_router(data_routes(service, folder))
        with TestClient(app) as client:
            yield client
        assert not list(folder.iterdir())  # nothing that was sent, or refused, stays behind


def test_export_holds_what_was_asked_for(client: TestClient) -> None:
    assert client.get("/export-size").json() == {"rows": 1}
    (line,) = client.get("/export", params={"form": "messages"}).text.splitlines()
    row = json.loads(line)
    assert row["messages"][-1]["content"].startswith("Zolvarin is stored cold")
    assert row["metadata"]["chunk_id"]
    both = client.get("/export", params={"states": ["accepted", "candidate"], "form": "csv"})
    assert "vademecum-csv.csv" in both.headers["content-disposition"]
    assert both.text.count("How? ") >= 2


def test_what_llama_factory_needs_comes_together(client: TestClient) -> None:
    """Its data file is found through dataset_info.json alone."""
    answer = client.get("/export", params={"form": "llamafactory"})
    assert "vademecum-llamafactory.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        (entry,) = json.loads(archive.read("dataset_info.json")).values()
        row = json.loads(archive.read(entry["file_name"]))
    assert row[entry["columns"]["messages"]][-1]["value"].startswith("Zolvarin is stored cold")


@pytest.mark.parametrize("path", ["/export", "/export-size"])
def test_readers_take_nothing_away(client: TestClient, path: str) -> None:
    assert client.get(path, headers={"x-role": "reader"}).status_code == 403


@pytest.mark.parametrize(
    "wanted",
    [
        {"form": "../x"},
        {"dataset": "../../etc/passwd"},
        {"dataset": "none/../../x"},
        {"collection": "no such"},
        {"since": "last year"},
    ],
)
def test_what_is_not_there_is_refused_with_its_reason(client: TestClient, wanted: dict[str, str]) -> None:
    answer = client.get("/export", params=wanted)
    assert answer.status_code == 422
    assert answer.json()["detail"]
