"""The verb `add`. Heavy imports stand inside the function, so that `vademecum --help` is instant."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import SOME_FAILED, Home, Json, ProgressLine, verb

if TYPE_CHECKING:
    from ingest.add import Added, Progress

_DOING = {"read": "reading", "chunk": "cutting into passages", "store": "storing", "embed": "computing vectors"}


def register(app: typer.Typer) -> None:
    """Mount the verb on `app`."""
    app.command()(add)


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


def _shown(step: Progress) -> str:
    name = f" {Path(step.file).name}" if step.file else ""
    count = f": {step.done:,} of {step.total:,}" if step.total > 1 else ""
    return f"{_DOING[step.step]}{name}{count}"


def _told(result: Added) -> str:
    if result.status == "failed":
        return f"failed  {result.file}: {result.reason}"
    counts = f"{result.pages} pages, {result.chunks} passages"
    note = f" ({result.reason})" if result.reason else ""
    state = ", a draft: not searched" if result.state == "draft" else ""
    return f"{result.status:<7} {result.file}: {counts}, id {result.document}{state}{note}"
