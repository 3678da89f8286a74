"""The library's own interface for programs: search, documents, feedback, status. OpenAI's is in ui.openai_api."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi import Path as PathParam
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from kb.access import Permission, Principal, require
from kb.commands import hit_json
from kb.document_commands import document_json
from kb.editions import DocumentDetails
from kb.errors import ReadError
from kb.service import Service
from ui.adding import Adding, FileState
from ui.openai_api import Where
from ui.places import Places

_FILES: Final = 50
_NAME_BYTES: Final = 200
_FORM_ROOM: Final = 1 << 20  # of an upload, beside the files themselves


class SearchRequest(Where):
    """A question, and where to look."""

    question: str = Field(max_length=100_000)
    k: int | None = Field(None, ge=1, le=100, description="How many passages.")


class FeedbackRequest(BaseModel):
    """What its reader thinks of an answer; `answer_id` is in the extension field of the answer."""

    answer_id: str = Field(max_length=40)
    verdict: str = Field(max_length=20, description="helpful, wrong or unsafe")
    correction: str = Field("", max_length=100_000)


def api_routes(service: Service, adding: Adding, places: Places) -> APIRouter:
    """The routes, for the app to mount."""
    router = APIRouter(prefix="/api", tags=["library"])

    @router.get("/status")
    def status(request: Request) -> dict[str, Any]:
        """How busy it is: answers that are worked on and that wait, and how many of each there may be."""
        documents = service.documents(request.state.principal)
        return {
            "documents": len(documents),
            "engine": service.kb.settings.engine,
            "running": places.running,
            "waiting": places.waiting,
            "at_once": places.at_once,
            "most_waiting": places.most_waiting,
        }

    @router.post("/search")
    async def search(request: Request, asked: SearchRequest) -> dict[str, Any]:
        """The passages nearest to a question."""
        me: Principal = request.state.principal

        def found() -> list[dict[str, object]]:
            scope = service.scope(me, asked.documents, asked.collection, asked.as_of)
            return [hit_json(hit) for hit in service.search(me, asked.question, asked.k, scope)]

        return {"hits": await places.run(found)}

    @router.get("/documents")
    def documents(request: Request) -> dict[str, Any]:
        """The documents that one may know of, newest first."""
        return {"documents": [document_json(row) for row in service.documents(request.state.principal)]}

    @router.get("/documents/{document}")
    def document(request: Request, document: str) -> dict[str, Any]:
        """One document."""
        return {"document": document_json(service.document(request.state.principal, document))}

    @router.post("/documents", status_code=202)
    async def upload(request: Request) -> dict[str, Any]:
        """Add files: a form (multipart/form-data) with one or more fields `file`, and if you like `title`, `edition`,
        `issued`, `issuer`, `collection`, `supersedes`, `draft`. Each file becomes a job; see /api/jobs/{job}.
        """
        me = require(request.state.principal, Permission.UPLOAD)
        _check_length(request, service.kb.settings.max_file_mb << 20)
        folder = adding.folder / f"api-{secrets.token_hex(8)}"
        async with request.form(max_files=_FILES, max_fields=_FILES) as form:
            files = [value for name, value in form.multi_items() if name == "file" and isinstance(value, UploadFile)]
            said = {name: value for name, value in form.multi_items() if isinstance(value, str)}
            if not files:
                raise ReadError("There is no file in the form. Send it as a field named 'file'.")
            details = DocumentDetails(
                **{name: said.get(name, "").strip()[:300] for name in DocumentDetails.__dataclass_fields__}
            )
            draft = said.get("draft", "") in ("1", "true", "yes")
            try:
                paths = await run_sync(_laid_down, folder, files)
                batch = await run_sync(lambda: adding.submit(me, paths, details, draft=draft))
                return {"files": [file_json(file) for file in batch.files]}
            finally:
                await run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))

    @router.get("/jobs/{job}")
    def job(request: Request, job: Annotated[int, PathParam(ge=1, le=1 << 53)]) -> dict[str, Any]:
        """What has become of an upload."""
        require(request.state.principal, Permission.UPLOAD)
        found = adding.queue.job(job)
        row = asdict(found)
        wanted = ("number", "kind", "subject", "state", "step", "done", "total", "reason", "result")
        return {"job": {name: row[name] for name in wanted}}

    @router.post("/documents/{document}/publish")
    def publish(request: Request, document: str) -> dict[str, Any]:
        """Make a draft searchable."""
        return {"document": document_json(service.publish(request.state.principal, document))}

    @router.post("/documents/{document}/unpublish")
    def unpublish(request: Request, document: str) -> dict[str, Any]:
        """Take a document out of search; it stays as a draft."""
        return {"document": document_json(service.unpublish(request.state.principal, document))}

    @router.delete("/documents/{document}")
    def remove(request: Request, document: str) -> dict[str, Any]:
        """Withdraw a document for good."""
        return {"removed": document_json(service.remove(request.state.principal, document))}

    @router.post("/feedback", status_code=201)
    def feedback(request: Request, given: FeedbackRequest) -> dict[str, str]:
        """Say what you think of an answer that you got; a second time replaces the first."""
        me: Principal = request.state.principal
        key = service.conversations.give_feedback(me, given.answer_id, given.verdict, given.correction)
        return {"feedback": key}

    return router


def file_json(file: FileState) -> dict[str, object]:
    """One uploaded file at the wire edge."""
    return {"file": file.name, "status": file.status or "queued", "job": file.job or None, "reason": file.reason}


def _check_length(request: Request, most: int) -> None:
    """A body whose length is not told could fill the disk before it is known to be too long."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise HTTPException(411, "Say how long the upload is (Content-Length).")
    if int(length) > most + _FORM_ROOM:
        raise HTTPException(413, f"An upload may have {most >> 20:,} MB in all (max_file_mb).")


def _laid_down(folder: Path, files: Sequence[UploadFile]) -> list[Path]:
    """The files in a folder of their own each, under the last part of the name that was given."""
    paths: list[Path] = []
    for n, file in enumerate(files):
        place = folder / str(n)
        place.mkdir(parents=True)
        path = place / plain_name(file.filename or "")
        with path.open("wb") as sink:
            shutil.copyfileobj(file.file, sink, 1 << 20)
        paths.append(path)
    return paths


def plain_name(name: str) -> str:
    """A file name without folders, control characters or undue length; its ending stays."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c for c in last if c.isprintable() and c not in "\ufffd").strip()
    if not kept.strip("."):
        return "unnamed"
    stem, dot, ending = kept.rpartition(".") if "." in kept else (kept, "", "")
    ending = f"{dot}{ending}".encode("utf-8", "ignore")[:20].decode("utf-8", "ignore")
    return (stem or "unnamed").encode("utf-8", "ignore")[:_NAME_BYTES].decode("utf-8", "ignore") + ending
