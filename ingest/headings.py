"""Lines in, headings out: which lines are headings, and how they nest.

Three signs, strongest first: the document's own outline, a numbering (第三章, 一、, 1.2.3, Chapter, SECTION), and a
size, capitals or a bold face that set a short line apart. Each gives a rank (small = outer); the path of a line is the
stack of headings above it. A wrong heading costs little (the line stays in the text); doubtful lines are left as text.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain

from ingest.clean import normalise
from ingest.document_lines import FlatLine
from kb.types import Box, DocumentKind, OutlineEntry

_ZH = "一二三四五六七八九十百零〇"
_SIZE_RANK = 16  # ranks: outline 0–9, parts and chapters 10–14, sizes 16–25, numbering from 30 on
_CONTENTS_RANK = 15
_LARGER = 1.12
_TITLE_LONGEST = 100

# (pattern, rank). Deeper dotted numbers add their depth.
_NUMBERED: tuple[tuple[re.Pattern[str], int], ...] = (
    (re.compile(rf"第[{_ZH}\d]+(?:部分|篇|卷|编)(?:\s|$|[^之的])"), 10),
    (re.compile(r"(?:PART|Part)\s+(?:[IVX]+|\d+)\b"), 10),
    (re.compile(rf"第[{_ZH}\d]+章"), 12),
    (re.compile(r"(?:CHAPTER|Chapter)\s+(?:[IVX]+|\d+)\b"), 12),
    (re.compile(rf"附(?:录|件|表)\s*(?:[A-Z\d{_ZH}]|$)"), 12),
    (re.compile(r"(?:APPENDIX|Appendix)\b"), 12),
    (re.compile(r"<[^<>\s]{1,4}>\s*\S"), 12),
    (re.compile(rf"第[{_ZH}\d]+节"), 14),
    (re.compile(r"(?:SECTION|Section)\s+(?:[IVX]+|\d+)\b"), 14),
    (re.compile(rf"[{_ZH}]{{1,3}}[、.．]\s*\S"), 30),
    (re.compile(rf"[（(][{_ZH}]{{1,3}}[)）]\s*\S"), 40),
)
_DOTTED = re.compile(r"(\d{1,2}(?:\s?[.．]\s?\d{1,2}){0,4})(?P<end>[.．、]?)\s*(?P<title>\S.*)")
_DOTTED_RANK = 50
_CAPITALS_RANK = 50
_BRACKETED_RANK = 60  # (1) 监管信息
_BOLD_RANK = 70
_BOLD_LINES = 3  # bold lines below one another that may be a heading; more are a paragraph
_MOSTLY_BOLD = 0.35  # share of bold characters from which on bold says nothing
_TAG = re.compile(r"<[^<>\s]{1,4}>\s*")  # <篇名>, in digital editions of the classics
_BRACKETED = re.compile(r"[（(]\d{1,2}[)）]\s?(?P<title>[\u3400-\u9fff][^，。；、：:;,.]{1,19})")
_ZH_NUMBERED = re.compile(rf"(?:[{_ZH}]{{1,3}}[、.．]|[（(][{_ZH}]{{1,3}}[)）])\s*\S")
_MARKDOWN = re.compile(r"(#{1,6})\s+(\S.*?)\s*#*$")
_LEADER = re.compile(r"(?:[.．·•…‧]\s?){4,}\s*\d{1,4}\s*$|…{2,}\s*\d{1,4}\s*$")
_CONTENTS = frozenset({"contents", "tableofcontents", "目录", "目次"})
_MAY_END_CONTENTS = re.compile(r"[sSſ录次][\W_]*$")
_NOT_ALPHANUMERIC = {code: None for code in range(128) if not chr(code).isalnum()}
_SENTENCE_END = re.compile(r"[。；;，,、！!？?：:.…]$")
_DIGIT_FIRST = re.compile(r"\d{1,2}[\s.]")
_BOXED_WARNING = re.compile(r"(?:BOXED )?WARNINGS?:", re.IGNORECASE)
_LABEL_PART = re.compile(
    r"(?:MEDICATION GUIDE|PATIENT INFORMATION|PATIENT COUNSELING|INFORMATION FOR PATIENTS|PATIENT PACKAGE INSERT"
    r"|INSTRUCTIONS FOR USE|PRINCIPAL DISPLAY PANEL|PACKAGE LABEL)\b",
    re.IGNORECASE,
)
# Sentences that open a part of FDA labels (21 CFR 201.57(c)(18), 208.20), the part, and what its printed title has.
_LABEL_OPENINGS = (
    (re.compile(r"Advise the patient to read the FDA-approved patient labeling\b"), "Patient Counseling Information",
     re.compile("PATIENT COUNSELING|INFORMATION FOR PATIENTS", re.IGNORECASE)),
    (re.compile(r"Read this Medication Guide before you (?:start|begin)\b"), "Medication Guide",
     re.compile("MEDICATION GUIDE", re.IGNORECASE)),
)  # fmt: skip
_LETTERS = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Heading:
    """Lines [first, last] are a heading of this rank and title; none if last < first: the section begins untitled."""

    first: int
    last: int
    rank: int
    title: str


def find_headings(
    lines: Sequence[FlatLine],
    outline: Sequence[OutlineEntry],
    contents: Set[str],
    *,
    kind: DocumentKind,
    body_size: float,
) -> list[Heading]:
    """The headings among `lines`, in order.

    `contents` are keys of titles that the printed table of contents lists; `body_size` is that of running text (0 if
    unknown).
    """
    if kind == "markdown":
        return _markdown(lines)
    found = {heading.first: heading for heading in _from_outline(lines, outline)}
    taken = {i for heading in found.values() for i in range(heading.first, heading.last + 1)}
    for heading in _by_looks(lines, taken, contents, body_size):
        found[heading.first] = heading
    return _with_label_parts([found[i] for i in sorted(found)], lines)


def _markdown(lines: Sequence[FlatLine]) -> list[Heading]:
    found: list[Heading] = []
    fenced = False
    for i, line in enumerate(lines):
        if line.text.lstrip().startswith("```"):
            fenced = not fenced
        match = None if fenced else _MARKDOWN.match(line.text)
        if match:
            found.append(Heading(i, i, len(match[1]), match[2]))
    return found


# -- printed table of contents -----------------------------------------------------------------------------------------


def find_contents(lines: Sequence[FlatLine]) -> tuple[set[int], Set[str]]:
    """(indices of the lines of a printed table of contents, keys of the titles it lists).

    Its lines are known by their dot leaders, or by standing under 'Contents' or 目录 and recurring later. They lead a
    search astray (each names a subject and says nothing of it) but tell which lines are headings.
    """
    leaders: list[int] = []
    begins: list[int] = []
    for i, line in enumerate(lines):
        if _LEADER.search(line.text):
            leaders.append(i)
        if _MAY_END_CONTENTS.search(line.text):
            key = _key(line.text)
            if key in _CONTENTS or (key.endswith("contents") and len(key) < 45):
                begins.append(i)
    listed = set(leaders) if len(leaders) >= 3 else set()
    if begins:
        keys = array("q", (hash(key) if (key := _key(line.text)) else 0 for line in lines))
        for i in begins:
            listed |= _listed_under(i, lines, keys)
    titles = {_key(_LEADER.sub("", lines[i].text)) for i in listed} - _CONTENTS - {""}
    return listed, titles


def _listed_under(heading: int, lines: Sequence[FlatLine], keys: Sequence[int]) -> set[int]:
    """The heading 'Contents' and the lines below it up to the last one that recurs as a line of its own later."""
    last = heading
    end = min(heading + 80, len(lines))
    asked = set(keys[heading + 1 : end])
    later = Counter(key for key in keys[heading + 1 :] if key in asked)
    for i in range(heading + 1, end):
        recurs = later[keys[i]] > 1 and len(_key(lines[i].text)) > 2
        if _LEADER.search(lines[i].text) or recurs:
            last = i
        elif i - last > 8 or keys.index(keys[i]) < heading:
            break
    return set(range(heading, last + 1)) if last > heading + 1 else set()


# -- outline ---------------------------------------------------------------------------------------------------------


def _key(text: str) -> str:
    if text.isascii():
        return text.translate(_NOT_ALPHANUMERIC).lower()
    return "".join(c for c in normalise(text).casefold() if c.isalnum())


def _from_outline(lines: Sequence[FlatLine], outline: Sequence[OutlineEntry]) -> list[Heading]:
    """Outline entries whose title stands on their page, as one line or up to three."""
    entries: dict[int, list[OutlineEntry]] = defaultdict(list)
    for entry in outline:
        entries[entry.page].append(entry)
    places: dict[int, list[int]] = defaultdict(list)
    for i, line in enumerate(lines):
        if line.page in entries:
            places[line.page].append(i)
    found: list[Heading] = []
    for page, candidates in places.items():
        keys = {i: _key(lines[i].text) for i in candidates}
        used: set[int] = set()
        for entry in entries[page]:
            wanted = _key(entry.title)
            span = _match(wanted, candidates, keys, used) if wanted else None
            if span:
                used.update(range(span[0], span[1] + 1))
                title = " ".join(normalise(entry.title).split())[:_TITLE_LONGEST]
                found.append(Heading(span[0], span[1], min(entry.level, 9), title))
    return sorted(found, key=lambda heading: heading.first)


def _match(wanted: str, candidates: Sequence[int], keys: dict[int, str], used: set[int]) -> tuple[int, int] | None:
    for at, first in enumerate(candidates):
        if first in used or not keys[first]:
            continue
        joined = ""
        for last in candidates[at : at + 3]:
            joined += keys[last]
            numbered = joined.endswith(wanted) and len(joined) - len(wanted) <= 6 and joined[:1].isdigit()
            if joined == wanted or numbered:
                return first, last
            if not wanted.startswith(joined):
                break
    return None


# -- numbering, size, capitals -----------------------------------------------------------------------------------------


def _by_looks(lines: Sequence[FlatLine], taken: set[int], contents: Set[str], body_size: float) -> list[Heading]:
    sizes = _heading_sizes(lines, body_size)
    bold = _bold_lines(lines)
    ranks: dict[int, int] = {}
    for i, line in enumerate(lines):
        larger = line.size >= _LARGER * body_size > 0
        if i not in taken and not line.in_table and _could_be(line, larger or i in bold):
            rank = _rank(line, sizes, body_size, bold=i in bold)
            if _key(line.text) in contents:
                rank = _CONTENTS_RANK if rank is None else rank
            wraps = _goes_on_plain if i in bold else _wraps
            if rank is not None and (larger or not (wraps(lines, i) or _in_cell(lines, i))):
                ranks[i] = rank
    _drop_lists(ranks, lines)
    _drop_title(ranks, taken)
    return list(_merged(ranks, lines, bold))


def _bold_lines(lines: Sequence[FlatLine]) -> set[int]:
    """Bold lines that may be headings: not those of paragraphs, nor any where much of the text is bold."""
    plain = bold = 0
    found: set[int] = set()
    run: list[int] = []
    page = 0
    for i, line in enumerate(chain(lines, [FlatLine("", 0, None, 0)])):
        if run and (not line.bold or line.page != page or _is_numbered(line.text)):
            found.update(run if len(run) <= _BOLD_LINES else ())
            run = []
        if line.bold:
            bold += len(line.text)
            run.append(i)
        else:
            plain += len(line.text)
        page = line.page
    return set() if bold > _MOSTLY_BOLD * (bold + plain) else found


def _goes_on_plain(lines: Sequence[FlatLine], i: int) -> bool:
    """Whether text in the usual face goes on from a bold line in mid-sentence."""
    following = lines[i + 1] if i + 1 < len(lines) else None
    return following is not None and not following.bold and _is_full(lines, i) and following.text[:1].islower()


def _goes_on_bold(lines: Sequence[FlatLine], i: int, bold: Set[int]) -> bool:
    """Whether a bold line is the second line of a heading: of its size, below a line that was full."""
    return i - 1 in bold and _is_full(lines, i - 1) and abs(lines[i].size - lines[i - 1].size) < 0.1 * lines[i].size


def _is_full(lines: Sequence[FlatLine], i: int) -> bool:
    """Whether the line reaches as far right as those around it, so that it may go on in the next."""
    line = lines[i]
    if line.box is None:
        return False
    return line.box[2] > _right_edge(lines, i) - 8 * max(line.size, 6)


def _right_edge(lines: Sequence[FlatLine], i: int) -> float:
    """How far right the lines around this one go, on its page."""
    page = lines[i].page
    return max((x.box[2] for x in lines[max(0, i - 6) : i + 7] if x.box and x.page == page), default=0.0)


def _could_be(line: FlatLine, stands_out: bool) -> bool:
    """Short, with letters, and not reading like a sentence."""
    text = line.text.strip()
    width = width_of(text)
    if len(text) < 2 or width > 90 or not _LETTERS.search(text) or not _balanced(text):
        return False
    if _ZH_NUMBERED.match(text) and len(text) <= 24 and text[-1] == "。":
        return "。" not in text[:-1]
    if _SENTENCE_END.search(text) and not (stands_out and text[-1] in ":：?？"):
        return False
    return "。" not in text and not (len(text) > 20 and re.search("[，；]", text))


def width_of(text: str) -> int:
    """Its width in Latin letters; a Chinese character takes two."""
    return len(text) if text.isascii() else sum(2 if c > "\u2e80" else 1 for c in text)


def _balanced(text: str) -> bool:
    """Whether no bracket is left open or closed alone: a line that has one is a piece of a longer text."""
    return all(text.count(a) + text.count(b) == text.count(c) + text.count(d) for a, b, c, d in ("(（)）", "[【]】"))


def _rank(line: FlatLine, sizes: dict[float, int], body_size: float, *, bold: bool) -> int | None:
    text = line.text.replace("\t", " ", 1).strip()
    if "\t" in text:
        return None  # cells of a table row
    for pattern, rank in _NUMBERED:
        if pattern.match(text):
            return rank
    larger = body_size > 0 and line.size >= _LARGER * body_size
    dotted = _DOTTED.match(text)
    if dotted:
        title = dotted["title"]
        depth = len(re.split(r"[.．]", dotted[1]))
        chinese = title[0] > "\u2e80"
        latin = title[0].isupper() and (depth > 1 or larger or bold or _capitals(title) or dotted["end"] == "")
        loose = dotted["end"] == "" and depth == 1  # '5 毫克' is no heading, '5 WARNINGS' is
        if chinese and not loose and title[0] not in "，。、；：）)年月日":
            return _DOTTED_RANK + depth - 1
        if latin and (not loose or _capitals(title) or larger or bold) and len(title.split()) <= 14:
            return _DOTTED_RANK + depth - 1
    if larger:
        return sizes.get(round(line.size, 0), _SIZE_RANK + 9)
    set_in_type = line.box is not None or line.size > 0  # in plain text and records such lines are anything
    if set_in_type and _capitals(text):
        return _CAPITALS_RANK
    if set_in_type and _BRACKETED.fullmatch(text):
        return _BRACKETED_RANK
    return _BOLD_RANK if bold else None


def _capitals(text: str) -> bool:
    letters = [c for c in text if c.isalpha()]
    words = re.findall(r"[A-Z]{3,}", text)
    return len(letters) >= 6 and all(c.isupper() for c in letters) and letters[0] < "\u0250" and bool(words)


def _heading_sizes(lines: Sequence[FlatLine], body_size: float) -> dict[float, int]:
    """Rank of each size larger than the body's, largest outermost."""
    larger = sorted({round(line.size, 0) for line in lines if line.size >= _LARGER * body_size > 0}, reverse=True)
    return {size: _SIZE_RANK + min(i, 9) for i, size in enumerate(larger)}


