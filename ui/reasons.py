"""Why a document was refused or is a draft, and why something could not be done: what kb says in English, in Chinese.

Reasons are kept and raised as sentences, because command line and API tell them too. The page knows the usual ones by
their pattern; one that it does not know is shown as it is.
"""

from __future__ import annotations

import re
from typing import Final

from kb.types import Language

_ZH: Final[tuple[tuple[str, str], ...]] = (
    (r"is empty \(0 bytes\)", "文件为空（0 字节）"),
    (r"is ([\d,]+ MB), larger than the limit of ([\d,]+ MB) \(max_file_mb\)", r"大小 \1，超过上限 \2（max_file_mb）"),
    (r"is larger than the limit of ([\d,]+ MB) when unpacked \(max_file_mb\)", r"解压后超过上限 \1（max_file_mb）"),
    (r"is not a PDF \(no %PDF- mark at its beginning\)", "不是 PDF 文件（开头没有 %PDF- 标记）"),
    (r"is damaged: its structure cannot be read as a PDF", "文件已损坏：无法按 PDF 结构读取"),
    (r"is damaged: it cannot be (?:opened|read|unpacked) as ([A-Z]+)(?: \(.*\))?", r"文件已损坏：无法作为 \1 打开"),
    (r"is damaged: its part (.+) is missing, so it is no (\w+)", r"文件已损坏：缺少部件 \1，不是 \2 文件"),
    (r"is damaged: its part (.+) cannot be unpacked", r"文件已损坏：部件 \1 无法解压"),
    (r"is damaged: its part (.+) is not valid XML(?: \(.*\))?", r"文件已损坏：部件 \1 不是有效的 XML"),
    (
        r"is encrypted and needs a password: save a copy without one and add that",
        "文件已加密：请另存为无密码的副本后添加",
    ),
    (
        r"is encrypted in a way that cannot be opened: ask its source for an open copy",
        "文件加密，无法打开：请向来源索取未加密的副本",
    ),
    (r"is encrypted: save it as (\w+) without a password", r"文件已加密：请另存为无密码的 \1"),
    (r"is encrypted \(protected against copying\) and cannot be read", "文件有复制保护，无法读取"),
    (r"is not text: it contains binary data", "不是文本：含有二进制数据"),
    (r"is in an unknown encoding: save it as UTF-8 and add it again", "编码无法识别：请存为 UTF-8 后重新添加"),
    (r"is not valid JSON \(line (\d+): .*\)", r"不是有效的 JSON（第 \1 行）"),
    (r"unsupported type '(.+)': save it as (.+) and add that", r"不支持的类型“\1”：请另存为 \2 后添加"),
    (
        r"unsupported type '(.+)': .+ can be read",
        r"不支持的类型“\1”：可添加 PDF、Word、EPUB、网页、幻灯片、工作簿、文本或条目（JSON、CSV）",
    ),
    (
        r"has ([\d,]+) (?:pages|parts), more than the limit of ([\d,]+) \(max_pages\)",
        r"共 \1 页，超过上限 \2 页（max_pages）",
    ),
    (r"has no pages", "没有页面"),
    (r"has no text in it", "没有文字"),
    (r"has no text that could be made into passages", "没有可切分成段落的文字"),
    (r"no text on its only page(?:: (.*))?", r"唯一一页没有文字"),
    (r"no text on any of its (\d+) pages(?:: (.*))?", r"\1 页均没有文字"),
    (r"took (?:longer than .*|too long to read) ?(?:s )?(?:and was stopped.*)?", "读取超时，已停止"),
    (r"ran out of memory \(limit (.+)\).*", r"读取时内存不足（上限 \1），已停止"),
    (r"the same text as (.+) \((\w+)\)", r"与 \1（\2）文字相同"),
    (r"(\d+%) of its text is that of (.+) \((\w+)\)", r"\1 的文字与 \2（\3）相同"),
    (r"not published: its text is in the library already", "未发布：资料库中已有相同文字"),
    (r"not published yet", "尚未发布"),
    (r"read badly: (\d+) of (\d+) pages could not be read", r"读取不佳：\2 页中有 \1 页无法读取"),
    (
        r"read badly: recognition of its scanned pages is only (\d+%) sure of the text",
        r"读取不佳：扫描页的识别置信度仅 \1",
    ),
    (r"(\d+) of (\d+) pages (?:has|have) no text: (.+)", r"\2 页中有 \1 页没有文字：\3"),
    (r"already in the library as (.+)", r"资料库中已有：\1"),
    # what can be refused on the page
    (r"'(.+)' is no date\. Write .*", r"“\1”不是日期，请写作 2024、2024-05 或 2024-05-31。"),
    (r"No document is in a collection '(.+)'\. .*", r"没有文档属于合集“\1”。"),
    (r"No such document in the library\.", "资料库中没有此文档。"),
    (
        r"(.+) cannot supersede (.+): it is the same, or an older, edition\.",
        r"\1 不能取代 \2：它是同一版或更早的版本。",
    ),
    (r"(.+) was removed meanwhile\.", r"\1 已被移除。"),
    (r"Name or password is wrong\.", "用户名或密码不正确。"),
    (r"Too many wrong passwords\. Try again in (\d+) minutes\.", r"密码错误次数过多，请在 \1 分钟后再试。"),
    (r"A password has (\d+) to (\d+) characters\. .*", r"密码须为 \1 至 \2 个字符，可用一句话。"),
    (r"This password is too easy to guess\. .*", "此密码太容易被猜到，可用一句话。"),
    (r"There is an account '(.+)' already\. .*", r"账户“\1”已存在，请换一个名称。"),
    (r"A name is 1 to 64 letters.*", "用户名为 1 至 64 个字母、数字或 . @ + - _，中间可有单个空格。"),
    (r"'(.+)' is the last admin\. .*", r"“\1”是最后一位管理员，请先另设一位。"),
    (r"An account has at most (\d+) keys\. .*", r"每个账户最多 \1 个密钥，请先撤销一个。"),
    (r"There is no account '(.+)'\. .*", r"没有账户“\1”。"),
)
_PATTERNS: Final = tuple((re.compile(pattern), told) for pattern, told in _ZH)


def reason_in(language: Language, reason: str) -> str:
    """The reason in the reader's language, as far as its parts are known."""
    if language == "en" or not reason:
        return reason
    return "；".join(_told(part) for part in reason.split("; "))


def _told(part: str) -> str:
    for pattern, told in _PATTERNS:
        if found := pattern.fullmatch(part):
            return found.expand(told)
    return part
