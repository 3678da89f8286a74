"""The verbs `add` and `reread`. Heavy imports stand inside the functions, so that `vademecum --help` is instant."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import SOME_FAILED, Home, Json, ProgressLine, counted, verb

if TYPE_CHECKING:
    from ingest.add import Added, Progress
    from kb.jobs import Job

_DOING = {"read": "reading", "chunk": "cutting into passages", "store": "storing", "embed": "computing vectors"}
_SOON_S = 5.0


def register(app: typer.Typer) -> None:
    """Mount the verbs on `app`."""
    app.command()(add)
    app.command()(reread)


def add(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files or folders: PDF, DOCX, EPUB, HTML, PPTX, XLSX, CSV, .txt, .md, .json, .jsonl."),
    ],
    title: Annotated[str, typer.Option(help="Its title (one file only), if the file does not say it right.")] = "",
    edition: Annotated[str, typer.Option(help="Its edition, e.g. '3rd'.")] = "",
    issued: Annotated[str, typer.Option(metavar="DATE", help="When it was issued: 2024, 2024-05 or 2024-05-31.")] = "",
    supersedes: Annotated[str, typer.Option(metavar="DOC", help="Id or file name of the edition it replaces.")] = "",
    issuer: Annotated[str, typer.Option(help="Who issued it (all files named).")] = "",
    collection: Annotated[str, typer.Option(help="The collection it belongs to (all files named).")] = "",
    draft: Annotated[
        bool, typer.Option("--draft", help="Leave it unsearched until `vademecum publish`, however well it reads.")
    ] = False,
    vectors_later: Annotated[
        bool, typer.Option("--vectors-later", help="Do not wait for vectors: the app computes them when it runs.")
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Add documents to the library. Waits until they can be searched and their vectors are computed."""
    from ingest.add import add_paths
    from kb.editions import DocumentDetails
    from kb.knowledge_base import KnowledgeBase
    from kb.settings import load_settings

    with verb(as_json) as output:
        line = ProgressLine()
        try:
            with KnowledgeBase.open(load_settings(home=home), write=True) as base:
                details = DocumentDetails(title, edition, issued, supersedes, issuer, collection)
                results = add_paths(
                    base,
                    paths,
                    details=details,
                    progress=lambda step: line.show(_shown(step)),
                    embed=not vectors_later,
                    draft=draft,
                )
        finally:
            line.close()
        output.result = {"documents": [asdict(result) for result in results]}
        if any(result.status == "failed" for result in results):
            output.code = SOME_FAILED
        for result in results:
            output.say(_told(result))
        if not results:
            output.say("No files found.")


def reread(
    document: Annotated[str, typer.Argument(metavar="DOC", help="Id (or its beginning) or file name.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Read a document again from its original; the first reading is searched until the second is complete."""
    from ingest.jobs import reread_here
    from kb.console import opened
    from kb.document_commands import document_json

    with verb(as_json) as output, opened(home, write=True) as base:
        line = ProgressLine()
        found = base.document(document)

        def show(job: Job) -> None:
            line.show(f"{job.step} {job.done:,} of {job.total:,}{_left(job.left_s)}")

        job = reread_here(base, found, show)
        line.close()
        output.result = {"document": document_json(base.document(found.id)), "state": job.state, "reason": job.reason}
        if job.state == "done":
            pages, chunks = counted(job.result["pages"], "page"), counted(job.result["chunks"], "passage")
            output.say(f"Read again {found.file}: {pages}, {chunks}.")
        else:
            output.code = SOME_FAILED
            output.say(f"{found.file} could not be read again ({job.reason}); it is as it was.")


def _shown(step: Progress) -> str:
    name = f" {Path(step.file).name}" if step.file else ""
    count = f": {step.done:,} of {step.total:,}" if step.total > 1 else ""
    return f"{_DOING[step.step]}{name}{count}{_left(step.left_s)}"


def _left(seconds: float | None) -> str:
    """How long a step will take still; nothing if that is not known, or soon over."""
    if seconds is None or seconds < _SOON_S:
        return ""
    return f", about {seconds / 60:,.0f} min left" if seconds >= 100 else f", about {seconds:,.0f} s left"


def _told(result: Added) -> str:
    if result.status == "failed":
        return f"failed  {result.file}: {result.reason}"
    counts = f"{counted(result.pages, 'page')}, {counted(result.chunks, 'passage')}"
    note = f" ({result.reason})" if result.reason else ""
    state = ", a draft: not searched" if result.state == "draft" else ""
    return f"{result.status:<7} {result.file}: {counts}, id {result.document}{state}{note}"
