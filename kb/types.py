"""The values that flow through Vademecum: frozen, typed, standard library only.

Whatever is read becomes Pages of Lines; pages become Chunks whose Spans remember the page and boxes of every
character; a question finds Hits; an Answer quotes them through Citations. Dicts exist only at file and wire edges.
Boxes are (x0, y0, x1, y1) in PDF points from the lower left corner of the page as displayed (rotation applied).
Page numbers are physical and 1-based; for record files (JSON, JSONL) the record's number stands in for the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Box = tuple[float, float, float, float]
Language = Literal["zh", "en"]
DocumentState = Literal["reading", "draft", "ready", "superseded", "failed"]
"""A document is read, perhaps looked at as a draft, then published ('ready'). Only ready ones are searched by default;
a superseded edition stays citable."""
READ_STATES: tuple[DocumentState, ...] = ("draft", "ready", "superseded")
"""Those of a document that was read to its end."""
DocumentKind = Literal["pdf", "text", "markdown", "records", "monographs", "docx", "html", "epub", "slides", "sheets"]
"""'monographs' are records that are mostly `field:value` lines: see kb.records."""
LineRole = Literal["text", "head", "row", "note"]
"""'head' and 'row' are rows of a table, its heading rows and the others: cells parted by tabs, the box is the row's
region. 'note' is a footnote. Formats without layout may set them too."""
PageSource = Literal["text", "ocr"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text on a page. `box` is None where the format has no layout (text, records)."""

    text: str
    box: Box | None = None
    size: float = 0.0
    """Height of the line's characters in points; 0 when unknown. Headings stand out by it."""
    role: LineRole = "text"
    bold: bool = False
    """Set in a bold face, or in one that stands for it (黑体); headings stand out by it. False when unknown."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page as read, before furniture is removed. Re-chunking starts from here."""

    number: int
    lines: tuple[Line, ...]
    width: float = 0.0
    height: float = 0.0
    label: str = ""
    """The number printed on the page (pypdf page label), or the record's title."""
    reader: str = ""
    """Name and version of what read it, e.g. 'pdfium-5.15.2/1'."""
    note: str = ""
    """What was wrong with the page or left out of it, in plain words; empty when it was read well."""
    source: PageSource = "text"
    """Where its lines come from: the file's own text, or optical character recognition of the page's image."""
    confidence: float | None = None
    """How sure the recognition is, 0 to 1 (mean over its lines, by length); None for text that was not recognised."""
    tables: int = 0
    """How many tables were found on it."""
    rotated: int = 0
    """Quarter turns, in degrees clockwise (90, 180, 270), that its image needed to be read."""
    garbled: bool = False
    """Whether its own text layer was found to be garbage (then `source` says whether it was replaced)."""

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of a chunk's text come from `page`, within `boxes` (one box a line)."""

    start: int
    end: int
    page: int
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: the unit that is embedded, found, cited and turned into training data."""

    id: str
    document: str
    position: int
    text: str
    heading: str
    """Section path, outermost first, joined by ' › '; empty when none was found."""
    spans: tuple[Span, ...]
    language: Language
    tokens: int
    """Length in tokens of the embedder that the chunker was given."""

    @property
    def pages(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(span.page for span in self.spans))

    def boxes_on(self, page: int) -> tuple[Box, ...]:
        """Its lines on that page."""
        return tuple(box for span in self.spans if span.page == page for box in span.boxes)


@dataclass(frozen=True, slots=True)
class OutlineEntry:
    """A bookmark of the document: its title, nesting level (0 = outermost) and physical page."""

    title: str
    level: int
    page: int


@dataclass(frozen=True, slots=True)
class Document:
    """One file in the library. `id` is the first 16 hex digits of its SHA-256."""

    id: str
    sha256: str
    file: str
    title: str
    kind: DocumentKind
    bytes: int
    state: DocumentState
    reason: str = ""
    """Why it failed, or what an admin should know of a ready one (pages without text, …)."""
    pages: int = 0
    chunks: int = 0
    embedded: int = 0
    """How many chunks have a vector of the configured embedder."""
    language: Language = "en"
    added: str = ""
    """ISO 8601, UTC."""
    issuer: str = ""
    edition: str = ""
    issued: str = ""
    """2024, 2024-05 or 2024-05-31."""
    supersedes: str = ""
    """Id of the edition that this one replaces."""
    collection: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What the file says of itself: author, subject, producer, page count of attachments, …"""


@dataclass(frozen=True, slots=True)
class Alike:
    """Another document that says the same, or much of the same, in other bytes."""

    document: str
    """Its id."""
    share: float
    """1: the same text, word for word; below: the estimated share of phrases that both have."""


@dataclass(frozen=True, slots=True)
class Making:
    """How a document's chunks were made: what is needed to make them again, and to know the document by its text."""

    cutter: str = ""
    """Version and settings of what cut it; empty if that was not noted."""
    outline: tuple[OutlineEntry, ...] = ()
    left_out: Mapping[int, str] = field(default_factory=dict)
    """Pages with text that no chunk holds anything of, and why."""
    text_hash: str = ""
    sketch: bytes = b""
    """See kb.likeness."""
    alike: tuple[Alike, ...] = ()
    """Documents that were found to be like it when it was added."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to search. Empty: all published documents.

    A document that is named is searched even if it is superseded. `as_of` ('2024', '2024-05' or '2024-05-31') asks for
    what was in force then: issued by that day and not yet superseded; documents without a date count as always issued.
    """

    documents: tuple[str, ...] = ()
    """Ids."""
    collection: str = ""
    as_of: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found, with the ranks that its fused score was made of."""

    chunk: Chunk
    document: Document
    score: float
    dense_rank: int | None = None
    lexical_rank: int | None = None
    cosine: float = 0.0
    """To the question; 0 if the dense list did not hold it."""
    words: float = 0.0
    """BM25 over the best passage's; 0 if the lexical list did not hold it."""
    beside: bool = False
    """Not found itself, but next to one that was (kb.neighbours)."""


