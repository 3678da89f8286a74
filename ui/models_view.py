"""Runs and models, drawn: curves, evaluation tables, what may be done. Values in, safe HTML out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kb.types import Language
from train.evaluations import Evaluation
from train.measure import METRICS
from train.model_folders import Model
from train.runs import EVALUATE, Run
from ui.i18n import say
from ui.markup import act_button, safe, with_commands

_LOG_SHOWN = 4000
_WIDTH, _HEIGHT = 320, 90


def models_view(
    models: Sequence[tuple[Model, Evaluation | None]],
    serving: str,
    problem: str,
    *,
    may_promote: bool,
    language: Language,
    otherwise: str = "",
) -> str:
    """What answers now, then each model with its newest evaluation. `serving` is the promoted one, `otherwise` what
    answers where none is."""
    head = f'<p class="vm-told-good">{safe(say(language, "models_serving", name=serving or otherwise))}</p>'
    if problem:
        head += f'<p class="vm-notice" role="alert">{safe(say(language, "models_problem", why=problem))}</p>'
    if serving and may_promote:
        head += _reasoned("rollback", "models_rollback", language, "vm-stop")
    if not models:
        hint = with_commands(say(language, "models_none_hint"))
        return f'{head}<div class="vm-empty"><h3>{safe(say(language, "models_none"))}</h3><p>{hint}</p></div>'
    return head + "".join(_model(model, found, serving, may_promote, language) for model, found in models)


def _model(model: Model, found: Evaluation | None, serving: str, may_promote: bool, language: Language) -> str:
    data = dict(model.lineage.get("dataset") or {})
    facts = " · ".join(part for part in (model.kind, model.run, str(data.get("name", "")), model.created[:10]) if part)
    parts = [f'<section class="vm-model"><h3>{safe(model.name)}</h3><p class="vm-muted">{safe(facts)}</p>']
    if found is None:
        parts.append(f"<p>{with_commands(say(language, 'models_not_evaluated', name=model.name))}</p>")
    else:
        verdict = say(language, "models_passed" if found.passed else "models_refused")
        parts.append(f'<p class="{"vm-told-good" if found.passed else "vm-notice"}">{safe(verdict)}</p>')
        if not found.passed:
            refused = [check for check in found.report["verdict"]["checks"] if not check["passed"]]
            items = "".join(f"<li>{safe(check['name'])}: {safe(check['told'])}</li>" for check in refused)
            parts.append(f'<ul class="vm-muted">{items}</ul>')
        parts.append(_scores(found.report["scores"], language))
        if may_promote and model.name != serving:
            key = "models_promote" if found.passed else "models_override"
            parts.append(_reasoned(f"promote:{model.name}", key, language, "vm-primary" if found.passed else "vm-stop"))
    return "".join([*parts, "</section>"])


def _scores(scores: Mapping[str, Mapping[str, Any]], language: Language) -> str:
    roles = {"candidate": "models_candidate", "base": "models_base", "serving": "models_now"}
    heads = "".join(
        f'<th scope="col">{safe(say(language, roles[role]))}<br><small>{safe(str(one["engine"]))}</small></th>'
        for role, one in scores.items()
    )
    rows = "".join(
        f'<tr><th scope="row">{safe(say(language, f"models_{metric}"))}</th>'
        + "".join(f"<td>{'–' if one[metric] is None else format(one[metric], '.3f')}</td>" for one in scores.values())
        + "</tr>"
        for metric in METRICS
    )
    measured = safe(say(language, "models_measure"))
    return (
        f'<div class="vm-scroll"><table class="vm-plain"><thead><tr><th scope="col">{measured}</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _reasoned(act: str, key: str, language: Language, look: str) -> str:
    """A field for the reason and the button; the field is named by the act, so that each button reads its own."""
    why, button = (
        safe(say(language, "models_reason")),
        act_button(act, say(language, key), "", style=f"vm-button {look}"),
    )
    return (
        f'<div class="vm-filters"><label><span>{why}</span><input type="text" maxlength="300" data-field="{safe(act)}">'
        f"</label>{button}</div>"
    )


def runs_view(runs: Sequence[tuple[Run, Sequence[Mapping[str, Any]]]], *, may_train: bool, language: Language) -> str:
    """Each run with its curve, its figures and the end of its log."""
    if not runs:
        return f'<p class="vm-muted">{safe(say(language, "runs_none"))}</p>'
    return "".join(_run(run, points, may_train, language) for run, points in runs)


def _run(run: Run, points: Sequence[Mapping[str, Any]], may_train: bool, language: Language) -> str:
    state = safe(say(language, f"run_state_{run.state}"))
    where = {"step": f"{run.step:,}", "steps": f"{run.steps:,}"}
    if run.kind == EVALUATE:
        engine = str(run.facts.get("engine", ""))  # none was asked yet: its model is being loaded, or was not there
        figures = [say(language, "run_question", engine=engine, **where)] if engine else []
    else:
        figures = [say(language, "run_step", **where)]
    if run.loss is not None:
        figures.append(say(language, "run_loss", loss=f"{run.loss:.3f}"))
        figures.append(say(language, "run_rate", rate=f"{run.learning_rate:.1e}"))
        figures.append(say(language, "run_speed", n=f"{run.tokens_per_s:,.0f}"))
        figures.append(say(language, "run_memory", n=f"{run.memory_mb:,.0f}"))
    if run.state == "running" and run.left_s is not None:
        figures.append(say(language, "run_left", minutes=f"{max(1, round(run.left_s / 60)):,}"))
    stop = ""
    if may_train and run.unfinished:
        stop = act_button(f"cancel:{run.id}", say(language, "run_cancel"), "", style="vm-button vm-stop")
    return (
        f'<section class="vm-model"><h3>{safe(run.id)} → {safe(run.name)} <span class="vm-state">{state}</span></h3>'
        f'<p class="vm-muted">{safe(" · ".join(figures))}</p>{_reason(run)}{curve(points, language)}{stop}'
        f"{_log(run, language)}</section>"
    )


def _reason(run: Run) -> str:
    return f'<p class="vm-notice">{safe(run.reason)}</p>' if run.reason else ""


def _log(run: Run, language: Language) -> str:
    try:
        text = run.log.read_text(encoding="utf-8", errors="replace")[-_LOG_SHOWN:]
    except OSError:
        return ""
    return f"<details><summary>{safe(say(language, 'run_log'))}</summary><pre>{safe(text)}</pre></details>"


def curve(points: Sequence[Mapping[str, Any]], language: Language) -> str:
    """The loss as a line; nothing with fewer than two points."""
    if len(points) < 2:
        return ""
    losses = [float(point["loss"]) for point in points]
    steps = [int(point["step"]) for point in points]
    low, high = min(losses), max(losses)
    wide, tall = (steps[-1] - steps[0]) or 1, (high - low) or 1.0
    line = " ".join(
        f"{40 + (step - steps[0]) / wide * (_WIDTH - 46):.1f},{8 + (high - loss) / tall * (_HEIGHT - 24):.1f}"
        for step, loss in zip(steps, losses, strict=True)
    )
    return (
        f'<svg class="vm-curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{safe(say(language, "run_curve"))}"><polyline points="{line}" fill="none" stroke="currentColor" '
        f'stroke-width="1.5"/><text x="2" y="14">{high:.2f}</text><text x="2" y="{_HEIGHT - 14}">{low:.2f}</text>'
        f'<text x="40" y="{_HEIGHT - 2}">{steps[0]:,}</text>'
        f'<text x="{_WIDTH - 6}" y="{_HEIGHT - 2}" text-anchor="end">{steps[-1]:,}</text></svg>'
    )
