"""The verbs `qa curate`, `qa answer` and `qa review …`: what becomes of candidates; answers to a file of questions."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.console import SOME_FAILED, Home, Json, ProgressLine, verb
from train.verbs import Documents, Generators, Since, States, Tasks, Until, example_json, opened, selection_of

if TYPE_CHECKING:
    from kb.access import Principal
    from kb.knowledge_base import KnowledgeBase
    from train.curate import AnswerAgain, Filter
    from train.examples import Selection
    from train.review import Case

Key = Annotated[str, typer.Argument(metavar="EXAMPLE", help="Id of the example, or its first six digits or more.")]
As = Annotated[str, typer.Option("--as", help="Who reviews (default: the login name).")]
Note = Annotated[str, typer.Option(help="A remark that stays with the verdict.")]


def register(qa: typer.Typer) -> None:
    """Mount the verbs on `qa`."""
    qa.command("curate")(curate)
    qa.command("answer")(answer_questions)
    review = typer.Typer(no_args_is_help=True, help="Accept, edit or reject examples; how well reviewers agree.")
    review.command("next")(next_example)
    review.command("accept")(accept)
    review.command("edit")(edit)
    review.command("reject")(reject)
    review.command("feedback")(feedback)
    review.command("agreement")(agreement)
    qa.add_typer(review, name="review")


# -- curation --------------------------------------------------------------------------------------------------------


def curate(
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="The source must be among this many passages.")] = 10,
    answer_again: Annotated[
        bool, typer.Option(help="Answer again from the source and compare (monographs, by the extractive engine).")
    ] = True,
    judge: Annotated[
        bool,
        typer.Option(
            "--judge", help="Also ask the configured model: is each answer borne out, and would it answer the same?"
        ),
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=1024, help="Requests to the judge in flight at once.")] = 8,
    against: Annotated[
        list[Path] | None, typer.Option(help="Evaluation questions (JSONL) that no example may repeat; repeatable.")
    ] = None,
    task: Tasks = None,
    document: Documents = None,
    source: Generators = None,
    since: Since = "",
    until: Until = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Keep or drop the candidates; what is dropped stays, with its filter and reason."""
    from kb.evaluate import read_rows
    from train.contexts import PassageSearch
    from train.curate import CurationReport, by_quoting, filters_of
    from train.curation import curate as run
    from train.diversity import diversity
    from train.examples import Selection

    with verb(as_json) as output, opened(home, write=True) as base:
        selection = selection_of(base, ["candidate"], task, document, source, since, until)
        asked = [str(row.get("question", "")) for path in against or [] for row in read_rows(path)]
        report = CurationReport()
        line = ProgressLine()
        again = by_quoting(base.extractor(""))
        search = PassageSearch(base.store, base.retriever)
        judging: dict[str, Filter] = {}
        if judge:
            judging, again = _ask_judge(base, selection, concurrency, again, line)
        run(
            base.store,
            selection,
            filters_of(search, k, again if answer_again else None) | judging,
            report,
            embedder=base.embedder,
            against=asked,
            progress=lambda step, done, total: line.show(f"{step}: {done:,} of {total:,}"),
        )
        line.close()
        spread = diversity(base.store, Selection(states=("kept", "accepted")))
        dropped = dict(report.dropped.most_common())
        output.result = {"seen": report.seen, "kept": report.kept, "dropped": dropped, "diversity": spread}
        output.say(f"{report.kept:,} of {report.seen:,} candidates kept.")
        for name, count in dropped.items():
            output.say(f"  {name:14} {count:>8,} dropped")
        for name, value in spread.items():
            output.say(f"  {name}: {value}")


def _ask_judge(
    base: KnowledgeBase, selection: Selection, concurrency: int, again: AnswerAgain, line: ProgressLine
) -> tuple[dict[str, Filter], AnswerAgain]:
    """Put the candidates to the model, and give the filters that read its journalled replies."""
    import asyncio

    from train.engine import engine_of
    from train.generate import GenerationReport, Limits, generate
    from train.judge import ANSWER_AGAIN, JUDGE, Replies, by_model, items, judged

    engine = engine_of(base.settings, concurrency)

    async def ask() -> None:
        try:
            for task in (JUDGE, ANSWER_AGAIN):
                await generate(
                    base.store,
                    task,
                    items(task, base.store, selection),
                    engine,
                    Limits(concurrency),
                    GenerationReport(),
                    lambda now, name=task.name: line.show(f"{name}: {now.done + now.failed:,} replies"),  # type: ignore[misc]
                )
        finally:
            await engine.close()

    asyncio.run(ask())
    verdicts, answers = (Replies(base.store, task, engine.name) for task in (JUDGE, ANSWER_AGAIN))
    return {"judge": judged(verdicts)}, by_model(answers, again)


# -- batch answers ---------------------------------------------------------------------------------------------------


