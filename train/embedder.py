"""Dictionary, passages and pairs in, a static embedder out whose Chinese lies in the space of an English one.

Static: one vector a token, a text is the mean of its tokens (Model2Vec's and sentence-transformers' form), so thousands
of passages a second on one core. Three steps: each token starts where the English words that translate it lie; words
and phrases are drawn to the teacher's vector of their English (Reimers and Gurevych, "Making Monolingual Sentence
Embeddings Multilingual", EMNLP 2020); sentence and passage, question and question are drawn together (InfoNCE) while
the dictionary holds the space in place. Weights are written as int8 with a scale for each token.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from train.embedder_sources import Entry

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

UNKNOWN = "[UNK]"
_EDGE = "▁"
_CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LATIN = "a-zα-ω"
_WORD = re.compile(rf"[{_CJK}]+|[{_LATIN}]+")
_RARE = 1e-7
_LONGEST = 128  # tokens of a passage that are learnt from
_LEAST_LATIN = 5
_IN_DICTIONARY = 0.3  # of a use in running text: a medical term that no text here has yet is worth a token too
_MOST_ENGLISH = 2
"""English words taken of one Chinese sense: the shortest, which are the most used."""
_LONGEST_ENGLISH = 13
"""Characters; half the dictionary, and the half that the teacher reads in a third of the time."""

Teacher = Callable[[Sequence[str]], np.ndarray]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What can be chosen. The defaults are those of the model that ships."""

    vocabulary: int = 60_000
    phrases: int = 70_000
    dictionary_steps: int = 800
    passage_steps: int = 1000
    batch: int = 512
    rate: float = 0.003
    temperature: float = 0.05
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """Chinese words and phrases, and the unit vectors (n, dimension) of their English."""

    texts: list[str]
    targets: np.ndarray
    weights: np.ndarray


def make_tokenizer(words: dict[str, float]) -> Tokenizer:
    """The most probable cut of a text into `words` (their frequencies), as jieba's; Latin words in lower case."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    total = sum(words.values())
    pieces = [(UNKNOWN, math.log(_RARE / total))]
    pieces += [
        (word, math.log(count / total)) for word, count in sorted(words.items(), key=lambda one: (-one[1], one[0]))
    ]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    edges = (f"(?<![{_LATIN}])(?=[{_LATIN}])", f"(?<=[{_LATIN}])(?![{_LATIN}])")  # a Latin word counts whole, or not
    marks = [normalizers.Replace(Regex(edge), _EDGE) for edge in edges]
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), *marks])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"[^{_CJK}{_LATIN}{_EDGE}]+"), behavior="removed"),
            pre_tokenizers.Split(Regex(f"[{_CJK}]+"), behavior="isolated"),
        ]
    )
    return tokenizer


def choose_words(entries: Sequence[Entry], passages: Sequence[str], limit: int) -> dict[str, float]:
    """The tokens: words, characters and Latin words that texts and dictionary use most, with their frequencies."""
    candidates = _known_words()
    for entry in entries:
        if entry.medical and entry.chinese not in candidates and re.fullmatch(f"[{_CJK}]{{2,6}}", entry.chinese):
            candidates[entry.chinese] = 2.0
    latin = Counter(word for text in passages for word in _WORD.findall(text.lower()) if word[0] < "\u3000")
    candidates |= {
        f"{_EDGE}{word}{_EDGE}": float(count)
        for word, count in latin.items()
        if count >= _LEAST_LATIN and 2 <= len(word) <= 24
    }
    characters = {c for text in passages for c in text if re.match(f"[{_CJK}]", c)} | {c for w in candidates for c in w}
    candidates |= {c: candidates.get(c, 1.0) for c in characters if re.match(f"[{_CJK}]", c)}
    tokenizer = make_tokenizer(candidates)
    in_texts = _count(tokenizer, passages)
    in_dictionary = _count(tokenizer, [entry.chinese for entry in entries if entry.medical])
    used = {word: in_texts[word] + _IN_DICTIONARY * in_dictionary[word] for word in candidates}
    kept = sorted(candidates, key=lambda word: (-used[word], -candidates[word], word))[:limit]
    return {word: candidates[word] + used[word] for word in kept}


def _known_words() -> dict[str, float]:
    """jieba's dictionary."""
    import jieba

    words: dict[str, float] = {}
    with jieba.get_module_res("dict.txt") as file:
        for line in file:
            word, count, _ = line.decode("utf-8").split(" ", 2)
            if re.fullmatch(f"[{_CJK}]+", word) and len(word) <= 6:
                words[word] = float(count) or 1.0
    return words


