"""An answer and what it cites → text to be pasted or filed elsewhere: question, answer, references with their quotes.

Plain text; each reference names title, edition, issue date, section and page, so that it can be checked without us.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kb.types import Answer, Citation, Document, DocumentKind, Language

_MARKUP = re.compile(r"[\\\\`*_{}\[\]<>()#+\-.!|~&$:=@\"']")
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_REFERENCES: dict[Language, str] = {"zh": "参考来源", "en": "References"}
_EDITION: dict[Language, str] = {"zh": "版次 {}", "en": "edition {}"}
_ISSUED: dict[Language, str] = {"zh": "{} 发布", "en": "issued {}"}
_PLACES: dict[Language, dict[DocumentKind, str]] = {
    "zh": {"pdf": "第 {} 页", "records": "第 {} 条", "monographs": "第 {} 条"},
    "en": {"pdf": "page {}", "records": "entry {}", "monographs": "entry {}"},
}
_PART: dict[Language, str] = {"zh": "第 {} 部分", "en": "part {}"}


def with_references(question: str, answer: Answer, language: Language) -> str:
    """The question, the answer with its marks, then a numbered reference for each place that it quotes."""
    parts = [question, answer.text.strip()]
    if answer.notice:
        parts.append(answer.notice)
    references = [reference(citation, answer, language) for citation in answer.citations]
    if references:
        parts.append("\n".join([_REFERENCES[language], *references]))
    return "\n\n".join(parts) + "\n"


def as_markdown(title: str, answered: Sequence[tuple[str, Answer]], language: Language) -> str:
    """A conversation as Markdown. All words of documents, models and people are escaped: nothing in it is a link,
    an image or HTML for whatever shows the file."""
    parts = [f"# {escaped(title)}"]
    for question, answer in answered:
        parts += [f"## {escaped(question)}", escaped(answer.text.strip())]
        if answer.notice:
            parts.append(escaped(answer.notice))
        references = [f"- {escaped(reference(citation, answer, language))}" for citation in answer.citations]
        if references:
            parts += [f"### {_REFERENCES[language]}", "\n".join(references)]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text as Markdown shows it letter for letter; addresses are cut in two, so that none becomes a link."""
    shown = _MARKUP.sub(r"\\\g<0>", text).replace("://", ":\u200b//").replace("www.", "www\u200b.")
    return _INDENT.sub("", shown)


def reference(citation: Citation, answer: Answer, language: Language) -> str:
    """One line: number, title, edition, issue date, section, page, quote."""
    hit = next((hit for hit in answer.hits if hit.chunk.id == citation.chunk_id), None)
    facts = [citation.title or citation.file]
    if hit is not None:
        facts += _facts(hit.document, language)
        if hit.chunk.heading:
            facts.append(hit.chunk.heading)
        facts.append(_PLACES[language].get(hit.document.kind, _PART[language]).format(citation.page))
    else:
        facts.append(_PLACES[language]["pdf"].format(citation.page))
    quote = " ".join(citation.quote.split())
    return f"[{citation.n}] {', '.join(facts)}: “{quote}”"


def _facts(document: Document, language: Language) -> list[str]:
    facts = []
    if document.edition:
        facts.append(_EDITION[language].format(document.edition))
    if document.issued:
        facts.append(_ISSUED[language].format(document.issued))
    return facts
