"""Who asks, and what they may do. Every call that a person or program makes from outside passes `require`.

Permissions follow from the role and from nothing else. What belongs to another answers as if it did not exist
(NotFound), so that ids cannot be probed; only an action that one's role never has answers AccessDenied.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, get_args

from kb.errors import AccessDenied

Role = Literal["reader", "curator", "admin", "single"]
"""'single' is the one user of a library without accounts, on this machine alone."""

ROLES: Final[tuple[Role, ...]] = tuple(role for role in get_args(Role) if role != "single")
"""Roles that an account can have."""


class Permission(Enum):
    """One kind of thing to do. The value is how a refusal names it."""

    ASK = "ask and search"
    READ = "read documents"
    FEEDBACK = "give feedback"
    OWN_ACCOUNT = "change one's own password and keys"
    SEE_UNPUBLISHED = "see documents that are not published"
    UPLOAD = "add documents"
    EDIT = "edit, publish and supersede documents"
    REMOVE = "remove documents"
    REVIEW = "review training examples and feedback"
    EXPORT = "export documents and training data"
    TRAIN = "train and evaluate models"
    PROMOTE = "promote a model"
    USERS = "manage accounts"
    AUDIT = "read the audit record"


_READER = frozenset({Permission.ASK, Permission.READ, Permission.FEEDBACK, Permission.OWN_ACCOUNT})
_CURATOR = _READER | {
    Permission.SEE_UNPUBLISHED,
    Permission.UPLOAD,
    Permission.EDIT,
    Permission.REMOVE,
    Permission.REVIEW,
    Permission.EXPORT,
}
PERMISSIONS: Final[dict[Role, frozenset[Permission]]] = {
    "reader": _READER,
    "curator": _CURATOR,
    "admin": frozenset(Permission),
    "single": frozenset(Permission) - {Permission.OWN_ACCOUNT},
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a call. `id` never changes and is never used again; `name` is for people."""

    id: str
    name: str
    role: Role

    def may(self, permission: Permission) -> bool:
        return permission in PERMISSIONS[self.role]


SINGLE: Final = Principal("single", "", "single")
"""The user of a library without accounts."""


def require(principal: Principal | None, permission: Permission) -> Principal:
    """The principal, if it may. Raises AccessDenied."""
    if principal is None:
        raise AccessDenied("Sign in first.")
    if not principal.may(permission):
        raise AccessDenied(
            f"Role '{principal.role}' may not {permission.value}. An admin can change it: "
            "`vademecum users role NAME ROLE`."
        )
    return principal
