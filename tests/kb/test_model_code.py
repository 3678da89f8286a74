"""Code that a model folder brings is a program: it runs only where its very hash is trusted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kb.errors import UsageError
from kb.local_model import load_local_model
from kb.model_code import code_hash, loading
from tests.tiny_model import save_tiny_model

CONFIGURATION = """
from transformers import LlamaConfig

class HouseConfig(LlamaConfig):
    model_type = "house_llama"
"""
MODEL = """
from pathlib import Path

from transformers import LlamaForCausalLM

from .configuration_house import HouseConfig

Path("{trace}").write_text("ran")

class HouseForCausalLM(LlamaForCausalLM):
    config_class = HouseConfig
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of an architecture of its own; its code leaves a file `ran` behind when it runs."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    made = save_tiny_model(tmp_path / "house")
    config = json.loads((made / "config.json").read_text())
    names = {"AutoConfig": "configuration_house.HouseConfig", "AutoModelForCausalLM": "model_house.HouseForCausalLM"}
    config |= {"model_type": "house_llama", "architectures": ["HouseForCausalLM"], "auto_map": names}
    (made / "config.json").write_text(json.dumps(config))
    (made / "configuration_house.py").write_text(CONFIGURATION)
    (made / "model_house.py").write_text(MODEL.format(trace=tmp_path / "ran"))
    return made


def test_code_nobody_named_is_refused_and_does_not_run(folder: Path, tmp_path: Path) -> None:
    """Lost: whoever gives the hospital a model folder runs programs in it."""
    with pytest.raises(UsageError, match=code_hash(folder)):
        load_local_model(folder, max_new_tokens=16)
    assert not (tmp_path / "ran").exists()


def test_code_that_is_named_runs_until_it_is_changed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost: a model that an admin has read and trusts cannot be used; or what was slipped into it later runs too."""
    monkeypatch.setenv("VADEMECUM_TRUSTED_CODE", json.dumps([code_hash(folder)]))
    assert load_local_model(folder, max_new_tokens=16).invoke("2 mg").content is not None
    assert (tmp_path / "ran").exists()
    with (folder / "model_house.py").open("a") as file:
        file.write("# and more\n")
    with pytest.raises(UsageError, match=code_hash(folder)):
        load_local_model(folder, max_new_tokens=16)


def test_a_known_architecture_needs_no_code(folder: Path, tmp_path: Path) -> None:
    """Lost: a Llama whose folder has a stray auto_map is refused, or runs what it maps to."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
    assert loading(folder) == {"local_files_only": True, "trust_remote_code": False}
    load_local_model(folder, max_new_tokens=16)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("place", ["/tmp/evil--model.Cls", "/tmp/evil/model.Cls", "../model.Cls"])
def test_code_elsewhere_is_never_run(folder: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Lost: a folder whose own files are trusted points at others, which run too."""
    monkeypatch.setenv("VADEMECUM_TRUSTED_CODE", json.dumps([code_hash(folder)]))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoConfig": place}}))
    with pytest.raises(UsageError, match="outside its folder"):
        loading(folder)


def test_what_is_trusted_includes_which_classes_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost: trusted files are put to another use, or reached through a link."""
    trusted = code_hash(folder)
    monkeypatch.setenv("VADEMECUM_TRUSTED_CODE", json.dumps([trusted]))
    assert loading(folder)["trust_remote_code"]
    (folder / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["model_house.Other", null]}}')
    with pytest.raises(UsageError, match="brings its own code"):
        loading(folder)
    (folder / "sub").symlink_to(folder.parent)
    with pytest.raises(UsageError, match="outside it"):
        loading(folder)
