"""Multiple choice with an explanation."""

from __future__ import annotations

from kb.types import QAExample
from train.replies import objects, text
from train.tasks import Item, Task, make

_LETTERS = "ABCD"
_WORDS = {"zh": "答案：{letter}。{right}\n解析：{why}", "en": "Answer: {letter}. {right}\nExplanation: {why}"}


def parse(reply: str, item: Item) -> list[QAExample]:
    """An example for each question that has four options and one right letter."""
    made: list[QAExample] = []
    for found in objects(reply):
        options = found.get("options")
        letter = text(found, "answer").strip(" .。").upper()[:1]
        question, why = text(found, "question"), text(found, "explanation")
        if not isinstance(options, dict) or sorted(options) != list(_LETTERS) or letter not in _LETTERS:
            continue
        if question and letter and why:
            listed = "\n".join(f"{name}. {options[name]}" for name in _LETTERS)
            answer = _WORDS[item.language].format(letter=letter, right=str(options[letter]).strip(), why=why)
            made.append(make("multiple-choice", item, f"{question}\n{listed}", answer))
    return made


def check(example: QAExample) -> str:
    """Four different options."""
    options = [line[3:].strip() for line in example.question.splitlines()[-4:]]
    return "" if len(set(options)) == 4 else "options repeat"


TASK = Task(
    name="multiple-choice",
    summary="four options, one right, with an explanation",
    needs="passage",
    parse=parse,
    check=check,
    sample_passage="盐酸二甲双胍\n禁忌证:肾功能不全者禁用。",
    sample_reply='[{"question": "盐酸二甲双胍禁用于哪类患者？", "options": {"A": "肾功能不全者", "B": "失眠者", '
    '"C": "近视者", "D": "骨折者"}, "answer": "A", "explanation": "禁忌证为肾功能不全者禁用。"}]',
    wish={"n": 1},
)
