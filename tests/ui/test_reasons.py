"""Without these a Chinese reader is told in English why a file was refused, or reads a pattern's leftovers."""

from __future__ import annotations

import re
from pathlib import Path

from ingest.add import add_paths
from kb.knowledge_base import KnowledgeBase
from kb.settings import Settings
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


def test_an_unknown_reason_is_shown_as_it_is() -> None:
    assert reason_in("zh", "something new; has no pages") == "something new；没有页面"
    assert reason_in("zh", "") == ""
