"""The library's table and filters, a document's details → HTML. Pure functions; all text is `safe`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, get_args

from kb.access import Permission, Principal
from kb.types import READ_STATES, Document, DocumentState, Language
from ui.i18n import say
from ui.markup import act_button, collections, document_button, page_button, safe, select, sure_box
from ui.reasons import reason_in

_METADATA = ("author", "subject", "keywords", "attachments")  # of what the file says of itself
_COLUMNS = ("col_title", "col_state", "col_pages", "col_chunks", "col_edition", "col_collection")
_SEARCH_CHARS = 200
ROWS: Final = 200
"""Rows drawn at first, and more with each wish for more."""

_ORDERS: Final[dict[str, Callable[[Document], object]]] = {
    "added": lambda d: d.added,
    "title": lambda d: (d.title or d.file).casefold(),
    "state": lambda d: get_args(DocumentState).index(d.state),
    "pages": lambda d: d.pages,
    "chunks": lambda d: d.chunks,
    "issued": lambda d: d.issued,
    "collection": lambda d: (not d.collection, d.collection.casefold()),
}
_DESCENDING: Final = frozenset({"added", "pages", "chunks", "issued"})
_SORTED_BY = {"col_edition": "issued"}  # columns that are sorted by something else than their name


@dataclass(frozen=True, slots=True)
class Listing:
    """Which documents are listed, in which order. Anything unknown in it lists all, newest first."""

    search: str = ""
    state: str = ""
    collection: str = ""
    order: str = "added"
    reverse: bool = False
    rows: int = ROWS

    def sorted_by(self, order: str) -> Listing:
        """The same in this order, turned round if it is in it already."""
        return replace(self, order=order, reverse=order == self.order and not self.reverse)

    def of(self, documents: Sequence[Document]) -> list[Document]:
        """The documents that match, in order; ties keep the newest first."""
        wanted = self.search[:_SEARCH_CHARS].casefold().strip()
        found = [d for d in documents if _matches(d, wanted, self.state, self.collection)]
        order = self.order if self.order in _ORDERS else "added"
        return sorted(found, key=_ORDERS[order], reverse=(order in _DESCENDING) != self.reverse)  # type: ignore[arg-type]


def _matches(document: Document, wanted: str, state: str, collection: str) -> bool:
    if (state and document.state != state) or (collection and document.collection != collection):
        return False
    return wanted in f"{document.title}\n{document.file}\n{document.issuer}\n{document.id}".casefold()


def filters(documents: Sequence[Document], listing: Listing, language: Language) -> str:
    """Selects for state, collection and order. A choice becomes an event, as a click does."""
    states = [("", say(language, "all_states"))]
    states += [(state, say(language, f"state_{state}")) for state in get_args(DocumentState)]
    orders = [(order, say(language, f"sort_{order}")) for order in _ORDERS]
    parts = select("filter_state", states, language, act="state", chosen=listing.state)
    named = collections(documents, language)
    if len(named) > 1:
        parts += select("filter_collection", named, language, act="collection", chosen=listing.collection)
    parts += select("filter_sort", orders, language, act="order", chosen=listing.order)
    return f'<div class="vm-filters">{parts}</div>'


def table(
    documents: Sequence[Document], listing: Listing, chosen: str, knows: frozenset[str] | None, language: Language
) -> str:
    """The documents of the listing. `chosen` is the id whose details are open; `knows` the embedder's languages."""
    if not documents:
        return (
            f'<div class="vm-empty"><h3>{safe(say(language, "library_empty_title"))}</h3>'
            f"<p>{safe(say(language, 'library_empty'))}</p></div>"
        )
    found = listing.of(documents)
    if not found:
        return f'<p class="vm-muted" role="status">{safe(say(language, "none_match"))}</p>'
    head = "".join(_head(key, listing, language) for key in _COLUMNS)
    rows = "".join(
        _row(d, d.id == chosen, knows is None or d.language in knows, language) for d in found[: listing.rows]
    )
    more = ""
    if len(found) > listing.rows:
        more = act_button("more", say(language, "show_more", n=min(ROWS, len(found) - listing.rows)), "")
    return (
        f'<p class="vm-count" role="status">{safe(_count(documents, found, language))}</p>'
        f'<table class="vm-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}'
    )


