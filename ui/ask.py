"""The tab *Ask*: a question in, a streamed answer with its sources out. Components and events only.

What an answer is, kb decides (KnowledgeBase.ask); what it looks like, ui.answer_view. Conversations live in the page's
session and are gone with it. Each event checks its inputs anew, because anyone on the machine can post any event.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from kb.errors import KBError
from kb.knowledge_base import KnowledgeBase
from kb.types import AnswerEvent, Delta, Finished, Found, Language, Restart, Turn
from ui.answer_view import Exchange, conversation, evidence
from ui.i18n import language_of, say
from ui.markup import safe

Exchanges = tuple[Exchange, ...]
Update = dict[str, Any]

_KEPT = 40  # exchanges a page remembers
_FOLLOWED = 6  # exchanges that a follow-up is understood by
_REDRAW_S = 0.08  # shortest time between two redraws while text streams
_EXAMPLES = ("example_1", "example_2", "example_3")

# A click on an example or on "open the library" becomes an event with what was clicked.
_CLICKS = """
element.addEventListener('click', (event) => {
  const found = event.target.closest('button[data-act]');
  if (found) trigger('click', { act: found.dataset.act });
});
"""


@dataclass(frozen=True, slots=True)
class AskTab:
    """The components that the page relabels or wires to others."""

    question: gr.Textbox
    send: gr.Button
    stop: gr.Button
    new: gr.Button
    welcome: gr.HTML
    """What the page is for; style.css hides it once the conversation has begun."""
    talk: gr.HTML
    sources: gr.HTML
    exchanges: gr.State


def build_ask(language: Language) -> AskTab:
    """Lay the tab out. Wire it with `wire_ask` once the language control exists."""
    exchanges = gr.State(())
    with gr.Row(elem_classes="vm-ask", equal_height=False):
        with gr.Column(scale=13, min_width=300, elem_classes="vm-talk-column"):
            welcome = gr.HTML(elem_id="vm-welcome", js_on_load=_CLICKS, apply_default_css=False)
            talk = gr.HTML(elem_id="vm-talk", js_on_load="", apply_default_css=False)
            new = gr.Button(variant="secondary", size="sm", visible=False, elem_id="vm-new")
        with gr.Column(scale=8, min_width=280, elem_classes="vm-side"):
            sources = gr.HTML(elem_id="vm-sources", js_on_load="", apply_default_css=False)
    with gr.Row(elem_classes="vm-composer", equal_height=False):
        question = gr.Textbox(
            elem_id="vm-question", lines=1, max_lines=6, autofocus=True, scale=10, min_width=160, show_label=False
        )
        send = gr.Button(variant="primary", scale=1, min_width=84, elem_id="vm-send")
        stop = gr.Button(variant="stop", scale=1, min_width=84, visible=False, elem_id="vm-stop")
    return AskTab(question, send, stop, new, welcome, talk, sources, exchanges)


def labels(language: Language) -> list[Update]:
    """Updates for question, send, stop and new, in this order."""
    hint = say(language, "question_hint")
    return [
        gr.update(label=say(language, "question"), placeholder=hint),
        gr.update(value=say(language, "send")),
        gr.update(value=say(language, "stop")),
        gr.update(value=say(language, "new")),
    ]


def drawn(exchanges: Exchanges, language: Language) -> tuple[str, str]:
    """The conversation and the sources as HTML."""
    return conversation(exchanges, language), evidence(exchanges[-1] if exchanges else None, language)


def welcome(kb: KnowledgeBase, language: Language) -> str:
    """What stands where the conversation will be: what to ask, or that the library is empty."""
    return _empty(language, has_documents=bool(kb.documents()))


def wire_ask(tab: AskTab, kb: KnowledgeBase, language: gr.Radio, tabs: gr.Tabs) -> None:
    """Connect the tab's events."""

    def ask(question: str, exchanges: Exchanges, chosen: str) -> Iterator[tuple[object, ...]]:
        speak = language_of(chosen)
        yield from _answered(kb, str(question or ""), exchanges, speak)

    def settled(exchanges: Exchanges, chosen: str) -> tuple[object, ...]:
        """After a run's end. What still seems to run was stopped; nothing else needs to be drawn again."""
        still = _stopped(exchanges)
        if still == exchanges:
            return *(gr.skip() for _ in range(3)), *_buttons(exchanges, running=False)
        return redrawn(still, chosen)

    def stopped(exchanges: Exchanges, chosen: str) -> tuple[object, ...]:
        return redrawn(_stopped(exchanges), chosen)

    def redrawn(exchanges: Exchanges, chosen: str) -> tuple[object, ...]:
        return exchanges, *drawn(exchanges, language_of(chosen)), *_buttons(exchanges, running=False)

    def cleared(chosen: str) -> tuple[object, ...]:
        return (), *drawn((), language_of(chosen)), "", *_buttons((), running=False)

    def clicked(chosen: str, event: gr.EventData) -> tuple[object, object]:
        act = (event._data or {}).get("act", "")
        if act == "library":
            return gr.skip(), gr.update(selected="library")
        return (say(language_of(chosen), act) if act in _EXAMPLES else gr.skip()), gr.skip()

    shown = [tab.exchanges, tab.talk, tab.sources]
    buttons = [tab.send, tab.stop, tab.new]
    asking: dict[str, Any] = {
        "fn": ask,
        "inputs": [tab.question, tab.exchanges, language],
        "outputs": [tab.question, *shown, *buttons],
        "show_progress": "hidden",
        "concurrency_limit": 8,
        "api_visibility": "private",
    }
    plain: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    runs: list[Any] = [tab.send.click(**asking), tab.question.submit(**asking)]
    for run in runs:
        # A last piece of a stopped run may come after the stop itself, so its end settles what is shown.
        run.then(settled, [tab.exchanges, language], [*shown, *buttons], **plain)
    tab.stop.click(stopped, [tab.exchanges, language], [*shown, *buttons], cancels=runs, **plain)
    tab.new.click(cleared, [language], [*shown, tab.question, *buttons], **plain)
    tab.welcome.click(clicked, [language], [tab.question, tabs], **plain)


