"""From files to a promoted model in one command: library → examples → dataset → a small model from nothing → gate.

Each step leaves what it made in the home and a line in the loop's file, and is skipped when that is there: a killed
loop goes on where it was, a run within a step from its last checkpoint. The model is real (a Llama of a million
parameters) and small enough for two cores; it is taught to read single fields, and asked the same way when it serves.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb.access import SINGLE
from kb.embed import processor_computes_bfloat16
from kb.errors import KBError, StoreError, UsageError
from kb.prompt_formats import LETTERS, SHORT_SYSTEM, PromptFormat, field_text, short_chat, split_field
from kb.prompts import NOT_MENTIONED
from kb.store import Store
from train import datasets, fields, model_folders
from train.architecture import Size, train_tokenizer, write_new_model
from train.contexts import ContextPlan, PassageSearch
from train.drills import DrillPlan, Field, drills
from train.examples import Examples, Selection
from train.fields import TEMPLATES, FieldsReport
from train.packing import Encoded, pack
from train.prepare import Ready, Sft, counts, describe, encoded, prepare_sft, register
from train.recipe import Precision, Recipe
from train.refusals import PARTS, harmful_request, refused_rows
from train.runs import RESUMABLE, Run, Runs
from train.templates import encode, encode_text
from train.under_way import under_way

if TYPE_CHECKING:
    from kb.knowledge_base import KnowledgeBase

FORMAT = PromptFormat("named", "fields")
STAGES = (
    (0.35, DrillPlan(spliced=0.35, random=0.55, questions=6, longest=30, pieces=6)),
    (0.65, DrillPlan(spliced=0.5, random=0.35, questions=4, longest=100, pieces=16)),
)
"""Shares of the drills: short values with many questions about each reading teach whose field is asked for, long ones
to copy them to their end. Most values are made up: of real ones, which are few, a model learns to recite the common
phrases (一次20～30ml where 一次15～25ml stands)."""
Told = Callable[[str], None]
_HELD_OUT_ROWS = 400


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """How big, how long. The defaults are for two cores and well under three quarters of an hour."""

    name: str = "loop"
    size: Size = field(default_factory=Size)
    vocabulary: int = 4096
    longest: int = 100
    """Characters of the longest field that is shown or asked for."""
    drill_tokens: int = 2_000_000
    """Tokens of reading drills, the first part of the curriculum."""
    text_share: float = 0.02
    """Of the drills' tokens, how many of the monographs' plain text beside them."""
    refused: float = 0.06
    """Requests to be refused, as a share of the dataset's examples; all of them for training."""
    without_oracle: float = 0.2
    """Share of the answerable examples that are shown without the field that answers them, to be declined."""
    epochs: float = 1.0
    """How often the dataset is seen, the second part."""
    row: int = 256
    """Tokens: twice a drill, for what a row costs in attention beyond its pieces is lost."""
    rows: int = 12
    learning_rate: float = 4e-3
    tuning_rate: float = 5e-4
    questions: int = 400
    """Of the test split, that the gate asks."""
    seed: int = 0
    threads: int = 0


