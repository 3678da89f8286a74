"""The search test of the tab *Library*: a question, and how each stage of the search ranks the passages it finds.

kb.retrieve searches; here is only the form and the table. For those who look after the library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from kb.access import Permission
from kb.errors import KBError
from kb.service import Service
from kb.types import Hit, Language
from ui.events import QUICK
from ui.i18n import language_of, say
from ui.markup import hit_button, places, refused, safe
from ui.who import present

Update = dict[Any, Any]
_SHOWN: Final = 12
_DEPTH: Final = 50
_TEXT_CHARS: Final = 160
STAGES: Final = ("fused", "rrf", "dense", "lexical", "titles", "words")


@dataclass(frozen=True, slots=True)
class Bench:
    """The components of the section."""

    box: gr.Accordion
    question: gr.Textbox
    run: gr.Button
    found: gr.HTML

    @property
    def all(self) -> list[Any]:
        return [self.box, self.question, self.run, self.found]


def build_bench() -> Bench:
    """Lay the section out, closed."""
    with gr.Accordion(open=False, elem_id="vm-bench", elem_classes="vm-fold") as box:
        with gr.Row(elem_classes="vm-find", equal_height=False):
            question = gr.Textbox(elem_id="vm-bench-question", show_label=False, max_lines=1, scale=1, min_width=200)
            run = gr.Button(variant="primary", size="md", scale=0, min_width=110, elem_id="vm-bench-run")
        found = gr.HTML(elem_id="vm-bench-found", js_on_load="", apply_default_css=False)
    return Bench(box, question, run, found)


def labels(bench: Bench, language: Language) -> Update:
    """What the section says; readers do not see it."""
    ask = say(language, "bench_question")
    visible = present().may(Permission.SEE_UNPUBLISHED)
    return {
        bench.box: gr.update(label=say(language, "bench_title"), visible=visible),
        bench.question: gr.update(label=ask, placeholder=ask),
        bench.run: gr.update(value=say(language, "bench_run")),
        bench.found: f'<p class="vm-muted">{safe(say(language, "bench_hint"))}</p>',
    }


def wire_bench(bench: Bench, service: Service, language: gr.Radio) -> None:
    """Connect the section's events."""

    def run(question: str, speak: str) -> Update:
        spoken = language_of(speak)
        try:
            stages = service.stages(present(), str(question or ""), _DEPTH)
        except KBError as error:
            return {bench.found: refused(error)}
        return {bench.found: stages_view(stages, spoken)}

    for event in (bench.run.click, bench.question.submit):
        event(run, [bench.question, language], [bench.found], **QUICK)


def stages_view(stages: dict[str, list[Hit]], language: Language) -> str:
    """The passages that the whole search finds first, with their rank in each stage and their fused score."""
    best = stages["fused"][:_SHOWN]
    if not best:
        return f'<p class="vm-muted" role="status">{safe(say(language, "bench_none"))}</p>'
    ranks = {name: {hit.chunk.id: at for at, hit in enumerate(hits, start=1)} for name, hits in stages.items()}
    head = "".join(f'<th scope="col">{safe(say(language, f"stage_{name}"))}</th>' for name in STAGES)
    rows = "".join(_row(hit, ranks, language) for hit in best)
    title, passage, score = (safe(say(language, f"bench_{key}")) for key in ("title", "passage", "score"))
    head = f'<th scope="col">{passage}</th>{head}<th scope="col">{score}</th>'
    return (
        f'<div class="vm-scroll" tabindex="0" role="region" aria-label="{title}">'
        f'<table class="vm-plain vm-stages"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(hit: Hit, ranks: dict[str, dict[str, int]], language: Language) -> str:
    chunk, document = hit.chunk, hit.document
    where = f"{document.title or document.file} · {places(language, document.kind, chunk.pages)}"
    text = f'<span class="vm-file">{safe(chunk.text[:_TEXT_CHARS])}</span>'
    cells = "".join(f"<td>{ranks[name].get(chunk.id, '–')}</td>" for name in STAGES)
    name = hit_button(hit, where, language, style="vm-link")
    return f'<tr><th scope="row">{name}{text}</th>{cells}<td>{hit.score:.3f}</td></tr>'
