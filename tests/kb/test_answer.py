"""Answers as they stream: order of events, every way a model can fail, notices, thoughts, the stop button."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from kb.answer import ENGINE_AFTER_FAILURE, answer
from kb.model_stream import ThoughtReader
from kb.models import build_model
from kb.settings import Settings
from kb.testing import AnsweringContract, ScriptedModel
from kb.types import Answer, AnswerEvent, Delta, Finished, Restart, Turn
from tests.openai_server import OpenAIServer

HITS = AnsweringContract().hits()
QUESTION = AnsweringContract.question
QUOTED = "The maximum daily dose is 2550 mg. [1]"


def run(model: ScriptedModel, question: str = QUESTION, timeout_s: float = 5.0) -> tuple[list[AnswerEvent], Answer]:
    events = list(answer(question, HITS, model=model, engine="scripted", timeout_s=timeout_s))
    assert isinstance(events[-1], Finished)
    return events, events[-1].answer


def test_a_model_that_answers_is_shown_statement_by_statement() -> None:
    events, found = run(ScriptedModel(pieces=["Up to ", "2550 mg ", "[1", "]. Taken with", " meals [1]."]))
    assert [event.text for event in events if isinstance(event, Delta)] == [
        "Up to 2550 mg [1]. ",
        "Taken with meals [1].",
    ]
    assert found.engine == "scripted"
    assert found.notice == ""
    assert [(c.n, c.quote) for c in found.citations] == [
        (1, "The maximum daily dose is 2550 mg."),
        (1, "Metformin is taken with meals."),
    ]
    assert [(one.text, one.cites, one.support) for one in found.statements] == [
        ("Up to 2550 mg.", (1,), "supported"),
        ("Taken with meals.", (1,), "supported"),
    ]
    assert found.seconds > 0


def test_a_dose_that_no_passage_holds_is_never_on_the_screen() -> None:
    """Lost: a clinician reads a dose in the second before it is taken back."""
    model = ScriptedModel(pieces=["Up to 25", "50 mg [1]. Chil", "dren get 300 mg", " [1]. Taken with meals [1]."])
    events, found = run(model)
    assert found.text == "Up to 2550 mg [1]. […] Taken with meals [1]."
    assert not any("300" in event.text for event in events if isinstance(event, Delta))
    assert [(one.shown, one.missing) for one in found.statements] == [(True, ()), (False, ("300 mg",)), (True, ())]
    assert "left out" in found.notice
    assert "300" not in found.notice


def test_where_the_settings_say_so_it_is_shown_with_a_remark() -> None:
    pieces = ["Up to 2550 mg [1]. Children get 300 mg [1]."]
    *_, last = answer(QUESTION, HITS, model=ScriptedModel(pieces=pieces), withhold=False)
    assert isinstance(last, Finished)
    assert last.answer.text.endswith("Children get 300 mg [1]. (not borne out by what it cites)")
    assert "said behind them" in last.answer.notice


def test_when_nothing_a_model_says_is_borne_out_the_quotes_take_over() -> None:
    """Lost: the reader gets an empty answer, or an invented one."""
    events, found = run(ScriptedModel(pieces=["Up to 9000 mg [1]. Insulin is better [2]."]))
    assert (found.text, found.engine) == (QUOTED, ENGINE_AFTER_FAILURE)
    assert "9000" not in "".join(event.text for event in events if isinstance(event, Delta))
    assert "borne out" in found.notice


def test_the_extractive_engine_answers_without_a_model() -> None:
    events = list(answer(QUESTION, HITS))
    assert isinstance(events[-1], Finished)
    assert events[-1].answer.text == QUOTED
    assert events[-1].answer.engine == "extractive"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (ScriptedModel(pieces=["Half an an"], fails_with=RuntimeError("CUDA out of memory")), "CUDA out of memory"),
        (ScriptedModel(pieces=[], fails_with=ValueError("bad template")), "bad template"),
        (ScriptedModel(pieces=["Half an an"], hangs_s=2.0), "0.3 s"),
        (ScriptedModel(pieces=[], hangs_s=2.0), "0.3 s"),
        (ScriptedModel(pieces=["drip "] * 100, wait_s=0.1), "3 s"),
        (ScriptedModel(pieces=["", "  ", "\n"]), "no text"),
        (ScriptedModel(pieces=["<think>for ever"]), "no text"),
    ],
)
def test_when_the_model_fails_the_quotes_take_over(model: ScriptedModel, said: str) -> None:
    """Lost: half an answer stands as the answer, or the page waits for ever."""
    started = time.monotonic()
    events, found = run(model, timeout_s=0.3)
    assert time.monotonic() - started < 9  # the one that drips would take 10
    restarts = [event for event in events if isinstance(event, Restart)]
    assert len(restarts) == 1
    assert said in restarts[0].notice
    assert found.notice == restarts[0].notice
    assert events[-2:] == [Delta(QUOTED), Finished(found)]
    assert (found.text, found.engine) == (QUOTED, ENGINE_AFTER_FAILURE)


@pytest.mark.parametrize("script", ["hang", "hang-first", "cut", "cut-clean", "error-500", "garbage", "html", "empty"])
def test_when_an_endpoint_fails_the_quotes_take_over(script: str) -> None:
    """Lost: the clinic has no answers while its model server is being repaired."""
    with OpenAIServer() as server:
        model = build_model(
            Settings(engine="openai", openai_base_url=server.url, openai_model=script, openai_api_key=SecretStr("k"))
        )
        events = list(answer(QUESTION, HITS, model=model, timeout_s=0.5))
    assert isinstance(events[-1], Finished)
    assert events[-1].answer.text == QUOTED
    assert any(isinstance(event, Restart) for event in events)


def test_what_happened_is_told_in_the_language_of_the_question() -> None:
    _, found = run(ScriptedModel(pieces=[], fails_with=RuntimeError("x")), "二甲双胍的最大剂量？")
    assert "以下改为直接摘录原文" in found.notice
    assert "What follows" not in found.notice


def test_an_answer_without_citation_is_marked_as_such() -> None:
    """Lost: free invention looks like a checked answer."""
    assert "cited" in run(ScriptedModel(pieces=["Up to 2550 mg."]))[1].notice
    assert "出处" in run(ScriptedModel(pieces=["最多2550毫克。"]), "最大剂量是多少？")[1].notice


def test_marks_of_passages_that_were_not_given_are_reported() -> None:
    _, found = run(ScriptedModel(pieces=["Up to 2550 mg [1]. Or more [8]."]))
    assert found.text == "Up to 2550 mg [1]. Or more ."
    assert "[8]" in found.notice


@pytest.mark.parametrize(
    ("text", "abstained"),
    [
        ("Not mentioned in the documents.", True),
        ("Not mentioned in the documents. [1]", True),
        ("文本中未提及。", True),
        ("The maximum is 2550 mg [1]. The dose for children is not mentioned in the documents.", False),
    ],
)
def test_a_model_that_abstains_is_taken_at_its_word(text: str, abstained: bool) -> None:
    """Lost: 'not mentioned' counts as an answer, or half an answer as silence."""
    _, found = run(ScriptedModel(pieces=[text]))
    assert found.abstained is abstained
    assert found.notice == ""
    assert found.hits


def test_an_answer_that_reached_its_limit_says_so() -> None:
    assert (
        "max_new_tokens" in run(ScriptedModel(pieces=["Up to 2550 mg [1]. Taken wi"], finish_reason="length"))[1].notice
    )


def test_without_passages_no_model_is_asked() -> None:
    """Lost: the model answers from its memory when the library is empty."""
    model = ScriptedModel(pieces=["I know it all [1]."])
    events = list(answer(QUESTION, [], model=model))
    assert isinstance(events[-1], Finished)
    assert events[-1].answer.abstained
    assert model.asked == []


def test_the_conversation_reaches_the_model() -> None:
    model = ScriptedModel(pieces=["Taken with meals [1]."])
    list(answer("And its dose?", HITS, history=[Turn("user", "What is metformin?")], model=model))
    assert [message.type for message in model.asked[0]] == ["system", "human", "human"]


def test_stop_reaches_the_model() -> None:
    """Lost: the stop button stops the page only, and the model goes on."""
    model = ScriptedModel(pieces=["Yes. "] * 1000, wait_s=0.01)
    events = answer(QUESTION, HITS, model=model)
    next(events)
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert model.closed.wait(2.0)


def test_no_trace_of_a_question_is_sent_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost: an environment variable sends every question about every patient to a tracing service."""
    posted: list[str] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(self.path)
            self.send_response(202)
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    collector = HTTPServer(("127.0.0.1", 0), Collector)
    Thread(target=collector.serve_forever, daemon=True).start()
    for prefix in ("LANGSMITH", "LANGCHAIN"):
        monkeypatch.setenv(f"{prefix}_TRACING", "true")
        monkeypatch.setenv(f"{prefix}_TRACING_V2", "true")
        monkeypatch.setenv(f"{prefix}_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
        monkeypatch.setenv(f"{prefix}_API_KEY", "key")
    run(ScriptedModel(pieces=["Up to 2550 mg [1]."]))
    time.sleep(0.5)
    collector.shutdown()
    assert posted == []


def test_thoughts_are_not_shown() -> None:
    """Lost: a reasoning model's musings, with doses it then rejects, stand in the answer."""
    events, found = run(ScriptedModel(pieces=["<th", "ink>Maybe 5000 mg [2]?</thi", "nk>\n\n", "Up to 2550 mg [1]."]))
    assert found.text == "Up to 2550 mg [1]."
    assert "5000" not in "".join(event.text for event in events if isinstance(event, Delta))


@given(st.text(alphabet="<thinkg/> a", max_size=60), st.integers(1, 7))
def test_thoughts_end_at_the_same_place_however_cut(text: str, size: int) -> None:
    def read(pieces: list[str]) -> str:
        reader = ThoughtReader()
        return "".join([*map(reader.feed, pieces), reader.close()])

    assert read([text[at : at + size] for at in range(0, len(text), size)]) == read([text])
