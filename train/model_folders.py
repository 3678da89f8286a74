"""The models of a home: `<home>/models/<name>/`, each a folder that transformers (and vLLM) load as it is.

Beside safetensors weights, configuration and tokenizer stand lineage.json (run, base, dataset, recipe, hashes of all
files) and README.md, the same for people. A folder appears whole or not at all and is never written to again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kb.errors import NotFound, StoreError, UsageError
from train.checkpoints import sync

LINEAGE = "lineage.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Model:
    """A model in a home."""

    name: str
    folder: Path
    lineage: dict[str, Any]
    """name, kind, run, base, dataset, recipe, seed, code, environment, result, hash, files."""

    @property
    def kind(self) -> str:
        return str(self.lineage["kind"])

    @property
    def run(self) -> str:
        return str(self.lineage["run"])

    @property
    def hash(self) -> str:
        """Of its weights: 16 hex digits."""
        return str(self.lineage["hash"])

    @property
    def created(self) -> str:
        return str(self.lineage["created"])


@dataclass(frozen=True, slots=True)
class Base:
    """A model to start from."""

    name: str
    folder: Path
    hash: str
    run: str = ""
    """The run that made it, if it was made here."""


def models(home: Path) -> list[Model]:
    """All models, newest first."""
    found = [_read(path.parent) for path in (home / "models").glob(f"*/{LINEAGE}")]
    return sorted(found, key=lambda model: (model.created, model.name), reverse=True)


def model(home: Path, name: str) -> Model:
    """The model of that name. Raises NotFound; StoreError if its lineage cannot be read."""
    folder = home / "models" / name
    if not _usable(name) or not (folder / LINEAGE).is_file():
        there = ", ".join(one.name for one in models(home)[:8]) or "none"
        raise NotFound(f"No model '{name}' (there: {there}). `vademecum models list` shows all.")
    return _read(folder)


def base_of(home: Path, key: str) -> Base:
    """What `key` names: a model of this home, or a folder with config.json and safetensors. Raises UsageError."""
    folder = Path(key).expanduser().absolute()
    name = folder.name if folder.parent == (home / "models").absolute() else key
    if _usable(name) and (home / "models" / name / LINEAGE).is_file():
        own = model(home, name)
        return Base(own.name, own.folder, own.hash, own.run)
    if not (folder / "config.json").is_file():
        raise UsageError(
            f"'{key}' is neither a model of this library (`vademecum models list`) nor a folder with a config.json. "
            "Name the folder of a causal language model in Hugging Face format."
        )
    if not any(folder.glob("*.safetensors")):
        raise UsageError(
            f"The model in {folder} has no safetensors weights; other formats can run code when loaded and are not "
            "read. Convert it to safetensors."
        )
    return Base(str(folder), folder, weights_hash(folder))


def check_name(home: Path, name: str) -> None:
    """Raises UsageError if a new model cannot be called that."""
    if not _usable(name):
        raise UsageError(f"Model name {name!r} is not usable. Use letters, digits, '-', '_' and '.', 60 at most.")
    if (home / "models" / name).exists():
        raise UsageError(f"There is a model '{name}' already, and models are never overwritten. Choose another --name.")


def publish(home: Path, name: str, written: Path, lineage: Mapping[str, Any]) -> Model:
    """Make the folder `written` the model `name`: lineage and card beside the weights, synced, renamed.

    `written` must be on the disk of the home. Raises UsageError if the name is taken, StoreError if the disk refuses.
    """
    check_name(home, name)
    target = home / "models" / name
    try:
        files = {str(path.relative_to(written)): _sha256(path) for path in sorted(written.rglob("*")) if path.is_file()}
        row = {
            "format": FORMAT,
            "name": name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "hash": _joined_hash(files),
            **lineage,
            "files": files,
        }
        (written / LINEAGE).write_text(json.dumps(row, ensure_ascii=False, indent=1), encoding="utf-8")
        (written / "README.md").write_text(card(row), encoding="utf-8")
        for path in [*(path for path in written.rglob("*") if path.is_file()), written]:
            sync(path)
        target.parent.mkdir(exist_ok=True)
        written.rename(target)
        sync(target.parent)
    except OSError as error:
        raise StoreError(
            f"Model {name} could not be kept in {target.parent}: {error.strerror or error}. Free disk space; the run's "
            "checkpoints are intact."
        ) from error
    return _read(target)


def verify(found: Model) -> list[str]:
    """Files that are missing or not as they were made."""
    files: dict[str, str] = found.lineage["files"]
    return [
        name
        for name, wanted in files.items()
        if not (found.folder / name).is_file() or _sha256(found.folder / name) != wanted
    ]


def remove(home: Path, name: str) -> None:
    """Delete a model's folder; who serves it must have been asked before."""
    folder = model(home, name).folder
    gone = folder.with_name(f".removed-{name}-{os.getpid()}")
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def weights_hash(folder: Path) -> str:
    """16 hex digits over the safetensors files of a folder."""
    return _joined_hash({path.name: _sha256(path) for path in sorted(folder.glob("*.safetensors"))})


def card(row: Mapping[str, Any]) -> str:
    """The model card: what lineage.json says, for people."""
    base, data = row.get("base", {}), row.get("dataset", {})
    result = row.get("result", {})
    lines = [
        f"# {row['name']}",
        "",
        f"Made by Vademecum ({row.get('code', '')}), run {row.get('run', '')}, {row['created']}; kind: {row['kind']}.",
        "",
        f"- starts from: {base.get('name', 'random weights')} ({base.get('hash', '') or 'no hash'})",
        f"- trained on: {data.get('name', '')} version {data.get('version', '')} (SHA-256 {data.get('hash', '')})",
        *(f"- {name.replace('_', ' ')}: {value}" for name, value in result.items()),
        "",
        "This says how it was made, not how good it is. Its answers are drafts for a clinician to check.",
        "lineage.json has every argument, the environment and a hash of every file.",
        "",
    ]
    return "\n".join(lines)


def _read(folder: Path) -> Model:
    try:
        lineage = json.loads((folder / LINEAGE).read_text(encoding="utf-8"))
        if lineage["format"] != FORMAT:
            raise StoreError(f"Model {folder.name} has format {lineage['format']}; this version reads {FORMAT}.")
        return Model(str(lineage["name"]), folder, lineage)
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"{folder / LINEAGE} cannot be read: {error}. Restore the folder from a backup.") from None


def _usable(name: str) -> bool:
    return 0 < len(name) <= 60 and not name.startswith(".") and all(c.isalnum() or c in "-_." for c in name)


def _joined_hash(files: Mapping[str, str]) -> str:
    weights = "".join(f"{name} {digest}\n" for name, digest in sorted(files.items()) if name.endswith(".safetensors"))
    return hashlib.sha256(weights.encode()).hexdigest()[:16]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
