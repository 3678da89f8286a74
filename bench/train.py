"""Training measured: `python -m bench.train TRAIN.jsonl… [--parts utilisation clean throughput ranks kills]`.

The files are training splits of dataset versions; all parts but the first use the first of them. utilisation: share of
a row's places that hold a token, four ways to lay out the same examples. clean: logits of packed rows beside those of
each example alone. throughput: tokens that carry loss per second, ours beside a padded script and TRL's defaults, same
model, same examples, one after the other. ranks: losses on one process and on two under ZeRO-2 and ZeRO-3, with
adapters. kills: SIGKILL at random moments; the run must always go on from its newest whole checkpoint.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from kb.store import Store
from train import datasets
from train.packing import Encoded, best_fit, collate, pack
from train.recipe import Lora, Plan, Recipe
from train.runs import Run, Runs

SIZES = (1024, 2048)
BATCH = 8
"""Examples of a batch, for dynamic padding and the peers."""
_PATIENCE_S = 120.0
PARTS = ("utilisation", "clean", "throughput", "ranks", "kills")


# -- data ------------------------------------------------------------------------------------------------------------


def encoded_rows(tokenizer: Any, rows: Sequence[dict[str, Any]]) -> list[Encoded]:
    from train.templates import encode

    return [encode(tokenizer, row["messages"], "chat") for row in rows]


def tokenizer_of(rows: Sequence[dict[str, Any]], vocabulary: int = 6000) -> Any:
    from train.architecture import train_tokenizer

    texts = ("\n".join(message["content"] for message in row["messages"]) for row in rows)
    return train_tokenizer(texts, vocabulary, 2048)


# -- utilisation -----------------------------------------------------------------------------------------------------


def utilisation(named: dict[str, list[Encoded]]) -> None:
    print("\n| dataset | examples | mean | row | pad to the row | pad to the batch | one after another | best fit |")
    print("|---|---|---|---|---|---|---|---|")
    for name, examples in named.items():
        for size in SIZES:
            lengths = [len(one) for one in examples if len(one) <= size]
            total = sum(lengths)
            dynamic = sum(
                max(lengths[i : i + BATCH]) * len(lengths[i : i + BATCH]) for i in range(0, len(lengths), BATCH)
            )
            shares = [
                len(lengths) * size,
                dynamic,
                _next_fit(lengths, size) * size,
                len(best_fit(lengths, size)) * size,
            ]
            cells = " | ".join(f"{total / places:.1%}" for places in shares)
            print(f"| {name} | {len(lengths):,} | {total / len(lengths):.0f} | {size:,} | {cells} |", flush=True)


def _next_fit(lengths: Sequence[int], size: int) -> int:
    """Rows, when each example goes into the present row or begins the next."""
    rows, room = 0, 0
    for length in lengths:
        if length > room:
            rows, room = rows + 1, size
        room -= length
    return rows


# -- clean -----------------------------------------------------------------------------------------------------------


def clean(examples: Sequence[Encoded], vocabulary: int) -> None:
    """Largest difference of a logit between packed and alone, for three architectures with random weights."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen3Config

    print("\n| architecture | rows | examples | largest difference of a logit |\n|---|---|---|---|")
    chosen = list(examples[:60])
    packed = pack(chosen, 1024, "best-fit")
    shape = {"vocab_size": vocabulary, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3}
    shape |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048}
    for config in (
        LlamaConfig(**shape),
        Qwen3Config(**shape, head_dim=32),
        MistralConfig(**shape, sliding_window=None),
    ):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
        worst = 0.0
        with torch.inference_mode():
            for number in range(len(packed)):
                batch = collate([packed.row(number)], 0, packed=True)
                batch.pop("labels")
                together, at = model(**batch, use_cache=False).logits[0], 0
                for piece in packed.row(number):
                    alone = model(torch.from_numpy(piece.tokens.astype(np.int64))[None], use_cache=False).logits[0]
                    worst = max(worst, float((together[at : at + len(piece)] - alone).abs().max()))
                    at += len(piece)
        print(f"| {config.model_type} | {len(packed)} | {len(chosen)} | {worst:.1e} |", flush=True)


