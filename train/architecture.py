"""A small language model from nothing: a tokenizer trained on the texts, a Llama of chosen size, and where it starts.

A model of a million parameters learns to copy from its prompt only after millions of tokens, because the two-step
circuit that copies (attend to what followed the same words before; Olsson et al., "In-context Learning and Induction
Heads", 2022) must appear by chance. `start_with_induction` begins near it instead, in the spirit of Trockman and
Kolter's mimetic initialisation (2023): the first layer's heads look one to four tokens back, later layers match those
against the present words and pass on what followed. Four: before the value of a field stand the end of the drug's name,
a line break, the field and a colon. All weights train on from there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

SPECIAL = ("<pad>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% if m['role'] == 'assistant' %}<|end|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_BORDERS = r"[\n:：；;，,。.、（）()\[\]？?～~ ]|[0-9]"
"""Never inside a token, so that a field's value is cut the same way in the passage and in the answer."""


@dataclass(frozen=True, slots=True)
class Size:
    """The shape of a small model."""

    width: int = 128
    layers: int = 3
    heads: int = 4
    head_width: int = 64
    inner: int = 256
    context: int = 1024
    theta: float = 1e7
    """Base of the rotary positions: large, so that most of a head's width compares content whatever the distance."""
    back: int = 4
    """How many tokens back the first layer's heads look, where the model starts near copying."""


def train_tokenizer(texts: Iterable[str], vocabulary: int, context: int) -> Any:
    """A byte-pair tokenizer of at most `vocabulary` tokens; characters it has never seen become bytes."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_BORDERS), "isolated")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))],
        max_token_length=4,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([])
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=SPECIAL[0],
        eos_token=SPECIAL[1],
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def write_new_model(folder: Path, tokenizer: Any, size: Size, *, seed: int, induction: bool = True) -> int:
    """Make a Llama of that size and save it with its tokenizer; returns its number of parameters.

    Llama with biases, not Qwen2: for Qwen2 folders transformers 5 sets Qwen's own tokenizer in place of the saved one.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        head_dim=size.head_width,
        attention_bias=True,
        max_position_embeddings=size.context,
        rope_parameters={"rope_type": "default", "rope_theta": size.theta},
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    if induction:
        start_with_induction(model, size, seed=seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def start_with_induction(
    model: Any,
    size: Size,
    *,
    seed: int,
    sharpness: float = 20.0,
    gain: float = 3.0,
    scale: float = 0.05,
    loudness: float = 3.0,
) -> None:
    """Set the weights so that the model copies before it has learned anything else.

    Half of the width holds the token itself, the other half what stood 1 … `size.back` tokens before (written by the
    first layer). `sharpness`: logit of a full match; `gain`: weight of a copied token beside the present one; `scale`:
    size of the embeddings; `loudness`: of the last norm, so that what is copied is said with confidence from the start
    (loss of held-out answers before any training: 1.2 nats a token, 5.0 without).
    """
    width, back, generator = size.width, size.back, torch.Generator().manual_seed(seed + 5)
    own = width // 2
    part = min((width - own) // back, len(_slow(size)))
    basis = _orthonormal(width, width, generator)
    read_own = basis[:, :own].T  # (own, width)
    stored = [basis[:, own + i * part : own + (i + 1) * part] for i in range(back)]  # (width, part) each
    narrow = _orthonormal(part, own, generator) @ read_own  # what of a token is remembered: (part, width)
    with torch.no_grad():
        model.model.norm.weight.mul_(loudness)
        table = model.model.embed_tokens.weight
        vectors = torch.randn(table.shape[0], own, generator=generator)
        table.copy_(vectors / vectors.norm(dim=1, keepdim=True) * scale * math.sqrt(width) @ read_own)
        first = model.model.layers[0].self_attn
        for head in range(min(back, size.heads)):
            _look_back(first, head, head + 1, size)
            _carry(first, head, narrow, stored[head] * scale * math.sqrt(own / part), size)
        for layer in model.model.layers[1:]:
            for head in range(size.heads):
                order = min(head, back - 1) + 1
                _match(layer.self_attn, head, narrow * math.sqrt(own / part), stored, order, sharpness, size, generator)
                seen = _orthonormal(size.head_width, own, generator) @ read_own
                ratio = own / min(size.head_width, own)
                _carry(layer.self_attn, head, seen, seen.T * scale * gain / size.heads * ratio, size)


def _frequencies(size: Size) -> list[float]:
    return [size.theta ** (-2 * i / size.head_width) for i in range(size.head_width // 2)]


def _slow(size: Size) -> list[int]:
    """Places of a head whose rotation over 150 tokens is under 0.7 radians: they compare content."""
    half = size.head_width // 2
    slow = [i for i, frequency in enumerate(_frequencies(size)) if frequency * 150 < 0.7]
    return slow + [half + i for i in slow]


def _look_back(attention: Any, head: int, distance: int, size: Size) -> None:
    """Biases that make `head` attend `distance` tokens back: rotated against each other by just that much."""
    half, at = size.head_width // 2, head * size.head_width
    fast = [(i, f) for i, f in enumerate(_frequencies(size)) if f >= 0.05]
    strength = math.sqrt(12 * math.sqrt(size.head_width) / sum(1 - math.cos(f) for _, f in fast))
    query, key = torch.zeros(size.head_width), torch.zeros(size.head_width)
    for i, frequency in fast:
        query[i] = strength
        key[i] = strength * math.cos(distance * frequency)
        key[half + i] = strength * math.sin(distance * frequency)
    attention.q_proj.bias[at : at + size.head_width] = query
    attention.k_proj.bias[at : at + size.head_width] = key


def _match(
    attention: Any,
    head: int,
    narrow: torch.Tensor,
    stored: list[torch.Tensor],
    order: int,
    sharpness: float,
    size: Size,
    generator: torch.Generator,
) -> None:
    """Let `head` attend where the `order` tokens before are the present one and those before it."""
    part, at = narrow.shape[0], head * size.head_width
    places = [at + place for place in _slow(size)[:part]]
    strength = math.sqrt(sharpness * math.sqrt(size.head_width) * (1 + len(stored)) / size.width)
    turn = _orthonormal(part, part, generator)
    query, key = turn @ narrow, turn @ stored[0].T
    for back in range(1, order):
        turn = _orthonormal(part, part, generator)
        query, key = query + turn @ stored[back - 1].T, key + turn @ stored[back].T
    attention.q_proj.weight[places] += strength * query
    attention.k_proj.weight[places] += strength * key


def _carry(attention: Any, head: int, read: torch.Tensor, write: torch.Tensor, size: Size) -> None:
    """Let `head` pass on what `read` (n, width) takes from a token, put down by `write` (width, n)."""
    at = head * size.head_width
    values = torch.zeros(size.head_width, size.width)
    values[: read.shape[0]] = read
    outputs = torch.zeros(size.width, size.head_width)
    outputs[:, : write.shape[1]] = write
    attention.v_proj.weight[at : at + size.head_width] = values
    attention.o_proj.weight[:, at : at + size.head_width] = outputs


def _orthonormal(rows: int, columns: int, generator: torch.Generator) -> torch.Tensor:
    """(rows, columns) with orthonormal rows or columns, whichever are fewer."""
    square: torch.Tensor
    square, _ = torch.linalg.qr(torch.randn(max(rows, columns), min(rows, columns), generator=generator))
    return square.T if rows < columns else square
