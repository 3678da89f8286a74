"""Words of the Library tab's table, document panel and search test: key → (English, Chinese). Part of ui.i18n."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # Table
    "find_documents": ("Find in titles, files and issuers", "查找标题、文件名、发布机构"),
    "filter_state": ("State", "状态"),
    "filter_collection": ("Collection", "文集"),
    "filter_sort": ("Order", "排序"),
    "all_states": ("All states", "全部状态"),
    "all_collections": ("All collections", "全部文集"),
    "sort_added": ("Newest first", "最新添加"),
    "sort_title": ("By title", "按标题"),
    "sort_state": ("By state", "按状态"),
    "sort_pages": ("Most pages first", "页数最多"),
    "sort_chunks": ("Most passages first", "段落最多"),
    "sort_issued": ("Latest issue first", "最近发布"),
    "sort_collection": ("By collection", "按文集"),
    "documents_shown": ("{shown} of {all} documents shown", "显示 {all} 份文档中的 {shown} 份"),
    "show_more": ("Show {n} more", "再显示 {n} 份"),
    "none_match": (
        "No document matches. Clear the search or choose all states.",
        "没有符合的文档。请清除查找内容或选择全部状态。",
    ),
    "col_edition": ("Edition", "版次"),
    "col_collection": ("Collection", "文集"),
    # Document panel
    "meta_state": ("State", "状态"),
    "meta_issuer": ("Issued by", "发布机构"),
    "meta_collection": ("Collection", "文集"),
    "meta_supersedes": ("Supersedes", "取代"),
    "meta_superseded_by": ("Superseded by", "被取代"),
    "meta_vectors": ("Vectors", "向量"),
    "meta_pages": ("Pages", "页数"),
    "meta_chunks": ("Passages", "段落"),
    "hint_draft": (
        "A draft: nobody finds it yet. Look through its pages, then publish it.",
        "草稿：尚不可检索。请先浏览页面，再发布。",
    ),
    "hint_superseded": (
        "A newer edition has replaced it. Old answers still open its pages; new ones do not cite it.",
        "已被新版取代。旧回答仍可打开其页面，新回答不再引用。",
    ),
    "publish": ("Publish", "发布"),
    "unpublish": ("Take out of search", "撤回发布"),
    "edit_details": ("Edit details", "编辑信息"),
    "save": ("Save", "保存"),
    "cancel": ("Cancel", "取消"),
    "field_title": ("Title", "标题"),
    "field_issuer": ("Issued by", "发布机构"),
    "field_edition": ("Edition", "版次"),
    "field_issued": ("Issue date (2024, 2024-05 or 2024-05-31)", "发布日期（2024、2024-05 或 2024-05-31）"),
    "field_collection": ("Collection", "文集"),
    "field_supersedes": ("Supersedes (this edition replaces)", "取代（本版替换的旧版）"),
    "field_none": ("nothing", "无"),
    "edit_hint": ("A field left empty keeps what it holds.", "留空的字段保持原值。"),
    "saved": ("Saved.", "已保存。"),
    "published": ("Published: it can be found now.", "已发布，现在可以检索。"),
    "unpublished": ("Taken out of search; it is a draft now.", "已撤回，现为草稿。"),
}
