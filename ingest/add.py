"""Files in, documents in the library out, waiting for each: what the verb add does.

Each file becomes a job (ingest.take_in) that is run here at once, in order; killed, it is a job still, and goes on when
the app runs or the file is added again. What goes wrong with one file is its result, never the end of the run. What the
bytes are is decided by their hash: the same file again is a no-op that says so.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ingest.jobs import handlers, see_through, submit_embedding
from ingest.read import ReadLimits, check_size, check_type, is_supported
from ingest.take_in import Step, submit_file
from kb.audit import COMMAND_LINE
from kb.editions import DocumentDetails, check_date
from kb.errors import ReadError, StoreError, UsageError
from kb.jobs import Job, JobQueue
from kb.knowledge_base import KnowledgeBase
from kb.types import READ_STATES, DocumentState
from kb.worker import Worker

_PUBLISH_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one file is in one step; `embed` counts chunks over all files and has no file."""

    file: str
    step: Step
    done: int
    total: int
    left_s: float | None = None
    """Estimated from the step's rate."""


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
    alike: Sequence[Mapping[str, Any]] = ()
    """Documents of the library that say the same, or much of the same: {document, share}, as kb.types.Alike."""


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
            results.append(Added(spelt(file), "", "failed", reason="not read: the run was stopped before it"))
            continue
        added = Added(spelt(file), "", "failed", reason=refusal) if refusal else run.add(file)
        results.append(added)
        waiting = waiting or added.status == "added"
        if waiting and time.monotonic() - published > _PUBLISH_EVERY_S:
            kb.publish()
            published, waiting = time.monotonic(), False
    if waiting:
        kb.publish()
    if embed and not run.stopped():
        run.embed()
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


def spelt(path: Path) -> str:
    """The path as text that can be stored and shown: names from old archives need not be UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def hash_of(file: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


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
        self._queue = JobQueue(kb.store)
        self._worker = Worker(self._queue, handlers(kb), stopping=self.stopped)

    def stopped(self) -> bool:
        return bool(self._cancelled and self._cancelled())

    def add(self, file: Path) -> Added:
        """Take in one file, whatever may be wrong with it."""
        name = spelt(file)
        try:
            check_size(file, self._limits)
            sha256 = hash_of(file)
            known = self._kb.store.document(sha256[:16])
            if known is not None and known.sha256 == sha256 and known.state in READ_STATES:
                reason = f"already in the library as {known.file}"
                return Added(name, known.id, "known", known.pages, known.chunks, reason, known.state)
            return self._run(file, name, sha256)
        except ReadError as error:
            return Added(name, "", "failed", reason=str(error))
        except StoreError as error:
            return Added(name, "", "failed", reason=str(error))  # nothing more can be written, perhaps
        except OSError as error:
            return Added(name, "", "failed", reason=f"cannot be read: {error.strerror or error}")

    def _run(self, file: Path, name: str, sha256: str) -> Added:
        self._kb.store.put_blob(file, sha256)
        size, short = file.stat().st_size, spelt(Path(file.name))
        job = submit_file(self._queue, short, sha256, size, self._details, draft=self._draft, by=COMMAND_LINE)
        job = self._seen_through(job, lambda job: self._tell(name, job))
        if job.state == "done":
            return Added(name, status="added", **job.result)
        reason = job.reason if job.over else "stopped; add it again to go on from there"
        return Added(name, sha256[:16], "failed", reason=reason)

    def embed(self) -> None:
        """Compute the vectors that are missing."""
        job = submit_embedding(self._queue)
        self._seen_through(job, lambda job: self._tell("", job))

    def _seen_through(self, job: Job, watch: Callable[[Job], None]) -> Job:
        return see_through(self._queue, self._worker, job, watch, self.stopped)

    def _tell(self, file: str, job: Job) -> None:
        if self._progress and job.step in ("read", "chunk", "store", "embed"):
            self._progress(Progress(file, job.step, job.done, job.total, job.left_s))  # type: ignore[arg-type]
