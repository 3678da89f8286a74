"""The tab *Review*: training examples beside their pages, readers' feedback, agreement, export. Components and events.

train.review judges and keeps the record; ui.review_view draws. Each event checks its inputs and the reviewer anew,
because anyone signed in can post any event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import gradio as gr

from kb.access import Permission, Principal
from kb.errors import KBError
from kb.service import Service
from kb.types import Language
from train import datasets
from train.examples import Examples, Selection
from train.export import FORMATS
from train.review import REASONS, Review
from ui.events import CLICKS, QUICK, act_of, fields_of
from ui.i18n import language_of, say
from ui.markup import collections, done, refused, safe, select
from ui.review_view import Queue, agreement_view, case_view, feedback_view, filters, nothing
from ui.who import present

Update = dict[Any, Any]
_CHARS: Final = 400
_PENDING: Final = 100


@dataclass(frozen=True, slots=True)
class ReviewTab:
    """The components that the page relabels or wires to others."""

    filters: gr.HTML
    told: gr.HTML
    case: gr.HTML
    feedback_box: gr.Accordion
    feedback: gr.HTML
    agreement_box: gr.Accordion
    agreement: gr.HTML
    export_box: gr.Accordion
    export: gr.HTML
    queue: gr.State

    @property
    def all(self) -> list[Any]:
        """Every component that `drawn` updates."""
        boxes = [self.feedback_box, self.feedback, self.agreement_box, self.agreement, self.export_box, self.export]
        return [self.filters, self.told, self.case, *boxes, self.queue]


def build_review() -> ReviewTab:
    """Lay the tab out."""
    clicked: dict[str, Any] = {"js_on_load": CLICKS, "apply_default_css": False}
    plain: dict[str, Any] = {"js_on_load": "", "apply_default_css": False}
    queue = gr.State(Queue())
    with gr.Column(elem_id="vm-review"):
        selects = gr.HTML(elem_id="vm-review-filters", **clicked)
        told = gr.HTML(elem_id="vm-review-told", **plain)
        case = gr.HTML(elem_id="vm-review-case", **clicked)
        with gr.Accordion(open=False, elem_classes="vm-fold") as feedback_box:
            feedback = gr.HTML(elem_id="vm-feedback", **clicked)
        with gr.Accordion(open=False, elem_classes="vm-fold") as agreement_box:
            agreement = gr.HTML(elem_id="vm-agreement", **plain)
        with gr.Accordion(open=False, elem_classes="vm-fold") as export_box:
            export = gr.HTML(elem_id="vm-export", **plain)
    return ReviewTab(selects, told, case, feedback_box, feedback, agreement_box, agreement, export_box, export, queue)


def drawn(tab: ReviewTab, service: Service, queue: Queue, language: Language, told: str = "") -> Update:
    """The tab for a reviewer; nothing of it for others."""
    me = present()
    if not me.may(Permission.REVIEW):
        return {tab.queue: Queue()}
    store, review = service.kb.store, Review(service.kb.store)
    counts, names = Examples(store).counts(), _names(service)
    found = review.next(me, _selection(queue), skip=queue.skip)
    if found is None and queue.skip:  # those that were skipped come again
        queue = replace(queue, skip=0)
        found = review.next(me, _selection(queue))
    queue = replace(queue, current=found.example.id if found else "", opened=True)
    if found is None:
        shown = nothing(language, any_examples=bool(counts))
    else:
        shown = case_view(found, review.history(me, found.example.id), names, language)
    pending = service.conversations.pending_feedback(me, _PENDING)
    agreed = agreement_view(review.counts(me), review.agreement(me), names, language)
    return {
        tab.filters: filters(queue, counts, language) if counts else "",
        tab.told: told,
        tab.case: shown,
        tab.feedback_box: gr.update(label=say(language, "feedback_title", n=len(pending))),
        tab.feedback: feedback_view(pending, language),
        tab.agreement_box: gr.update(label=say(language, "agreement_title")),
        tab.agreement: agreed,
        tab.export_box: gr.update(label=say(language, "export_title")),
        tab.export: _export(service, me, language) if counts else "",
        tab.queue: queue,
    }


def wire_review(tab: ReviewTab, service: Service, language: gr.Radio) -> None:
    """Connect the tab's events."""

    def acted(queue: Queue, speak: str, event: gr.EventData) -> Update:
        """A verdict, a choice of what is looked at, or what becomes of feedback."""
        spoken, (act, value), told = language_of(speak), act_of(event, _CHARS), ""
        try:
            if act in ("state", "task", "source"):
                wanted: dict[str, Any] = {act: value}
                queue = replace(queue, skip=0, **wanted)
            elif act in ("accept", "save", "reject", "skip"):
                key, _, reason = value.partition(":")
                if key == queue.current:  # else it was decided already: a key pressed twice
                    queue, told = _judged(service, queue, act, reason, fields_of(event), spoken)
            elif act == "take":
                made, _ = Review(service.kb.store).take_feedback(present())
                told = done(say(spoken, "feedback_taken", n=made))
            elif act == "seen":
                service.conversations.handle_feedback(present(), value, "seen")
        except KBError as error:
            told = refused(error)
        return drawn(tab, service, queue, spoken, told)

    for part in (tab.filters, tab.case, tab.feedback):
        part.click(acted, [tab.queue, language], tab.all, **QUICK)


