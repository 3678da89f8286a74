"""A library of a few pages answers what it plainly says, and is silent about the rest."""

from __future__ import annotations

import pytest

from ingest.add import add_paths
from kb.evidence import shipped_calibration
from kb.knowledge_base import KnowledgeBase
from kb.settings import load_settings
from kb.types import Answer, Finished

WARD = """Ward handbook

Blorazole tablets are taken once daily in the morning with water. The dose is 20 mg. Do not give them to children
under 12 years.

Visitors may come between two and five o'clock. Coffee is served on the second floor.
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    folder = tmp_path_factory.mktemp("small")
    (folder / "ward.txt").write_text(WARD)
    for year, times in (("2019", "twice"), ("2024", "three times")):
        sheet = folder / f"sheet-{year}.txt"
        sheet.write_text(f"Quassamide is given {times} a day, says the sheet of {year}. " * 12)
    kb = KnowledgeBase.open(load_settings(home=folder / "home"), write=True)
    add_paths(kb, sorted(folder.glob("*.txt")))
    kb.publish()
    return kb


def ask(kb: KnowledgeBase, question: str) -> Answer:
    (finished,) = [event for event in kb.ask(question) if isinstance(event, Finished)]
    return finished.answer


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How often is Quassamide given?", "times a day"),
        ("When may visitors come?", "between two and five"),
        ("How should Blorazole be taken?", "once daily in the morning"),
    ],
)
def test_what_it_says_is_answered(library: KnowledgeBase, question: str, answer: str) -> None:
    """Lost: the first library someone tries answers nothing."""
    assert answer in ask(library, question).text


@pytest.mark.parametrize("question", ["What is the dose of aspirin?", "Is Quassamide safe in pregnancy?"])
def test_what_it_does_not_say_is_not(library: KnowledgeBase, question: str) -> None:
    assert ask(library, question).abstained


def test_the_shipped_calibration_is_of_the_shipped_embedder(library: KnowledgeBase) -> None:
    """Lost: the fits with meaning lie unused, and English questions are refused half as often again."""
    assert shipped_calibration().embedder == library.embedder.grading_key
    assert any(kind.endswith("+meaning") for kind in shipped_calibration().fits)
