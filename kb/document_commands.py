"""Verbs on documents: documents, duplicates, remove, publish, unpublish, supersede, edit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import Home, Json, Output, counted, opened, verb

if TYPE_CHECKING:
    from kb.duplicates import Duplicate
    from kb.quality import ReadQuality
    from kb.types import Document

DocumentKey = Annotated[
    str, typer.Argument(metavar="DOC", help="Id (or its beginning) or file name, as `documents` lists them.")
]


def register(app: typer.Typer) -> None:
    """Mount the verbs on `app`."""
    for command in (documents, remove, publish, unpublish, supersede, edit):
        app.command()(command)
    alike = typer.Typer(help="Documents that say the same, or much of the same, in other bytes.")
    alike.callback(invoke_without_command=True)(list_duplicates)
    alike.command()(keep)
    app.add_typer(alike, name="duplicates")


def documents(
    key: Annotated[str | None, typer.Argument(metavar="[DOC]", help="Show this one, with its chunks.")] = None,
    quality: Annotated[bool, typer.Option("--quality", help="How well DOC was read, page by page.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List the library, or show one document."""
    with verb(as_json) as output, opened(home) as kb:
        if quality and key is None:
            from kb.errors import UsageError

            raise UsageError("--quality tells of one document: name it. `vademecum documents` lists them.")
        if key is not None and quality:
            show_quality(output, kb.read_quality(key))
            return
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


def list_duplicates(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List pairs of documents that are alike and not decided: keep them, let one supersede the other, or remove one."""
    if context.invoked_subcommand:
        return
    with verb(as_json) as output, opened(home) as kb:
        _show_duplicates(output, kb.duplicates(undecided=not everything))


def keep(key: DocumentKey, as_json: Json = False, home: Home = None) -> None:
    """Decide that a document is wanted beside those that are like it."""
    with verb(as_json) as output, opened(home, write=True) as kb:
        _show_duplicates(output, kb.keep_duplicate(key))


def _show_duplicates(output: Output, pairs: Sequence[Duplicate]) -> None:
    output.result = {
        "duplicates": [
            {
                "document": pair.document.id,
                "file": pair.document.file,
                "other": pair.other.id,
                "other_file": pair.other.file,
                "share": pair.share,
                "same_text": pair.share == 1,
                "decision": pair.decision,
            }
            for pair in pairs
        ]
    }
    for pair in pairs:
        what = "same text as" if pair.share == 1 else f"{pair.share:.0%} the text of"
        decided = f": {pair.decision}" if pair.decision else ""
        output.say(f"{pair.document.file} ({pair.document.id})  {what}  {pair.other.file} ({pair.other.id}){decided}")
    output.say(f"{len(pairs)} pairs.")


def show_quality(output: Output, quality: ReadQuality) -> None:
    """How well a document was read, as JSON and in words."""
    document = quality.document
    output.result = {
        "document": document_json(document),
        "quality": {
            "pages": [asdict(page) for page in quality.pages],
            "empty": quality.empty,
            "recognised": quality.recognised,
            "unsure": quality.unsure,
            "garbled": quality.garbled,
            "with_tables": quality.with_tables,
            "dropped": [{"page": page.number, "reason": page.dropped} for page in quality.dropped],
            "tables": quality.tables,
            "confidence": quality.confidence,
            "chunks_per_page": round(quality.chunks_per_page, 2),
            "samples": [
                {"page": s.page, "chunk_id": s.chunk.id, "heading": s.chunk.heading, "text": s.chunk.text}
                for s in quality.samples
            ],
        },
    }
    output.say(f"{document.file} ({document.id}), {document.state}: {document.title}")
    if document.reason:
        output.say(document.reason)
    rate = f"{quality.chunks_per_page:.1f} a page with text"
    output.say(f"{counted(len(quality.pages), 'page')}, {counted(document.chunks, 'chunk')}, {rate}")
    for what, numbers in (
        ("read from their image", quality.recognised),
        ("of these unsure", quality.unsure),
        ("with a garbled text layer", quality.garbled),
        ("with tables", quality.with_tables),
        ("empty", quality.empty),
    ):
        if numbers:
            output.say(f"{len(numbers):>6,} {what}: {ranges(numbers)}")
    if quality.confidence is not None:
        output.say(f"recognition is {quality.confidence:.0%} sure on average")
    for reason, which in _by_reason((page.number, page.dropped) for page in quality.dropped).items():
        output.say(f"not found by any search, page {ranges(which)}: {reason}")
    for reason, which in _by_reason((page.number, page.note) for page in quality.noted).items():
        output.say(f"page {ranges(which)}: {reason}")
    for sample in quality.samples:
        output.say(f"\np. {sample.page} {sample.chunk.heading}\n{sample.chunk.text}")


def _by_reason(pages: Iterable[tuple[int, str]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, reason in pages:
        found.setdefault(reason, []).append(number)
    return found


def ranges(numbers: Sequence[int]) -> str:
    """'1–3, 7' for 1, 2, 3, 7."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in runs)


def remove(key: DocumentKey, as_json: Json = False, home: Home = None) -> None:
    """Withdraw a document: it is no longer found, cited or kept."""
    with verb(as_json) as output, opened(home, write=True) as kb:
        removed = kb.remove(key)
        output.result = {"removed": document_json(removed)}
        counts = f"{counted(removed.pages, 'page')}, {counted(removed.chunks, 'chunk')}"
        output.say(f"Removed {removed.file} ({removed.id}): {counts}.")


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
