"""The tab *Ask*: a question in, a streamed answer with its sources out. Components and events only.

What an answer is, kb decides (Service.ask); what it looks like, ui.answer_view and ui.evidence_view.
kb.conversations keeps each question and answer; the list of them is ui.past. Each event checks its inputs anew, because
anyone signed in can post any event.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from kb.conversations import VERDICTS
from kb.errors import KBError
from kb.export import as_markdown
from kb.retrieve import check_question
from kb.service import Service
from kb.types import AnswerEvent, Delta, Document, Finished, Found, Language, Restart
from ui import past as conversations
from ui import scope
from ui.answer_view import Exchange, earlier, latest
from ui.events import CLICKS, QUICK, STREAMED, act_of
from ui.evidence_view import evidence
from ui.i18n import language_of, say
from ui.markup import act_button, done, refused, safe
from ui.narrowed import Narrowed
from ui.numbering import in_order
from ui.past import PastPanel
from ui.reasons import reason_in
from ui.scope import ScopePanel
from ui.who import present

Exchanges = tuple[Exchange, ...]
Update = dict[Any, Any]

_KEPT = 40  # exchanges a page remembers
_REDRAW_S = 0.08  # shortest time between two redraws while text streams
_EXAMPLES = ("example_1", "example_2", "example_3")
_SEND = "() => { document.querySelector('#vm-send')?.click(); }"  # Enter, while an answer comes, asks nothing


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
    conversation: gr.State
    """Id of the conversation that is open; empty before its first question."""
    kept: PastPanel
    scope: ScopePanel
    tools: gr.HTML
    judge: gr.Column
    correction: gr.Textbox
    correct: gr.Button
    judged: gr.State
    """Id of the exchange, and the verdict, that a correction belongs to."""

    @property
    def labelled(self) -> list[Any]:
        """What `labels` and `drawn` update."""
        return [
            self.question,
            self.send,
            self.stop,
            self.new,
            self.welcome,
            self.correction,
            self.correct,
            *self.kept.all,
            *self.scope.all,
            *self.drawn,
        ]

    @property
    def drawn(self) -> list[Any]:
        return [self.past, self.talk, self.sources, self.hint, self.tools, self.judge]


def build_ask(language: Language) -> AskTab:
    """Lay the tab out. Wire it with `wire_ask` once the language control exists."""
    exchanges, replacing, conversation, judged = gr.State(()), gr.State(False), gr.State(""), gr.State(("", ""))
    with gr.Row(elem_classes="vm-ask", equal_height=False):
        with gr.Column(scale=13, min_width=300, elem_classes="vm-talk-column"):
            welcome = gr.HTML(elem_id="vm-welcome", js_on_load=CLICKS, apply_default_css=False)
            past = gr.HTML(elem_id="vm-past", js_on_load=CLICKS, apply_default_css=False)
            talk = gr.HTML(elem_id="vm-talk", js_on_load=CLICKS, apply_default_css=False)
            with gr.Column(visible=False, elem_classes="vm-form") as judge:
                correction = gr.Textbox(elem_id="vm-correction", lines=2, max_lines=8)
                correct = gr.Button(variant="primary", size="sm", elem_id="vm-correct")
            with gr.Row(elem_classes="vm-buttons"):
                new = gr.Button(variant="secondary", size="sm", visible=False, elem_id="vm-new")
                toggle = gr.Button(variant="secondary", size="sm", elem_id="vm-conversations")
                tools = gr.HTML(elem_id="vm-tools", js_on_load="", apply_default_css=False)
            kept = conversations.build_past(toggle)
        with gr.Column(scale=8, min_width=280, elem_classes="vm-side"):
            sources = gr.HTML(elem_id="vm-sources", js_on_load="", apply_default_css=False)
    with gr.Column(elem_classes="vm-dock"):
        narrowing = scope.build_scope()
        with gr.Row(elem_classes="vm-composer", equal_height=False):
            question = gr.Textbox(
                elem_id="vm-question", lines=1, max_lines=6, autofocus=True, scale=10, min_width=160, show_label=False
            )
            send = gr.Button(variant="primary", scale=1, min_width=84, elem_id="vm-send")
            stop = gr.Button(variant="stop", scale=1, min_width=84, visible=False, elem_id="vm-stop")
        hint = gr.HTML(elem_id="vm-hint", js_on_load=CLICKS, apply_default_css=False)
    later = (conversation, kept, narrowing, tools, judge, correction, correct, judged)
    return AskTab(question, send, stop, new, welcome, past, talk, sources, hint, exchanges, replacing, *later)


def labels(tab: AskTab, service: Service, documents: Sequence[Document], language: Language) -> Update:
    """What the tab says, apart from the conversation, where these documents are there to be asked."""
    return {
        tab.question: gr.update(label=say(language, "question"), placeholder=say(language, "question_hint")),
        tab.send: gr.update(value=say(language, "send")),
        tab.stop: gr.update(value=say(language, "stop")),
        tab.new: gr.update(value=say(language, "new")),
        tab.correction: gr.update(label=say(language, "correction")),
        tab.correct: gr.update(value=say(language, "correction_send")),
        **conversations.labels(tab.kept, language),
        **asked_of(tab, service, documents, language),
    }


def drawn(tab: AskTab, exchanges: Exchanges, language: Language) -> Update:
    """The conversation, the sources of its last answer, and the hint below the question box."""
    return {
        tab.past: earlier(exchanges, language),
        tab.talk: latest(exchanges, language),
        tab.sources: evidence(exchanges[-1] if exchanges else None, language),
        tab.hint: _hint(language),
        tab.tools: _tools(exchanges, language),
        tab.judge: gr.update(visible=False),
    }


def asked_of(tab: AskTab, service: Service, documents: Sequence[Document], language: Language) -> Update:
    """What follows from the documents there are: what to ask (or that there are none), and where it can be asked."""
    return {
        tab.welcome: _empty(language, has_documents=bool(documents)),
        **scope.labels(tab.scope, service, documents, language),
    }


def asking_about(
    tab: AskTab, service: Service, tabs: gr.Tabs, before: Narrowed, language: Language, event: gr.EventData
) -> Update:
    """A click on "ask about this document" in the library; other clicks there change nothing here. Raises NotFound."""
    act, key = act_of(event, 80)
    if act != "ask":
        return {tabs: gr.skip()}
    found = service.document(present(), key)
    return scope.about(tab.scope, found, before, language) | {tabs: gr.update(selected="ask")}


def wire_ask(tab: AskTab, service: Service, language: gr.Radio, tabs: gr.Tabs) -> None:
    """Connect the tab's events."""

    def redrawn(exchanges: Exchanges, chosen: str) -> Update:
        states = {tab.exchanges: exchanges, tab.replacing: False}
        return drawn(tab, exchanges, language_of(chosen)) | states | _buttons(tab, exchanges, running=False)

    def answered(
        question: str,
        past: Exchanges,
        conversation: str,
        chosen: str,
        narrowed: Narrowed,
        *,
        typed: bool,
        again: bool = False,
    ) -> Iterator[Update]:
        """Redraws while the answer comes; the last one ends the run. What came before is drawn once.

        `again`: the last question of the conversation is asked anew, or another in its place.
        """
        spoken = language_of(chosen)
        limit = service.kb.settings.max_question_chars
        exchange = Exchange(question.strip()[:limit], narrowed=narrowed)  # what is shown; a longer one is refused
        first = redrawn((*past, exchange), chosen) | _buttons(tab, past, running=True)
        yield first | ({tab.question: ""} if typed else {})
        try:
            check_question(question, limit)
            scope.check(service, narrowed)
            conversation = _conversation(service, conversation, question, again=again)
            yield {tab.conversation: conversation}
            for step in _steps(service, exchange, question, conversation):
                exchange = step
                exchanges = (*past, exchange)
                yield {
                    tab.exchanges: exchanges,
                    tab.talk: latest(exchanges, spoken),
                    tab.sources: evidence(exchange, spoken),
                }
            yield {tab.tools: _tools((*past, exchange), spoken)}
        except KBError as error:
            exchange = replace(exchange, state="failed", notice=reason_in(spoken, str(error)))
            shown = redrawn((*past, exchange), chosen) | _buttons(tab, past, running=True)  # until it has settled
            yield shown | ({tab.question: exchange.question} if typed else {})

    def ask(
        question: str, exchanges: Exchanges, replacing: bool, conversation: str, chosen: str, *narrow: object
    ) -> Iterator[Update]:
        past, again = _stopped(exchanges), replacing is True and bool(exchanges)
        before, narrowed = past[:-1] if again else past, scope.narrowed(*narrow)
        yield from answered(str(question or ""), before, str(conversation), chosen, narrowed, typed=True, again=again)

    def again_asked(exchanges: Exchanges, conversation: str, chosen: str, event: gr.EventData) -> Iterator[Update]:
        """A click on "ask again": the last question in place of its answer, an earlier one anew."""
        past = _stopped(exchanges)
        act, at = _act(event, past)
        if act == "retry" and at is not None:
            last = at == len(past) - 1
            before = past[:at] if last else past
            asked, narrowed = past[at].question, past[at].narrowed
            yield from answered(asked, before, str(conversation), chosen, narrowed, typed=False, again=last)

    def acted(exchanges: Exchanges, conversation: str, chosen: str, event: gr.EventData) -> Update:
        """A click on an example or on what can be done with an answer."""
        spoken, past = language_of(chosen), _stopped(exchanges)
        act, at = _act(event, past)
        last = at == len(past) - 1
        if act in _EXAMPLES:
            return {tab.question: say(spoken, act)}
        if act == "library":
            return {tabs: gr.update(selected="library")}
        if act == "keep":
            return {tab.question: "", tab.replacing: False, tab.hint: _hint(spoken)}
        if act in VERDICTS and at is not None:
            service.conversations.give_feedback(present(), past[at].id, act)
            now = (*past[:at], replace(past[at], verdict=act), *past[at + 1 :])
            told = done(say(spoken, "judged"))
            more = {tab.judge: gr.update(visible=act != "helpful"), tab.judged: (past[at].id, act), tab.correction: ""}
            return drawn(tab, now, spoken) | {tab.exchanges: now, tab.hint: told} | more
        if act == "edit" and at is not None:
            return {tab.question: past[at].question, tab.replacing: last, tab.hint: _hint(spoken, editing=last)}
        if act == "sources" and at is not None:
            return {tab.sources: evidence(past[at], spoken, named=not last)}
        return {tab.replacing: gr.skip()}

    def settled(exchanges: Exchanges, chosen: str) -> Update:
        """After a run's end. What still seems to run was stopped; nothing else needs to be drawn again."""
        still = _stopped(exchanges)
        return _buttons(tab, exchanges, running=False) if still == exchanges else redrawn(still, chosen)

    def stopped(exchanges: Exchanges, chosen: str) -> Update:
        return redrawn(_stopped(exchanges), chosen)

    def cleared(chosen: str) -> Update:
        return redrawn((), chosen) | {tab.question: "", tab.conversation: ""}

    def corrected(judged: tuple[str, str], text: str, chosen: str) -> Update:
        key, verdict = judged
        try:
            service.conversations.give_feedback(present(), str(key), str(verdict), str(text or ""))
        except KBError as error:
            return {tab.hint: refused(error)}
        return {tab.judge: gr.update(visible=False), tab.hint: done(say(language_of(chosen), "judged"))}

    def opened(exchanges: Exchanges, key: str, spoken: Language) -> Update:
        return redrawn(exchanges[-_KEPT:], spoken) | {tab.conversation: key}

    shown = [*tab.drawn, tab.exchanges, tab.replacing, tab.conversation, tab.send, tab.stop, tab.new]
    inputs = [tab.question, tab.exchanges, tab.replacing, tab.conversation, language, *tab.scope.inputs]
    acting: list[Any] = [tab.exchanges, tab.conversation, language]
    judging = [tab.judged, tab.correction]
    runs: list[Any] = [tab.send.click(ask, inputs, [tab.question, *shown], **STREAMED)]
    for part in (tab.welcome, tab.past, tab.talk, tab.hint):
        part.click(acted, acting, [tab.question, tabs, *judging, *shown], **QUICK)
    runs += [part.submit(again_asked, acting, shown, **STREAMED) for part in (tab.past, tab.talk)]
    for run in runs:
        # The question box is open again when the run is over for the browser too, and its event stream closed.
        # A last piece of a stopped run may come after the stop itself: its end settles what is shown.
        run.then(settled, [tab.exchanges, language], shown, **QUICK)
        run.failure(settled, [tab.exchanges, language], shown, **QUICK)
    tab.question.submit(None, None, None, js=_SEND, **QUICK)
    tab.stop.click(stopped, [tab.exchanges, language], shown, cancels=runs, **QUICK)
    tab.new.click(cleared, [language], [tab.question, *shown], **QUICK)
    tab.correct.click(corrected, [*judging, language], [tab.hint, tab.judge], **QUICK)
    scope.wire_scope(tab.scope, language)
    conversations.wire_past(tab.kept, service.conversations, language, tab.conversation, opened, shown)


