"""The tab *Ask*: a question in, a streamed answer with its sources out. Components and events only.

What an answer is, kb decides (KnowledgeBase.ask); what it looks like, ui.answer_view and ui.evidence_view.
Conversations live in the page's session and are gone with it. Each event checks its inputs anew, because anyone on the
machine can post any event.
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
from ui.answer_view import Exchange, earlier, latest
from ui.evidence_view import evidence
from ui.i18n import language_of, say
from ui.markup import act_button, safe

Exchanges = tuple[Exchange, ...]
Update = dict[Any, Any]

_KEPT = 40  # exchanges a page remembers
_FOLLOWED = 6  # exchanges that a follow-up is understood by
_REDRAW_S = 0.08  # shortest time between two redraws while text streams
_EXAMPLES = ("example_1", "example_2", "example_3")

# A click on an example, on "open the library" or on what can be done with an answer becomes an event.
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
    past: gr.HTML
    talk: gr.HTML
    sources: gr.HTML
    hint: gr.HTML
    exchanges: gr.State
    replacing: gr.State
    """Whether the next question takes the place of the last one."""

    @property
    def labelled(self) -> list[Any]:
        """What `labels`, `drawn` and `welcome` update."""
        return [self.question, self.send, self.stop, self.new, self.welcome, *self.drawn]

    @property
    def drawn(self) -> list[Any]:
        return [self.past, self.talk, self.sources, self.hint]


def build_ask(language: Language) -> AskTab:
    """Lay the tab out. Wire it with `wire_ask` once the language control exists."""
    exchanges, replacing = gr.State(()), gr.State(False)
    with gr.Row(elem_classes="vm-ask", equal_height=False):
        with gr.Column(scale=13, min_width=300, elem_classes="vm-talk-column"):
            welcome = gr.HTML(elem_id="vm-welcome", js_on_load=_CLICKS, apply_default_css=False)
            past = gr.HTML(elem_id="vm-past", js_on_load=_CLICKS, apply_default_css=False)
            talk = gr.HTML(elem_id="vm-talk", js_on_load=_CLICKS, apply_default_css=False)
            new = gr.Button(variant="secondary", size="sm", visible=False, elem_id="vm-new")
        with gr.Column(scale=8, min_width=280, elem_classes="vm-side"):
            sources = gr.HTML(elem_id="vm-sources", js_on_load="", apply_default_css=False)
    with gr.Row(elem_classes="vm-composer", equal_height=False):
        question = gr.Textbox(
            elem_id="vm-question", lines=1, max_lines=6, autofocus=True, scale=10, min_width=160, show_label=False
        )
        send = gr.Button(variant="primary", scale=1, min_width=84, elem_id="vm-send")
        stop = gr.Button(variant="stop", scale=1, min_width=84, visible=False, elem_id="vm-stop")
    hint = gr.HTML(elem_id="vm-hint", js_on_load=_CLICKS, apply_default_css=False)
    return AskTab(question, send, stop, new, welcome, past, talk, sources, hint, exchanges, replacing)


def labels(tab: AskTab, language: Language) -> Update:
    """What the tab says, apart from the conversation."""
    return {
        tab.question: gr.update(label=say(language, "question"), placeholder=say(language, "question_hint")),
        tab.send: gr.update(value=say(language, "send")),
        tab.stop: gr.update(value=say(language, "stop")),
        tab.new: gr.update(value=say(language, "new")),
    }


def drawn(tab: AskTab, exchanges: Exchanges, language: Language) -> Update:
    """The conversation, the sources of its last answer, and the hint below the question box."""
    return {
        tab.past: earlier(exchanges, language),
        tab.talk: latest(exchanges, language),
        tab.sources: evidence(exchanges[-1] if exchanges else None, language),
        tab.hint: _hint(language),
    }


def welcome(kb: KnowledgeBase, language: Language) -> str:
    """What stands where the conversation will be: what to ask, or that the library is empty."""
    return _empty(language, has_documents=bool(kb.documents()))


def wire_ask(tab: AskTab, kb: KnowledgeBase, language: gr.Radio, tabs: gr.Tabs) -> None:
    """Connect the tab's events."""

    def redrawn(exchanges: Exchanges, chosen: str) -> Update:
        states = {tab.exchanges: exchanges, tab.replacing: False}
        return drawn(tab, exchanges, language_of(chosen)) | states | _buttons(tab, exchanges, running=False)

    def answered(question: str, past: Exchanges, chosen: str, *, typed: bool) -> Iterator[Update]:
        """Redraws while the answer comes; the last one ends the run. What came before is drawn once."""
        spoken = language_of(chosen)
        steps = _steps(kb, question, past)
        exchange = next(steps)
        yield (
            redrawn((*past, exchange), chosen)
            | _buttons(tab, past, running=True)
            | ({tab.question: ""} if typed else {})
        )
        for exchange in steps:
            exchanges = (*past, exchange)
            yield {
                tab.exchanges: exchanges,
                tab.talk: latest(exchanges, spoken),
                tab.sources: evidence(exchange, spoken),
                **_buttons(tab, exchanges, running=exchange.busy),
            }
        if exchange.state == "failed" and typed:
            yield {tab.question: exchange.question}

    def ask(question: str, exchanges: Exchanges, replacing: bool, chosen: str) -> Iterator[Update]:
        past = _stopped(exchanges)
        yield from answered(str(question or ""), past[:-1] if replacing is True else past, chosen, typed=True)

    def acted(exchanges: Exchanges, chosen: str, event: gr.EventData) -> Iterator[Update]:
        """A click on an example or on what can be done with an answer."""
        spoken, past = language_of(chosen), _stopped(exchanges)
        act, _, number = str((event._data or {}).get("act", ""))[:40].partition(":")
        at = int(number) if number.isdecimal() and int(number) < len(past) else None
        last = at == len(past) - 1
        if act in _EXAMPLES:
            yield {tab.question: say(spoken, act)}
        elif act == "library":
            yield {tabs: gr.update(selected="library")}
        elif act == "keep":
            yield {tab.question: "", tab.replacing: False, tab.hint: _hint(spoken)}
        elif act == "retry" and at is not None:
            yield from answered(past[at].question, past[:at] if last else past, chosen, typed=False)
        elif act == "edit" and at is not None:
            yield {tab.question: past[at].question, tab.replacing: last, tab.hint: _hint(spoken, editing=last)}
        elif act == "sources" and at is not None:
            yield {tab.sources: evidence(past[at], spoken, named=not last)}
        else:
            yield {tab.replacing: gr.skip()}

    def settled(exchanges: Exchanges, chosen: str) -> Update:
        """After a run's end. What still seems to run was stopped; nothing else needs to be drawn again."""
        still = _stopped(exchanges)
        return _buttons(tab, exchanges, running=False) if still == exchanges else redrawn(still, chosen)

    def stopped(exchanges: Exchanges, chosen: str) -> Update:
        return redrawn(_stopped(exchanges), chosen)

    def cleared(chosen: str) -> Update:
        return redrawn((), chosen) | {tab.question: ""}

    shown = [*tab.drawn, tab.exchanges, tab.replacing, tab.send, tab.stop, tab.new]
    plain: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    asking: dict[str, Any] = {"concurrency_limit": 8, **plain}
    inputs = [tab.question, tab.exchanges, tab.replacing, language]
    runs: list[Any] = [
        tab.send.click(ask, inputs, [tab.question, *shown], **asking),
        tab.question.submit(ask, inputs, [tab.question, *shown], **asking),
        *(
            part.click(acted, [tab.exchanges, language], [tab.question, tabs, *shown], **asking)
            for part in (tab.welcome, tab.past, tab.talk, tab.hint)
        ),
    ]
    for run in runs:
        # A last piece of a stopped run may come after the stop itself, so its end settles what is shown.
        run.then(settled, [tab.exchanges, language], shown, **plain)
    tab.stop.click(stopped, [tab.exchanges, language], shown, cancels=runs, **plain)
    tab.new.click(cleared, [language], [tab.question, *shown], **plain)


