"""Settings: file, then environment, then options; a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.errors import UsageError
from kb.settings import CONFIG_FILE, load_settings


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_options_beat_environment_beats_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(CONFIG_FILE).write_text("port = 1111\ntop_k = 3\nchunk_tokens = 100\n")
    monkeypatch.setenv("VADEMECUM_TOP_K", "4")
    monkeypatch.setenv("VADEMECUM_PORT", "2222")
    settings = load_settings(port=3333, host=None)
    assert (settings.port, settings.top_k, settings.chunk_tokens, settings.host) == (3333, 4, 100, "127.0.0.1")


@pytest.mark.parametrize(
    ("content", "named"),
    [("engine = 'magic'", "engine"), ("colour = 'red'", "colour"), ("port = 'x'", "port"), ("port =", CONFIG_FILE)],
)
def test_a_wrong_setting_is_named(content: str, named: str) -> None:
    Path(CONFIG_FILE).write_text(content)
    with pytest.raises(UsageError, match=named):
        load_settings()
