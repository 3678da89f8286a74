"""What the knowledge base refuses, as HTTP says it: a status, a sentence, and when to try again."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from kb.errors import (
    AccessDenied,
    KBError,
    ModelError,
    NotFound,
    QuestionError,
    ReadError,
    StoreError,
    TooManyRequests,
    TooManyTries,
    UsageError,
)

_STATUS: Final[tuple[tuple[type[KBError], int, str], ...]] = (
    (TooManyRequests, 429, "rate_limit_error"),
    (TooManyTries, 429, "rate_limit_error"),
    (AccessDenied, 403, "permission_error"),
    (NotFound, 404, "not_found_error"),
    (QuestionError, 422, "invalid_request_error"),
    (UsageError, 422, "invalid_request_error"),
    (ReadError, 422, "invalid_request_error"),
    (ModelError, 502, "api_error"),
    (StoreError, 503, "api_error"),
)


def refuse_in_order(app: FastAPI) -> None:
    """Let the app answer each KBError, and each body that is not understood, in the form its path promises."""

    async def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, KBError)
        return refusal(request.url.path, error)

    async def misunderstood(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors()[:5])
        return JSONResponse(body_of(request.url.path, wrong, "invalid_request_error"), 422)

    app.add_exception_handler(KBError, refused)
    app.add_exception_handler(RequestValidationError, misunderstood)


def refusal(path: str, error: KBError) -> JSONResponse:
    """The answer to a request of `path` that ended so."""
    status, kind = status_of(error)
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, TooManyRequests | TooManyTries) else {}
    return JSONResponse(body_of(path, str(error), kind), status, headers)


def status_of(error: KBError) -> tuple[int, str]:
    """The HTTP status, and the type as OpenAI's clients know it."""
    return next(((status, name) for kind, status, name in _STATUS if isinstance(error, kind)), (500, "api_error"))


def body_of(path: str, message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    """The body of a refusal: OpenAI's under /v1, else {"detail"}."""
    if path.startswith("/v1/"):
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return {"detail": message}
