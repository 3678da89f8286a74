"""The blind comparison on the tab *Models*: components and events. train.blind judges; ui.blind_view draws.

What is posted names a side and a question, never an engine's side; each event checks anew who votes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import gradio as gr

from kb.access import Permission
from kb.errors import KBError
from kb.service import Service
from kb.types import Language
from train.blind import SETS, Blind, Choice
from ui.blind_view import Bout, case_view, chooser, settled, tally_view
from ui.events import CLICKS, QUICK, act_of
from ui.i18n import language_of, say
from ui.markup import refused
from ui.who import present

_CHARS = 400


@dataclass(frozen=True, slots=True)
class BlindBox:
    """The components that the tab redraws."""

    box: gr.Accordion
    choose: gr.HTML
    told: gr.HTML
    case: gr.HTML
    tally: gr.HTML
    bout: gr.State

    @property
    def all(self) -> list[Any]:
        return [self.box, self.choose, self.told, self.case, self.tally, self.bout]


def build_blind() -> BlindBox:
    """Lay the box out."""
    clicked: dict[str, Any] = {"js_on_load": CLICKS, "apply_default_css": False}
    plain: dict[str, Any] = {"js_on_load": "", "apply_default_css": False}
    bout = gr.State(Bout())
    with gr.Accordion(open=False, elem_classes="vm-fold") as box:
        choose = gr.HTML(elem_id="vm-blind-choose", **clicked)
        told = gr.HTML(elem_id="vm-blind-told", **plain)
        case = gr.HTML(elem_id="vm-blind-case", **clicked)
        tally = gr.HTML(elem_id="vm-blind-tally", **plain)
    return BlindBox(box, choose, told, case, tally, bout)


def drawn(box: BlindBox, service: Service, bout: Bout, language: Language) -> dict[Any, Any]:
    """The box for those who may evaluate models; nothing of it for others."""
    return _drawn(box, Blind(service.kb.store), bout, language)


def _drawn(box: BlindBox, blind: Blind, bout: Bout, language: Language, told: str = "") -> dict[Any, Any]:
    me = present()
    if not me.may(Permission.TRAIN):
        return {box.bout: Bout()}
    contenders, tallies, shown = blind.contenders(me), blind.tallies(me), ""
    bout = settled(bout, contenders)
    try:
        if bout.pairing is not None:
            case = blind.next(me, bout.pairing)
            shown = case_view(case, language)
            if case is not None:  # while one votes, a tally that moves would say who A was
                judged = (bout.pairing.first, bout.pairing.second)
                tallies = [one for one in tallies if (one.first, one.second) != judged]
    except KBError as error:
        told = refused(error)
    return {
        box.box: gr.update(label=say(language, "blind_title")),
        box.choose: chooser(bout, contenders, language),
        box.told: told,
        box.case: shown,
        box.tally: tally_view(tallies, language),
        box.bout: bout,
    }


def wire_blind(box: BlindBox, service: Service, language: gr.Radio) -> None:
    """Connect the box's events."""

    def acted(bout: Bout, speak: str, event: gr.EventData) -> dict[Any, Any]:
        """Another pair or question set, or a vote."""
        (act, value), blind, told = act_of(event, _CHARS), Blind(service.kb.store), ""
        try:
            if act == "judge" and bout.pairing is not None:
                choice, _, question = value.partition(":")
                blind.vote(present(), bout.pairing, question, cast(Choice, choice))
            else:
                bout = _chosen(bout, act, value)
        except KBError as error:
            told = refused(error)
        return _drawn(box, blind, bout, language_of(speak), told)

    for part in (box.choose, box.case):
        part.click(acted, [box.bout, language], box.all, **QUICK)


def _chosen(bout: Bout, act: str, value: str) -> Bout:
    """The choice as it is after a select was changed."""
    if act == "one":
        engine, _, dataset = value.rpartition("|")
        kept = bout.other if dataset == bout.dataset and engine != bout.other else ""
        return replace(bout, one=engine, dataset=dataset, other=kept)
    if act == "other":
        return replace(bout, other=value)
    kind = next((one for one in SETS if one == value), None)
    return replace(bout, kind=kind) if act == "kind" and kind else bout
