"""A corpus and a model (or the shape of a new one) in, a run that is ready to start out: every token carries loss.

Documents are laid end to end and cut into rows ('slice': no place is wasted), or put in whole, long ones in pieces
('best-fit'). Either way each piece has positions of its own, so that none sees its neighbour, and an end token closes
each document.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from kb.access import SINGLE, Principal
from kb.errors import UsageError
from kb.store import Store
from train.corpus import Corpus, CorpusPlan, Text, gather
from train.model_folders import Base, weights_hash
from train.packing import Encoded, Packed, Packing, pack, split_long
from train.prepare import Ready, check, counts, describe, length_of, packing_of, register
from train.recipe import Recipe
from train.runs import Run, Runs
from train.templates import encode_text

DEFAULT_LENGTH = 1024
BETA2 = 0.95
"""As usual for language models from scratch (Touvron et al., 2023)."""


@dataclass(frozen=True, slots=True)
class NewModel:
    """The shape of a model from nothing."""

    width: int = 128
    layers: int = 3
    heads: int = 4
    head_width: int = 64
    inner: int = 256
    context: int = 1024
    vocabulary: int = 4000
    induction: bool = True
    """Start near copying (train.architecture)."""


@dataclass(frozen=True, slots=True)
class Pretrain:
    """What is asked of `train pretrain`."""

    corpus: CorpusPlan
    recipe: Recipe
    base: Base | None = None
    new: NewModel = field(default_factory=NewModel)
    """Made if there is no base."""
    name: str = ""
    packing: Literal["auto", "slice", "best-fit", "none"] = "auto"
    length: int = 0
    """Tokens of a row; 0: 1,024, or the context if it is smaller."""


def prepare_pretrain(
    runs: Runs,
    store: Store,
    asked: Pretrain,
    principal: Principal = SINGLE,
    told: Callable[[str], None] = lambda _: None,
) -> Run:
    """Gather the corpus, encode and pack it, then put the run on record, queued. Raises UsageError."""
    check(store.home, asked.recipe, asked.name)
    corpus = gather(store, asked.corpus, told)
    made = store.home / "runs" / f".new-{os.getpid()}"
    try:
        base = asked.base or _new(made, asked.new, corpus, asked.recipe.seed, told)
        return _prepare(runs, store.home, asked, corpus, base, principal, made if asked.base is None else None, told)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _prepare(
    runs: Runs,
    home: Path,
    asked: Pretrain,
    corpus: Corpus,
    base: Base,
    principal: Principal,
    own_base: Path | None,
    told: Callable[[str], None],
) -> Run:
    from train.fit import load_tokenizer

    length, context = length_of(base.folder, asked.length, DEFAULT_LENGTH)
    how, refused = packing_of(base.folder, "slice" if asked.packing == "auto" else asked.packing)
    tokenizer = load_tokenizer(base.folder)
    if tokenizer.eos_token_id is None:
        raise UsageError("The model's tokenizer names no end token. Set eos_token in its tokenizer_config.json.")
    parts: dict[str, Packed] = {}
    facts: dict[str, Any] = {"packing": how, "length": length, "context": context, "sources": corpus.sources}
    if refused:
        facts["packing_refused"] = refused
    for split, texts in (("train", corpus.train), ("validation", corpus.held_out)):
        told(f"tokenising {len(texts):,} texts")
        examples = [encode_text(tokenizer, text.text) for text in texts]
        parts[split] = pack(_fitting(examples, length, how), length, how)
        facts[split] = counts(parts[split], len(examples), {}) | {"by_source": _by_source(texts, examples)}
    run = describe(
        "pretrain",
        asked.name,
        base,
        asked.recipe,
        dataset=("corpus", corpus.hash[:12], corpus.hash),
        facts=facts,
        arguments={"packing": how, "length": length, **({"new": asdict(asked.new)} if own_base else {})},
    )
    ready = Ready(parts["train"], parts["validation"], how != "none", facts)
    return register(runs, home, run, base, asked.recipe, ready, principal, own_base=own_base)


def _new(folder: Path, shape: NewModel, corpus: Corpus, seed: int, told: Callable[[str], None]) -> Base:
    from train.architecture import Size, train_tokenizer, write_new_model

    told("training a tokenizer")
    texts = (text.text for text in corpus.train)
    tokenizer = train_tokenizer(texts, shape.vocabulary, shape.context)
    size = Size(shape.width, shape.layers, shape.heads, shape.head_width, shape.inner, shape.context)
    folder.mkdir(parents=True, exist_ok=True)
    count = write_new_model(folder, tokenizer, size, seed=seed, induction=shape.induction)
    told(f"a new model of {count:,} parameters")
    return Base("new", folder, weights_hash(folder))


def _fitting(examples: Sequence[Encoded], length: int, how: Packing) -> list[Encoded]:
    if how == "slice":
        return list(examples)
    return [piece for example in examples for piece in split_long(example, length)]


def _by_source(texts: Sequence[Text], examples: Sequence[Encoded]) -> dict[str, int]:
    """Tokens of each source."""
    tokens: dict[str, int] = {}
    for text, example in zip(texts, examples, strict=True):
        tokens[text.source] = tokens.get(text.source, 0) + len(example)
    return tokens


def recipe_for_pretraining(recipe: Recipe) -> Recipe:
    """The recipe with the second moment's decay of pre-training."""
    return replace(recipe, beta2=BETA2)
