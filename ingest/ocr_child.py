"""The recognising child: page numbers on standard input, one frame a page on standard output (see ingest.ocr).

Each page is drawn by pdfium at 200 dpi and read by rapidocr with the PP-OCRv6 models that its package carries; nothing
is ever fetched. The package's line classifier stays off: it costs Chinese accuracy (0.959 against 0.995). Instead the
whole page is turned when it does not read well as it lies. A page may take so much processor time: then it is given up
and said so, and the next is read. Runs under hard limits, may die at any page, and ends with its parent.
"""

from __future__ import annotations

import json
import math
import os
import queue
import re
import resource
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ingest.frames import send
from ingest.layout import Recognised, recognised_lines, turned
from kb.types import Box, Line

_DPI = 200
_MOST_PIXELS = 20_000_000
_LONGEST_SIDE = 2400  # pixels the page is scaled down to, at most: A4 at 200 dpi is 2339 high
_DETECTED_SIDE = 1920
"""Pixels of the longest side in which lines are looked for (they are read at full size): a tenth less time a page,
lines of 6.5 points on a noisy scan are read as well (character error 0.0054; 0.0050 at full size, 0.0099 at 1600)."""
_SURE = 0.85  # a page read worse than this is tried turned
_UNSURE_LINE = 0.5  # a line read worse than this says more wrong than right
_TALL = 1.5  # height over width from which on a line stands upright
_MOST_TURNED_LINES = 14  # lines read to judge a turn
_GRACE_S = 20.0  # processor time beyond a page's share, in case it cannot be given up in good order

_IDEOGRAPH = "\u3400-\u9fff"
_HALF_WIDTH = re.compile(rf"(?<=[{_IDEOGRAPH}）】》”])[,:;?!](?!\d)(?! )")
_FULL_WIDTH = str.maketrans(",:;?!", "，：；？！")


class OutOfTime(Exception):
    """The page has had its share of processor time."""


class Unavailable(Exception):
    """Nothing can be recognised here; str() says why and what helps."""


@dataclass(frozen=True, slots=True)
class _Found:
    """One line of the image: its text, how sure, its corners in pixels from the upper left."""

    text: str
    score: float
    corners: tuple[tuple[float, float], ...]


def main(arguments: list[str]) -> None:
    """`ocr_child.py ORDER_JSON`: path, threads, memory_bytes, page_cpu_s."""
    order = json.loads(arguments[0])
    out = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    os.dup2(2, 1)
    memory = int(order["memory_bytes"])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _serve(order, out)
    except Unavailable as reason:
        send(out, {"unavailable": str(reason)})
    except MemoryError:
        send(out, {"memory": True})
    out.close()
    os._exit(0)


def _serve(order: dict[str, Any], out: Any) -> None:
    import pypdfium2 as pdfium

    reader = PageReader(int(order["threads"]))
    try:
        pdf = pdfium.PdfDocument(order["path"])
    except pdfium.PdfiumError:
        raise Unavailable("the file could not be opened again") from None
    send(out, {"ready": True})
    seconds = float(order["page_cpu_s"])
    numbers = _ordered()
    while True:
        number = numbers.get()
        _allow_time(seconds + _GRACE_S)
        try:
            image, width, height = _drawn(pdf, number)
            send(out, {"page": number, **reader.read(image, width, height, seconds)})
        except (pdfium.PdfiumError, ValueError):
            send(out, {"page": number, "note": "the page could not be drawn for recognition"})
        except OutOfTime:
            limit = f"more than {seconds:g} s of processor time; setting ocr_page_s"
            send(out, {"page": number, "note": f"could not be recognised in time ({limit})"})


def _ordered() -> queue.Queue[int]:
    """The numbers of pages that come; when none can come any more, because the parent has ended, so does this."""
    numbers: queue.Queue[int] = queue.Queue()

    def listen() -> None:
        for line in sys.stdin:
            numbers.put(int(line))
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    return numbers


def _allow_time(seconds: float) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(_used() + seconds), resource.RLIM_INFINITY))


def _used() -> float:
    """Processor seconds of this process so far."""
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


