"""Settings in, a LangChain chat model out: the seam behind which every generative engine stands.

None stands for the extractive engine, which needs no model (kb.extract). Torch or an HTTP client load only when their
engine is built. A model that fails raises ModelFailure (kb.model_failures), which speaks the reader's language.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kb.errors import UsageError
from kb.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


def build_model(settings: Settings) -> BaseChatModel | None:
    """The model that the settings name; None for the extractive engine.

    A local model is loaded here (seconds, and its size in memory); an endpoint is not contacted.
    Raises UsageError naming the setting that is missing or wrong.
    """
    if settings.engine == "extractive":
        return None
    if settings.engine == "transformers":
        return _local(settings)
    return _endpoint(settings)


def _local(settings: Settings) -> BaseChatModel:
    if settings.model_path is None:
        raise UsageError(
            'Setting model_path is missing: engine = "transformers" needs the folder of a local causal language model. '
            'Set model_path, or engine = "extractive".'
        )
    from kb.local_model import load_local_model

    return load_local_model(
        settings.model_path,
        max_new_tokens=settings.max_new_tokens,
        threads=settings.threads,
        stops=settings.model_stops,
        at_once=settings.model_at_once,
        device=settings.model_device,
        memory=settings.model_memory,
    )


def _endpoint(settings: Settings) -> BaseChatModel:
    missing = [name for name in ("openai_base_url", "openai_model") if not getattr(settings, name)]
    if missing:
        raise UsageError(
            f'Setting {" and ".join(missing)} is missing: engine = "openai" needs an OpenAI-compatible endpoint and '
            'a model there. Set it, or engine = "extractive".'
        )
    if not settings.openai_base_url.startswith(("http://", "https://")):
        raise UsageError(
            f"Setting openai_base_url is {settings.openai_base_url!r}, which is not a web address. "
            "Write it with its scheme, e.g. http://127.0.0.1:8000/v1."
        )
    import httpx

    try:
        httpx.URL(settings.openai_base_url)
    except httpx.InvalidURL as error:
        raise UsageError(
            f"Setting openai_base_url is {settings.openai_base_url!r}, which is not a web address: {error}."
        ) from None
    from kb.endpoint_model import build_endpoint_model

    return build_endpoint_model(
        settings.openai_base_url,
        settings.openai_model,
        key=settings.openai_api_key,
        max_new_tokens=settings.max_new_tokens,
        timeout_s=settings.model_timeout_s,
    )
