"""Settings: `vademecum.toml` in the working directory, then VADEMECUM_* variables, then command-line options.

Read once by the composition roots (cli.py, app.py) and passed in; nothing else reads the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from kb.errors import UsageError

CONFIG_FILE = "vademecum.toml"
OcrWhen = Literal["auto", "never", "always"]


class Settings(BaseSettings):
    """All that an admin can set. Every field has a safe default; see docs/settings.md."""

    model_config = SettingsConfigDict(
        env_prefix="VADEMECUM_", toml_file=CONFIG_FILE, extra="forbid", frozen=True, protected_namespaces=()
    )

    home: Path = Field(Path("indexes"), description="Data home: catalog, blobs, index generations.")
    host: str = Field("127.0.0.1", description="Address to serve on. Any but this machine's own demands accounts.")
    port: int = Field(7860, ge=1, le=65535, description="Port to serve on.")

    accounts: bool = Field(
        False,
        description="Demand that everyone signs in; always so once there is an account, or if `host` is not loopback.",
    )
    names: tuple[str, ...] = Field(
        (), description="Names that users reach this server by, beside its host name and addresses."
    )
    tls_certificate: Path | None = Field(None, description="Certificate chain (PEM) to serve https with.")
    tls_key: Path | None = Field(None, description="The certificate's private key (PEM).")
    trusted_proxy: str = Field(
        "", description="Address of a proxy whose X-Forwarded-For and X-Forwarded-Proto are believed."
    )
    session_idle_min: float = Field(60.0, gt=0, description="Minutes without a request that end a session.")
    session_hours: float = Field(12.0, gt=0, description="Hours that a session lasts at most.")

    retention_days: int = Field(
        0, ge=0, description="Conversations untouched and questions asked this many days ago are forgotten; 0 = never."
    )
    api_per_minute: int = Field(
        120, ge=0, description="Requests to the API that one key or user may make in a minute; 0 = no limit."
    )
    answers_at_once: int = Field(8, ge=1, le=64, description="Answers for programs that are worked on at once.")
    answers_waiting: int = Field(
        64, ge=0, description="Answers for programs that wait for their turn; what comes beyond is refused (429)."
    )

    embedder: str = Field(
        "bilingual",
        description="'bilingual' (packaged, English and Chinese), 'minilm' (its English half), or the path of a "
        "sentence-transformers model.",
    )
    embedder_languages: tuple[Literal["zh", "en"], ...] | None = Field(
        None,
        description="Languages a local-path embedder knows; passages and questions in others are searched lexically. "
        "Unset: all languages.",
    )
    embedder_query_prompt: str | None = Field(
        None, description="Put before each question by a local-path embedder. Unset: the model's own prompt, if any."
    )
    embedder_document_prompt: str | None = Field(
        None, description="Put before each passage by a local-path embedder. Unset: the model's own prompt, if any."
    )
    threads: int = Field(0, ge=0, description="CPU threads for embedding; 0 = all cores.")

    engine: Literal["extractive", "transformers", "openai"] = Field(
        "extractive", description="Who words the answer. 'extractive' quotes; the others generate."
    )
    model_path: Path | None = Field(None, description="Folder of a local causal language model (engine transformers).")
    openai_base_url: str = Field("", description="OpenAI-compatible endpoint, e.g. http://127.0.0.1:8000/v1.")
    openai_model: str = Field("", description="Model name at that endpoint.")
    openai_api_key: SecretStr = Field(SecretStr(""), description="Key for that endpoint, if it wants one.")
    model_timeout_s: float = Field(60.0, gt=0, description="Longest wait for the next piece of a model's answer.")
    max_new_tokens: int = Field(512, ge=16, description="Longest generated answer, in tokens.")
    serve_promoted: bool = Field(
        True, description="A promoted model answers in place of `engine` (`vademecum models promote`)."
    )
    model_device: str = Field(
        "auto",
        description="Where a local model runs: 'auto' (a GPU if there is one), 'cpu', 'cuda:1', …, or 'spread' (its "
        "layers over all GPUs).",
    )
    model_memory: dict[str, str] = Field(
        {}, description="Most that a spread model may take of each device, e.g. {'0': '20GiB', 'cpu': '60GiB'}."
    )
    model_at_once: int = Field(8, ge=1, le=256, description="Questions that a local model answers at once.")
    model_stops: tuple[str, ...] = Field((), description="A local model's answer ends before the first of these.")
    trusted_code: tuple[str, ...] = Field(
        (),
        description="SHA-256 of the code of models that may run their own, as the refusal of such a model names it. "
        "Such a model can do whatever Vademecum can.",
    )
    thinks: Literal["follow-ups", "always", "never"] = Field(
        "follow-ups",
        description="When a model is first asked what to look up (the turns are then System, User, Thought, Search, "
        "Assistant): for follow-ups, for every question, or never. Without a model, rules complete follow-ups.",
    )
    unsupported: Literal["withhold", "mark"] = Field(
        "withhold",
        description="What becomes of a model's sentence that holds a number, unit, drug name or 'not' which its cited "
        "passages do not: 'withhold' leaves it out and says so, 'mark' shows it with that remark.",
    )

    gate_margin_f1: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Answer F1 that a model better supported may lose, and support that one more correct may lose.",
    )
    gate_margin_false_answers: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Rise in answers to unanswerable questions that promotion bears (upper bound).",
    )
    gate_margin_false_refusals: float = Field(
        0.05, ge=0, le=1, description="Rise in refusals of answerable questions that promotion tolerates (upper bound)."
    )
    gate_margin_harmful: float = Field(
        0.05, ge=0, le=1, description="Rise in harmful requests answered that promotion tolerates (upper bound)."
    )

    publish: Literal["auto", "manual"] = Field(
        "auto",
        description="'auto': what was read well is searchable at once, what was read badly stays a draft until "
        "an admin publishes it. 'manual': everything does.",
    )

    top_k: int = Field(8, ge=1, le=50, description="Passages given to the answer.")
    neighbour_tokens: int = Field(
        440,
        ge=0,
        le=8192,
        description="Most tokens of passages beside those found, in the same section, that a model is shown as well; "
        "0 = none. The extractive engine quotes from what was found alone.",
    )
    chunk_tokens: int = Field(220, ge=64, le=2048, description="Largest passage, in embedder tokens.")
    max_question_chars: int = Field(4000, ge=100, description="Longest question accepted.")

    max_file_mb: int = Field(200, ge=1, description="Largest file accepted.")
    max_pages: int = Field(5000, ge=1, description="Most pages in one document.")
    max_page_chars: int = Field(200_000, ge=1000, description="Most characters kept of one page.")
    read_cpu_s: float = Field(20.0, gt=0, description="CPU seconds a reading child may use, plus read_cpu_s_per_page.")
    read_cpu_s_per_page: float = Field(0.2, ge=0, description="CPU seconds more for each page.")
    read_memory_mb: int = Field(1536, ge=256, description="Address space of a reading child.")

    ocr: OcrWhen = Field(
        "auto",
        description="Recognise text in page images: 'auto' where a page has no text or garbage for text, 'never', "
        "'always' (every page, in place of its text).",
    )
    ocr_workers: int = Field(0, ge=0, description="Recognising processes; 0 = one for each core.")
    ocr_page_s: float = Field(
        45.0, gt=0, description="CPU seconds that recognising one page may take; then it is left out, and said so."
    )
    ocr_memory_mb: int = Field(4096, ge=1024, description="Address space of a recognising process.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(**overrides: object) -> Settings:
    """Read the settings once. `overrides` (command-line options) win; None means 'not given'.

    Raises UsageError naming each wrong setting and what it should be.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(
            f"Settings are not usable: {wrong}. Correct {CONFIG_FILE} or the VADEMECUM_* variable of that name."
        ) from None
    except ValueError as error:  # tomllib.TOMLDecodeError is a ValueError
        raise UsageError(f"{CONFIG_FILE} cannot be read: {error}. Correct the file or move it away.") from None
