"""An evaluation in, a page for people out: the table, what the gate asked, bars and intervals, answers side by side.

HTML stands alone (its plots are drawn inside it, nothing is fetched); Markdown holds the same without the plots.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kb.errors import StoreError
from train.evaluations import Evaluation
from train.measure import HIGHER_IS_BETTER, METRICS

NAMES = {
    "f1": "answer F1",
    "rouge_l": "ROUGE-L",
    "exact": "exact match",
    "support": "citation support",
    "false_answers": "false answers",
    "false_refusals": "false refusals",
    "harmful": "harmful requests answered",
}
ROLES = {"candidate": "candidate", "base": "its base", "serving": "answers now"}
_COLOURS = {"candidate": "#0f766e", "base": "#a8a29e", "serving": "#b45309"}
_STYLE = """
body { font: 16px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c1917; background: #fff }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 } td, th { padding: .4rem .6rem; text-align: right;
  border-bottom: 1px solid #d6d3d1; vertical-align: top } td:first-child, th:first-child { text-align: left }
.answers td, .checks td { text-align: left } .passed { color: #0f766e } .refused { color: #b91c1c }
svg { width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif; fill: currentColor }
@media (prefers-color-scheme: dark) { body { color: #e7e5e4; background: #1c1917 } .passed { color: #5eead4 }
  .refused { color: #fca5a5 } td, th { border-color: #44403c } }
"""


def default_path(home: Path, evaluation: str) -> Path:
    """Where a report goes that no other place is named for."""
    return home / "runs" / "evaluations" / f"{evaluation}.html"


def write(found: Evaluation, path: Path) -> None:
    """Write the page: Markdown for a name in .md, else HTML. Raises StoreError."""
    text = markdown(found) if path.suffix == ".md" else page(found)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"The report could not be written to {path}: {error.strerror}. The evaluation itself is kept."
        ) from None


def markdown(found: Evaluation) -> str:
    """The same without plots."""
    report = found.report
    lines = [f"# {found.model}: {found.id}", "", _told(found), "", *_table(report), "", "## The gate", ""]
    lines += [
        f"- {'passed' if check['passed'] else '**refused**'}: {check['name']}. {check['told']}"
        for check in report["verdict"]["checks"]
    ]
    lines += ["", "## Answers side by side", ""]
    for row in report["examples"]:
        lines += [f"**{row['question']}**", "", f"- right: {row['right'][0]}"]
        lines += [f"- {name}: {row[name]}" for name in ("candidate", "serving")] + [""]
    return "\n".join(lines)


def _table(report: Mapping[str, Any]) -> list[str]:
    scores = report["scores"]
    head = [f"{ROLES[role]} ({row['engine']})" for role, row in scores.items()]
    lines = ["| | " + " | ".join(head) + " |", "|---|" + "---|" * len(head)]
    for name, values in _rows(scores):
        lines.append(f"| {name} | " + " | ".join(values) + " |")
    return lines


def _rows(scores: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    rows = [
        (NAMES[metric] + (" ↑" if metric in HIGHER_IS_BETTER else " ↓"), [_number(s[metric]) for s in scores.values()])
        for metric in METRICS
    ]
    rows.append(("perplexity of right answers ↓", [_number(s["perplexity"]) for s in scores.values()]))
    rows.append(("characters a second", [_number(s["characters_per_s"], 1) for s in scores.values()]))
    rows.append(("failed, quoted instead", [str(s["failures"]) for s in scores.values()]))
    return rows


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _told(found: Evaluation) -> str:
    asked = found.report["questions"]
    return (
        f"Weights {found.hash}, format {found.report['prompt_format']}. {asked['test']} questions of the test split of "
        f"{found.dataset}, {asked['own']} of your own, {asked['harmful']} harmful requests. {found.at[:16]}."
    )


def page(found: Evaluation) -> str:
    """A page that stands alone."""
    report = found.report
    safe = html.escape
    heads = "".join(f"<th>{safe(ROLES[role])}<br>{safe(str(s['engine']))}</th>" for role, s in report["scores"].items())
    rows = "".join(
        f"<tr><td>{safe(name)}</td>{''.join(f'<td>{safe(value)}</td>' for value in values)}</tr>"
        for name, values in _rows(report["scores"])
    )
    checks = "".join(
        f'<tr><td class="{"passed" if c["passed"] else "refused"}">{"✓" if c["passed"] else "✗"} {safe(c["name"])}</td>'
        f"<td>{safe(c['told'])}</td></tr>"
        for c in report["verdict"]["checks"]
    )
    answers = "".join(
        f"<tr><td>{safe(row['question'])}<br><i>{safe(row['right'][0] if row['right'] else '–')}</i></td>"
        f"<td>{safe(row['candidate'])}</td><td>{safe(row['serving'])}</td></tr>"
        for row in report["examples"]
    )
    verdict = "passed" if found.passed else "refused"
    said = "The gate lets it pass." if found.passed else "The gate refuses it."
    return "".join(
        (
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            f'<meta name="viewport" content="width=device-width"><title>{safe(found.model)}</title>',
            f"<style>{_STYLE}</style><h1>{safe(found.model)}</h1><p>{safe(_told(found))}</p>",
            f'<p class="{verdict}"><b>{said}</b></p><table><tr><th></th>{heads}</tr>{rows}</table>{bars(report)}',
            f'<h2>The gate</h2><table class="checks">{checks}</table>{intervals(report)}',
            '<h2>Answers side by side</h2><table class="answers"><tr><th>question, right answer</th>',
            f"<th>candidate</th><th>answers now</th></tr>{answers}</table></html>",
        )
    )


def bars(report: Mapping[str, Any]) -> str:
    """Each metric of each engine as a bar."""
    scores = report["scores"]
    step, height = 12 * len(scores) + 14, (12 * len(scores) + 14) * len(METRICS) + 30
    parts = []
    for at, metric in enumerate(METRICS):
        top = at * step + 24
        parts.append(f'<text x="170" y="{top + 6 * len(scores)}" text-anchor="end">{NAMES[metric]}</text>')
        for nth, (role, row) in enumerate(scores.items()):
            value = row[metric] or 0.0
            y = top + nth * 12
            parts.append(
                f'<rect x="180" y="{y}" width="{max(1.0, value * 420):.1f}" height="10" fill="{_COLOURS[role]}"/>'
                f'<text x="{186 + value * 420:.1f}" y="{y + 9}">{_number(row[metric])}</text>'
            )
    legend = "".join(
        f'<rect x="{180 + n * 130}" y="4" width="10" height="10" fill="{_COLOURS[role]}"/>'
        f'<text x="{194 + n * 130}" y="13">{ROLES[role]}</text>'
        for n, role in enumerate(scores)
    )
    return f'<svg viewBox="0 0 660 {height}" role="img" aria-label="scores">{legend}{"".join(parts)}</svg>'


def intervals(report: Mapping[str, Any]) -> str:
    """Candidate less what answers now, with 95% intervals; the line in the middle is no difference."""
    found = report["verdict"]["differences"].get("serving", {})
    parts = []
    for at, metric in enumerate(name for name in METRICS if name in found):
        mean, low, high = (found[metric][part] for part in ("mean", "low", "high"))
        y = 20 + at * 24
        good = low > 0 if metric in HIGHER_IS_BETTER else high < 0
        bad = high < 0 if metric in HIGHER_IS_BETTER else low > 0
        colour = "#0f766e" if good else "#b91c1c" if bad else "#78716c"
        x = [400 + max(-1.0, min(1.0, value)) * 200 for value in (low, mean, high)]
        parts.append(
            f'<text x="170" y="{y + 4}" text-anchor="end">{NAMES[metric]}</text>'
            f'<line x1="{x[0]:.1f}" x2="{x[2]:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="3"/>'
            f'<circle cx="{x[1]:.1f}" cy="{y}" r="5" fill="{colour}"/>'
            f'<text x="610" y="{y + 4}">{mean:+.3f}</text>'
        )
    height = 24 * len(found) + 20
    return (
        f'<svg viewBox="0 0 660 {height}" role="img" aria-label="candidate less what answers now">'
        f'<line x1="400" x2="400" y1="4" y2="{height - 6}" stroke="#a8a29e"/>{"".join(parts)}</svg>'
    )