@dataclass(frozen=True, slots=True)
class Citation:
    """Mark [n] in an answer. `quote` is verbatim in the chunk; `boxes` are its lines on `page`."""

    n: int
    chunk_id: str
    document: str
    file: str
    title: str
    page: int
    quote: str
    boxes: tuple[Box, ...] = ()


Support = Literal["quoted", "supported", "unsupported", "uncited"]
"""'quoted': verbatim in the passage; 'supported': a model's words, and what can be checked in them is in the passage;
'unsupported': something in them is not; 'uncited': no passage is named."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of an answer, or one whole quotation, with the passages it names."""

    text: str
    """Without its marks."""
    cites: tuple[int, ...]
    support: Support
    missing: tuple[str, ...] = ()
    """What of it the cited passages do not hold: numbers with their units, names, a 'not'."""
    shown: bool = True
    """Whether it stands in the answer's text. An unsupported one is withheld, unless the settings have it marked."""


ConflictKind = Literal["values", "superseded"]
"""'values': passages of different documents give different numbers for the same; 'superseded': a cited document has
been replaced by a newer edition."""


@dataclass(frozen=True, slots=True)
class Side:
    """One document's side of a conflict: what it says, in which edition and of when."""

    citation: Citation
    edition: str = ""
    issued: str = ""
    """2024, 2024-05 or 2024-05-31; empty when not noted."""
    values: tuple[str, ...] = ()
    """The numbers that differ, as they are written; empty for 'superseded'."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Where the passages of an answer disagree, or one is out of date."""

    kind: ConflictKind
    told: str
    """What the reader is told, in the language of the question; names both documents and their dates."""
    sides: tuple[Side, ...]
    """Newest first. The numbers of their citations are those of the answer's hits; 0 for a passage that is not one."""


Intent = Literal["library", "greeting", "thanks", "about", "off_topic", "harmful"]
"""What a question wants. Only 'library' is looked up; the others get a short reply without passages."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer. When `abstained`, `text` says so and `hits` are the nearest passages."""

    text: str
    citations: tuple[Citation, ...]
    abstained: bool
    engine: str
    hits: tuple[Hit, ...]
    notice: str = ""
    """What the reader must know beside the text: the model failed, a citation did not exist, …"""
    seconds: float = 0.0
    statements: tuple[Statement, ...] = ()
    """What `text` says, statement by statement, and what was withheld from it. Empty when it abstains."""
    conflicts: tuple[Conflict, ...] = ()
    """Where its documents disagree, or are out of date."""
    searched_as: str = ""
    """The question as it was searched, where a follow-up was made to stand alone; else empty."""
    intent: Intent = "library"
    confidence: float | None = None
    """How likely the library answers the question, 0 to 1, as calibrated (kb.evidence); None where not judged."""
    thought: str = ""
    """A model's thought before it searched. Kept in the record, not shown to readers."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    text: str


MessageRole = Literal["system", "user", "thought", "search", "assistant"]
"""A thought says whether to search, and for what; a search holds what was found. Both stand before the answer."""
ExampleState = Literal["candidate", "kept", "dropped", "accepted", "rejected", "edited"]
"""Generated; passed or failed curation; accepted or rejected by a reviewer; replaced by an edited version."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a training example."""

    role: MessageRole
    content: str


@dataclass(frozen=True, slots=True)
class Source:
    """A chunk an example rests on, with the hash of the text it had then."""

    chunk_id: str
    chunk_hash: str


@dataclass(frozen=True, slots=True)
class QAExample:
    """A training example. `id` is a content hash; it goes stale when a source chunk is gone or changed."""

    id: str
    task: str
    language: Language
    document: str
    """Id of the source document; empty for tasks that need none."""
    unit: str
    """What is never split between training and test: a document, or a drug of a monograph file."""
    sources: tuple[Source, ...]
    """The first is the chunk that holds the (beginning of the) answer."""
    question: str
    answers: tuple[str, ...]
    """The first is the target; the others are as right."""
    answerable: bool
    topic: str = ""
    """Type of question (dose, contraindication, …) or the monograph's field."""
    persona: str = ""
    difficulty: str = ""
    messages: tuple[Message, ...] = ()
    """The whole conversation, system message left out; empty where question and answer say it all."""
    generator: str = ""
    """'fields', 'feedback', a file's name, or the model."""
    prompt: str = ""
    """Name and version of the prompt or templates, e.g. 'qa/1'."""
    state: ExampleState = "candidate"
    reason: str = ""
    """Why it was dropped or rejected: 'filter: reason', or the reviewer's words."""
    parent: str = ""
    """Id of the example this one was made from (edited, expanded)."""
    created: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Answer event: the passages, before the first word."""

    hits: tuple[Hit, ...]
    searched_as: str = ""
    """The question as it was searched, where a follow-up was made to stand alone."""


@dataclass(frozen=True, slots=True)
class Delta:
    """Answer event: more text. Joined, the deltas since the last Restart are the answer so far."""

    text: str


@dataclass(frozen=True, slots=True)
class Restart:
    """Answer event: what was shown is withdrawn (the model failed); deltas begin anew."""

    notice: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Answer event, always the last."""

    answer: Answer


AnswerEvent = Found | Delta | Restart | Finished
