"""The tab *Library*: upload with true progress, the documents there are, details, removal in two steps.

Components and events only: ingest.add adds (through ui.adding's thread), KnowledgeBase lists and removes. Each event
checks its inputs anew, because anyone on the machine can post any event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from kb.errors import KBError, UsageError
from kb.knowledge_base import KnowledgeBase
from kb.types import Document, Language
from ui.adding import Adding
from ui.i18n import language_of, say
from ui.library_view import details, progress, table
from ui.markup import safe

Update = dict[str, Any]

_REDRAW_S = 0.3  # between two redraws of the progress
_WATCH_S = 4.0  # between two looks at vectors that are still being computed

_CLICKS = """
element.addEventListener('click', (event) => {
  const found = event.target.closest('button[data-act]');
  if (found) trigger('click', { act: found.dataset.act });
});
"""


@dataclass(frozen=True, slots=True)
class LibraryTab:
    """The components that the page relabels or wires to others."""

    add_title: gr.HTML
    upload: gr.UploadButton
    files: gr.HTML
    documents: gr.HTML
    details: gr.HTML
    remove: gr.Button
    confirm: gr.Column
    confirm_text: gr.HTML
    confirm_yes: gr.Button
    confirm_no: gr.Button
    chosen: gr.State
    timer: gr.Timer

    @property
    def labelled(self) -> list[Any]:
        """What `labels` updates, in its order."""
        return [self.add_title, self.upload, self.remove, self.confirm_yes, self.confirm_no]


def build_library() -> LibraryTab:
    """Lay the tab out."""
    plain: dict[str, Any] = {"js_on_load": "", "apply_default_css": False}
    chosen = gr.State("")
    with gr.Row(elem_classes="vm-add", equal_height=False):
        add_title = gr.HTML(elem_id="vm-add-title", **plain)
        upload = gr.UploadButton(
            file_count="multiple", variant="primary", elem_id="vm-upload", scale=0, min_width=150, size="md"
        )
    files = gr.HTML(elem_id="vm-progress", **plain)
    with gr.Row(elem_classes="vm-library", equal_height=False):
        with gr.Column(scale=17, min_width=300):
            documents = gr.HTML(elem_id="vm-documents", js_on_load=_CLICKS, apply_default_css=False)
        with gr.Column(scale=7, min_width=260, elem_classes="vm-side"):
            shown = gr.HTML(elem_id="vm-details", **plain)
            remove = gr.Button(variant="secondary", size="sm", visible=False, elem_id="vm-remove")
            with gr.Column(visible=False, elem_classes="vm-confirm") as confirm:
                confirm_text = gr.HTML(**plain)
                with gr.Row():
                    yes = gr.Button(variant="stop", size="sm", min_width=80, elem_id="vm-remove-yes")
                    no = gr.Button(variant="secondary", size="sm", min_width=80, elem_id="vm-remove-no")
    timer = gr.Timer(_WATCH_S, active=False)
    return LibraryTab(add_title, upload, files, documents, shown, remove, confirm, confirm_text, yes, no, chosen, timer)


def labels(kb: KnowledgeBase, language: Language) -> list[Update]:
    """Updates for `LibraryTab.labelled`."""
    hint = say(language, "add_hint", mb=kb.settings.max_file_mb)
    title = f'<h2 class="vm-side-title">{safe(say(language, "add_title"))}</h2><p class="vm-muted">{safe(hint)}</p>'
    return [
        gr.update(value=title),
        gr.update(label=say(language, "add")),
        gr.update(value=say(language, "remove")),
        gr.update(value=say(language, "remove_yes")),
        gr.update(value=say(language, "remove_no")),
    ]


def drawn(kb: KnowledgeBase, adding: Adding, chosen: str, language: Language) -> tuple[str, str, str, Update, gr.Timer]:
    """Table, details, progress; whether the remove button shows; whether to look again soon."""
    documents = kb.documents()
    found = next((d for d in documents if d.id == chosen), None)
    running = adding.latest is not None and not adding.latest.finished
    watch = running or _vectors_are_coming(kb, documents)
    return (
        table(documents, chosen, kb.embedder.languages, language),
        details(found, language) if documents else "",
        progress(adding.latest, language),
        gr.update(visible=found is not None),
        gr.Timer(_WATCH_S, active=watch),
    )


def wire_library(tab: LibraryTab, kb: KnowledgeBase, adding: Adding, language: gr.Radio) -> None:
    """Connect the tab's events."""

    def uploaded(paths: list[str] | None, chosen: str, speak: str) -> Iterator[tuple[object, ...]]:
        spoken = language_of(speak)
        batch = adding.submit([Path(path) for path in paths or []])
        yield gr.update(value=None, interactive=False), *drawn(kb, adding, str(chosen), spoken)
        rest = tuple(gr.skip() for _ in range(2))
        while not batch.wait(_REDRAW_S):
            documents, *_ = drawn(kb, adding, str(chosen), spoken)
            yield gr.skip(), documents, gr.skip(), progress(batch, spoken), *rest
        yield gr.update(interactive=True), *drawn(kb, adding, str(chosen), spoken)

    def picked(speak: str, event: gr.EventData) -> tuple[object, ...]:
        chosen = str((event._data or {}).get("act", ""))[:64]
        return chosen, gr.update(visible=False), *drawn(kb, adding, chosen, language_of(speak))

    def looked(chosen: str, speak: str) -> tuple[object, ...]:
        return drawn(kb, adding, str(chosen), language_of(speak))

    def asked(chosen: str, speak: str) -> tuple[Update, Update, str]:
        text = _question(kb, str(chosen), language_of(speak))
        return gr.update(visible=False), gr.update(visible=True), text

    def kept() -> tuple[Update, Update]:
        return gr.update(visible=True), gr.update(visible=False)

    def removed(chosen: str, speak: str) -> tuple[object, ...]:
        spoken = language_of(speak)
        done = _removed(kb, str(chosen), spoken)
        documents, _, files, remove, timer = drawn(kb, adding, "", spoken)
        return "", gr.update(visible=False), documents, f'<p class="vm-notice">{safe(done)}</p>', files, remove, timer

    plain: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    shown = [tab.documents, tab.details, tab.files, tab.remove, tab.timer]
    tab.upload.upload(
        uploaded, [tab.upload, tab.chosen, language], [tab.upload, *shown], concurrency_limit=8, **plain
    ).then(lambda: gr.update(interactive=True), None, tab.upload, **plain)
    tab.documents.click(picked, [language], [tab.chosen, tab.confirm, *shown], **plain)
    tab.timer.tick(looked, [tab.chosen, language], shown, **plain)
    tab.remove.click(asked, [tab.chosen, language], [tab.remove, tab.confirm, tab.confirm_text], **plain)
    tab.confirm_no.click(kept, None, [tab.remove, tab.confirm], **plain)
    tab.confirm_yes.click(removed, [tab.chosen, language], [tab.chosen, tab.confirm, *shown], **plain)


def _vectors_are_coming(kb: KnowledgeBase, documents: list[Document]) -> bool:
    knows = kb.embedder.languages
    return any(
        d.state == "reading"
        or (d.state == "ready" and d.embedded < d.chunks and (knows is None or d.language in knows))
        for d in documents
    )


def _question(kb: KnowledgeBase, chosen: str, language: Language) -> str:
    document = kb.store.document(chosen)
    if document is None or document.id != chosen:
        return f"<p>{safe(say(language, 'gone'))}</p>"
    title = document.title or document.file
    key = "remove_question" if document.state == "ready" else "remove_question_refused"
    text = say(language, key, title=title, pages=document.pages, chunks=document.chunks)
    return f'<p role="alert">{safe(text)}</p>'


def _removed(kb: KnowledgeBase, chosen: str, language: Language) -> str:
    """Remove the document of exactly this id; the sentence to show."""
    document = kb.store.document(chosen)
    if document is None or document.id != chosen:
        return say(language, "gone")
    try:
        kb.remove(document.id)
    except UsageError:
        return say(language, "gone")
    except KBError as error:
        return str(error)
    return say(language, "removed", title=document.title or document.file)
