"""Is everything as it should be? Each check is a Finding that says what was looked at, and the remedy if it is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from kb.embed import build_embedder
from kb.errors import HomeBusy, KBError
from kb.home import HomeLock, check_home
from kb.index import LocalIndex
from kb.settings import Settings
from kb.store import Store

_LOW_DISK = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and its outcome."""

    name: str
    ok: bool
    detail: str


def examine(settings: Settings) -> list[Finding]:
    """Run all checks on the home that the settings name; none of them changes anything."""
    findings = [_check("sqlite", _sqlite), _check("settings", lambda: f"engine {settings.engine}")]
    findings.append(_check("embedder", lambda: _embedder(settings)))
    home = _check("home", lambda: str(check_home(settings.home, create=False)))
    findings.append(home)
    if home.ok:
        findings += [
            _check("disk", lambda: _disk(settings)),
            _check("writer", lambda: _writer(settings)),
            _check("catalog", lambda: _catalog(settings)),
            _check("originals", lambda: _originals(settings)),
            _check("index", lambda: _index(settings)),
        ]
    return findings


def _check(name: str, run: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, run())
    except KBError as error:
        return Finding(name, False, str(error))


def _sqlite() -> str:
    import pysqlite3

    version: str = pysqlite3.sqlite_version
    if tuple(map(int, version.split("."))) < (3, 51, 3):
        raise KBError(f"SQLite {version} can corrupt a database with two writers. Run `make setup` to get a newer one.")
    return version


def _embedder(settings: Settings) -> str:
    embedder = build_embedder(settings)
    languages = ", ".join(sorted(embedder.languages)) if embedder.languages is not None else "all languages"
    return f"{embedder.key}, {embedder.dimension} d, {embedder.max_tokens} tokens, knows {languages}"


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(settings.home).free
    if free < _LOW_DISK:
        raise KBError(f"Only {free >> 20} MiB free on the disk of {settings.home}. Free space before adding documents.")
    return f"{free >> 30} GiB free"


def _writer(settings: Settings) -> str:
    try:
        HomeLock(settings.home).release()
    except HomeBusy as busy:
        return str(busy)  # in use is a state, not a fault
    return "nobody writes to this home now"


def _catalog(settings: Settings) -> str:
    store = Store(settings.home, read_only=True)
    try:
        faults = store.check()
        if faults:
            raise KBError(f"catalog.sqlite is damaged ({faults[0]}). Restore a backup of the home folder.")
        states = [document.state for document in store.documents()]
    finally:
        store.close()
    return ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))) or "no documents"


def _originals(settings: Settings) -> str:
    store = Store(settings.home, read_only=True)
    try:
        kept = [document for document in store.documents() if document.state in ("ready", "draft", "superseded")]
        for document in kept:
            store.blob(document)
    finally:
        store.close()
    return f"{len(kept)} of {len(kept)} originals present"


def _index(settings: Settings) -> str:
    embedder = build_embedder(settings)
    index = LocalIndex(settings.home, embedder=embedder.key, dimension=embedder.dimension)
    index.load()
    store = Store(settings.home, read_only=True)
    try:
        level = index.level_with(store)
        pending = len(store.pending(embedder.key, embedder.languages))
    finally:
        store.close()
    words, vectors = index.counts
    state = "level with the catalog" if level else "behind the catalog (the next start or `rebuild` levels it)"
    return f"{index.generation or 'empty'}: {words} chunks, {vectors} vectors, {pending} vectors to come, {state}"
