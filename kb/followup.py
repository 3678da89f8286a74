"""A follow-up made to stand alone, by rule: question and earlier turns in, the question as it must be searched out.

Three kinds are known: a pronoun (它的禁忌证呢, is it safe in pregnancy?), an ellipsis that changes one thing about the
question before (那儿童呢？, and ibuprofen?), and a question whose subject was left out (有什么副作用？). The subject is the
drug, or whatever the library has a name for, that was spoken of last. A question that stands alone is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import reduce

from kb import records
from kb.content_terms import question_terms
from kb.intent import intent_of
from kb.support import drug_names
from kb.terms import language_of
from kb.types import Turn

Names = Callable[[str], Sequence[str]]
"""The names in a text that the library knows."""

_REMEMBERED = 6
"""Earlier questions that a follow-up may lean on."""

_STOP = "？?。.！!，, "
_ZH_PRONOUN = re.compile(
    r"(?<![其])它们?|这个药物?|这种药物?|该药物?|此药物?|这药|这类药物?|上述药物?|前者|该病|这个病|这种病|此病|这种情况|这种方法|这项检查"
)
_ZH_ELLIPSIS = re.compile(
    r"^(?:那么?|那如果是?|如果是?|还有|另外|换成|要是)?[，, ]*(?:那)?(?P<rest>.{1,20}?)(?:呢|怎么样|怎么办|又如何)[？?。 ]*$"
)
_ZH_OPENS = re.compile(r"^(?:那么?|还有|另外|然后|换成|要是|如果是?)(?P<rest>.{1,16}?)[？?。 ]*$")
_EN_PRONOUN = re.compile(
    r"\b(?P<own>its|their)\b|\b(?:it|(?:this|that|the|these|those) (?:drugs?|medicines?|medications?|condition|disease)|them|they)\b",
    re.IGNORECASE,
)
_EXPLETIVE = re.compile(
    r"\b(?:is|was|does) it (?:\w+ )?(?:to|that)\b|\bit (?:is|takes|takes me)\b(?= .*\bto\b)", re.IGNORECASE
)
_EN_ELLIPSIS = re.compile(
    r"^(?:and|but|or|so|also|then|ok(?:ay)?|what about|how about|what if)(?: what about| how about| what if)?\b[ ,]*(?P<rest>.{1,60}?)[?. ]*$",
    re.IGNORECASE,
)
_QUESTION_WORDS = re.compile(
    r"^(?:what|which|how|when|who|why|where|can|could|should|is|are|does|do|did|may|must|will)\b", re.IGNORECASE
)
_PEOPLE_ZH = (
    r"孕妇|妊娠期?妇女?|妊娠期?|哺乳期妇女|哺乳期|哺乳妇女|儿童|小儿|小孩|婴幼儿|婴儿|新生儿|幼儿|青少年|成人|成年人|老年人|老年患者|老人"
    r"|[肝肾心]{1,2}功能(?:不全|损害|异常)(?:者|患者|的人|病人)?|糖尿病(?:患者|病人)|高血压(?:患者|病人)|[^，。？]{0,8}(?:患者|病人|人群|过敏者|过敏的人|的人)"
)
_ZH_PEOPLE = re.compile(_PEOPLE_ZH)
_EN_PEOPLE = re.compile(
    r"\b(?:in|for|to|during|with)\s+(?:the )?(?:(?:pregnan\w+|breast-?feeding|lactat\w+|older|elderly|young|renal|hepatic|diabetic)\s*)*"
    r"(?:children|child|infants?|neonates?|adults?|adolescents?|women|men|patients?|people|elderly|pregnancy|lactation|breast-?feeding"
    r"|(?:renal|hepatic|kidney|liver) (?:impairment|failure|disease)|dialysis|ha?emodialysis)\b",
    re.IGNORECASE,
)
_EN_BARE_PEOPLE = re.compile(
    r"^(?:the )?(?:(?:pregnan\w+|breast-?feeding|older|elderly|young)\s*)*(?:children|infants?|neonates?|adults?|adolescents?|women|men"
    r"|patients?.{0,30}|people.{0,30}|elderly|pregnancy|lactation|breast-?feeding|(?:renal|hepatic|kidney|liver) (?:impairment|failure|disease)|dialysis)$",
    re.IGNORECASE,
)
_ZH_SUBJECT = re.compile(
    r"^(?:请问|那么?|关于|对于|服用|使用|什么是)*(?P<subject>[^，。？?的]{2,16}?)(?:的|是什么|有(?:什么|哪些)|能|可以|怎[么样]|如何|会|应|需|一[天次日]|每|属于|主治|用于|对)"
)
_EN_SUBJECT = re.compile(
    r"\b(?:of|about|for|with|is|are|does|do|can|take|taking|give|giving|using|use) (?:the )?(?P<subject>[A-Za-z][\w-]+)",
    re.IGNORECASE,
)
_TOGETHER = re.compile(r"^(?:能不能|可不可以|能|可以|可|会)?(?:不能)?[和与跟同]")
# What may be said of any drug.
_GENERAL = re.compile(
    r"能|可|要|会|不|吃|服用?|用|打|长期|饭前|饭后|空腹|还是|最[多少大高]|一?次|[每一]?[天日]|停药?|药|过量|多久|喝酒|酒|晚上|早上|睡前|大概|一般|到底|的"
    r"|\b(?:maximum|minimum|max|usual|daily|starting|initial|recommended|long|often|stop|stopped|start|started|safe|safely|alcohol"
    r"|food|day|once|adult|be|it|per)\b",
    re.IGNORECASE,
)
_NO_SUBJECT = frozenset(
    "the a an it this that what which how dose doses dosage side adverse maximum minimum usual adult adults children patients"
    " pregnancy treatment patient people women taken used given there be recommended contraindications interactions".split()
)


def standalone(question: str, history: Sequence[Turn] = (), names: Names | None = None) -> str:
    """The question with what it leaves to earlier questions put in; itself when it stands alone.

    `names` finds what the library has a name for in a text; drugs are known by their stems besides.
    """
    asked = [turn.text.strip() for turn in history if turn.role == "user"]
    earlier = [text for text in asked if text and intent_of(text) == "library"][-_REMEMBERED:]
    known = names or (lambda text: ())
    if not earlier:
        return question
    return reduce(lambda before, later: _joined(later, before, known), [*earlier, question.strip()])


def subjects(question: str, names: Names) -> list[str]:
    """What a question is about, in its order: drugs and names the library knows, else what stands where a subject does."""
    found = [*drug_names(question), *names(question)]
    longest = [name for name in dict.fromkeys(found) if not any(name != other and name in other for other in found)]
    if longest:
        return sorted(longest, key=question.find)
    match = (_ZH_SUBJECT if language_of(question) == "zh" else _EN_SUBJECT).search(question)
    subject = match["subject"].strip() if match else ""
    return [subject] if subject and subject.lower() not in _NO_SUBJECT else []


def _joined(question: str, before: str, names: Names) -> str:
    """`question`, asked after `before` (which stands alone), made to stand alone."""
    chinese = language_of(question) == "zh"
    own = [*drug_names(question), *names(question)]
    spoken_of = subjects(before, names)
    pronoun = _ZH_PRONOUN.search(question) if chinese else _EN_PRONOUN.search(question)
    spoken_first = not own or min(map(question.find, own)) > pronoun.start() if pronoun else False
    if pronoun and spoken_first and (chinese or not _EXPLETIVE.search(question)):
        return _with_subject(question, pronoun, spoken_of, before)
    rest = _what_changes(question, chinese)
    if rest:
        return (_changed_zh if chinese else _changed_en)(rest, question, before, own, spoken_of)
    if chinese and spoken_of and _TOGETHER.match(question) and spoken_of[0] not in own:
        return f"{spoken_of[0]}{question}"
    if not own and spoken_of and _lacks_subject(question):
        return f"{spoken_of[-1]}{question}" if chinese else f"{_bare(question)} of {spoken_of[-1]}?"
    return question


def _with_subject(question: str, pronoun: re.Match[str], spoken_of: list[str], before: str) -> str:
    if not spoken_of:
        return f"{before} {question}"
    subject = spoken_of[0]
    if "own" in pronoun.re.groupindex and pronoun["own"]:
        subject = f"{subject}'s"
    said = question[: pronoun.start()] + subject + question[pronoun.end() :]
    said = re.sub(r"^(?:那么?|还有|and|but|so)\b[，, ]*|^那么?", "", said, flags=re.IGNORECASE)
    return said[:1].upper() + said[1:]


def _what_changes(question: str, chinese: bool) -> str:
    """The part of an elliptic follow-up that is new; '' when it is none."""
    if chinese:
        found = _ZH_ELLIPSIS.match(question) or _ZH_OPENS.match(question)
        rest = found["rest"].strip(_STOP) if found else ""
        return (
            ""
            if re.search(r"什么|哪[些个种]|怎[么样]|如何|多少|[是能可会].{0,3}[吗不]", rest) and len(rest) > 8
            else rest
        )
    found = _EN_ELLIPSIS.match(question)
    rest = found["rest"].strip() if found else ""
    return "" if _QUESTION_WORDS.match(rest) else rest


def _changed_zh(rest: str, question: str, before: str, own: list[str], spoken_of: list[str]) -> str:
    fields = records.asked_fields(rest)
    if own and spoken_of:
        return before.replace(spoken_of[0], own[0], 1) if spoken_of[0] in before else f"{own[0]}{before}"
    if re.match(r"怎[么样]|如何|为什么|什么时候", rest) and spoken_of:
        return f"{spoken_of[0]}{rest}？"
    if fields and spoken_of:
        return f"{spoken_of[0]}的{rest.removeprefix('的')}"
    if _ZH_PEOPLE.fullmatch(rest):
        who = _ZH_PEOPLE.search(before)
        if who and who.group() not in spoken_of:
            return before.replace(who.group(), rest, 1)
        return f"{before.rstrip(_STOP)}（{rest}）？"
    return f"{before.rstrip(_STOP)}（{rest}）？" if spoken_of or len(before) <= 40 else question


def _changed_en(rest: str, question: str, before: str, own: list[str], spoken_of: list[str]) -> str:
    bare = _bare(before)
    if own and spoken_of and re.fullmatch(r"(?:the |with |for )*[\w-]+(?: [\w-]+)?", rest):
        return re.sub(rf"\b{re.escape(spoken_of[0])}\b", own[0], before, count=1)
    if _EN_PEOPLE.match(rest) or _EN_BARE_PEOPLE.match(rest):
        whom = rest if _EN_PEOPLE.match(rest) else f"in {rest}"
        who = _EN_PEOPLE.search(bare)
        return f"{bare[: who.start()]}{whom}{bare[who.end() :]}?" if who else f"{bare} {whom}?"
    if records.asked_fields(rest) and spoken_of:
        return f"What {'are' if rest.endswith('s') else 'is'} the {re.sub(r'^(?:the|its|any) ', '', rest)} of {spoken_of[0]}?"
    return f"{bare}, {rest}?"


def _lacks_subject(question: str) -> bool:
    """Whether a short question says nothing of what it is about: 有什么副作用？孕妇能吃吗？ What is the maximum dose?"""
    if len(question) > (16 if language_of(question) == "zh" else 60):
        return False
    rest = records.subject(_EN_PEOPLE.sub(" ", _ZH_PEOPLE.sub(" ", question)))
    return not question_terms(_GENERAL.sub(" ", rest))


def _bare(question: str) -> str:
    return question.rstrip(_STOP)
