"""A conversation and its sources → HTML. Pure functions; every word of documents and models passes `safe`.

While an answer streams its marks are plain numbers; when it is finished each becomes a button that opens a page.
An abstention, a failure and an interrupted answer each look unlike an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kb.types import Answer, Box, Citation, Document, Hit, Language
from ui.i18n import say
from ui.markup import page_button, place, places, safe

_MARK = re.compile(r"\[(\d{1,3})\]")
_QUOTE_SHOWN = 700  # characters of a quote on its card


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and what has come of it so far."""

    question: str
    state: Literal["searching", "writing", "done", "stopped", "failed"] = "searching"
    text: str = ""
    notice: str = ""
    hits: tuple[Hit, ...] = ()
    answer: Answer | None = None


def conversation(exchanges: Sequence[Exchange], language: Language) -> str:
    """All exchanges, oldest first; the status line at the end is for screen readers."""
    if not exchanges:
        return ""
    last = exchanges[-1]
    return "".join(_exchange(item, language) for item in exchanges) + (
        f'<p class="vm-sr" role="status">{safe(_status(last, language))}</p>'
    )


def evidence(exchange: Exchange | None, language: Language) -> str:
    """The cited passages of an answer, one card each; then all passages found, folded."""
    title = f'<h2 class="vm-side-title">{safe(say(language, "evidence"))}</h2>'
    if exchange is None:
        return f'{title}<p class="vm-muted vm-none">{safe(say(language, "evidence_empty"))}</p>'
    answer = exchange.answer
    documents = {hit.document.id: hit.document for hit in exchange.hits}
    headings = {hit.chunk.id: hit.chunk.heading for hit in exchange.hits}
    cards = ""
    if answer and answer.citations:
        groups: dict[int, list[Citation]] = {}
        for citation in answer.citations:
            groups.setdefault(citation.n, []).append(citation)
        items = (_card(group, documents, headings, language) for group in groups.values())
        cards = f'<ol class="vm-cards">{"".join(items)}</ol>'
    elif exchange.state in ("searching", "writing"):
        cards = _muted(say(language, "evidence_wait"))
    elif answer and not answer.abstained:
        cards = _muted(say(language, "evidence_none"))
    return title + cards + _found(exchange, language)


def _exchange(item: Exchange, language: Language) -> str:
    busy = item.state in ("searching", "writing")
    return (
        f'<section class="vm-exchange"><h2 class="vm-question">'
        f'<span class="vm-sr">{safe(say(language, "you_asked"))}: </span>{safe(item.question)}</h2>'
        f'<div class="vm-answer vm-{_look(item)}" aria-busy="{str(busy).lower()}">'
        f"{_body(item, language)}</div></section>"
    )


def _look(item: Exchange) -> str:
    if item.state == "done" and item.answer and item.answer.abstained:
        return "abstained"
    return item.state


def _body(item: Exchange, language: Language) -> str:
    if item.state == "failed":
        return _headed(say(language, "failed"), _paragraphs(item.notice))
    notice = _notice(item, language)
    if item.state == "searching":
        return notice + f'<p class="vm-wait">{safe(say(language, "searching"))}</p>'
    if item.answer is None:
        text = _answer_text(item.text, (), {}, language)
        stopped = f'<p class="vm-notice">{safe(say(language, "stopped"))}</p>' if item.state == "stopped" else ""
        wait = "" if stopped else '<span class="vm-caret" aria-hidden="true"></span>'
        return notice + f'<div class="vm-text">{text}{wait}</div>' + stopped
    answer = item.answer
    if answer.abstained:
        return notice + _headed(say(language, "abstained"), _paragraphs(answer.text))
    documents = {hit.document.id: hit.document for hit in item.hits}
    text = _answer_text(answer.text, answer.citations, documents, language)
    how = "engine_extractive" if answer.engine.startswith("extractive") else "engine_model"
    return notice + f'<div class="vm-text">{text}</div><p class="vm-meta">{safe(say(language, how))}</p>'


def _notice(item: Exchange, language: Language) -> str:
    text = item.answer.notice if item.answer and item.answer.notice else item.notice
    if not text:
        return ""
    return f'<p class="vm-notice"><strong>{safe(say(language, "notice"))}.</strong> {safe(text)}</p>'


def _headed(heading: str, body: str) -> str:
    return f'<p class="vm-verdict">{safe(heading)}</p><div class="vm-text">{body}</div>'


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{safe(part)}</p>" for part in re.split(r"\n{2,}", text.strip()) if part.strip())