def _count(tokenizer: Tokenizer, texts: Sequence[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for start in range(0, len(texts), 5000):
        for encoding in tokenizer.encode_batch_fast(texts[start : start + 5000], add_special_tokens=False):
            found.update(encoding.tokens)
    return found


def make_lesson(entries: Sequence[Entry], tokenizer: Tokenizer, teacher: Teacher, limit: int) -> Lesson:
    """Each Chinese sense with the mean of the teacher's vectors of its English; tokens first, then medical ones."""
    english: dict[str, list[str]] = {}
    medical: set[str] = set()
    for entry in sorted(
        entries, key=lambda one: (len(one.english) > _LONGEST_ENGLISH, not one.medical, len(one.english))
    ):
        if len(entry.english) > _LONGEST_ENGLISH:
            break
        words = english.setdefault(entry.chinese, [])
        if len(words) < _MOST_ENGLISH and entry.english not in words:
            words.append(entry.english)
        if entry.medical:
            medical.add(entry.chinese)
    vocabulary = tokenizer.get_vocab()
    tokens = {word.strip(_EDGE): word for word in vocabulary}
    english |= {text: [text] for text, word in tokens.items() if word.startswith(_EDGE)}
    order = sorted(english, key=lambda text: (text not in tokens, text not in medical, len(text), text))[:limit]
    wanted = sorted({word for text in order for word in english[text]})
    place = {word: at for at, word in enumerate(wanted)}
    vectors = teacher(wanted)
    targets = np.stack([vectors[[place[word] for word in english[text]]].mean(axis=0) for text in order])
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    weights = np.array([3.0 if text in tokens else 1.0 for text in order])
    return Lesson(order, targets.astype(np.float32), weights)


class StaticTrainer:
    """Holds the table while it learns."""

    def __init__(self, tokenizer: Tokenizer, lesson: Lesson, plan: Plan) -> None:
        import torch

        self._plan = plan
        self._tokenizer = tokenizer
        self._lesson = lesson
        self._ids = self._encode(lesson.texts)
        torch.manual_seed(plan.seed)
        self._bag = torch.nn.EmbeddingBag.from_pretrained(
            torch.from_numpy(self._start()), freeze=False, mode="mean", sparse=True
        )

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids, the first 128, the unknown left out."""
        found: list[list[int]] = []
        for start in range(0, len(texts), 5000):
            batch = self._tokenizer.encode_batch_fast(list(texts[start : start + 5000]), add_special_tokens=False)
            found += [[i for i in encoding.ids if i][:_LONGEST] for encoding in batch]
        return found

    def _start(self) -> np.ndarray:
        """Each token where the English of what it stands for alone lies; else where that of what it is part of does."""
        size, dimension = self._tokenizer.get_vocab_size(), self._lesson.targets.shape[1]
        table = np.zeros((size, dimension), dtype=np.float32)
        shares = np.zeros(size, dtype=np.float32)
        for ids, target in zip(self._ids, self._lesson.targets, strict=True):
            weight = 20.0 if len(ids) == 1 else 1.0 / len(ids) if ids else 0.0
            for i in ids:
                table[i] += weight * target
                shares[i] += weight
        table /= np.maximum(shares, 1e-6)[:, None]
        norms = np.linalg.norm(table, axis=1, keepdims=True)
        noise = np.random.default_rng(self._plan.seed).normal(0, 0.01, table.shape)
        return np.asarray(np.where(norms > 0, table / np.maximum(norms, 1e-6), noise), dtype=np.float32)

    def learn(self, pairs: Sequence[tuple[str, str]], progress: Progress | None = None) -> None:
        """Both phases, with a falling rate over the whole."""
        import torch

        plan = self._plan
        optimizer: Any = torch.optim.SparseAdam(list(self._bag.parameters()), lr=plan.rate)
        steps = plan.dictionary_steps + plan.passage_steps
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.05, 1 - step / steps))
        chooser = np.random.default_rng(plan.seed)
        usable = [i for i, ids in enumerate(self._ids) if ids]
        chances = self._lesson.weights[usable] / self._lesson.weights[usable].sum()
        asked, told = self._encode([a for a, _ in pairs]), self._encode([b for _, b in pairs])
        both = [i for i in range(len(pairs)) if asked[i] and told[i]]
        for step in range(steps):
            rows = chooser.choice(usable, size=plan.batch, p=chances)
            loss = self._dictionary_loss(rows)
            if step >= plan.dictionary_steps and both:
                some = chooser.choice(both, size=min(plan.batch // 2, len(both)), replace=False)
                loss = loss + self._pair_loss([asked[i] for i in some], [told[i] for i in some])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            if progress and (step + 1) % 50 == 0:
                progress(f"loss {float(loss):.3f}", step + 1, steps)

    def _dictionary_loss(self, rows: np.ndarray) -> torch.Tensor:
        import torch

        found = self._vectors([self._ids[i] for i in rows])
        targets = torch.from_numpy(self._lesson.targets[rows])
        loss: torch.Tensor = (1 - (found * targets).sum(dim=1)).mean() * 5
        return loss

    def _pair_loss(self, asked: list[list[int]], told: list[list[int]]) -> torch.Tensor:
        import torch

        scores = self._vectors(asked) @ self._vectors(told).T / self._plan.temperature
        labels = torch.arange(len(asked))
        there, back = (
            torch.nn.functional.cross_entropy(scores, labels),
            torch.nn.functional.cross_entropy(scores.T, labels),
        )
        loss: torch.Tensor = (there + back) / 2
        return loss

    def _vectors(self, ids: list[list[int]]) -> torch.Tensor:
        import torch

        offsets = np.cumsum([0, *(len(one) for one in ids[:-1])])
        flat = torch.tensor([i for one in ids for i in one])
        found: torch.Tensor = torch.nn.functional.normalize(self._bag(flat, torch.from_numpy(offsets)), dim=1)
        return found

    @property
    def table(self) -> np.ndarray:
        """The vectors as they are, float32 (tokens, dimension); that of the unknown is zero."""
        weights = self._bag.weight.detach().numpy().copy()
        weights[0] = 0.0
        return np.asarray(weights)


def model_card(sources: Sequence[str], plan: Plan) -> str:
    """What the model is and what it was made of; whoever passes it on adds the licences of the sources."""
    listed = "\n".join(f"- {name}" for name in sources)
    chosen = "\n".join(f"| {name} | {value} |" for name, value in asdict(plan).items())
    return (
        "# A static Chinese embedder in the space of all-MiniLM-L6-v2\n\n"
        "A text's vector is the mean of its tokens' vectors (sentence-transformers StaticEmbedding, int8 rows with a\n"
        "scale each). Chinese lies where all-MiniLM-L6-v2 puts its English translation, so questions and passages of\n"
        "the two languages meet in one index. Made by `vademecum train embedder` from:\n\n"
        f"{listed}\n\n| choice | value |\n|---|---|\n{chosen}\n"
    )


def save_static(folder: Path, tokenizer: Tokenizer, table: np.ndarray, card: str) -> None:
    """A sentence-transformers folder: int8 rows and their scales, which its StaticEmbedding multiplies at load."""
    from safetensors.numpy import save_file

    inner = folder / "0_StaticEmbedding"
    inner.mkdir(parents=True, exist_ok=True)
    scales = np.maximum(np.abs(table).max(axis=1), 1e-8) / 127
    rows = np.clip(np.round(table / scales[:, None]), -127, 127).astype(np.int8)
    save_file({"embeddings": rows, "weights": scales.astype(np.float32)}, str(inner / "model.safetensors"))
    tokenizer.save(str(inner / "tokenizer.json"), pretty=False)
    modules = [
        {
            "idx": 0,
            "name": "0",
            "path": inner.name,
            "type": "sentence_transformers.sentence_transformer.modules.StaticEmbedding",
        }
    ]
    (folder / "modules.json").write_text(json.dumps(modules, indent=1), encoding="utf-8")
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"}), encoding="utf-8"
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