def _wraps(lines: Sequence[FlatLine], i: int) -> bool:
    """Whether the line runs on into the next, as a numbered sentence does."""
    line = lines[i]
    if line.box is None or i + 1 >= len(lines):
        return False
    if _capitals(line.text) and _capitals(lines[i + 1].text):
        return False  # a long title in capitals goes on in capitals
    size = max(line.size, 6)
    wide = width_of(line.text) >= 30  # narrower than any column: it cannot be full
    if wide and line.box[2] > _right_edge(lines, i) - 2.5 * size:
        return True
    following = lines[i + 1]
    if following.box is None or following.page != line.page:
        return False
    return 0 < line.box[1] - following.box[1] < 2.2 * size and following.text[:1].islower()


def _in_cell(lines: Sequence[FlatLine], i: int) -> bool:
    """Whether the line fills the width of a table's cell and goes on below, as a note '3. Marked †, these …' does.

    A heading has nothing beside it, or (in a column of prose) text under it that is wider than it is.
    """
    box = lines[i].box
    if box is None:
        return False
    size = max(lines[i].size, 6)
    below: list[Box] = []
    for line in lines[i + 1 : i + 4]:
        above = below[-1] if below else box
        if line.box is None or line.page != lines[i].page or abs(line.box[0] - box[0]) > size:
            break
        if not 0 < above[1] - line.box[1] < 2.2 * size:
            break
        below.append(line.box)
    if not below or box[2] < max(b[2] for b in below) - 1.5 * size:
        return False
    return any(
        (other.box[2] < box[0] or other.box[0] > box[2])
        and min(box[3], other.box[3]) - max(box[1], other.box[1]) > 0.4 * (box[3] - box[1])
        for other in _on_page(lines, i)
        if other.box is not None
    )


