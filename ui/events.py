"""How the page's events are wired, so that no click is lost and none comes too late.

Short events answer their own request (`QUICK`): no queue, no event stream that could close between two of them, and a
click counts while the answer to the one before is still on its way. Only an answer that grows is streamed (`STREAMED`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gradio import EventData

QUICK: Final[dict[str, Any]] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "queue": False,
    "trigger_mode": "multiple",
}
STREAMED: Final[dict[str, Any]] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 8}

CLICKS: Final = """
const fields = () =>
  Object.fromEntries([...element.querySelectorAll('[data-field]')].map((one) => [one.dataset.field, one.value]));
element.addEventListener('click', (event) => {
  const found = event.target.closest('button[data-act]');
  if (!found) return;
  const act = found.dataset.act;
  trigger(act.startsWith('retry:') ? 'submit' : 'click', { act, fields: fields() });
});
element.addEventListener('change', (event) => {
  const found = event.target.closest('select[data-choice]');
  if (found) trigger('click', { act: found.dataset.choice + ':' + found.value });
});
"""
"""Turns clicks on buttons with data-act into events (retry:… into a submission, whose answer is streamed),
with what stands in fields with data-field, and choices of selects with data-choice."""


def act_of(event: EventData, most: int = 400) -> tuple[str, str]:
    """What was clicked and what it acts on, as anyone may have posted it; no more than `most` characters are read."""
    act, _, value = str((event._data or {}).get("act", ""))[:most].partition(":")
    return act, value


def fields_of(event: EventData) -> dict[str, Any]:
    """What stood in the fields at the click, as anyone may have posted it."""
    given = (event._data or {}).get("fields")
    return given if isinstance(given, dict) else {}
