"""Curation on a planted set, and repeats at scale: `python -m bench.curate DRUGS.json [--million] [--quadratic 20000]`.

Examples are made from real monographs (without a model). Some are spoiled in one known way each; precision and recall
say how well the filter meant for that fault finds it. A dropped example that was not spoiled counts against the filter
that dropped it. Then seconds for repeats among synthetic questions: ours, and all with all.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from ingest.add import add_paths
from kb.knowledge_base import KnowledgeBase
from kb.settings import load_settings
from kb.types import QAExample
from train import curate, fields
from train.contexts import PassageSearch
from train.curation import curate as run_curation
from train.deduplicate import exact_repeats, near_repeats, numbers_differ, same_meaning
from train.examples import Examples, Selection, identified

EACH = 150
MEANT_FOR = {
    "ungrounded number": {"groundedness", "answerability"},
    "wrong drug": {"groundedness"},
    "unanswerable": {"answerability"},
    "leak": {"leakage"},
    "format broken": {"format"},
    "exact repeat": {"exact"},
    "near repeat": {"near", "meaning"},
}
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?=(?:mg|g|ml|片|粒|次))")


def spoiled(made: list[QAExample], chooser: random.Random) -> dict[str, list[QAExample]]:
    """EACH examples of every fault, from different examples; none is spoiled twice."""
    doses = [e for e in made if e.answerable and e.topic == "用法用量" and _NUMBER.search(e.answers[0])]
    others = [e for e in made if e.answerable and e.topic in ("适应证", "不良反应", "注意事项", "剂型")]
    chooser.shuffle(doses)
    chooser.shuffle(others)
    take = iter(others)
    faults: dict[str, list[QAExample]] = {}
    faults["ungrounded number"] = [replace(e, answers=(_wrong_number(e.answers[0]),)) for e in doses[:EACH]]
    faults["wrong drug"] = [_other_drug(next(take), chooser.choice(others)) for _ in range(EACH)]
    faults["unanswerable"] = [
        replace(e, answerable=False, answers=("文本中未提及",)) for e in (next(take) for _ in range(EACH))
    ]
    faults["leak"] = [
        replace(e, question=chooser.choice(("根据上述文本，", "文中提到，", "根据所给资料，")) + e.question)
        for e in (next(take) for _ in range(EACH))
    ]
    faults["format broken"] = [
        replace(e, answers=(("答案：" + e.answers[0], e.answers[0] + "<|im_end|>", "")[at % 3],))
        for at, e in enumerate(next(take) for _ in range(EACH))
    ]
    faults["exact repeat"] = [
        replace(e, question=e.question.replace("？", " ?"), answers=(e.answers[0] + " ",))
        for e in (next(take) for _ in range(EACH))
    ]
    long_names = [e for e in others if len(e.question) >= 18]
    faults["near repeat"] = [
        replace(e, question="请问" + e.question, answers=(e.answers[0] + "  ",)) for e in long_names[-EACH:]
    ]
    return {name: [identified(replace(e, created="")) for e in rows] for name, rows in faults.items()}


def _wrong_number(answer: str) -> str:
    found = _NUMBER.search(answer)
    assert found is not None
    return answer[: found.start()] + str(round(float(found.group()) * 7.3 + 1, 1)) + answer[found.end() :]


def _other_drug(example: QAExample, other: QAExample) -> QAExample:
    """Another drug's question over this drug's answer and source."""
    return replace(example, question=other.question)


def planted(source: Path) -> None:
    """Print precision and recall by fault."""
    chooser = random.Random(1)
    with (
        tempfile.TemporaryDirectory() as folder,
        KnowledgeBase.open(load_settings(home=Path(folder) / "home"), write=True) as base,
    ):
        add_paths(base, [source], embed=False)
        made = list(fields.generate(base.store, base.store.documents(), fields.FieldsReport()))
        faults = spoiled(made, chooser)
        fault_of = {e.id: name for name, rows in faults.items() for e in rows}
        ids = set(fault_of)
        good = [e for e in made if e.id not in ids]
        examples = Examples(base.store)
        examples.add(good)
        examples.add([e for rows in faults.values() for e in rows])
        filters = {
            "format": curate.check_format,
            "language": curate.check_language,
            "leakage": curate.check_leakage,
            "groundedness": curate.check_grounded,
            "answerability": curate.answerable_again(curate.by_quoting(base.extractor(""))),
            "retrievability": curate.retrievable(PassageSearch(base.store, base.retriever), 10),
        }
        started = time.monotonic()
        run_curation(base.store, Selection(states=("candidate",)), filters, curate.CurationReport())
        seconds = time.monotonic() - started
        by: Counter[tuple[str, str]] = Counter()
        for example in examples.stream(Selection()):
            dropped = example.reason.partition(":")[0] if example.state == "dropped" else ""
            by[fault_of.get(example.id, "good"), dropped] += 1
    _print(by, len(good), seconds)


def _print(by: Counter[tuple[str, str]], good: int, seconds: float) -> None:
    kept = by["good", ""]
    print(f"{good:,} good examples, {kept:,} kept ({kept / good:.3f}); {seconds:.0f} s for all")
    print("\n| fault | planted | dropped | by the filter meant | recall |\n|---|---|---|---|---|")
    for fault, meant in MEANT_FOR.items():
        total = sum(n for (name, _), n in by.items() if name == fault)
        dropped = sum(n for (name, by_filter), n in by.items() if name == fault and by_filter)
        right = sum(n for (name, by_filter), n in by.items() if name == fault and by_filter in meant)
        print(f"| {fault} | {total} | {dropped} | {right} | {dropped / total if total else 0:.3f} |")
    print("\n| filter | dropped | of these spoiled | precision |\n|---|---|---|---|")
    for name in sorted({by_filter for _, by_filter in by if by_filter}):
        dropped = sum(n for (_, by_filter), n in by.items() if by_filter == name)
        wrong = by["good", name]
        print(f"| {name} | {dropped} | {dropped - wrong} | {(dropped - wrong) / dropped:.3f} |")


def questions(count: int) -> tuple[list[str], int]:
    """Synthetic questions, a fifth of them near repeats of an earlier one (a word put before it)."""
    chooser = random.Random(2)
    syllables = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]
    asked: list[str] = []
    for _ in range(count):
        if asked and chooser.random() < 0.2:
            asked.append("请问" + chooser.choice(asked).removeprefix("请问"))
        else:
            body = "".join(chooser.choices(syllables, k=chooser.randint(14, 24)))
            asked.append(f"{body}应当如何处理？")
    seen: set[str] = set()
    repeats = 0
    for text in asked:
        repeats += text.removeprefix("请问") in seen
        seen.add(text.removeprefix("请问"))
    return asked, repeats


def scale(count: int, quadratic: int) -> None:
    """Print seconds: exact and near repeats of `count` questions, meaning of `count` vectors, all with all at less."""
    asked, planted_repeats = questions(count)
    print("\n| method | questions | s | repeats found | planted |\n|---|---|---|---|---|")
    started = time.monotonic()
    found = exact_repeats(asked)
    apart = lambda a, b: numbers_differ(asked[a], asked[b])  # noqa: E731
    near = near_repeats(asked, apart=apart)
    both = int(np.count_nonzero((found >= 0) | (near >= 0)))
    print(
        f"| exact + MinHash | {count:,} | {time.monotonic() - started:.0f} | {both:,} | {planted_repeats:,} |",
        flush=True,
    )
    generator = np.random.default_rng(3)
    for size in sorted({quadratic, count}):
        half = size // 10
        vectors = generator.standard_normal((size, 384), dtype=np.float32)
        vectors[-half:] = vectors[:half] + 0.2 * generator.standard_normal((half, 384), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        started = time.monotonic()
        hits = int(np.count_nonzero(same_meaning(vectors) >= 0))
        print(f"| FAISS, cosine 0.9 | {size:,} | {time.monotonic() - started:.0f} | {hits:,} | {half:,} |", flush=True)
        if size == quadratic:
            started = time.monotonic()
            matrix = vectors @ vectors.T  # what is to be avoided: 1.6 GB at 20,000
            hits = int(np.count_nonzero(np.triu(matrix > 0.9, 1).any(axis=0)))
            print(f"| all with all, cosine 0.9 | {size:,} | {time.monotonic() - started:.0f} | {hits:,} | {half:,} |")
            del matrix


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path, help="A JSON file of monographs.")
    parser.add_argument("--scale", type=int, default=100_000, help="Questions of the second part.")
    parser.add_argument("--quadratic", type=int, default=20_000)
    options = parser.parse_args()
    json.loads(options.source.read_text(encoding="utf-8"))
    planted(options.source)
    scale(options.scale, options.quadratic)


if __name__ == "__main__":
    main()
