"""Engines behind the model seam, against a real endpoint and a real (tiny) model."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import SecretStr

from kb.endpoint_model import EndpointModel, public_address
from kb.errors import UsageError
from kb.local_model import LocalModel, load_local_model, plain_prompt, until
from kb.model_failures import ModelFailure
from kb.models import build_model
from kb.settings import Settings
from tests.openai_server import OpenAIServer
from tests.tiny_model import NO_SYSTEM_TEMPLATE, save_tiny_model

ASKED = [SystemMessage("Be brief."), HumanMessage("How much?")]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


def at_endpoint(url: str, model: str, *, timeout_s: float = 1.0, key: str = "sk-secret-123") -> EndpointModel:
    built = build_model(
        Settings(
            engine="openai",
            openai_base_url=url,
            openai_model=model,
            openai_api_key=SecretStr(key),
            model_timeout_s=timeout_s,
            max_new_tokens=77,
        )
    )
    assert isinstance(built, EndpointModel)
    return built


def test_the_extractive_engine_needs_no_model() -> None:
    assert build_model(Settings()) is None


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (Settings(engine="transformers"), ["model_path"]),
        (Settings(engine="transformers", model_path=Path("/nowhere")), ["model_path", "/nowhere"]),
        (Settings(engine="openai"), ["openai_base_url", "openai_model"]),
        (Settings(engine="openai", openai_base_url="http://127.0.0.1:1/v1"), ["openai_model"]),
        (Settings(engine="openai", openai_base_url="127.0.0.1:8000", openai_model="m"), ["openai_base_url", "http://"]),
    ],
)
def test_a_missing_setting_is_named(settings: Settings, names: list[str]) -> None:
    """Lost: an admin sees a traceback instead of the setting to correct."""
    with pytest.raises(UsageError) as refused:
        build_model(settings)
    assert all(name in str(refused.value) for name in names)


def test_an_endpoint_streams(endpoint: OpenAIServer) -> None:
    """Lost: the answer appears in one block, or the prompt's rules and limits never reach the model."""
    pieces = [str(chunk.text) for chunk in at_endpoint(endpoint.url, "ok").stream(ASKED)]
    assert "".join(pieces) == "The maximum daily dose is 2550 mg [1]."
    assert sum(bool(piece) for piece in pieces) == 6
    path, headers, body = endpoint.requests[-1]
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer sk-secret-123"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert (body["max_tokens"], body["temperature"], body["stream"]) == (77, 0.0, True)


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        ("hang", "slow", "0.3 s"),
        ("hang-first", "slow", "0.3 s"),
        ("cut", "cut", "broke off"),
        ("cut-clean", "cut", "broke off"),
        ("error-500", "busy", "out of memory"),
        ("error-429", "busy", "too many requests"),
        ("error-401", "refused", "openai_api_key"),
        ("error-400", "too long", "max_new_tokens"),
        ("garbage", "garbled", "openai_base_url"),
        ("html", "garbled", "openai_base_url"),
        ("redirect", "refused", "307"),
        ("error-event", "broke", "CUDA out of memory"),
    ],
)
def test_an_endpoint_that_fails_says_how(endpoint: OpenAIServer, script: str, kind: str, said: str) -> None:
    """Lost: half an answer passes for a whole one, or nobody learns what to repair."""
    with pytest.raises(ModelFailure) as failed:
        list(at_endpoint(endpoint.url, script, timeout_s=0.3).stream(ASKED))
    assert failed.value.kind == kind
    assert said in str(failed.value)
    assert "sk-secret" not in str(failed.value)
    assert failed.value.explain("zh") != failed.value.explain("en")


def test_a_redirect_is_not_followed(endpoint: OpenAIServer) -> None:
    """Lost: a question about a patient is sent on to an address nobody configured."""
    with pytest.raises(ModelFailure):
        list(at_endpoint(endpoint.url, "redirect").stream(ASKED))
    assert not any("elsewhere" in path for path, _, _ in endpoint.requests)


def test_an_endpoint_that_is_down_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ModelFailure) as failed:
        list(at_endpoint(f"http://127.0.0.1:{port}/v1", "ok").stream(ASKED))
    assert failed.value.kind == "down"
    assert f"http://127.0.0.1:{port}/v1" in str(failed.value)
    assert "Connection refused" in str(failed.value)


