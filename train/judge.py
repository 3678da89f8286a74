"""Candidates put to a model that sees their passage: is the answer borne out, and does the passage bring it back?

Two requests an example, sent like any others (train.generate): journalled, so that a kill or a second run pays for none
twice, and under the same limits. The filters read the verdicts back from the journal. The model judges beside the
rules of train.curate, never in their place: it may wave through what they would drop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kb.store import Store
from kb.types import Hit, QAExample
from train.curate import AnswerAgain, Filter
from train.curation import with_sources
from train.examples import Examples, Selection
from train.journal import Journal
from train.replies import Unreadable, objects, text
from train.tasks import Item, Task, nothing_more

_YES = frozenset({"yes", "true", "supported", "是", "支持", "有依据"})
_NO = frozenset({"no", "false", "unsupported", "not supported", "否", "不支持", "无依据"})
_SHOWN_CHARS = 6000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of an answer."""

    supported: bool
    reason: str


def verdict(reply: str) -> Verdict:
    """The verdict in a judge's reply. Raises Unreadable when it neither says yes nor no."""
    found = objects(reply)
    said = found[0] if found else {}
    value = said.get("supported", said.get("有依据"))
    word = str(value).strip().lower()
    if value is True or word in _YES:
        return Verdict(True, "")
    if value is False or word in _NO:
        return Verdict(False, text(said, "reason", "理由") or "no reason given")
    raise Unreadable("neither yes nor no")


def answer_of(reply: str) -> str:
    """The answer in a reply. Raises Unreadable when it holds none."""
    found = objects(reply)
    said = text(found[0], "answer", "答案") if found else ""
    if not said:
        raise Unreadable("no answer in it")
    return said


def _must_hold_a_verdict(reply: str, item: Item) -> list[QAExample]:
    verdict(reply)
    return []


def _must_hold_an_answer(reply: str, item: Item) -> list[QAExample]:
    answer_of(reply)
    return []


JUDGE = Task(
    name="judge",
    summary="whether the passage bears out the answer",
    needs="example",
    parse=_must_hold_a_verdict,
    check=nothing_more,
    sample_passage="盐酸二甲双胍\n用法用量:口服，成人开始一次0.25g，一日2～3次。",
    sample_reply='{"supported": false, "reason": "文段写的是0.25g"}',
)
ANSWER_AGAIN = Task(
    name="answer-again",
    summary="the question answered from its passage alone",
    needs="example",
    parse=_must_hold_an_answer,
    check=nothing_more,
    sample_passage=JUDGE.sample_passage,
    sample_reply='{"answer": "口服，成人开始一次0.25g，一日2～3次。"}',
)


def items(task: Task, store: Store, selection: Selection) -> Iterator[Item]:
    """The selected candidates that `task` is asked about, each with the passages it rests on."""
    for example, hits in with_sources(store, Examples(store).stream(selection)):
        if concerns(task, example, hits):
            yield _item(example, hits)


def concerns(task: Task, example: QAExample, hits: Sequence[Hit]) -> bool:
    """Both need a passage; a refusal or a report rewritten is not judged; only a single question is answered again."""
    if not hits or not example.answerable:
        return False
    return example.task == "qa" if task is ANSWER_AGAIN else example.task in ("qa", "multi-turn", "dialogue")


def _item(example: QAExample, hits: Sequence[Hit]) -> Item:
    passage = "\n".join(hit.chunk.text for hit in hits)[:_SHOWN_CHARS]
    shown = replace(hits[0], chunk=replace(hits[0].chunk, text=passage))
    return Item(example.language, shown, _spoken(example))


def _spoken(example: QAExample) -> QAExample:
    """For the judge, a conversation's every answer is the answer."""
    said = [message.content for message in example.messages if message.role == "assistant"]
    return replace(example, answers=("\n".join(said),)) if said else example


class Replies:
    """What the journal holds of a model's replies to `task`."""

    def __init__(self, store: Store, task: Task, model: str) -> None:
        self._journal = Journal(store)
        self._task = task
        self._model = model

    def get(self, example: QAExample, hits: Sequence[Hit]) -> str:
        """The reply about this example; '' when it was not asked, failed or was unreadable."""
        return self._journal.reply(self._task.key(_item(example, hits), self._model))


def judged(replies: Replies) -> Filter:
    """The judge must have found the answer borne out; what it did not judge is not kept on trust."""

    def check(example: QAExample, hits: Sequence[Hit]) -> str:
        if not concerns(JUDGE, example, hits):
            return ""
        reply = replies.get(example, hits)
        if not reply:
            return "the judge gave no verdict"
        found = verdict(reply)
        return "" if found.supported else f"the judge: {found.reason[:160]}"

    return check


def by_model(replies: Replies, otherwise: AnswerAgain) -> AnswerAgain:
    """Answer again with the model's journalled reply; `otherwise` for what it was not asked."""

    def answer(example: QAExample, hits: Sequence[Hit]) -> str | None:
        if not concerns(ANSWER_AGAIN, example, hits):
            return otherwise(example, hits)
        reply = replies.get(example, hits)
        return answer_of(reply) if reply else None

    return answer
