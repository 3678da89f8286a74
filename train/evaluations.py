"""A model's evaluation: its scores beside its base's and the serving engine's, what the gate makes of them, kept.

Asked is the test split of the dataset the model was tuned on (or another version named), and the owner's own questions.
An evaluation holds for the weights it was made with and for the engine that served then; promotion asks for one that
holds now.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from kb.access import Permission, Principal, require
from kb.errors import KBError, NotFound, UsageError
from kb.promotions import Promotion, Promotions
from kb.prompt_formats import PromptFormat, format_of
from kb.quoting import ENGINE
from kb.schema import evaluations
from kb.serving import load_promoted, load_tuned
from kb.store import Store
from train import blind, datasets, model_folders
from train.blind import Answers, Question, engine_key
from train.examination import Asked, asked_of, harmful_questions, own_questions
from train.gate import Margins, decide, refusal, verdict_json
from train.leaks import find_leaks
from train.measure import Candidate, Scores, json_of, measure

if TYPE_CHECKING:
    from kb.evaluate_answers import AnswerRow
    from kb.knowledge_base import KnowledgeBase
    from kb.local_model import LocalModel

Progress = Callable[[str, int, int], None]
_SHOWN = 12
"""Answers side by side that a report shows."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation. `report` is what --json prints and the page is drawn from."""

    model: str
    hash: str
    dataset: str
    passed: bool
    report: Mapping[str, Any]
    actor: str = ""
    at: str = ""
    id: str = ""
    number: int = 0
    answers: Answers = field(default_factory=Answers, repr=False)
    """What the engines said, while it is new; train.blind keeps it."""

    @property
    def serving(self) -> tuple[str, str]:
        """Model name (empty: the settings' engine) and hash of what served when it was made."""
        return str(self.report["serving"]["model"]), str(self.report["serving"]["hash"])


class Evaluations:
    """The evaluations of one home."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, new: Evaluation, principal: Principal) -> Evaluation:
        """Keep it; returns it with its id."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = {name: getattr(new, name) for name in ("model", "hash", "dataset", "passed")}
        row |= {"report": json.dumps(new.report, ensure_ascii=False), "actor": principal.name or principal.id}
        with self._store.writing() as connection:
            inserted = connection.execute(sa.insert(evaluations), row | {"at": now, "id": f"new-{now}"})
            assert inserted.inserted_primary_key is not None
            number = int(inserted.inserted_primary_key[0])
            found = f"evaluation-{number}"
            connection.execute(sa.update(evaluations).where(evaluations.c.number == number).values(id=found))
            blind.keep(connection, found, new.answers)
        return self.get(found)

    def get(self, key: str) -> Evaluation:
        """The evaluation of this id. Raises NotFound."""
        found = self._select(evaluations.c.id == key)
        if not found:
            raise NotFound(f"No evaluation '{key}'. `vademecum models list` names the newest of each model.")
        return found[0]

    def of(self, model: str, *, hash: str = "") -> list[Evaluation]:
        """The evaluations of a model, newest first; with `hash` only of those weights."""
        return self._select(evaluations.c.model == model, *([evaluations.c.hash == hash] if hash else []))

    def _select(self, *wanted: sa.ColumnElement[bool]) -> list[Evaluation]:
        query = sa.select(evaluations).where(*wanted).order_by(evaluations.c.number.desc())
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        return [Evaluation(**{**row._mapping, "report": json.loads(row.report)}) for row in rows]


def prompt_format(home: Path, model: model_folders.Model) -> PromptFormat:
    """The format that the model was taught. Raises UsageError when nothing tells, because it then cannot serve."""
    found = format_of(model.lineage)
    taught = dict(model.lineage.get("dataset") or {})
    if found is None and taught.get("name"):
        try:
            found = format_of(datasets.load(home, str(taught["name"]), str(taught.get("version", "")) or None).manifest)
        except KBError:
            found = None
    if found is None:
        raise UsageError(
            f"Nothing tells in which prompt format model '{model.name}' was taught: its lineage names none, and its "
            "dataset is not here. A model asked in other words than its own answers badly, so it cannot serve."
        )
    return found


def dataset_of(home: Path, model: model_folders.Model, named: str = "") -> datasets.Dataset:
    """The dataset whose test split is asked: the one named, else the one that the model was tuned on."""
    taught = dict(model.lineage.get("dataset") or {})
    key = named or "/".join(str(taught.get(part, "")) for part in ("name", "version"))
    name, _, version = key.partition("/")
    if not name:
        raise UsageError(f"Model '{model.name}' was tuned on no dataset. Name one: --dataset NAME[/VERSION].")
    return datasets.load(home, name, version or None)


