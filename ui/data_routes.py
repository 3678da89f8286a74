"""Own routes for data to take away: how many rows an export has, and the export as a file.

The file is written whole before it is sent, so that what arrives is complete or is refused with its reason; it is
deleted when it has been sent. Everything is checked anew and on record; what is refused, ui.refusals answers.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from kb.access import Permission, require
from kb.editions import check_date
from kb.errors import KBError
from kb.service import Service
from train import datasets
from train.examples import Examples, Selection
from train.export import FORMATS, export
from train.exporting import GOOD, dataset_rows, documents_of, example_rows

_ENDINGS = {"csv": "csv", "parquet": "parquet"}
Words = Annotated[list[str] | None, Query(max_length=50)]


def data_routes(service: Service, folder: Path) -> APIRouter:
    """The routes, for the app to mount; `folder` is where an export lies while it is sent."""
    router = APIRouter(include_in_schema=False)

    @router.get("/export-size")
    def size(
        request: Request, states: Words = None, collection: str = "", since: str = "", dataset: str = ""
    ) -> dict[str, int]:
        require(request.state.principal, Permission.EXPORT)
        if dataset:
            name, _, version = dataset.partition("/")
            return {"rows": _rows_of(datasets.load(service.kb.store.home, name, version or None).manifest)}
        return {"rows": Examples(service.kb.store).count(_selection(service, states, collection, since))}

    @router.get("/export")
    def exported(
        request: Request,
        form: str = "messages",
        states: Words = None,
        collection: str = "",
        since: str = "",
        dataset: str = "",
    ) -> FileResponse:
        me = require(request.state.principal, Permission.EXPORT)
        if form not in FORMATS:
            raise HTTPException(422, f"There is no format '{form[:40]}'. Use one of: {', '.join(FORMATS)}.")
        made = Path(tempfile.mkdtemp(dir=folder, prefix="export-"))
        path = made / f"vademecum-{form}.{_ENDINGS.get(form, 'jsonl')}"
        try:
            rows: Iterator[dict[str, Any]]
            if dataset:
                rows = dataset_rows(service.kb, dataset)
            else:
                rows = example_rows(service.kb, _selection(service, states, collection, since))
            done = export(rows, form, path)
            service.audit.record(me, "exported", dataset[:100], form=form, rows=done.rows)
            if done.also:
                path = _together(path.with_suffix(".zip"), [done.path, *done.also])
        except (KBError, OSError):
            shutil.rmtree(made, ignore_errors=True)
            raise
        return FileResponse(
            path,
            media_type="application/octet-stream",
            filename=path.name,
            headers={"Cache-Control": "private, no-store"},
            background=BackgroundTask(shutil.rmtree, made, ignore_errors=True),
        )

    return router


def _together(path: Path, files: Iterable[Path]) -> Path:
    """A format of several files, as one to take away."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.name)
    return path


def _selection(service: Service, states: list[str] | None, collection: str, since: str) -> Selection:
    """Raises UsageError for a collection or a date that is none."""
    check_date(since)
    documents = documents_of(service.kb, collections=[collection] if collection else [])
    return Selection(states=tuple(states or GOOD), documents=documents, since=since)


def _rows_of(manifest: dict[str, Any]) -> int:
    return sum(int(n) for n in manifest["counts"].values())
