"""Everything Vademecum refuses, as one small tree. Each message names the thing, the cause and the remedy.

KBError
├── UsageError        wrong argument or setting; exit code 2
│   ├── IndexMismatch  the index was built by another embedder or chunker
│   └── NotFound       no such thing, or it belongs to someone else
├── AccessDenied      the role may not do this, or nobody is signed in
│   ├── LoginRefused   wrong name or password, or a disabled account
│   └── TooManyTries   wrong passwords came too fast; says when to try again
├── TooManyRequests   more is asked than can be answered now; says when to try again
├── HomeError         the home directory cannot be used (not ours, not writable, in use)
│   └── HomeBusy       another process holds it
├── StoreError        the catalog cannot be read or written (full disk, newer schema)
├── ReadError         a file cannot be ingested: broken, encrypted, empty, without text, over a limit
├── QuestionError     the question is empty or too long
└── ModelError        the answering model failed: down, slow, cut off, refused
"""

from __future__ import annotations


class KBError(Exception):
    """Base of all errors a user may read. `str(error)` is one or two plain sentences."""


class UsageError(KBError):
    """Wrong usage or refused settings."""


class IndexMismatch(UsageError):
    """The live index belongs to another embedder than the one configured."""


class NotFound(UsageError):
    """No such thing; what belongs to someone else reads the same."""


class AccessDenied(KBError):
    """The caller may not do this."""


class LoginRefused(AccessDenied):
    """Wrong name or password. Never says which."""


class TooManyTries(AccessDenied):
    """Too many wrong passwords. `retry_after_s` says when the next one will be looked at."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyRequests(KBError):
    """More is asked than can be answered now, or than one may ask. `retry_after_s` says when to try again."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(f"{message} Try again in {retry_after_s} seconds.")
        self.retry_after_s = retry_after_s


class HomeError(KBError):
    """The home directory cannot be used."""


class HomeBusy(HomeError):
    """Another process writes to this home."""


class StoreError(KBError):
    """The catalog refused: disk full, read-only, newer schema."""


class ReadError(KBError):
    """A file cannot be ingested. The file is named by the caller, the message is the reason."""


class QuestionError(KBError):
    """The question cannot be asked as it is."""


class ModelError(KBError):
    """The answering model failed; the extractive answer is used instead."""
