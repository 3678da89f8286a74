"""Two answers side by side without names, and what the votes come to → HTML. Pure functions, all `safe`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kb.types import Language
from train.blind import SETS, Case, Contender, Pairing, QuestionSet, Said, Tally, name_of
from ui.i18n import say
from ui.markup import act_button, safe, select

_QUOTE_SHOWN = 600


@dataclass(frozen=True, slots=True)
class Bout:
    """What is being compared, as far as it was chosen. Anything unknown in it chooses nothing."""

    one: str = ""
    other: str = ""
    dataset: str = ""
    kind: QuestionSet = "test"

    @property
    def pairing(self) -> Pairing | None:
        """The pair, once both are chosen."""
        return Pairing(self.one, self.other, self.dataset, self.kind) if self.one and self.other else None


def settled(bout: Bout, contenders: Sequence[Contender]) -> Bout:
    """The bout over a question set that its first engine was asked: the one chosen, if it is among them."""
    kinds = _kinds(bout, contenders)
    return bout if not kinds or bout.kind in kinds else replace(bout, kind=next(iter(kinds)))


def _kinds(bout: Bout, contenders: Sequence[Contender]) -> dict[QuestionSet, int]:
    """The question sets that the first engine was asked, and how many questions of each."""
    counts = next((one.questions for one in contenders if (one.engine, one.dataset) == (bout.one, bout.dataset)), {})
    return {kind: counts[kind] for kind in SETS if counts.get(kind)}


def chooser(bout: Bout, contenders: Sequence[Contender], language: Language) -> str:
    """Selects for the two engines and the question set."""
    if len(contenders) < 2:
        return f'<p class="vm-muted">{safe(say(language, "blind_none"))}</p>'
    nothing = ("", say(language, "blind_choose"))
    ones = [(f"{one.engine}|{one.dataset}", f"{one.name} · {one.dataset}") for one in contenders]
    chosen = f"{bout.one}|{bout.dataset}" if bout.one else ""
    parts = select("blind_one", [nothing, *ones], language, act="one", chosen=chosen)
    if bout.one:
        rivals = [one for one in contenders if one.dataset == bout.dataset and one.engine != bout.one]
        others = [(one.engine, one.name) for one in rivals]
        parts += select("blind_other", [nothing, *others], language, act="other", chosen=bout.other)
        kinds = [(kind, say(language, f"blind_{kind}", n=n)) for kind, n in _kinds(bout, contenders).items()]
        parts += select("blind_set", kinds, language, act="kind", chosen=bout.kind)
    return f'<div class="vm-filters">{parts}</div>'


def case_view(case: Case | None, language: Language) -> str:
    """The question, its two answers, the four verdicts; or that all is judged."""
    if case is None:
        return f'<p class="vm-told-good" role="status">{safe(say(language, "blind_done"))}</p>'
    count = say(language, "blind_count", done=case.judged, left=case.left)
    right = ""
    if case.question.right:
        gold = "".join(f"<p>{safe(one)}</p>" for one in case.question.right)
        right = f"<details><summary>{safe(say(language, 'blind_right'))}</summary>{gold}</details>"
    verdicts = "".join(
        act_button(f"judge:{choice}:{case.question.id}", say(language, f"blind_{choice}"), "", style="vm-button")
        for choice in ("a", "b", "same", "neither")
    )
    return (
        f'<p class="vm-count" role="status">{safe(count)}</p>'
        f'<h3 class="vm-case-question">{safe(case.question.text)}</h3>{right}'
        f'<div class="vm-blind">{_said("A", case.a, language)}{_said("B", case.b, language)}</div>'
        f'<div class="vm-acts">{verdicts}</div>'
    )


def _said(side: str, said: Said, language: Language) -> str:
    sources = "".join(
        f'<li value="{one.n}">{safe(one.title)}{safe(" · ") if one.title else ""}{safe(one.quote[:_QUOTE_SHOWN])}</li>'
        for one in said.sources
    )
    quoted = f'<ol class="vm-muted">{sources}</ol>' if sources else ""
    head = safe(say(language, "blind_answer", side=side))
    text = safe(said.text) or safe(say(language, "blind_empty"))
    return f'<section class="vm-model"><h4>{head}</h4><p class="vm-case-answer">{text}</p>{quoted}</section>'


def tally_view(tallies: Sequence[Tally], language: Language) -> str:
    """What the votes on each pair come to."""
    if not tallies:
        return ""
    keys = ("pair", "votes", "better", "same", "neither", "preference", "p")
    heads = "".join(f'<th scope="col">{safe(say(language, f"blind_col_{key}"))}</th>' for key in keys)
    rows = "".join(_tally(one, language) for one in tallies)
    hint = safe(say(language, "blind_tally_hint"))
    return (
        f'<div class="vm-scroll"><table class="vm-plain"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        f'</div><p class="vm-muted">{hint}</p>'
    )


def _tally(one: Tally, language: Language) -> str:
    first, second = name_of(one.first), name_of(one.second)
    cells = (
        say(language, "blind_votes", votes=one.votes, questions=one.questions, voters=one.voters),
        f"{one.first_better} : {one.second_better}",
        str(one.same),
        str(one.neither),
        f"{one.preference:+.2f} [{one.low:+.2f}, {one.high:+.2f}]",
        f"{one.p:.3f}" if one.p >= 0.001 else "< 0.001",
    )
    head = f'<th scope="row">{safe(first)} : {safe(second)}<br><small>{safe(one.dataset)}</small></th>'
    return f"<tr>{head}{''.join(f'<td>{safe(cell)}</td>' for cell in cells)}</tr>"
