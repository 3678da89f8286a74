"""Where the next question is looked up: a collection, a day, one document, quotes only. Components and events.

The choice stays until it is changed, and each answer says what it was asked of. What a collection or a date means, kb
decides; each question checks them anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from kb.service import Service
from kb.types import Document, Language, Scope
from ui.events import CLICKS, QUICK
from ui.i18n import language_of, say
from ui.markup import act_button, collections, safe
from ui.narrowed import Narrowed, to_document, told
from ui.who import present

Update = dict[Any, Any]
_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class ScopePanel:
    """The components of the panel."""

    box: gr.Accordion
    collection: gr.Dropdown
    as_of: gr.Textbox
    quotes_only: gr.Checkbox
    document: gr.State
    """Id and title of the one document that is asked about, as the library's panel chose it."""
    only: gr.HTML
    """Says which document, and lets it go."""

    @property
    def inputs(self) -> list[Any]:
        """What `narrowed` is made from, in its order."""
        return [self.collection, self.as_of, self.quotes_only, self.document]

    @property
    def all(self) -> list[Any]:
        return [self.box, *self.inputs, self.only]


def build_scope() -> ScopePanel:
    """Lay the panel out, closed."""
    document = gr.State(("", ""))
    only = gr.HTML(elem_id="vm-scope-document", js_on_load=CLICKS, apply_default_css=False)
    with gr.Accordion(open=False, elem_id="vm-scope") as box, gr.Row(elem_classes="vm-scope-row"):
        collection = gr.Dropdown(choices=[""], value="", elem_id="vm-scope-collection", interactive=True, min_width=150)
        as_of = gr.Textbox(elem_id="vm-scope-date", max_lines=1, placeholder="2024-05-31", min_width=150)
        quotes_only = gr.Checkbox(elem_id="vm-scope-quotes", min_width=200, container=False)
    return ScopePanel(box, collection, as_of, quotes_only, document, only)


def labels(panel: ScopePanel, service: Service, documents: Sequence[Document], language: Language) -> Update:
    """What the panel says, and the collections there are in `documents`; the choice itself is left alone."""
    choices = [(words, name) for name, words in collections(documents, language)]
    return {
        panel.collection: gr.update(
            label=say(language, "filter_collection"), choices=choices, visible=len(choices) > 1
        ),
        panel.as_of: gr.update(label=say(language, "scope_as_of"), info=say(language, "scope_as_of_hint")),
        panel.quotes_only: gr.update(
            label=say(language, "scope_quotes_only"), visible=service.kb.settings.engine != "extractive"
        ),
    }


def summary(panel: ScopePanel, narrowed: Narrowed, language: Language) -> Update:
    """The heading of the panel, which says what is chosen even when it is closed; and the way out of one document."""
    only = ""
    if narrowed.document:
        words = safe(say(language, "scope_only", title=narrowed.title))
        only = (
            f'<p class="vm-editing" role="status">{words} {act_button("whole", say(language, "scope_whole"), "")}</p>'
        )
    return {panel.box: gr.update(label=say(language, "scope", what=told(narrowed, language))), panel.only: only}


def narrowed(collection: object, as_of: object, quotes_only: object, document: object) -> Narrowed:
    """What the panel holds, as anyone may have posted it."""
    key, title = document if isinstance(document, tuple) else ("", "")
    day = str(as_of or "").strip()[:_CHARS]
    return Narrowed(str(collection or "")[:_CHARS], day, quotes_only is True, key, title)


def about(panel: ScopePanel, document: Document, before: Narrowed, language: Language) -> Update:
    """The next questions are asked of this document."""
    now = to_document(before, document)
    chosen = {panel.collection: "", panel.document: (now.document, now.title)}
    return summary(panel, now, language) | chosen


def check(service: Service, chosen: Narrowed) -> Scope | None:
    """The scope to ask in. Raises UsageError for a date or collection that is none, NotFound for a document."""
    documents = (chosen.document,) if chosen.document else ()
    return service.scope(present(), documents, chosen.collection, chosen.as_of) if chosen.scope else None


def wire_scope(panel: ScopePanel, language: gr.Radio) -> None:
    """The heading follows the choice."""

    def chosen(collection: object, as_of: object, quotes_only: object, document: object, speak: str) -> Update:
        return summary(panel, narrowed(collection, as_of, quotes_only, document), language_of(speak))

    def let_go(collection: object, as_of: object, quotes_only: object, _: object, speak: str) -> Update:
        now = narrowed(collection, as_of, quotes_only, ("", ""))
        return summary(panel, now, language_of(speak)) | {panel.document: ("", "")}

    for event in (panel.collection.input, panel.as_of.blur, panel.quotes_only.input):
        event(chosen, [*panel.inputs, language], [panel.box, panel.only], **QUICK)
    panel.only.click(let_go, [*panel.inputs, language], [panel.box, panel.only, panel.document], **QUICK)
