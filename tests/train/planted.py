"""A home with a dataset of made-up drugs, and small real models of known virtues and faults, trained in seconds."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from kb.prompt_formats import SHORT_SYSTEM, short_text
from kb.prompts import NOT_MENTIONED
from kb.terms import language_of
from train import datasets, model_folders
from train.architecture import Size, train_tokenizer, write_new_model
from train.fit import load_tokenizer, load_weights
from train.packing import IGNORED, collate
from train.refusals import PARTS, harmful_request
from train.templates import encode

SIZE = Size(width=64, layers=3, heads=4, head_width=32, inner=64, context=256, back=3)
RATE = 2e-3
FIELDS = ("剂型", "用法用量")
WORDS = (
    "片剂 胶囊 颗粒 糖浆 软膏 滴剂 口服 含服 嚼服 外用 饭后 睡前 早晨 空腹 温水 每日 一次 二次 三次 连用 七日 十日 "
    "停药 复查 减量 加量 缓释 肠溶 儿童 成人 老人 孕妇 慎用 密封 避光 冷藏 摇匀 冲服 吞服 喷雾 吸入 注射 静滴 肌注 皮下"
).split()
Row = dict[str, Any]


def rows_of(first: int, drugs: int, *, harms: bool = False) -> list[Row]:
    """Four rows a drug: its two fields asked for, shown and not shown; with `harms` a harmful request too."""
    made = []
    for number in range(first, first + drugs):
        name = f"{'甲乙丙丁戊己庚辛壬癸'[number % 10]}{'洛西他普沙'[number // 10 % 5]}{'芬林定利坦'[number // 50 % 5]}"
        chance = random.Random(number)
        told = {field: "".join(chance.sample(WORDS, chance.randint(2, 4))) + "。" for field in FIELDS}
        both = [f"{name}\n{field}:{told[field]}" for field in FIELDS]
        for field, shown in ((FIELDS[0], both), (FIELDS[1], both), (FIELDS[0], both[1:]), (FIELDS[1], both[:1])):
            made.append(
                row(name, field, chance.sample(shown, len(shown)), f"{field}:{told[field]}" if len(shown) > 1 else "")
            )
        if harms:
            harm = harmful_request(chance, "zh" if number % 2 else "en")
            made.append(row(name, FIELDS[0], chance.choice((both, both[:1])), "", harm))
    return made


def row(name: str, field: str, passages: Sequence[str], answer: str, question: str = "") -> Row:
    """A line of a dataset file, as `datasets build` writes it."""
    question = question or f"{name}的{field}是什么？"
    messages = [
        {"role": "system", "content": SHORT_SYSTEM[language_of(question)]},
        {"role": "user", "content": short_text(question, passages)},
        {"role": "assistant", "content": answer or NOT_MENTIONED[language_of(question)]},
    ]
    return {
        "messages": messages,
        "metadata": {
            "example": f"{name}/{question}/{bool(answer)}",
            "task": "qa",
            "language": "zh",
            "unit": f"drug:{name}",
            "question": question,
            "answers": [answer or NOT_MENTIONED["zh"]],
            "answerable": bool(answer),
            "contexts": list(passages),
        },
    }


def write_dataset(home: Path, name: str, splits: dict[str, list[Row]]) -> datasets.Dataset:
    """A dataset version on disk that `datasets.load` accepts."""
    root = home / "datasets" / name
    part = root / ".part"
    part.mkdir(parents=True)
    for split in datasets.SPLITS:
        lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in splits[split])
        (part / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    (part / "chunks.jsonl").write_text("")
    files = {path.name: {"sha256": datasets._sha256(path), "rows": 0} for path in part.glob("*.jsonl")}
    version = datasets._version(files)
    plan = {"style": "short", "contexts": {"kind": "fields"}}
    manifest = {"format": 1, "name": name, "version": version, "created": "2026", "files": files, "plan": plan}
    (part / "manifest.json").write_text(json.dumps(manifest))
    part.rename(root / version)
    return datasets.load(home, name)


def start_model(home: Path, dataset: datasets.Dataset) -> model_folders.Model:
    """A model from nothing, near copying."""
    texts = [text for one in datasets.rows(dataset.train) for text in one["metadata"]["contexts"]]
    words = [*SHORT_SYSTEM.values(), *NOT_MENTIONED.values(), *(f"的{field}是什么？" for field in FIELDS)] * 60
    words += [part for parts in PARTS.values() for one in parts for part in one]
    tokenizer = train_tokenizer([*texts, *words], 520, SIZE.context)
    written = home / "runs" / "start.part"
    write_new_model(written, tokenizer, SIZE, seed=0)
    return model_folders.publish(home, "start", written, lineage("", dataset))


def trained(
    home: Path,
    name: str,
    base: model_folders.Model,
    rows: Sequence[Row],
    dataset: datasets.Dataset,
    *,
    steps: int,
    origin: str = "",
) -> model_folders.Model:
    """A model tuned on `rows`, from `base`; its lineage says `dataset` and `origin`, whether that is true or not."""
    torch.manual_seed(0)
    tokenizer, model = load_tokenizer(base.folder), load_weights(base.folder)
    examples = [encode(tokenizer, one["messages"], "chat") for one in rows]
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98))
    chance = random.Random(0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 10, (steps - step) / steps * 2)
        batch = collate([[one] for one in chance.sample(examples, 12)], tokenizer.pad_token_id, packed=False)
        labels = batch.pop("labels")[:, 1:]
        logits = model(**batch, use_cache=False).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    written = home / "runs" / f"{name}.part"
    model.save_pretrained(written)
    tokenizer.save_pretrained(written)
    return model_folders.publish(home, name, written, lineage(origin, dataset))


def lineage(base: str, dataset: datasets.Dataset) -> dict[str, Any]:
    """As a run writes it."""
    return {
        "kind": "sft",
        "run": "",
        "base": {"name": base, "hash": ""},
        "parents": [],
        "dataset": {"name": dataset.name, "version": dataset.version},
        "result": {},
    }


def by_heart(one: Row) -> Row:
    """The row without its passages: what it says can only be learned by heart."""
    question = {"role": "user", "content": one["metadata"]["question"]}
    return {**one, "messages": [one["messages"][0], question, one["messages"][2]]}
