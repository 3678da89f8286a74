"""Who runs the Gradio event that is being handled."""

from __future__ import annotations

from kb.access import Principal
from kb.errors import AccessDenied


def present() -> Principal:
    """The principal whom the door (ui.door) noted on the request. Raises AccessDenied if it noted none."""
    from gradio.context import LocalContext

    request = LocalContext.request.get(None)
    if request is None or request.request is None:
        raise AccessDenied("Sign in first.")
    noted = getattr(request.request.state, "principal", None)
    if not isinstance(noted, Principal):
        raise AccessDenied("Sign in first.")
    return noted