def evaluate(
    base: KnowledgeBase,
    name: str,
    *,
    dataset: str = "",
    own: Sequence[AnswerRow] = (),
    most: int = 400,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure model `name` against its base and against what serves now; nothing is stored or changed."""
    home, settings = base.store.home, base.settings
    model = model_folders.model(home, name)
    form = prompt_format(home, model)
    found = dataset_of(home, model, dataset)
    questions = [*asked_of(found, most=most), *own_questions(own, base.passages)]
    if not questions:
        raise UsageError(f"Dataset {found.name}/{found.version} has no test question. Build it with a larger --test.")
    harmful = harmful_questions(questions[0].hits)

    def measured(engine: Candidate) -> Scores:
        return measure(engine, questions, harmful, progress)

    loaded = load_tuned(model.folder, form, settings)
    candidate = measured(_candidate(base, name, loaded))
    leaks = find_leaks(home, model, loaded, found, [asked for asked in questions if asked.messages])
    del loaded
    origin = _origin(base, model, form)
    before = measured(origin) if origin is not None else None
    current = Promotions(base.store).current()
    serving = measured(_serving(base, current))
    verdict = decide(candidate, serving, before, leaks, Margins.of(settings))
    report = {
        "model": name,
        "hash": model.hash,
        "prompt_format": str(form),
        "dataset": f"{found.name}/{found.version}",
        "questions": {"test": len(questions) - len(own), "own": len(own), "harmful": len(harmful)},
        "serving": {"model": current.model, "hash": current.hash, "engine": serving.name},
        "scores": {
            "candidate": json_of(candidate),
            "serving": json_of(serving),
            **({"base": json_of(before)} if before is not None else {}),
        },
        "verdict": verdict_json(verdict),
        "leaks": asdict(leaks),
        "margins": asdict(Margins.of(settings)),
        "examples": _examples(questions, candidate, serving),
    }
    engines = [
        (engine_key(name, model.hash), candidate),
        (engine_key(serving.name, current.hash), serving),
        *([(engine_key(before.name, str(dict(model.lineage["base"]).get("hash", ""))), before)] if before else []),
    ]
    answers = _answers([*questions, *harmful], len(questions) - len(own), engines)
    return Evaluation(name, model.hash, f"{found.name}/{found.version}", verdict.passed, report, answers=answers)


def _answers(asked: Sequence[Asked], tests: int, engines: Sequence[tuple[str, Scores]]) -> Answers:
    """What every engine said: first the `tests` questions of the dataset, then the owner's, then the harmful ones."""

    def kind(at: int, one: Asked) -> blind.QuestionSet:
        return "harmful" if one.row.source == "harmful" else "test" if at < tests else "own"

    questions = [
        Question(one.row.id, one.row.question, kind(at, one), tuple(one.row.answers)) for at, one in enumerate(asked)
    ]
    told = {engine: {key: blind.said(given) for key, given in scores.answers.items()} for engine, scores in engines}
    return Answers(tuple(questions), told)


def _candidate(base: KnowledgeBase, name: str, model: LocalModel) -> Candidate:
    return Candidate(name, model, base.settings.model_at_once, base.extractor)


def _origin(base: KnowledgeBase, model: model_folders.Model, form: PromptFormat) -> Candidate | None:
    """The model it starts from, asked in the same format; None when it is not here."""
    named = str(dict(model.lineage.get("base") or {}).get("name", ""))
    try:
        folder = model_folders.base_of(base.store.home, named).folder if named else None
    except UsageError:
        folder = None
    return _candidate(base, named, load_tuned(folder, form, base.settings)) if folder is not None else None


def _serving(base: KnowledgeBase, current: Promotion) -> Candidate:
    """What answers readers now."""
    if current.model:
        promoted = load_promoted(base.store.home, current, base.settings)
        return Candidate(current.model, promoted, base.settings.model_at_once, base.extractor)
    from kb.models import build_model

    model = build_model(base.settings)
    return Candidate(ENGINE if model is None else str(model.name), model, 1 if model is None else 4, base.extractor)


def _examples(questions: Sequence[Asked], candidate: Scores, serving: Scores) -> list[dict[str, object]]:
    """Some answers side by side: first those where the candidate did worst beside the other."""

    def gain(asked: Asked) -> float:
        ours, theirs = candidate.values["f1"], serving.values["f1"]
        return ours.get(asked.row.id, 0.0) - theirs.get(asked.row.id, 0.0)

    ordered = sorted(questions, key=gain)
    chosen = [*ordered[: _SHOWN // 2], *ordered[-_SHOWN // 2 :]] if len(ordered) > _SHOWN else ordered
    return [
        {
            "question": asked.row.question,
            "right": list(asked.row.answers),
            "candidate": candidate.answers[asked.row.id].text,
            "serving": serving.answers[asked.row.id].text,
        }
        for asked in chosen
    ]


# -- promotion -------------------------------------------------------------------------------------------------------


def promote(
    store: Store, name: str, principal: Principal, *, reason: str = "", override: str = ""
) -> tuple[Promotion, Evaluation]:
    """Put the model in force if its newest evaluation passed, or an admin overrides with a reason.

    Raises AccessDenied; UsageError when the gate refuses, or no evaluation holds for these weights and for what serves
    now.
    """
    require(principal, Permission.PROMOTE)
    model = model_folders.model(store.home, name)
    changed = model_folders.verify(model)
    if changed:
        raise UsageError(f"Files of model '{name}' are not as they were made: {', '.join(changed)}. Restore them.")
    form = prompt_format(store.home, model)
    current = Promotions(store).current()
    if current.model == name and current.hash == model.hash:
        raise UsageError(f"Model '{name}' serves already.")
    found = Evaluations(store).of(name, hash=model.hash)
    if not found:
        raise UsageError(f"Model '{name}' was not evaluated. Run `vademecum models evaluate {name}` first.")
    newest = found[0]
    if newest.serving != (current.model, current.hash):
        raise UsageError(
            f"Model '{name}' was compared with {newest.serving[0] or 'the settings engine'}, but "
            f"{current.model or 'the settings engine'} serves now. Run `vademecum models evaluate {name}` again."
        )
    if not newest.passed and not override.strip():
        checks = newest.report["verdict"]["checks"]
        reasons = [f"{check['name']}: {check['told']}" for check in checks if not check["passed"]]
        raise UsageError(f"{refusal(reasons)} An admin may promote it all the same with --override REASON.")
    made = Promotion(
        name, model.hash, str(form), newest.id, overridden=not newest.passed, reason=override.strip() or reason.strip()
    )
    return Promotions(store).promote(made, principal), newest
