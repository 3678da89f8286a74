"""Files in, documents in the library out: read, clean, chunk, store, publish, embed.

Each file is on its own: what goes wrong with one is its result, never the end of the run. A document appears in one
transaction when it is complete; until then its pages are stored batch by batch, so that a killed run goes on where it
was. What the bytes are is decided by their hash: the same file again is a no-op that says so.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import structlog

from ingest.chunk import chunk_pages
from ingest.clean import clean_pages
from ingest.quality import read_badly
from ingest.read import Head, ReadLimits, Tail, check_size, check_type, is_supported, read, resumable
from ingest.title import choose_title
from kb.editions import DocumentDetails, check_date
from kb.errors import KBError, ReadError, StoreError, UsageError
from kb.knowledge_base import KnowledgeBase
from kb.terms import storable
from kb.types import Chunk, Document, DocumentKind, DocumentState, Language, OutlineEntry, Page

_log = structlog.get_logger("vademecum")

Step = Literal["read", "chunk", "store", "embed"]

_READ = ("draft", "ready", "superseded")
_BATCH_PAGES = 64
_BATCH_S = 2.0  # pages are stored at least this often, so that little is lost to a kill
_PUBLISH_EVERY_S = 2.0
_HEADROOM = 36  # tokens kept free in the embedder for the section path
_NAMED_PAGES = 12


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one file is in one step; `embed` counts chunks over all files and has no file."""

    file: str
    step: Step
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Added:
    """What came of one file. `document` is empty if it never got an id."""

    file: str
    document: str
    status: Literal["added", "known", "failed"]
    pages: int = 0
    chunks: int = 0
    reason: str = ""
    state: DocumentState | Literal[""] = ""
    """The document's: 'ready' or 'draft' when it was added."""


class _Cancelled(Exception):
    """The caller wants to stop."""