def _answered(kb: KnowledgeBase, question: str, past: Exchanges, language: Language) -> Iterator[tuple[object, ...]]:
    """Redraws while the answer comes; the last one ends the run."""
    past = _stopped(past)
    exchange = Exchange(question.strip()[: kb.settings.max_question_chars])

    def redraw(box: object, item: Exchange, *, running: bool) -> tuple[object, ...]:
        exchanges = (*past, item)[-_KEPT:]
        return box, exchanges, *drawn(exchanges, language), *_buttons(exchanges, running=running)

    yield redraw("", exchange, running=True)
    drawn_at = time.monotonic()
    try:
        for event in kb.ask(question, _history(past)):
            exchange = _after(exchange, event)
            if not isinstance(event, Delta) or time.monotonic() - drawn_at > _REDRAW_S:
                yield redraw(gr.skip(), exchange, running=True)
                drawn_at = time.monotonic()
    except KBError as error:
        exchange = replace(exchange, state="failed", notice=str(error))
        yield redraw(question[: kb.settings.max_question_chars], exchange, running=False)
        return
    yield redraw(gr.skip(), exchange, running=False)


def _stopped(exchanges: Exchanges) -> Exchanges:
    """The exchanges, those that seem to run marked as stopped."""
    return tuple(replace(e, state="stopped") if e.state in ("searching", "writing") else e for e in exchanges)


def _after(exchange: Exchange, event: AnswerEvent) -> Exchange:
    match event:
        case Found(hits=hits):
            return replace(exchange, hits=hits)
        case Delta(text=text):
            return replace(exchange, state="writing", text=exchange.text + text)
        case Restart(notice=notice):
            return replace(exchange, state="searching", text="", notice=notice)
        case Finished(answer=answer):
            return replace(exchange, state="done", text=answer.text, hits=answer.hits or exchange.hits, answer=answer)


def _history(past: Exchanges) -> list[Turn]:
    turns: list[Turn] = []
    for exchange in past[-_FOLLOWED:]:
        if exchange.answer is not None:
            turns += [Turn("user", exchange.question), Turn("assistant", exchange.answer.text)]
    return turns


def _buttons(exchanges: Exchanges, *, running: bool) -> tuple[Update, Update, Update]:
    """Updates for send, stop and new."""
    new = gr.update(visible=bool(exchanges) and not running)
    return gr.update(visible=not running), gr.update(visible=running), new


def _empty(language: Language, *, has_documents: bool) -> str:
    if not has_documents:
        return (
            f'<div class="vm-empty"><h2>{safe(say(language, "library_empty_title"))}</h2>'
            f"<p>{safe(say(language, 'ask_no_documents'))}</p>"
            f'<button type="button" class="vm-link" data-act="library">{safe(say(language, "open_library"))}</button>'
            "</div>"
        )
    examples = "".join(
        f'<li><button type="button" class="vm-example" data-act="{key}">{safe(say(language, key))}</button></li>'
        for key in _EXAMPLES
    )
    return (
        f'<div class="vm-empty"><h2>{safe(say(language, "ask_empty_title"))}</h2>'
        f"<p>{safe(say(language, 'ask_empty'))}</p>"
        f'<p class="vm-try">{safe(say(language, "try"))}</p><ul class="vm-examples">{examples}</ul></div>'
    )
