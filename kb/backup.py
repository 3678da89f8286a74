"""The whole library as one file, made while it is in use, and back again into an empty home.

A tar archive: the catalog as SQLite's own backup copies it (a consistent state, whoever writes), the originals, data
sets, models and the home's calibration, and at its end `manifest.json` with schema and the SHA-256 of every file. What
is left out, `left_out` says. A restored home appears only when every checksum is right.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from kb.audit import COMMAND_LINE, Audit
from kb.errors import HomeError, StoreError, UsageError
from kb.home import CALIBRATION, CATALOG
from kb.schema import HEAD
from kb.settings import CONFIG_FILE, Settings
from kb.store import Store

FORMAT: Final = 1
_MANIFEST: Final = "manifest.json"
_FOLDERS: Final = ("blobs", "datasets", "models")
_FILES: Final = (CATALOG, CALIBRATION)
_NAME = re.compile(rf"(?:{'|'.join(map(re.escape, _FILES))}|(?:{'|'.join(_FOLDERS)})(?:/(?!\.\.?(?:/|$))[^/\0\\]+)+)")
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds."""

    file: Path
    files: int
    bytes: int
    schema: str
    created: str


def back_up(store: Store, target: Path) -> Backup:
    """Write the library to the new file `target`; it appears when it is whole. Raises UsageError, StoreError."""
    if target.exists():
        raise UsageError(f"{target} exists already. Name a new file; a backup never overwrites one.")
    part = target.with_name(f".{target.name}.part")
    with _told(f"The backup {target} cannot be written"), tempfile.TemporaryDirectory(dir=store.home) as near:
        kept = Path(near)
        _link(store.home, kept)
        _copy_catalog(store, kept / CATALOG)
        _link(store.home, kept)  # what came between the two
        try:
            made = _pack(kept, part)
            part.rename(target)
        finally:
            part.unlink(missing_ok=True)
    Audit(store).record(COMMAND_LINE, "backed up", files=made.files, bytes=made.bytes)
    return Backup(target, made.files, made.bytes, made.schema, made.created)


def left_out(settings: Settings) -> list[str]:
    """What a backup of the settings' home does not hold, each with what follows from that."""
    home = settings.home.expanduser().absolute()
    told = ["index/: made anew from the catalog when the restored home is opened"]
    if runs := sum(path.stat().st_size for path in (home / "runs").rglob("*") if path.is_file()):
        told.append(
            f"runs/, {runs / 1e6:,.1f} MB of checkpoints, packed rows, curves and reports: a restored run cannot be "
            "resumed, nor its rows looked through for leaks; the models made of runs are in the backup"
        )
    told.append(f"{CONFIG_FILE} and VADEMECUM_* variables: keep a copy, or the restored library has default settings")
    for name, folder in (("embedder", Path(settings.embedder)), ("model_path", settings.model_path)):
        if folder is not None and folder.is_dir() and not folder.absolute().is_relative_to(home / "models"):
            told.append(f"{folder} ({name}): it lies outside this home; copy it too")
    return told


def restore(file: Path, home: Path) -> Backup:
    """Make `home` from a backup. It must be new or empty; it appears when all is right.

    Raises UsageError if `file` is no whole backup, HomeError if `home` holds something, StoreError if the backup is of
    a newer version or the disk refuses.
    """
    home = home.expanduser().absolute()
    if home.exists() and (not home.is_dir() or any(path.name != "README.md" for path in home.iterdir())):
        raise HomeError(f"Home {home} holds something already. Restore into a new folder with --home.")
    part = home.with_name(f".{home.name}.restoring")
    with _told(f"Home {home} cannot be written"):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True, mode=0o700)
        try:
            made = _unpack(file, part)
            if home.exists():
                shutil.copytree(home, part, dirs_exist_ok=True)
                shutil.rmtree(home)
            part.rename(home)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    store = Store(home)
    try:
        wrong = store.check()
        if wrong:
            raise StoreError(f"The restored catalog is damaged: {wrong[0]}. Restore another backup.")
        Audit(store).record(COMMAND_LINE, "restored", files=made.files, bytes=made.bytes, of=made.created)
    finally:
        store.close()
    return made


