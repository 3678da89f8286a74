"""The conversations of the tab *Ask*: one's own, found, opened, renamed, deleted. Components and events only.

kb.conversations keeps them and answers for nobody else's. Each event checks its inputs anew, because anyone signed in
can post any event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from kb.conversations import Conversation, Conversations
from kb.conversations import Exchange as Record
from kb.errors import KBError
from kb.types import Language
from ui.answer_view import Exchange
from ui.events import CLICKS, QUICK, act_of
from ui.i18n import language_of, say
from ui.markup import act_button, refused, safe, sure_box
from ui.narrowed import as_asked
from ui.numbering import in_order
from ui.who import present

Update = dict[Any, Any]
_CHARS = 200


@dataclass(frozen=True, slots=True)
class PastPanel:
    """The components of the panel."""

    toggle: gr.Button
    column: gr.Column
    search: gr.Textbox
    shown: gr.HTML
    rename: gr.Row
    title: gr.Textbox
    save: gr.Button
    renamed: gr.State
    """Id of the conversation whose title is being changed."""
    open: gr.State

    @property
    def all(self) -> list[Any]:
        """Every component that an event of the panel may update."""
        box = [self.toggle, self.column, self.search, self.shown, self.rename, self.title, self.save]
        return [*box, self.renamed, self.open]


def build_past(toggle: gr.Button) -> PastPanel:
    """Lay the panel out; `toggle` shows and hides it."""
    renamed, opened = gr.State(""), gr.State(False)
    with gr.Column(visible=False, elem_classes="vm-past-column") as column:
        search = gr.Textbox(elem_id="vm-past-find", show_label=False, max_lines=1)
        shown = gr.HTML(elem_id="vm-past-list", js_on_load=CLICKS, apply_default_css=False)
        with gr.Row(visible=False, elem_classes="vm-buttons") as rename:
            title = gr.Textbox(elem_id="vm-past-title", max_lines=1, min_width=160)
            save = gr.Button(variant="primary", size="sm", min_width=80, elem_id="vm-past-save")
    return PastPanel(toggle, column, search, shown, rename, title, save, renamed, opened)


def labels(panel: PastPanel, language: Language) -> Update:
    """What the panel says, apart from the conversations."""
    find = say(language, "conversations_find")
    return {
        panel.toggle: gr.update(value=say(language, "conversations")),
        panel.search: gr.update(label=find, placeholder=find),
        panel.title: gr.update(label=say(language, "rename_to")),
        panel.save: gr.update(value=say(language, "rename_save")),
    }


def exchange_of(record: Record, verdict: str) -> Exchange:
    """A kept answer as it is shown. What was never finished was stopped."""
    answer = record.answer and in_order(record.answer)
    state = record.state if record.state in ("done", "failed") else "stopped"
    hits = answer.hits if answer else ()
    asked = as_asked(record)
    text = answer.text if answer else record.text
    return Exchange(record.question, state, text, record.notice, hits, answer, record.id, verdict, asked)


def wire_past(
    panel: PastPanel,
    kept: Conversations,
    language: gr.Radio,
    conversation: gr.State,
    redrawn: Callable[[tuple[Exchange, ...], str, Language], Update],
    outputs: list[Any],
) -> None:
    """Connect the panel's events. `redrawn` shows these exchanges of that conversation, into `outputs`."""

    def listed(search: str, current: str, spoken: Language) -> str:
        found = kept.find(present(), str(search or "")[:_CHARS])
        return _list(found, current, str(search or ""), spoken)

    def toggled(opened: bool, search: str, current: str, speak: str) -> Update:
        now = opened is not True
        shown = listed(search, current, language_of(speak)) if now else ""
        return {panel.open: now, panel.column: gr.update(visible=now), panel.shown: shown}

    def found(search: str, current: str, speak: str) -> Update:
        return {panel.shown: listed(search, current, language_of(speak))}

    def acted(search: str, current: str, speak: str, event: gr.EventData) -> Update:
        spoken = language_of(speak)
        act, key = act_of(event, 80)
        me, closed = present(), gr.update(visible=False)
        try:
            if act == "open":
                records = kept.exchanges(me, key, with_hits=True)
                exchanges = tuple(exchange_of(r, (kept.feedback_on(me, r.id) or ("", ""))[0]) for r in records)
                return redrawn(exchanges, key, spoken) | {panel.shown: listed(search, key, spoken)}
            if act == "rename":
                title = kept.get(me, key).title
                return {panel.rename: gr.update(visible=True), panel.title: title, panel.renamed: key}
            if act == "really":
                kept.delete(me, key)
                gone = redrawn((), "", spoken) if key == current else {}
                return gone | {panel.shown: listed(search, current, spoken), panel.rename: closed}
            return {panel.shown: listed(search, current, spoken)}
        except KBError as error:
            return {panel.shown: refused(error)}

    def saved(key: str, title: str, search: str, current: str, speak: str) -> Update:
        try:
            kept.rename(present(), str(key), str(title or "")[:_CHARS])
        except KBError as error:
            return {panel.shown: refused(error)}
        return {panel.shown: listed(search, current, language_of(speak)), panel.rename: gr.update(visible=False)}

    inputs: list[Any] = [panel.search, conversation, language]
    panel.toggle.click(toggled, [panel.open, *inputs], panel.all, **QUICK)
    panel.search.input(found, inputs, panel.all, **QUICK | {"trigger_mode": "always_last"})
    panel.shown.click(acted, inputs, [*panel.all, *outputs], **QUICK)
    panel.save.click(saved, [panel.renamed, panel.title, *inputs], panel.all, **QUICK)


def _list(found: Sequence[Conversation], current: str, search: str, language: Language) -> str:
    if not found:
        key = "conversations_no_match" if search.strip() else "conversations_none"
        return f'<p class="vm-muted">{safe(say(language, key))}</p>'
    items = "".join(_item(c, c.id == current, language) for c in found)
    return f'<ul class="vm-past-items">{items}</ul>'


def _item(conversation: Conversation, current: bool, language: Language) -> str:
    mark = ' aria-current="true"' if current else ""
    name = (
        f'<button type="button" class="vm-row-button" data-act="open:{safe(conversation.id)}"{mark}>'
        f'{safe(conversation.title)}</button><span class="vm-file">{safe(conversation.updated[:10])}</span>'
    )
    rename = act_button(f"rename:{conversation.id}", say(language, "rename"), conversation.title)
    words = safe(say(language, "delete"))
    ask = (
        f'<button type="button" class="vm-act" data-sure="ask" aria-label="{words}: {safe(conversation.title)}">'
        f"{words}</button>"
    )
    yes = act_button(f"really:{conversation.id}", say(language, "delete_yes"), conversation.title)
    return (
        f"<li>{name}{sure_box(rename, ask, safe(say(language, 'delete_sure')), yes, say(language, 'delete_no'))}</li>"
    )
