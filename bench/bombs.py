"""Files that mean harm: `python -m bench.bombs [--nasty FOLDER] [--limit-s 60]`.

Bombs are made here: page trees that loop, huge pages, streams and archives that unpack to gigabytes, a hundred thousand
pages, deep nesting. Each, and each file of FOLDER, is added to a library of its own process group; printed is how many
were read and refused, the slowest, and the most memory of any process that read text. Every file must end within the
limit, with a reason if it was refused, and the process that adds must live.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.faults import opened
from ingest.add import Added, add_paths
from kb.knowledge_base import KnowledgeBase

_MIB = 1 << 20


# -- the bombs -------------------------------------------------------------------------------------------------------


def _pdf(objects: Sequence[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out + trailer)


def _stream(data: bytes, extra: bytes = b"/Filter /FlateDecode") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), extra, data)


_CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
_ONE_PAGE = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
_PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 600] /Contents 4 0 R %s >>"
_FONT = b"/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"


_TEXT = _stream(zlib.compress(b"BT /F1 12 Tf 50 500 Td (The dose is 5 mg.) Tj ET"))


def _one_page(content: bytes, *, media: bytes = b"[0 0 400 600]") -> bytes:
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox %s /Contents 4 0 R %s >>" % (media, _FONT)
    return _pdf([_CATALOG, _ONE_PAGE, page, content])


def _spaces(gigabytes: int, *, wbits: int = 15) -> bytes:
    """Compressed: a stream that unpacks to so many gigabytes of spaces. One block, flushed, stands there many times."""
    packer = zlib.compressobj(9, wbits=wbits)
    head = packer.compress(b" " * (64 * _MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * (64 * _MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * (16 * gigabytes - 1) + packer.flush()  # its checksum is wrong, but comes at the end


def page_loop() -> bytes:
    inner = b"<< /Type /Pages /Kids [2 0 R] /Count 9 >>"
    return _pdf([_CATALOG, b"<< /Type /Pages /Kids [3 0 R 2 0 R] /Count 9 >>", inner])


def parent_loop() -> bytes:
    page = b"<< /Type /Page /Parent 3 0 R /MediaBox [0 0 400 600] /Contents 4 0 R >>"
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 /Parent 2 0 R >>"
    return _pdf([_CATALOG, pages, page, _stream(zlib.compress(b""))])


def huge_page() -> bytes:
    return _one_page(_TEXT, media=b"[0 0 100000000 100000000]")


def huge_image() -> bytes:
    image = b"/Type /XObject /Subtype /Image /Width 60000 /Height 60000 /BitsPerComponent 8 /ColorSpace /DeviceGray"
    page = _PAGE % b"/Resources << /XObject << /I 5 0 R >> >>"
    draw = _stream(zlib.compress(b"400 0 0 600 0 0 cm /I Do"))
    picture = _stream(_spaces(3), image + b" /Filter /FlateDecode")
    return _pdf([_CATALOG, _ONE_PAGE, page, draw, picture])


def unpacking_page() -> bytes:
    return _one_page(_stream(_spaces(4)))


def twice_packed_page() -> bytes:
    return _one_page(_stream(zlib.compress(_spaces(8), 9), b"/Filter [/FlateDecode /FlateDecode]"))


def endless_text() -> bytes:
    packer = zlib.compressobj(9)
    shown = b"BT /F1 1 Tf 1 0 0 1 5 5 Tm (The dose is 5 mg and 5 mg and 5 mg.) Tj ET\n" * 20_000
    return _one_page(_stream(b"".join([packer.compress(shown) for _ in range(100)]) + packer.flush()))


def form_loop() -> bytes:
    itself = b"/Resources << /XObject << /X 5 0 R >> >>"
    kind = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Filter /FlateDecode "
    form = _stream(zlib.compress(b"/X Do /X Do"), kind + itself)
    return _pdf([_CATALOG, _ONE_PAGE, _PAGE % itself, _stream(zlib.compress(b"/X Do")), form])


def outline_loop() -> bytes:
    catalog = b"<< /Type /Catalog /Pages 2 0 R /Outlines 5 0 R >>"
    entry = b"<< /Title (Again) /Parent 5 0 R /Next 6 0 R /Prev 6 0 R /First 6 0 R /Last 6 0 R /Dest [3 0 R /Fit] >>"
    outlines = b"<< /Type /Outlines /First 6 0 R /Last 6 0 R /Count 1 >>"
    return _pdf([catalog, _ONE_PAGE, _PAGE % _FONT, _TEXT, outlines, entry])


def many_pages() -> bytes:
    count = 100_000
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 600] /Contents 3 0 R %s >>" % _FONT
    kids = b" ".join(b"%d 0 R" % number for number in range(4, count + 4))
    return _pdf([_CATALOG, b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, count), _TEXT, *[page] * count])


def lying_count() -> bytes:
    return _pdf([_CATALOG, b"<< /Type /Pages /Kids [3 0 R] /Count 2000000000 >>", _PAGE % _FONT, _TEXT])


def deep_arrays() -> bytes:
    catalog = _CATALOG[:-2] + b"/X " + b"[" * 1_000_000 + b"]" * 1_000_000 + b" >>"
    return _pdf([catalog, b"<< /Type /Pages /Kids [] /Count 0 >>"])


def _zipped(parts: dict[str, bytes | Callable[[zipfile.ZipFile], None]]) -> bytes:
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
            for name, data in parts.items():
                if isinstance(data, bytes):
                    package.writestr(name, data)
                else:
                    data(package)
        file.seek(0)
        return file.read()


_WORD = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'


def unpacking_docx() -> bytes:
    def fill(package: zipfile.ZipFile) -> None:
        with package.open("word/document.xml", "w", force_zip64=True) as part:
            part.write(_WORD)
            for _ in range(1 << 10):
                part.write(b" " * _MIB)

    return _zipped({"[Content_Types].xml": b"<Types/>", "document": fill})


def lying_docx() -> bytes:
    """Its directory states a small size for a large part."""
    data = bytearray(_zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": _WORD + b" " * (300 * _MIB)}))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    return bytes(data)


def deep_docx() -> bytes:
    return _zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": _WORD + b"<w:p>" * 300_000})


def laughing_docx() -> bytes:
    entities = b"".join(b'<!ENTITY a%d "%s">' % (n + 1, b"&a%d;" % n * 10) for n in range(12))
    xml = b'<!DOCTYPE x [<!ENTITY a0 "ha">%s]><x>&a12;</x>' % entities
    return _zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": xml})


def wide_xlsx() -> bytes:
    """Each row has one cell, in the last of 16,384 columns."""
    import io

    from openpyxl import Workbook

    book = Workbook(write_only=True)
    book.create_sheet("a").append(["5 mg"])
    made = io.BytesIO()
    book.save(made)
    cell = b'<row r="%d"><c r="XFD%d" t="inlineStr"><is><t>5 mg</t></is></c></row>'
    rows = b"".join(cell % (number, number) for number in range(1, 200_001))
    namespace = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = b'<worksheet xmlns="%s"><sheetData>%s</sheetData></worksheet>' % (namespace, rows)
    with zipfile.ZipFile(made) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    return _zipped({**parts, "xl/worksheets/sheet1.xml": sheet})


def unpacking_text() -> bytes:
    return _spaces(4, wbits=31)


def one_line() -> bytes:
    return "剂量".encode() * (40 * _MIB // 6)


def deep_json() -> bytes:
    return b"[" * 5_000_000 + b"]" * 5_000_000


def deep_html() -> bytes:
    return b"<html><body>" + b"<div>" * 1_000_000 + b"The dose is 5 mg."


BOMBS: dict[str, Callable[[], bytes]] = {
    "page loop.pdf": page_loop,
    "parent loop.pdf": parent_loop,
    "huge page.pdf": huge_page,
    "huge image.pdf": huge_image,
    "unpacking page.pdf": unpacking_page,
    "twice packed page.pdf": twice_packed_page,
    "endless text.pdf": endless_text,
    "form loop.pdf": form_loop,
    "outline loop.pdf": outline_loop,
    "100,000 pages.pdf": many_pages,
    "lying count.pdf": lying_count,
    "deep arrays.pdf": deep_arrays,
    "unpacking.docx": unpacking_docx,
    "lying.docx": lying_docx,
    "deep.docx": deep_docx,
    "entities.docx": laughing_docx,
    "wide.xlsx": wide_xlsx,
    "unpacking.txt.gz": unpacking_text,
    "one line.txt": one_line,
    "deep.json": deep_json,
    "deep.html": deep_html,
}


# -- adding them -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one file. `child_mib`: most memory of any process it was read in; `ocr_mib`: recognised in."""

    file: str
    added: Added
    seconds: float
    child_mib: int
    ocr_mib: int


