"""A conversation → HTML. Pure functions; every word of documents and models passes `safe`.

Marks are buttons from the first moment: while an answer streams they open the passage they name, when it is finished
the very lines. An abstention, a failure and an interrupted answer each look unlike an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kb.conversations import VERDICTS
from kb.export import reference, with_references
from kb.types import Answer, Citation, Conflict, Document, Hit, Language, Side
from ui.i18n import say
from ui.markup import act_button, citation_button, hit_button, place, safe
from ui.narrowed import WHOLE, Narrowed, told
from ui.numbering import MARK, order_of


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and what has come of it so far."""

    question: str
    state: Literal["searching", "writing", "done", "stopped", "failed"] = "searching"
    text: str = ""
    notice: str = ""
    hits: tuple[Hit, ...] = ()
    answer: Answer | None = None
    """Numbered as readers count (ui.numbering)."""
    id: str = ""
    """Of its record; empty until it was noted."""
    verdict: str = ""
    """What the reader thinks of it: helpful, wrong, unsafe."""
    narrowed: Narrowed = WHOLE
    """What it was asked of, where that was less than the library."""

    @property
    def busy(self) -> bool:
        return self.state in ("searching", "writing")


def earlier(exchanges: Sequence[Exchange], language: Language) -> str:
    """All exchanges but the last, oldest first. Stays as it is while the last one streams."""
    return "".join(_exchange(number, item, language) for number, item in enumerate(exchanges[:-1]))


def latest(exchanges: Sequence[Exchange], language: Language) -> str:
    """The last exchange; the status line at its end is for screen readers."""
    if not exchanges:
        return ""
    last = exchanges[-1]
    status = f'<p class="vm-sr" role="status">{safe(_status(last, language))}</p>'
    return _exchange(len(exchanges) - 1, last, language) + status


def _exchange(number: int, item: Exchange, language: Language) -> str:
    you = f'<span class="vm-sr">{safe(say(language, "you_asked"))}: </span>'
    return (
        f'<section class="vm-exchange"><h2 class="vm-question">{you}{safe(item.question)}</h2>'
        f"{_asked_of(item, language)}"
        f'<div class="vm-answer vm-{_look(item)}" aria-busy="{str(item.busy).lower()}">'
        f"{_body(item, language)}</div>{_references(item, language)}{_actions(number, item, language)}</section>"
    )


def _asked_of(item: Exchange, language: Language) -> str:
    if item.narrowed == WHOLE:
        return ""
    return f'<p class="vm-asked-of">{safe(say(language, "scope", what=told(item.narrowed, language)))}</p>'


def _look(item: Exchange) -> str:
    if item.state == "done" and item.answer and item.answer.abstained:
        return "abstained"
    return item.state


def _body(item: Exchange, language: Language) -> str:
    if item.state == "failed":
        return _headed(say(language, "failed"), _paragraphs(item.notice))
    notice = _notice(item, language)
    if item.state == "searching":
        return notice + f'<p class="vm-wait">{safe(say(language, "searching"))}</p>'
    if item.answer is None:
        text = _answer_text(item, language)
        stopped = f'<p class="vm-notice">{safe(say(language, "stopped"))}</p>' if item.state == "stopped" else ""
        wait = "" if stopped else '<span class="vm-caret" aria-hidden="true"></span>'
        return notice + f'<div class="vm-text">{text}{wait}</div>' + stopped
    answer = item.answer
    if answer.abstained:
        hint = f'<p class="vm-meta">{safe(say(language, "nearest_hint"))}</p>' if item.hits else ""
        abstained = _headed(say(language, "abstained"), _paragraphs(answer.text))
        return notice + _understood(answer, language) + abstained + hint
    if answer.intent != "library":
        return notice + f'<div class="vm-text">{_paragraphs(answer.text)}</div>'
    how = "engine_extractive" if answer.engine.startswith("extractive") else "engine_model"
    text = _answer_text(item, language)
    told = f'<p class="vm-meta">{safe(say(language, how))}</p>'
    doubts = _conflicts(item, answer.conflicts, language) + _withheld(answer, language)
    return notice + _understood(answer, language) + f'<div class="vm-text">{text}</div>{doubts}{told}'


def _understood(answer: Answer, language: Language) -> str:
    """How a follow-up was made to stand alone, so that a misunderstanding is seen."""
    if not answer.searched_as:
        return ""
    return f'<p class="vm-asked-of">{safe(say(language, "searched_as", question=answer.searched_as))}</p>'


def _conflicts(item: Exchange, conflicts: Sequence[Conflict], language: Language) -> str:
    """Where sources disagree or are out of date: what each says, newest first, with its page."""
    documents = {hit.document.id: hit.document for hit in item.hits}
    boxes = ""
    for conflict in conflicts:
        heading = safe(say(language, f"conflict_{conflict.kind}"))
        sides = "".join(_side(side, documents.get(side.citation.document), language) for side in conflict.sides)
        told = f"<p><strong>{heading}</strong> {safe(conflict.told)}</p>"
        boxes += f'<div class="vm-conflict" role="note">{told}<ul>{sides}</ul></div>'
    return boxes


def _side(side: Side, document: Document | None, language: Language) -> str:
    cited = side.citation
    facts = filter(None, (cited.title or cited.file, side.edition, side.issued, " / ".join(side.values)))
    told = safe(" · ".join(facts))
    if document is None:
        return f"<li>{told}</li>"
    where = place(language, document.kind, cited.page)
    return f"<li>{told} {citation_button(cited, document, where, language, style='vm-link')}</li>"


