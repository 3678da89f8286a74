"""An example beside the page it comes from, what readers said, how reviewers agree → HTML. Pure functions, all `safe`.

Everything a reviewer does has a key (data-key, acted on by page.js) and a button; the boxes for editing and for the
reason of a rejection open on the page itself, at once (data-show).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kb.conversations import Feedback
from kb.types import Chunk, Document, Language, QAExample
from train.review import REASONS, Agreement, Case, Judgement
from ui.i18n import say
from ui.markup import act_button, page_button, place, points, safe, select, with_commands
from ui.numbering import in_order

WAITING: Final = ("candidate", "kept")
STATES: Final[dict[str, tuple[str, ...]]] = {
    "waiting": WAITING,
    "candidate": ("candidate",),
    "kept": ("kept",),
    "accepted": ("accepted",),
    "rejected": ("rejected",),
    "dropped": ("dropped",),
}
_TEXT_SHOWN: Final = 600
_PAGES_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Queue:
    """Which examples are looked at, and where one is. Anything unknown in it selects nothing away."""

    state: str = "waiting"
    task: str = ""
    source: str = ""
    skip: int = 0
    current: str = ""
    """Id of the example that is shown: a click on another, drawn before, does nothing."""
    opened: bool = False
    """Whether the tab was looked at: until then nothing of it is drawn."""

    @property
    def states(self) -> tuple[str, ...]:
        return STATES.get(self.state, WAITING)


def filters(queue: Queue, counts: Sequence[tuple[str, str, str, int]], language: Language) -> str:
    """Selects for state, task and source, from the (task, source, state, n) that there are."""
    of_state = Counter(dict.fromkeys(STATES, 0))
    for _, _, state, n in counts:
        of_state[state] += n
    of_state["waiting"] = of_state["candidate"] + of_state["kept"]
    states = [(state, f"{say(language, f'review_{state}')} ({of_state[state]:,})") for state in STATES]
    tasks = [("", say(language, "review_all_tasks")), *((one, one) for one in sorted({row[0] for row in counts}))]
    sources = [("", say(language, "review_all_sources")), *((one, one) for one in sorted({row[1] for row in counts}))]
    parts = select("filter_state", states, language, act="state", chosen=queue.state)
    parts += select("review_task", tasks, language, act="task", chosen=queue.task)
    parts += select("review_source", sources, language, act="source", chosen=queue.source)
    return f'<div class="vm-filters">{parts}</div>'


def nothing(language: Language, *, any_examples: bool) -> str:
    """What stands where the example would be: how to get some, or that all is done."""
    title, text = ("review_done", "review_done_hint") if any_examples else ("review_empty", "review_empty_hint")
    return (
        f'<div class="vm-empty"><h3>{safe(say(language, title))}</h3><p>{with_commands(say(language, text))}</p></div>'
    )


def case_view(case: Case, history: Sequence[Judgement], names: Mapping[str, str], language: Language) -> str:
    """The example and what can be done with it, beside its source."""
    return (
        f'<div class="vm-case"><div class="vm-case-pair">{_pair(case, history, names, language)}</div>'
        f'<div class="vm-case-source">{_source(case, language)}</div></div>'
    )


def _pair(case: Case, history: Sequence[Judgement], names: Mapping[str, str], language: Language) -> str:
    example = case.example
    left = say(language, "review_left", n=f"{case.left:,}")
    about = " · ".join(filter(None, (example.task, example.topic, example.difficulty, example.generator)))
    reason = f'<p class="vm-muted">{safe(example.reason)}</p>' if example.reason else ""
    judged = "".join(f"<li>{safe(_judged(one, names, language))}</li>" for one in history)
    told = f'<ul class="vm-judged">{judged}</ul>' if judged else ""
    return (
        f'<p class="vm-count" role="status">{safe(left)}</p><p class="vm-muted">{safe(about)}</p>{reason}{told}'
        f"{_said(example, language)}{_decisions(case, language)}"
    )


def _judged(one: Judgement, names: Mapping[str, str], language: Language) -> str:
    verdict = say(language, f"review_{one.verdict}")
    told = " · ".join(filter(None, (verdict, names.get(one.reviewer, one.reviewer), one.at[:10])))
    return f"{told}: {one.reason}" if one.reason else told


def _said(example: QAExample, language: Language) -> str:
    """The question and its answer; a conversation turn by turn."""
    if example.messages:
        turns = "".join(
            f"<dt>{safe(say(language, f'role_{message.role}'))}</dt><dd>{safe(message.content)}</dd>"
            for message in example.messages
        )
        return f'<dl class="vm-turns">{turns}</dl>'
    answers = "".join(f'<p class="vm-case-answer">{safe(answer)}</p>' for answer in example.answers)
    mark = "" if example.answerable else f'<p class="vm-outdated">{safe(say(language, "review_unanswerable"))}</p>'
    return f'<h3 class="vm-case-question">{safe(example.question)}</h3>{mark}{answers}'


def _decisions(case: Case, language: Language) -> str:
    """Accept, edit, reject, skip, each with its key; the boxes that two of them open."""
    example = case.example
    accept = _key_button("a", "review_accept", language, act=f"accept:{example.id}", look="vm-primary")
    edit = "" if example.messages else _key_button("e", "review_edit", language, show="edit")
    reject = _key_button("r", "review_reject", language, show="reject")
    skip = _key_button("s", "review_skip", language, act=f"skip:{example.id}")
    reasons = "".join(
        _key_button(str(n), f"reason_{n}", language, act=f"reject:{example.id}:{n}") for n in range(1, len(REASONS) + 1)
    )
    other = _key_button("", "review_reject_so", language, act=f"reject:{example.id}:0")
    field = (
        f'<textarea data-field="reason" rows="1" maxlength="500" aria-label="{safe(say(language, "review_reason"))}"'
    )
    why = (
        f'<div class="vm-case-box" data-shown="reject" hidden><p>{safe(say(language, "review_reason"))}</p>'
        f'<div class="vm-acts">{reasons}</div>{field}></textarea><div class="vm-acts">{other}</div></div>'
    )
    return (
        f'<div data-show-box><div class="vm-acts vm-verdicts">{accept}{edit}{reject}{skip}</div>'
        f"{_edit_box(example, language)}{why}</div>"
    )


def _edit_box(example: QAExample, language: Language) -> str:
    if example.messages:
        return ""
    fields = "".join(
        f"<label><span>{safe(say(language, key))}</span>"
        f'<textarea data-field="{name}" rows="{rows}" maxlength="4000">{safe(value)}</textarea></label>'
        for name, key, rows, value in (
            ("question", "role_user", 2, example.question),
            ("answer", "role_assistant", 5, example.answers[0] if example.answers else ""),
        )
    )
    save = _key_button("Ctrl+Enter", "review_save", language, act=f"save:{example.id}", look="vm-primary")
    return f'<div class="vm-case-box" data-shown="edit" hidden>{fields}<div class="vm-acts">{save}</div></div>'


def _key_button(key: str, words: str, language: Language, *, act: str = "", show: str = "", look: str = "") -> str:
    does = f' data-act="{safe(act)}"' if act else f' data-show="{show}"'
    pressed = f' data-key="{safe(key.lower())}"' if key else ""
    label = f" <kbd>{safe(key.upper() if len(key) == 1 else key)}</kbd>" if key else ""
    return f'<button type="button" class="vm-button {look}"{does}{pressed}>{safe(say(language, words))}{label}</button>'


def _source(case: Case, language: Language) -> str:
    """The page image with the chunk's lines marked, or the chunk's text where there is no image."""
    chunk, document = case.chunk, case.document
    if chunk is None or document is None:
        return f'<p class="vm-notice">{safe(say(language, "review_gone"))}</p>'
    title = document.title or document.file
    section = f'<p class="vm-section">{safe(chunk.heading)}</p>' if chunk.heading else ""
    pages = "".join(_page(chunk, document, page, language) for page in chunk.pages[:_PAGES_SHOWN])
    text = f'<p class="vm-quote vm-case-text">{_marked(chunk.text, case.example.answers)}</p>'
    passage = text
    if document.kind == "pdf":
        passage = (
            f'<details class="vm-found"><summary>{safe(say(language, "review_passage"))}</summary>{text}</details>'
        )
    return f'<p class="vm-card-title">{safe(title)}</p>{section}{pages}{passage}'


def _page(chunk: Chunk, document: Document, page: int, language: Language) -> str:
    """A button that opens the page in the viewer and, of a PDF, its image with the chunk's lines marked."""
    boxes = chunk.boxes_on(page)
    title, where = document.title or document.file, place(language, document.kind, page)
    opens = page_button(document, page, where, label=f"{title}, {where}", boxes=boxes, quote=chunk.text)
    if document.kind != "pdf":
        return opens
    alt = safe(say(language, "viewer_image", page=where, title=title))
    source = f"page-image/{safe(document.id)}/{page}?boxes={points(boxes)}"
    return f'{opens}<img class="vm-case-image" src="{source}" alt="{alt}">'


