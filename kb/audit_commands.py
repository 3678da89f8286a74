"""Verbs on the record and on copies of the library: `vademecum audit verify|export`, `backup`, `restore`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from kb.console import SOME_FAILED, Home, Json, settings_of, verb

if TYPE_CHECKING:
    from kb.audit import Audit
    from kb.store import Store


def register(app: typer.Typer) -> None:
    """Mount the verbs on `app`."""
    audit = typer.Typer(help="The record of who did what, when: each row carries the hash of the one before.")
    audit.command()(verify)
    audit.command()(export)
    app.add_typer(audit, name="audit", no_args_is_help=True)
    app.command()(backup)
    app.command()(restore)


def verify(
    head: Annotated[str, typer.Option(help="A hash noted earlier: is it still in the chain?")] = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Check every row and link. Note the head it prints somewhere else: only so is a cut-off end noticed."""
    with verb(as_json) as output, _audit(home) as audit:
        found = audit.verify(head=head)
        output.result = {"ok": not found.problem, **asdict(found)}
        if found.problem:
            output.say(f"The record is not whole. {found.problem}")
            output.code = SOME_FAILED
        else:
            output.say(f"The record is whole: {found.rows} rows, head {found.head}")


def export(
    file: Annotated[Path | None, typer.Argument(help="JSON lines go there; to standard output without it.")] = None,
    since: Annotated[int, typer.Option(min=0, help="Only rows after this number.")] = 0,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Write the record as JSON lines, oldest first."""
    from kb.errors import UsageError

    with verb(as_json) as output, _audit(home) as audit:
        if file is None and as_json:
            raise UsageError("With --json the rows need a FILE of their own.")
        if file is not None and file.exists():
            raise UsageError(f"{file} exists already. Name a new file.")
        rows = 0
        with _sink(file) as sink:
            for entry in audit.entries(since=since):
                print(json.dumps(asdict(entry), ensure_ascii=False), file=sink)
                rows += 1
        output.result = {"rows": rows, "file": str(file) if file else ""}
        if file:
            output.say(f"{rows} rows in {file}.")


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, e.g. vademecum-2026-11-26.tar.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Write the whole library to one file, also while it is in use."""
    from kb.backup import back_up, left_out

    with verb(as_json) as output, _store(home) as store:
        made = back_up(store, file)
        missing = left_out(settings_of(home))
        output.result = {**asdict(made), "file": str(made.file), "left_out": missing}
        output.say(f"{made.files} files, {made.bytes / 1e6:,.1f} MB in {made.file}.")
        for one in missing:
            output.say(f"Not in it: {one}.")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `vademecum backup` wrote.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make a home from a backup; it must be new or empty."""
    from kb.backup import restore as restore_home

    with verb(as_json) as output:
        target = settings_of(home).home
        made = restore_home(file, target)
        output.result = {**asdict(made), "file": str(made.file), "home": str(target)}
        output.say(f"{made.files} files of {made.created} are in {target}. The index is made when it is opened.")


@contextmanager
def _store(home: Path | None, *, read_only: bool = False) -> Iterator[Store]:
    from kb.home import check_home
    from kb.store import Store

    store = Store(check_home(settings_of(home).home, create=False), read_only=read_only)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _audit(home: Path | None) -> Iterator[Audit]:
    from kb.audit import Audit

    with _store(home, read_only=True) as store:
        yield Audit(store)


@contextmanager
def _sink(file: Path | None) -> Iterator[TextIO]:
    from kb.errors import UsageError

    if file is None:
        yield sys.stdout
        return
    try:
        with file.open("x", encoding="utf-8") as opened:
            yield opened
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.") from None
