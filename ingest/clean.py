"""Pages as read in, pages fit for chunking out: characters normalised, page furniture gone. Also how lines are joined.

Characters: NFKC where it only changes the form (ligatures, ㎎, full-width letters, Kangxi radicals), never where it
would change what is said: superscripts, fractions and circled digits stay (10⁹ must not become 109, nor 1½ 11⁄2), and
so does Chinese punctuation, which sentences are found by. Furniture is what repeats in the page margins on pages near
one another, digits apart, and only there; a line in the body is never touched.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ingest.asides import Beside, beside_text, lines_beside, with_footnotes
from kb.types import Page

_MARGIN = 0.13  # share of the page's height at top and bottom in which furniture may stand
_OUTERMOST = 4  # lines of each margin that are looked at
_NEAR = 4  # pages around a page in which its furniture must repeat …
_REPEATS = 2  # … at least this often
_KEEP = frozenset("，：；！？（）～｛｝［］＜＞＝＋－＂＃＄＆＊＠＼＾＿｀｜")
_KEPT_FORMS = ("<super>", "<sub>", "<fraction>", "<circle>")
_RADICALS = str.maketrans(
    "⺟⺠⻄⻅⻆⻉⻋⻓⻔⻘⻚⻛⻜⻝⻢⻣⻤⻥⻦⻩⻬⻮⻰⼾",
    "母民西见角贝车长门青页风飞食马骨鬼鱼鸟黄齐齿龙户",
)
_PRIVATE = str.maketrans(
    {"\uf0b7": "•", "\uf0a7": "▪", "\uf06e": "■", "\uf0d8": "➢", "\uf0fc": "✓", "\uf0b2": "□", "\uf075": "◆",
     "\uf06c": "●", "\uf0e0": "→", "\uf0b3": "≥", "\uf0b1": "±", "\uf06d": "μ", "\uf0b0": "°", "\uf0b4": "×"}
)  # fmt: skip
_DROPPED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffe\ufff9-\uffff]")
_SPACES = re.compile(r"[ \u00a0\u2000-\u200a\u202f\u205f\u3000]+")
_PLAIN = re.compile(r"[\t -~]*")
_CJK = (
    "\u2e80-\u2fdf\u3000-\u303f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff0f\uff1a-\uff20"
    "\uff3b-\uff40\uff5b-\uff65\U00020000-\U0002ffff“”‘’…—《》"
)
# Justified by widening: single characters, or in a narrow cell pairs among them.
_SPACED_OUT = re.compile(rf"(?<![^\s]{{2}})(?:[{_CJK}]{{1,2}} ){{4,}}[{_CJK}]{{1,2}}(?![^\s])")
_ENDS_CJK = re.compile(rf"[{_CJK}]$")
_BEGINS_CJK = re.compile(rf"[{_CJK}]")
_WORD = re.compile(r"[^\W\d_]+")
_BROKEN_WORD = re.compile(r"([^\W\d_]+)[-\u2010\u00ad]$")
_ROMAN = re.compile(r"m{0,3}(?:cm|cd|d?c{0,3})(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})")
_PAGE_NUMBER = re.compile(
    r"\W*(?:page|p\.|第)?\W*(?P<n>\d{1,5}|[ivxlc]{1,7})\W*页?\W*(?:(?:of|/|共)\W*\d{1,5}\W*页?)?\W*", re.IGNORECASE
)
# Prefixes whose hyphen is part of the word when the text itself does not tell.
_PREFIXES = frozenset("self non well high low long short half cross double single twice once multi all ex anti".split())


# -- characters ------------------------------------------------------------------------------------------------------


def normalise(text: str) -> str:
    """The text with each character in its plain form; see the module's docstring for what is left as it is."""
    if not _PLAIN.fullmatch(text):
        text = _DROPPED.sub("", text).translate(_RADICALS).translate(_PRIVATE)
        text = "".join(map(_plain, unicodedata.normalize("NFC", text)))
        text = text[:-1].replace("\u00ad", "") + text[-1:]
        text = _SPACES.sub(" ", text)
        text = _SPACED_OUT.sub(_closed_up, text)
    return _SPACES.sub(" ", text).strip(" \n")


