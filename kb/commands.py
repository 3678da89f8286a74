"""Verbs of the knowledge base: search, ask, rebuild, doctor. (Others: kb.document_commands, kb.evaluate_commands.)

Heavy imports stand inside the functions, so that `vademecum --help` is instant. JSON shapes are those of docs/cli.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import kb.evaluate_commands
from kb import document_commands
from kb.console import SOME_FAILED, Home, Json, ProgressLine, opened, settings_of, verb

if TYPE_CHECKING:
    from kb.jobs import Job
    from kb.knowledge_base import KnowledgeBase
    from kb.types import Citation, Conflict, Hit, Turn

AddFiles = Callable[["KnowledgeBase", Sequence[Path]], object]
"""ingest.add.add_paths, handed in by cli.py: kb does not import ingest."""

RechunkAll = Callable[["KnowledgeBase", Callable[["Job"], None]], "Job"]
"""ingest.jobs.rechunk_here, likewise."""

InDocuments = Annotated[
    list[str] | None, typer.Option("--document", metavar="DOC", help="Only in this document; may be given again.")
]
InCollection = Annotated[str, typer.Option("--collection", help="Only in documents of this collection.")]
AsOf = Annotated[
    str, typer.Option("--as-of", metavar="DATE", help="Only what was in force then: issued, not yet superseded.")
]
QuestionText = Annotated[str, typer.Argument(help="The question, in Chinese or English.")]


def register(app: typer.Typer, add_files: AddFiles, rechunk: RechunkAll) -> None:
    """Mount the verbs on `app`."""
    app.command()(search)
    app.command()(ask)
    document_commands.register(app)

    @app.command("rebuild")
    def rebuild_verb(
        rechunk_too: Annotated[
            bool,
            typer.Option(
                "--rechunk", help="First cut anew, from the stored pages, what another chunker or embedder was."
            ),
        ] = False,
        as_json: Json = False,
        home: Home = None,
    ) -> None:
        """Compute missing vectors and write the index anew from the catalog; the old one answers meanwhile."""
        rebuild(as_json, home, rechunk if rechunk_too else None)

    app.command()(doctor)
    kb.evaluate_commands.register(app, add_files)


def search(
    question: QuestionText,
    k: Annotated[int | None, typer.Option("-k", min=1, max=100, help="How many passages.")] = None,
    document: InDocuments = None,
    collection: InCollection = "",
    as_of: AsOf = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Find the passages nearest to a question."""
    with verb(as_json) as output, opened(home) as kb:
        hits = kb.search(question, k, kb.scope(document or (), collection, as_of))
        output.result = {"hits": [hit_json(hit) for hit in hits]}
        for rank, hit in enumerate(hits, start=1):
            output.say(f"{rank}. {_source_line(hit)}\n   {_shortened(hit.chunk.text)}")
        if not hits:
            output.say("Nothing found.")


