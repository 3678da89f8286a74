"""The verb `train loop`: from the library (or files) to a promoted model, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import Home, Json, ProgressLine, settings_of, verb
from train.run_commands import open_store

if TYPE_CHECKING:
    from kb.knowledge_base import KnowledgeBase

AddFiles = Callable[["KnowledgeBase", Sequence[Path]], object]
"""ingest.add.add_paths, handed in by cli.py: train does not import ingest."""


def register(group: typer.Typer, add_files: AddFiles) -> None:
    """Mount the verb on the group `train`."""

    def loop(
        files: Annotated[
            list[Path] | None, typer.Argument(metavar="[FILE]…", help="Monographs to add first (JSON, JSONL).")
        ] = None,
        name: Annotated[str, typer.Option(help="Of the dataset and the models it makes.")] = "loop",
        tokens: Annotated[float, typer.Option(min=0.001, help="Million tokens of reading drills.")] = 2.0,
        epochs: Annotated[float, typer.Option(min=0.01, help="How often the dataset is seen.")] = 1.0,
        longest: Annotated[int, typer.Option(min=20, max=400, help="Characters of the longest field used.")] = 100,
        questions: Annotated[int, typer.Option(min=50, help="Questions of the test split that the gate asks.")] = 400,
        threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.")] = 0,
        seed: Annotated[int, typer.Option()] = 0,
        as_json: Json = False,
        home: Home = None,
    ) -> None:
        """From files to a promoted model, or the reason why not. Killed and run again, it goes on where it was."""
        _loop(
            add_files,
            list(files or ()),
            {
                "name": name,
                "drill_tokens": int(tokens * 1e6),
                "epochs": epochs,
                "longest": longest,
                "questions": questions,
                "threads": threads,
                "seed": seed,
            },
            as_json,
            home,
        )

    group.command("loop")(loop)


def _loop(add_files: AddFiles, files: list[Path], options: dict[str, object], as_json: bool, home: Path | None) -> None:
    with verb(as_json) as output:
        from kb.knowledge_base import KnowledgeBase
        from train import model_report
        from train.loop import LoopPlan, run_loop
        from train.model_commands import say_evaluation

        settings = settings_of(home)
        line = ProgressLine()
        if files:
            line.show("adding files")
            with KnowledgeBase.open(settings, write=True) as base:
                add_files(base, files)
        ended = run_loop(
            settings.home.absolute(),
            LoopPlan(**options),  # type: ignore[arg-type]
            lambda write: KnowledgeBase.open(settings, write=write, create=False),
            lambda: open_store(home, write=True),
            line.show,
        )
        line.close()
        kept = ended["evaluation"]
        path = model_report.default_path(settings.home, kept.id)
        model_report.write(kept, path)
        output.result = {
            "dataset": ended["dataset"],
            "evaluation": kept.id,
            "report": str(path),
            "promoted": ended["promoted"],
            "why": ended["why"],
            **kept.report,
        }
        say_evaluation(output, kept)
        output.say(f"Promoted: {ended['promoted']}." if ended["promoted"] else ended["why"])
        output.say(f"Report: {path}")
