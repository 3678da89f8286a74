"""What to look up: question and conversation in, the search that stands alone out, with a model's thought if asked.

Without a model, or when it fails, follow-ups are completed by rule (kb.followup). A model's search is taken only if
every drug in it was spoken of: a search for another drug would find that one's dose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import structlog

from kb import records
from kb.errors import ModelError
from kb.followup import Names, standalone
from kb.model_stream import whole_reply
from kb.support import checkable, drug_names
from kb.types import Turn

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

Thinks = Literal["follow-ups", "always", "never"]
"""When a model is asked what to look up."""
LONGEST_SEARCH = 300

_log = structlog.get_logger("vademecum")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to look up for a question."""

    search: str
    """The question standing alone; '' when a model thinks that no library is needed."""
    thought: str = ""
    """What the model thought. Kept in the record, not shown to readers."""


def make_plan(
    question: str,
    history: Sequence[Turn] = (),
    *,
    names: Names | None = None,
    model: BaseChatModel | None = None,
    thinks: Thinks = "follow-ups",
    timeout_s: float = 60.0,
) -> Plan:
    """The plan for `question`. Raises nothing of its own: a model that fails leaves it to the rules."""
    by_rule = Plan(standalone(question, history, names))
    if model is None or thinks == "never" or (thinks == "follow-ups" and not history):
        return by_rule
    from kb.prompt_formats import APP
    from kb.prompts import build_plan_prompt, read_plan

    if getattr(model, "prompt_format", APP) != APP:  # it was taught to answer, and nothing else
        return by_rule
    try:
        read = read_plan(whole_reply(model, build_plan_prompt(question, history), timeout_s))
    except ModelError as error:
        _log.warning("model failed to plan", error=str(error))
        return by_rule
    if read is None:
        return by_rule
    thought, search = read
    if not search:  # what a rule takes for a question is looked up, whatever the model thinks
        needed = checkable(question) or bool(records.asked_fields(question)) or by_rule.search != question
        return Plan(by_rule.search if needed else "", thought)
    spoken_of = "\n".join([question, *(turn.text for turn in history)]).lower()
    if len(search) > LONGEST_SEARCH or any(name.lower() not in spoken_of for name in drug_names(search)):
        return Plan(by_rule.search, thought)
    return Plan(search, thought)