class Watch(threading.Thread):
    """Notes the most memory that each kind of process below this one has had."""

    def __init__(self, every_s: float = 0.05) -> None:
        super().__init__(daemon=True)
        self._every_s = every_s
        self.most: Counter[str] = Counter()
        self._over = threading.Event()

    def run(self) -> None:
        mine = Path("/proc/self/cmdline").read_bytes()
        while not self._over.wait(self._every_s):
            for pid in _below(os.getpid()):
                try:
                    command = Path(f"/proc/{pid}/cmdline").read_bytes()
                    status = Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                if command == mine:
                    continue  # forked this moment, and not yet what it will be
                kind = "ocr" if b"ocr_child" in command else "child"
                peak = next((int(line.split()[1]) >> 10 for line in status.splitlines() if line.startswith("VmHWM")), 0)
                self.most[kind] = max(self.most[kind], peak)

    def stop(self) -> None:
        self._over.set()
        self.join()


def _below(pid: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for task in Path(f"/proc/{pid}/task").iterdir():
            if task.name != str(pid):
                children += (task / "children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from _below(child)


def added(kb: KnowledgeBase, file: Path) -> Outcome:
    """Add one file and watch."""
    watch = Watch()
    watch.start()
    started = time.monotonic()
    (result,) = add_paths(kb, [file], embed=False)
    seconds = time.monotonic() - started
    watch.stop()
    return Outcome(file.name, result, seconds, watch.most["child"], watch.most["ocr"])


def wrong_with(outcome: Outcome, limit_s: float, limit_mib: int) -> list[str]:
    """What must not be."""
    wrong = [f"took {outcome.seconds:.0f} s"] if outcome.seconds > limit_s else []
    wrong += [f"its reader took {outcome.child_mib} MiB"] if outcome.child_mib > limit_mib else []
    return wrong + (["no reason"] if outcome.added.status == "failed" and not outcome.added.reason else [])


def _summary(outcomes: Sequence[Outcome]) -> str:
    slowest = max(outcomes, key=lambda one: one.seconds)
    counts = Counter(one.added.status for one in outcomes)
    return (
        f"{len(outcomes)} other files: {dict(counts)}; slowest {slowest.seconds:.1f} s ({slowest.file}); most memory "
        f"{max(one.child_mib for one in outcomes)} MiB, recognising {max(one.ocr_mib for one in outcomes)} MiB"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nasty", type=Path, help="A folder of files that are hard to read.")
    parser.add_argument("--limit-s", type=float, default=60.0)
    parser.add_argument("--limit-mib", type=int, default=1536)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, opened(Path(place) / "home") as kb:
        outcomes = []
        print("| bomb | bytes | outcome | s | reader MiB | recognition MiB |\n|---|---|---|---|---|---|")
        for name, make in BOMBS.items():
            path = Path(place) / name
            path.write_bytes(make())
            outcomes.append(one := added(kb, path))
            told = f"{one.added.status}: {one.added.reason}" if one.added.reason else one.added.status
            sizes = f"{path.stat().st_size:,} | {told} | {one.seconds:.1f} | {one.child_mib} | {one.ocr_mib}"
            print(f"| {name} | {sizes} |", flush=True)
            path.unlink()
        if options.nasty:
            paths = (path for path in sorted(options.nasty.rglob("*")) if path.is_file() and path.suffix == ".pdf")
            others = [added(kb, path) for path in paths]
            print(f"\n{_summary(others)}")
            outcomes += others
        wrong = [(one.file, text) for one in outcomes for text in wrong_with(one, options.limit_s, options.limit_mib)]
        print(f"\nfaults: {len(wrong)}")
        for file, text in wrong:
            print(f"- {file}: {text}")


if __name__ == "__main__":
    main()
