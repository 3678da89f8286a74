"""Verbs on background work: `vademecum jobs` and its pause, resume, cancel, retry, run.

All but run work beside the app, whose worker heeds them at its next step. What each kind of job does is handed in by
cli.py, because kb imports neither ingest nor train.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import Home, Json, Output, settings_of, verb

if TYPE_CHECKING:
    from kb.jobs import Job, JobQueue
    from kb.knowledge_base import KnowledgeBase
    from kb.worker import Handler

Background = Callable[["KnowledgeBase", "JobQueue"], "tuple[Mapping[str, Handler], Callable[[], None]]"]
"""Handlers by kind, and what is done while there is nothing to do."""

JobNumber = Annotated[int, typer.Argument(metavar="NUMBER", help="As `vademecum jobs` lists it.")]


def register(app: typer.Typer, background: Background) -> None:
    """Mount the verbs on `app`."""
    jobs = typer.Typer(help="What is being done in the background, and what came of it.")
    jobs.callback(invoke_without_command=True)(list_jobs)
    for command in (pause, resume, cancel, retry):
        jobs.command()(command)

    @jobs.command("run")
    def run(under_app: Annotated[bool, typer.Option("--under-app", hidden=True)] = False, home: Home = None) -> None:
        """Work through what is queued, now, and end; for when the app does not run."""
        run_jobs(background, home, under_app=under_app)

    app.add_typer(jobs, name="jobs")


def list_jobs(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Finished ones too.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List the jobs that are not over."""
    if context.invoked_subcommand:
        return
    with verb(as_json) as output, _queue(home, write=False) as queue:
        rows = queue.jobs(unfinished=not everything)
        output.result = {"jobs": [job_json(job) for job in rows]}
        for job in rows:
            output.say(job_line(job))
        output.say(f"{len(rows)} jobs." if rows or everything else "Nothing is being done.")


def pause(number: JobNumber, as_json: Json = False, home: Home = None) -> None:
    """Stop a job for now; a running one stops at its next step and goes on from there."""
    with verb(as_json) as output, _queue(home) as queue:
        _show(output, queue.pause(number))


def resume(number: JobNumber, as_json: Json = False, home: Home = None) -> None:
    """Let a paused job go on."""
    with verb(as_json) as output, _queue(home) as queue:
        _show(output, queue.resume(number))


def cancel(number: JobNumber, as_json: Json = False, home: Home = None) -> None:
    """Stop a job for good; what it had done so far is dropped."""
    with verb(as_json) as output, _queue(home) as queue:
        _show(output, queue.cancel(number))


def retry(number: JobNumber, as_json: Json = False, home: Home = None) -> None:
    """Try a failed, cancelled or quarantined job again."""
    with verb(as_json) as output, _queue(home) as queue:
        _show(output, queue.retry(number))


def run_jobs(background: Background, home: Path | None, *, under_app: bool) -> None:
    """See `vademecum jobs run --help`. Under the app: until standard input is closed."""
    from kb.jobs import JobQueue
    from kb.knowledge_base import KnowledgeBase
    from kb.worker import Worker, end_with_parent

    stop = threading.Event()
    with verb(False) as output:
        settings = settings_of(home)
        with KnowledgeBase.open(settings, write=True, create=False, under_app=under_app) as kb:
            queue = JobQueue(kb.store)
            handlers, tend = background(kb, queue)
            if under_app:
                end_with_parent(stop)
            worker = Worker(queue, handlers, stopping=stop.is_set)
            tend()
            count = worker.run(idle=tend if under_app else None)
            output.say(f"{count} jobs done.")


def job_json(job: Job) -> dict[str, object]:
    """A job at the wire edge."""
    row = asdict(job)
    row["job"] = row.pop("number")
    return row


def job_line(job: Job) -> str:
    """A job as one line."""
    what = f"{job.kind} {job.subject}".strip()
    if job.state != "running":
        return f"{job.number:>5}  {job.state:<11} {what}" + (f": {job.reason}" if job.reason else "")
    left = f", about {job.left_s:,.0f} s left" if job.left_s is not None else ""
    return f"{job.number:>5}  {job.state:<11} {what}: {job.step} {job.done:,} of {job.total:,}{left}"


@contextmanager
def _queue(home: Path | None, *, write: bool = True) -> Iterator[JobQueue]:
    """The jobs of a home, whoever else writes to it."""
    from kb.home import check_home
    from kb.jobs import JobQueue
    from kb.store import Store

    store = Store(check_home(settings_of(home).home, create=False), read_only=not write)
    try:
        yield JobQueue(store)
    finally:
        store.close()


def _show(output: Output, job: Job) -> None:
    output.result = {"job": job_json(job)}
    output.say(job_line(job))