def _on_page(lines: Sequence[FlatLine], i: int) -> Sequence[FlatLine]:
    first = last = i
    while first > 0 and lines[first - 1].page == lines[i].page:
        first -= 1
    while last + 1 < len(lines) and lines[last + 1].page == lines[i].page:
        last += 1
    return lines[first : last + 1]


def _drop_lists(ranks: dict[int, int], lines: Sequence[FlatLine]) -> None:
    """Numbered lines that follow one another with nothing between are a list, not headings."""
    for i in sorted(ranks):
        if ranks[i] < _DOTTED_RANK or ranks[i] == _BOLD_RANK:
            continue
        run = [i]
        while run[-1] + 1 in ranks and ranks[run[-1] + 1] == ranks[i]:
            run.append(run[-1] + 1)
        capitals = all(_capitals(lines[j].text) for j in run)
        if (len(run) > 1 and not capitals) or len(run) > 3:
            for j in run:
                ranks[j] = 1000
    for i in [i for i, rank in ranks.items() if rank == 1000]:
        del ranks[i]


def _drop_title(ranks: dict[int, int], taken: set[int]) -> None:
    """Large lines that come before any other heading, each of a size that no other has, are the document's title."""
    counts = Counter(ranks.values())
    for i in sorted(ranks):
        if not _SIZE_RANK <= ranks[i] < _SIZE_RANK + 10 or counts[ranks[i]] > 2 or any(j < i for j in taken):
            return
        del ranks[i]