def _act(event: gr.EventData, exchanges: Exchanges) -> tuple[str, int | None]:
    """What was clicked, and which of the exchanges it belongs to."""
    act, number = act_of(event, 40)
    return act, int(number) if number.isdecimal() and int(number) < len(exchanges) else None


def _conversation(service: Service, conversation: str, question: str, *, again: bool) -> str:
    """The id of the conversation that the question belongs to: a new one if none is open."""
    me = present()
    if not conversation:
        return service.conversations.start(me, question).id
    if again:
        service.conversations.remove_last(me, conversation)
    return conversation


def _steps(service: Service, exchange: Exchange, question: str, conversation: str) -> Iterator[Exchange]:
    """The exchange as it grows, at most one step every _REDRAW_S while text streams. Raises KBError."""
    drawn_at = time.monotonic()
    scope, quotes = exchange.narrowed.scope, exchange.narrowed.quotes_only
    run = service.ask(present(), question, conversation=conversation, scope=scope, quotes_only=quotes)
    with closing(run) as asking:
        exchange = replace(exchange, id=asking.exchange.id)
        for event in asking:
            exchange = _after(exchange, event)
            if isinstance(event, Delta) and time.monotonic() - drawn_at < _REDRAW_S:
                continue
            yield exchange
            drawn_at = time.monotonic()


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
        case Finished(answer=finished):
            answer = in_order(finished)
            return replace(exchange, state="done", text=answer.text, hits=answer.hits or exchange.hits, answer=answer)


def _buttons(tab: AskTab, exchanges: Exchanges, *, running: bool) -> Update:
    return {
        tab.send: gr.update(visible=not running),
        tab.stop: gr.update(visible=running),
        tab.new: gr.update(visible=bool(exchanges) and not running),
    }


def _tools(exchanges: Exchanges, language: Language) -> str:
    """The conversation to take away: as a file that carries its references, or on paper."""
    answered = [(e.question, e.answer) for e in exchanges if e.answer is not None]
    if not answered:
        return ""
    text = safe(as_markdown(answered[0][0], answered, language))
    return (
        f'<div class="vm-acts"><button type="button" class="vm-act" data-download="{text}">'
        f"{safe(say(language, 'download'))}</button>"
        f'<button type="button" class="vm-act" data-print="1">{safe(say(language, "print"))}</button></div>'
    )


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
