"""The home directory: is it ours, and who writes to it. One process writes to a home; any number may read.

The lock file holds who has it, so that the second process can be told. The lock itself is the operating system's
(filelock), so a killed process leaves nothing to clean up.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from kb.errors import HomeBusy, HomeError

CATALOG = "catalog.sqlite"
CALIBRATION = "abstention.json"
"""The calibration fitted here, which takes the place of the shipped one (kb.evidence)."""
_OURS = {
    "README.md",
    CATALOG,
    CALIBRATION,
    "blobs",
    "index",
    "models",
    "datasets",
    "runs",
    "lock",
    "lock.holder.json",
    "logs",
}


def check_home(home: Path, *, create: bool) -> Path:
    """Return the absolute home, made if `create`.

    Raises HomeError if it is no directory, cannot be written, holds something else, or (not `create`) has no library.
    """
    home = home.expanduser().absolute()
    try:
        taken = home.exists() and not home.is_dir()
    except OSError as error:
        raise HomeError(f"Home {str(home)[:80]}… cannot be used: {error.strerror}. Name another with --home.") from None
    if taken:
        raise HomeError(f"Home {home} is a file, not a folder. Name a folder with --home.")
    if not create:
        if not (home / CATALOG).is_file():
            raise HomeError(f"There is no library in {home}. Add documents with `vademecum add`, or correct --home.")
        return home
    if home.is_dir() and not (home / CATALOG).exists():
        foreign = sorted(p.name for p in home.iterdir() if not _is_ours(p.name))
        if foreign:
            raise HomeError(
                f"{home} holds other things ({', '.join(foreign[:3])}) and no library. "
                "Name an empty or new folder with --home."
            )
    catalog = home / CATALOG
    lost = not catalog.is_file() or not catalog.stat().st_size
    if lost and (home / "blobs").is_dir() and any((home / "blobs").iterdir()):
        raise HomeError(
            f"{home} holds documents (blobs/) but its {CATALOG} is missing or empty. Restore it from a backup; "
            "to begin anew, move the folder away."
        )
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HomeError(f"Home {home} cannot be made: {error.strerror}. Name another folder with --home.") from None
    if not os.access(home, os.W_OK):
        raise HomeError(f"Home {home} cannot be written to. Correct its permissions, or name another with --home.")
    return home


def _is_ours(name: str) -> bool:
    return name.startswith(".") or name in _OURS or name.startswith(CATALOG)


class HomeLock:
    """Held by the one process that writes. Use as a context manager or call release()."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._holder = home / "lock.holder.json"
        self._lock = FileLock(home / "lock")
        try:
            self._lock.acquire(timeout=0)
            self._note_holder()
        except Timeout:
            raise HomeBusy(self._told()) from None
        except OSError as error:
            self._lock.release()
            raise HomeError(
                f"Home {home} cannot be written to: {error.strerror}. Free disk space or correct its permissions."
            ) from None

    def _note_holder(self) -> None:
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]]).strip()
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self._holder.write_text(json.dumps({"pid": os.getpid(), "command": command, "since": started}))

    def _told(self) -> str:
        try:
            holder = json.loads(self._holder.read_text())
            who = f"process {holder['pid']} ({holder['command']}, since {holder['since']})"
        except (OSError, ValueError, KeyError):
            who = "another process"
        return (
            f"Home {self._home} is being written to by {who}. "
            "Use that one (the app has a Library tab), wait until it ends, or name another --home."
        )

    def release(self) -> None:
        """Let the next process write."""
        self._holder.unlink(missing_ok=True)
        self._lock.release()
