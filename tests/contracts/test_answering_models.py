"""Every engine keeps the same contract: the extractive one, a local model, an endpoint, a model that fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from langchain_core.language_models import BaseChatModel

from kb.local_model import load_local_model
from kb.models import build_model
from kb.settings import Settings
from kb.testing import AnsweringContract, ScriptedModel
from tests.openai_server import OpenAIServer
from tests.tiny_model import save_tiny_model


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> BaseChatModel:
    return load_local_model(save_tiny_model(tmp_path_factory.mktemp("tiny"), context=4096), max_new_tokens=32)


class TestExtractive(AnsweringContract):
    def model(self) -> None:
        return None


class TestLocalModel(AnsweringContract):
    @pytest.fixture(autouse=True)
    def _given(self, loaded: BaseChatModel) -> None:
        self.loaded = loaded

    def model(self) -> BaseChatModel:
        return self.loaded


class TestEndpoint(AnsweringContract):
    script = "ok"

    @pytest.fixture(autouse=True)
    def _serving(self) -> Iterator[None]:
        with OpenAIServer() as server:
            self.url = server.url
            yield

    def model(self) -> BaseChatModel | None:
        return build_model(Settings(engine="openai", openai_base_url=self.url, openai_model=self.script))


class TestEndpointCutOff(TestEndpoint):
    script = "cut"


class TestModelThatCitesWildly(AnsweringContract):
    def model(self) -> BaseChatModel:
        return ScriptedModel(pieces=["[1", "-9] and 【2", "】 and [x", "] and [", "1"])


class TestModelThatFails(AnsweringContract):
    def model(self) -> BaseChatModel:
        return ScriptedModel(pieces=["Half "], fails_with=RuntimeError("gone"))
