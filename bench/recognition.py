"""Recognition measured on pages whose text is known: drawn at 200 dpi, clean and as a poor scanner gives them."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.agreement import distance, solid
from bench.readers import children_seconds, pages_of
from bench.typeset import known_text, typeset
from kb.types import Language

_PAGES = 3
_MANY = 16


def ocr_rows(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """(measure, ours, others, goal) for each language and state, then pages a minute of a scan of many pages."""
    for language in ("zh", "en"):
        made = typeset(
            folder / f"ocr-{language}.pdf", known_text(language), language, columns=1, most_pages=_PAGES, size=11
        )
        truth = solid(made.text)
        for noisy, goal in ((False, "≤ .010"), (True, "≤ .030")):
            state = "noisy" if noisy else "clean"
            path = folder / f"scan-{language}-{state}.pdf"
            path.write_bytes(scanned(made.path, noisy=noisy))
            read = pages_of(path, ocr=True)
            error = distance(truth, solid("".join(page.text for page in read))) / len(truth)
            yield f"character error, {language} {state} 200 dpi, {len(read)} p", f"{error:.4f}", "", goal
    for language in ("zh", "en"):
        yield _rate(folder, language)


def _rate(folder: Path, language: Language) -> tuple[str, str, str, str]:
    """Pages a minute of one scan, the loading of the models counted once."""
    made = typeset(
        folder / f"many-{language}.pdf", known_text(language), language, columns=1, most_pages=_MANY, size=11
    )
    path = folder / f"many-scan-{language}.pdf"
    path.write_bytes(scanned(made.path, noisy=False))
    before, started = children_seconds(), time.perf_counter()
    pages = len(pages_of(path, ocr=True))
    minutes = (time.perf_counter() - started) / 60
    each = (children_seconds() - before) / pages
    told = f"load {os.getloadavg()[0]:.1f}; {each:.1f} processor seconds a page"
    return f"recognised pages a minute, {language}, a scan of {pages} p", f"{pages / minutes:.1f}", told, "≥ 12"


def scanned(path: Path, *, noisy: bool) -> bytes:
    """A PDF of images of the pages. Noisy: half a degree askew, blurred, grainy, uneven light, strong JPEG."""
    import numpy as np
    import pypdfium2 as pdfium
    from PIL import Image, ImageFilter

    chance = np.random.default_rng(7)
    images: list[Any] = []
    pdf = pdfium.PdfDocument(path)
    for page in pdf:
        image = page.render(scale=200 / 72).to_pil().convert("L")
        if noisy:
            image = image.rotate(0.5, resample=Image.Resampling.BICUBIC, fillcolor=255)
            image = image.filter(ImageFilter.GaussianBlur(0.8))
            pixels = np.asarray(image, dtype=np.float32)
            light = np.linspace(0.85, 1.0, pixels.shape[1], dtype=np.float32)
            pixels = pixels * light + chance.normal(0, 14, pixels.shape)
            pixels[chance.random(pixels.shape) < 0.001] = 0
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        images.append(image)
    made = io.BytesIO()
    images[0].save(made, "PDF", resolution=200, quality=40 if noisy else 90, save_all=True, append_images=images[1:])
    return made.getvalue()
