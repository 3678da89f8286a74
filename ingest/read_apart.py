"""Any file but a PDF in, Head, Pages and Tail out, through a child process that may be killed (ingest.office_child).

What the child sends becomes typed values here or the file is refused. The wait is limited; a child that dies of its
limits is named as that.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from ingest.frames import BrokenFrame, Frames, command, surroundings
from ingest.read import Head, ReadEvent, Reading, ReadLimits, Tail
from kb.errors import ReadError
from kb.types import DocumentKind, Line, LineRole, OutlineEntry, Page

_CPU_S_PER_MB = 0.5
_WALL = 2.0  # wall limit over CPU limit: the machine may be busy


def read_apart(path: Path, limits: ReadLimits, first_page: int = 1, *, name: Path) -> Reading:
    """Read `path`, whose format `name` tells. Raises ReadError with a reason a person can act on."""
    cpu_s = round(limits.cpu_s + _CPU_S_PER_MB * path.stat().st_size / (1 << 20))
    order = {
        "path": str(path.resolve()),
        "name": name.name.encode("utf-8", "replace").decode(),
        "cpu_s": cpu_s,
        "file_bytes": limits.file_bytes,
        "pages": limits.pages,
        "page_chars": limits.page_chars,
        "memory_bytes": limits.memory_bytes,
    }
    process = subprocess.Popen(
        command("ingest.office_child", order),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=surroundings(),
        start_new_session=True,  # Ctrl-C belongs to the parent, which then stops the child itself
    )
    assert process.stdout is not None
    frames = Frames(process.stdout.fileno())
    try:
        for event in _events(process, frames, limits, _WALL * cpu_s):
            if not isinstance(event, Page) or event.number >= first_page:
                yield event
    finally:
        frames.close()
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def _events(process: subprocess.Popen[bytes], frames: Frames, limits: ReadLimits, wall_s: float) -> Iterator[ReadEvent]:
    last = 0
    try:
        while (frame := frames.read(max(0.0, wall_s - frames.waited))) is not None:
            if "head" in frame:
                yield _head(frame["head"], limits)
            elif "page" in frame:
                page = _page(frame["page"], last)
                last = page.number
                yield page
            elif "tail" in frame:
                tail = frame["tail"]
                yield Tail(
                    _outline(tail["outline"]), _metadata(tail), tuple(str(note)[:1000] for note in tail["notes"])
                )
            elif "end" in frame:
                return
            else:
                raise ReadError(_told(str(frame.get("error", ""))[:300], limits))
    except TimeoutError:
        raise ReadError("took too long to read and was stopped") from None
    except BrokenFrame as error:
        raise ReadError(f"could not be read: its reader {error}") from None
    except (KeyError, TypeError, ValueError):
        raise ReadError("could not be read: its reader sent something broken") from None
    raise ReadError(_ended(process, limits))


def _told(error: str, limits: ReadLimits) -> str:
    return _memory(limits) if error == "memory" else error or "could not be read"


def _memory(limits: ReadLimits) -> str:
    return f"needs more memory to read than it may have ({limits.memory_bytes / (1 << 30):.1f} GiB, read_memory_mb)"


def _ended(process: subprocess.Popen[bytes], limits: ReadLimits) -> str:
    """Why the child did not finish."""
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return "took longer than its share of processor time and was stopped"
    if code == -signal.SIGABRT:
        return _memory(limits)
    return f"crashed its reader (signal {-code})" if code < 0 else f"stopped its reader (exit code {code})"


# -- frames to values ------------------------------------------------------------------------------------------------


def _head(head: dict[str, Any], limits: ReadLimits) -> Head:
    pages, kind = int(head["pages"]), head["kind"]
    if pages == 0:
        raise ReadError("has no text in it")
    if kind not in get_args(DocumentKind):
        raise ValueError(kind)
    if pages > limits.pages and kind not in ("records", "monographs"):
        raise ReadError(f"has {pages:,} parts, more than the limit of {limits.pages:,} (max_pages)")
    return Head(kind, pages, _outline(head["outline"]), _metadata(head), str(head["title"])[:500])


def _page(page: dict[str, Any], last: int) -> Page:
    number = int(page["number"])
    if number <= last:
        raise ValueError(number)
    lines = tuple(Line(str(text), None, float(size), _role(role)) for text, size, role in page["lines"])
    return Page(
        number,
        lines,
        label=str(page["label"])[:200],
        reader=str(page["reader"])[:40],
        note=str(page["note"])[:200],
        tables=int(page["tables"]),
    )


def _role(role: Any) -> LineRole:
    if role not in get_args(LineRole):
        raise ValueError(role)
    return role  # type: ignore[no-any-return]


def _outline(entries: Any) -> tuple[OutlineEntry, ...]:
    return tuple(OutlineEntry(str(title), int(level), int(page)) for title, level, page in entries)


def _metadata(frame: dict[str, Any]) -> dict[str, str]:
    return {str(key)[:40]: str(value)[:500] for key, value in frame["metadata"].items() if value}