# -- throughput ------------------------------------------------------------------------------------------------------


def throughput(rows: Sequence[dict[str, Any]], examples: Sequence[Encoded], tokenizer: Any, seconds: float) -> None:
    """Each for about so many seconds after a first step, two threads."""
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / "base"
        _model(base, tokenizer)
        trained = sum(int(one.trained.sum()) for one in examples) / len(examples)
        print("\n| how | rows of | tokens with loss/s | tokens/s computed | beside the padded script |")
        print("|---|---|---|---|---|")
        measured = {
            "padded script (every row 1,024 tokens, all logits)": _padded(base, examples, seconds),
            f"TRL {_trl_version()} defaults (pads to the batch, no packing)": _trl(base, tokenizer, rows, seconds),
            "the same in fp32, as the other two": _trl(base, tokenizer, rows, seconds, bf16=False),
            "ours (best fit, logits only where loss is)": _ours(base, examples, seconds),
        }
        floor = next(iter(measured.values()))[0]
        for name, (examples_per_s, tokens_per_s, size) in measured.items():
            per_s = examples_per_s * trained
            times = examples_per_s / floor
            print(f"| {name} | {size} | {per_s:,.1f} | {tokens_per_s:,.0f} | {times:.1f}× |", flush=True)


def _model(folder: Path, tokenizer: Any) -> None:
    from train.architecture import Size, write_new_model

    size = Size(width=128, layers=4, heads=4, head_width=32, inner=512, context=2048)
    write_new_model(folder, tokenizer, size, seed=0, induction=False)


def _timed(step: Callable[[], tuple[int, int]], seconds: float) -> tuple[float, float]:
    """Examples and tokens per second of `step`, which returns what it has done."""
    step()
    done = tokens = 0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        examples, places = step()
        done, tokens = done + examples, tokens + places
    took = time.perf_counter() - started
    return done / took, tokens / took


def _padded(base: Path, examples: Sequence[Encoded], seconds: float) -> tuple[float, float, str]:
    """What the seed's scripts did: every example a row of the full length, loss on all of it, plain AdamW."""
    import torch

    from train.fit import load_weights

    model = load_weights(base).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    order = iter(list(examples) * 100)

    def step() -> tuple[int, int]:
        batch = [next(order) for _ in range(BATCH)]
        ids = torch.zeros(BATCH, 1024, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, one in enumerate(batch):
            ids[row, : len(one)] = torch.from_numpy(one.tokens.astype(np.int64))
            mask[row, : len(one)] = 1
        loss = model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100), use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return BATCH, ids.numel()

    return (*_timed(step, seconds), f"{BATCH} × 1,024")


def _ours(base: Path, examples: Sequence[Encoded], seconds: float) -> tuple[float, float, str]:
    """The trainer of this package on packed rows; the run is stopped when the time is over."""
    from train.fit import CANCEL, fit

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fitting = [one for one in examples if len(one) <= 1024]
        packed = pack(fitting, 1024, "best-fit")
        packed.save(folder / "data" / "train")
        recipe = Recipe(epochs=100, rows=2, learning_rate=1e-5, save_every=10**6, log_every=1)
        points: list[Any] = []

        def report(point: Any) -> None:
            points.append(point)
            if point.seconds - points[0].seconds > seconds:
                (folder / CANCEL).touch()

        fit(Plan("bench", "sft", folder, base, folder, recipe, packed=True), report)
        first, last = points[0], points[-2]  # the last one wrote a checkpoint
        took = last.seconds - first.seconds
        trained = sum(int(one.trained.sum()) for one in fitting) / len(fitting)
        return (
            (last.trained_tokens - first.trained_tokens) / trained / took,
            (last.tokens - first.tokens) / took,
            f"2 × 1,024 ({len(fitting) / len(packed):.0f} examples each)",
        )


def _trl_version() -> str:
    import trl

    return str(trl.__version__)


