"""Tables and migrations: an upgraded library is the same as a new one, and loses nothing."""

from __future__ import annotations

import zlib
from pathlib import Path

import sqlalchemy as sa

from kb.home import CATALOG
from kb.schema import metadata
from kb.store import Store
from kb.types import Line, Page


def test_migrations_make_the_tables_that_the_code_uses(store: Store) -> None:
    """If they drifted apart, a new home would work differently from an upgraded one."""
    inspector = sa.inspect(store._engine)
    for table in metadata.tables.values():
        made = {c["name"]: (c["nullable"], c["type"]._type_affinity) for c in inspector.get_columns(table.name)}
        meant = {c.name: (c.nullable, c.type._type_affinity) for c in table.columns}
        assert made == meant, table.name
        assert inspector.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]


def test_pages_of_an_older_library_are_still_there_after_migration(tmp_path: Path) -> None:
    """A hospital that installs a newer version must not have to read its library anew."""
    import pysqlite3
    from alembic import command
    from alembic.config import Config

    import kb

    engine = sa.create_engine(f"sqlite:///{tmp_path / CATALOG}", module=pysqlite3)
    config = Config()
    config.set_main_option("script_location", str(Path(kb.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO documents VALUES ('d', 's', 'a', 't', 'pdf', 1, 'ready', '', 1, 0, 'en', '', '', '', '', '{}')"
        )
        row = ("d", 1, "i", 595.0, 842.0, "r/1", "", zlib.compress(b'[["old line",null,0]]'))
        connection.exec_driver_sql("INSERT INTO pages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    engine.dispose()
    assert list(Store(tmp_path).pages("d")) == [Page(1, (Line("old line"),), 595.0, 842.0, "i", "r/1")]
