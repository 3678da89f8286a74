"""Words of the Ask tab's answers, sources and page viewer: key → (English, Chinese). Part of ui.i18n."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # What can be done with an answer
    "actions": ("For this answer", "对此回答"),
    "copy": ("Copy with references", "复制（含出处）"),
    "copied": ("Copied", "已复制"),
    "copy_failed": ("The browser refused to copy", "浏览器未允许复制"),
    "retry": ("Ask again", "重新回答"),
    "edit": ("Edit question", "修改问题"),
    "show_sources": ("Show sources", "显示来源"),
    "editing": (
        "You are changing your last question: it is replaced when you ask.",
        "您正在修改上一个问题：提问后将替换它。",
    ),
    "editing_keep": ("Leave it as it was", "保持原样"),
    "nearest_hint": (
        "Try other words, or see in the Library whether the document you expect is there.",
        "可换一种问法，或到资料库查看是否收录了相应文档。",
    ),
    # Feedback
    "verdict_helpful": ("Helpful", "有帮助"),
    "verdict_wrong": ("Wrong", "有错误"),
    "verdict_unsafe": ("Unsafe", "有风险"),
    "correction": ("What would be right? (optional)", "正确的说法是什么？（可不填）"),
    "correction_send": ("Send correction", "提交更正"),
    "judged": ("Noted, with the whole answer, for review.", "已连同完整回答记录，供审阅。"),
    # Statements that the passages do not bear out
    "left_out": (
        "Left out, because the cited passages do not bear it out: {n}",
        "已略去 {n} 句：所引段落中没有依据",
    ),
    "not_borne_out": (
        "Not borne out by the cited passages: {n}",
        "有 {n} 句在所引段落中没有依据",
    ),
    "not_held": ("Not in the passages: {what}", "段落中没有：{what}"),
    "searched_as": ("Searched as: {question}", "检索时理解为：{question}"),
    "conflict_values": ("These sources disagree.", "来源说法不一。"),
    "conflict_superseded": ("A source is out of date.", "有来源已过时。"),
    # Where to look
    "scope": ("Search in: {what}", "检索范围：{what}"),
    "scope_all": ("all documents", "全部文档"),
    "scope_then": ("as in force on {date}", "以 {date} 有效版本为准"),
    "scope_as_of": ("In force on", "有效日期"),
    "scope_as_of_hint": (
        "2024, 2024-05 or 2024-05-31; empty: current editions",
        "2024、2024-05 或 2024-05-31；留空为现行版本",
    ),
    "scope_quotes_only": ("word for word from the documents only", "只逐字摘录原文"),
    "scope_only": ("Questions go to “{title}” alone.", "只在“{title}”中检索。"),
    "scope_whole": ("Ask all documents", "改为全部文档"),
    "ask_this": ("Ask about this document", "就此文档提问"),
    # Conversations
    "conversations": ("Conversations", "对话记录"),
    "conversations_find": ("Find in conversations", "查找对话"),
    "conversations_none": (
        "Conversations are kept here. The first begins with your first question.",
        "对话会保存在这里，从您的第一个问题开始。",
    ),
    "conversations_no_match": ("No conversation matches.", "没有符合的对话。"),
    "rename": ("Rename", "重命名"),
    "rename_to": ("New title", "新标题"),
    "rename_save": ("Save title", "保存标题"),
    "delete": ("Delete", "删除"),
    "delete_sure": ("Delete for good, with its answers and feedback?", "要连同回答和反馈永久删除吗？"),
    "delete_yes": ("Yes, delete", "确认删除"),
    "delete_no": ("Keep", "保留"),
    "download": ("Download as Markdown", "下载 Markdown"),
    "print": ("Print or save as PDF", "打印或存为 PDF"),
    # Sources
    "sources_of": ("Sources of “{question}”", "“{question}”的来源"),
    "edition_is": ("Edition {edition}", "版次 {edition}"),
    "issued_is": ("issued {date}", "{date} 发布"),
    "source_superseded": ("Superseded by a newer edition", "已被新版取代"),
    "source_gone": (
        "The page cannot be shown: the document is not in the library any more.",
        "无法显示原页：该文档已不在资料库中。",
    ),
    "exact_lines_follow": (
        "The exact lines are marked when the answer is complete.",
        "回答完成后标出具体行。",
    ),
    # Page viewer
    "viewer_smaller": ("Smaller (−)", "缩小（−）"),
    "viewer_larger": ("Larger (+)", "放大（+）"),
    "viewer_number": ("Go to page", "转到页"),
    "viewer_page": ("The page", "页面"),
    "viewer_passages": ("Passages of this page (P)", "本页的段落（P）"),
    "viewer_passages_of": ("Passages of this page", "本页的段落"),
    "viewer_passages_count": ("Passages of this page: {n}", "本页的段落：{n}"),
    "viewer_no_passages": ("No passage was made from this page.", "此页没有切出段落。"),
    "viewer_tokens": ("{n} tokens", "{n} 个词元"),
    "viewer_original": ("Open the PDF at this page", "在 PDF 中打开此页"),
    # Keyboard
    "keys": ("Keyboard shortcuts", "键盘快捷键"),
    "keys_hint": ("Enter asks, Shift+Enter starts a new line.", "按 Enter 提问，按 Shift+Enter 换行。"),
    "key_ask": ("Ask", "提问"),
    "key_newline": ("New line in the question", "问题换行"),
    "key_question": ("Go to the question box", "转到问题框"),
    "key_new": ("New conversation", "新对话"),
    "key_stop": ("Stop the answer", "停止回答"),
    "key_sources": ("Go to the sources", "转到来源"),
    "key_turn": ("Page viewer: previous and next page", "查看原页：上一页、下一页"),
    "key_zoom": ("Page viewer: larger, smaller, whole width", "查看原页：放大、缩小、适合宽度"),
    "key_review": ("In the review: accept, edit, reject, skip", "审核时：接受、修改、拒绝、跳过"),
    "key_passages": ("Page viewer: passages of the page", "查看原页：本页的段落"),
    "key_close": ("Close the viewer or this list", "关闭查看器或本列表"),
    "key_keys": ("This list", "本列表"),
}
