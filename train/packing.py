"""Token sequences in, rows of a fixed size out: no token wasted, no attention across examples.

Best fit fills rows with whole examples; slicing lays documents end to end and cuts. Either way a piece's
positions begin at 0 again, from which transformers builds the block mask, so neighbours in a row never see each other.
Models whose positions are no input (ALiBi) would see them: `packing_refusal` says so and rows hold one example each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kb.errors import UsageError

IGNORED = -100
"""Label of a token that is not trained on."""
Packing = Literal["best-fit", "slice", "none"]
_ALIBI = {"bloom", "mpt"}
_POSITIONS_IGNORED = {"mamba", "mamba2", "falcon_mamba", "rwkv", "recurrent_gemma"}


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example: its tokens, and which of them carry loss (int32 and bool, both of shape (n,))."""

    tokens: np.ndarray
    trained: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class Packed:
    """Examples laid out so that each row is a run of whole pieces. Memory-mapped when loaded, so of any size."""

    tokens: np.ndarray
    trained: np.ndarray
    piece_ends: np.ndarray
    row_ends: np.ndarray
    """piece_ends[i]: where piece i ends in `tokens`; row_ends[j]: how many pieces rows 0..j hold. int64."""
    size: int

    def __len__(self) -> int:
        return len(self.row_ends)

    def row(self, number: int) -> list[Encoded]:
        """The pieces of one row."""
        first = int(self.row_ends[number - 1]) if number else 0
        pieces = []
        for piece in range(first, int(self.row_ends[number])):
            start = int(self.piece_ends[piece - 1]) if piece else 0
            end = int(self.piece_ends[piece])
            pieces.append(Encoded(np.asarray(self.tokens[start:end]), np.asarray(self.trained[start:end])))
        return pieces

    @property
    def utilisation(self) -> float:
        """Share of the rows' places that hold a token."""
        return len(self.tokens) / (len(self) * self.size) if len(self) else 0.0

    @property
    def trained_tokens(self) -> int:
        return int(np.count_nonzero(self.trained))

    def save(self, folder: Path) -> None:
        """Write the arrays and their shape."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("tokens", "trained", "piece_ends", "row_ends"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        (folder / "packed.json").write_text(json.dumps({"size": self.size, "rows": len(self)}))

    @classmethod
    def load(cls, folder: Path) -> Packed:
        """Open what `save` wrote, mapped into memory. Raises UsageError if it is not whole."""
        try:
            arrays = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                for name in ("tokens", "trained", "piece_ends", "row_ends")
            }
            size = int(json.loads((folder / "packed.json").read_text())["size"])
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(
                f"The packed rows in {folder} cannot be read: {error}. Start the run anew from its dataset."
            ) from None
        return cls(size=size, **arrays)


def pack(examples: Iterable[Encoded], size: int, how: Packing) -> Packed:
    """Lay `examples` out in rows of `size` tokens.

    With 'best-fit' and 'none' examples longer than `size` must have been left out or split before (see `split_long`);
    raises UsageError otherwise.
    """
    pieces = list(examples)
    if how == "slice":
        pieces, rows = _slice(pieces, size)
    else:
        too_long = sum(len(piece) > size for piece in pieces)
        if too_long:
            raise UsageError(f"{too_long} examples are longer than {size} tokens. Raise --max-length, or split them.")
        lengths = [len(piece) for piece in pieces]
        rows = best_fit(lengths, size) if how == "best-fit" else [[i] for i in range(len(pieces))]
    order = [i for row in rows for i in row]
    return Packed(
        tokens=_joined([pieces[i].tokens for i in order], np.int32),
        trained=_joined([pieces[i].trained for i in order], np.bool_),
        piece_ends=np.cumsum([len(pieces[i]) for i in order], dtype=np.int64),
        row_ends=np.cumsum([len(row) for row in rows], dtype=np.int64),
        size=size,
    )


def _joined(arrays: Sequence[np.ndarray], kind: Any) -> np.ndarray:
    return np.concatenate(arrays).astype(kind) if arrays else np.empty(0, kind)


def best_fit(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Rows of example numbers: the longest that is left, then those of the others that fill the row best.

    Which lengths fill it is a subset sum, whose reachable sums are the bits of one integer; a combination is used as
    often as there are examples for it (histogram packing; Krell et al., "Efficient sequence packing without
    cross-contamination", 2021). Plain best fit wastes 2% where most lengths are alike.
    """
    left: dict[int, list[int]] = {}
    for number in sorted(range(len(lengths)), key=lambda i: (lengths[i], i), reverse=True):
        left.setdefault(lengths[number], []).append(number)  # longest first, and so the dict's keys
    rows: list[list[int]] = []
    while left:
        longest = next(iter(left))
        counts = {length: len(numbers) - (length == longest) for length, numbers in left.items()}
        taken = _filling(counts, size - longest)
        taken[longest] = taken.get(longest, 0) + 1
        times = min(len(left[length]) // count for length, count in taken.items())
        rows += [[left[length].pop() for length, count in taken.items() for _ in range(count)] for _ in range(times)]
        for length in taken:
            if not left[length]:
                del left[length]
    return rows


def _filling(counts: Mapping[int, int], room: int) -> dict[int, int]:
    """How many of each length come nearest to `room` tokens."""
    within = (1 << (room + 1)) - 1
    sums = 1  # bit s: a sum of s tokens can be reached
    steps: list[tuple[int, int, int]] = []
    for length, most in counts.items():
        count, several = min(most, room // length), 1
        while count > 0:  # 1, 2, 4, … of them: any number is a sum of these
            several = min(several, count)
            steps.append((length, several, sums))
            sums |= (sums << (length * several)) & within
            count, several = count - several, several * 2
        if sums >> room:
            break
    taken: dict[int, int] = {}
    total = sums.bit_length() - 1
    for length, several, before in reversed(steps):
        if not before >> total & 1:
            taken[length] = taken.get(length, 0) + several
            total -= length * several
    return taken


def split_long(example: Encoded, size: int) -> Iterator[Encoded]:
    """The example in pieces of at most `size` tokens: for documents, where nothing is lost by a cut."""
    for start in range(0, len(example), size):
        yield Encoded(example.tokens[start : start + size], example.trained[start : start + size])


def _slice(examples: Sequence[Encoded], size: int) -> tuple[list[Encoded], list[list[int]]]:
    pieces: list[Encoded] = []
    rows: list[list[int]] = [[]]
    room = size
    for example in examples:
        start = 0
        while start < len(example):
            if not room:
                rows.append([])
                room = size
            end = min(len(example), start + room)
            rows[-1].append(len(pieces))
            pieces.append(Encoded(example.tokens[start:end], example.trained[start:end]))
            room -= end - start
            start = end
    return pieces, [row for row in rows if row]


def packing_refusal(config: Any) -> str:
    """Why this model's rows must hold one example each; empty when they may hold several."""
    kind = str(getattr(config, "model_type", ""))
    if kind in _ALIBI or getattr(config, "alibi", False):
        return (
            f"{kind} places tokens by ALiBi, which takes no positions: in a packed row examples would attend to their "
            "neighbours. Rows are padded instead."
        )
    if kind in _POSITIONS_IGNORED:
        return f"{kind} carries a state from token to token and knows no borders in a row. Rows are padded instead."
    return ""


def collate(rows: Sequence[Sequence[Encoded]], pad: int, *, packed: bool) -> dict[str, Any]:
    """Rows as int64 tensors (rows, longest): input_ids, labels, and position_ids (packed) or attention_mask (not).

    Padding gets positions of its own, so no example sees it. The first label of each piece is ignored: its token
    would be predicted from the neighbour's last.
    """
    import torch

    longest = max(sum(map(len, row)) for row in rows)
    tokens = np.full((len(rows), longest), pad, np.int64)
    labels = np.full((len(rows), longest), IGNORED, np.int64)
    positions = np.zeros((len(rows), longest), np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    for number, row in enumerate(rows):
        at = 0
        for piece in row:
            end = at + len(piece)
            tokens[number, at:end] = piece.tokens
            labels[number, at:end] = np.where(piece.trained, piece.tokens, IGNORED)
            labels[number, at] = IGNORED
            positions[number, at:end] = np.arange(len(piece))
            at = end
        positions[number, at:] = np.arange(longest - at)
        mask[number, :at] = 1
    batch = {"input_ids": tokens, "labels": labels}
    batch |= {"position_ids": positions} if packed else {"attention_mask": mask}
    return {name: torch.from_numpy(array) for name, array in batch.items()}
