"""Titles: a document is listed and cited under the name a reader knows it by."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.title import choose_title
from kb.types import Line, Page


def page(*lines: tuple[str, float]) -> Page:
    return Page(
        1, tuple(Line(text, (50, 700 - 20 * i, 300, 712 - 20 * i), size) for i, (text, size) in enumerate(lines))
    )


BODY = [("text of the body goes on", 10.0)] * 12


@pytest.mark.parametrize(
    ("stated", "lines", "expected"),
    [
        ("Bed Rail Guidance", [("Bed Rail", 20.0), ("Guidance 2003", 20.0), *BODY], "Bed Rail Guidance"),
        ("Microsoft Word - guide_v3.doc", [("Guideline on Pain", 18.0), *BODY], "Guideline on Pain"),
        ("第二类硬管内窥镜产品技术审评指南", [("纤维内窥镜注册指导原则", 18.0), *BODY], "纤维内窥镜注册指导原则"),
        ("ÖÐ¹úÖ¸ÄÏ", [("中国高血压", 18.0), ("防治指南", 18.0), *BODY], "中国高血压防治指南"),
        ("", BODY, "the file"),
        ("附件6：", BODY, "the file"),
    ],
)
def test_a_stated_title_counts_only_if_the_pages_bear_it_out(
    stated: str, lines: list[tuple[str, float]], expected: str
) -> None:
    assert choose_title("pdf", stated, [page(*lines)], Path("the_file.pdf")) == expected


def test_text_and_records_are_called_after_their_file() -> None:
    assert choose_title("records", "", [page(("阿司匹林", 0.0))], Path("drug.jsonl.xz")) == "drug"
    assert choose_title("markdown", "", [page(("# Pain guide", 0.0))], Path("a.md")) == "Pain guide"
