"""Text → safe HTML. The only way that text of documents, models, file names or users enters a page.

Besides HTML's own five characters, braces, dollar, backtick and backslash are written as entities, so that no template
or formula syntax survives, whatever a component does with its value. Links to pages are buttons with data-* attributes;
viewer.js acts on them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kb.types import Box, Citation, Document, DocumentKind, Hit, Language
from ui.i18n import say

_ENTITIES = {ord(c): f"&#{ord(c)};" for c in "&<>\"'`{}$\\"}
_INVISIBLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_QUOTE_CHARS = 1200  # of a quote that viewer.js sends back to have it marked


def safe(text: object) -> str:
    """`text` as it reads, with nothing in it that a browser or template would act on."""
    return _INVISIBLE.sub("", str(text)).translate(_ENTITIES)


def place(language: Language, kind: DocumentKind, number: int) -> str:
    """'Page 3', 'Entry 3' or 'Part 3'; plain text, not HTML."""
    return say(language, {"pdf": "page", "records": "entry", "monographs": "entry"}.get(kind, "part"), n=number)


def places(language: Language, kind: DocumentKind, numbers: Sequence[int]) -> str:
    """The same for several pages: 'Pages 3–4'."""
    if len(numbers) < 2:
        return place(language, kind, numbers[0]) if numbers else ""
    word = {"pdf": "pages", "records": "entries", "monographs": "entries"}.get(kind, "parts")
    return say(language, word, first=numbers[0], last=numbers[-1])


def page_button(
    document: Document,
    page: int,
    content: str,
    *,
    label: str,
    boxes: Sequence[Box] = (),
    quote: str = "",
    style: str = "vm-link",
    passages: bool = False,
) -> str:
    """A button that opens `page` in the viewer, with its `passages` beside it or not."""
    points = ";".join(",".join(f"{value:.1f}" for value in box) for box in boxes)
    beside = ' data-passages="1"' if passages else ""
    return (
        f'<button type="button" class="{style}" data-page="{page}" data-document="{safe(document.id)}"'
        f' data-boxes="{points}" data-quote="{safe(quote[:_QUOTE_CHARS])}"'
        f'{beside} aria-label="{safe(label)}">{safe(content)}</button>'
    )


def citation_button(citation: Citation, document: Document, content: str, language: Language, *, style: str) -> str:
    """A button that opens the quoted lines."""
    where = place(language, document.kind, citation.page)
    label = say(language, "source_label", n=citation.n, title=citation.title or citation.file, page=where)
    return page_button(
        document, citation.page, content, label=label, boxes=citation.boxes, quote=citation.quote, style=style
    )


def hit_button(hit: Hit, content: str, language: Language, *, style: str, n: int = 0) -> str:
    """A button that opens the whole passage, at its first page; `n` is its number if it stands for a mark."""
    chunk, document = hit.chunk, hit.document
    page = chunk.pages[0] if chunk.pages else 1
    boxes = tuple(box for span in chunk.spans if span.page == page for box in span.boxes)
    title, where = document.title or document.file, places(language, document.kind, chunk.pages)
    key = "open_page" if document.kind == "pdf" else "open_entry"
    label = f"{title}, {where}. {say(language, key)}"
    if n:
        label = say(language, "source_label", n=n, title=title, page=where)
    return page_button(document, page, content, label=label, boxes=boxes, quote=chunk.text, style=style)


def act_button(act: str, words: str, about: str) -> str:
    """A button whose click becomes an event with `act`; `about` tells a screen reader what it acts on."""
    label = safe(f"{words}: {about[:200]}" if about else words)
    return f'<button type="button" class="vm-act" data-act="{safe(act)}" aria-label="{label}">{safe(words)}</button>'


def sure_box(rest: str, ask: str, question: str, yes: str, keep: str) -> str:
    """What is there, with a button that asks a question first; page.js shows one or the other. All HTML but `keep`."""
    no = f'<button type="button" class="vm-button" data-sure="no">{safe(keep)}</button>'
    return (
        f'<div class="vm-sure" data-sure-box><div class="vm-acts" data-sure-rest>{rest}{ask}</div>'
        f'<div class="vm-confirm" data-sure-asked hidden><p role="alert">{question}</p>'
        f'<div class="vm-acts">{yes}{no}</div></div></div>'
    )
