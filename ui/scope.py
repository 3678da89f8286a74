"""Where the next question is looked up: a collection, what was in force on a day, quotes only. Components and events.

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
from ui.events import QUICK
from ui.i18n import language_of, say
from ui.markup import collections
from ui.narrowed import Narrowed, told

Update = dict[Any, Any]
_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class ScopePanel:
    """The components of the panel."""

    box: gr.Accordion
    collection: gr.Dropdown
    as_of: gr.Textbox
    quotes_only: gr.Checkbox

    @property
    def inputs(self) -> list[Any]:
        """What `narrowed` is made from, in its order."""
        return [self.collection, self.as_of, self.quotes_only]

    @property
    def all(self) -> list[Any]:
        return [self.box, *self.inputs]


def build_scope() -> ScopePanel:
    """Lay the panel out, closed."""
    with gr.Accordion(open=False, elem_id="vm-scope") as box, gr.Row(elem_classes="vm-scope-row"):
        collection = gr.Dropdown(choices=[""], value="", elem_id="vm-scope-collection", interactive=True, min_width=150)
        as_of = gr.Textbox(elem_id="vm-scope-date", max_lines=1, placeholder="2024-05-31", min_width=150)
        quotes_only = gr.Checkbox(elem_id="vm-scope-quotes", min_width=200, container=False)
    return ScopePanel(box, collection, as_of, quotes_only)


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
    """The heading of the panel, which says what is chosen even when it is closed."""
    return {panel.box: gr.update(label=say(language, "scope", what=told(narrowed, language)))}


def narrowed(collection: object, as_of: object, quotes_only: object) -> Narrowed:
    """What the panel holds, as anyone may have posted it."""
    return Narrowed(str(collection or "")[:_CHARS], str(as_of or "").strip()[:_CHARS], quotes_only is True)


def check(service: Service, chosen: Narrowed) -> Scope | None:
    """The scope to ask in. Raises UsageError for a date or collection that is none."""
    return service.kb.scope((), chosen.collection, chosen.as_of) if chosen.scope else None


def wire_scope(panel: ScopePanel, language: gr.Radio) -> None:
    """The heading follows the choice."""

    def chosen(collection: object, as_of: object, quotes_only: object, speak: str) -> Update:
        return summary(panel, narrowed(collection, as_of, quotes_only), language_of(speak))

    for event in (panel.collection.input, panel.as_of.blur, panel.quotes_only.input):
        event(chosen, [*panel.inputs, language], [panel.box], **QUICK)