def ask(
    question: QuestionText,
    model: Annotated[
        str | None, typer.Option(help="Engine for this question: extractive, transformers or openai.")
    ] = None,
    history: Annotated[Path | None, typer.Option(help="JSON file: a list of {role, content}, oldest first.")] = None,
    document: InDocuments = None,
    collection: InCollection = "",
    as_of: AsOf = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Answer a question from the library, every statement cited."""
    from kb.types import Delta, Finished, Restart

    with verb(as_json) as output, opened(home, engine=model) as kb:
        scope = kb.scope(document or (), collection, as_of)
        for event in kb.ask(question, _read_history(history), scope):
            if isinstance(event, Delta):
                output.say(event.text, end="")
            elif isinstance(event, Restart):
                output.say(f"\n\n[{event.notice}]\n")
            elif isinstance(event, Finished):
                answer = event.answer
                output.result = {
                    "answer": answer.text,
                    "citations": [citation_json(citation) for citation in answer.citations],
                    "abstained": answer.abstained,
                    "engine": answer.engine,
                    "notice": answer.notice,
                    "statements": [asdict(statement) for statement in answer.statements],
                    "conflicts": [conflict_json(conflict) for conflict in answer.conflicts],
                    "searched_as": answer.searched_as,
                    "intent": answer.intent,
                    "confidence": None if answer.confidence is None else round(answer.confidence, 3),
                    "hits": [hit_json(hit) for hit in answer.hits],
                    "seconds": round(answer.seconds, 3),
                }
                output.say("\n")
                if answer.notice:
                    output.say(f"[{answer.notice}]")
                for conflict in answer.conflicts:
                    output.say(f"[{conflict.told}]")
                for citation in answer.citations:
                    output.say(f"[{citation.n}] {citation.title}, p. {citation.page}: {_shortened(citation.quote)}")
                if answer.abstained and answer.hits:
                    output.say("Nearest passages:")
                    for hit in answer.hits[:3]:
                        output.say(f" - {_source_line(hit)}: {_shortened(hit.chunk.text)}")


def rebuild(as_json: bool, home: Path | None, rechunk: RechunkAll | None) -> None:
    """See `vademecum rebuild --help`."""
    from kb.errors import KBError
    from kb.knowledge_base import KnowledgeBase

    with (
        verb(as_json) as output,
        KnowledgeBase.open(settings_of(home), write=True, create=False, for_rebuild=True) as kb,
    ):
        line = ProgressLine()
        if rechunk is not None:
            job = rechunk(kb, lambda job: line.show(f"{job.step} {job.done:,} of {job.total:,}"))
            if job.state != "done":
                raise KBError(f"Cutting anew ended as {job.state}: {job.reason}. The library is as it was.")
            output.result |= {"rechunked": job.result["documents"], "left": job.result["left"]}
            output.say(f"Cut anew: {job.result['documents']} documents.")
            for file, why in job.result["left"].items():
                output.say(f"left as it was: {file}: {why}")
        kb.rebuild(lambda step, done, total: line.show(f"{step} {done} of {total} chunks"))
        line.close()
        words, vectors = kb.index.counts
        output.result |= {"generation": kb.index.generation, "chunks": words, "vectors": vectors}
        output.say(f"Rebuilt as {kb.index.generation}: {words} chunks, {vectors} vectors.")


def doctor(as_json: Json = False, home: Home = None) -> None:
    """Check the installation and the home: catalog, originals, index, embedder."""
    from kb.doctor import examine

    with verb(as_json) as output:
        findings = examine(settings_of(home))
        output.result = {"checks": [asdict(finding) for finding in findings], "ok": all(f.ok for f in findings)}
        for finding in findings:
            output.say(f"{'ok  ' if finding.ok else 'FAIL'} {finding.name}: {finding.detail}")
        if not all(finding.ok for finding in findings):
            output.code = SOME_FAILED


# -- pieces ------------------------------------------------------------------------------------------------------


def _read_history(path: Path | None) -> list[Turn]:
    from kb.errors import UsageError
    from kb.types import Turn

    if path is None:
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(rows, list) or not all(isinstance(row["content"], str) for row in rows):
            raise TypeError("every content must be text")
        return [Turn(row["role"], row["content"]) for row in rows if row["role"] in ("user", "assistant")]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"History {path} is not a JSON list of {{role, content}}: {error}.") from None


def hit_json(hit: Hit) -> dict[str, object]:
    """A hit at the wire edge."""
    return {
        "chunk_id": hit.chunk.id,
        "document": hit.document.id,
        "file": hit.document.file,
        "title": hit.document.title,
        "pages": list(hit.chunk.pages),
        "heading": hit.chunk.heading,
        "score": round(hit.score, 6),
        "text": hit.chunk.text,
        "dense_rank": hit.dense_rank,
        "lexical_rank": hit.lexical_rank,
    }


def citation_json(citation: Citation) -> dict[str, object]:
    """A citation at the wire edge."""
    return {
        "n": citation.n,
        "chunk_id": citation.chunk_id,
        "document": citation.document,
        "file": citation.file,
        "title": citation.title,
        "page": citation.page,
        "quote": citation.quote,
        "boxes": [[round(value, 2) for value in box] for box in citation.boxes],
    }


def conflict_json(conflict: Conflict) -> dict[str, object]:
    """A conflict at the wire edge."""
    sides = [
        {
            "citation": citation_json(side.citation),
            "edition": side.edition,
            "issued": side.issued,
            "values": side.values,
        }
        for side in conflict.sides
    ]
    return {"kind": conflict.kind, "told": conflict.told, "sides": sides}


def _source_line(hit: Hit) -> str:
    pages = ", ".join(map(str, hit.chunk.pages))
    heading = f" › {hit.chunk.heading}" if hit.chunk.heading else ""
    return f"{hit.document.title}{heading}, p. {pages}"


def _shortened(text: str, limit: int = 200) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
