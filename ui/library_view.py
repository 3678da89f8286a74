"""The library's table, a document's details, the progress of an upload → HTML. Pure functions; all text is `safe`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kb.types import Document, Language
from ui.adding import Batch, FileState
from ui.i18n import say
from ui.markup import page_button, safe

_METADATA = ("author", "subject", "keywords", "attachments")  # of what the file says of itself
_COLUMNS = ("col_title", "col_pages", "col_chunks", "col_vectors", "col_state", "col_added")


def table(documents: Sequence[Document], chosen: str, knows: frozenset[str] | None, language: Language) -> str:
    """All documents. `chosen` is the id whose details are open; `knows` the languages of the embedder (None: all)."""
    if not documents:
        return (
            f'<div class="vm-empty"><h3>{safe(say(language, "library_empty_title"))}</h3>'
            f"<p>{safe(say(language, 'library_empty'))}</p></div>"
        )
    ready = [d for d in documents if d.state == "ready"]
    count = say(
        language,
        "documents_count",
        documents=len(ready),
        pages=f"{sum(d.pages for d in ready):,}",
        chunks=f"{sum(d.chunks for d in ready):,}",
    )
    head = "".join(f'<th scope="col">{safe(say(language, key))}</th>' for key in _COLUMNS)
    rows = "".join(_row(d, d.id == chosen, knows is None or d.language in knows, language) for d in documents)
    return (
        f'<p class="vm-count" role="status">{safe(count)}</p>'
        f'<table class="vm-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _row(document: Document, chosen: bool, knows: bool, language: Language) -> str:
    title = document.title or document.file
    label = safe(say(language, "details_of", title=title))
    name = (
        f'<button type="button" class="vm-row-button" data-act="{safe(document.id)}" aria-label="{label}"'
        f' aria-pressed="{str(chosen).lower()}">{safe(title)}</button>'
        + (
            f'<span class="vm-file">{safe(document.file)}</span>'
            if document.file.rsplit(".", 1)[0] != title != document.file
            else ""
        )
        + (f'<span class="vm-reason">{safe(document.reason)}</span>' if document.reason else "")
    )
    cells = (
        ("col_pages", "" if document.state == "failed" else f"{document.pages:,}"),
        ("col_chunks", "" if document.state == "failed" else f"{document.chunks:,}"),
        ("col_vectors", _vectors(document, knows, language)),
        ("col_state", _state(document, language)),
        ("col_added", safe(_day(document.added))),
    )
    rest = "".join(
        f'<td class="vm-cell-{key.removeprefix("col_")}" data-label="{safe(say(language, key))}">{cell}</td>'
        for key, cell in cells
    )
    return f'<tr class="{"vm-chosen" if chosen else ""}"><th scope="row">{name}</th>{rest}</tr>'


def _vectors(document: Document, knows: bool, language: Language) -> str:
    if document.state != "ready":
        return ""
    if not knows and document.embedded < document.chunks:
        hint = safe(say(language, "vectors_none_hint"))
        return f'<span class="vm-by-words" title="{hint}">{safe(say(language, "vectors_none"))}</span>'
    return safe(say(language, "vectors_of", n=f"{document.embedded:,}", of=f"{document.chunks:,}"))


def _state(document: Document, language: Language) -> str:
    return f'<span class="vm-state vm-state-{document.state}">{safe(say(language, f"state_{document.state}"))}</span>'


def _day(moment: str) -> str:
    """The local day and minute of an ISO 8601 moment."""
    try:
        return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return moment


def details(document: Document | None, language: Language) -> str:
    """What is known of one document."""
    if document is None:
        return f'<p class="vm-muted">{safe(say(language, "details_empty"))}</p>'
    reason = "meta_refused" if document.state == "failed" else "meta_reason"
    facts = [
        (say(language, "meta_file"), document.file),
        (say(language, reason), document.reason),
        (say(language, "meta_kind"), say(language, f"kind_{document.kind}")),
        (say(language, "meta_size"), _size(document.bytes, language)),
        (say(language, "meta_language"), say(language, f"language_{document.language}")),
        (say(language, "meta_edition"), document.edition),
        (say(language, "meta_issued"), document.issued),
        *((say(language, f"meta_{key}"), document.metadata.get(key, "")) for key in _METADATA),
        (say(language, "meta_id"), document.id),
    ]
    rows = "".join(f"<dt>{safe(name)}</dt><dd>{safe(value)}</dd>" for name, value in facts if value)
    title = document.title or document.file
    view = ""
    if document.state in ("ready", "draft", "superseded") and document.pages:
        text = say(language, "view_pages")
        view = page_button(document, 1, text, label=f"{text}: {title}", style="vm-link", passages=True)
    return f'<h3 class="vm-details-title">{safe(title)}</h3>{view}<dl class="vm-facts">{rows}</dl>'


def _size(size: int, language: Language) -> str:
    if size >= 1 << 20:
        return say(language, "megabytes", n=size / (1 << 20))
    return say(language, "kilobytes", n=max(1, size / 1024))


def progress(batch: Batch | None, language: Language) -> str:
    """Each file of the latest upload: a bar while it is read, then what came of it."""
    if batch is None:
        return ""
    files = batch.files
    if batch.finished:
        counts = {status: sum(f.status == status for f in files) for status in ("added", "known", "failed")}
        heading = say(language, "added", **counts)
    else:
        heading = say(language, "adding", n=len(files))
    rows = "".join(_file(f, language) for f in files)
    return f'<p class="vm-count" role="status">{safe(heading)}</p><ul class="vm-files">{rows}</ul>'


def _file(file: FileState, language: Language) -> str:
    name = f'<span class="vm-file-name">{safe(file.name)}</span>'
    if file.status:
        key = f"status_{file.status}"
        values = {"pages": file.pages, "chunks": file.chunks} if file.status == "added" else {}
        text = say(language, key, **values) + (f": {file.reason}" if file.reason else "")
        return f'<li class="vm-file-{file.status}">{name}<span class="vm-outcome">{safe(text)}</span></li>'
    step = safe(say(language, f"step_{file.step}"))
    if not file.total:
        return f'<li>{name}<span class="vm-outcome">{step}</span></li>'
    done = safe(say(language, "progress_of", done=f"{file.done:,}", total=f"{file.total:,}"))
    return (
        f'<li>{name}<span class="vm-outcome">{step} · {done}</span>'
        f'<progress max="{file.total}" value="{file.done}" aria-label="{safe(file.name)}">{done}</progress></li>'
    )
