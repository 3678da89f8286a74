"""Without these a Chinese reader is told in English why a file was refused, or reads a pattern's leftovers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from ingest.add import add_paths
from kb.accounts import Accounts
from kb.editions import check_date
from kb.errors import KBError
from kb.knowledge_base import KnowledgeBase
from kb.settings import Settings
from kb.store import Store
from tests.ingest.tiny_pdf import Sheet, lines, pdf
from ui.reasons import reason_in

_ENGLISH_WORDS = re.compile(r"[a-z]{2,} [a-z]{2,}")


def test_what_readers_say_of_bad_files_is_told_in_chinese(tmp_path: Path) -> None:
    sheet = "Zolvarin is given in the morning, with food and water, and never after eight in the evening. " * 9
    made: dict[str, bytes] = {
        "broken.pdf": b"%PDF-1.7 and nothing more",
        "none.pdf": b"this is no PDF",
        "blank.pdf": pdf([Sheet(""), Sheet("")]),
        "empty.txt": b"",
        "words.docx": b"no archive",
        "rows.json": b"[1, 2",
        "old.doc": b"x",
        "sound.mp3": b"x",
        "sheet.txt": sheet.encode(),
        "same.txt": f"{sheet} ".encode(),
        "half.pdf": pdf([Sheet(lines(["A page with words."])), Sheet("")]),
    }
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    with KnowledgeBase.open(Settings(home=tmp_path / "home", ocr="never"), write=True) as kb:
        added = add_paths(kb, [tmp_path / name for name in made], embed=False)
    reasons = {one.file: one.reason for one in added if one.reason}
    assert len(reasons) >= 9, reasons
    for file, reason in reasons.items():
        told = reason_in("zh", reason)
        assert told != reason, (file, reason)
        assert not _ENGLISH_WORDS.search(told), (file, told)
        assert "\\" not in told
        assert reason_in("en", reason) == reason


def test_what_an_admin_or_asker_is_refused_is_told_in_chinese(store: Store) -> None:
    accounts = Accounts(store, hasher=PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    boss = accounts.add("boss", "admin", "a sentence of some length", by="test")[0].principal
    for act in (
        lambda: accounts.add("boss", "reader", by="test"),
        lambda: accounts.add("", "reader", by="test"),
        lambda: accounts.disable("boss", by="test"),
        lambda: accounts.disable("nobody", by="test"),
        lambda: accounts.change_password(boss, "wrong", "short", "here"),
        lambda: accounts.change_password(boss, "wrong", "aaaaaaaaaaaa", "here"),
        lambda: accounts.change_password(boss, "wrong", "a sentence of my own", "here"),
        lambda: check_date("last year"),
    ):
        with pytest.raises(KBError) as refused:
            act()
        assert not _ENGLISH_WORDS.search(reason_in("zh", str(refused.value)).replace("last year", "")), refused.value


def test_an_unknown_reason_is_shown_as_it_is() -> None:
    assert reason_in("zh", "something new; has no pages") == "something new；没有页面"
    assert reason_in("zh", "") == ""
