"""What the terminal says when the app is ready: where it is, what to try, and once the first admin's password."""

from __future__ import annotations

from kb.settings import Settings
from ui.guard import LOOPBACK

_WELCOME = """
  Vademecum is ready:  {address}
{first}{plain}
  Try / 试一试:
    1. Ask / 提问:       What are the contraindications of metformin?  ·  硝苯地平有哪些不良反应？
    2. Check / 核对:     click a number [1] in the answer to see its page  ·  点击编号 [1] 查看原页
    3. Add / 添加:       your own PDFs, in the Library tab  ·  在“资料库”中添加您的 PDF

  Stop with Ctrl-C / 按 Ctrl-C 停止
"""
_FIRST = """
  The first admin account was made; this password is shown once / 已创建首位管理员账户，密码仅显示这一次:
    {name}    {password}
  Change it under Account / 请在“账户”中更改。More accounts / 更多账户: vademecum users add NAME
"""
_PLAIN = """
  Without TLS, passwords and answers travel readable through the network. Set tls_certificate and tls_key, or put a
  proxy with TLS before this. / 未启用 TLS：请设置 tls_certificate 和 tls_key，或使用 TLS 代理。
"""


def welcome(settings: Settings, port: int, first: tuple[str, str] | None) -> str:
    """The text; `first` is the name and password of the first admin, if it was made now."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{'https' if settings.tls_certificate else 'http'}://{host}:{port}"
    readable = settings.host not in LOOPBACK and not settings.tls_certificate and not settings.trusted_proxy
    told = _FIRST.format(name=first[0], password=first[1]) if first else ""
    return _WELCOME.format(address=address, first=told, plain=_PLAIN if readable else "")
