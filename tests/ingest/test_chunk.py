"""Chunking: every character of a passage can be traced to its line, sections hold, sentences stay whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.chunk import chunk_pages
from ingest.clean import clean_pages
from ingest.layout import page_lines
from ingest.paragraphs import headed_lines
from ingest.pieces import Characters
from kb.types import Chunk, Line, OutlineEntry, Page

GOLDEN = Path(__file__).parent.parent / "golden" / "ingest_chunks.json"


def count(texts: Sequence[str]) -> list[int]:
    """A token is a Chinese character or a word: enough like a real tokenizer, and exact."""
    return [sum(1 + sum(c > "\u2e80" for c in word) for word in text.split()) for text in texts]


def page(number: int, texts: Sequence[str], *, size: float = 10, sizes: dict[int, float] | None = None) -> Page:
    lines = []
    for i, text in enumerate(texts):
        mine = (sizes or {}).get(i, size)
        width = sum(mine if c > "\u2e80" else 0.5 * mine for c in text)
        lines.append(Line(text, (50, 700 - 15 * i, 50 + width, 700 - 15 * i + mine), mine))
    return Page(number, tuple(lines), 600, 842)


def chunks_of(pages: Sequence[Page], **more: object) -> list[Chunk]:
    return list(chunk_pages("doc", pages, **{"count_tokens": count, "max_tokens": 60, **more}))  # type: ignore[arg-type]


WORDS = st.sampled_from(
    "the dose of 500 mg is given. twice daily; 二甲双胍 每日两次。 and recom- mended 高血压， (2.1)".split()
)
LINES = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
PAGES = st.lists(st.lists(LINES, min_size=0, max_size=12), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(PAGES, st.integers(10, 60))
def test_every_span_says_what_its_line_says(texts: list[list[str]], most: int) -> None:
    """A citation highlights the lines of its quote: the quote's characters must come from just these lines."""
    pages = clean_pages([page(n, lines) for n, lines in enumerate(texts, start=1)])
    by_box = {(p.number, line.box): line.text for p in pages for line in p.lines}
    chunks = chunks_of(pages, max_tokens=most)
    for chunk in chunks:
        at = 0
        for span in chunk.spans:
            assert at <= span.start < span.end <= len(chunk.text)
            assert chunk.text[at : span.start].strip() == ""  # between lines there is only white space
            piece = chunk.text[span.start : span.end]
            assert piece in by_box[span.page, span.boxes[0]] or piece + "-" in by_box[span.page, span.boxes[0]]
            at = span.end
        assert chunk.text[at:].strip() == ""
        assert chunk.text == chunk.text.strip()
        assert chunk.tokens == count([chunk.text])[0]
    said = "".join("".join(c.text.split()) for c in chunks).replace("-", "")
    assert said == "".join("".join(line.text.split()) for p in pages for line in p.lines).replace("-", "")
    assert [c.position for c in chunks] == list(range(len(chunks)))
    assert len({c.id for c in chunks}) == len(chunks)


@settings(max_examples=60, deadline=None)
@given(PAGES, st.integers(12, 60))
@example([["the", "given. given.", "given. the 二甲双胍 二甲双胍 二甲双胍 每日两次。"]], 12)
def test_no_chunk_is_longer_than_the_limit_allows(texts: list[list[str]], most: int) -> None:
    for chunk in chunks_of([page(n, lines) for n, lines in enumerate(texts, start=1)], max_tokens=most):
        assert chunk.tokens <= 1.25 * most + 6  # parts are counted one by one; joined they may be a few tokens more


def test_chunks_end_at_sentences_and_stay_below_the_limit() -> None:
    sentence = "Patients should take one tablet of the drug every morning with food."
    chunks = chunks_of([page(1, [sentence] * 30)], max_tokens=60)
    assert len(chunks) > 3
    assert all(chunk.text.endswith("food.") for chunk in chunks)
    assert all(chunk.tokens <= 60 for chunk in chunks)
    assert min(chunk.tokens for chunk in chunks) > 30  # no crumb at the end


def test_a_sentence_longer_than_a_chunk_is_cut_not_lost() -> None:
    text = "一" * 500
    chunks = chunks_of([page(1, [text])], max_tokens=60)
    assert "".join(chunk.text for chunk in chunks) == text
    assert all(chunk.tokens <= 62 for chunk in chunks)


