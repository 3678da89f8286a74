"""The command `vademecum`: mounts the verbs of kb, ingest and train, and `serve`. Composition only; no logic here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import ingest.commands
import kb.audit_commands
import kb.commands
import kb.job_commands
import kb.user_commands
import train.commands
from kb.console import Home, set_up, verb

if TYPE_CHECKING:
    from kb.jobs import Job, JobQueue
    from kb.knowledge_base import KnowledgeBase
    from kb.worker import Handler

app = typer.Typer(
    name="vademecum",
    help="A clinical knowledge base: documents in, cited answers out. Works without a network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and all log lines.")] = False,
) -> None:
    """A clinical knowledge base: documents in, cited answers out. Works without a network."""
    set_up(debug=debug)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address; any but this machine's own demands accounts.")] = None,
    port: Annotated[int | None, typer.Option(help="Port (default 7860).")] = None,
    home: Home = None,
) -> None:
    """Run the web app (the same as python app.py)."""
    with verb(False):
        from app import main as serve_app
        from kb.settings import load_settings

        serve_app(load_settings(host=host, port=port, home=home))


def _add_files(base: KnowledgeBase, paths: Sequence[Path]) -> object:
    from ingest.add import add_paths

    return add_paths(base, paths)


def _rechunk(base: KnowledgeBase, watch: Callable[[Job], None]) -> Job:
    from ingest.jobs import rechunk_here

    return rechunk_here(base, watch)


def _background(base: KnowledgeBase, queue: JobQueue) -> tuple[Mapping[str, Handler], Callable[[], None]]:
    from ingest.jobs import Tending, background_handlers

    return background_handlers(base, queue), Tending(base, queue)


ingest.commands.register(app)
kb.job_commands.register(app, _background)
kb.commands.register(app, _add_files, _rechunk)
kb.user_commands.register(app)
kb.audit_commands.register(app)
train.commands.register(app, _add_files)


def main() -> None:
    """Entry point of the command line."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