def _merged(ranks: dict[int, int], lines: Sequence[FlatLine], bold: Set[int]) -> list[Heading]:
    """Headings; neighbouring lines of one unnumbered heading become one."""
    found: list[Heading] = []
    for i in sorted(ranks):
        title = _TAG.sub("", " ".join(lines[i].text.split()))[:_TITLE_LONGEST]
        last = found[-1] if found else None
        if (
            last is not None
            and last.last == i - 1
            and last.last - last.first < 3
            and lines[i].page == lines[i - 1].page
            and not _is_numbered(lines[i].text)
            and (_goes_on_bold(lines, i, bold) if ranks[i] == _BOLD_RANK else last.rank == ranks[i] >= _SIZE_RANK)
        ):
            glue = "" if last.title[-1] > "\u2e80" else " "
            found[-1] = Heading(last.first, i, last.rank, last.title + glue + title)
        else:
            found.append(Heading(i, i, ranks[i], title))
    return found


def _is_numbered(text: str) -> bool:
    return bool(_DOTTED.match(text.strip())) or any(pattern.match(text.strip()) for pattern, _ in _NUMBERED)


# -- parts of drug labels ----------------------------------------------------------------------------------------------


def _with_label_parts(headings: list[Heading], lines: Sequence[FlatLine]) -> list[Heading]:
    """The parts that follow a label's numbered sections (medication guide, package panel) end those sections.

    Repackagers' labels often leave their titles out: then the sentence that the rules make each begin with stands in.
    """
    numbered = [heading.rank for heading in headings if _DIGIT_FIRST.match(heading.title)]
    if not numbered:
        return headings
    top = min(numbered)
    found = {
        heading.first: replace(heading, rank=min(heading.rank, top)) if _LABEL_PART.match(heading.title) else heading
        for heading in headings
    }
    for opening, title, printed in _LABEL_OPENINGS:
        first = next((i for i, line in enumerate(lines) if opening.match(line.text)), None)
        if first is not None and not any(i <= first and printed.search(found[i].title) for i in found):
            found[first] = Heading(first, first - 1, top, title)
    return [found[i] for i in sorted(found)]


