"""Who answers now: the promoted model if there is one, else the engine that the settings name.

Looked up at every question, so a promotion or rollback takes effect without a restart, whichever process made it.
The next model loads beside the present one, which goes on answering until then and is let go afterwards. A promoted
folder that cannot be used (gone, changed since, taught in an unknown format) is told once and not served.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import structlog

from kb.errors import KBError, StoreError
from kb.models import build_model
from kb.promotions import Promotion, Promotions
from kb.prompt_formats import PromptFormat
from kb.settings import Settings
from kb.store import Store

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from kb.local_model import LocalModel

_log = structlog.get_logger("vademecum")


class Serving:
    """The answering model of one open home."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._promotions = Promotions(store)
        self._guard = threading.Lock()
        self._served: Promotion | None = None
        self._model: BaseChatModel | None = None
        self._loading: threading.Thread | None = None
        self._refused: Promotion | None = None
        self.problem = ""
        """Why the promoted model does not serve; empty when all is well."""

    def model(self) -> BaseChatModel | None:
        """The model, or None for the extractive engine. Raises UsageError or ModelError for the settings' own engine.

        The first one is loaded here; a later one in the background, while the present one answers.
        """
        wanted = self._wanted()
        with self._guard:
            if self._served is not None and (_same(wanted, self._served) or self._is_refused(wanted)):
                return self._model
            if self._served is None:
                self._take(wanted)
            elif self._loading is None or not self._loading.is_alive():
                self._loading = threading.Thread(target=self._load, args=(wanted,), name="vademecum-load", daemon=True)
                self._loading.start()
            return self._model

    def wait(self) -> None:
        """Until a model that is being loaded is in place."""
        if self._loading is not None:
            self._loading.join()

    @property
    def promoted(self) -> str:
        """Name of the promoted model that answers; empty when the settings' engine does."""
        return self._served.model if self._served is not None and not self.problem else ""

    def _wanted(self) -> Promotion:
        return self._promotions.current() if self._settings.serve_promoted else Promotion("")

    def _is_refused(self, wanted: Promotion) -> bool:
        return self._refused is not None and _same(self._refused, wanted)

    def _load(self, wanted: Promotion) -> None:
        with _Refusal(self, wanted):
            model = self._built(wanted)
            with self._guard:
                self._served, self._model, self.problem = wanted, model, ""

    def _take(self, wanted: Promotion) -> None:
        """Load now; the caller holds the guard."""
        try:
            self._model = self._built(wanted)
        except KBError as error:
            if not wanted.model:
                raise
            self._note_refusal(wanted, error)
            self._model = build_model(self._settings)
        self._served = wanted

    def _note_refusal(self, wanted: Promotion, error: BaseException) -> None:
        self._refused, self.problem = wanted, str(error)
        _log.warning("the promoted model cannot serve", model=wanted.model, reason=str(error))

    def _built(self, wanted: Promotion) -> BaseChatModel | None:
        return load_promoted(self._store.home, wanted, self._settings) if wanted.model else build_model(self._settings)


class _Refusal:
    """Around the background loading: what goes wrong there is told and leaves the present model in place."""

    def __init__(self, owner: Serving, wanted: Promotion) -> None:
        self._owner = owner
        self._wanted = wanted

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None:
            with self._owner._guard:
                self._owner._note_refusal(self._wanted, error)
        return True


def load_promoted(home: Path, promotion: Promotion, settings: Settings) -> BaseChatModel:
    """The model that was promoted, as it was then. Raises StoreError or UsageError when it cannot serve."""
    folder = home / "models" / promotion.model
    form = PromptFormat.parse(promotion.prompt_format)
    if not folder.is_dir() or weights_hash(folder) != promotion.hash:
        raise StoreError(
            f"Model '{promotion.model}' in {folder} is gone, or was changed after it was promoted. Restore it from a "
            "backup, or go back with `vademecum models rollback`."
        )
    return load_tuned(folder, form, settings)


def load_tuned(folder: Path, form: PromptFormat, settings: Settings) -> LocalModel:
    """A model of the home, asked in its own format, under the settings' limits."""
    from kb.local_model import load_local_model

    return load_local_model(
        folder,
        prompt_format=form,
        max_new_tokens=_room(folder, settings),
        threads=settings.threads,
        stops=settings.model_stops,
        at_once=settings.model_at_once,
        device=settings.model_device,
        memory=settings.model_memory,
    )


def _room(folder: Path, settings: Settings) -> int:
    """Tokens of the longest answer: as the settings say, but never more than half of a small model's context."""
    from kb.local_model import context_of

    return max(16, min(settings.max_new_tokens, context_of(folder) // 2))


def weights_hash(folder: Path) -> str:
    """16 hex digits over the safetensors files, as a model's lineage states them."""
    lines = []
    for path in sorted(folder.rglob("*.safetensors")):
        with path.open("rb") as file:
            lines.append(f"{path.relative_to(folder)} {hashlib.file_digest(file, 'sha256').hexdigest()}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def _same(one: Promotion, other: Promotion) -> bool:
    return (one.model, one.hash, one.prompt_format) == (other.model, other.hash, other.prompt_format)
