"""The document panel of the tab *Library*: what is known of one document, and what an admin decides about it.

Components and events only: kb.editions edits, publishes and supersedes. Each event checks its inputs anew, because
anyone signed in can post any event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from kb.access import Permission, Principal, require
from kb.editions import DocumentDetails
from kb.errors import KBError, NotFound
from kb.knowledge_base import KnowledgeBase
from kb.service import Service
from kb.types import Document, Language
from ui.i18n import language_of, say
from ui.library_view import Listing, details
from ui.markup import safe
from ui.who import present

Update = dict[Any, Any]

_FIELDS: Final = ("title", "issuer", "edition", "issued", "collection")
_FIELD_CHARS = 300
_CHOICES = 500  # documents offered as the one that is superseded


@dataclass(frozen=True, slots=True)
class DocumentPanel:
    """The components of the panel."""

    view: gr.HTML
    told: gr.HTML
    """What came of the last decision."""
    publish: gr.Button
    unpublish: gr.Button
    edit: gr.Button
    remove: gr.Button
    form: gr.Column
    form_hint: gr.HTML
    fields: dict[str, gr.Textbox]
    supersedes: gr.Dropdown
    save: gr.Button
    cancel: gr.Button
    confirm: gr.Column
    confirm_text: gr.HTML
    confirm_yes: gr.Button
    confirm_no: gr.Button

    @property
    def all(self) -> list[Any]:
        """Every component that `shown` or an event may update."""
        named = [self.view, self.told, self.publish, self.unpublish, self.edit, self.remove, self.form, self.form_hint]
        named += [*self.fields.values(), self.supersedes, self.save, self.cancel]
        return [*named, self.confirm, self.confirm_text, self.confirm_yes, self.confirm_no]


def build_panel(clicks: str) -> DocumentPanel:
    """Lay the panel out; `clicks` is the script that turns clicks into events."""
    plain: dict[str, Any] = {"apply_default_css": False}
    small: dict[str, Any] = {"variant": "secondary", "size": "sm", "min_width": 80}
    told = gr.HTML(js_on_load="", elem_id="vm-told", **plain)
    view = gr.HTML(elem_id="vm-details", js_on_load=clicks, **plain)
    with gr.Row(elem_classes="vm-buttons"):
        publish = gr.Button(variant="primary", size="sm", visible=False, elem_id="vm-publish", min_width=80)
        edit = gr.Button(visible=False, elem_id="vm-edit", **small)
        unpublish = gr.Button(visible=False, elem_id="vm-unpublish", **small)
        remove = gr.Button(visible=False, elem_id="vm-remove", **small)
    with gr.Column(visible=False, elem_classes="vm-form") as form:
        fields = {name: gr.Textbox(elem_id=f"vm-field-{name}", max_lines=1) for name in _FIELDS}
        supersedes = gr.Dropdown(elem_id="vm-field-supersedes", interactive=True)
        form_hint = gr.HTML(js_on_load="", **plain)
        with gr.Row(elem_classes="vm-buttons"):
            save = gr.Button(variant="primary", size="sm", elem_id="vm-save", min_width=80)
            cancel = gr.Button(elem_id="vm-cancel", **small)
    with gr.Column(visible=False, elem_classes="vm-confirm") as confirm:
        confirm_text = gr.HTML(js_on_load="", **plain)
        with gr.Row(elem_classes="vm-buttons"):
            yes = gr.Button(variant="stop", size="sm", min_width=80, elem_id="vm-remove-yes")
            no = gr.Button(elem_id="vm-remove-no", **small)
    lower = (form, form_hint, fields, supersedes, save, cancel, confirm, confirm_text, yes, no)
    return DocumentPanel(view, told, publish, unpublish, edit, remove, *lower)


def labels(panel: DocumentPanel, language: Language) -> Update:
    """What the panel says, apart from the document."""
    words = {
        panel.save: "save",
        panel.cancel: "cancel",
        panel.confirm_yes: "remove_yes",
        panel.confirm_no: "remove_no",
    }
    updates: Update = {button: gr.update(value=say(language, key)) for button, key in words.items()}
    updates |= {box: gr.update(label=say(language, f"field_{name}")) for name, box in panel.fields.items()}
    updates[panel.supersedes] = gr.update(label=say(language, "field_supersedes"))
    updates[panel.form_hint] = f'<p class="vm-muted">{safe(say(language, "edit_hint"))}</p>'
    return updates


def shown(
    panel: DocumentPanel,
    me: Principal,
    kb: KnowledgeBase,
    documents: list[Document],
    chosen: str,
    language: Language,
) -> Update:
    """The document and what may be done with it; the form and the question of removal are closed by others."""
    found = _found(documents, chosen)
    state, edits = found.state if found else "", me.may(Permission.EDIT)
    may = {
        panel.publish: ("publish", edits and state in ("draft", "superseded")),
        panel.unpublish: ("unpublish", edits and state == "ready"),
        panel.edit: ("edit_details", edits and state in ("draft", "ready", "superseded")),
        panel.remove: ("remove", found is not None and me.may(Permission.REMOVE)),
    }
    return {
        panel.view: details(found, documents, kb.embedder.languages, language) if documents else "",
        **{button: gr.update(value=say(language, key), visible=visible) for button, (key, visible) in may.items()},
    }


def closed(panel: DocumentPanel) -> Update:
    """Neither the form nor the question of removal is open, and nothing is told."""
    return {panel.form: gr.update(visible=False), panel.confirm: gr.update(visible=False), panel.told: ""}


def wire_panel(
    panel: DocumentPanel,
    service: Service,
    chosen: gr.State,
    listing: gr.State,
    language: gr.Radio,
    redrawn: Callable[[str, Listing, Language], Update],
    outputs: list[Any],
) -> None:
    """Connect the panel's events. `redrawn` draws the whole tab for a chosen document, into `outputs`."""

    def decided(key: str, listed: Listing, speak: str, act: Callable[[Principal, str], object], words: str) -> Update:
        """Do it, draw the tab anew, say what came of it."""
        spoken = language_of(speak)
        try:
            act(present(), str(key))
            told = _told(say(spoken, words), good=True)
        except KBError as error:
            told = _told(str(error), good=False)
        return redrawn(str(key), listed, spoken) | closed(panel) | {panel.told: told}

    def opened(key: str, listed: Listing, speak: str) -> Update:
        """The form, filled with what is noted."""
        spoken, documents = language_of(speak), service.documents(require(present(), Permission.EDIT))
        document = _found(documents, str(key))
        if document is None:
            return redrawn("", listed, spoken) | {panel.told: _told(say(spoken, "gone"), good=False)}
        others = [(f"{d.title or d.file} · {d.edition or d.issued or d.id}", d.id) for d in documents if d.id != key]
        choices = [(say(spoken, "field_none"), ""), *others[:_CHOICES]]
        filled: Update = {box: getattr(document, name) for name, box in panel.fields.items()}
        filled[panel.supersedes] = gr.update(choices=choices, value=document.supersedes)
        return closed(panel) | filled | {panel.form: gr.update(visible=True)}

    def saved(key: str, listed: Listing, speak: str, *values: object) -> Update:
        texts = [str(value or "").strip() for value in values]
        if any(len(text) > _FIELD_CHARS for text in texts):
            return {panel.told: _told(f"At most {_FIELD_CHARS} characters.", good=False)}
        noted = DocumentDetails(**dict(zip((*_FIELDS, "supersedes"), texts, strict=True)))
        return decided(key, listed, speak, lambda me, own: service.edit(me, own, noted), "saved")

    def asked(key: str, listed: Listing, speak: str) -> Update:
        return closed(panel) | {
            panel.confirm: gr.update(visible=True),
            panel.confirm_text: _question(service, str(key), speak),
        }

    def removed(key: str, listed: Listing, speak: str) -> Update:
        spoken = language_of(speak)
        try:
            gone = service.remove(present(), str(key))
            told = _told(say(spoken, "removed", title=gone.title or gone.file), good=True)
        except KBError as error:
            told = _told(str(error), good=False)
        return redrawn("", listed, spoken) | closed(panel) | {panel.told: told, chosen: ""}

    plain: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    inputs: list[Any] = [chosen, listing, language]
    panel.publish.click(
        lambda key, listed, speak: decided(key, listed, speak, service.publish, "published"),
        inputs,
        outputs,
        **plain,
    )
    panel.unpublish.click(
        lambda key, listed, speak: decided(key, listed, speak, service.unpublish, "unpublished"),
        inputs,
        outputs,
        **plain,
    )
    panel.edit.click(opened, inputs, outputs, **plain)
    panel.save.click(saved, [*inputs, *panel.fields.values(), panel.supersedes], outputs, **plain)
    panel.cancel.click(lambda: closed(panel), None, outputs, **plain)
    panel.remove.click(asked, inputs, outputs, **plain)
    panel.confirm_no.click(lambda: closed(panel), None, outputs, **plain)
    panel.confirm_yes.click(removed, inputs, outputs, **plain)


def _found(documents: list[Document], key: str) -> Document | None:
    return next((document for document in documents if document.id == key), None)


def _told(text: str, *, good: bool) -> str:
    look = "vm-told-good" if good else "vm-notice"
    return f'<p class="{look}" role="status">{safe(text)}</p>'


def _question(service: Service, key: str, speak: str) -> str:
    language = language_of(speak)
    try:
        document = service.document(present(), key)
    except NotFound:
        return f"<p>{safe(say(language, 'gone'))}</p>"
    title = document.title or document.file
    words = "remove_question_refused" if document.state == "failed" else "remove_question"
    text = say(language, words, title=title, pages=document.pages, chunks=document.chunks)
    return f'<p role="alert">{safe(text)}</p>'