# -- paths -------------------------------------------------------------------------------------------------------------


def heading_paths(headings: Sequence[Heading]) -> list[tuple[str, ...]]:
    """The section path of each heading, itself last."""
    stack: list[Heading] = []
    families: list[str] = []  # for each heading on the stack: the chapter number of the dotted headings under it
    paths: list[tuple[str, ...]] = []
    for heading in headings:
        while stack and stack[-1].rank >= heading.rank:
            stack.pop()
            families.pop()
        chapter = _chapter(heading)
        if stack and chapter and _BOXED_WARNING.match(stack[-1].title):
            stack.pop()  # a boxed warning is all there is under its title
            families.pop()
        while stack and chapter and stack[-1].rank >= _CONTENTS_RANK and families[-1] not in ("", chapter):
            stack.pop()  # 5.2 does not stand under what 1.7 stood under
            families.pop()
        if families and chapter:
            families[-1] = chapter
        stack.append(heading)
        families.append("")
        paths.append(tuple(one.title for one in stack))
    return paths


def _chapter(heading: Heading) -> str:
    """'5' of '5.2 Tendinitis'; '' of a heading without a dotted number."""
    found = _DOTTED.match(heading.title)
    return found[1].split(".")[0].strip() if found and "." in found[1] else ""


def top_rank(headings: Sequence[Heading]) -> int:
    """The outermost rank that parts the document: the smallest one that occurs more than once (-1: none)."""
    counts = Counter(heading.rank for heading in headings)
    repeated = [rank for rank, count in counts.items() if count > 1]
    return min(repeated, default=-1)