def _count(documents: Sequence[Document], found: Sequence[Document], language: Language) -> str:
    ready = [d for d in found if d.state == "ready"]
    pages, chunks = f"{sum(d.pages for d in ready):,}", f"{sum(d.chunks for d in ready):,}"
    count = say(language, "documents_count", documents=len(ready), pages=pages, chunks=chunks)
    if len(found) < len(documents):
        count = say(language, "documents_shown", shown=len(found), all=len(documents)) + " · " + count
    return count


def _head(key: str, listing: Listing, language: Language) -> str:
    order = _SORTED_BY.get(key, key.removeprefix("col_"))
    sort = ""
    if order == listing.order:
        down = (order in _DESCENDING) != listing.reverse
        sort = f' aria-sort="{"descending" if down else "ascending"}"'
    words = safe(say(language, key))
    return f'<th scope="col"{sort}><button type="button" data-act="order:{order}">{words}</button></th>'


def _row(document: Document, chosen: bool, knows: bool, language: Language) -> str:
    title = document.title or document.file
    label = safe(say(language, "details_of", title=title))
    name = (
        f'<button type="button" class="vm-row-button" data-act="pick:{safe(document.id)}" aria-label="{label}"'
        f' aria-pressed="{str(chosen).lower()}">{safe(title)}</button>'
        + (
            f'<span class="vm-file">{safe(document.file)}</span>'
            if document.file.rsplit(".", 1)[0] != title != document.file
            else ""
        )
        + (f'<span class="vm-reason">{safe(reason_in(language, document.reason))}</span>' if document.reason else "")
    )
    failed = document.state == "failed"
    edition = " · ".join(filter(None, (document.edition, document.issued)))
    cells = (
        ("col_state", _state(document, language) + _vectors_coming(document, knows, language)),
        ("col_pages", "" if failed else f"{document.pages:,}"),
        ("col_chunks", "" if failed else f"{document.chunks:,}"),
        ("col_edition", safe(edition)),
        ("col_collection", safe(document.collection)),
    )
    rest = "".join(
        f'<td class="vm-cell-{key.removeprefix("col_")}" data-label="{safe(say(language, key))}">{cell}</td>'
        for key, cell in cells
    )
    return f'<tr class="{"vm-chosen" if chosen else ""}"><th scope="row">{name}</th>{rest}</tr>'


def _vectors_coming(document: Document, knows: bool, language: Language) -> str:
    """While vectors are being computed, how far that is."""
    if document.state != "ready" or not knows or document.embedded >= document.chunks:
        return ""
    told = say(language, "vectors_so_far", n=f"{document.embedded:,}", of=f"{document.chunks:,}")
    return f'<span class="vm-by-words">{safe(told)}</span>'


def _vectors(document: Document, knows: bool, language: Language) -> str:
    if not knows and document.embedded < document.chunks:
        return say(language, "vectors_none")
    return say(language, "vectors_of", n=f"{document.embedded:,}", of=f"{document.chunks:,}")


def _state(document: Document, language: Language) -> str:
    return f'<span class="vm-state vm-state-{document.state}">{safe(say(language, f"state_{document.state}"))}</span>'


def _day(moment: str) -> str:
    """The local day and minute of an ISO 8601 moment."""
    try:
        return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return moment


