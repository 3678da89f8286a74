"""Words of the login and account pages, and of who is signed in: key → (English, Chinese). Part of ui.i18n."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "login_title": ("Sign in", "登录"),
    "login_name": ("Name", "用户名"),
    "login_password": ("Password", "密码"),
    "login_go": ("Sign in", "登录"),
    "login_refused": ("Name or password is wrong.", "用户名或密码不正确。"),
    "login_wait": (
        "Too many wrong passwords. Try again in {minutes} minutes.",
        "密码错误次数过多，请在 {minutes} 分钟后再试。",
    ),
    "login_help": (
        "No account, or password lost? Ask the admin of your library.",
        "没有账户或忘记密码？请联系资料库管理员。",
    ),
    "login_changed": ("Your password was changed. Sign in with the new one.", "密码已更改，请用新密码登录。"),
    "login_out": ("You are signed out.", "您已退出登录。"),
    "logout": ("Sign out", "退出登录"),
    "account": ("Account", "账户"),
    "account_of": ("Account of {name}", "{name} 的账户"),
    "account_back": ("Back to Vademecum", "返回 Vademecum"),
    "role_reader": ("Reader: asks and reads", "读者：可提问、查阅"),
    "role_curator": ("Curator: also keeps the library", "资料管理员：还可管理资料库"),
    "role_admin": ("Admin: also keeps accounts and models", "管理员：还可管理账户和模型"),
    "password_title": ("Change password", "更改密码"),
    "password_old": ("Present password", "当前密码"),
    "password_new": ("New password (12 characters or more)", "新密码（至少 12 个字符）"),
    "password_go": ("Change password", "更改密码"),
    "password_hint": ("All your sessions end; sign in again with the new one.", "所有会话将结束，请用新密码重新登录。"),
    "apikey_title": ("API keys", "API 密钥"),
    "apikey_hint_api": (
        "For programs that ask in your name. What they may do follows from your role.",
        "供程序以您的名义提问；权限与您的角色相同。",
    ),
    "apikey_none": ("You have no keys.", "您还没有密钥。"),
    "apikey_label": ("What the key is for", "密钥用途"),
    "apikey_add": ("Make a key", "创建密钥"),
    "apikey_new": ("Your new key; it is shown this once:", "您的新密钥，仅显示这一次："),
    "apikey_revoke": ("Revoke", "撤销"),
    "apikey_revoked": ("The key was revoked.", "密钥已撤销。"),
    "viewer_session_over": (
        "You are no longer signed in. What you typed is still here: sign in again, then go on.",
        "登录已失效。您输入的内容仍在此处：请重新登录后继续。",
    ),
    "viewer_sign_in": ("Sign in again", "重新登录"),
}