def _closed_up(found: re.Match[str]) -> str:
    """Spaced-out characters without their spaces; pairs among them may be words of a list if they are many."""
    groups = found.group().split(" ")
    return "".join(groups) if sum(map(len, groups)) <= 1.4 * len(groups) else found.group()


@lru_cache(maxsize=1 << 16)
def _plain(character: str) -> str:
    """One character's compatibility form, taken apart step by step so that ㎡ gives m² and not m2."""
    if character < "\u0080" or character in _KEEP:
        return character
    form = unicodedata.decomposition(character)
    if not form.startswith("<"):
        # CJK compatibility ideographs have a canonical form; accents stay composed.
        return unicodedata.normalize("NFC", character)
    kind, *codes = form.split()
    if kind in _KEPT_FORMS:
        return character
    if "\u2488" <= character <= "\u249b":  # ⒈: with the dot, '⒈5' would read as 1.5
        return unicodedata.normalize("NFKC", character) + " "
    return "".join(_plain(chr(int(code, 16))) for code in codes)


# -- joining lines ---------------------------------------------------------------------------------------------------


class Joiner:
    """Decides how two lines of one paragraph are put together; knows the document's words, to mend hyphens by."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._words: set[str] = set()
        self._compounds: set[str] = set()
        for line in lines:
            # The last word of a line may be a broken one: it is no evidence.
            lower = line.lower()
            found = _WORD.findall(lower)
            self._words.update(found[:-1] if lower.endswith(("-", "\u00ad", "\u2010")) else found)
            if "-" in lower:
                self._compounds.update(re.findall(r"[^\W\d_]+-[^\W\d_]+", lower))

    def join(self, left: str, right: str) -> tuple[str, str]:
        """(left as it ends now, what stands between): ('recom', '') for 'recom-' before 'mended'."""
        if not left or not right:
            return left, ""
        if left.endswith("\u00ad"):
            return left[:-1], ""
        broken = _BROKEN_WORD.search(left)
        if broken and right[0].islower():
            after = _WORD.match(right)
            keep = after is None or self._is_compound(broken.group(1).lower(), after.group().lower())
            return (left if keep else left[:-1]), ""
        if left[-1] in "-\u2010–—/" and len(left) > 1 and not left[-2].isspace():
            return left, ""
        if _ENDS_CJK.search(left) or _BEGINS_CJK.match(right):
            return left, ""
        return left, " "

    def _is_compound(self, first: str, second: str) -> bool:
        if f"{first}-{second}" in self._compounds or len(first) == 1:
            return True  # also β-lactamase, T-cell, X-ray
        if first + second in self._words:
            return False
        return first in _PREFIXES or (first in self._words and second in self._words and len(first) > 2)


# -- furniture -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Candidate:
    line: int
    key: str
    row: int  # its height on the page, in steps of 6 points
    offset: int | None  # printed number minus page number, if the line is a page number
    words: bool


@dataclass(frozen=True, slots=True)
class _Looked:
    """A page with normalised text, and the lines of it that go if they repeat."""

    page: Page
    margins: tuple[_Candidate, ...]
    beside: Beside


def clean_pages(pages: Iterable[Page]) -> list[Page]:
    """The pages with normalised text, without running headers, footers, page and line numbers, watermarks; footnotes
    have a role of their own."""
    return list(cleaned(pages))


def cleaned(pages: Iterable[Page]) -> Iterator[Page]:
    """The same one after another: each page as soon as those near it, in which its furniture must repeat, are here."""
    last: int | None = None
    for near, at, few in _with_near(map(_looked_at, pages)):
        page = near[at].page
        dropped = _furniture(near, at, few) | lines_beside([one.beside for one in near], at, few)
        numbers = _line_numbers(page, last)
        last = int(page.lines[max(numbers)].text) if numbers else None
        yield with_footnotes(_without(page, dropped | numbers))


def _with_near(pages: Iterable[_Looked]) -> Iterator[tuple[list[_Looked], int, int]]:
    """(a page and up to _NEAR on either side of it, its place among them, how many must repeat in a short document)."""
    window: list[_Looked] = []
    at = seen = 0
    for page in pages:
        seen += 1
        window.append(page)
        if len(window) - at > _NEAR:
            yield window, at, min(_REPEATS, seen - 1)
            if at == _NEAR:
                del window[0]
            else:
                at += 1
    while at < len(window):
        yield window[max(0, at - _NEAR) :], min(at, _NEAR), min(_REPEATS, seen - 1)
        at += 1


def _looked_at(page: Page) -> _Looked:
    page = _normalised(page)
    return _Looked(page, tuple(_candidates(page)), beside_text(page))


def _normalised(page: Page) -> Page:
    lines = (replace(line, text=text) for line in page.lines if (text := normalise(line.text)) or line.box is None)
    return replace(page, lines=tuple(lines))


def _without(page: Page, dropped: set[int]) -> Page:
    if not dropped:
        return page
    return replace(page, lines=tuple(line for i, line in enumerate(page.lines) if i not in dropped))


def _furniture(near: Sequence[_Looked], at: int, needed: int) -> set[int]:
    """The lines of page `at` that repeat in the margins of so many of the others."""
    found: set[int] = set()
    others = [one.margins for i, one in enumerate(near) if i != at]
    for one in near[at].margins:
        steady = one.offset is not None and (
            sum(any(o.offset == one.offset and (o.row > 0) == (one.row > 0) for o in page) for page in others)
            >= max(1, needed)
        )
        if steady or (
            one.words
            and needed >= _REPEATS
            and sum(any(o.words and o.key == one.key and abs(o.row - one.row) <= 1 for o in page) for page in others)
            >= needed
        ):
            found.add(one.line)
    return found


def _candidates(page: Page) -> list[_Candidate]:
    """The outermost lines of both margins."""
    if page.height <= 0:
        return []
    boxed = [(i, line, line.box) for i, line in enumerate(page.lines) if line.box is not None]
    boxed.sort(key=lambda item: item[2][1])
    low = [item for item in boxed if item[2][3] < _MARGIN * page.height][:_OUTERMOST]
    high = [item for item in boxed[::-1] if item[2][1] > (1 - _MARGIN) * page.height][:_OUTERMOST]
    made = []
    for sign, items in ((-1, low), (1, high)):
        for i, line, box in items:
            number = _page_number(line.text)
            key = re.sub(r"\d+", "#", re.sub(r"\s+", "", line.text.lower()))
            # A table's header row repeats too: many cells and no number mark it as content.
            header_row = line.text.count("\t") >= 2 and "#" not in key
            words = bool(re.search(r"[^\W\d_]", key)) and not header_row
            row = sign * (1 + round((page.height - box[3] if sign > 0 else box[1]) / 6))
            offset = None if number is None else number - page.number
            made.append(_Candidate(i, key, row, offset, words))
    return made


def _page_number(text: str) -> int | None:
    found = _PAGE_NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    number = found["n"].lower()
    if number.isdecimal():
        return int(number)
    return _roman(number) if _ROMAN.fullmatch(number) else None


def _roman(text: str) -> int:
    values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100, "d": 500, "m": 1000}[letter] for letter in text]
    pairs = zip(values, [*values[1:], 0], strict=True)
    return sum(-value if value < following else value for value, following in pairs)


def _line_numbers(page: Page, last: int | None) -> set[int]:
    """Indices of the line numbers that the reader has put after the page's text (ingest.layout)."""
    run: list[int] = []
    for i in range(len(page.lines) - 1, -1, -1):
        text = page.lines[i].text
        if not (text.isdecimal() and len(text) < 5) or (run and int(text) + 1 != int(page.lines[run[-1]].text)):
            break
        run.append(i)
    boxes = [line.box for line in page.lines]
    inner = [box[0] for i, box in enumerate(boxes) if box and i not in run]
    outer = [box[2] for i in run if (box := boxes[i])]
    goes_on = bool(run) and last is not None and int(page.lines[run[-1]].text) == last + 1
    if not outer or not (goes_on or len(run) >= 5) or max(outer) > sorted(inner or [0.0])[len(inner) // 20]:
        return set()
    return set(run)
