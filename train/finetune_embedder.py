"""A sentence-transformers model and pairs of question and passage in, the model tuned on them out.

Each question is drawn to its own passage and away from those of the others in its batch (MultipleNegativesRankingLoss;
Henderson et al., 2017), by sentence-transformers' own trainer. The library's reviewed examples are such pairs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb.embed import embedding_text
from kb.errors import UsageError
from train.examples import Examples, Selection, chunks_of

if TYPE_CHECKING:
    from kb.store import Store

LEAST_PAIRS = 8


@dataclass(frozen=True, slots=True)
class Tuning:
    """What can be chosen."""

    epochs: float = 1.0
    batch: int = 32
    rate: float = 2e-5
    seed: int = 0


def library_pairs(store: Store) -> Iterator[tuple[str, str]]:
    """Question and passage of each answerable example that was kept, accepted or edited and still stands."""
    examples = Examples(store)
    for example in examples.stream(Selection(states=("kept", "accepted", "edited"))):
        if not example.answerable or not example.question or examples.is_stale(example):
            continue
        chunks = chunks_of(store, [source.chunk_id for source in example.sources])
        for chunk in chunks.values():
            yield example.question, embedding_text(chunk)


def finetune(model: Path, pairs: Sequence[tuple[str, str]], out: Path, tuning: Tuning) -> float:
    """Tune the model in folder `model` on `pairs` and save it to `out`; returns the mean training loss.

    Raises UsageError if there are too few pairs.
    """
    if len(pairs) < LEAST_PAIRS:
        raise UsageError(
            f"There are {len(pairs)} pairs of question and passage, too few to learn from (at least {LEAST_PAIRS}). "
            "Make examples with `vademecum qa generate`, or name files with --pairs."
        )
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.training_args import (
        BatchSamplers,
        SentenceTransformerTrainingArguments,
    )

    network = SentenceTransformer(str(model), local_files_only=True)
    data = Dataset.from_dict({"anchor": [a for a, _ in pairs], "positive": [b for _, b in pairs]})
    with tempfile.TemporaryDirectory(prefix="vademecum-embedder-") as folder:
        arguments: Any = SentenceTransformerTrainingArguments(
            output_dir=folder,
            num_train_epochs=tuning.epochs,
            per_device_train_batch_size=min(tuning.batch, len(pairs)),
            learning_rate=tuning.rate,
            warmup_steps=0.1,
            seed=tuning.seed,
            batch_sampler=BatchSamplers.NO_DUPLICATES,
            prompts=_prompts(network),
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = SentenceTransformerTrainer(
            model=network, args=arguments, train_dataset=data, loss=MultipleNegativesRankingLoss(network)
        )
        result = trainer.train()
    network.save_pretrained(str(out), create_model_card=False)
    return float(result.training_loss)


def _prompts(network: Any) -> dict[str, str]:
    """The model's own prompts, by the column they go before: trained as it will be used."""
    own = network.prompts
    passage = next((own[name] for name in ("document", "passage", "corpus") if own.get(name)), "")
    found = {"anchor": own.get("query") or "", "positive": passage}
    return {name: prompt for name, prompt in found.items() if prompt}
