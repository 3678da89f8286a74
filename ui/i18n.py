"""Every word of the interface, in Chinese and English. Nothing else in ui/ holds text that a person reads.

`say(language, key, **values)` gives one string; a test holds the two languages to the same keys and placeholders.
What the knowledge base itself says (reasons, notices, answers) comes from kb and is shown as it is.
"""

from __future__ import annotations

import re
from typing import Final

from kb.types import Language
from ui import texts_ask, texts_library, texts_login, texts_models, texts_review

LANGUAGES: Final[tuple[tuple[str, Language], ...]] = (("中文", "zh"), ("English", "en"))

_IN_SCRIPTS = ("viewer_", "key", "page", "entry", "part", "copied", "copy_failed", "export_")

TEXTS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "name": "Vademecum",
        "tagline": "Answers from your own documents, page by page",
        "language": "Interface language",
        # Ask
        "ask": "Ask",
        "question": "Your question",
        "question_hint": "Ask about your documents",
        "send": "Ask",
        "stop": "Stop",
        "new": "New conversation",
        "you_asked": "Question",
        "searching": "Looking through the documents…",
        "writing": "Answering…",
        "answer_ready": "Answer ready, sources: {n}.",
        "stopped": "Stopped. What you see is incomplete.",
        "abstained": "Not found in the documents",
        "failed": "This question could not be answered",
        "notice": "Please note",
        "engine_extractive": "Quoted word for word from the documents",
        "engine_model": "Worded by a language model from the cited passages: check them before acting",
        "ask_empty_title": "Ask, then check the page",
        "ask_empty": "Each statement of an answer carries a number. Click it to see the page it comes from, "
        "with the lines highlighted.",
        "try": "For example",
        "example_1": "What are the contraindications of metformin?",
        "example_2": "How should ciprofloxacin be taken with dairy products?",
        "example_3": "硝苯地平有哪些不良反应？",
        "library_empty_title": "The library is empty",
        "ask_no_documents": "There is nothing to answer from yet. Add documents in the Library first.",
        "open_library": "Open the Library",
        # Evidence
        "evidence": "Sources",
        "evidence_empty": "The passages an answer rests on appear here.",
        "evidence_wait": "The sources appear as the answer cites them.",
        "evidence_none": "This answer cites nothing.",
        "found": "Passages found ({n})",
        "nearest": "Nearest passages ({n})",
        "page": "Page {n}",
        "entry": "Entry {n}",
        "part": "Part {n}",
        "pages": "Pages {first}–{last}",
        "entries": "Entries {first}–{last}",
        "parts": "Parts {first}–{last}",
        "open_page": "Show page",
        "open_entry": "Show text",
        "source_label": "Source {n}: {title}, {page}. Show it.",
        # Viewer (also in viewer.js)
        "viewer_close": "Close",
        "viewer_previous": "Previous page",
        "viewer_next": "Next page",
        "viewer_loading": "Loading the page…",
        "viewer_of": "{page} of {n}",
        "viewer_image": "Image of {page}, {title}",
        "viewer_quoted": "Quoted: {quote}",
        "viewer_failed": "The page could not be loaded. Is Vademecum still running?",
        "viewer_no_image": "No image of this page: {reason}",
        "viewer_no_text": "This page has no text.",
        # Library
        "library": "Library",
        "add_title": "Add documents",
        "add": "Choose files…",
        "add_hint": "Drop files on this page or choose them: PDF, Word, EPUB, web pages, slides, workbooks, text or "
        "records (JSON, CSV), up to {mb} MB each. "
        "A file that cannot be read is refused with its reason, the others go on.",
        "documents_count": "{documents} documents · {pages} pages · {chunks} passages",
        "library_empty": "Add PDFs of guidelines, labels or books, or a list of drug monographs as JSON. "
        "They can be searched as soon as they are read; search by meaning follows when the vectors are computed.",
        "col_title": "Title",
        "col_pages": "Pages",
        "col_chunks": "Passages",
        "col_state": "State",
        "col_added": "Added",
        "vectors_of": "{n} of {of}",
        "vectors_none": "by words",
        "state_ready": "Ready",
        "state_reading": "Reading",
        "state_draft": "Draft",
        "state_superseded": "Superseded",
        "state_failed": "Refused",
        "details_empty": "Choose a document to see what is known of it.",
        "details_of": "Details of {title}",
        "meta_file": "File",
        "meta_kind": "Kind",
        "meta_size": "Size",
        "meta_language": "Language",
        "meta_edition": "Edition",
        "meta_issued": "Issued",
        "meta_reason": "Note",
        "meta_refused": "Reason",
        "meta_author": "Author",
        "meta_subject": "Subject",
        "meta_keywords": "Keywords",
        "meta_attachments": "Attachments",
        "meta_id": "Document number",
        "kind_pdf": "PDF",
        "kind_docx": "Word document",
        "kind_html": "Web page",
        "kind_epub": "E-book",
        "kind_slides": "Slides",
        "kind_sheets": "Workbook",
        "kind_text": "Text",
        "kind_markdown": "Markdown",
        "kind_records": "Records",
        "kind_monographs": "Monographs",
        "language_zh": "Chinese",
        "language_en": "English",
        "megabytes": "{n:.1f} MB",
        "kilobytes": "{n:.0f} KB",
        "view_pages": "Look through the pages and passages",
        "remove": "Remove…",
        "remove_question": "Remove “{title}” from the library? Its {pages} pages and {chunks} passages are deleted "
        "and no answer will cite them. This cannot be undone.",
        "remove_question_refused": "Take “{title}” off this list? Nothing of it is in the library.",
        "remove_yes": "Yes, remove it",
        "remove_no": "Keep it",
        "removed": "“{title}” was removed.",
        # Adding
        "adding": "Adding {n} files",
        "added": "{added} added, {known} known already, {failed} refused",
        "step_wait": "Waiting",
        "step_read": "Reading",
        "step_chunk": "Cutting into passages",
        "step_store": "Storing",
        "status_added": "Added, searchable: {pages} pages, {chunks} passages",
        "status_known": "Already in the library",
        "status_failed": "Refused",
        "status_stopped": "Cancelled",
        "progress_of": "{done} of {total}",
    },
    "zh": {
        "name": "Vademecum",
        "tagline": "答案出自您自己的文档，逐页可查",
        "language": "界面语言",
        "ask": "提问",
        "question": "您的问题",
        "question_hint": "就您的文档提问",
        "send": "提问",
        "stop": "停止",
        "new": "新对话",
        "you_asked": "问题",
        "searching": "正在检索文档…",
        "writing": "正在回答…",
        "answer_ready": "回答完毕，来源 {n} 处。",
        "stopped": "已停止，所示内容不完整。",
        "abstained": "文档中没有找到答案",
        "failed": "这个问题未能回答",
        "notice": "请注意",
        "engine_extractive": "逐字摘自文档",
        "engine_model": "由语言模型根据所引段落写成：采用前请核对原文",
        "ask_empty_title": "先提问，再核对原页",
        "ask_empty": "回答中的每句话都带有编号。点击编号即可查看出处所在的页面，相关行已标出。",
        "try": "例如",
        "example_1": "硝苯地平有哪些不良反应？",
        "example_2": "无创血糖监测产品的临床评价有哪些要求？",
        "example_3": "What are the contraindications of metformin?",
        "library_empty_title": "资料库是空的",
        "ask_no_documents": "目前没有可供回答的文档。请先在资料库中添加文档。",
        "open_library": "打开资料库",
        "evidence": "来源",
        "evidence_empty": "回答所依据的段落会显示在这里。",
        "evidence_wait": "回答引用来源时即在此显示。",
        "evidence_none": "这个回答没有引用来源。",
        "found": "检索到的段落（{n}）",
        "nearest": "最接近的段落（{n}）",
        "page": "第 {n} 页",
        "entry": "第 {n} 条",
        "part": "第 {n} 部分",
        "pages": "第 {first}–{last} 页",
        "entries": "第 {first}–{last} 条",
        "parts": "第 {first}–{last} 部分",
        "open_page": "查看原页",
        "open_entry": "查看原文",
        "source_label": "来源 {n}：{title}，{page}。点击查看。",
        "viewer_close": "关闭",
        "viewer_previous": "上一页",
        "viewer_next": "下一页",
        "viewer_loading": "正在载入页面…",
        "viewer_of": "{page}，共 {n}",
        "viewer_image": "《{title}》{page}的图像",
        "viewer_quoted": "引文：{quote}",
        "viewer_failed": "页面未能载入。Vademecum 还在运行吗？",
        "viewer_no_image": "此页没有图像：{reason}",
        "viewer_no_text": "此页没有文字。",
        "library": "资料库",
        "add_title": "添加文档",
        "add": "选择文件…",
        "add_hint": "将文件拖到此页，或点击选择：PDF、Word、EPUB、网页、幻灯片、工作簿、文本或条目（JSON、CSV），"
        "每个不超过 {mb} MB。"
        "无法读取的文件会注明原因，其余照常处理。",
        "documents_count": "{documents} 份文档 · {pages} 页 · {chunks} 个段落",
        "library_empty": "添加指南、说明书或书籍的 PDF，或 JSON 格式的药品条目。"
        "读取完毕即可检索；向量计算完成后还可按语义检索。",
        "col_title": "标题",
        "col_pages": "页数",
        "col_chunks": "段落",
        "col_state": "状态",
        "col_added": "添加时间",
        "vectors_of": "{n} / {of}",
        "vectors_none": "按词检索",
        "state_ready": "就绪",
        "state_reading": "读取中",
        "state_draft": "待发布",
        "state_superseded": "已被取代",
        "state_failed": "未收录",
        "details_empty": "选择一份文档，查看其详情。",
        "details_of": "查看《{title}》的详情",
        "meta_file": "文件",
        "meta_kind": "类型",
        "meta_size": "大小",
        "meta_language": "语言",
        "meta_edition": "版次",
        "meta_issued": "发布日期",
        "meta_reason": "说明",
        "meta_refused": "原因",
        "meta_author": "作者",
        "meta_subject": "主题",
        "meta_keywords": "关键词",
        "meta_attachments": "附件",
        "meta_id": "文档编号",
        "kind_pdf": "PDF",
        "kind_docx": "Word 文档",
        "kind_html": "网页",
        "kind_epub": "电子书",
        "kind_slides": "幻灯片",
        "kind_sheets": "工作簿",
        "kind_text": "文本",
        "kind_markdown": "Markdown",
        "kind_records": "条目",
        "kind_monographs": "药物专论",
        "language_zh": "中文",
        "language_en": "英文",
        "megabytes": "{n:.1f} MB",
        "kilobytes": "{n:.0f} KB",
        "view_pages": "浏览页面和段落",
        "remove": "移除…",
        "remove_question": "要从资料库中移除《{title}》吗？它的 {pages} 页、{chunks} 个段落将被删除，"
        "回答不再引用。此操作无法撤销。",
        "remove_question_refused": "要将《{title}》从列表中去掉吗？资料库中没有它的内容。",
        "remove_yes": "确认移除",
        "remove_no": "保留",
        "removed": "《{title}》已移除。",
        "adding": "正在添加 {n} 个文件",
        "added": "新增 {added} 个，已有 {known} 个，未收录 {failed} 个",
        "step_wait": "等待中",
        "step_read": "读取中",
        "step_chunk": "切分段落",
        "step_store": "存储中",
        "status_added": "已添加，可检索：{pages} 页，{chunks} 个段落",
        "status_known": "资料库中已有",
        "status_failed": "未收录",
        "status_stopped": "已取消",
        "progress_of": "{done} / {total}",
    },
}

for _key, (_english, _chinese) in (
    texts_ask.TEXTS | texts_library.TEXTS | texts_login.TEXTS | texts_review.TEXTS | texts_models.TEXTS
).items():
    TEXTS["en"][_key], TEXTS["zh"][_key] = _english, _chinese


_COUNTED = re.compile(r"(\{(\w+)[^}]*\} (?:page|passage|document|file))s\b")


def language_of(value: object) -> Language:
    """The interface language that a page asks for; English for anything unknown."""
    return "zh" if value == "zh" else "en"


def say(language: Language, key: str, **values: object) -> str:
    """The text of `key`, its placeholders filled; English says 1 page, not 1 pages."""
    text = TEXTS[language][key]
    if language == "en":
        text = _COUNTED.sub(lambda found: found[1] if str(values.get(found[2])) == "1" else found[0], text)
    return text.format(**values)


def viewer_texts() -> dict[str, dict[str, str]]:
    """What viewer.js says, by language."""
    return {
        language: {key: text for key, text in texts.items() if key.startswith(_IN_SCRIPTS)}
        for language, texts in TEXTS.items()
    }