def _steps(kb: KnowledgeBase, question: str, past: Exchanges) -> Iterator[Exchange]:
    """The exchange as it grows, at most one step every _REDRAW_S while text streams."""
    exchange = Exchange(question.strip()[: kb.settings.max_question_chars])  # what is shown; kb refuses a longer one
    yield exchange
    drawn_at = time.monotonic()
    try:
        for event in kb.ask(question, _history(past)):
            exchange = _after(exchange, event)
            if isinstance(event, Delta) and time.monotonic() - drawn_at < _REDRAW_S:
                continue
            yield exchange
            drawn_at = time.monotonic()
    except KBError as error:
        yield replace(exchange, state="failed", notice=str(error))


def _stopped(exchanges: Exchanges) -> Exchanges:
    """The exchanges, those that seem to run marked as stopped."""
    return tuple(replace(e, state="stopped") if e.busy else e for e in exchanges[-_KEPT:])


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


def _buttons(tab: AskTab, exchanges: Exchanges, *, running: bool) -> Update:
    return {
        tab.send: gr.update(visible=not running),
        tab.stop: gr.update(visible=running),
        tab.new: gr.update(visible=bool(exchanges) and not running),
    }


def _hint(language: Language, *, editing: bool = False) -> str:
    """Below the question box: how the keyboard is used, or what the next question will replace."""
    if editing:
        keep = act_button("keep", say(language, "editing_keep"), "")
        return f'<p class="vm-editing" role="status">{safe(say(language, "editing"))} {keep}</p>'
    keys = f'<button type="button" class="vm-act" data-keys="1">{safe(say(language, "keys"))}</button>'
    return f'<p class="vm-keys-hint">{safe(say(language, "keys_hint"))} {keys}</p>'


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