def _judged(
    service: Service, queue: Queue, act: str, reason: str, fields: dict[str, Any], language: Language
) -> tuple[Queue, str]:
    """The verdict on the example that is shown; the queue and what is told. Raises KBError."""
    me, review, key = present(), Review(service.kb.store), queue.current
    texts = {name: str(fields.get(name, "")) for name in ("question", "answer", "reason")}
    if act == "skip":
        return replace(queue, skip=queue.skip + 1), ""
    if act == "accept":
        review.accept(me, key)
    elif act == "save":
        review.edit(me, key, question=texts["question"], answer=texts["answer"])
    else:
        known = reason.isdecimal() and 1 <= int(reason) <= len(REASONS)
        review.reject(me, key, REASONS[int(reason) - 1] if known else texts["reason"])
    return queue, done(say(language, f"review_told_{act}"))


def _selection(queue: Queue) -> Selection:
    """What is looked at; stale ones too, so that they can be rejected."""
    return Selection(
        states=queue.states,
        tasks=(queue.task[:_CHARS],) if queue.task else (),
        generators=(queue.source[:_CHARS],) if queue.source else (),
        include_stale=True,
    )


def _names(service: Service) -> dict[str, str]:
    """Reviewers' names by their ids; who has no account is told by the id."""
    return {user.id: user.name for user in service.accounts.users()}


def _export(service: Service, me: Principal, language: Language) -> str:
    """What to export, in which format; page.js asks ui.data_routes how much it is, then downloads it."""
    if not me.may(Permission.EXPORT):
        return ""
    whats = [("", say(language, "export_good"))]
    whats += [(f"states={state}", say(language, f"review_{state}")) for state in ("accepted", "kept", "rejected")]
    for manifest in datasets.versions(service.kb.store.home):
        key = f"{manifest['name']}/{manifest['version']}"
        whats.append((f"dataset={key}", say(language, "export_dataset", name=key)))
    parts = select("export_what", whats, language, part="what")
    parts += select("export_format", [(form, form) for form in FORMATS], language, part="form")
    named = collections(service.documents(me), language)
    if len(named) > 1:
        parts += select("filter_collection", named, language, part="collection")
    since = safe(say(language, "export_since"))
    parts += f'<label><span>{since}</span><input type="date" data-part="since"></label>'
    words = safe(say(language, "export_button"))
    return (
        f'<p class="vm-muted">{safe(say(language, "export_hint"))}</p><div class="vm-filters" data-export-box>{parts}'
        f'<button type="button" class="vm-button vm-primary" data-export="1">{words}</button></div>'
        '<p class="vm-muted" role="status" data-export-told></p>'
    )