def _drawn(pdf: Any, number: int) -> tuple[Any, float, float]:
    """The page as displayed: pixels (height, width, 3) in BGR, and its size in points."""
    page = pdf[number - 1]
    width, height = page.get_size()
    if width <= 0 or height <= 0:
        raise ValueError("no size")
    scale = min(_DPI / 72, math.sqrt(_MOST_PIXELS / (width * height)))
    bitmap = page.render(scale=scale, rev_byteorder=False, draw_annots=False)
    image = bitmap.to_numpy()[:, :, :3].copy()
    bitmap.close()
    page.close()
    return image, width, height


class PageReader:
    """Reads images of pages."""

    def __init__(self, threads: int) -> None:
        """Load the models. Raises Unavailable if the package or its models are not installed."""
        self._engine = _engine(threads)
        self._until = math.inf
        self._detector = self._engine._load_det_model()
        self._as_it_comes = self._detector.limit_type, self._detector.limit_side_len
        recogniser = self._engine._load_rec_model()
        recogniser.session = self._in_time(recogniser.session)

    def _in_time(self, recognise: Any) -> Any:
        """`recognise`, which is called for a few lines at a time, as long as there is time."""

        def batch(images: Any) -> Any:
            if _used() > self._until:
                raise OutOfTime
            return recognise(images)

        return batch

    def read(self, image: Any, width: float, height: float, seconds: float = math.inf) -> dict[str, Any]:
        """Lines with boxes on the page as displayed (`width` × `height` points), confidence, turns, note.

        Raises OutOfTime if it takes more than so many seconds of processor time.
        """
        self._until = _used() + seconds
        quarter, found = self._upright(image)
        sure = [one for one in found if one.score >= _UNSURE_LINE]
        weight = sum(len(one.text) for one in sure)
        if not weight:
            note = "recognition found no text" if not found else "what recognition found was too unsure to keep"
            return {"lines": [], "confidence": None, "rotated": 0, "note": note}
        size = (height, width) if quarter % 2 else (width, height)
        pixels = image.shape[0 if quarter % 2 else 1]
        lines = _lines(sure, size, size[0] / pixels)
        back = [Line(line.text, line.box and turned(line.box, *size, -quarter % 4), line.size) for line in lines]
        dropped = len(found) - len(sure)
        return {
            "lines": [[line.text, line.box, line.size] for line in back],
            "confidence": round(sum(one.score * len(one.text) for one in sure) / weight, 4),
            "rotated": 90 * quarter,
            "note": f"{dropped} line{'s' * (dropped > 1)} too unsure to keep" if dropped else "",
        }

    def _upright(self, image: Any) -> tuple[int, list[_Found]]:
        """(quarter turns clockwise that make the page read best, what is found then)."""
        found = self._find(image)
        if not found or (_score(found) >= _SURE and not _lies(found)):
            return 0, found
        try:
            best = self._turned_best(image, found)
            return (best, self._find(_turn(image, best))) if best else (0, found)
        except OutOfTime:
            return 0, found
        finally:
            self._engine.update_params(use_det=True, use_rec=True)

    def _turned_best(self, image: Any, found: list[_Found]) -> int:
        best, best_score = 0, -1.0 if _lies(found) else _score(found)
        for quarter in (1, 3, 2) if _lies(found) else (2, 1, 3):
            score = self._glance(_turn(image, quarter))
            if score > best_score:
                best, best_score = quarter, score
            if score >= 0.93:
                break
        return best

    def _find(self, image: Any) -> list[_Found]:
        large = max(image.shape[:2]) > _DETECTED_SIDE
        detector = self._detector
        detector.limit_type, detector.limit_side_len = ("max", _DETECTED_SIDE) if large else self._as_it_comes
        result = self._engine(image)
        if result.boxes is None or result.txts is None:
            return []
        return [
            _Found(_punctuated(text.strip()), float(score), tuple((float(x), float(y)) for x, y in corners))
            for corners, text, score in zip(result.boxes, result.txts, result.scores, strict=True)
            if text.strip()
        ]

    def _glance(self, image: Any) -> float:
        """How well the page reads as it lies now: the score of its longest level lines."""
        import numpy as np
        from rapidocr.utils.process_img import get_rotate_crop_image

        found = self._engine(image, use_rec=False)
        self._engine.update_params(use_rec=True)
        boxes = [] if found.boxes is None else list(found.boxes)
        level = sorted((box for box in boxes if not _is_tall(box)), key=_length, reverse=True)[:_MOST_TURNED_LINES]
        if 2 * sum(not _is_tall(box) for box in boxes) < len(boxes):
            return 0.0
        scores: list[tuple[float, int]] = []
        for box in level:
            result = self._engine(
                get_rotate_crop_image(image, np.asarray(box, dtype=np.float32)), use_det=False, use_rec=True
            )
            scores += [(float(score), len(text)) for text, score in zip(result.txts, result.scores, strict=True)]
        self._engine.update_params(use_det=True)
        weight = sum(length for _, length in scores)
        return sum(score * length for score, length in scores) / weight if weight else 0.0


