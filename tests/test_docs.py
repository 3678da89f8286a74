"""The docs say what the program does: every verb and every setting is described, every file named exists."""

from __future__ import annotations

import re
from pathlib import Path

import typer.main

import cli
from kb.settings import Settings

ROOT = Path(__file__).parents[1]


def test_every_verb_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    verbs = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    assert [verb for verb in verbs if f"`vademecum {verb}" not in text] == []


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        row = next((line for line in text.splitlines() if line.startswith(f"| `{name}` |")), None)
        assert row is not None, name
        plain = isinstance(field.default, int | float) or (isinstance(field.default, str) and field.default)
        if plain:
            assert f"`{field.default}`" in row, name
        assert field.description, name


def test_files_named_in_the_docs_exist() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), ROOT / "CONTRIBUTING.md"]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (page.parent / target).exists(), f"{page.name} names {target}"
