"""Extractive answers on a reading set: `python -m bench.answers QA.jsonl[.xz] [--limit 300]`.

Rows {question, context, answers, answerable}. All contexts become one throw-away library by the real path. Three ways:
`context`: only the row's own passage is at hand (answerable or not); `library`: the eight best passages of all;
`gold removed`: the same without the row's own passage, so that a quote is a false answer (harsh: a neighbour may
hold the answer too). F1 is over characters for Chinese, words for English; a refusal scores 0.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ingest.add import add_paths
from kb.evaluate import read_rows
from kb.knowledge_base import KnowledgeBase
from kb.settings import load_settings
from kb.terms import language_of
from kb.types import Answer, Hit

_MARKS = re.compile(r"\[\d+\]")
_CANDIDATES = 40


def squeezed(text: str) -> str:
    """Letters and digits only, for containment."""
    return re.sub(r"\W", "", text.lower())


def tokens(text: str) -> list[str]:
    """Characters of Chinese text, words of English."""
    return list(squeezed(text)) if language_of(text) == "zh" else re.findall(r"\w+", text.lower())


def f1(answer: str, gold: str) -> float:
    """Token overlap of an answer with one gold answer."""
    ours, theirs = Counter(tokens(answer)), Counter(tokens(gold))
    same = sum((ours & theirs).values())
    return 2 * same / (sum(ours.values()) + sum(theirs.values())) if same else 0.0


class Tally:
    """What came of one way of asking."""

    def __init__(self) -> None:
        self.f1: list[float] = []
        self.inside: list[bool] = []
        self.refused: list[bool] = []
        self.false: list[bool] = []

    def answerable(self, answer: Answer, golds: Sequence[str]) -> None:
        """Count an answer to a question whose answer is at hand."""
        text = "" if answer.abstained else _MARKS.sub("", answer.text)
        self.refused.append(answer.abstained)
        self.f1.append(max((f1(text, gold) for gold in golds), default=0.0))
        self.inside.append(any(squeezed(gold) in squeezed(text) for gold in golds if squeezed(gold)))

    def unanswerable(self, answer: Answer) -> None:
        """Count an answer where none is at hand."""
        self.false.append(not answer.abstained)

    def row(self, name: str) -> str:
        """One line of the table."""
        cells = [f"{sum(v) / len(v):.3f}" if v else "–" for v in (self.f1, self.inside, self.refused, self.false)]
        return f"| {name} | {len(self.f1)} / {len(self.false)} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--limit", type=int, default=300)
    options = parser.parse_args()
    rows = list(read_rows(options.questions))
    random.Random(0).shuffle(rows)
    rows = rows[: options.limit]
    contexts = list(dict.fromkeys(str(row["context"]) for row in rows))
    page_of = {context: number for number, context in enumerate(contexts, start=1)}
    tallies = {name: Tally() for name in ("context", "library", "gold removed")}
    with tempfile.TemporaryDirectory(prefix="vademecum-bench-") as folder:
        records = Path(folder) / "contexts.json"
        records.write_text(
            json.dumps([{"text": context} for context in contexts], ensure_ascii=False), encoding="utf-8"
        )
        with KnowledgeBase.open(load_settings(home=Path(folder) / "home"), write=True) as kb:
            add_paths(kb, [records])
            for row in rows:
                measure(kb, row, page_of[str(row["context"])], tallies)
    print("| passages at hand | answerable / not | F1 | gold inside quote | refused | false answers |")
    print("|---|---|---|---|---|---|")
    for name, tally in tallies.items():
        print(tally.row(name))


def measure(kb: KnowledgeBase, row: dict[str, object], page: int, tallies: dict[str, Tally]) -> None:
    """Ask one row's question in each way."""
    question = str(row["question"])
    golds = [str(gold) for gold in row["answers"]] if isinstance(row["answers"], list) else []
    found = kb.retriever.search(question, _CANDIDATES)
    document = kb.documents()[0]
    own = [Hit(chunk, document, 1.0) for chunk in kb.store.chunks_on_page(document.id, page)]
    others = [hit for hit in found if page not in hit.chunk.pages][: kb.settings.top_k]
    extractor = kb.extractor(question)
    alone = extractor.extract(question, own)
    if not row["answerable"]:
        tallies["context"].unanswerable(alone)
        return
    tallies["context"].answerable(alone, golds)
    tallies["library"].answerable(extractor.extract(question, found[: kb.settings.top_k]), golds)
    tallies["gold removed"].unanswerable(extractor.extract(question, others))


if __name__ == "__main__":
    main()
