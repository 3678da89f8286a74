"""The verb `train embedder`: a Chinese half for the packaged English embedder, or any model tuned on the library.

Heavy imports stand inside the functions, so that `vademecum --help` is instant. JSON shapes are those of docs/cli.md.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import Home, Json, Output, ProgressLine, verb

if TYPE_CHECKING:
    import numpy as np


def register(app: typer.Typer) -> None:
    """Mount `embedder` on `app`, the family `train`."""
    app.command("embedder")(train_embedder)


def train_embedder(
    out: Annotated[Path, typer.Option(help="Folder to write the model to; must not exist.")],
    dictionary: Annotated[
        list[Path] | None,
        typer.Option(help="CSV word,translation, or JSON monographs with 英文名: teach Chinese where English lies."),
    ] = None,
    text: Annotated[
        list[Path] | None, typer.Option(help="Chinese texts for it: plain, JSON or JSON lines; repeatable.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Folder of a sentence-transformers model: tune it on the library's examples.")
    ] = None,
    pairs: Annotated[
        list[Path] | None,
        typer.Option(help="Pairs to learn from: JSON lines {question, positive}, or 1<TAB>text<TAB>text; repeatable."),
    ] = None,
    hold_out: Annotated[
        list[Path] | None, typer.Option(help="Question sets and passages that must not be learnt from; repeatable.")
    ] = None,
    epochs: Annotated[float, typer.Option(min=0.01, help="With --model: passes over the pairs.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn at random.")] = 0,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make the Chinese half of the default embedder (--dictionary), or tune a model on the library (--model)."""
    from kb.errors import UsageError

    with verb(as_json) as output:
        if bool(dictionary) == bool(model):
            raise UsageError("Name either --dictionary (a new static model) or --model (a model to tune).")
        if out.exists():
            raise UsageError(f"{out} is there already. Name another folder with --out, or remove it.")
        if dictionary:
            _static(output, out, dictionary, text or [], pairs or [], hold_out or [], seed)
        elif model is not None:
            _tuned(output, out, model, pairs, hold_out or [], epochs, seed, home)
        output.say(f'Written to {out}. Set embedder = "{out}" and run `vademecum rebuild` to use it.')


def _static(
    output: Output,
    out: Path,
    dictionaries: Sequence[Path],
    texts: Sequence[Path],
    pairs: Sequence[Path],
    hold_out: Sequence[Path],
    seed: int,
) -> None:
    from train import embedder, embedder_sources

    line = ProgressLine()
    line.show("reading")
    plan = embedder.Plan(seed=seed)
    held_out = embedder_sources.read_held_out(hold_out)
    entries = [entry for path in dictionaries for entry in embedder_sources.read_dictionary(path)]
    passages = list(embedder_sources.read_passages(texts, held_out))
    words = embedder.choose_words(entries, passages, plan.vocabulary)
    tokenizer = embedder.make_tokenizer(words)
    lesson = embedder.make_lesson(entries, tokenizer, _teacher(line), plan.phrases)
    belong = [
        *embedder_sources.read_pairs(pairs, held_out),
        *embedder_sources.inverse_cloze(passages, random.Random(seed)),
    ]
    trainer = embedder.StaticTrainer(tokenizer, lesson, plan)
    trainer.learn(belong, lambda what, done, total: line.show(f"step {done} of {total}, {what}"))
    line.close()
    sources = list(dict.fromkeys(path.name for path in (*dictionaries, *texts, *pairs)))
    embedder.save_static(out, tokenizer, trainer.table, embedder.model_card(sources, plan))
    output.result = {
        "folder": str(out),
        "tokens": len(trainer.table),
        "dimension": trainer.table.shape[1],
        "entries": len(lesson.texts),
        "passages": len(passages),
        "pairs": len(belong),
    }


def _teacher(line: ProgressLine) -> Callable[[Sequence[str]], np.ndarray]:
    """The packaged English embedder."""
    import numpy as np

    from kb.embed import build_embedder
    from kb.settings import load_settings

    english = build_embedder(load_settings(embedder="minilm"))

    def vectors(texts: Sequence[str]) -> np.ndarray:
        parts = []
        for start in range(0, len(texts), 2048):
            parts.append(english.encode(texts[start : start + 2048]))
            line.show(f"teacher: {start + len(parts[-1]):,} of {len(texts):,} words")
        return np.concatenate(parts)

    return vectors


def _tuned(
    output: Output,
    out: Path,
    model: Path,
    pairs: Sequence[Path] | None,
    hold_out: Sequence[Path],
    epochs: float,
    seed: int,
    home: Path | None,
) -> None:
    from train import embedder_sources
    from train.finetune_embedder import Tuning, finetune, library_pairs
    from train.verbs import opened

    if pairs is None:
        with opened(home) as base:
            belong = list(library_pairs(base.store))
    else:
        belong = list(embedder_sources.read_pairs(pairs, embedder_sources.read_held_out(hold_out)))
    loss = finetune(model, belong, out, Tuning(epochs=epochs, seed=seed))
    output.result = {"folder": str(out), "pairs": len(belong), "loss": loss}
    output.say(f"Tuned on {len(belong):,} pairs, mean loss {loss:.3f}.")