def _marked(text: str, answers: Sequence[str]) -> str:
    """The text, with an answer that stands in it word for word marked."""
    for answer in filter(None, answers):
        before, found, after = text.partition(answer)
        if found:
            return f"{safe(before)}<mark>{safe(found)}</mark>{safe(after)}"
    return safe(text)


def feedback_view(pending: Sequence[Feedback], language: Language) -> str:
    """What readers said of answers and nobody has dealt with yet."""
    if not pending:
        return f'<p class="vm-muted">{safe(say(language, "feedback_none"))}</p>'
    corrected = sum(bool(one.correction) for one in pending)
    take = ""
    if corrected:
        take = act_button("take", say(language, "feedback_take", n=corrected), "", style="vm-button vm-primary")
    items = "".join(_feedback(one, language) for one in pending)
    return f'{take}<ul class="vm-feedback">{items}</ul>'


def _feedback(one: Feedback, language: Language) -> str:
    record = one.exchange
    # as whoever judged it saw it counted: on the page in the order of reading
    text = in_order(record.answer).text if record.answer and record.via == "web" else record.text
    shown = text if len(text) <= _TEXT_SHOWN else text[:_TEXT_SHOWN] + "…"
    correction = ""
    if one.correction:
        words = safe(say(language, "feedback_right"))
        correction = f'<p class="vm-case-answer"><strong>{words}</strong> {safe(one.correction)}</p>'
    verdict = f'<span class="vm-state">{safe(say(language, f"verdict_{one.verdict}"))}</span>'
    act = act_button(f"seen:{one.id}", say(language, "feedback_seen"), "")
    return (
        f'<li><p class="vm-muted">{verdict} · {safe(one.given[:10])}</p><h4>{safe(one.exchange.question)}</h4>'
        f"<p>{safe(shown)}</p>{correction}{act}</li>"
    )


