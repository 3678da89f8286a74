"""Without these someone could change what the record says happened, and nobody would see it."""

from __future__ import annotations

import pysqlite3
import pytest

from kb.audit import Audit, append
from kb.errors import StoreError
from kb.home import CATALOG
from kb.store import Store


@pytest.fixture
def audit(store: Store) -> Audit:
    record = Audit(store)
    for n in range(5):
        record.record("user-1", "asked", f"exchange-{n}", via="web")
    return record


def test_whole_record_verifies(audit: Audit) -> None:
    verdict = audit.verify()
    assert (verdict.rows, verdict.problem) == (5, "")
    assert [entry.number for entry in audit.entries(since=3)] == [4, 5]
    assert audit.verify(head=verdict.head).problem == ""


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit", "DELETE FROM audit WHERE number = 5"]
)
def test_rows_can_neither_be_changed_nor_deleted(audit: Audit, store: Store, statement: str) -> None:
    with pytest.raises(StoreError, match="append-only"), store.writing() as connection:
        connection.exec_driver_sql(statement)
    assert audit.verify().rows == 5


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE audit SET actor = 'user-2' WHERE number = 3", "Row 3 was changed"),
        ("UPDATE audit SET at = '2020-01-01' WHERE number = 5", "Row 5 was changed"),
        ("DELETE FROM audit WHERE number = 2", "Row 2 is missing"),
        ("DELETE FROM audit WHERE number = 1", "Row 1 is missing"),
        ("UPDATE audit SET previous = hash WHERE number = 4", "Row 4 does not follow"),
    ],
)
def test_who_edits_the_file_is_found_out(audit: Audit, store: Store, statement: str, problem: str) -> None:
    with pysqlite3.connect(store.home / CATALOG) as connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("DROP TRIGGER audit_no_delete")
        connection.execute(statement)
    assert problem in audit.verify().problem


def test_record_cut_at_its_end_is_found_out_by_a_head_noted_earlier(audit: Audit, store: Store) -> None:
    head = audit.verify().head
    with pysqlite3.connect(store.home / CATALOG) as connection:
        connection.execute("DROP TRIGGER audit_no_delete")
        connection.execute("DELETE FROM audit WHERE number > 3")
    assert audit.verify().problem == ""
    assert "cut" in audit.verify(head=head).problem


def test_act_that_fails_leaves_no_row(audit: Audit, store: Store) -> None:
    def broken() -> None:
        with store.writing() as connection:
            append(connection, "user-1", "removed", "document")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert audit.verify().rows == 5