class Loop:
    """The loop over one home. `base` must be open for writing while the library and the dataset are made."""

    def __init__(self, home: Path, plan: LoopPlan, told: Told) -> None:
        self.home = home
        self.plan = plan
        self._told = told
        self._file = home / "runs" / f"{plan.name}.loop.json"

    def made(self) -> dict[str, Any]:
        """What earlier tries have made, step by step."""
        try:
            return dict(json.loads(self._file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise StoreError(f"{self._file} cannot be read: {error}. Remove it to begin the loop anew.") from None

    def note(self, **made: Any) -> None:
        """Add to what was made."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps({**self.made(), **made}, ensure_ascii=False, indent=1), encoding="utf-8")
        part.rename(self._file)

    # -- data ------------------------------------------------------------------------------------------------------

    def data(self, base: KnowledgeBase) -> datasets.Dataset:
        """Examples, curated, as a dataset version. Raises UsageError without monographs."""
        made = self.made()
        if "dataset" in made:
            return datasets.load(self.home, *str(made["dataset"]).split("/"))
        documents = [document for document in base.store.documents() if fields.is_monographs(document)]
        if not documents:
            raise UsageError("No monographs in the library: add record files of `field:value` lines first.")
        self._told("making examples from the fields of the monographs")
        report = FieldsReport()
        fields.generate_into(base.store, documents, report)
        self._told(f"{report.made:,} examples of {report.records:,} records; curating them")
        curated(base, self._told)
        self._told("building the dataset")
        search = PassageSearch(base.store, base.retriever)
        selection = Selection(states=("kept", "accepted"), generators=("fields",))
        contexts = ContextPlan(
            "fields",
            distractors=3,
            without_oracle=self.plan.without_oracle,
            longest=self.plan.longest,
            seed=self.plan.seed,
        )
        plan = datasets.DatasetPlan(selection=selection, contexts=contexts, style=FORMAT.style)
        refusals = self._refusals(Examples(base.store), plan)
        plan = replace(plan, chat_files=(refusals,) if refusals else ())
        built = datasets.build(base.store, self.plan.name, plan, search)
        self.note(dataset=f"{built.name}/{built.version}")
        return built

    def _refusals(self, examples: Examples, plan: datasets.DatasetPlan) -> Path | None:
        """A file of harmful requests with the reply that declines them, over fields of drugs of the training split."""
        passages = [
            field_text(one.unit.removeprefix("drug:"), one.topic, one.answers[0])
            for one in examples.stream(plan.selection)
            if one.answerable
            and len(one.answers[0]) <= self.plan.longest
            and datasets.split_of(one.unit, plan.shares) == "train"
        ]
        if not self.plan.refused or not passages:
            return None
        path = self._file.with_name("refusals.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        count = round(self.plan.refused * len(passages))
        rows = refused_rows(passages, count, seed=self.plan.seed, style=FORMAT.style)
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return path

    # -- the model -------------------------------------------------------------------------------------------------

    def start(self, dataset: datasets.Dataset) -> model_folders.Model:
        """A tokenizer and random weights that start near copying."""
        name = f"{self.plan.name}-start"
        if (self.home / "models" / name).is_dir():
            return model_folders.model(self.home, name)
        self._told("a tokenizer and a model from nothing")
        texts = [one.text for one in taught_fields(dataset)]
        if not texts:
            raise UsageError(f"Dataset {dataset.name} shows no single fields. Build it with --contexts fields.")
        words = [template for templates in TEMPLATES.values() for template in templates] * 20
        words += [*SHORT_SYSTEM.values(), *NOT_MENTIONED.values(), *LETTERS] * 50
        words += [word for parts in PARTS.values() for part in parts for word in part] * 5
        tokenizer = train_tokenizer([*texts, *words], self.plan.vocabulary, self.plan.size.context)
        written = self.home / "runs" / f".{name}.writing"
        parameters = write_new_model(written, tokenizer, self.plan.size, seed=self.plan.seed)
        lineage = {
            "kind": "start",
            "run": "",
            "base": {},
            "parents": [],
            "dataset": {"name": dataset.name, "version": dataset.version},
            "prompt_format": str(FORMAT),
            "result": {"parameters": parameters},
        }
        return model_folders.publish(self.home, name, written, lineage)

    def pretrain(self, store: Store, dataset: datasets.Dataset, start: model_folders.Model) -> Run:
        """The run over reading drills and the monographs' text."""
        found = self._run(store, "pretrain")
        if found is not None:
            return found
        from train.fit import load_tokenizer

        self._told("making reading drills")
        plan, tokenizer = self.plan, load_tokenizer(start.folder)
        examples = list(curriculum(tokenizer, dataset, plan))
        left_out: Counter[str] = Counter()
        rows = itertools.islice(datasets.rows(dataset.validation), _HELD_OUT_ROWS)
        held = list(encoded(tokenizer, rows, "chat", plan.row, left_out))
        train, validation = pack(examples, plan.row, "best-fit"), pack(held, plan.row, "best-fit")
        facts: dict[str, Any] = {
            "template": "chat",
            "packing": "best-fit",
            "length": plan.row,
            "context": plan.size.context,
            "train": counts(train, len(examples), {}),
            "validation": counts(validation, len(held), left_out),
        }
        recipe = self._recipe(plan.learning_rate, 1.0)
        base = model_folders.base_of(self.home, start.name)
        version = (dataset.name, dataset.version, "")
        run = describe("pretrain", f"{plan.name}-read", base, recipe, dataset=version, facts=facts, arguments={})
        made = register(Runs(store), self.home, run, base, recipe, Ready(train, validation, True, facts))
        self.note(pretrain=made.id)
        return made

    def tune(self, store: Store, dataset: datasets.Dataset, read: model_folders.Model) -> Run:
        """The run over the dataset."""
        found = self._run(store, "sft")
        if found is not None:
            return found
        asked = Sft(
            dataset,
            model_folders.base_of(self.home, read.name),
            self._recipe(self.plan.tuning_rate, self.plan.epochs),
            name=f"{self.plan.name}-tuned",
            length=self.plan.row,
        )
        made = prepare_sft(Runs(store), self.home, asked)
        self.note(sft=made.id)
        return made

    def carried_out(self, store: Store, run: Run) -> model_folders.Model:
        """The model of a run, training it first if that is not done. Raises KBError when it does not get there."""
        from train.launch import carry_out

        if run.state != "done":
            self._told(f"training: {run.id}, {run.steps:,} steps")
            run = carry_out(Runs(store), run, told=self._told, watch=_watch(self._told))
        if run.state != "done":
            raise KBError(f"Run {run.id} is {run.state}: {run.reason} Run the loop again to go on.")
        return model_folders.model(self.home, run.model)

    def _run(self, store: Store, step: str) -> Run | None:
        made = self.made().get(step)
        found = Runs(store).run(str(made)) if made else None
        return found if found is not None and (found.state == "done" or found.state in RESUMABLE) else None

    def _recipe(self, rate: float, epochs: float) -> Recipe:
        return Recipe(
            epochs=epochs,
            rows=self.plan.rows,
            learning_rate=rate,
            warmup=0.05,
            schedule="linear",
            weight_decay=0.01,
            beta2=0.98,
            precision=_precision(),
            save_every=100,
            log_every=10,
            seed=self.plan.seed,
            threads=self.plan.threads,
        )


def curated(base: KnowledgeBase, told: Told) -> None:
    """Keep or drop the candidates that the fields gave, by every filter that needs no model."""
    from train.curate import CurationReport, by_quoting, filters_of
    from train.curation import curate

    filters = filters_of(PassageSearch(base.store, base.retriever), 10, by_quoting(base.extractor("")))
    report = CurationReport()
    curate(base.store, Selection(states=("candidate",), generators=("fields",)), filters, report)
    told(f"{report.kept:,} of {report.seen:,} kept")


def taught_fields(dataset: datasets.Dataset) -> list[Field]:
    """The fields shown in the training split: what the model may read, and nothing of a test drug."""
    found: dict[tuple[str, str], Field] = {}
    for row in datasets.rows(dataset.train):
        for text in row["metadata"].get("contexts", []):
            split = split_field(text)
            if split is not None:
                found[split[:2]] = Field(*split)
    return list(found.values())


def curriculum(tokenizer: Any, dataset: datasets.Dataset, plan: LoopPlan) -> Iterator[Encoded]:
    """Reading drills and a little plain text, `drill_tokens` in all."""
    taught = taught_fields(dataset)
    tokens = 0
    for one in taught:
        if tokens >= plan.text_share * plan.drill_tokens:
            break
        text = encode_text(tokenizer, one.text)
        if len(text) <= plan.row:
            tokens += len(text)
            yield text
    texts, count = [one.text for one in taught], int(plan.drill_tokens / 100 * plan.refused)
    for row in refused_rows(texts, count, seed=plan.seed, style=FORMAT.style):
        declined = encode(tokenizer, row["messages"], "chat")
        if len(declined) <= plan.row:
            tokens += len(declined)
            yield declined
    pieces = _pieces(tokenizer)
    for stage, (share, drill_plan) in enumerate(STAGES):
        until = tokens + share * plan.drill_tokens
        made = drills(
            taught,
            pieces,
            replace(drill_plan, longest=min(drill_plan.longest, plan.longest)),
            ask=_ask,
            show=_show,
            refused=harmful_request,
            not_mentioned=NOT_MENTIONED["zh"],
            seed=plan.seed + stage + 1,
        )
        while tokens < until:
            drill = encode(tokenizer, next(made), "chat")
            if len(drill) <= plan.row:
                tokens += len(drill)
                yield drill


def _precision() -> Precision:
    """bf16 where the machine computes in it: a third faster on such processors, as good a model."""
    import torch

    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if processor_computes_bfloat16() else "fp32"


def _pieces(tokenizer: Any) -> list[str]:
    """The tokens that random values are made of."""
    texts = (str(tokenizer.decode([number])) for number in range(len(tokenizer)))
    return [text for text in texts if text.strip() and "\ufffd" not in text and "<" not in text]


def _ask(chance: random.Random, field: str, name: str) -> str:
    return chance.choice(TEMPLATES.get(field, (f"{{name}}的{field}是什么？",))).format(name=name)


def _show(passages: Sequence[str], question: str) -> list[dict[str, str]]:
    return short_chat(question, passages, "zh")


def _watch(told: Told) -> Callable[[Any], None]:
    return lambda progress: told(
        f"step {progress.step:,}/{progress.steps:,}  loss {progress.loss:.3f}  {progress.left_s:,.0f} s left"
    )


def run_loop(
    home: Path,
    plan: LoopPlan,
    opened: Callable[[bool], Any],
    open_store: Callable[[], Any],
    told: Told,
) -> Mapping[str, Any]:
    """All steps in order. `opened(write)` opens the knowledge base, `open_store()` the catalog beside an app."""
    from train import evaluations

    loop = Loop(home, plan, told)
    with opened(True) as base:
        dataset = loop.data(base)
    with open_store() as store:
        start = loop.start(dataset)
        read = loop.carried_out(store, loop.pretrain(store, dataset, start))
        tuned = loop.carried_out(store, loop.tune(store, dataset, read))
    with open_store() as store, opened(False) as base, under_way(store, tuned, _asked(told)) as asking:
        found = evaluations.evaluate(base, tuned.name, most=plan.questions, progress=asking)
    with open_store() as store:
        kept = evaluations.Evaluations(store).add(found, SINGLE)
        promoted = ""
        try:
            promoted = evaluations.promote(store, tuned.name, SINGLE, reason="make loop")[0].model
            why = ""
        except UsageError as error:
            why = str(error)
    return {"dataset": f"{dataset.name}/{dataset.version}", "evaluation": kept, "promoted": promoted, "why": why}


def _asked(told: Told) -> Callable[[str, int, int], None]:
    return lambda engine, done, total: told(f"{engine}: question {done} of {total}")
