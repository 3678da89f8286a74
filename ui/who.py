"""Who runs the Gradio event that is being handled."""

from __future__ import annotations

from kb.access import SINGLE, Principal
from kb.errors import AccessDenied


def present() -> Principal:
    """The principal whom the door noted on the request; the single user where there are no accounts.

    Raises AccessDenied where the door noted that nobody is signed in.
    """
    from gradio.context import LocalContext

    request = LocalContext.request.get(None)
    if request is None or request.request is None:
        raise AccessDenied("Sign in first.")
    noted = getattr(request.request.state, "principal", SINGLE)
    if not isinstance(noted, Principal):
        raise AccessDenied("Sign in first.")
    return noted
