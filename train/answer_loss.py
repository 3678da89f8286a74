"""Conversations in, the loss of their answers under a model: with their passages, or from memory alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from train.packing import IGNORED, Encoded, collate
from train.templates import choose_template, encode

Messages = Sequence[Mapping[str, str]]


def answer_losses(model: Any, rows: Sequence[Messages], *, at_once: int = 8) -> Iterator[tuple[float, int]]:
    """(sum of losses in nats, tokens) of each conversation's answers; (0, 0) for one that is too long or unusable.

    `model` is a kb.local_model.LocalModel.
    """
    network, tokenizer = model._model, model._tokenizer
    template = choose_template(tokenizer, "auto")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    for start in range(0, len(rows), at_once):
        encoded: list[Encoded | None] = []
        for messages in rows[start : start + at_once]:
            whole_row = encode(tokenizer, messages, template)
            encoded.append(whole_row if len(whole_row) <= model.context_tokens else None)
        whole = [one for one in encoded if one is not None]
        found = iter(_losses(network, collate([[one] for one in whole], pad, packed=False)) if whole else [])
        for one in encoded:
            yield next(found) if one is not None else (0.0, 0)


def _losses(network: Any, batch: dict[str, Any]) -> list[tuple[float, int]]:
    device = network.device
    targets = batch.pop("labels")[:, 1:].to(device)
    with torch.inference_mode():
        logits = network(**{name: tensor.to(device) for name, tensor in batch.items()}, use_cache=False).logits
        losses = torch.nn.functional.cross_entropy(
            logits[:, :-1].float().transpose(1, 2), targets, ignore_index=IGNORED, reduction="none"
        )
    return list(zip(losses.sum(1).tolist(), (targets != IGNORED).sum(1).tolist(), strict=True))