def _trl(
    base: Path, tokenizer: Any, rows: Sequence[dict[str, Any]], seconds: float, **changed: Any
) -> tuple[float, float, str]:
    """SFTTrainer as it comes but for `changed`, given messages; it learns the prompts too."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from train.fit import load_weights

    steps: list[float] = []
    sizes: list[int] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            steps.append(time.perf_counter())
            control.should_training_stop = steps[-1] - steps[0] > seconds

    with tempfile.TemporaryDirectory() as scratch:
        config = SFTConfig(
            output_dir=scratch,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            num_train_epochs=50,
            **changed,
        )
        data = Dataset.from_list([{"messages": row["messages"]} for row in rows])
        trainer = SFTTrainer(
            model=load_weights(base), args=config, train_dataset=data, processing_class=tokenizer, callbacks=[Clock()]
        )
        inner = trainer.compute_loss

        def counted(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            sizes.append(int(inputs["input_ids"].numel()))
            return inner(model, inputs, *args, **kwargs)

        trainer.compute_loss = counted  # type: ignore[method-assign]
        trainer.train()
    took = steps[-1] - steps[0]
    batch = config.per_device_train_batch_size
    precision = "bf16" if config.bf16 else "fp32"
    return (len(steps) - 1) * batch / took, sum(sizes[1 : len(steps)]) / took, f"{batch}, {precision}"


# -- several processes -----------------------------------------------------------------------------------------------


def prepared(store: Store, base: Path, examples: Sequence[Encoded], recipe: Recipe, size: int = 512) -> Run:
    """A queued run over these examples."""
    from train.model_folders import base_of
    from train.prepare import Ready, counts, describe, register

    train = pack([one for one in examples if len(one) <= size], size, "best-fit")
    held = pack([], size, "best-fit")
    facts = {"template": "chat", "length": size, "train": counts(train, len(examples), {})}
    found = base_of(store.home, str(base))
    run = describe("sft", "", found, recipe, dataset=("bench", "", ""), facts=facts, arguments={})
    return register(Runs(store), store.home, run, found, recipe, Ready(train, held, True, facts))


def ranks(examples: Sequence[Encoded], tokenizer: Any) -> None:
    """The same rows in each step, on one process and on two."""
    from train.launch import carry_out

    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / "base"
        _model(base, tokenizer)
        store = Store(Path(scratch))
        runs = Runs(store)
        one = Recipe(max_steps=12, rows=4, learning_rate=2e-3, lora=Lora(8, 16), log_every=1, save_every=50, threads=1)
        two = replace(one, rows=2, devices=2, zero=2)
        found: dict[str, list[float]] = {}
        for name, recipe in (("1 process", one), ("2, ZeRO-2", two), ("2, ZeRO-3", replace(two, zero=3))):
            ended = carry_out(runs, prepared(store, base, examples, recipe))
            if ended.state != "done":
                sys.exit(f"{name}: {ended.reason}")
            found[name] = [point["loss"] for point in runs.metrics(ended)]
        store.close()
    print("\n| processes | first loss | last loss | largest difference from one process |\n|---|---|---|---|")
    wanted = found["1 process"]
    for name, losses in found.items():
        worst = max(abs(a - b) for a, b in zip(losses, wanted, strict=True))
        print(f"| {name} | {losses[0]:.5f} | {losses[-1]:.5f} | {worst:.1e} |", flush=True)


# -- kills -----------------------------------------------------------------------------------------------------------


def kill_rounds(store: Store, base: Path, examples: Sequence[Encoded], kills: int, seed: int = 0) -> dict[str, int]:
    """Train once undisturbed and once killed `kills` times; returns what the kills met.

    Raises AssertionError if a try does not go on from the newest whole checkpoint, or a loss is another one.
    """
    from train import checkpoints, rank

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["train.fit"])
    recipe = Recipe(max_steps=3 * kills, rows=1, learning_rate=1e-3, log_every=1, save_every=1, threads=1)
    runs, chance = Runs(store), random.Random(seed)
    undisturbed = prepared(store, base, examples, recipe, 256)
    process = context.Process(target=rank.main, args=([str(undisturbed.folder)],))
    process.start()
    process.join()
    wanted = {point["step"]: point["loss"] for point in runs.metrics(undisturbed)}
    met = {"kills": 0, "while a checkpoint was being written": 0, "before the first step of a try": 0}
    run = prepared(store, base, examples, recipe, 256)
    writing = run.folder / checkpoints.WRITING
    while True:
        newest = checkpoints.newest_complete(run.folder)
        begin = int(newest.name.rpartition("-")[2]) if newest else 0
        before = len(_metric_steps(run))
        process = context.Process(target=rank.main, args=([str(run.folder)],))
        process.start()
        if met["kills"] == kills:
            process.join()
            break
        if met["kills"] % 2:  # every other kill waits for a checkpoint in the making
            _until(process, lambda: any(writing.glob("*/*")))
            time.sleep(chance.uniform(0, 0.02))
        else:
            _until(process, lambda so_far=before: len(_metric_steps(run)) > so_far)  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.4))
        if process.is_alive() and process.pid:
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        met["kills"] += 1
        met["while a checkpoint was being written"] += any(writing.glob("*/*"))
        steps = _metric_steps(run)[before:]
        if steps:
            assert steps[0] == begin + 1, f"a try began at step {steps[0]}, its checkpoint was {begin}"
        else:
            met["before the first step of a try"] += 1
        newest = checkpoints.newest_complete(run.folder)
        assert newest is not None or not begin, "the checkpoint that was there is gone"
    found = {point["step"]: point["loss"] for point in runs.metrics(run)}
    assert found.keys() == wanted.keys(), "the run did not come to its end"
    worst = max(abs(found[step] - wanted[step]) for step in wanted)
    assert worst < 1e-5, f"a loss differs by {worst}"
    return met | {"steps": len(found)}


def _metric_steps(run: Run) -> list[int]:
    """The steps told so far, in the order told; a line that a kill left torn is none."""
    import json

    from train.runs import METRICS

    path = run.folder / METRICS
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    told = []
    for line in lines:
        with suppress(ValueError):
            if line.endswith("\n"):
                told.append(int(json.loads(line)["step"]))
    return told


def _until(process: Any, reached: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while process.is_alive() and not reached() and time.monotonic() < end:
        time.sleep(0.002)


def kills(examples: Sequence[Encoded], tokenizer: Any, count: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / "base"
        _model(base, tokenizer)
        store = Store(Path(scratch))
        started = time.monotonic()
        met = kill_rounds(store, base, examples, count)
        store.close()
    print("\n" + ", ".join(f"{name}: {number}" for name, number in met.items()), end=" ")
    print(
        f"({time.monotonic() - started:.0f} s). Every try went on from the newest whole checkpoint, all losses equal."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--limit", type=int, default=4000, help="examples of a file")
    parser.add_argument("--seconds", type=float, default=40, help="of each way in throughput")
    parser.add_argument("--kills", type=int, default=30)
    given = parser.parse_args()
    rows = [list(islice(datasets.rows(path), given.limit)) for path in given.files]
    tokenizer = tokenizer_of([row for some in rows for row in some])
    named = {_named(path): encoded_rows(tokenizer, some) for path, some in zip(given.files, rows, strict=True)}
    examples = next(iter(named.values()))
    if "utilisation" in given.parts:
        utilisation(named)
    if "clean" in given.parts:
        clean(examples, len(tokenizer))
    if "throughput" in given.parts:
        throughput(rows[0], examples, tokenizer, given.seconds)
    if "ranks" in given.parts:
        ranks(examples, tokenizer)
    if "kills" in given.parts:
        kills(examples, tokenizer, given.kills)


def _named(path: Path) -> str:
    return f"{path.parent.parent.name}/{path.parent.name}" if path.name == "train.jsonl" else path.stem


if __name__ == "__main__":
    main()
