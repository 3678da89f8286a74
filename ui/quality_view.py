"""How well a document was read, and which documents say the same → HTML. Each page is a button that opens it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from kb.duplicates import Duplicate
from kb.quality import ReadQuality
from kb.types import Document, Language
from ui.i18n import say
from ui.markup import act_button, document_button, page_button, place, safe

_PAGES_SHOWN: Final = 40
_SAMPLE_CHARS: Final = 300


def quality_view(report: ReadQuality, language: Language) -> str:
    """The report, folded: its summary says whether there is anything to look at."""
    document = report.document
    if not report.pages:
        return ""
    doubtful = len({*report.unsure, *report.garbled, *(page.number for page in report.dropped)})
    summary = say(language, "quality_doubts" if doubtful else "quality_good", n=doubtful, of=len(report.pages))
    sure = "" if report.confidence is None else say(language, "quality_sure", share=f"{report.confidence:.0%}")
    rows = (
        _row(say(language, "quality_recognised"), report.recognised, document, language, sure)
        + _row(say(language, "quality_unsure"), report.unsure, document, language)
        + _row(say(language, "quality_garbled"), report.garbled, document, language)
        + _row(say(language, "quality_empty"), report.empty, document, language)
        + _row(say(language, "quality_tables", n=report.tables), report.with_tables, document, language)
    )
    per_page = f"<dt>{safe(say(language, 'quality_per_page'))}</dt><dd>{report.chunks_per_page:.1f}</dd>"
    dropped = _reasons("quality_dropped", ((page.number, page.dropped) for page in report.dropped), document, language)
    noted = _reasons("quality_noted", ((page.number, page.note) for page in report.noted), document, language)
    return (
        f'<details class="vm-found vm-quality"><summary>{safe(summary)}</summary>'
        f'<dl class="vm-figures">{rows}{per_page}</dl>{dropped}{noted}{_samples(report, language)}</details>'
    )


def _row(name: str, pages: Sequence[int], document: Document, language: Language, more: str = "") -> str:
    if not pages:
        return ""
    buttons = " ".join(_page(document, page, str(page), language) for page in pages[:_PAGES_SHOWN])
    rest = f" +{len(pages) - _PAGES_SHOWN:,}" if len(pages) > _PAGES_SHOWN else ""
    told = f" · {safe(more)}" if more else ""
    return f"<dt>{safe(name)}</dt><dd>{len(pages):,}{told}<br>{buttons}{rest}</dd>"


def _reasons(key: str, pages: Iterable[tuple[int, str]], document: Document, language: Language) -> str:
    """Pages with the reason each, the first ones of many."""
    found = list(pages)
    if not found:
        return ""
    items = "".join(
        f"<li>{_page(document, number, place(language, document.kind, number), language)}: {safe(reason)}</li>"
        for number, reason in found[:_PAGES_SHOWN]
    )
    rest = f"<li>+{len(found) - _PAGES_SHOWN:,}</li>" if len(found) > _PAGES_SHOWN else ""
    return f'<h4 class="vm-quality-title">{safe(say(language, key, n=len(found)))}</h4><ul>{items}{rest}</ul>'


def _samples(report: ReadQuality, language: Language) -> str:
    """A few passages to be held against their pages."""
    document = report.document
    items = "".join(
        f"<li>{_page(document, one.page, place(language, document.kind, one.page), language)} "
        f'<span class="vm-muted">{safe(one.chunk.text[:_SAMPLE_CHARS])}</span></li>'
        for one in report.samples
    )
    return (
        f'<h4 class="vm-quality-title">{safe(say(language, "quality_samples"))}</h4><ul>{items}</ul>' if items else ""
    )


def _page(document: Document, page: int, words: str, language: Language) -> str:
    label = f"{document.title or document.file}, {place(language, document.kind, page)}"
    return page_button(document, page, words, label=label, passages=True)


def duplicates_view(document: Document, pairs: Sequence[Duplicate], language: Language, *, decides: bool) -> str:
    """Documents that say the same as this one; what may be decided, if whoever looks `decides`."""
    boxes = ""
    for pair in pairs:
        if document.id not in (pair.document.id, pair.other.id):
            continue
        other = pair.other if pair.document.id == document.id else pair.document
        told = say(language, "alike_same" if pair.share >= 1 else "alike_share", share=f"{pair.share:.0%}")
        decided = f" · {safe(say(language, f'alike_{pair.decision}'))}" if pair.decision else ""
        keep = ""
        if decides and not pair.decision:
            keep = act_button(f"keep:{document.id}", say(language, "alike_keep"), "", style="vm-button")
        boxes += f'<div class="vm-alike" role="note"><p>{safe(told)} {document_button(other)}{decided}</p>{keep}</div>'
    return boxes
