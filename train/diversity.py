"""How varied a selection is: question types, sources covered, words used; a dict of plain numbers for reports."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa

from kb.schema import chunks, documents
from kb.store import Store
from train.deduplicate import plain
from train.examples import Examples, Selection

_NGRAM = 4


def diversity(store: Store, selection: Selection) -> dict[str, object]:
    """Topics, personas, documents, units and chunks covered, novelty (share of question 4-grams that are new)."""
    topics: Counter[str] = Counter()
    personas: Counter[str] = Counter()
    units: set[str] = set()
    files: set[str] = set()
    covered: set[str] = set()
    seen: set[int] = set()
    grams = new = lengths = count = 0
    for example in Examples(store).stream(selection):
        count += 1
        topics[example.topic or "–"] += 1
        personas[example.persona or "–"] += 1
        units.add(example.unit)
        files.add(example.document)
        covered.update(source.chunk_id for source in example.sources)
        lengths += len(example.answers[0])
        said = plain(example.question)
        for at in range(max(0, len(said) - _NGRAM + 1)):
            gram = hash(said[at : at + _NGRAM])
            grams += 1
            new += gram not in seen
            seen.add(gram)
    with store.reading() as connection:
        ready = sa.select(sa.func.count()).select_from(chunks.join(documents)).where(documents.c.state == "ready")
        total = int(connection.execute(ready).scalar_one())
    return {
        "examples": count,
        "topics": dict(topics.most_common(20)),
        "personas": dict(personas),
        "documents": len(files - {""}),
        "units": len(units - {""}),
        "chunks_covered": round(len(covered) / total, 4) if total else 0.0,
        "novel_4grams": round(new / grams, 4) if grams else 0.0,
        "mean_answer_chars": round(lengths / count, 1) if count else 0.0,
    }
