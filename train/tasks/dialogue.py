"""The knowledge-base dialogue: User, Thought, Search, Assistant, with turns that need no search.

A thought says what to search for and carries loss; a search holds the passage that was found and carries none.
"""

from __future__ import annotations

from kb.types import Message, QAExample
from train.replies import Unreadable, objects, text
from train.tasks import Item, Task, make

_QUERY = {"zh": "{thought}（检索：{query}）", "en": "{thought} (search: {query})"}


def parse(reply: str, item: Item) -> list[QAExample]:
    """One conversation with thoughts and searches."""
    said: list[Message] = []
    first = last = ""
    for turn in objects(reply):
        user, thought = text(turn, "user"), text(turn, "thought")
        query, answer = text(turn, "search"), text(turn, "assistant")
        if not (user and thought and answer):
            raise Unreadable("a turn without user, thought or assistant")
        said.append(Message("user", user))
        if query and item.hit is not None:
            said.append(Message("thought", _QUERY[item.language].format(thought=thought, query=query)))
            said.append(Message("search", item.hit.chunk.text))
            first = first or user
        else:
            said.append(Message("thought", thought))
        said.append(Message("assistant", answer))
        last = answer
    if not said:
        raise Unreadable("no turn")
    return [make("dialogue", item, first or said[0].content, last, messages=tuple(said))]


def check(example: QAExample) -> str:
    """Both kinds of turn must be there, or the model learns to search always, or never."""
    searches = sum(message.role == "search" for message in example.messages)
    turns = sum(message.role == "user" for message in example.messages)
    if not searches:
        return "no turn searches"
    return "every turn searches" if searches == turns else ""


TASK = Task(
    name="dialogue",
    summary="User, Thought, Search, Assistant; some turns need no search",
    needs="passage",
    parse=parse,
    check=check,
    sample_passage="盐酸二甲双胍\n禁忌证:肾功能不全者禁用。",
    sample_reply='[{"user": "你好", "thought": "问候，不需要查询", "search": "", '
    '"assistant": "您好，请问想查询什么？"}, {"user": "二甲双胍有什么禁忌？", "thought": "需要查询禁忌证", '
    '"search": "二甲双胍 禁忌证", "assistant": "肾功能不全者禁用。"}]',
    wish={"n": 3},
)
