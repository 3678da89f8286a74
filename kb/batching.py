"""Prompts in, tokens out as they are made: one thread decodes for all who wait, greedily, a token of each at a time.

Continuous batching (Yu et al., "Orca", OSDI 2022): a prompt joins at any token and leaves at its end, so that a short
answer never waits for a long one. Prompts of different lengths stand right-aligned; what is left of them is masked.
Models whose cache is not plain keys and values per position (sliding windows, states) are decoded one at a time.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from inspect import signature
from types import TracebackType
from typing import Any

import torch


@dataclass(eq=False)
class Ticket:
    """One prompt and what becomes of it. Iterate for its tokens; then `error` and `ended` say how it went."""

    prompt: Sequence[int]
    most: int
    error: BaseException | None = None
    ended: bool = False
    """Whether the model said the end, rather than ran out of tokens."""
    cancelled: bool = False
    made: int = 0
    _tokens: queue.SimpleQueue[int | None] = field(default_factory=queue.SimpleQueue)

    def __iter__(self) -> Iterator[int]:
        while (token := self._tokens.get()) is not None:
            yield token

    def cancel(self) -> None:
        """Decoding ends with the token it is at."""
        self.cancelled = True

    def _take(self, token: int, ends: frozenset[int]) -> bool:
        """Note a token; whether the ticket is done with it."""
        self.ended = token in ends
        self.made += 1
        if not self.ended and not self.cancelled:
            self._tokens.put(token)
        return self.ended or self.cancelled or self.made >= self.most

    def _close(self, error: BaseException | None = None) -> None:
        self.error = error
        self._tokens.put(None)


class Batcher:
    """Decodes for all who submit. Its thread lives only while there is something to do."""

    def __init__(self, model: Any, *, ends: frozenset[int], pad: int, most: int = 8) -> None:
        self._model = model
        self._ends = ends
        self._pad = pad
        self._most = most if _plain_cache(model) else 1
        self._positions = "position_ids" in signature(model.forward).parameters
        self._waiting: list[Ticket] = []
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self.largest = 0
        """Most prompts that were decoded together."""

    def submit(self, prompt: Sequence[int], most: int) -> Ticket:
        """Have up to `most` tokens made after `prompt`."""
        ticket = Ticket(prompt, most)
        with self._guard:
            self._waiting.append(ticket)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="vademecum-generate", daemon=True)
                self._thread.start()
        return ticket

    def _run(self) -> None:
        at_work = _AtWork(self)
        with torch.inference_mode():
            while True:
                with self._guard:
                    if not self._waiting and not at_work.batch:
                        self._thread = None
                        return
                    room = self._most - len(at_work.batch)
                    new, self._waiting = self._waiting[:room], self._waiting[room:]
                with at_work:
                    at_work.batch.admit([ticket for ticket in new if not at_work.dropped(ticket)])
                    at_work.batch.step()
                self.largest = max(self.largest, at_work.batch.largest)


class _AtWork:
    """The batch in hand. As a context manager it tells all in it, and those about to join, of a failure."""

    def __init__(self, owner: Batcher) -> None:
        self._owner = owner
        self.batch = _Batch(owner)

    def dropped(self, ticket: Ticket) -> bool:
        if ticket.cancelled:
            ticket._close()
        return ticket.cancelled

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None:
            for ticket in [*self.batch.tickets, *self.batch.joining]:
                ticket._close(error)
            self.batch = _Batch(self._owner)
        return True


class _Batch:
    """Prompts that are decoded together: their keys and values, right-aligned, and the mask over them."""

    def __init__(self, owner: Batcher) -> None:
        self._owner = owner
        self.tickets: list[Ticket] = []
        self.joining: list[Ticket] = []
        self.largest = 0
        self._last: list[int] = []
        self._mask = torch.empty(0, 0, dtype=torch.long)
        self._cache: Any = None

    def __len__(self) -> int:
        return len(self.tickets)

    def admit(self, new: list[Ticket]) -> None:
        """Read the prompts of newcomers and let them join."""
        if not new:
            return
        self.joining = new
        device = self._owner._model.device
        longest = max(len(ticket.prompt) for ticket in new)
        ids = torch.full((len(new), longest), self._owner._pad, dtype=torch.long)
        mask = torch.zeros((len(new), longest), dtype=torch.long)
        for row, ticket in enumerate(new):
            ids[row, longest - len(ticket.prompt) :] = torch.tensor(list(ticket.prompt))
            mask[row, longest - len(ticket.prompt) :] = 1
        ids, mask = ids.to(device), mask.to(device)
        cache, chosen = self._forward(ids, mask, None)
        if not self.tickets:
            self._cache, self._mask = cache, mask
        else:
            self._cache, self._mask = _joined(self._cache, self._mask, cache, mask)
        self.tickets += new
        self.joining = []
        self.largest = max(self.largest, len(self.tickets))
        waiting: list[int | None] = [None] * (len(self.tickets) - len(new))
        self._note([*waiting, *chosen])

    def step(self) -> None:
        """One more token for each."""
        if not self.tickets:
            return
        last = torch.tensor([[token] for token in self._last], device=self._mask.device)
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        self._cache, chosen = self._forward(last, self._mask, self._cache)
        self._note(chosen)

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any) -> tuple[Any, list[int | None]]:
        more: dict[str, Any] = {"past_key_values": cache} if cache is not None else {}
        if self._owner._positions:
            more["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = self._owner._model(input_ids=ids, attention_mask=mask, use_cache=True, **more)
        return output.past_key_values, list(output.logits[:, -1].argmax(-1).tolist())

    def _note(self, chosen: list[int | None]) -> None:
        """Hand out the tokens; who is done leaves."""
        kept: list[int] = []
        last: list[int] = []
        for row, (ticket, token) in enumerate(zip(self.tickets, chosen, strict=True)):
            if token is None:  # it waits while others join
                kept.append(row)
                last.append(self._last[row])
            elif ticket._take(token, self._owner._ends):
                ticket._close()
            else:
                kept.append(row)
                last.append(token)
        self._last = last
        if len(kept) < len(self.tickets):
            self.tickets = [self.tickets[row] for row in kept]
            self._keep(kept)

    def _keep(self, rows: list[int]) -> None:
        if not rows:
            self._cache = None
            return
        at = torch.tensor(rows, device=self._mask.device)
        self._mask = self._mask[at]
        spare = int(self._mask.shape[1] - self._mask.sum(1).max())  # columns that nobody left needs
        self._mask = self._mask[:, spare:]
        self._cache = _rebuilt([(k[at, :, spare:], v[at, :, spare:]) for k, v in _pairs(self._cache)])


def _plain_cache(model: Any) -> bool:
    """Whether the cache is plain keys and values of every position, which can be cut and joined."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    try:
        cache = DynamicCache(config=model.config)
    except (ValueError, KeyError, AttributeError):
        return False
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def _pairs(cache: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(layer.keys, layer.values) for layer in cache.layers]