def details(
    document: Document | None,
    documents: Sequence[Document],
    knows: frozenset[str] | None,
    me: Principal,
    language: Language,
) -> str:
    """What is known of one document, its place among the editions in `documents`, and what `me` may do with it."""
    if document is None:
        return f'<p class="vm-muted">{safe(say(language, "details_empty"))}</p>'
    reason = "meta_refused" if document.state == "failed" else "meta_reason"
    facts = [
        (say(language, "meta_file"), document.file),
        (say(language, reason), reason_in(language, document.reason)),
        (say(language, "meta_kind"), say(language, f"kind_{document.kind}")),
        (say(language, "meta_size"), _size(document.bytes, language)),
        (say(language, "meta_language"), say(language, f"language_{document.language}")),
        (say(language, "meta_issuer"), document.issuer),
        (say(language, "meta_edition"), document.edition),
        (say(language, "meta_issued"), document.issued),
        (say(language, "meta_collection"), document.collection),
        *((say(language, f"meta_{key}"), document.metadata.get(key, "")) for key in _METADATA),
        (say(language, "col_added"), _day(document.added)),
        (say(language, "meta_id"), document.id),
    ]
    if document.state != "failed":
        known = knows is None or document.language in knows
        facts.insert(2, (say(language, "meta_vectors"), _vectors(document, known, language)))
        facts.insert(2, (say(language, "meta_chunks"), f"{document.chunks:,}"))
        facts.insert(2, (say(language, "meta_pages"), f"{document.pages:,}"))
    rows = "".join(f"<dt>{safe(name)}</dt><dd>{safe(value)}</dd>" for name, value in facts if value)
    title = document.title or document.file
    view = ""
    if document.state not in ("reading", "failed") and document.pages:
        text = say(language, "view_pages")
        view = page_button(document, 1, text, label=f"{text}: {title}", style="vm-link", passages=True)
        if document.state in ("ready", "superseded"):
            view += act_button(f"ask:{document.id}", say(language, "ask_this"), title, style="vm-link")
    hint = f"hint_{document.state}"
    told = f'<p class="vm-muted">{safe(say(language, hint))}</p>' if document.state in ("draft", "superseded") else ""
    return (
        f'<h3 class="vm-details-title">{safe(title)}</h3><p class="vm-details-state">{_state(document, language)}</p>'
        f'{told}<div class="vm-acts">{view}</div>{_decisions(document, me, language)}'
        f'<dl class="vm-facts">{_editions(document, documents, language)}{rows}</dl>'
    )


def _decisions(document: Document, me: Principal, language: Language) -> str:
    """What may be done with the document; each button names it, so that a late drawing never acts on another."""
    title, state = document.title or document.file, document.state

    def button(act: str, key: str, look: str = "") -> str:
        words = safe(say(language, key))
        return (
            f'<button type="button" class="vm-button {look}" id="vm-{act}" data-act="{act}:{safe(document.id)}"'
            f' aria-label="{words}: {safe(title[:200])}">{words}</button>'
        )

    acts, edits = "", me.may(Permission.EDIT)
    if edits and state in ("draft", "superseded"):
        acts += button("publish", "publish", "vm-primary")
    if edits and state in READ_STATES:
        acts += button("edit", "edit_details")
    if edits and state == "ready":
        acts += button("unpublish", "unpublish")
    if edits and state in READ_STATES:
        acts += button("reread", "reread")
    if not me.may(Permission.REMOVE):
        return f'<div class="vm-acts">{acts}</div>' if acts else ""
    question = "remove_question_refused" if state == "failed" else "remove_question"
    ask = (
        f'<button type="button" class="vm-button" id="vm-remove" data-sure="ask">'
        f"{safe(say(language, 'remove'))}</button>"
    )
    words = safe(say(language, question, title=title, pages=document.pages, chunks=document.chunks))
    yes = button("remove", "remove_yes", "vm-stop").replace('id="vm-remove"', 'id="vm-remove-yes"')
    return sure_box(acts, ask, words, yes, say(language, "remove_no"))


def _editions(document: Document, documents: Sequence[Document], language: Language) -> str:
    """The editions before and after this one, as buttons that show them."""
    older = [d for d in documents if d.id == document.supersedes]
    newer = [d for d in documents if d.supersedes == document.id]
    parts = ""
    for key, found in (("meta_supersedes", older), ("meta_superseded_by", newer)):
        for other in found:
            parts += f"<dt>{safe(say(language, key))}</dt><dd>{document_button(other)}</dd>"
    return parts


def _size(size: int, language: Language) -> str:
    if size >= 1 << 20:
        return say(language, "megabytes", n=size / (1 << 20))
    return say(language, "kilobytes", n=max(1, size / 1024))