def answer_questions(
    questions: Annotated[Path, typer.Argument(help="Questions: .txt (one a line), .csv or .jsonl with `question`.")],
    out: Annotated[Path, typer.Option("--out", help="JSON lines to write; run again, it goes on where it was.")],
    model: Annotated[str | None, typer.Option(help="Engine: extractive, transformers or openai.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Answer a file of questions, with citations. Killed and run again, it answers only what is left."""
    from train.batch import answer_file

    with verb(as_json) as output, opened(home, engine=model) as base:
        line = ProgressLine()
        done = answer_file(base, questions, out, lambda now, total: line.show(f"question {now:,} of {total:,}"))
        line.close()
        output.result = {
            "file": str(out),
            "questions": done.questions,
            "answered": done.answered,
            "known": done.known,
            "abstained": done.abstained,
            "failed": done.failed,
        }
        output.say(
            f"{done.answered:,} answered ({done.abstained:,} not mentioned in the documents), {done.known:,} known, "
            f"{done.failed:,} failed; in {out}."
        )
        if done.failed:
            output.code = SOME_FAILED


# -- review ----------------------------------------------------------------------------------------------------------


def next_example(
    skip: Annotated[int, typer.Option(min=0, help="Pass by this many.")] = 0,
    state: States = None,
    task: Tasks = None,
    document: Documents = None,
    source: Generators = None,
    who: As = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Show the next example that waits, with its passage. --state accepted gives double reviews."""
    from train.review import Review

    with verb(as_json) as output, opened(home) as base:
        selection = selection_of(base, state or ["kept"], task, document, source, "", "")
        case = Review(base.store).next(reviewer(base, who), selection, skip=skip)
        output.result = {"case": _case_json(case) if case else None}
        if case is None:
            output.say("Nothing waits.")
            return
        example = case.example
        output.say(f"{example.id}  {example.task}, {example.topic or 'no type'}; {case.left:,} wait")
        if case.document and case.chunk:
            output.say(f"{case.document.title}, {case.chunk.heading}, p. {', '.join(map(str, case.chunk.pages))}")
            output.say(f"\n{case.chunk.text}\n")
        for message in example.messages:
            output.say(f"{message.role}: {message.content}")
        output.say(f"Q {example.question}\nA {example.answers[0]}")


def accept(key: Key, note: Note = "", who: As = "", as_json: Json = False, home: Home = None) -> None:
    """The example is right."""
    from train.review import Review

    with verb(as_json) as output, opened(home, write=True) as base:
        example = Review(base.store).accept(reviewer(base, who), key, note)
        output.result = {"example": example_json(example)}
        output.say(f"Accepted {example.id}.")


def reject(
    key: Key,
    reason: Annotated[str, typer.Option(help="Why it is wrong.")],
    who: As = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """The example is wrong."""
    from train.review import Review

    with verb(as_json) as output, opened(home, write=True) as base:
        example = Review(base.store).reject(reviewer(base, who), key, reason)
        output.result = {"example": example_json(example)}
        output.say(f"Rejected {example.id}: {example.reason}.")


def edit(
    key: Key,
    question: Annotated[str, typer.Option(help="The corrected question.")] = "",
    answer: Annotated[str, typer.Option(help="The corrected answer.")] = "",
    note: Note = "",
    who: As = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Accept a corrected copy; the old example stays, marked as edited."""
    from train.review import Review

    with verb(as_json) as output, opened(home, write=True) as base:
        example = Review(base.store).edit(reviewer(base, who), key, question=question, answer=answer, note=note)
        output.result = {"example": example_json(example)}
        output.say(f"Accepted as {example.id}.")


def feedback(who: As = "", as_json: Json = False, home: Home = None) -> None:
    """Turn the corrections that readers gave of answers into candidates."""
    from train.review import Review

    with verb(as_json) as output, opened(home, write=True) as base:
        made, without = Review(base.store).take_feedback(reviewer(base, who))
        output.result = {"made": made, "without_correction": without}
        output.say(f"{made:,} candidates made; {without:,} pieces of feedback give none (no correction, or no source).")


def agreement(who: As = "", as_json: Json = False, home: Home = None) -> None:
    """How well reviewers agree on the examples that two of them judged (Cohen's kappa)."""
    from dataclasses import asdict

    from train.review import Review

    with verb(as_json) as output, opened(home) as base:
        review = Review(base.store)
        principal = reviewer(base, who)
        pairs = review.agreement(principal)
        counts = review.counts(principal)
        output.result = {
            "agreement": [asdict(pair) for pair in pairs],
            "verdicts": {name: dict(count) for name, count in counts.items()},
        }
        for name, count in counts.items():
            output.say(f"{name:20} " + ", ".join(f"{n:,} {verdict}" for verdict, n in sorted(count.items())))
        for pair in pairs:
            kappa = "too few" if pair.kappa is None else f"{pair.kappa:.2f}"
            output.say(f"{pair.first} and {pair.second}: {pair.same:,} of {pair.examples:,} alike, kappa {kappa}")
        if not pairs:
            output.say("No example was judged by two people yet: `qa review next --state accepted --as NAME`.")


def reviewer(base: KnowledgeBase, name: str) -> Principal:
    """Who reviews on the command line: the account of that name, else the name itself (whoever owns the files may)."""
    from kb.access import Principal
    from kb.accounts import Accounts

    name = name or getpass.getuser()
    user = next((user for user in Accounts(base.store).users() if user.name == name), None)
    return user.principal if user else Principal(f"cli:{name}", name, "single")


def _case_json(case: Case) -> dict[str, object]:
    return {
        **example_json(case.example),
        "left": case.left,
        "file": case.document.file if case.document else "",
        "pages": list(case.chunk.pages) if case.chunk else [],
        "heading": case.chunk.heading if case.chunk else "",
        "passage": case.chunk.text if case.chunk else "",
    }
