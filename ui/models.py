"""The tab *Models*: training runs with their curves, models with their evaluations, which one answers. For admins.

train.evaluations and kb.promotions decide and keep the record; ui.models_view draws. Each event checks anew who asks,
because anyone signed in can post any event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from kb.access import Permission, require
from kb.errors import KBError
from kb.promotions import Promotions
from kb.service import Service
from kb.settings import Settings
from kb.types import Language
from train import evaluations, model_folders
from train.runs import Runs
from ui import blind
from ui.blind import BlindBox, build_blind, wire_blind
from ui.blind_view import Bout
from ui.events import CLICKS, QUICK, act_of, fields_of
from ui.i18n import language_of, say
from ui.markup import act_button, done, refused
from ui.models_view import models_view, runs_view
from ui.who import present

Update = dict[Any, Any]
_RUNS = 12
_POINTS = 120
_CHARS = 400


@dataclass(frozen=True, slots=True)
class ModelsTab:
    """The components that the page relabels or wires to others."""

    refresh: gr.HTML
    told: gr.HTML
    models: gr.HTML
    runs_box: gr.Accordion
    runs: gr.HTML
    blind: BlindBox
    opened: gr.State
    """Whether the tab was looked at: until then nothing of it is drawn."""

    @property
    def all(self) -> list[Any]:
        """Every component that `drawn` updates."""
        return [self.refresh, self.told, self.models, self.runs_box, self.runs, *self.blind.all, self.opened]


def build_models() -> ModelsTab:
    """Lay the tab out."""
    clicked: dict[str, Any] = {"js_on_load": CLICKS, "apply_default_css": False}
    opened = gr.State(False)
    with gr.Column(elem_id="vm-models"):
        refresh = gr.HTML(elem_id="vm-models-refresh", **clicked)
        told = gr.HTML(elem_id="vm-models-told", js_on_load="", apply_default_css=False)
        models = gr.HTML(elem_id="vm-models-list", **clicked)
        compared = build_blind()
        with gr.Accordion(open=True, elem_classes="vm-fold") as runs_box:
            runs = gr.HTML(elem_id="vm-runs", **clicked)
    return ModelsTab(refresh, told, models, runs_box, runs, compared, opened)


def drawn(tab: ModelsTab, service: Service, bout: Bout, language: Language, told: str = "") -> Update:
    """The tab for those who may train; nothing of it for others."""
    me = present()
    if not me.may(Permission.TRAIN):
        return {tab.opened: False, **blind.drawn(tab.blind, service, bout, language)}
    store = service.kb.store
    runs = Runs(store)
    found = [(run, runs.metrics(run, most=_POINTS)) for run in runs.runs(limit=_RUNS)]
    kept = evaluations.Evaluations(store)
    listed = [
        (model, next(iter(kept.of(model.name, hash=model.hash)), None)) for model in model_folders.models(store.home)
    ]
    return {
        tab.refresh: act_button("refresh", say(language, "models_refresh"), "", style="vm-button"),
        tab.told: told,
        tab.models: models_view(
            listed,
            Promotions(store).current().model,
            service.kb.serving.problem,
            may_promote=me.may(Permission.PROMOTE),
            language=language,
            otherwise=_of_settings(service.kb.settings, language),
        ),
        tab.runs_box: gr.update(label=say(language, "runs_title", n=len(found))),
        tab.runs: runs_view(found, may_train=True, language=language),
        **blind.drawn(tab.blind, service, bout, language),
        tab.opened: True,
    }


def wire_models(tab: ModelsTab, service: Service, language: gr.Radio) -> None:
    """Connect the tab's events."""

    def acted(bout: Bout, speak: str, event: gr.EventData) -> Update:
        """A promotion, a rollback, a run to stop, or only a fresh look."""
        spoken, (verb, key) = language_of(speak), act_of(event, _CHARS)
        reason = str(fields_of(event).get(f"{verb}:{key}" if key else verb, ""))[:_CHARS]  # as ui.models_view names it
        try:
            told = _told(service, verb, key, reason, spoken)
        except KBError as error:
            told = refused(error)
        return drawn(tab, service, bout, spoken, told)

    for part in (tab.refresh, tab.models, tab.runs):
        part.click(acted, [tab.blind.bout, language], tab.all, **QUICK)
    wire_blind(tab.blind, service, language)


def _told(service: Service, verb: str, key: str, reason: str, language: Language) -> str:
    """Do it; what is told. Raises KBError."""
    me, store = present(), service.kb.store
    if verb == "promote":
        made, _ = evaluations.promote(store, key, me, reason=reason, override=reason)
        return done(say(language, "models_promoted", name=made.model))
    if verb == "rollback":
        now = Promotions(store).roll_back(reason, me).model
        return done(say(language, "models_rolled_back", name=now or _of_settings(service.kb.settings, language)))
    if verb == "cancel":
        require(me, Permission.TRAIN)
        Runs(store).cancel(key)
    return ""


def _of_settings(settings: Settings, language: Language) -> str:
    """What answers while no model is promoted, in words."""
    if settings.engine == "extractive":
        return say(language, "models_quotes")
    name = settings.openai_model if settings.engine == "openai" else settings.model_path and settings.model_path.name
    return say(language, "models_of_settings", name=name or settings.engine)
