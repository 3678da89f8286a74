"""The one page of the web app: its head, the language switch, the tabs. Composition of ui.ask and ui.library.

Every word is set by an update when the language is chosen, so that switching takes effect at once and loses nothing.
The first choice is what the browser remembers, else its own language.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import gradio as gr

from kb.access import SINGLE, Permission
from kb.service import Service
from kb.types import Language
from ui import ask, document, library, models, review, scope
from ui.adding import Adding
from ui.blind_view import Bout
from ui.events import QUICK
from ui.i18n import LANGUAGES, language_of, say, viewer_texts
from ui.library_view import Listing
from ui.markup import safe
from ui.review_view import Queue
from ui.who import present

TITLE: Final = "Vademecum"

# The language this browser chose last, else the one it speaks.
_FIRST_LANGUAGE = """(_, ...rest) => {
  const language = window.vademecumFirstLanguage();
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  document.documentElement.dataset.spoken = language;
  return [language, ...rest];
}"""
# Gradio selects the first tab before the page has its language: no welcome in the other one may flash by.
_SPOKEN = "(chosen) => [document.documentElement.dataset.spoken ? chosen : window.vademecumFirstLanguage()]"
_CHOSEN_LANGUAGE = """(language, ...rest) => {
  try { localStorage.setItem('vademecum-language', language); } catch { /* storage is switched off */ }
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  return [language, ...rest];
}"""


def build_page(service: Service, adding: Adding) -> gr.Blocks:
    """The page, to be mounted with the theme, style and head below."""
    first = language_of("en")
    blocks = gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True)
    with blocks:
        with gr.Row(elem_classes="vm-head", equal_height=True):
            brand = gr.HTML(elem_id="vm-brand", js_on_load="", apply_default_css=False, scale=1)
            me = gr.HTML(elem_id="vm-me", js_on_load="", apply_default_css=False, scale=0)
            language = gr.Radio(
                list(LANGUAGES), value=first, show_label=False, container=False, elem_id="vm-language", scale=0
            )
        with gr.Tabs(elem_id="vm-tabs") as tabs:
            with gr.Tab(say(first, "ask"), id="ask") as ask_item:
                ask_tab = ask.build_ask(first)
            with gr.Tab(say(first, "library"), id="library") as library_item:
                library_tab = library.build_library()
            with gr.Tab(say(first, "review"), id="review", visible=False) as review_item:
                review_tab = review.build_review()
            with gr.Tab(say(first, "models"), id="models", visible=False) as models_item:
                models_tab = models.build_models()

        def relabel(
            chosen: str,
            exchanges: ask.Exchanges,
            shown: str,
            listing: Listing,
            queue: Queue,
            models_opened: bool,
            bout: Bout,
            *narrow: object,
        ) -> dict[Any, Any]:
            spoken, who = language_of(chosen), present()
            return {
                language: gr.update(value=spoken, label=say(spoken, "language")),
                brand: _brand(spoken),
                me: _signed_in(spoken),
                ask_item: gr.update(label=say(spoken, "ask")),
                library_item: gr.update(label=say(spoken, "library")),
                **ask.labels(ask_tab, service, service.documents(who), spoken),
                **ask.drawn(ask_tab, exchanges, spoken),
                **scope.summary(ask_tab.scope, scope.narrowed(*narrow), spoken),
                **library.labels(library_tab, service.kb, spoken),
                **library.drawn(library_tab, service, adding, str(shown), listing, spoken),
                **document.looked_into(library_tab.panel, service, str(shown), spoken),
                review_item: gr.update(label=say(spoken, "review"), visible=who.may(Permission.REVIEW)),
                **(review.drawn(review_tab, service, queue, spoken) if queue.opened else {}),
                models_item: gr.update(label=say(spoken, "models"), visible=who.may(Permission.TRAIN)),
                **(models.drawn(models_tab, service, bout, spoken) if models_opened else {}),
            }

        labelled: list[Any] = [language, brand, me, ask_item, library_item, *ask_tab.labelled, *library_tab.all]
        labelled += [review_item, *review_tab.all, models_item, *models_tab.all]
        inputs: list[Any] = [language, ask_tab.exchanges, library_tab.chosen, library_tab.listing, review_tab.queue]
        inputs += [models_tab.opened, models_tab.blind.bout, *ask_tab.scope.inputs]
        blocks.load(relabel, inputs, labelled, js=_FIRST_LANGUAGE, **QUICK)
        language.input(relabel, inputs, labelled, js=_CHOSEN_LANGUAGE, **QUICK)
        # Only the welcome: a redrawn conversation that comes late would wipe the answer to a question asked meanwhile.
        ask_item.select(
            lambda chosen: ask.asked_of(ask_tab, service, service.documents(present()), language_of(chosen)),
            [language],
            [ask_tab.welcome, *ask_tab.scope.all],
            js=_SPOKEN,
            **QUICK,
        )
        library_item.select(
            lambda shown, listing, chosen: library.drawn(
                library_tab, service, adding, str(shown), listing, language_of(chosen)
            ),
            [library_tab.chosen, library_tab.listing, language],
            library_tab.all,
            **QUICK,
        )
        review_item.select(
            lambda queue, chosen: review.drawn(review_tab, service, queue, language_of(chosen)),
            [review_tab.queue, language],
            review_tab.all,
            **QUICK,
        )
        models_item.select(
            lambda bout, chosen: models.drawn(models_tab, service, bout, language_of(chosen)),
            [models_tab.blind.bout, language],
            models_tab.all,
            **QUICK,
        )

        def asking_about(
            chosen: str, collection: object, as_of: object, quotes: object, document: object, event: gr.EventData
        ) -> dict[Any, Any]:
            before = scope.narrowed(collection, as_of, quotes, document)
            return ask.asking_about(ask_tab, service, tabs, before, language_of(chosen), event)

        about = [tabs, *ask_tab.scope.all]
        library_tab.panel.view.click(asking_about, [language, *ask_tab.scope.inputs], about, **QUICK)
        models.wire_models(models_tab, service, language)
        review.wire_review(review_tab, service, language)
        ask.wire_ask(ask_tab, service, language, tabs)
        library.wire_library(library_tab, service, adding, language)
    return blocks


def page_head() -> str:
    """What stands outside Gradio's container: the page viewer with its colours and words, and the keyboard's use."""
    here = Path(__file__).parent
    script = "\n".join((here / name).read_text(encoding="utf-8") for name in ("session.js", "viewer.js", "page.js"))
    style = (here / "viewer.css").read_text(encoding="utf-8")
    texts = json.dumps(viewer_texts(), ensure_ascii=False).replace("<", "\\u003c")
    return f"<style>{style}</style><script>window.vademecumTexts = {texts};\n{script}</script>"


def _brand(language: str) -> str:
    spoken = language_of(language)
    return (
        f'<h1 class="vm-brand">{safe(say(spoken, "name"))}</h1><p class="vm-tagline">{safe(say(spoken, "tagline"))}</p>'
    )


def _signed_in(language: Language) -> str:
    """Who is signed in, the way to the account, and out; nothing where there are no accounts."""
    me = present()
    if me == SINGLE:
        return ""
    return (
        f'<form class="vm-me" method="post" action="/logout"><a href="/account?lang={language}" '
        f'aria-label="{safe(say(language, "account"))}: {safe(me.name)}">{safe(me.name)}</a>'
        f'<button class="vm-act">{safe(say(language, "logout"))}</button></form>'
    )
