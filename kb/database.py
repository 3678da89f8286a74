"""The connection to the catalog: pysqlite3 under SQLAlchemy, and its errors in words that a user can act on.

pysqlite3 carries its own SQLite because releases before 3.51.3 can corrupt a WAL database that has two writers
(https://sqlite.org/wal.html, section 11).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from kb.errors import StoreError


def connect(path: Path, *, read_only: bool) -> sa.Engine:
    """The engine of the catalog at `path`; a write transaction takes its lock at once."""
    import pysqlite3

    def open_database() -> Any:
        mode = "ro" if read_only else "rwc"
        connection = pysqlite3.connect(
            f"file:{_quoted(path)}?mode={mode}", uri=True, timeout=10, check_same_thread=False, isolation_level=None
        )
        try:
            if not read_only:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("PRAGMA secure_delete=ON")  # deleted is overwritten: questions may be private
            connection.execute("PRAGMA foreign_keys=ON")
        except pysqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    engine = sa.create_engine("sqlite://", module=pysqlite3, creator=open_database, poolclass=sa.pool.QueuePool)

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A deferred BEGIN that turns to writing can fail with SQLITE_BUSY at once; IMMEDIATE waits its turn.
        write = connection.get_execution_options().get("vademecum_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path))


@contextmanager
def told(verb: str) -> Iterator[None]:
    """Turn the driver's errors into ones a user can act on."""
    try:
        yield
    except DBAPIError as error:
        cause = str(error.orig)
        remedies = {
            "disk is full": "Free disk space and run the command again; what was acknowledged is intact.",
            "disk I/O error": "Check the disk and its free space; what was acknowledged is intact.",
            "readonly": "Correct the permissions of the home folder.",
            "locked": "Another process is writing; try again.",
            "malformed": "The file is damaged: restore a backup of the home folder.",
            "not a database": "catalog.sqlite is not a library: correct --home, or restore a backup.",
            "unable to open": "Check that the home folder exists, has free space and is writable.",
        }
        remedy = next((text for key, text in remedies.items() if key in cause), "Run `vademecum doctor`.")
        raise StoreError(f"The catalog could not be {verb}: {cause}. {remedy}") from error
