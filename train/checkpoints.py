"""Checkpoints that are whole or absent: written under a temporary name, synced, marked, renamed; the newest two kept.

The marker lists every file with its size, so that what a full disk or a killed machine cut short is never resumed
from. Only checkpoints with a marker of ours are opened again: they are the one place where a training state, which
torch keeps as a pickle, is read.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

from kb.errors import KBError

MARKER = "vademecum-complete.json"
WRITING = ".writing"
_PREFIX = "checkpoint-"


class DiskFull(KBError):
    """A checkpoint did not fit; the one before it is intact."""


def newest_complete(run: Path) -> Path | None:
    """The newest checkpoint of `run` that is whole."""
    return next((folder for _, folder in reversed(_numbered(run)) if is_complete(folder)), None)


def is_complete(folder: Path) -> bool:
    """Whether the marker is there and every file it lists has the size it lists."""
    try:
        files = json.loads((folder / MARKER).read_text())["files"]
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def seal(written: Path, run: Path, *, keep: int = 2) -> Path:
    """Make `written` (run/.writing/checkpoint-N) durable under its own name, then drop all but the newest `keep`.

    Raises DiskFull; what was sealed before stays.
    """
    target = run / written.name
    try:
        files = sorted(path for path in written.rglob("*") if path.is_file())
        for path in files:
            sync(path)
        marker = {"files": {str(path.relative_to(written)): path.stat().st_size for path in files}}
        part = written / (MARKER + ".part")
        part.write_text(json.dumps(marker))
        sync(part)
        part.rename(written / MARKER)
        for folder in {path.parent for path in files} | {written}:
            sync(folder)
        if target.exists():
            shutil.rmtree(target)
        written.rename(target)
        sync(run)
    except OSError as error:
        raise told(error, run) from error
    for _, old in _numbered(run)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def clear_unfinished(run: Path) -> None:
    """Remove what a killed or failed write left behind."""
    shutil.rmtree(run / WRITING, ignore_errors=True)
    for _, folder in _numbered(run):
        if not is_complete(folder):
            shutil.rmtree(folder, ignore_errors=True)


def told(error: OSError, run: Path) -> KBError:
    """What a failed write means to the one who started the run."""
    good = newest_complete(run)
    kept = f"{good.name} is intact" if good else "no checkpoint was complete yet"
    if error.errno == errno.ENOSPC:
        return DiskFull(f"The disk of {run} is full; {kept}. Free space, then resume it (`vademecum train resume`).")
    return KBError(f"A checkpoint could not be written to {run}: {error.strerror or error}; {kept}.")


def check_room(run: Path, needed: int) -> None:
    """Raises DiskFull when fewer than `needed` bytes are free: better before the write than in its midst."""
    free = shutil.disk_usage(run).free
    if free < needed:
        good = newest_complete(run)
        kept = f"{good.name} is intact" if good else "no checkpoint was complete yet"
        raise DiskFull(
            f"A checkpoint needs about {needed >> 20} MiB and the disk of {run} has {free >> 20}; {kept}. "
            "Free space, then resume it (`vademecum train resume`)."
        )


def _numbered(run: Path) -> list[tuple[int, Path]]:
    """The checkpoints of `run`, oldest first."""
    found = [
        (int(path.name.removeprefix(_PREFIX)), path)
        for path in run.glob(f"{_PREFIX}*")
        if path.name.removeprefix(_PREFIX).isdigit()
    ]
    return sorted(found)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before going on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