def _engine(threads: int) -> Any:
    try:
        import rapidocr
    except ImportError as error:
        raise Unavailable(
            f"recognition needs the package rapidocr, which cannot be loaded ({error}): install the dependencies again"
        ) from None
    models = Path(rapidocr.__file__).parent / "models"
    detection, recognition = models / "PP-OCRv6_det_small.onnx", models / "PP-OCRv6_rec_small.onnx"
    for model in (detection, recognition):
        if not model.is_file():
            raise Unavailable(f"recognition needs {model.name}, which package rapidocr lacks: install it again")
    return rapidocr.RapidOCR(
        params={
            "Global.use_cls": False,
            "Global.text_score": 0.0,  # what is dropped is dropped here, and counted
            "Global.max_side_len": _LONGEST_SIDE,
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Det.model_path": str(detection),
            "Rec.model_path": str(recognition),
        }
    )


# -- geometry ----------------------------------------------------------------------------------------------------------


def _turn(image: Any, quarter: int) -> Any:
    """The image turned clockwise."""
    import numpy as np

    return np.ascontiguousarray(np.rot90(image, -quarter % 4))


def _length(corners: Any) -> float:
    (x0, y0), (x1, y1) = corners[0], corners[1]
    return math.hypot(x1 - x0, y1 - y0)


def _is_tall(corners: Any) -> bool:
    xs, ys = [float(x) for x, _ in corners], [float(y) for _, y in corners]
    return max(ys) - min(ys) > _TALL * (max(xs) - min(xs))


def _lies(found: list[_Found]) -> bool:
    """Whether most of the text runs up or down the image."""
    tall = sum(len(one.text) for one in found if len(one.text) > 1 and _is_tall(one.corners))
    return 2 * tall > sum(len(one.text) for one in found)


def _score(found: list[_Found]) -> float:
    weight = sum(len(one.text) for one in found)
    return sum(one.score * len(one.text) for one in found) / weight if weight else 0.0


def _lines(found: list[_Found], size: tuple[float, float], scale: float) -> list[Line]:
    """Lines in reading order. A page that lies askew on the scanner is straightened first, its boxes put back after."""
    width, height = size
    skew = _skew(found)
    sine, cosine = math.sin(skew), math.cos(skew)
    straight = []
    for one in found:
        corners = [(x * scale, height - y * scale) for x, y in one.corners]
        box = _around([(x * cosine + y * sine, y * cosine - x * sine) for x, y in corners])
        straight.append(Recognised(one.text, box))
    lines = recognised_lines(straight, width)
    if not skew:
        return lines
    return [Line(line.text, line.box and _askew(line.box, sine, cosine), line.size) for line in lines]


def _askew(box: Box, sine: float, cosine: float) -> Box:
    corners = [(x, y) for x in box[::2] for y in box[1::2]]
    return _around([(x * cosine - y * sine, y * cosine + x * sine) for x, y in corners])


def _around(corners: list[tuple[float, float]]) -> Box:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return round(min(xs), 2), round(min(ys), 2), round(max(xs), 2), round(max(ys), 2)


def _skew(found: list[_Found]) -> float:
    """The angle of the lines in radians, counter-clockwise; 0 if it is too small to matter."""
    angles = []
    for one in found:
        (x0, y0), (x1, y1) = one.corners[0], one.corners[1]
        if x1 - x0 > 200:
            angles.append(math.atan2(y0 - y1, x1 - x0))  # pixels count downwards
    angle = median(angles) if len(angles) >= 3 else 0.0
    return angle if math.radians(0.25) < abs(angle) < math.radians(15) else 0.0


def _punctuated(text: str) -> str:
    """Chinese text with its own punctuation: the models write ',' and ':' for '，' and '：'."""
    return _HALF_WIDTH.sub(lambda mark: mark.group().translate(_FULL_WIDTH), text)


if __name__ == "__main__":
    main(sys.argv[1:])
