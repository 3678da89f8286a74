"""Verbs on documents: documents, remove, publish, unpublish, supersede, edit."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import Home, Json, opened, verb

if TYPE_CHECKING:
    from kb.types import Document

DocumentKey = Annotated[
    str, typer.Argument(metavar="DOC", help="Id (or its beginning) or file name, as `documents` lists them.")
]


def register(app: typer.Typer) -> None:
    """Mount the verbs on `app`."""
    for command in (documents, remove, publish, unpublish, supersede, edit):
        app.command()(command)


def documents(
    key: Annotated[str | None, typer.Argument(metavar="[DOC]", help="Show this one, with its chunks.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List the library, or show one document."""
    with verb(as_json) as output, opened(home) as kb:
        if key is None:
            rows = kb.documents()
            output.result = {"documents": [document_json(row) for row in rows]}
            for row in rows:
                output.say(f"{row.id}  {row.state:10} {row.pages:5} pages {row.chunks:6} chunks  {row.file}")
                if row.reason:
                    output.say(f"                  {row.reason}")
            output.say(f"{len(rows)} documents.")
            return
        row = kb.document(key)
        chunks = kb.store.chunks(row.id)
        output.result = {
            "document": document_json(row),
            "chunks": [
                {"chunk_id": c.id, "pages": list(c.pages), "heading": c.heading, "tokens": c.tokens, "text": c.text}
                for c in chunks
            ],
        }
        for name, value in document_json(row).items():
            output.say(f"{name:10} {value}")
        for chunk in chunks[:20]:
            pages = ", ".join(map(str, chunk.pages))
            output.say(f"\n#{chunk.position} p. {pages} {chunk.heading}\n{chunk.text}")
        if len(chunks) > 20:
            output.say(f"\n… {len(chunks) - 20} more chunks; --json shows all.")


def remove(key: DocumentKey, as_json: Json = False, home: Home = None) -> None:
    """Withdraw a document: it is no longer found, cited or kept."""
    with verb(as_json) as output, opened(home, write=True) as kb:
        removed = kb.remove(key)
        output.result = {"removed": document_json(removed)}
        output.say(f"Removed {removed.file} ({removed.id}): {removed.pages} pages, {removed.chunks} chunks.")


def publish(key: DocumentKey, as_json: Json = False, home: Home = None) -> None:
    """Make a draft searchable; what it supersedes leaves default search."""
    with verb(as_json) as output, opened(home, write=True) as kb:
        published = kb.publish_document(key)
        output.result = {"published": document_json(published)}
        output.say(f"Published {published.file} ({published.id}): {published.chunks} chunks can be found.")


def unpublish(key: DocumentKey, as_json: Json = False, home: Home = None) -> None:
    """Take a document out of search, without removing it; what it superseded is current again."""
    with verb(as_json) as output, opened(home, write=True) as kb:
        draft = kb.unpublish_document(key)
        output.result = {"unpublished": document_json(draft)}
        output.say(f"{draft.file} ({draft.id}) is a draft now and no longer found.")


def supersede(
    older: Annotated[str, typer.Argument(metavar="OLDER", help="The edition that is replaced.")],
    newer: Annotated[str, typer.Argument(metavar="NEWER", help="The edition that replaces it.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Note that one edition replaces another: the older leaves default search but stays citable."""
    with verb(as_json) as output, opened(home, write=True) as kb:
        document = kb.supersede(older, newer)
        output.result = {"document": document_json(document)}
        when = "from now on" if document.state == "ready" else "once it is published"
        output.say(f"{document.file} ({document.id}) supersedes {document.supersedes} {when}.")


def edit(
    key: DocumentKey,
    title: Annotated[str, typer.Option(help="Its title.")] = "",
    issuer: Annotated[str, typer.Option(help="Who issued it.")] = "",
    edition: Annotated[str, typer.Option(help="Its edition, e.g. '3rd'.")] = "",
    issued: Annotated[str, typer.Option(metavar="DATE", help="When: 2024, 2024-05 or 2024-05-31.")] = "",
    collection: Annotated[str, typer.Option(help="The collection it belongs to.")] = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Change what is noted of a document; what is not named stays as it is."""
    from kb.editions import DocumentDetails

    details = DocumentDetails(title, edition, issued, "", issuer, collection)
    with verb(as_json) as output, opened(home, write=True) as kb:
        document = kb.edit_document(key, details)
        output.result = {"document": document_json(document)}
        for name, value in document_json(document).items():
            output.say(f"{name:10} {value}")


def document_json(document: Document) -> dict[str, object]:
    """A document at the wire edge."""
    row = asdict(document)
    row["document"] = row.pop("id")
    return row