def test_chunks_never_cross_a_top_level_section() -> None:
    texts = ["第一章 总论", "第一节 概述", "本章说明高血压的定义。", "第二章 治疗", "首选药物为利尿剂。"]
    chunks = chunks_of([page(1, texts)], max_tokens=200)
    assert [chunk.heading for chunk in chunks] == ["第一章 总论 › 第一节 概述", "第二章 治疗"]
    assert chunks[0].text.endswith("定义。")


def test_small_subsections_share_a_passage_under_their_common_heading() -> None:
    texts = ["一、用法", "（一）成人", "每日两次。", "（二）儿童", "每日一次。", "二、禁忌", "过敏者禁用。"]
    chunks = chunks_of([page(1, texts)], max_tokens=200)
    assert [chunk.heading for chunk in chunks] == ["一、用法", "二、禁忌"]
    assert "儿童" in chunks[0].text


def test_the_outline_names_sections_that_look_like_text() -> None:
    texts = ["Introduction", "Pain is common.", "Methods", "We searched databases."]
    outline = [OutlineEntry("Introduction", 0, 1), OutlineEntry("Methods", 0, 1)]
    chunks = chunks_of([page(1, texts)], outline=outline)
    assert [chunk.heading for chunk in chunks] == ["Introduction", "Methods"]


def test_numbered_lists_are_not_headings() -> None:
    texts = ["Before the infusion", "1. Check the name", "2. Check the dose", "3. Check the route", "Then begin."]
    assert {chunk.heading for chunk in chunks_of([page(1, texts)])} == {""}


def boxed(rows: Sequence[tuple[float, float, float, str]], size: float = 10) -> Page:
    """A page of lines at (left, foot, right)."""
    return Page(1, tuple(Line(text, (x0, y, x1, y + size), size) for x0, y, x1, text in rows), 600, 842)


def test_a_note_in_a_table_cell_is_no_heading() -> None:
    """'3. Marked † …' beside the rows of a table would give all that follows a false section."""
    rows: list[tuple[float, float, float, str]] = [(50, 700, 180, "二、不同证型食药物质推荐")]
    rows += [(50, 680 - 15 * i, 350, f"证型{i} 菊花、决明子、槐花、槐米、金银花、桑叶、薄荷、葛根") for i in range(6)]
    rows += [(400, 680, 490, "2.食用方法请咨"), (400, 665, 490, "询医师、营养指"), (400, 650, 420, "员；")]
    rows += [(400, 635, 488, "3.试点物质以†"), (400, 620, 490, "标记，非试点地"), (400, 605, 430, "区用。")]
    rows += [(50, 500, 200, "1.食物的选择"), (50, 485, 540, "应当多吃新鲜的蔬菜和水果，少吃油炸的食物和咸的食物。")]
    headings = {chunk.heading for chunk in chunks_of([boxed(rows)], max_tokens=40)}
    assert headings == {"二、不同证型食药物质推荐", "二、不同证型食药物质推荐 › 1.食物的选择"}


def test_a_latin_line_of_a_chinese_document_is_no_heading_for_its_taller_font() -> None:
    texts = ["一、范围", *["本指导原则适用于按第三类医疗器械管理的产品。"] * 15, "ASTM F67 and ISO 5832", "等标准。"]
    assert {c.heading for c in chunks_of([page(1, texts, sizes={16: 15})])} == {"一、范围"}


def test_the_parts_behind_a_labels_numbered_sections_are_not_in_them() -> None:
    """A medication guide filed under '14.3 Plague' misleads whoever reads where a sentence stands."""
    texts = [
        "14.2 Anthrax",
        "Given to monkeys in a study.",
        "14.3 Plague",
        "Given to monkeys in another study, too.",
        "Advise the patient to read the FDA-approved patient labeling (Medication Guide)",
        "Advise patients to stop taking it.",
        "Read this Medication Guide before you start taking it and",
        "each time you get a refill.",
    ]
    chunks = chunks_of([page(1, texts)], max_tokens=22)
    assert [c.heading for c in chunks] == [
        "14.2 Anthrax",
        "14.3 Plague",
        "Patient Counseling Information",
        "Medication Guide",
    ]
    assert "start taking it and each time you get a refill." in chunks[-1].text
    printed = [*texts[:4], "MEDICATION GUIDE", *texts[6:]]
    outline = [OutlineEntry("14.2 Anthrax", 1, 1), OutlineEntry("14.3 Plague", 1, 1)]
    assert chunks_of([page(1, printed)], outline=outline, max_tokens=22)[-1].heading == "MEDICATION GUIDE"


