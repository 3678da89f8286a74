"""What every verb of the command line shares: its options, its JSON, its exit codes, its way of refusing.

Exit codes: 0 all done; 1 some inputs failed; 2 wrong usage or refused settings. With --json, stdout carries exactly one
object; logs and progress go to stderr always.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from kb.errors import HomeError, KBError, QuestionError, UsageError

if TYPE_CHECKING:
    from kb.knowledge_base import KnowledgeBase
    from kb.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else there.")]
Home = Annotated[Path | None, typer.Option("--home", help="Data home (default: the setting `home`, indexes/).")]
FoundRight = Annotated[
    Path | None, typer.Option("--found-right", help="Rows {id, right}: those with right true are left out.")
]

OK, SOME_FAILED, WRONG_USAGE = 0, 1, 2


@dataclass
class Output:
    """Where a verb puts its result: `result` is the JSON object, `text` what a person reads instead."""

    json: bool
    result: dict[str, object] = field(default_factory=dict)
    code: int = OK

    def say(self, text: str = "", *, end: str = "\n") -> None:
        """Print for a person; silent with --json."""
        if not self.json:
            print(text, end=end, flush=True)


def counted(n: int, noun: str) -> str:
    """1 page, 2 pages."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


@contextmanager
def verb(as_json: bool) -> Iterator[Output]:
    """Run a verb's body: time it, print its JSON, turn KBErrors into a sentence and an exit code."""
    output = Output(as_json)
    started = time.monotonic()
    try:
        yield output
    except KBError as error:
        if _debug():
            traceback.print_exc()
        if as_json:
            print(json.dumps({"error": str(error)}, ensure_ascii=False))
        print(f"vademecum: {error}", file=sys.stderr)
        refused = isinstance(error, UsageError | HomeError | QuestionError)
        raise typer.Exit(WRONG_USAGE if refused else SOME_FAILED) from None
    output.result.setdefault("seconds", round(time.monotonic() - started, 3))
    if as_json:
        print(json.dumps(output.result, ensure_ascii=False))
    if output.code:
        raise typer.Exit(output.code)


def settings_of(home: Path | None, **overrides: object) -> Settings:
    """The settings, with the options that were given."""
    from kb.settings import load_settings

    return load_settings(home=home, **overrides)


def opened(home: Path | None, *, write: bool = False, engine: str | None = None) -> KnowledgeBase:
    """The library of that home, which must exist."""
    from kb.knowledge_base import KnowledgeBase

    return KnowledgeBase.open(settings_of(home, engine=engine), write=write, create=False)


class ProgressLine:
    """One line on stderr that is written over; plain lines, seldom, where stderr is no terminal."""

    def __init__(self, *, every_s: float = 10.0) -> None:
        self._terminal = sys.stderr.isatty()
        self._every_s = 0.1 if self._terminal else every_s
        self._last = time.monotonic()
        self._open = False

    def show(self, text: str) -> None:
        """Show `text` unless something was shown a moment ago."""
        now = time.monotonic()
        if now - self._last < self._every_s:
            return
        self._last = now
        if self._terminal:
            print(f"\r\x1b[2K{text[:110]}", end="", file=sys.stderr, flush=True)
            self._open = True
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the terminal's line clean."""
        if self._open:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
            self._open = False


def set_up(*, debug: bool) -> None:
    """Logs to stderr as plain lines; an unforeseen error is one sentence, or a traceback with --debug."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever stderr is when a line is written
    )
    if debug:
        _DEBUG.append(True)
    else:
        sys.excepthook = _hide_traceback


_DEBUG: list[bool] = []


def _debug() -> bool:
    return bool(_DEBUG)


def _hide_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    print(
        f"vademecum: internal error, please report it: {kind.__name__}: {error}. "
        "Run again with `vademecum --debug …` for the details.",
        file=sys.stderr,
    )


def rounded(values: Mapping[str, float], digits: int = 4) -> dict[str, float]:
    """The numbers as they are printed."""
    return {name: round(value, digits) for name, value in values.items()}
