"""A causal language model in a local folder as a chat model, streamed token by token. Nothing is fetched.

Only safetensors weights are read; code of the folder is run only where that is trusted (kb.model_code). The model's own
chat template words the prompt; without one, plain roles. Generation is greedy, so that the same question over the same
passages gives the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from kb.batching import Batcher, Ticket, Words
from kb.errors import UsageError
from kb.model_code import loading
from kb.model_failures import ModelFailure
from kb.prompt_formats import APP, PromptFormat, marks_of

_ROLES = {"system": "System", "human": "User", "ai": "Assistant"}
_CHAT_ROLES = {"system": "system", "human": "user", "ai": "assistant"}
PLAIN_STOPS = ("\nUser:", "\nSystem:")
"""A model without a chat template may go on and play the other roles; its answer ends there."""
FALLBACK_CONTEXT = 2048
"""Tokens, for a model that does not say how long its context is."""


class LocalModel(BaseChatModel):
    """A transformers model behind LangChain's interface. Questions that come together are answered together."""

    max_new_tokens: int
    context_tokens: int
    prompt_format: PromptFormat = APP
    stops: tuple[str, ...] = ()
    """The answer ends before the first of these, wherever it lies in the text."""
    at_once: int = 8
    """Most questions answered together."""
    _model: Any = PrivateAttr()
    _tokenizer: Any = PrivateAttr()
    _batcher: Batcher = PrivateAttr()

    @property
    def _llm_type(self) -> str:
        return "vademecum-transformers"

    @property
    def prompt_tokens(self) -> int:
        """Tokens a prompt may have, so that the answer still fits the context."""
        return self.context_tokens - self.max_new_tokens

    def count_tokens(self, messages: Sequence[BaseMessage]) -> int:
        """Tokens of the prompt that these messages make."""
        return len(self._encode(messages))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        from langchain_core.language_models.chat_models import generate_from_stream

        return generate_from_stream(self._stream(messages, stop=stop, run_manager=run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        ids = self._encode(messages)
        if len(ids) > self.prompt_tokens:
            raise ModelFailure("too long", self.name or "", f"{len(ids)} of {self.prompt_tokens} tokens")
        stops = (*self.stops, *(stop or ()), *(() if self._tokenizer.chat_template else PLAIN_STOPS))
        ticket = self._batcher.submit(ids, self.max_new_tokens)
        marks = marks_of(self.prompt_format, messages)
        try:
            for text in until(self._pieces(ticket), stops):
                if shown := marks.feed(text) if marks else text:
                    yield ChatGenerationChunk(message=AIMessageChunk(content=shown))
        finally:
            ticket.cancel()
        if ticket.error is not None:
            what = f"{type(ticket.error).__name__}: {ticket.error}"
            raise ModelFailure("broke", self.name or "", what) from ticket.error
        if marks and (rest := marks.close()):
            yield ChatGenerationChunk(message=AIMessageChunk(content=rest))
        cut_short = not ticket.ended and ticket.made >= self.max_new_tokens
        yield ChatGenerationChunk(
            message=AIMessageChunk(content=""),
            generation_info={"finish_reason": "length" if cut_short else "stop"},
        )

    def _pieces(self, ticket: Ticket) -> Iterator[str]:
        words = Words(self._tokenizer)
        for token in ticket:
            if text := words.feed(token):
                yield text
        if rest := words.close():
            yield rest

    def _encode(self, messages: Sequence[BaseMessage]) -> list[int]:
        if not self._tokenizer.chat_template:
            return list(self._tokenizer.encode(plain_prompt(messages)))
        chat = [{"role": _CHAT_ROLES[m.type], "content": str(m.content)} for m in messages]
        try:
            return self._templated(chat)
        except TemplateError:  # some templates know no system role
            system, first, *rest = chat
            return self._templated([{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *rest])

    def _templated(self, chat: list[dict[str, str]]) -> list[int]:
        text = self._tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        return list(self._tokenizer.encode(text, add_special_tokens=False))


def plain_prompt(messages: Sequence[BaseMessage]) -> str:
    """`Role: text` paragraphs, ending where the assistant speaks: for a model without a chat template."""
    said = [f"{_ROLES[message.type]}: {message.content}" for message in messages]
    return "\n\n".join([*said, "Assistant:"])


def until(pieces: Iterator[str], stops: Sequence[str]) -> Iterator[str]:
    """The pieces up to the first stop string, which may lie across their borders."""
    held = ""
    for piece in pieces:
        held += piece
        found = [at for at in map(held.find, stops) if at >= 0]
        if found:
            held = held[: min(found)]
            break
        keep = max((n for stop in stops for n in range(1, len(stop)) if held.endswith(stop[:n])), default=0)
        if len(held) > keep:
            yield held[: len(held) - keep]
            held = held[len(held) - keep :]
    if held:
        yield held


def load_local_model(
    path: Path,
    *,
    max_new_tokens: int,
    threads: int = 0,
    prompt_format: PromptFormat = APP,
    stops: Sequence[str] = (),
    at_once: int = 8,
    device: str = "auto",
    memory: Mapping[str, str] | None = None,
) -> LocalModel:
    """Load the model in folder `path`. Raises UsageError saying what is wrong with it.

    `device`: 'auto' (the GPU if there is one), 'cpu', 'cuda:1', …, or 'spread' (over all GPUs, by layers); `memory`
    caps what each device may hold ('0' or 'cpu' → '20GiB').
    """
    if not (path / "config.json").is_file():
        raise UsageError(
            f"Setting model_path is {path}, where there is no config.json. Set it to the folder of a causal language "
            'model in Hugging Face format, or set engine = "extractive".'
        )
    if not any(path.glob("*.safetensors")):
        raise UsageError(
            f"The model in {path} has no safetensors weights; other formats can run code when loaded and are not read. "
            "Convert it to safetensors."
        )
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if threads:
        torch.set_num_threads(threads)
    only_local = loading(path)
    try:
        config = AutoConfig.from_pretrained(path, **only_local)
        tokenizer = AutoTokenizer.from_pretrained(path, **only_local)
        # bfloat16 is many times slower than float32 on CPUs without its instructions.
        placed = _placement(device, memory or {})
        dtype = torch.float32 if placed == {"device_map": "cpu"} else "auto"
        model: Any = AutoModelForCausalLM.from_pretrained(
            path, dtype=dtype, use_safetensors=True, **placed, **only_local
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise UsageError(
            f"The model in {path} (setting model_path) cannot be loaded: {str(error).splitlines()[0]}. "
            'Use a complete causal language model of a known architecture, or set engine = "extractive".'
        ) from error
    context = _context_tokens(config, tokenizer)
    if max_new_tokens >= context:
        raise UsageError(
            f"Setting max_new_tokens is {max_new_tokens}, but the model in {path} has room for {context} tokens. "
            "Lower max_new_tokens to leave room for the passages."
        )
    local = LocalModel(
        name=f"transformers:{path.resolve().name}",
        max_new_tokens=max_new_tokens,
        context_tokens=context,
        prompt_format=prompt_format,
        stops=tuple(stops),
        at_once=at_once,
    )
    local._model = model.eval()
    local._tokenizer = tokenizer
    ends = _ends(model, tokenizer)
    pad = next((one for one in (tokenizer.pad_token_id, *ends) if one is not None), 0)
    local._batcher = Batcher(local._model, ends=ends, pad=pad, most=at_once)
    return local


def _placement(device: str, memory: Mapping[str, str]) -> dict[str, Any]:
    """Where the weights go, as transformers is told. Raises UsageError for a device that is not there."""
    gpus = torch.cuda.device_count()
    caps = {int(name) if name.isdecimal() else name: cap for name, cap in memory.items()}
    if device == "spread":
        if not gpus:
            raise UsageError('Setting model_device is "spread", but this machine has no GPU. Set it to "auto".')
        return {"device_map": "auto", **({"max_memory": caps} if caps else {})}
    chosen = ("cuda:0" if gpus else "cpu") if device == "auto" else device
    named = chosen.partition(":")
    if chosen != "cpu" and not (named[0] == "cuda" and (named[2] or "0").isdecimal() and int(named[2] or 0) < gpus):
        raise UsageError(
            f"Setting model_device is {device!r}; this machine has "
            f"{f'{gpus} GPUs (cuda:0 …)' if gpus else 'no GPU'}. Use auto, cpu, spread or one of those."
        )
    return {"device_map": chosen}


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer."""
    stated = model.generation_config.eos_token_id
    found = stated if isinstance(stated, list) else [stated]
    return frozenset(int(one) for one in found if one is not None)


def context_of(folder: Path) -> int:
    """Tokens that the model in a folder has room for. Raises UsageError if it cannot be told."""
    only_local = loading(folder)
    try:
        return _context_tokens(
            AutoConfig.from_pretrained(folder, **only_local), AutoTokenizer.from_pretrained(folder, **only_local)
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UsageError(f"The model in {folder} cannot be read: {str(error).splitlines()[0]}.") from None


def _context_tokens(config: Any, tokenizer: Any) -> int:
    stated = getattr(config.get_text_config(), "max_position_embeddings", None) or FALLBACK_CONTEXT
    return int(min(stated, tokenizer.model_max_length))