def test_a_boxed_warning_is_read_whole_and_holds_no_sections() -> None:
    warning = ["WARNING: SERIOUS ADVERSE REACTIONS INCLUDING", "EXACERBATION OF MYASTHENIA GRAVIS"]
    texts = [*warning, "It may exacerbate muscle weakness.", "1.1 Skin Infections", "It is indicated in adults."]
    assert [c.heading for c in chunks_of([page(1, texts)], max_tokens=20)] == [" ".join(warning), "1.1 Skin Infections"]


def test_paragraphs_are_joined_and_hyphens_mended() -> None:
    width = ["It is recom-", "mended that patients are", "seen twice. The recommended", "dose is given with food."]
    boxed = tuple(Line(text, (50, 700 - 12 * i, 300, 710 - 12 * i), 10) for i, text in enumerate(width))
    chunk = chunks_of([Page(1, boxed, 400, 800)])[0]
    assert chunk.text == "It is recommended that patients are seen twice. The recommended dose is given with food."
    assert [chunk.text[s.start : s.end] for s in chunk.spans][:2] == ["It is recom", "mended that patients are"]


def test_a_short_record_is_one_passage_and_a_long_one_keeps_its_fields_whole() -> None:
    fields = ["阿司匹林", "剂型:片剂", "适应证:" + "用于发热。" * 6, "禁忌证:" + "活动性溃疡。" * 6]
    record = Page(7, tuple(map(Line, fields)), label="阿司匹林", reader="records/1")
    short = chunks_of([record], kind="records", max_tokens=200)
    assert [chunk.text for chunk in short] == ["\n".join(fields)]
    assert (short[0].heading, short[0].pages) == ("阿司匹林", (7,))
    long = chunks_of([record], kind="records", max_tokens=60)
    assert [line for chunk in long for line in chunk.text.split("\n")] == fields


def test_markdown_headings_make_the_path() -> None:
    texts = ["# Guide", "## Dosing", "Take 5 mg.", "```", "# not a heading", "```", "## Harms", "Nausea."]
    pages = [Page(1, tuple(map(Line, texts)), label="1–8", reader="text/1")]
    chunks = chunks_of(pages, kind="markdown")
    assert [chunk.heading for chunk in chunks] == ["Guide › Dosing", "Guide › Harms"]


def test_wrapped_text_files_are_unwrapped() -> None:
    texts = [
        "病有发热恶寒者，发于阳也，无热恶寒者，发于阴也，七日愈，",
        "六日愈。",
        "",
        "太阳病，头痛至七日以上自愈者，以行其经尽故也，若欲作再",
        "经者，针足阳明。",
    ]
    chunk = chunks_of([Page(1, tuple(map(Line, texts * 3)), reader="text/1")], kind="text", max_tokens=500)[0]
    assert "若欲作再经者，针足阳明。" in chunk.text
    assert "六日愈。\n太阳病" in chunk.text


GOLDEN_PAGES = [
    page(
        1,
        [
            "成人高血压指南",
            "一、定义",
            "高血压定义为收缩压≥140mmHg。在未用药的情况下，非同日3次",
            "测量。",
            "二、治疗",
            "（一）药物",
            "1. 利尿剂适用于老年人。",
            "2. 钙拮抗剂适用于多数患者。",
        ],
        sizes={0: 18},
    ),
    page(
        2,
        [
            "CHAPTER 2 Drug therapy",
            "Thiazides are recom-",
            "mended first. eGFR below 30 mL/min/1.73 m² needs care.",
            "• dizziness",
            "• nausea",
        ],
    ),
]


def golden_chunks() -> str:
    made = [
        {
            "heading": c.heading,
            "text": c.text,
            "language": c.language,
            "tokens": c.tokens,
            "id": c.id,
            "spans": [f"{s.start}-{s.end} page {s.page} {s.boxes[0]}" for s in c.spans],
        }
        for c in chunks_of(clean_pages(GOLDEN_PAGES), max_tokens=40)
    ]
    return json.dumps(made, ensure_ascii=False, indent=1) + "\n"


