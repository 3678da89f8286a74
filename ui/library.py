"""The tab *Library*: upload with true progress, the documents there are, and the panel of the chosen one.

Components and events only: ingest.add adds (through ui.adding's thread), ui.library_view draws, ui.document decides
about one document. Each event checks its inputs anew, because anyone signed in can post any event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from kb.access import Permission
from kb.knowledge_base import KnowledgeBase
from kb.service import Service
from kb.types import Document, Language
from ui import bench, document
from ui.adding import Adding
from ui.bench import Bench
from ui.document import DocumentPanel
from ui.events import CLICKS, QUICK, act_of
from ui.i18n import language_of, say
from ui.library_view import ROWS, Listing, filters, table
from ui.markup import safe
from ui.progress_view import PUT_AWAY, STEERED, progress
from ui.who import present

Update = dict[Any, Any]

_REDRAW_S = 0.4  # between two looks at files that are being taken in
_WATCH_S = 4.0  # between two looks at vectors that are still being computed
_ACT_CHARS = 400


@dataclass(frozen=True, slots=True)
class LibraryTab:
    """The components that the page relabels or wires to others."""

    add: gr.Row
    add_title: gr.HTML
    upload: gr.UploadButton
    files: gr.HTML
    search: gr.Textbox
    filters: gr.HTML
    documents: gr.HTML
    panel: DocumentPanel
    bench: Bench
    chosen: gr.State
    listing: gr.State
    timer: gr.Timer

    @property
    def all(self) -> list[Any]:
        """Every component that `labels` or `drawn` update."""
        own = [self.add, self.add_title, self.upload, self.files, self.search, self.filters, self.documents, self.timer]
        return [*own, *self.panel.all, *self.bench.all]


def build_library() -> LibraryTab:
    """Lay the tab out."""
    plain: dict[str, Any] = {"js_on_load": "", "apply_default_css": False}
    clicked: dict[str, Any] = {"js_on_load": CLICKS, "apply_default_css": False}
    chosen, listing = gr.State(""), gr.State(Listing())
    with gr.Row(elem_classes="vm-add", equal_height=False) as add:
        add_title = gr.HTML(elem_id="vm-add-title", **plain)
        upload = gr.UploadButton(
            file_count="multiple", variant="primary", elem_id="vm-upload", scale=0, min_width=150, size="md"
        )
    files = gr.HTML(elem_id="vm-progress", **clicked)
    with gr.Row(elem_classes="vm-library", equal_height=False):
        with gr.Column(scale=17, min_width=300):
            with gr.Row(elem_classes="vm-find", equal_height=False):
                search = gr.Textbox(elem_id="vm-find", show_label=False, max_lines=1, scale=1, min_width=200)
                selects = gr.HTML(elem_id="vm-filters", scale=0, **clicked)
            documents = gr.HTML(elem_id="vm-documents", **clicked)
        with gr.Column(scale=7, min_width=260, elem_classes="vm-side"):
            panel = document.build_panel()
    test = bench.build_bench()
    timer = gr.Timer(_WATCH_S, active=False)
    return LibraryTab(add, add_title, upload, files, search, selects, documents, panel, test, chosen, listing, timer)


def labels(tab: LibraryTab, kb: KnowledgeBase, language: Language) -> Update:
    """What the tab says, apart from the documents."""
    hint = say(language, "add_hint", mb=kb.settings.max_file_mb)
    title = f'<h2 class="vm-side-title">{safe(say(language, "add_title"))}</h2><p class="vm-muted">{safe(hint)}</p>'
    return {
        tab.add_title: title,
        tab.upload: gr.update(label=say(language, "add")),
        **document.labels(tab.panel, language),
        **bench.labels(tab.bench, language),
    }


def drawn(
    tab: LibraryTab, service: Service, adding: Adding, chosen: str, listing: Listing, language: Language
) -> Update:
    """Table, filters, progress and the chosen document, as far as whoever looks may see them; whether to look again."""
    me, kb = present(), service.kb
    documents = service.documents(me)
    adds = me.may(Permission.UPLOAD)
    files = adding.latest.files if adds and adding.latest else None
    others = adding.others() if adds else []
    running = bool(others) or any(not file.status for file in files or ())
    find = say(language, "find_documents")
    return {
        tab.documents: table(documents, listing, chosen, kb.embedder.languages, language),
        tab.filters: filters(documents, listing, language) if documents else "",
        tab.search: gr.update(label=find, placeholder=find, visible=bool(documents)),
        tab.add: gr.update(visible=adds),
        tab.files: progress(files, others, language),
        tab.timer: gr.Timer(_REDRAW_S if running else _WATCH_S, active=running or _vectors_are_coming(kb, documents)),
        **document.shown(tab.panel, me, kb, documents, chosen, language),
    }


def wire_library(tab: LibraryTab, service: Service, adding: Adding, language: gr.Radio) -> None:
    """Connect the tab's events."""
    kb = service.kb

    def uploaded(paths: list[str] | None, chosen: str, listing: Listing, speak: str) -> Update:
        adding.submit(present(), [Path(path) for path in paths or []])
        drawn_now = drawn(tab, service, adding, str(chosen), listing, language_of(speak))
        return drawn_now | {tab.upload: gr.update(value=None)}

    def acted(chosen: str, listing: Listing, speak: str, event: gr.EventData) -> Update:
        """A click on a document or a column, or a choice of what is listed."""
        act, value = act_of(event, _ACT_CHARS)
        also: Update = {}
        spoken = language_of(speak)
        if act == "pick":
            chosen, also = value, document.closed(tab.panel)
        elif act in document.ACTS:
            also, chosen = document.decided(tab.panel, service, adding, act, value, spoken)
        elif act in STEERED and value.isdecimal():
            also = document.told_of(tab.panel, lambda: adding.steer(present(), act, int(value)))
        elif act == PUT_AWAY:
            also = document.told_of(tab.panel, lambda: adding.put_away(present()))
        elif act == "order":
            listing = listing.sorted_by(value)
        elif act == "more":
            listing = replace(listing, rows=listing.rows + ROWS)
        elif act == "state":
            listing = replace(listing, state=value, rows=ROWS)
        elif act == "collection":
            listing = replace(listing, collection=value, rows=ROWS)
        if act in ("pick", *document.ACTS):
            also |= document.looked_into(tab.panel, service, chosen, spoken)
        return drawn(tab, service, adding, chosen, listing, spoken) | also | {tab.chosen: chosen, tab.listing: listing}

    def found(search: str, chosen: str, listing: Listing, speak: str) -> Update:
        listing = replace(listing, search=str(search or "")[:_ACT_CHARS], rows=ROWS)
        listed = table(service.documents(present()), listing, str(chosen), kb.embedder.languages, language_of(speak))
        return {tab.documents: listed, tab.listing: listing}

    def looked(chosen: str, listing: Listing, speak: str) -> Update:
        return drawn(tab, service, adding, str(chosen), listing, language_of(speak))

    inputs: list[Any] = [tab.chosen, tab.listing, language]
    outputs = [*tab.all, tab.chosen, tab.listing]
    tab.upload.upload(uploaded, [tab.upload, *inputs], outputs, **QUICK)
    for part in (tab.files, tab.documents, tab.filters, tab.panel.view, tab.panel.quality):
        part.click(acted, inputs, outputs, **QUICK)
    tab.search.input(
        found, [tab.search, *inputs], [tab.documents, tab.listing], **QUICK | {"trigger_mode": "always_last"}
    )
    tab.timer.tick(looked, inputs, tab.all, **QUICK | {"trigger_mode": "once"})
    bench.wire_bench(tab.bench, service, language)
    document.wire_panel(
        tab.panel,
        service,
        tab.listing,
        language,
        lambda chosen, listing, spoken: drawn(tab, service, adding, chosen, listing, spoken),
        outputs,
    )


def _vectors_are_coming(kb: KnowledgeBase, documents: list[Document]) -> bool:
    knows = kb.embedder.languages
    return any(
        d.state == "reading"
        or (d.state == "ready" and d.embedded < d.chunks and (knows is None or d.language in knows))
        for d in documents
    )
