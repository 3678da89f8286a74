"""What is drawn on a page beside its text, from pdfium's page objects: how much of it are images, and its ruled lines.

Images tell a scanned page from an empty one; ruled lines are what tables are made of. Labels printed one object a
character have thousands of objects, so each is asked for its type by a plain function pointer, and only paths and
images are looked at closer.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import pypdfium2.raw as raw

from kb.types import Box

_Address = ctypes.c_void_p
_MOST_OBJECTS = 60_000
_MOST_RULES = 4_000
_MOST_SEGMENTS = 400
_DEEPEST = 3  # forms within forms
_THIN = 3.0  # points: a path no thicker than this is a ruled line
_SHORT = 6.0  # points: shorter ones are dashes of letters drawn as paths, ticks, dots
_TEXT = raw.FPDF_PAGEOBJ_TEXT
_Matrix = tuple[float, float, float, float, float, float]
_UNMOVED: _Matrix = (1, 0, 0, 1, 0, 0)


def function(name: str, result: Any, *arguments: Any) -> Any:
    """pdfium's function with plain addresses for pointers: called through map(), about 0.2 µs a call."""
    address = ctypes.cast(getattr(raw, name), _Address).value or 0
    return ctypes.CFUNCTYPE(result, *arguments)(address)


_get_object = function("FPDFPage_GetObject", _Address, _Address, ctypes.c_int)
_get_form_object = function("FPDFFormObj_GetObject", _Address, _Address, ctypes.c_ulong)
_get_type = function("FPDFPageObj_GetType", ctypes.c_int, _Address)
_get_bounds = function(
    "FPDFPageObj_GetBounds", ctypes.c_int, _Address, _Address, _Address, _Address, _Address
)  # left, bottom, right, top
_count_in_form = function("FPDFFormObj_CountObjects", ctypes.c_int, _Address)
_get_matrix = function("FPDFPageObj_GetMatrix", ctypes.c_int, _Address, _Address)
_count_segments = function("FPDFPath_CountSegments", ctypes.c_int, _Address)
_get_segment = function("FPDFPath_GetPathSegment", _Address, _Address, ctypes.c_int)
_segment_point = function("FPDFPathSegment_GetPoint", ctypes.c_int, _Address, _Address, _Address)
_segment_type = function("FPDFPathSegment_GetType", ctypes.c_int, _Address)
_draw_mode = function("FPDFPath_GetDrawMode", ctypes.c_int, _Address, _Address, _Address)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a page holds beside text, in the page's own coordinates."""

    images: tuple[Box, ...]
    rules: tuple[Box, ...]
    """Thin boxes: each wider than high or higher than wide, never both large."""
    paths: int


def drawn_on(page: Any) -> Drawn:
    """Look through the page's objects. `page` is a loaded FPDF_PAGE."""
    handle = ctypes.cast(page, _Address).value
    count = min(raw.FPDFPage_CountObjects(page), _MOST_OBJECTS)
    images: list[Box] = []
    rules: list[Box] = []
    paths = 0
    for address, kind, matrix in _objects(handle, count):
        if kind == raw.FPDF_PAGEOBJ_IMAGE:
            images.append(_moved(_bounds(address), matrix))
        elif kind == raw.FPDF_PAGEOBJ_PATH:
            paths += 1
            if len(rules) < _MOST_RULES:
                rules.extend(_moved(rule, matrix) for rule in _rules(address))
    return Drawn(tuple(images), tuple(rules), paths)


def _objects(page: int | None, count: int) -> Iterator[tuple[int, int, _Matrix]]:
    """(address, type, where its form is moved to) of each path and image, those inside forms too."""
    addresses = list(map(_get_object, repeat(page), range(count)))
    yield from _wanted(addresses, _UNMOVED, _DEEPEST)


