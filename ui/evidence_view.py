"""The sources of an answer → HTML: the cited passages, one card each, then all passages found, folded.

Pure functions; every word of documents and models passes `safe`. While an answer streams, the passages it has cited
so far are shown whole; when it is finished, the very lines.
"""

from __future__ import annotations

from collections.abc import Sequence

from kb.types import Citation, Document, Hit, Language
from ui.answer_view import Exchange
from ui.i18n import say
from ui.markup import citation_button, hit_button, place, places, safe
from ui.numbering import order_of

_QUOTE_SHOWN = 700  # characters of a quote on its card
_QUESTION_SHOWN = 60


def evidence(exchange: Exchange | None, language: Language, *, named: bool = False) -> str:
    """The panel. `named`: say which question it belongs to, because it is not the last one."""
    title = say(language, "evidence")
    if named and exchange is not None:
        title = say(language, "sources_of", question=exchange.question[:_QUESTION_SHOWN])
    heading = f'<h2 class="vm-side-title" tabindex="-1">{safe(title)}</h2>'
    if exchange is None:
        return f'{heading}<p class="vm-muted vm-none">{safe(say(language, "evidence_empty"))}</p>'
    return heading + _cited(exchange, language) + _found(exchange, language)


def _cited(exchange: Exchange, language: Language) -> str:
    answer = exchange.answer
    if answer is None:
        order = order_of(exchange.text).items()
        cards = [_passage(shown, exchange.hits[n - 1], language) for n, shown in order if 1 <= n <= len(exchange.hits)]
        if cards:
            return _list(cards) + _muted(say(language, "exact_lines_follow"))
        return _muted(say(language, "evidence_wait")) if exchange.busy else ""
    if answer.citations:
        documents = {hit.document.id: hit.document for hit in exchange.hits}
        headings = {hit.chunk.id: hit.chunk.heading for hit in exchange.hits}
        groups: dict[int, list[Citation]] = {}
        for citation in answer.citations:
            groups.setdefault(citation.n, []).append(citation)
        return _list(
            [
                _card(group, documents.get(group[0].document), headings.get(group[0].chunk_id, ""), language)
                for group in groups.values()
            ]
        )
    return "" if answer.abstained or answer.intent != "library" else _muted(say(language, "evidence_none"))


def _card(group: Sequence[Citation], document: Document | None, heading: str, language: Language) -> str:
    """One numbered card: a passage's title, edition and section, then each line quoted from it with its page."""
    first = group[0]
    quotes = "".join(_quote(citation, document, language) for citation in group)
    return f'<li class="vm-card">{_head(first.n, first.title or first.file, document, heading, language)}{quotes}</li>'


def _head(n: int | None, title: str, document: Document | None, heading: str, language: Language) -> str:
    about = _about(document, language) if document else ""
    section = f'<p class="vm-section">{safe(heading)}</p>' if heading else ""
    mark = f'<span class="vm-mark">{n}</span>' if n else ""
    return f'<p class="vm-card-title">{mark}<span>{safe(title)}</span></p>{about}{section}'


def _about(document: Document, language: Language) -> str:
    """Edition and issue date, as far as they are known."""
    facts = []
    old = document.state == "superseded"
    if document.edition:
        facts.append(say(language, "edition_is", edition=document.edition))
    if document.issued:
        facts.append(say(language, "issued_is", date=document.issued))
    told = f'<p class="vm-edition">{safe(" · ".join(facts))}</p>' if facts else ""
    mark = f'<p class="vm-outdated">{safe(say(language, "source_superseded"))}</p>' if old else ""
    return mark + told


def _quote(citation: Citation, document: Document | None, language: Language) -> str:
    quote = citation.quote if len(citation.quote) <= _QUOTE_SHOWN else citation.quote[:_QUOTE_SHOWN] + "…"
    action = f'<p class="vm-muted">{safe(say(language, "source_gone"))}</p>'
    if document is not None:
        where = place(language, document.kind, citation.page)
        action = citation_button(citation, document, _opens(document, where, language), language, style="vm-link")
    return f'<blockquote class="vm-quote">{safe(quote)}</blockquote>{action}'


def _found(exchange: Exchange, language: Language) -> str:
    if not exchange.hits:
        return ""
    nearest = exchange.answer is not None and exchange.answer.abstained
    key, opened = ("nearest", " open") if nearest else ("found", "")
    # Passages that the answer cites bear its numbers; where it cites nothing, all are counted.
    cited = _numbers(exchange)
    numbers = [cited.get(hit.chunk.id) if cited else n for n, hit in enumerate(exchange.hits, start=1)]
    items = _list([_passage(n, hit, language) for n, hit in zip(numbers, exchange.hits, strict=True)])
    summary = safe(say(language, key, n=len(exchange.hits)))
    return f'<details class="vm-found"{opened}><summary>{summary}</summary>{items}</details>'


def _numbers(exchange: Exchange) -> dict[str, int]:
    """Id of a passage → the number under which the answer cites it."""
    if exchange.answer:
        return {citation.chunk_id: citation.n for citation in exchange.answer.citations}
    hits = exchange.hits
    return {hits[n - 1].chunk.id: shown for n, shown in order_of(exchange.text).items() if 1 <= n <= len(hits)}


def _passage(n: int | None, hit: Hit, language: Language) -> str:
    chunk, document = hit.chunk, hit.document
    where = places(language, document.kind, chunk.pages)
    action = hit_button(hit, _opens(document, where, language), language, style="vm-link")
    head = _head(n, document.title or document.file, document, chunk.heading, language)
    body = f'<details class="vm-more"><summary class="vm-quote">{safe(chunk.text)}</summary></details>'
    return f'<li class="vm-card">{head}{body}{action}</li>'


def _opens(document: Document, where: str, language: Language) -> str:
    key = "open_page" if document.kind == "pdf" else "open_entry"
    return f"{where} · {say(language, key)}"


def _list(cards: Sequence[str]) -> str:
    return f'<ol class="vm-cards">{"".join(cards)}</ol>'


def _muted(text: str) -> str:
    return f'<p class="vm-muted">{safe(text)}</p>'
