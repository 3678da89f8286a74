"""Without these a reader of one language would meet a missing or foreign label, or a broken sentence."""

from __future__ import annotations

import re
import string
from pathlib import Path

from ui.i18n import TEXTS, language_of, say, viewer_texts

UI = Path(__file__).parents[2] / "ui"


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_the_same_things() -> None:
    assert TEXTS["zh"].keys() == TEXTS["en"].keys()
    for key, english in TEXTS["en"].items():
        assert _fields(english) == _fields(TEXTS["zh"][key]), key
        assert english.strip()
        assert TEXTS["zh"][key].strip()


def test_chinese_texts_are_chinese() -> None:
    latin_only = {
        "name",
        "kind_pdf",
        "kind_markdown",
        "example_3",
        "progress_of",
        "vectors_of",
        "megabytes",
        "kilobytes",
    }
    for key, text in TEXTS["zh"].items():
        assert key in latin_only or re.search(r"[\u4e00-\u9fff]", text), key


def test_every_text_is_used_somewhere() -> None:
    sources = "".join(
        p.read_text("utf-8") for p in [*UI.glob("*.py"), *UI.glob("*.js")] if p.name not in ("i18n.py", "texts_ask.py")
    )
    built = (
        "state_",
        "meta_",
        "kind_",
        "language_",
        "step_",
        "status_",
        "col_",
        "viewer_",
        "example_",
        "engine_",
        "sort_",
        "field_",
        "hint_",
        "verdict_",
        "conflict_",
        "did_",
        "alike_",
        "job_",
        "stage_",
        "review_",
        "reason_",
        "role_",
    )
    unused = [key for key in TEXTS["en"] if not re.search(f"[\"']{key}[\"']", sources) and not key.startswith(built)]
    assert unused == []


def test_viewer_has_its_words_in_both_languages() -> None:
    script = "".join(path.read_text("utf-8") for path in UI.glob("*.js"))
    for key in re.findall(r'say\("(\w+)"|"(key_\w+)"', script):
        assert all("".join(key) in texts for texts in viewer_texts().values()), key


def test_unknown_language_reads_english() -> None:
    assert language_of("zh") == "zh"
    assert language_of(["zh"]) == language_of(None) == language_of("fr") == "en"
    assert say("en", "page", n=3) == "Page 3"


def test_one_is_not_told_as_many() -> None:
    assert say("en", "status_added", pages=1, chunks=21) == "Added, searchable: 1 page, 21 passages"
    assert (
        say("en", "documents_count", documents="1", pages="1,001", chunks="1") == "1 document · 1,001 pages · 1 passage"
    )