def _wanted(addresses: list[int], matrix: _Matrix, deeper: int) -> Iterator[tuple[int, int, _Matrix]]:
    kinds = map(_get_type, addresses)
    for address, kind in [(address, kind) for address, kind in zip(addresses, kinds, strict=True) if kind != _TEXT]:
        if kind in (raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_IMAGE):
            yield address, kind, matrix
        elif kind == raw.FPDF_PAGEOBJ_FORM and deeper:
            count = min(max(0, _count_in_form(address)), _MOST_OBJECTS)
            inner = list(map(_get_form_object, repeat(address), range(count)))
            yield from _wanted(inner, _times(_matrix(address), matrix), deeper - 1)


def _matrix(address: int) -> _Matrix:
    found = (ctypes.c_float * 6)()
    if not _get_matrix(address, ctypes.addressof(found)):
        return _UNMOVED
    a, b, c, d, e, f = found
    return a, b, c, d, e, f


def _times(m: _Matrix, n: _Matrix) -> _Matrix:
    return (
        m[0] * n[0] + m[1] * n[2],
        m[0] * n[1] + m[1] * n[3],
        m[2] * n[0] + m[3] * n[2],
        m[2] * n[1] + m[3] * n[3],
        m[4] * n[0] + m[5] * n[2] + n[4],
        m[4] * n[1] + m[5] * n[3] + n[5],
    )


def _moved(box: Box, m: _Matrix) -> Box:
    if m == _UNMOVED:
        return box
    corners = [(x * m[0] + y * m[2] + m[4], x * m[1] + y * m[3] + m[5]) for x in box[::2] for y in box[1::2]]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _bounds(address: int) -> Box:
    found = (ctypes.c_float * 4)()
    at = ctypes.addressof(found)
    if not _get_bounds(address, at, at + 4, at + 8, at + 12):
        return (0.0, 0.0, 0.0, 0.0)
    x0, y0, x1, y1 = found
    return x0, y0, x1, y1


def _rules(path: int) -> Iterator[Box]:
    """The ruled lines of one path: itself if it is thin, else its level and upright strokes."""
    x0, y0, x1, y1 = box = _bounds(path)
    width, height = x1 - x0, y1 - y0
    if min(width, height) <= _THIN:
        if max(width, height) >= _SHORT:
            yield box
        return
    segments = _count_segments(path)
    if 1 < segments <= _MOST_SEGMENTS and _is_stroked(path):
        yield from _strokes(path, segments)


def _is_stroked(path: int) -> bool:
    found = (ctypes.c_int * 2)()
    at = ctypes.addressof(found)
    return bool(_draw_mode(path, at, at + 4)) and bool(found[1])


def _strokes(path: int, segments: int) -> Iterator[Box]:
    point = (ctypes.c_float * 2)()
    at = ctypes.addressof(point)
    m = _matrix(path)
    before: tuple[float, float] | None = None
    begun: tuple[float, float] | None = None
    for index in range(segments):
        segment = _get_segment(path, index)
        _segment_point(segment, at, at + 4)
        x, y = point[0] * m[0] + point[1] * m[2] + m[4], point[0] * m[1] + point[1] * m[3] + m[5]
        kind = _segment_type(segment)
        if kind == raw.FPDF_SEGMENT_MOVETO:
            begun = (x, y)
        elif kind == raw.FPDF_SEGMENT_LINETO and before is not None:
            box = min(x, before[0]), min(y, before[1]), max(x, before[0]), max(y, before[1])
            if min(box[2] - box[0], box[3] - box[1]) <= 1 and max(box[2] - box[0], box[3] - box[1]) >= _SHORT:
                yield box
        before = (x, y)
    # A rectangle's last side is often left to 'close path'.
    if before and begun and min(abs(before[0] - begun[0]), abs(before[1] - begun[1])) <= 1:
        x0, x1 = sorted((before[0], begun[0]))
        y0, y1 = sorted((before[1], begun[1]))
        if max(x1 - x0, y1 - y0) >= _SHORT:
            yield x0, y0, x1, y1
