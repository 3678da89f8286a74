"""Which model answers: promoted, rolled back, loaded without a restart, and refused when it is not what was judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kb.access import SINGLE, Principal
from kb.audit import Audit
from kb.errors import AccessDenied, UsageError
from kb.promotions import Promotion, Promotions
from kb.serving import Serving, weights_hash
from kb.settings import Settings
from kb.store import Store
from tests.tiny_model import save_tiny_model
from train.model_folders import weights_hash as hash_of_lineage


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.close()


def tiny(store: Store, name: str) -> Promotion:
    folder = save_tiny_model(store.home / "models" / name)
    return Promotion(name, weights_hash(folder), "short/fields")


def test_rolling_back_goes_back_step_by_step_to_the_settings_engine(store: Store) -> None:
    """Lost: after a bad promotion the hospital cannot get its old answers back."""
    promotions = Promotions(store)
    assert promotions.current().model == ""
    for name in ("first", "second"):
        promotions.promote(Promotion(name, name, "app/passages", reason="better"), SINGLE)
    assert promotions.roll_back("worse on doses", SINGLE).model == "first"
    assert promotions.roll_back("worse too", SINGLE).model == ""
    with pytest.raises(UsageError, match="nothing to roll back"):
        promotions.roll_back("again", SINGLE)
    promotions.promote(Promotion("second", "second", "app/passages"), SINGLE)
    assert [one.model for one in promotions.history()] == ["second", "", "first", "second", "first"]
    assert [entry.action for entry in Audit(store).entries()] == ["promoted"] * 2 + ["rolled back"] * 2 + ["promoted"]


def test_only_admins_promote(store: Store) -> None:
    """Lost: any reader changes who answers for the whole hospital."""
    curator = Principal("u1", "curator", "curator")
    with pytest.raises(AccessDenied):
        Promotions(store).promote(Promotion("first"), curator)
    with pytest.raises(AccessDenied):
        Promotions(store).roll_back("no", curator)


def test_a_promotion_takes_effect_without_a_restart(store: Store) -> None:
    """Lost: every promotion needs the app to be stopped, and readers wait for it."""
    serving = Serving(store, Settings(home=store.home, max_new_tokens=16))
    assert serving.model() is None
    promotion = tiny(store, "first")
    Promotions(store).promote(promotion, SINGLE)
    serving.model()
    serving.wait()
    model = serving.model()
    assert model is not None
    assert model.name == "transformers:first"
    assert str(model.prompt_format) == "short/fields"  # type: ignore[attr-defined]
    Promotions(store).roll_back("back", SINGLE)
    serving.model()
    serving.wait()
    assert serving.model() is None
    assert promotion.hash == hash_of_lineage(store.home / "models" / "first")


def test_a_folder_changed_after_its_promotion_does_not_serve(store: Store) -> None:
    """Lost: whoever can write to the disk puts an unjudged model in the judged one's place."""
    promotion = tiny(store, "first")
    Promotions(store).promote(promotion, SINGLE)
    weights = store.home / "models" / "first" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    serving = Serving(store, Settings(home=store.home))
    assert serving.model() is None
    assert "changed after it was promoted" in serving.problem


def test_an_unknown_prompt_format_does_not_serve(store: Store) -> None:
    """Lost: a model is asked in words it was never taught."""
    promotion = tiny(store, "first")
    Promotions(store).promote(Promotion(promotion.model, promotion.hash, "haiku"), SINGLE)
    serving = Serving(store, Settings(home=store.home))
    assert serving.model() is None
    assert "haiku" in serving.problem
