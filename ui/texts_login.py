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
    "users": ("Accounts", "账户管理"),
    "users_all": ("All accounts", "全部账户"),
    "users_you": ("you", "您自己"),
    "users_since": ("since {date}", "创建于 {date}"),
    "users_closed": ("closed", "已停用"),
    "users_change": ("Change…", "更改…"),
    "users_role_label": ("Role", "角色"),
    "users_role": ("Give this role", "更改角色"),
    "users_role_hint": ("Holds from the next click on.", "下一次操作起生效。"),
    "users_password": ("New password", "重设密码"),
    "users_password_hint": (
        "One is made up and shown once. All sessions and API keys of the account end.",
        "系统生成新密码，仅显示一次。该账户的所有会话和 API 密钥随即失效。",
    ),
    "users_sign_out": ("Sign out everywhere", "在所有设备退出"),
    "users_sign_out_hint": ("Ends every session; the password stays.", "结束所有会话，密码不变。"),
    "users_disable": ("Close the account", "停用账户"),
    "users_disable_hint": (
        "Nobody can sign in with it; its conversations stay. It can be opened again.",
        "无法再登录，其对话保留，可重新启用。",
    ),
    "users_enable": ("Open the account again", "重新启用账户"),
    "users_enable_hint": ("With the password it had.", "沿用原密码。"),
    "users_add_title": ("New account", "新建账户"),
    "users_add": ("Make the account", "创建账户"),
    "users_add_hint": (
        "A password is made up and shown once, to be handed over and changed under Account.",
        "系统生成初始密码，仅显示一次；请转交本人，并由其在“账户”中更改。",
    ),
    "users_secret": ("This password is shown once. Hand it over now.", "此密码仅显示一次，请立即转交本人。"),
    "users_did_add": ("The account {name} was made.", "已创建账户 {name}。"),
    "users_did_password": ("{name} has a new password.", "已重设 {name} 的密码。"),
    "users_did_role": ("{name} has another role.", "已更改 {name} 的角色。"),
    "users_did_disable": ("The account {name} is closed.", "已停用账户 {name}。"),
    "users_did_enable": ("The account {name} is open again.", "已重新启用账户 {name}。"),
    "users_did_sign_out": ("{name} is signed out everywhere.", "{name} 已在所有设备退出。"),
    "users_refused": ("Only admins keep accounts.", "只有管理员可以管理账户。"),
    "users_single": (
        "This library has no accounts: it serves one user, on this machine. "
        "`vademecum users add NAME --role admin` makes the first; from then on everyone must sign in.",
        "此资料库未设账户，仅供本机单人使用。"
        "用 `vademecum users add NAME --role admin` 创建首个账户后，所有人都须登录。",
    ),
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
