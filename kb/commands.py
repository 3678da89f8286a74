"""Verbs of the knowledge base: search, ask, documents, remove, rebuild, evaluate, doctor.

Heavy imports stand inside the functions, so that `vademecum --help` is instant. JSON shapes are those of docs/cli.md.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import SOME_FAILED, Home, Json, Output, ProgressLine, verb

if TYPE_CHECKING:
    from kb.evaluate import Question
    from kb.knowledge_base import KnowledgeBase
    from kb.settings import Settings
    from kb.types import Citation, Document, Hit, Turn

AddFiles = Callable[["KnowledgeBase", Sequence[Path]], object]
"""ingest.add.add_paths, handed in by cli.py: kb does not import ingest."""

DocumentKey = Annotated[str, typer.Argument(help="Id (or its beginning) or file name, as `documents` lists them.")]
QuestionText = Annotated[str, typer.Argument(help="The question, in Chinese or English.")]


def register(app: typer.Typer, add_files: AddFiles) -> None:
    """Mount the verbs on `app`."""
    app.command()(search)
    app.command()(ask)
    app.command()(documents)
    app.command()(remove)
    app.command()(rebuild)
    app.command()(doctor)
    evaluate = typer.Typer(no_args_is_help=True, help="Measure retrieval on a question set.")

    @evaluate.command("retrieval")
    def retrieval(
        questions: Annotated[Path, typer.Argument(help="JSON lines {question, gold_passage_ids, …}; .xz, .gz read.")],
        passages: Annotated[
            Path | None, typer.Option(help="JSON lines {id, title, text}: measure over a throw-away library of these.")
        ] = None,
        as_json: Json = False,
        home: Home = None,
    ) -> None:
        """Recall@5, recall@10, MRR@10 and nDCG@10 of the fused search, beside dense and lexical alone."""
        evaluate_retrieval(questions, passages, as_json, home, add_files)

    app.add_typer(evaluate, name="evaluate")


def search(
    question: QuestionText,
    k: Annotated[int | None, typer.Option("-k", min=1, max=100, help="How many passages.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Find the passages nearest to a question."""
    with verb(as_json) as output, _opened(home) as kb:
        hits = kb.search(question, k)
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
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Answer a question from the library, every statement cited."""
    from kb.types import Delta, Finished, Restart

    with verb(as_json) as output, _opened(home, engine=model) as kb:
        for event in kb.ask(question, _read_history(history)):
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
                    "hits": [hit_json(hit) for hit in answer.hits],
                    "seconds": round(answer.seconds, 3),
                }
                output.say("\n")
                if answer.notice:
                    output.say(f"[{answer.notice}]")
                for citation in answer.citations:
                    output.say(f"[{citation.n}] {citation.title}, p. {citation.page}: {_shortened(citation.quote)}")
                if answer.abstained and answer.hits:
                    output.say("Nearest passages:")
                    for hit in answer.hits[:3]:
                        output.say(f" - {_source_line(hit)}: {_shortened(hit.chunk.text)}")


def documents(
    key: Annotated[str | None, typer.Argument(metavar="[DOC]", help="Show this one, with its chunks.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List the library, or show one document."""
    with verb(as_json) as output, _opened(home) as kb:
        if key is None:
            rows = kb.documents()
            output.result = {"documents": [document_json(row) for row in rows]}
            for row in rows:
                output.say(f"{row.id}  {row.state:8} {row.pages:5} pages {row.chunks:6} chunks  {row.file}")
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
    with verb(as_json) as output, _opened(home, write=True) as kb:
        removed = kb.remove(key)
        output.result = {"removed": document_json(removed)}
        output.say(f"Removed {removed.file} ({removed.id}): {removed.pages} pages, {removed.chunks} chunks.")


def rebuild(as_json: Json = False, home: Home = None) -> None:
    """Compute missing vectors and write the index anew from the catalog; the old one answers meanwhile."""
    from kb.knowledge_base import KnowledgeBase

    with verb(as_json) as output, KnowledgeBase.open(_settings(home), write=True, create=False, for_rebuild=True) as kb:
        line = ProgressLine()
        kb.rebuild(lambda step, done, total: line.show(f"{step} {done} of {total} chunks"))
        line.close()
        words, vectors = kb.index.counts
        output.result = {"generation": kb.index.generation, "chunks": words, "vectors": vectors}
        output.say(f"Rebuilt as {kb.index.generation}: {words} chunks, {vectors} vectors.")


