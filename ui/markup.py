"""Text → safe HTML. The only way that text of documents, models, file names or users enters a page.

Besides HTML's own five characters, braces, dollar, backtick and backslash are written as entities, so that no template
or formula syntax survives, whatever a component does with its value. Links to pages are buttons with data-* attributes;
viewer.js acts on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kb.types import Box, Citation, Document, DocumentKind, Hit, Language
from ui.i18n import say

_ENTITIES = {ord(c): f"&#{ord(c)};" for c in "&<>\"'`{}$\\"}
_INVISIBLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_QUOTE_CHARS = 1200  # of a quote that viewer.js sends back to have it marked


def safe(text: object) -> str:
    """`text` as it reads, with nothing in it that a browser or template would act on."""
    return _INVISIBLE.sub("", str(text)).translate(_ENTITIES)


def with_commands(text: str) -> str:
    """Our own words, with what stands between backticks as a command to type."""
    return re.sub(r"&#96;(.*?)&#96;", r"<code>\1</code>", safe(text))


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
    beside = ' data-passages="1"' if passages else ""
    return (
        f'<button type="button" class="{style}" data-page="{page}" data-document="{safe(document.id)}"'
        f' data-boxes="{points(boxes)}" data-quote="{safe(quote[:_QUOTE_CHARS])}"'
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
    boxes = chunk.boxes_on(page)
    title, where = document.title or document.file, places(language, document.kind, chunk.pages)
    key = "open_page" if document.kind == "pdf" else "open_entry"
    label = f"{title}, {where}. {say(language, key)}"
    if n:
        label = say(language, "source_label", n=n, title=title, page=where)
    return page_button(document, page, content, label=label, boxes=boxes, quote=chunk.text, style=style)


def points(boxes: Sequence[Box]) -> str:
    """Boxes as ui.pages.parse_boxes reads them."""
    return ";".join(",".join(f"{value:.1f}" for value in box) for box in boxes)


def act_button(act: str, words: str, about: str, *, style: str = "vm-act") -> str:
    """A button whose click becomes an event with `act`; `about` tells a screen reader what it acts on."""
    label = safe(f"{words}: {about[:200]}" if about else words)
    return f'<button type="button" class="{style}" data-act="{safe(act)}" aria-label="{label}">{safe(words)}</button>'


def document_button(document: Document) -> str:
    """A button that chooses the document in the library."""
    name = safe(document.title or document.file)
    return f'<button type="button" class="vm-link" data-act="pick:{safe(document.id)}">{name}</button>'


def select(
    key: str, choices: Sequence[tuple[str, str]], language: Language, *, act: str = "", part: str = "", chosen: str = ""
) -> str:
    """A labelled select of (value, words): a choice becomes an event with `act`, or is read by page.js as `part`."""
    does = f'data-choice="{safe(act)}"' if act else f'data-part="{safe(part)}"'
    return f"<label><span>{safe(say(language, key))}</span><select {does}>{options(choices, chosen)}</select></label>"


def options(choices: Iterable[tuple[str, str]], chosen: str) -> str:
    """What a select offers, of (value, words)."""
    return "".join(
        f'<option value="{safe(value)}"{" selected" if value == chosen else ""}>{safe(words)}</option>'
        for value, words in choices
    )


def collections(documents: Iterable[Document], language: Language) -> list[tuple[str, str]]:
    """The collections there are, as choices of (value, words); the first stands for all."""
    names = sorted({d.collection for d in documents if d.collection})
    return [("", say(language, "all_collections")), *((name, name) for name in names)]


def done(text: str) -> str:
    """A line that says what was done."""
    return f'<p class="vm-told-good" role="status">{safe(text)}</p>'


def refused(why: object) -> str:
    """A line that says why something could not be done."""
    return f'<p class="vm-notice" role="alert">{safe(why)}</p>'


def sure_box(rest: str, ask: str, question: str, yes: str, keep: str) -> str:
    """What is there, with a button that asks a question first; page.js shows one or the other. All HTML but `keep`."""
    no = f'<button type="button" class="vm-button" data-sure="no">{safe(keep)}</button>'
    return (
        f'<div class="vm-sure" data-sure-box><div class="vm-acts" data-sure-rest>{rest}{ask}</div>'
        f'<div class="vm-confirm" data-sure-asked hidden><p role="alert">{question}</p>'
        f'<div class="vm-acts">{yes}{no}</div></div></div>'
    )
