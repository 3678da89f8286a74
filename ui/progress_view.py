"""What is being taken in, and what else the worker does → HTML: how far it is, and buttons to steer it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kb.jobs import Job
from kb.types import Language
from ui.adding import FileState, step_of
from ui.i18n import TEXTS, say
from ui.markup import act_button, safe
from ui.reasons import reason_in

STEERED: Final = ("pause", "resume", "cancel", "again")
"""Acts of the buttons, each with the number of a job."""
PUT_AWAY: Final = "putaway"
"""Act of the button of a list that is done."""


def progress(files: Sequence[FileState] | None, others: Sequence[Job], language: Language) -> str:
    """Each file of the latest upload, a bar while it is read, then what came of it; then the worker's other jobs."""
    return _uploaded(files, language) + _others(others, language)


def _uploaded(files: Sequence[FileState] | None, language: Language) -> str:
    if files is None:
        return ""
    if all(file.status for file in files):
        counts = {status: sum(f.status == status for f in files) for status in ("added", "known", "failed")}
        heading = say(language, "added", **counts)
    else:
        heading = say(language, "adding", n=len(files))
    rows = "".join(_file(f, language) for f in files)
    away = act_button(PUT_AWAY, say(language, "put_away"), "") if all(file.status for file in files) else ""
    return (
        f'<div class="vm-files-head"><p class="vm-count" role="status">{safe(heading)}</p>{away}</div>'
        f'<ul class="vm-files">{rows}</ul>'
    )


def _file(file: FileState, language: Language) -> str:
    name = f'<span class="vm-file-name">{safe(file.name)}</span>'
    if file.status:
        key = "status_draft" if file.status == "added" and file.state == "draft" else f"status_{file.status}"
        values = {"pages": file.pages, "chunks": file.chunks} if file.status == "added" else {}
        text = say(language, key, **values) + (f": {reason_in(language, file.reason)}" if file.reason else "")
        again = _steer("again", file.job, file.name, language) if file.status in ("failed", "stopped") else ""
        outcome = f'<span class="vm-outcome">{safe(text)} {again}</span>'
        return f'<li class="vm-file-{file.status}">{name}{outcome}</li>'
    return _running(name, file.name, file.step, file.done, file.total, file.left_s, file.job, language)


def _others(jobs: Sequence[Job], language: Language) -> str:
    """Jobs that are not of the latest upload: vectors, documents read again, what an earlier run left."""
    if not jobs:
        return ""
    rows = "".join(_job(job, language) for job in jobs)
    return f'<p class="vm-muted vm-others">{safe(say(language, "jobs_others"))}</p><ul class="vm-files">{rows}</ul>'


def _job(job: Job, language: Language) -> str:
    kind = f"job_{job.kind}"
    what = say(language, kind) if kind in TEXTS[language] else job.kind
    subject = f"{what}: {job.subject}" if job.subject and job.kind != "add" else job.subject or what
    name = f'<span class="vm-file-name">{safe(subject)}</span>'
    return _running(name, subject, step_of(job), job.done, job.total, job.left_s, job.number, language)


def _running(
    name: str, subject: str, step: str, done: int, total: int, left_s: float | None, job: int, language: Language
) -> str:
    """One row: what is done with it now, how far, how long still, and what can be done about it."""
    key = f"step_{step}"
    parts = [say(language, key) if key in TEXTS[language] else step]
    if total:
        parts.append(say(language, "progress_of", done=f"{done:,}", total=f"{total:,}"))
    if left_s is not None:
        parts.append(_left(left_s, language))
    acts = ""
    if job:
        acts = _steer("resume" if step == "paused" else "pause", job, subject, language)
        acts += _steer("cancel", job, subject, language)
    label = safe(subject)
    bar = f'<progress max="{total}" value="{done}" aria-label="{label}"></progress>' if total else ""
    outcome = f'<span class="vm-outcome">{safe(" · ".join(parts))} {acts}</span>'
    return f"<li>{name}{outcome}{bar}</li>"


def _left(seconds: float, language: Language) -> str:
    if seconds < 60:
        return say(language, "left_seconds", n=max(1, round(seconds)))
    return say(language, "left_minutes", n=round(seconds / 60))


def _steer(act: str, job: int, subject: str, language: Language) -> str:
    if not job:
        return ""
    return act_button(f"{act}:{job}", say(language, f"job_{act}"), subject)