def _answer_text(
    text: str, citations: Sequence[Citation], documents: Mapping[str, Document], language: Language
) -> str:
    """Paragraphs of plain text with the marks [n] turned into buttons (or plain numbers while it streams)."""
    pieces: list[str] = []
    at = 0
    for found in _MARK.finditer(text):
        pieces.append(safe(text[at : found.start()]))
        citation = _cited(int(found.group(1)), text[: found.start()], citations)
        document = documents.get(citation.document) if citation else None
        if citation is None or document is None:
            pieces.append(f'<span class="vm-mark">{found.group(1)}</span>')
        else:
            pieces.append(_open(citation, document, str(citation.n), language, style="vm-mark"))
        at = found.end()
    pieces.append(safe(text[at:]))
    paragraphs = re.split(r"\n{2,}", "".join(pieces).strip())
    return "".join(f"<p>{part}</p>" for part in paragraphs if part)


def _cited(n: int, before: str, citations: Sequence[Citation]) -> Citation | None:
    """The citation that a mark [n] after the text `before` stands for.

    Several may share the number, one for each quote: the one quoted last before the mark, else the next in order.
    """
    same = [citation for citation in citations if citation.n == n]
    if len(same) < 2:
        return same[0] if same else None
    squeezed = "".join(before.split())
    ends = [squeezed.rfind("".join(citation.quote.split())) for citation in same]
    if max(ends) >= 0:
        return same[ends.index(max(ends))]
    return same[min(before.count(f"[{n}]"), len(same) - 1)]


def _open(citation: Citation, document: Document, content: str, language: Language, *, style: str) -> str:
    where = place(language, document.kind, citation.page)
    label = say(language, "source_label", n=citation.n, title=citation.title or citation.file, page=where)
    return page_button(
        document, citation.page, content, label=label, boxes=citation.boxes, quote=citation.quote, style=style
    )


def _card(
    group: Sequence[Citation], documents: Mapping[str, Document], headings: Mapping[str, str], language: Language
) -> str:
    """One numbered card: a passage's title and section, then each line quoted from it with its page."""
    first = group[0]
    heading = headings.get(first.chunk_id, "")
    section = f'<p class="vm-section">{safe(heading)}</p>' if heading else ""
    quotes = "".join(_quote(citation, documents.get(citation.document), language) for citation in group)
    return (
        f'<li class="vm-card"><p class="vm-card-title"><span class="vm-mark">{first.n}</span>'
        f"{safe(first.title or first.file)}</p>{section}{quotes}</li>"
    )


def _quote(citation: Citation, document: Document | None, language: Language) -> str:
    quote = citation.quote if len(citation.quote) <= _QUOTE_SHOWN else citation.quote[:_QUOTE_SHOWN] + "…"
    action = ""
    if document is not None:
        where = safe(place(language, document.kind, citation.page))
        key = "open_page" if document.kind == "pdf" else "open_entry"
        action = _open(citation, document, f"{where} · {safe(say(language, key))}", language, style="vm-link")
    return f'<blockquote class="vm-quote">{safe(quote)}</blockquote>{action}'


def _found(exchange: Exchange, language: Language) -> str:
    if not exchange.hits:
        return ""
    nearest = exchange.answer is not None and exchange.answer.abstained
    key, opened = ("nearest", " open") if nearest else ("found", "")
    items = "".join(_passage(n, hit, language) for n, hit in enumerate(exchange.hits, start=1))
    summary = safe(say(language, key, n=len(exchange.hits)))
    return f'<details class="vm-found"{opened}><summary>{summary}</summary><ol class="vm-cards">{items}</ol></details>'


def _passage(n: int, hit: Hit, language: Language) -> str:
    chunk, document = hit.chunk, hit.document
    page = chunk.pages[0] if chunk.pages else 1
    boxes: tuple[Box, ...] = tuple(box for span in chunk.spans if span.page == page for box in span.boxes)
    where = places(language, document.kind, chunk.pages)
    title = document.title or document.file
    key = "open_page" if document.kind == "pdf" else "open_entry"
    action = page_button(
        document,
        page,
        f"{safe(where)} · {safe(say(language, key))}",
        label=f"{title}, {where}. {say(language, key)}",
        boxes=boxes,
        quote=chunk.text,
    )
    section = f'<p class="vm-section">{safe(chunk.heading)}</p>' if chunk.heading else ""
    return (
        f'<li class="vm-card"><p class="vm-card-title"><span class="vm-mark">{n}</span>{safe(title)}</p>{section}'
        f'<details class="vm-more"><summary class="vm-quote">{safe(chunk.text)}</summary></details>{action}</li>'
    )


def _muted(text: str) -> str:
    return f'<p class="vm-muted">{safe(text)}</p>'


def _status(item: Exchange, language: Language) -> str:
    if item.state == "done" and item.answer:
        if item.answer.abstained:
            return say(language, "abstained")
        return say(language, "answer_ready", n=len(item.answer.citations))
    keys = {"searching": "searching", "writing": "writing", "stopped": "stopped", "failed": "failed"}
    return say(language, keys.get(item.state, "failed"))