def agreement_view(
    counts: Mapping[str, Counter[str]], pairs: Sequence[Agreement], names: Mapping[str, str], language: Language
) -> str:
    """Verdicts by reviewer, and each two reviewers' agreement beyond chance."""
    if not counts:
        return f'<p class="vm-muted">{safe(say(language, "agreement_none"))}</p>'
    verdicts = ("accepted", "edited", "rejected")
    head = "".join(f'<th scope="col">{safe(say(language, f"review_{one}"))}</th>' for one in verdicts)
    rows = "".join(
        f'<tr><th scope="row">{safe(names.get(who, who))}</th>'
        + "".join(f"<td>{found[one]:,}</td>" for one in verdicts)
        + "</tr>"
        for who, found in sorted(counts.items())
    )
    who = safe(say(language, "agreement_who"))
    table = (
        f'<table class="vm-plain"><thead><tr><th scope="col">{who}</th>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )
    items = "".join(f"<li>{safe(_agreed(pair, names, language))}</li>" for pair in pairs)
    return table + (
        f"<ul>{items}</ul>" if items else f'<p class="vm-muted">{safe(say(language, "agreement_no_pair"))}</p>'
    )


def _agreed(pair: Agreement, names: Mapping[str, str], language: Language) -> str:
    kappa = "–" if pair.kappa is None else f"{pair.kappa:.2f}"
    first, second = names.get(pair.first, pair.first), names.get(pair.second, pair.second)
    return say(language, "agreement_pair", first=first, second=second, n=pair.examples, same=pair.same, kappa=kappa)