def evaluate_retrieval(
    questions: Path, passages: Path | None, as_json: bool, home: Path | None, add_files: AddFiles
) -> None:
    """See `vademecum evaluate retrieval --help`."""
    from kb.evaluate import read_questions
    from kb.knowledge_base import KnowledgeBase

    with verb(as_json) as output:
        rows = read_questions(questions)
        if passages is None:
            with _opened(home) as kb:
                _measure(output, kb, rows, None)
            return
        with tempfile.TemporaryDirectory(prefix="vademecum-evaluate-") as folder:
            ids, records = _passage_records(passages, Path(folder))
            settings = _settings(Path(folder) / "home")
            with KnowledgeBase.open(settings, write=True) as kb:
                add_files(kb, [records])
                _measure(output, kb, rows, ids)


def doctor(as_json: Json = False, home: Home = None) -> None:
    """Check the installation and the home: catalog, originals, index, embedder."""
    from kb.doctor import examine

    with verb(as_json) as output:
        findings = examine(_settings(home))
        output.result = {"checks": [asdict(finding) for finding in findings], "ok": all(f.ok for f in findings)}
        for finding in findings:
            output.say(f"{'ok  ' if finding.ok else 'FAIL'} {finding.name}: {finding.detail}")
        if not all(finding.ok for finding in findings):
            output.code = SOME_FAILED


# -- pieces ------------------------------------------------------------------------------------------------------


def _settings(home: Path | None, **overrides: object) -> Settings:
    from kb.settings import load_settings

    return load_settings(home=home, **overrides)


def _opened(home: Path | None, *, write: bool = False, engine: str | None = None) -> KnowledgeBase:
    from kb.knowledge_base import KnowledgeBase

    return KnowledgeBase.open(_settings(home, engine=engine), write=write, create=False)


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


def _passage_records(passages: Path, folder: Path) -> tuple[list[str], Path]:
    """Write the passages as a record file; returns their ids in record order, and the file."""
    from kb.errors import UsageError
    from kb.evaluate import read_rows

    ids: list[str] = []
    records = folder / "passages.jsonl"
    with records.open("w", encoding="utf-8") as file:
        for number, row in enumerate(read_rows(passages), start=1):
            if "id" not in row or not isinstance(row.get("text"), str):
                raise UsageError(f"{passages.name}, row {number}: needs 'id' and 'text'.")
            ids.append(str(row["id"]))
            record = {"title": row.get("title") or "", "text": row["text"]}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return ids, records


def _measure(output: Output, kb: KnowledgeBase, questions: Sequence[Question], ids: Sequence[str] | None) -> None:
    from kb.evaluate import METRICS, report, report_json

    runs: dict[str, list[list[str]]] = {}
    line = ProgressLine()
    for done, question in enumerate(questions, start=1):
        for stage, hits in kb.retriever.stages(question.text).items():
            runs.setdefault(stage, []).append(_distinct(_passage_ids(hits, ids, question.gold)))
        line.show(f"question {done} of {len(questions)}")
    line.close()
    reports = {stage: report(questions, run) for stage, run in runs.items()}
    output.result = {**report_json(reports["fused"]), "stages": {s: report_json(r) for s, r in reports.items()}}
    output.say(f"{'':10}" + "".join(f"{name:>24}" for name in METRICS))
    for stage, one in reports.items():
        cells = [f"{one.means[m]:.3f} [{one.intervals[m][0]:.3f}, {one.intervals[m][1]:.3f}]" for m in METRICS]
        output.say(f"{stage:10}" + "".join(f"{cell:>24}" for cell in cells))
    for source, one in reports["fused"].by_source.items():
        output.say(f"fused on {source} ({one.n}): " + ", ".join(f"{m} {one.means[m]:.3f}" for m in METRICS))
    output.say(f"{len(questions)} questions.")


def _passage_ids(hits: Iterable[Hit], ids: Sequence[str] | None, gold: Sequence[str]) -> list[str]:
    """By what name each hit may be gold: its passage in a throw-away library, else chunk, document, file, file#page."""
    if ids is not None:
        return [ids[page - 1] for hit in hits for page in hit.chunk.pages[:1]]
    wanted = set(gold)
    names = []
    for hit in hits:
        mine = [hit.chunk.id, hit.document.id, hit.document.file]
        mine += [f"{hit.document.file}#{page}" for page in hit.chunk.pages]
        names.append(next((name for name in mine if name in wanted), hit.chunk.id))
    return names


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


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


def document_json(document: Document) -> dict[str, object]:
    """A document at the wire edge."""
    row = asdict(document)
    row["document"] = row.pop("id")
    return row


def _source_line(hit: Hit) -> str:
    pages = ", ".join(map(str, hit.chunk.pages))
    heading = f" › {hit.chunk.heading}" if hit.chunk.heading else ""
    return f"{hit.document.title}{heading}, p. {pages}"


def _shortened(text: str, limit: int = 200) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