@dataclass(slots=True)
class _Reading:
    """What has been read of one document so far."""

    kind: DocumentKind = "pdf"
    total: int = 0
    pages: list[Page] = field(default_factory=list)
    outline: tuple[OutlineEntry, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    title: str = ""
    notes: tuple[str, ...] = ()


def add_paths(
    kb: KnowledgeBase,
    paths: Sequence[Path],
    *,
    details: DocumentDetails | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    embed: bool = True,
    draft: bool = False,
) -> list[Added]:
    """Add files, and all files in folders, to the library. Returns one Added per file, in order.

    Documents are searchable by their words as soon as they are committed; vectors follow at the end (`embed`).
    A `draft`, or what was read badly, is found only after an admin has published it.
    Raises UsageError for wrong `details`, and KBError only if the index itself cannot be brought level.
    """
    files = list(_walk(paths))
    run = _Run(kb, _checked(kb, details or DocumentDetails(), files), progress, cancelled, draft=draft)
    results: list[Added] = []
    published = time.monotonic()
    waiting = False
    for file, refusal in files:
        if run.stopped():
            results.append(Added(_spelt(file), "", "failed", reason="not read: the run was stopped before it"))
            continue
        added = Added(_spelt(file), "", "failed", reason=refusal) if refusal else run.add(file)
        results.append(added)
        waiting = waiting or added.status == "added"
        if waiting and time.monotonic() - published > _PUBLISH_EVERY_S:
            kb.publish()
            published, waiting = time.monotonic(), False
    if waiting:
        kb.publish()
    if embed and not run.stopped():
        kb.embed_pending(run.embedding, cancelled)
    return results


# -- which files -------------------------------------------------------------------------------------------------------


def _walk(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """(file, why it cannot be read or '') in order; folders are walked, hidden names skipped, no link followed."""
    for path in paths:
        if path.is_dir():
            yield from _walk_folder(path)
        else:
            yield path, _refusal(path)


def _walk_folder(folder: Path) -> Iterator[tuple[Path, str]]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                path = Path(place) / name
                if path.is_symlink():
                    yield path, "is a link; name the file itself to add it"
                else:
                    yield path, "" if is_supported(path) and path.is_file() else _refusal(path)


def _refusal(path: Path) -> str:
    try:
        if not path.exists():
            return "no such file or folder"
        if not path.is_file():
            return "is no regular file"
        check_type(path)
    except ReadError as error:
        return str(error)
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    return ""


def _checked(kb: KnowledgeBase, details: DocumentDetails, files: Sequence[tuple[Path, str]]) -> DocumentDetails:
    """The details with `supersedes` as a document id. Raises UsageError if they cannot be meant so."""
    if replace(details, issuer="", collection="") != DocumentDetails() and len(files) != 1:
        raise UsageError(
            f"Title, edition, issue date and superseded document describe one file, but {len(files)} were named. "
            "Add that file by itself."
        )
    check_date(details.issued)
    if details.supersedes:
        older = kb.store.document(details.supersedes)
        if older is None:
            raise UsageError(
                f"No document '{details.supersedes}' in the library to supersede. `vademecum documents` lists them."
            )
        return replace(details, supersedes=older.id)
    return details


def _spelt(path: Path) -> str:
    """The path as text that can be stored and shown: names from old archives need not be UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


# -- one file ----------------------------------------------------------------------------------------------------------


class _Run:
    """One call of add_paths: what its files share."""

    def __init__(
        self,
        kb: KnowledgeBase,
        details: DocumentDetails,
        progress: Callable[[Progress], None] | None,
        cancelled: Callable[[], bool] | None,
        *,
        draft: bool = False,
    ) -> None:
        self._kb = kb
        self._details = details
        self._progress = progress
        self._cancelled = cancelled
        self._draft = draft
        self._limits = ReadLimits.of(kb.settings)

    def stopped(self) -> bool:
        return bool(self._cancelled and self._cancelled())

    def embedding(self, done: int, total: int) -> None:
        self._tell("", "embed", done, total)

    def add(self, file: Path) -> Added:
        """Take in one file, whatever may be wrong with it."""
        document: Document | None = None
        try:
            check_size(file, self._limits)
            document = self._described(file)
            known = self._kb.store.document(document.id)
            if known is not None and known.id == document.id and known.state in _READ:
                reason = f"already in the library as {known.file}"
                return Added(_spelt(file), known.id, "known", known.pages, known.chunks, reason, known.state)
            return self._ingest(file, document)
        except ReadError as error:
            return self._failed(file, document, str(error))
        except _Cancelled:
            reason = "stopped; add it again to go on from there"
            return Added(_spelt(file), document.id if document else "", "failed", reason=reason)
        except StoreError as error:
            # Nothing more can be written, perhaps; pages already stored stay for the next try.
            return Added(_spelt(file), document.id if document else "", "failed", reason=str(error))
        except UnicodeError as error:
            return self._failed(file, document, f"holds characters that cannot be stored ({error})")
        except OSError as error:
            return self._failed(file, document, f"cannot be read: {error.strerror or error}")

    def _described(self, file: Path) -> Document:
        with file.open("rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        return Document(
            id=sha256[:16],
            sha256=sha256,
            file=_spelt(Path(file.name)),
            title=self._details.title or _spelt(Path(file.stem)),
            kind="pdf",
            bytes=file.stat().st_size,
            state="reading",
            added=datetime.now(UTC).isoformat(timespec="milliseconds"),
            edition=self._details.edition,
            issued=self._details.issued,
            supersedes=self._details.supersedes,
            issuer=self._details.issuer,
            collection=self._details.collection,
        )

    def _ingest(self, file: Path, document: Document) -> Added:
        store = self._kb.store
        blob = store.put_blob(file, document.sha256)
        reading = self._read(file, blob, document)
        self._tell(str(file), "chunk", 0, 1)
        chunks, language = self._chunk(document, reading)
        self._tell(str(file), "store", 0, 1)
        title = self._details.title or storable(
            choose_title(reading.kind, reading.title, reading.pages, Path(_spelt(file)))
        )
        doubts = self._doubts(reading)
        finished = replace(
            document,
            title=title,
            kind=reading.kind,
            state="draft" if doubts else "ready",
            reason="; ".join(filter(None, (*doubts, _reason(reading)))),
            pages=len(reading.pages),
            language=language,
            metadata=reading.metadata,
        )
        store.finish_document(finished, chunks)
        self._tell(str(file), "store", 1, 1)
        made = (finished.pages, len(chunks), finished.reason, finished.state)
        return Added(_spelt(file), document.id, "added", *made)

    def _doubts(self, reading: _Reading) -> list[str]:
        """Why the document must be looked at before it is searched; empty if it need not be."""
        if self._draft or self._kb.settings.publish == "manual":
            return ["not published yet"]
        badly = read_badly(reading.pages)
        return [badly] if badly else []

    def _read(self, file: Path, blob: Path, document: Document) -> _Reading:
        """All pages, those of an earlier, killed try first. New ones are stored as they come."""
        reading = _Reading(pages=self._earlier_pages(file, document))
        batch: list[Page] = []
        flushed = time.monotonic()
        with closing(read(blob, self._limits, len(reading.pages) + 1, name=file)) as events:
            for event in events:
                if self.stopped():
                    self._kb.store.add_pages(document.id, batch)
                    raise _Cancelled
                if isinstance(event, Page):
                    page = _storable(event)
                    batch.append(page)
                    reading.pages.append(page)
                    self._tell(str(file), "read", len(reading.pages), max(reading.total, len(reading.pages)))
                    if len(batch) >= _BATCH_PAGES or time.monotonic() - flushed > _BATCH_S:
                        self._kb.store.add_pages(document.id, batch)
                        batch, flushed = [], time.monotonic()
                else:
                    _take(reading, event)
        self._kb.store.add_pages(document.id, batch)
        _refuse_without_text(reading)
        return reading

    def _earlier_pages(self, file: Path, document: Document) -> list[Page]:
        store = self._kb.store
        if store.start_document(document) == 0:
            return []
        version = resumable(file)
        pages = list(store.pages(document.id)) if version else []
        if pages and all(page.number == i and page.reader == version for i, page in enumerate(pages, start=1)):
            return pages
        store.drop_pages(document.id)
        return []

    def _chunk(self, document: Document, reading: _Reading) -> tuple[list[Chunk], Language]:
        embedder = self._kb.embedder
        clean = clean_pages(reading.pages)
        if not any(page.lines for page in clean):
            clean = reading.pages  # nothing but what looks like furniture: then it is the text
        chunks = list(
            chunk_pages(
                document.id,
                clean,
                outline=reading.outline,
                count_tokens=embedder.count_tokens,
                max_tokens=min(self._kb.settings.chunk_tokens, embedder.max_tokens - _HEADROOM),
                kind=reading.kind,
            )
        )
        if not chunks:
            raise ReadError("has no text that could be made into passages")
        return chunks, Counter(chunk.language for chunk in chunks).most_common(1)[0][0]

    def _failed(self, file: Path, document: Document | None, reason: str) -> Added:
        if document is not None:
            try:
                self._kb.store.fail_document(replace(document, state="failed", reason=reason))
            except KBError as error:
                _log.warning("a failed document could not be noted", file=file.name, reason=str(error))
        return Added(_spelt(file), document.id if document else "", "failed", reason=reason)

    def _tell(self, file: str, step: Step, done: int, total: int) -> None:
        if self._progress:
            self._progress(Progress(file, step, done, total))


def _storable(page: Page) -> Page:
    """The page without half characters; almost always itself."""
    if storable(page.text) == page.text and storable(page.label) == page.label:
        return page
    lines = tuple(replace(line, text=storable(line.text)) for line in page.lines)
    return replace(page, lines=lines, label=storable(page.label))


def _take(reading: _Reading, event: Head | Tail) -> None:
    reading.metadata |= {key: value for key, value in event.metadata.items() if value}
    reading.outline = reading.outline or event.outline
    if isinstance(event, Head):
        reading.kind, reading.total, reading.title = event.kind, event.pages, event.title or _title_of(event.metadata)
    else:
        reading.notes = event.notes
        reading.title = reading.title or _title_of(event.metadata)


def _title_of(metadata: Mapping[str, str]) -> str:
    return metadata.get("title", "")


def _refuse_without_text(reading: _Reading) -> None:
    if any(page.lines for page in reading.pages):
        return
    count = len(reading.pages)
    if reading.kind == "pdf":
        pages = "its only page" if count == 1 else f"any of its {count} pages"
        raise ReadError(f"no text layer on {pages} (scanned?); scanned pages cannot be read yet")
    raise ReadError("has no text in it")


def _reason(reading: _Reading) -> str:
    """What an admin should know of a document that was read: nothing is left out silently."""
    empty = [page.number for page in reading.pages if not page.lines]
    notes = [f"page {page.number}: {page.note}" for page in reading.pages if page.note and page.lines]
    parts = list(reading.notes)
    if empty:
        named = ", ".join(map(str, empty[:_NAMED_PAGES]))
        more = f" and {len(empty) - _NAMED_PAGES} more" if len(empty) > _NAMED_PAGES else ""
        verb = "has" if len(empty) == 1 else "have"
        parts.append(f"{len(empty)} of {len(reading.pages)} pages {verb} no text: {named}{more}")
    parts += notes[:5] + ([f"and {len(notes) - 5} more such pages"] if len(notes) > 5 else [])
    return "; ".join(parts)