def _rebuilt(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> Any:
    from transformers.cache_utils import DynamicCache

    return DynamicCache(pairs)


def _joined(old: Any, old_mask: torch.Tensor, new: Any, new_mask: torch.Tensor) -> tuple[Any, torch.Tensor]:
    """Both, one above the other, the shorter padded on its left."""
    length = max(old_mask.shape[1], new_mask.shape[1])

    def widened(tensor: torch.Tensor, at: int) -> torch.Tensor:
        missing = length - tensor.shape[at]
        return torch.nn.functional.pad(tensor, (missing, 0) if at == 1 else (0, 0, missing, 0))

    pairs = [
        (torch.cat([widened(k, 2), widened(more_k, 2)]), torch.cat([widened(v, 2), widened(more_v, 2)]))
        for (k, v), (more_k, more_v) in zip(_pairs(old), _pairs(new), strict=True)
    ]
    return _rebuilt(pairs), torch.cat([widened(old_mask, 1), widened(new_mask, 1)])


class Words:
    """Tokens in, text out as soon as it is whole: a character of several tokens is held back until its last."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._from = self._shown = 0

    def feed(self, token: int) -> str:
        """What can be shown now."""
        self._ids.append(token)
        return self._new(final=False)

    def close(self) -> str:
        """The rest, half a character included."""
        return self._new(final=True)

    def _new(self, *, final: bool) -> str:
        before = self._decoded(self._ids[self._from : self._shown])
        now = self._decoded(self._ids[self._from :])
        if len(now) <= len(before) or (now.endswith("\ufffd") and not final):
            return ""
        self._from, self._shown = self._shown, len(self._ids)
        return now[len(before) :]

    def _decoded(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))
