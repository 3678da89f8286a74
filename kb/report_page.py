"""Measurements as a page to keep: tables and plots in, one HTML file or Markdown with its pictures out.

Plots are SVG made here: a page opens without a network, a script or a plotting library, and prints.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from kb.errors import UsageError

_WIDTH, _HEIGHT = 560, 340
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 34, 150, 46
_COLOURS = ("#0b6e8f", "#c4572a", "#4a7d36", "#7a4f9a", "#8a6d1f", "#555555")
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Table:
    """A heading row and rows of cells, ready to be shown."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines over 0 to `x_most`, all between 0 and 1."""

    title: str
    x: str
    y: str
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]]
    x_most: float = 1.0


def write_report(path: Path, title: str, said: Sequence[str], tables: Sequence[Table], plots: Sequence[Plot]) -> None:
    """Write the report to `path`, .html or .md (its pictures beside it). Raises UsageError if that cannot be done."""
    drawn = [plot for plot in plots if any(points for _, points in plot.lines)]
    try:
        if path.suffix == ".html":
            _write(path, _html(title, said, tables, drawn))
        elif path.suffix == ".md":
            pictures = [path.with_name(f"{path.stem}-{number}.svg") for number in range(1, len(drawn) + 1)]
            for picture, plot in zip(pictures, drawn, strict=True):
                _write(picture, svg(plot))
            _write(path, _markdown(title, said, tables, drawn, pictures))
        else:
            raise UsageError(f"A report is .html or .md; {path.name} is neither.")
    except OSError as error:
        raise UsageError(f"The report {path} cannot be written: {error.strerror}.") from None


def svg(plot: Plot) -> str:
    """The plot as a picture of its own."""
    across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return _LEFT + across * min(1.0, x / plot.x_most), _TOP + down * (1 - min(1.0, max(0.0, y)))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" width="{_WIDTH}" '
        f'font-family="sans-serif" font-size="12"><title>{escape(plot.title)}</title>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
        f'<text x="{_LEFT}" y="20" font-size="14">{escape(plot.title)}</text>'
    ]
    for tick in range(_TICKS + 1):
        share = tick / _TICKS
        x, y = at(share * plot.x_most, share)
        parts.append(
            f'<path d="M{_LEFT} {y:.1f}H{_LEFT + across}M{x:.1f} {_TOP}V{_TOP + down}" stroke="#ddd" fill="none"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share:.1f}</text>'
            f'<text x="{x:.1f}" y="{_TOP + down + 16}" text-anchor="middle">{share * plot.x_most:g}</text>'
        )
    parts.append(
        f'<text x="{_LEFT + across / 2:.0f}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(plot.x)}</text>'
        f'<text transform="translate(14 {_TOP + down / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(plot.y)}</text>"
    )
    for number, (name, points) in enumerate(plot.lines):
        colour = _COLOURS[number % len(_COLOURS)]
        placed = [at(*point) for point in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed[:1])
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'
            f'<text x="{_LEFT + across + 10}" y="{_TOP + 14 + 18 * number}" fill="{colour}">{escape(name)}</text>'
        )
    return "".join([*parts, "</svg>\n"])


def _html(title: str, said: Sequence[str], tables: Sequence[Table], plots: Sequence[Plot]) -> str:
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>'
        "body{font:16px/1.5 sans-serif;max-width:84rem;margin:2rem auto;padding:0 1rem;color:#222}"
        "table{border-collapse:collapse;margin:1rem 0;font-size:.9rem;display:block;overflow-x:auto}"
        "svg{display:block;margin:1rem 0}"
        "th,td{vertical-align:top;border-bottom:1px solid #ccc;padding:.3rem .6rem;text-align:right}"
        "th:first-child,td:first-child{text-align:left}"
        "svg{max-width:100%;height:auto}</style></head><body>"
        f"<h1>{escape(title)}</h1>"
    ]
    parts += [f"<p>{escape(line)}</p>" for line in said]
    for table in tables:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
        rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
        parts.append(
            f"<h2>{escape(table.title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )
    parts += [svg(plot) for plot in plots]
    return "".join([*parts, "</body></html>\n"])


def _markdown(
    title: str, said: Sequence[str], tables: Sequence[Table], plots: Sequence[Plot], pictures: Sequence[Path]
) -> str:
    lines = [f"# {title}", "", *(line for text in said for line in (text, ""))]
    for table in tables:
        lines += [f"## {table.title}", "", _row(table.head), _row(["---"] * len(table.head))]
        lines += [*map(_row, table.rows), ""]
    for plot, picture in zip(plots, pictures, strict=True):
        lines += [f"![{plot.title}]({picture.name})", ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
