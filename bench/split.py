"""A question set cut by article: `python -m bench.split SET --out FOLDER [--take NAME:ROWS …] [--parts N] [--seed N]`.

Rows about one article stay together (an unanswerable row with the article that would answer it), so that no question of
one part is about an article of another. Whole articles, in an order drawn by `--seed`, go to each NAME until it has its
ROWS, what is left to `rest`; with `--parts`, the rest is dealt into so many parts of about one size. Written are
SET.NAME.jsonl, SET.rest.jsonl or SET.part-N.jsonl.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from kb.evaluate import read_rows

Row = Mapping[str, object]


def article(row: Row) -> str:
    """What stands before '#' in the name of the row's context, or of the context that would answer it."""
    key = row.get("gold_context_id") or row["context_id"]
    return str(key[0] if isinstance(key, list) else key).split("#")[0]


def split(rows: Sequence[Row], take: Mapping[str, int], parts: int, seed: int) -> dict[str, list[Row]]:
    """The rows of each name."""
    articles: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        articles[article(row)].append(row)
    order = sorted(articles)
    Random(seed).shuffle(order)
    named: dict[str, list[Row]] = {name: [] for name in take}
    names = [f"part-{n}" for n in range(1, parts + 1)] or ["rest"]
    left: dict[str, list[Row]] = {name: [] for name in names}
    for key in order:
        short = next((name for name, size in take.items() if len(named[name]) < size), None)
        into = named[short] if short else min(left.values(), key=len)
        into += articles[key]
    return named | left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--take", action="append", default=[], metavar="NAME:ROWS")
    parser.add_argument("--parts", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    take = {name: int(size) for name, _, size in (one.partition(":") for one in options.take)}
    for name, rows in split(list(read_rows(options.set)), take, options.parts, options.seed).items():
        path = options.out / f"{options.set.name.partition('.jsonl')[0]}.{name}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        print(f"{path.name}: {len(rows)} rows, {sum(bool(row['answerable']) for row in rows)} answerable")


if __name__ == "__main__":
    main()