def _link(home: Path, kept: Path) -> None:
    """Hold on to the files as they are now, whatever is removed while the backup is written."""
    for folder in _FOLDERS:
        for path in sorted((home / folder).rglob("*")):
            place = kept / path.relative_to(home)
            if path.is_symlink() or not path.is_file() or path.suffix == ".part" or place.exists():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, place)
            except FileNotFoundError:  # removed this moment, so no longer of the library
                continue
            except OSError:  # a file system without links
                shutil.copyfile(path, place)
    if (home / CALIBRATION).is_file():  # replaced as a whole when it is fitted anew
        shutil.copyfile(home / CALIBRATION, kept / CALIBRATION)


def _copy_catalog(store: Store, target: Path) -> None:
    import pysqlite3

    with store.reading() as connection:
        source = connection.connection.driver_connection
        assert source is not None
        copy = pysqlite3.connect(str(target))
        try:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        finally:
            copy.close()


def _pack(kept: Path, part: Path) -> Backup:
    files: dict[str, dict[str, object]] = {}
    total = 0
    created = datetime.now(UTC).isoformat(timespec="seconds")
    with part.open("xb") as sink:
        os.fchmod(sink.fileno(), 0o600)
        with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path in sorted(path for path in kept.rglob("*") if path.is_file()):
                name = path.relative_to(kept).as_posix()
                with path.open("rb") as opened:
                    digest = hashlib.file_digest(opened, "sha256").hexdigest()
                    opened.seek(0)
                    archive.addfile(_member(name, path.stat().st_size), opened)
                files[name] = {"sha256": digest, "bytes": path.stat().st_size}
                total += path.stat().st_size
            manifest = {"format": FORMAT, "schema": HEAD, "created": created, "files": files}
            told = json.dumps(manifest, indent=1, sort_keys=True).encode()
            archive.addfile(_member(_MANIFEST, len(told)), io.BytesIO(told))
        sink.flush()
        os.fsync(sink.fileno())
    return Backup(part, len(files), total, HEAD, created)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _unpack(file: Path, part: Path) -> Backup:
    """The files into `part`, every one checked. Raises UsageError, StoreError."""
    found: dict[str, str] = {}
    manifest: dict[str, Any] = {}
    try:
        with tarfile.open(file, mode="r:") as archive:
            for member in archive:
                source = archive.extractfile(member) if member.isfile() else None
                if source is None or not (member.name == _MANIFEST or _NAME.fullmatch(member.name)):
                    raise UsageError(f"{file} holds '{member.name[:60]}', which no backup has. Nothing was restored.")
                if member.name == _MANIFEST:
                    manifest = json.loads(source.read())
                else:
                    found[member.name] = _laid_down(source, part / member.name)
        told = {name: str(entry["sha256"]) for name, entry in manifest["files"].items()}
        schema, created = str(manifest["schema"]), str(manifest["created"])
        whole = sum(int(entry["bytes"]) for entry in manifest["files"].values())
    except FileNotFoundError:
        raise UsageError(f"There is no file {file}. Name a backup that `vademecum backup` made.") from None
    except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise UsageError(f"{file} is no whole backup ({error}). Nothing was restored; take another one.") from None
    wrong = sorted(name for name in told.keys() | found.keys() if told.get(name) != found.get(name))
    if wrong or CATALOG not in found:
        raise UsageError(
            f"{file} is damaged: {(wrong or [CATALOG])[0]} is not as it was. Nothing was restored; take another one."
        )
    if schema > HEAD:
        raise StoreError(
            f"{file} was made by a newer version (schema {schema}; this one knows {HEAD}). Install that version first."
        )
    return Backup(file, len(found), whole, schema, created)


def _laid_down(source: IO[bytes], target: Path) -> str:
    """Write the file, durably; its SHA-256."""
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as sink:
        while piece := source.read(_PIECE):
            digest.update(piece)
            sink.write(piece)
        sink.flush()
        os.fsync(sink.fileno())
    return digest.hexdigest()


@contextmanager
def _told(what: str) -> Iterator[None]:
    """The file system's refusals, in words."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{what}: {error.strerror or error}. Free disk space or correct permissions.") from None
