"""The document panel of the tab *Library*: what is known of one document, and what an admin decides about it.

Components and events only: kb.editions edits, publishes and supersedes. A button names the document it stands beside:
a panel that is drawn late never acts on another. Each event checks its inputs anew, because anyone can post any event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from ingest.reread import submit_reread
from kb.access import Permission, Principal, require
from kb.editions import DocumentDetails
from kb.errors import KBError, NotFound
from kb.knowledge_base import KnowledgeBase
from kb.service import Service
from kb.types import Document, Language
from ui.adding import Adding
from ui.events import CLICKS, QUICK
from ui.i18n import language_of, say
from ui.library_view import Listing, details
from ui.markup import done, refused, safe
from ui.quality_view import duplicates_view, quality_view
from ui.reasons import reason_in
from ui.who import present

Update = dict[Any, Any]

_FIELDS: Final = ("title", "issuer", "edition", "issued", "collection")
_FIELD_CHARS = 300
_CHOICES = 500  # documents offered as the one that is superseded


@dataclass(frozen=True, slots=True)
class DocumentPanel:
    """The components of the panel."""

    view: gr.HTML
    quality: gr.HTML
    """How well it was read, and which documents are like it; drawn when it is chosen."""
    told: gr.HTML
    """What came of the last decision."""
    form: gr.Column
    form_hint: gr.HTML
    fields: dict[str, gr.Textbox]
    supersedes: gr.Dropdown
    save: gr.Button
    cancel: gr.Button
    edited: gr.State
    """Id of the document in the form."""

    @property
    def all(self) -> list[Any]:
        """Every component that `labels`, `shown` or an event may update."""
        named = [self.view, self.quality, self.told, self.form, self.form_hint, *self.fields.values(), self.supersedes]
        return [*named, self.save, self.cancel, self.edited]


def build_panel() -> DocumentPanel:
    """Lay the panel out."""
    plain: dict[str, Any] = {"apply_default_css": False}
    told = gr.HTML(js_on_load="", elem_id="vm-told", **plain)
    view = gr.HTML(elem_id="vm-details", js_on_load=CLICKS, **plain)
    quality = gr.HTML(elem_id="vm-quality", js_on_load=CLICKS, **plain)
    edited = gr.State("")
    with gr.Column(visible=False, elem_classes="vm-form") as form:
        fields = {name: gr.Textbox(elem_id=f"vm-field-{name}", max_lines=1) for name in _FIELDS}
        supersedes = gr.Dropdown(elem_id="vm-field-supersedes", interactive=True)
        form_hint = gr.HTML(js_on_load="", **plain)
        with gr.Row(elem_classes="vm-buttons"):
            save = gr.Button(variant="primary", size="sm", elem_id="vm-save", min_width=80)
            cancel = gr.Button(variant="secondary", size="sm", elem_id="vm-cancel", min_width=80)
    return DocumentPanel(view, quality, told, form, form_hint, fields, supersedes, save, cancel, edited)


def labels(panel: DocumentPanel, language: Language) -> Update:
    """What the panel says, apart from the document."""
    words = {panel.save: "save", panel.cancel: "cancel"}
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
    """The document and what may be done with it; the form is closed by others."""
    found = _found(documents, chosen)
    return {panel.view: details(found, documents, kb.embedder.languages, me, language) if documents else ""}


def looked_into(panel: DocumentPanel, service: Service, chosen: str, language: Language) -> Update:
    """The report on its reading and its likes, for those who decide about documents."""
    me = present()
    if not chosen or not me.may(Permission.SEE_UNPUBLISHED):
        return {panel.quality: ""}
    try:
        report = service.read_quality(me, chosen)
    except NotFound:
        return {panel.quality: ""}
    alike = duplicates_view(report.document, service.duplicates(me), language, decides=me.may(Permission.EDIT))
    return {panel.quality: alike + quality_view(report, language)}


def told_of(panel: DocumentPanel, act: Callable[[], object]) -> Update:
    """Do it; say what went wrong, if anything did."""
    try:
        act()
    except KBError as error:
        return {panel.told: refused(error)}
    return {panel.told: ""}


def closed(panel: DocumentPanel) -> Update:
    """The form is not open, and nothing is told."""
    return {panel.form: gr.update(visible=False), panel.told: "", panel.edited: ""}


def decided(
    panel: DocumentPanel, service: Service, adding: Adding, act: str, key: str, language: Language
) -> tuple[Update, str]:
    """Do what a button of the panel says; what to draw, and the document that is chosen afterwards."""
    me = present()
    try:
        if act == "edit":
            return _form(panel, service, require(me, Permission.EDIT), key, language), key
        if act == "remove":
            gone = service.remove(me, key)
            told = say(language, "removed", title=gone.title or gone.file)
            return closed(panel) | {panel.told: done(told)}, ""
        if act == "publish":
            service.publish(me, key)
        elif act == "unpublish":
            service.unpublish(me, key)
        elif act == "keep":
            service.keep_duplicate(me, key)
        else:
            submit_reread(adding.queue, service.document(require(me, Permission.EDIT), key))
        told = say(language, f"did_{act}")
        return closed(panel) | {panel.told: done(told)}, key
    except KBError as error:
        return closed(panel) | {panel.told: refused(reason_in(language, str(error)))}, key


ACTS: Final = ("edit", "remove", "publish", "unpublish", "reread", "keep")


def wire_panel(
    panel: DocumentPanel,
    service: Service,
    listing: gr.State,
    language: gr.Radio,
    redrawn: Callable[[str, Listing, Language], Update],
    outputs: list[Any],
) -> None:
    """Connect the form's events. `redrawn` draws the whole tab for a chosen document, into `outputs`."""

    def saved(key: str, listed: Listing, speak: str, *values: object) -> Update:
        spoken = language_of(speak)
        texts = [str(value or "").strip() for value in values]
        if any(len(text) > _FIELD_CHARS for text in texts):
            return {panel.told: refused(f"At most {_FIELD_CHARS} characters.")}
        noted = DocumentDetails(**dict(zip((*_FIELDS, "supersedes"), texts, strict=True)))
        try:
            service.edit(present(), str(key), noted)
        except KBError as error:
            return {panel.told: refused(reason_in(spoken, str(error)))}  # the form stays open, with what was written
        told = closed(panel) | {panel.told: done(say(spoken, "saved"))}
        return redrawn(str(key), listed, spoken) | told

    fields = [*panel.fields.values(), panel.supersedes]
    panel.save.click(saved, [panel.edited, listing, language, *fields], outputs, **QUICK)
    panel.cancel.click(lambda: closed(panel), None, outputs, **QUICK)


def _form(panel: DocumentPanel, service: Service, me: Principal, key: str, language: Language) -> Update:
    """The form, filled with what is noted. Raises NotFound."""
    document = service.document(me, key)
    others = [d for d in service.documents(me) if d.id != document.id]
    choices = [(f"{d.title or d.file} · {d.edition or d.issued or d.id}", d.id) for d in others]
    filled: Update = {box: getattr(document, name) for name, box in panel.fields.items()}
    filled[panel.supersedes] = gr.update(
        choices=[(say(language, "field_none"), ""), *choices[:_CHOICES]], value=document.supersedes
    )
    return closed(panel) | filled | {panel.form: gr.update(visible=True), panel.edited: document.id}


def _found(documents: list[Document], key: str) -> Document | None:
    return next((document for document in documents if document.id == key), None)
