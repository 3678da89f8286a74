"""Without these, text could fade into its background for a reader with weak eyes, or the page fetch a font."""

from __future__ import annotations

import re

import pytest

from ui.theme import STYLE

COLOURS = STYLE.with_name("viewer.css").read_text("utf-8")
PAIRS = [
    (ink, ground)
    for ground, inks in {
        "paper": ("ink", "soft", "accent", "good-ink", "bad-ink"),
        "ground": ("ink", "soft", "accent", "good-ink", "bad-ink"),
        "tint": ("ink", "soft", "accent", "good-ink", "bad-ink"),
        "warn-ground": ("ink", "warn-ink"),
        "bad-ground": ("ink", "bad-ink"),
        "accent": ("on-accent",),
    }.items()
    for ink in inks
]


def palette(selector: str) -> dict[str, str]:
    block = re.search(rf"^{re.escape(selector)} \{{(.*?)^\}}", COLOURS, re.M | re.S)
    assert block
    return dict(re.findall(r"--vm-([\w-]+): (#[0-9a-f]{6});", block.group(1)))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("mode", [":root", ".dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_contrast_meets_wcag_aa(mode: str, ink: str, ground: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5:1."""
    colours = palette(mode)
    dark, light = sorted((luminance(colours[ink]), luminance(colours[ground])))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_style_reaches_nowhere() -> None:
    for text in (COLOURS, STYLE.read_text("utf-8"), STYLE.with_name("viewer.js").read_text("utf-8")):
        assert not re.search(
            r"https?:|//[a-z]|@import|url\(", re.sub(r"/\*.*?\*/|^\s*//.*$", "", text, flags=re.S | re.M)
        )