def test_golden_chunks() -> None:
    """Changing how documents are cut changes every citation, vector and training row: it must be meant.

    When it is: `python -m tests.ingest.test_chunk` writes the file anew.
    """
    assert golden_chunks() == GOLDEN.read_text(encoding="utf-8")


if __name__ == "__main__":
    GOLDEN.write_text(golden_chunks(), encoding="utf-8")


def weighted(*lines: tuple[str, bool]) -> list[Page]:
    """Lines of one size below one another; (text, whether it is bold)."""
    made = [Line(text, (50, 700 - 14 * i, 300, 710 - 14 * i), 10, bold=bold) for i, (text, bold) in enumerate(lines)]
    return [Page(1, tuple(made), 400, 800)]


def test_a_bold_line_is_a_heading_and_a_bold_paragraph_is_none() -> None:
    """Labels of drugs set 'Directions' in bold and no larger: without it a dose stands under nothing."""
    text = [("Take one tablet every six hours with a glass of water and", False)] * 4
    pages = weighted(("Uses", True), *text, ("Directions for use in", True), ("children", True), *text)
    assert [heading.title for heading in headed_lines(pages, (), "pdf")[1]] == [
        "Uses",
        "Directions for use in children",
    ]
    warning = [("This medicine may cause sleepiness and must", True)] * 5
    assert headed_lines(weighted(*warning, *text, *text, *text), (), "pdf")[1] == []


def test_a_word_file_has_the_headings_of_its_pdf() -> None:
    """A passage of the Word file would else be told under another section than the same passage of the PDF."""
    said = ["（二）综述资料", "（1）传导方式", "助听器按传导方式分为两种。", "（2）佩戴方式", "盒式和耳背式。"]
    word = Page(1, tuple(Line(text, None, 14.0) for text in said))
    assert [heading.title for heading in headed_lines([word], (), "docx")[1]] == [said[0], said[1], said[3]]
    plain = Page(1, tuple(map(Line, said)))
    assert [heading.title for heading in headed_lines([plain], (), "text")[1]] == [said[0]]


def test_a_list_is_kept_with_what_leads_into_it_and_each_item_is_whole() -> None:
    """'Do not give it to:' at a passage's end, and those it harms in the next, reads as if nobody were."""
    prose = [f"Sentence number {n} says something of the drug and ends." for n in range(9)]
    items = [f"• patients of kind {n} whose kidneys no longer work as they should" for n in range(4)]
    texts = [*prose, "Do not give it to:", *items]
    made = tuple(Line(text, (50, 700 - 14 * i, 60 + 5 * len(text), 710 - 14 * i), 10) for i, text in enumerate(texts))
    for most in range(30, 90, 7):
        chunks = [c.text for c in chunk_pages("d", [Page(1, made, 500, 800)], count_tokens=count, max_tokens=most)]
        assert not any(text.endswith("Do not give it to:") for text in chunks)
        for item in items:
            assert sum(item in text for text in chunks) == 1


def test_chinese_set_from_top_to_bottom_is_read_from_the_right(tmp_path: Path) -> None:
    """Read from the left, each line follows the one that it should stand before."""
    texts = ["糖尿病患者每日两次饭后服用不可空腹服", "药否则易致低血糖并须于", "三日之内复诊查血糖一次"]
    tops = [(400 - 24 * k, 700.0 - 14 * i, c) for k, text in enumerate(texts) for i, c in enumerate(text)]
    order = [one for k in (2, 1, 0) for one in tops if one[0] == 400 - 24 * k]  # as pdfium gives them
    boxes = [(float(x), y, x + 14.0, y + 14.0) for x, y, _ in order]
    lengths = [len(texts[k]) for k in (2, 1, 0)]
    text = "".join(c for _, _, c in order)
    for at in (lengths[0] + lengths[1], lengths[0]):
        text = text[:at] + "\n" + text[at:]
        boxes.insert(at, (float("inf"), float("inf"), float("-inf"), float("-inf")))
    left, bottom, right, top = ([box[k] for box in boxes] for k in range(4))
    found = page_lines(Characters(text, left, right, bottom, top, lambda i: boxes[i]), 595).lines
    assert [line.text for line in found] == texts
    chunk = next(chunk_pages("d", [Page(1, tuple(found), 595, 842)], count_tokens=count, max_tokens=400))
    assert chunk.text.startswith(texts[0] + texts[1])