def _withheld(answer: Answer, language: Language) -> str:
    """Statements that the passages do not bear out: what was left out, and what stands though it is not borne out."""
    lacking = [one for one in answer.statements if one.support == "unsupported"]
    if not lacking:
        return ""
    items = "".join(
        f"<li><q>{safe(one.text)}</q> "
        f'<span class="vm-missing">{safe(say(language, "not_held", what=_listed(one.missing, language)))}</span></li>'
        for one in lacking
    )
    key = "left_out" if not all(one.shown for one in lacking) else "not_borne_out"
    summary = safe(say(language, key, n=len(lacking)))
    return f'<details class="vm-withheld"><summary>{summary}</summary><ul>{items}</ul></details>'


def _listed(parts: Sequence[str], language: Language) -> str:
    return ("、" if language == "zh" else ", ").join(parts) or "–"


def _notice(item: Exchange, language: Language) -> str:
    text = item.answer.notice if item.answer and item.answer.notice else item.notice
    if not text:
        return ""
    return f'<p class="vm-notice"><strong>{safe(say(language, "notice"))}.</strong> {safe(text)}</p>'


def _headed(heading: str, body: str) -> str:
    return f'<p class="vm-verdict">{safe(heading)}</p><div class="vm-text">{body}</div>'


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{safe(part)}</p>" for part in re.split(r"\n{2,}", text.strip()) if part.strip())


def _actions(number: int, item: Exchange, language: Language) -> str:
    """What can be done with a finished exchange. The copy button carries its text; ask.js acts on it."""
    if item.busy:
        return ""
    buttons: list[str] = []
    if item.answer is not None and not item.answer.abstained:
        text = with_references(item.question, item.answer, language)
        words = safe(say(language, "copy"))
        buttons.append(f'<button type="button" class="vm-act" data-copy="{safe(text)}">{words}</button>')
    buttons.append(act_button(f"retry:{number}", say(language, "retry"), item.question))
    buttons.append(act_button(f"edit:{number}", say(language, "edit"), item.question))
    if item.hits:
        buttons.append(act_button(f"sources:{number}", say(language, "show_sources"), item.question))
    if item.id and item.answer is not None:
        buttons += [_judge(number, verdict, item, language) for verdict in VERDICTS]
    label = safe(say(language, "actions"))
    return f'<div class="vm-acts" role="group" aria-label="{label}">{"".join(buttons)}</div>'


def _judge(number: int, verdict: str, item: Exchange, language: Language) -> str:
    pressed = str(item.verdict == verdict).lower()
    words = safe(say(language, f"verdict_{verdict}"))
    return (
        f'<button type="button" class="vm-act vm-verdict-{verdict}" data-act="{verdict}:{number}"'
        f' aria-pressed="{pressed}">{words}</button>'
    )


def _references(item: Exchange, language: Language) -> str:
    """For print alone: on the screen the sources stand beside the answer."""
    if item.answer is None or not item.answer.citations:
        return ""
    lines = [reference(citation, item.answer, language) for citation in item.answer.citations]
    return f'<ul class="vm-print">{"".join(f"<li>{safe(line)}</li>" for line in lines)}</ul>'


def _answer_text(item: Exchange, language: Language) -> str:
    """Paragraphs of plain text with the marks [n] turned into buttons that open what they name."""
    text = item.answer.text if item.answer else item.text
    documents = {hit.document.id: hit.document for hit in item.hits}
    order = {} if item.answer else order_of(text)  # what streams names places among the hits
    pieces: list[str] = []
    at = 0
    for found in MARK.finditer(text):
        pieces.append(safe(text[at : found.start()]))
        n = int(found.group(1))
        pieces.append(_mark(n, order.get(n, n), text[: found.start()], item, documents, language))
        at = found.end()
    pieces.append(safe(text[at:]))
    paragraphs = re.split(r"\n{2,}", "".join(pieces).strip())
    return "".join(f"<p>{part}</p>" for part in paragraphs if part)


def _mark(
    n: int, shown: int, before: str, item: Exchange, documents: Mapping[str, Document], language: Language
) -> str:
    if item.answer is None:
        if 1 <= n <= len(item.hits):
            return hit_button(item.hits[n - 1], str(shown), language, n=shown, style="vm-mark")
    elif citation := _cited(n, before, item.answer.citations):
        document = documents.get(citation.document)
        if document is not None:
            return citation_button(citation, document, str(n), language, style="vm-mark")
    return f'<span class="vm-mark">{shown}</span>'


def _cited(n: int, before: str, citations: Sequence[Citation]) -> Citation | None:
    """The citation that a mark [n] after the text `before` stands for.

    Several may share the number, one for each quote: the one quoted last before the mark, else the next in order.
    """
    same = [citation for citation in citations if citation.n == n]
    if len(same) < 2:
        return same[0] if same else None
    squeezed = "".join(before.split())
    ends = [squeezed.rfind("".join(citation.quote.split())) for citation in same]
    if max(ends) >= 0:
        return same[ends.index(max(ends))]
    return same[min(before.count(f"[{n}]"), len(same) - 1)]


def _status(item: Exchange, language: Language) -> str:
    if item.state == "done" and item.answer:
        if item.answer.abstained:
            return say(language, "abstained")
        return say(language, "answer_ready", n=len(item.answer.citations))
    keys = {"searching": "searching", "writing": "writing", "stopped": "stopped", "failed": "failed"}
    return say(language, keys.get(item.state, "failed"))
