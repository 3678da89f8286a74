"""How Vademecum looks: a Gradio theme of one accent, calm greys and the system's own fonts; style.css does the rest.

No font is fetched: the stacks name what Windows, macOS, Android and Linux carry, Chinese included. Contrast of every
text colour on its background is at least 4.5:1 in both modes (tests/ui/test_theme.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import gradio as gr
from gradio.themes.utils import colors

STYLE: Final = Path(__file__).with_name("style.css")
SANS: Final = (
    "system-ui",
    "Segoe UI",
    "Roboto",
    "Helvetica Neue",
    "Noto Sans",
    "PingFang SC",
    "Microsoft YaHei",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "sans-serif",
)
MONO: Final = ("ui-monospace", "SF Mono", "Consolas", "DejaVu Sans Mono", "monospace")

INK: Final = colors.Color(
    name="ink",
    c50="#f6f7f7",
    c100="#eceeee",
    c200="#dde1e1",
    c300="#c3c9ca",
    c400="#939c9e",
    c500="#69747a",
    c600="#4d575d",
    c700="#384147",
    c800="#242b30",
    c900="#171d21",
    c950="#0f1417",
)
PETROL: Final = colors.Color(
    name="petrol",
    c50="#eef7f8",
    c100="#d7ecef",
    c200="#aed9df",
    c300="#7cc4cd",
    c400="#43a3b0",
    c500="#1b8090",
    c600="#0b6575",
    c700="#095261",
    c800="#0a424e",
    c900="#0b333d",
    c950="#072329",
)


def theme() -> gr.themes.Base:
    """The theme, for mount_gradio_app."""
    look = gr.themes.Base(
        primary_hue=PETROL,
        secondary_hue=PETROL,
        neutral_hue=INK,
        font=SANS,
        font_mono=MONO,
        text_size=gr.themes.sizes.text_md,
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
    )
    return look.set(
        body_background_fill="#f6f7f7",
        body_background_fill_dark="#0f1417",
        body_text_color="#171d21",
        body_text_color_dark="#e6eaea",
        body_text_color_subdued="#4d575d",
        body_text_color_subdued_dark="#aab3b6",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#171d21",
        background_fill_secondary="#f6f7f7",
        background_fill_secondary_dark="#0f1417",
        border_color_primary="#dde1e1",
        border_color_primary_dark="#2f383e",
        border_color_accent="#0b6575",
        border_color_accent_dark="#7cc4cd",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        block_padding="0",
        block_label_text_color="#4d575d",
        block_label_text_color_dark="#aab3b6",
        input_background_fill="#ffffff",
        input_background_fill_dark="#171d21",
        input_border_color="#939c9e",
        input_border_color_dark="#69747a",
        input_border_color_focus="#0b6575",
        input_border_color_focus_dark="#7cc4cd",
        input_placeholder_color="#69747a",
        input_placeholder_color_dark="#939c9e",
        button_primary_background_fill="#0b6575",
        button_primary_background_fill_dark="#7cc4cd",
        button_primary_background_fill_hover="#095261",
        button_primary_background_fill_hover_dark="#aed9df",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#072329",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#242b30",
        button_secondary_background_fill_hover="#eceeee",
        button_secondary_background_fill_hover_dark="#384147",
        button_secondary_border_color="#c3c9ca",
        button_secondary_border_color_dark="#4d575d",
        button_secondary_text_color="#171d21",
        button_secondary_text_color_dark="#e6eaea",
        button_cancel_background_fill="#9f2a2a",
        button_cancel_background_fill_dark="#f0a3a3",
        button_cancel_background_fill_hover="#852020",
        button_cancel_background_fill_hover_dark="#f6c4c4",
        button_cancel_text_color="#ffffff",
        button_cancel_text_color_dark="#2b0d0d",
        link_text_color="#0b6575",
        link_text_color_dark="#7cc4cd",
    )
