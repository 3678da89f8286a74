"""A causal language model in a local folder as a chat model, streamed token by token. Nothing is fetched.

Only safetensors weights are read and no code of the folder is run. The model's own chat template words the prompt;
without one, plain roles. Generation is greedy, so that the same question over the same passages gives the same answer.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import torch
from jinja2 import TemplateError
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    StoppingCriteria,
    StoppingCriteriaList,
    TextIteratorStreamer,
)
from transformers.utils import logging

from kb.errors import UsageError
from kb.model_failures import ModelFailure

_ROLES = {"system": "System", "human": "User", "ai": "Assistant"}
_CHAT_ROLES = {"system": "system", "human": "user", "ai": "assistant"}
PLAIN_STOPS = ("\nUser:", "\nSystem:")
"""A model without a chat template may go on and play the other roles; its answer ends there."""
FALLBACK_CONTEXT = 2048
"""Tokens, for a model that does not say how long its context is."""


class LocalModel(BaseChatModel):
    """A transformers model behind LangChain's interface. One question at a time; others wait their turn."""

    max_new_tokens: int
    context_tokens: int
    _model: Any = PrivateAttr()
    _tokenizer: Any = PrivateAttr()
    _turn: threading.Lock = PrivateAttr(default_factory=threading.Lock)

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
        stops = tuple(stop or ()) + (() if self._tokenizer.chat_template else PLAIN_STOPS)
        run = _Run(self, ids)
        try:
            for text in until(run.pieces(), stops):
                yield ChatGenerationChunk(message=AIMessageChunk(content=text))
        finally:
            run.stop()
        run.thread.join()  # the last piece comes a little before the verdict
        if run.error is not None:
            raise ModelFailure("broke", self.name or "", f"{type(run.error).__name__}: {run.error}") from run.error
        yield ChatGenerationChunk(
            message=AIMessageChunk(content=""), generation_info={"finish_reason": run.finish_reason}
        )

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


class _Stopped(StoppingCriteria):
    """Asked after every token."""

    def __init__(self) -> None:
        self.asked_to = False

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self.asked_to, device=input_ids.device, dtype=torch.bool)


class _Run:
    """One generation in its own thread. As a context manager it hands what went wrong there to the reader."""

    def __init__(self, owner: LocalModel, ids: list[int]) -> None:
        self._owner = owner
        self._ids = ids
        self._stopped = _Stopped()
        self._streamer = TextIteratorStreamer(owner._tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.error: BaseException | None = None
        self.finish_reason: Literal["stop", "length"] = "stop"
        self.thread = threading.Thread(target=self._generate, name="vademecum-generate", daemon=True)

    def pieces(self) -> Iterator[str]:
        self.thread.start()
        for text in self._streamer:
            if text:
                yield text

    def stop(self) -> None:
        """Generation ends with the token it is at."""
        self._stopped.asked_to = True

    def _generate(self) -> None:
        with self, self._owner._turn, torch.inference_mode():
            if self._stopped.asked_to:
                return
            model = self._owner._model
            ids = torch.tensor([self._ids], device=model.device)
            output = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                generation_config=_greedy(model, self._owner.max_new_tokens),
                streamer=self._streamer,
                stopping_criteria=StoppingCriteriaList([self._stopped]),
            )
            if output.shape[1] - len(self._ids) >= self._owner.max_new_tokens:
                self.finish_reason = "length"

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        self._streamer.end()  # type: ignore[no-untyped-call]  # once more than needed when all went well; the reader stops at the first
        return True


def _greedy(model: Any, max_new_tokens: int) -> GenerationConfig:
    own = model.generation_config
    end = own.eos_token_id
    first_end = end[0] if isinstance(end, list) else end
    return GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=max_new_tokens,
        do_sample=False,
        bos_token_id=own.bos_token_id,
        eos_token_id=end,
        pad_token_id=own.pad_token_id if own.pad_token_id is not None else first_end,
    )


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


def load_local_model(path: Path, *, max_new_tokens: int, threads: int = 0) -> LocalModel:
    """Load the model in folder `path`. Raises UsageError saying what is wrong with it."""
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
    only_local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(path, **only_local)
        tokenizer = AutoTokenizer.from_pretrained(path, **only_local)
        # bfloat16 is many times slower than float32 on CPUs without its instructions.
        dtype = "auto" if torch.cuda.is_available() else torch.float32
        model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, use_safetensors=True, **only_local)
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
    device = "cuda" if torch.cuda.is_available() else "cpu"
    local = LocalModel(
        name=f"transformers:{path.resolve().name}", max_new_tokens=max_new_tokens, context_tokens=context
    )
    local._model = model.to(device).eval()
    local._tokenizer = tokenizer
    return local


def _context_tokens(config: Any, tokenizer: Any) -> int:
    stated = getattr(config.get_text_config(), "max_position_embeddings", None) or FALLBACK_CONTEXT
    return int(min(stated, tokenizer.model_max_length))
