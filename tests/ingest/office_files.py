"""Small real files of the zipped formats, written by hand."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_A = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)


def packed(path: Path, parts: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def paragraph(text: str, *, style: str = "", numbered: int | None = None) -> str:
    style = f'<w:pStyle w:val="{style}"/>' if style else ""
    number = f'<w:numPr><w:ilvl w:val="{numbered}"/><w:numId w:val="1"/></w:numPr>' if numbered is not None else ""
    return f"<w:p><w:pPr>{style}{number}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def docx(path: Path, body: str) -> Path:
    """A Word document; style 'h1' is a heading, list 1 counts 一、 and 1.1."""
    styles = f'<w:styles {_W}><w:style w:styleId="h1"><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style></w:styles>'
    levels = (
        '<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="chineseCounting"/><w:lvlText w:val="%1、"/></w:lvl>'
        '<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:isLgl/><w:lvlText w:val="%1.%2"/></w:lvl>'
    )
    numbering = f'<w:numbering {_W}><w:abstractNum w:abstractNumId="0">{levels}</w:abstractNum>'
    numbering += '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>'
    return packed(
        path,
        {
            "word/document.xml": f"<w:document {_W}><w:body>{body}</w:body></w:document>",
            "word/styles.xml": styles,
            "word/numbering.xml": numbering,
        },
    )


def row(*cells: str, head: bool = False) -> str:
    mark = "<w:trPr><w:tblHeader/></w:trPr>" if head else ""
    return f"<w:tr>{mark}{''.join(f'<w:tc>{paragraph(cell)}</w:tc>' for cell in cells)}</w:tr>"


def pptx(path: Path, slides: list[tuple[str, str]]) -> Path:
    """Slides of a title and a text."""
    parts: dict[str, str | bytes] = {}
    ids, relations = "", ""
    for n, (title, text) in enumerate(slides, start=1):
        ids += f'<p:sldId id="{255 + n}" r:id="r{n}"/>'
        relations += f'<Relationship Id="r{n}" Type="x/slide" Target="slides/slide{n}.xml"/>'
        shapes = "".join(
            f'<p:sp><p:nvSpPr><p:cNvPr id="{i}"/><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>'
            f"<p:txBody><a:p><a:r><a:t>{said}</a:t></a:r></a:p></p:txBody></p:sp>"
            for i, (kind, said) in enumerate((("title", title), ("body", text)))
        )
        parts[f"ppt/slides/slide{n}.xml"] = f"<p:sld {_A}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
    parts["ppt/presentation.xml"] = f"<p:presentation {_A}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
    parts["ppt/_rels/presentation.xml.rels"] = f"<Relationships>{relations}</Relationships>"
    return packed(path, parts)


def epub(path: Path, chapters: list[str], *, title: str = "A Book") -> Path:
    items = "".join(f'<item id="c{n}" href="c%20{n}.xhtml"/>' for n in range(len(chapters)))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    opf = f"<package><metadata><title>{title}</title></metadata><manifest>{items}</manifest>"
    opf += f"<spine>{spine}</spine></package>"
    container = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    parts: dict[str, str | bytes] = {"META-INF/container.xml": container, "OPS/book.opf": opf}
    parts |= {f"OPS/c {n}.xhtml": f"<html><body>{text}</body></html>" for n, text in enumerate(chapters)}
    return packed(path, parts)
