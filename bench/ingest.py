"""Ingest beside other pipelines: `python -m bench.ingest [FILES…] [--rounds 3]`; default: English samples.

Each side runs in a process of its own, on the same files, with the same embedder weights, in alternating rounds.
Recipe: pypdf text as PyPDFLoader gives it, RecursiveCharacterTextSplitter(1000, 200), HuggingFaceEmbeddings,
FAISS.from_documents. MarkItDown: the same after its conversion to Markdown (pdfminer and pdfplumber; it knows no pages,
so that those of the recipe are counted). Ours: the whole path, catalog and durability included. Memory is the peak of
the process (the reading child stays under 100 MiB).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.apart import measured

SAMPLES = Path(__file__).parents[1] / "samples" / "documents"


def ours(files: list[Path], *, every_language: bool) -> dict[str, float]:
    """Add the files to a fresh home; note when they are searchable and when all their vectors are."""
    from ingest.add import add_paths
    from kb.knowledge_base import KnowledgeBase
    from kb.settings import load_settings

    with tempfile.TemporaryDirectory(prefix="vademecum-bench-") as folder:
        settings = load_settings(home=Path(folder) / "home")
        with KnowledgeBase.open(settings, write=True) as kb:
            if every_language:
                kb.embedder.languages = None
            kb.warm_up()  # the model is loaded before the clock starts
            started = time.perf_counter()
            added = add_paths(kb, files, embed=False)
            searchable = time.perf_counter() - started
            kb.embed_pending()
            embedded = time.perf_counter() - started
            words, vectors = kb.index.counts
    pages = sum(one.pages for one in added)
    return {"pages": pages, "searchable": searchable, "embedded": embedded, "chunks": words, "vectors": vectors}


def recipe(files: list[Path], parse: Callable[[list[Path]], list[Any]]) -> dict[str, float]:
    """The tutorials' pipeline behind a parser; nothing is searchable before everything is embedded."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from langchain_community.vectorstores import FAISS
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter
    from pypdf import PdfReader

    from kb.embed import packaged_folder

    embeddings = HuggingFaceEmbeddings(model_name=str(packaged_folder()))
    embeddings.embed_query("load the model before the clock starts")
    started = time.perf_counter()
    documents = parse(files)
    parsed = time.perf_counter() - started
    chunks = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200).split_documents(documents)
    FAISS.from_documents(chunks, embeddings)
    done = time.perf_counter() - started
    return {
        "pages": sum(len(PdfReader(path).pages) for path in files),
        "parsed": parsed,
        "searchable": done,
        "embedded": done,
        "chunks": len(chunks),
        "vectors": len(chunks),
    }


def by_pypdf(files: list[Path]) -> list[Any]:
    """As PyPDFLoader does."""
    from langchain_core.documents import Document
    from pypdf import PdfReader

    return [
        Document(page.extract_text(), metadata={"source": str(path), "page": number})
        for path in files
        for number, page in enumerate(PdfReader(path).pages)
    ]


def by_markitdown(files: list[Path]) -> list[Any]:
    from langchain_core.documents import Document
    from markitdown import MarkItDown

    converter = MarkItDown(enable_plugins=False)
    return [Document(converter.convert(str(path)).text_content, metadata={"source": str(path)}) for path in files]


_PARSERS = {"LangChain recipe": by_pypdf, "MarkItDown": by_markitdown}
_SIDES = ["ours", "ours, every language", *_PARSERS]


def child(side: str, files: list[Path]) -> None:
    """Run one side here and print its figures as JSON."""
    if side in _PARSERS:
        result = recipe(files, _PARSERS[side])
    else:
        result = ours(files, every_language=side == "ours, every language")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**result, "MiB": own}))


def main() -> None:
    """Print the table: medians over the rounds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=_SIDES)
    options = parser.parse_args()
    files = [path.resolve() for path in options.files] or sorted(SAMPLES.glob("[a-z]*.pdf"))
    if options.side:
        child(options.side, files)
        return
    rounds: dict[str, list[dict[str, float]]] = {side: [] for side in _SIDES}
    for _ in range(options.rounds):
        for side in _SIDES:
            rounds[side].append(measured("bench.ingest", "--side", side, *files))
    print("| side | pages | chunks | vectors | pages/s searchable | embedded | embedding's share | peak MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for side, runs in rounds.items():
        m = {name: statistics.median(one[name] for one in runs) for name in runs[0]}
        print(
            f"| {side} | {m['pages']:.0f} | {m['chunks']:.0f} | {m['vectors']:.0f} "
            f"| {m['pages'] / m['searchable']:.1f} | {m['pages'] / m['embedded']:.1f} "
            f"| {1 - m.get('parsed', m['searchable']) / m['embedded']:.2f} | {m['MiB']:.0f} |"
        )


if __name__ == "__main__":
    main()
