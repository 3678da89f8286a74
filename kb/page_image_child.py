"""The drawing child: one page of a PDF in, one JPEG on standard output. Runs under hard limits, may die at any point.

A PDF is untrusted, so pdfium never runs inside the app (see kb.page_image). This file imports nothing of ours: it is
run by its path, in Python's isolated mode. Exit code 3 and a reason on standard error mean "cannot be drawn".
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

HIGHLIGHT = (255, 226, 92)  # multiplied onto the page, so that the letters under it stay black
_MARGIN = 1.5  # points around a line's box
_QUALITY = 82


def main(arguments: list[str]) -> None:
    """`page_image_child.py ORDER_JSON`: path, page (1-based), boxes in points, width in pixels, and the limits."""
    order = json.loads(arguments[0])
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not disturb the image
    memory, cpu = int(order["memory_bytes"]), int(order["cpu_s"])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        draw(order).save(out, "JPEG", quality=_QUALITY)
        out.flush()
    except MemoryError:
        refuse("it needs more memory than one page may use")
    os._exit(0)  # pdfium's own teardown of a broken document is not worth the risk


def draw(order: dict[str, Any]) -> Any:
    """The page as an RGB image with its boxes highlighted."""
    import pypdfium2 as pdfium

    try:
        pdf = pdfium.PdfDocument(order["path"])
        if not 1 <= order["page"] <= len(pdf):
            refuse(f"the file has {len(pdf)} pages")
        page = pdf[order["page"] - 1]
        width, height = page.get_size()
        if not (width > 0 and height > 0):
            refuse("the page has no size")
        pixels = order["max_pixels"]
        scale = min(order["width"] / width, 4.0, (0.98 * pixels / (width * height)) ** 0.5)
        if scale * max(width, height) > 60_000:  # a JPEG's side is at most 65,535
            refuse("the page is too long to draw")
        image = page.render(scale=scale, rev_byteorder=True).to_pil().convert("RGB")
    except pdfium.PdfiumError as error:
        refuse(f"pdfium says: {error}")
    return highlight(image, order["boxes"], scale, height)


def highlight(image: Any, boxes: list[list[float]], scale: float, height: float) -> Any:
    """Multiply yellow onto `image` where the boxes (points, from the lower left) lie; where two overlap, once."""
    from PIL import Image, ImageChops, ImageDraw

    if not boxes:
        return image
    mask = Image.new("L", image.size)
    draw_on = ImageDraw.Draw(mask)
    for x0, y0, x1, y1 in boxes:
        left, right = sorted(((x0 - _MARGIN) * scale, (x1 + _MARGIN) * scale))
        top, bottom = sorted(((height - y1 - _MARGIN) * scale, (height - y0 + _MARGIN) * scale))
        draw_on.rectangle((left, top, right, bottom), fill=255)
    yellow = ImageChops.multiply(image, Image.new("RGB", image.size, HIGHLIGHT))
    return Image.composite(yellow, image, mask)


def refuse(reason: str) -> None:
    """End with a reason that a person can read."""
    sys.stderr.write(reason)
    sys.stderr.flush()
    os._exit(3)


if __name__ == "__main__":
    main(sys.argv[1:])