def test_a_stream_once_begun_is_never_asked_again(endpoint: OpenAIServer) -> None:
    """Lost: after a cut the reader sees the beginning of the answer twice."""
    before = len(endpoint.requests)
    with pytest.raises(ModelFailure):
        list(at_endpoint(endpoint.url, "cut").stream(ASKED))
    assert len(endpoint.requests) == before + 1


def test_no_proxy_or_address_is_taken_from_the_environment(
    endpoint: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost: a forgotten variable sends questions through someone else's machine."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "OPENAI_PROXY", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    for name in ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "from-the-environment")
    assert list(at_endpoint(endpoint.url, "ok", key="").stream(ASKED))
    headers = endpoint.requests[-1][1]
    assert "environment" not in str(headers)


def test_credentials_in_an_address_are_not_shown() -> None:
    assert public_address("http://user:secret@host:8000/v1?key=secret") == "http://host:8000/v1"


def test_a_local_model_streams_and_counts(tiny: Path) -> None:
    """Lost: the promoted model cannot serve, or its answer comes in one block."""
    model = load_local_model(tiny, max_new_tokens=24)
    chunks = list(model.stream(ASKED))
    assert sum(bool(chunk.content) for chunk in chunks) > 1
    assert any(chunk.response_metadata.get("finish_reason") == "length" for chunk in chunks)
    assert model.name == f"transformers:{tiny.name}"
    assert model.count_tokens(ASKED) < 60
    assert model.invoke(ASKED).content == "".join(str(chunk.content) for chunk in chunks)


def test_closing_the_stream_stops_generation(tiny: Path) -> None:
    """Lost: the stop button frees the page but the processor goes on for minutes."""
    model = load_local_model(tiny, max_new_tokens=1900)
    stream = model.stream(ASKED)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 5
    while any(thread.name == "vademecum-generate" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "still generating"
        time.sleep(0.01)


def test_a_failure_inside_generation_reaches_the_reader(tiny: Path) -> None:
    """Lost: the page waits for ever for a model whose thread has died."""
    model = load_local_model(tiny, max_new_tokens=24)
    model._model.config.vocab_size = 1
    model._model.lm_head = None
    with pytest.raises(ModelFailure) as failed:
        list(model.stream(ASKED))
    assert failed.value.kind == "broke"


def test_a_prompt_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    model = load_local_model(save_tiny_model(tmp_path, context=64), max_new_tokens=16)
    with pytest.raises(ModelFailure) as failed:
        list(model.stream([HumanMessage("word " * 200)]))
    assert failed.value.kind == "too long"


def test_a_template_without_system_role_still_gets_the_rules(tmp_path: Path) -> None:
    """Lost: a model whose template knows no system role fails, or answers without the rules."""
    model = load_local_model(save_tiny_model(tmp_path, template=NO_SYSTEM_TEMPLATE), max_new_tokens=16)
    text = model._tokenizer.decode(model._encode(ASKED))
    assert "Be brief." in text
    assert "How much?" in text


def test_a_model_without_template_gets_plain_roles(tmp_path: Path) -> None:
    model = load_local_model(save_tiny_model(tmp_path, template=None), max_new_tokens=16)
    assert list(model.stream(ASKED))
    assert plain_prompt(ASKED) == "System: Be brief.\n\nUser: How much?\n\nAssistant:"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_an_answer_ends_where_the_model_starts_to_play_the_user(size: int) -> None:
    """Lost: a base model asks itself further questions and answers them."""
    text = "5 mg.\nUse it.\nUser: and then? Assistant: more"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert "".join(until(iter(pieces), ("\nUser:", "\nSystem:"))) == "5 mg.\nUse it."


def test_weights_that_could_run_code_are_refused(tmp_path: Path) -> None:
    """Lost: a pickled checkpoint runs whatever its author wants on the hospital's server."""
    save_tiny_model(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UsageError, match="safetensors"):
        load_local_model(tmp_path, max_new_tokens=16)


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    save_tiny_model(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UsageError, match="cannot be loaded"):
        load_local_model(tmp_path, max_new_tokens=16)


def test_no_room_for_passages_is_refused(tiny: Path) -> None:
    with pytest.raises(UsageError, match="max_new_tokens"):
        load_local_model(tiny, max_new_tokens=4096)


def test_a_local_model_is_built_from_settings(tiny: Path) -> None:
    built = build_model(Settings(engine="transformers", model_path=tiny, max_new_tokens=16))
    assert isinstance(built, LocalModel)
    assert built.prompt_tokens == 2048 - 16
