"""A model folder's own Python code: run only where the settings name its hash.

Some models bring the classes they are made of. Loading such a folder is running a program, so it is refused until the
machine's admin has put the hash of that very code into the setting `trusted_code`; code that was changed since has
another hash. Nothing here imports the code.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kb.errors import UsageError
from kb.settings import load_settings


def loading(folder: Path) -> dict[str, Any]:
    """How transformers is to load from this folder: never from elsewhere, its own code only where that is trusted.

    Raises UsageError for a folder that cannot be loaded without code that is not trusted.
    """
    return {"local_files_only": True, "trust_remote_code": _may_run(folder)}


def code_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of the folder's Python files; '' if it has none."""
    digest = hashlib.sha256()
    files = sorted(path for path in folder.rglob("*.py") if path.is_file())
    for path in files:
        name, code = str(path.relative_to(folder)).encode(), path.read_bytes()
        digest.update(b"%d %d " % (len(name), len(code)) + name + code)
    return digest.hexdigest() if files else ""


def _may_run(folder: Path) -> bool:
    asked = _asks_for_code(folder)
    if not asked:
        return False
    found = code_hash(folder)
    if found and found in load_settings().trusted_code:
        return True
    from transformers import CONFIG_MAPPING

    if asked["model_type"] in CONFIG_MAPPING:
        return False  # transformers knows the architecture itself
    raise UsageError(
        f"The model in {folder} is of no architecture known here and brings its own code, which is not run unless an "
        f'admin trusts it. Read its *.py files, then set trusted_code = ["{found}"], or use another model.'
    )


def _asks_for_code(folder: Path) -> dict[str, str]:
    """{"model_type"} if the folder's config.json names classes of its own; {} otherwise."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # who loads it says what is wrong
    if not isinstance(config, dict) or not config.get("auto_map"):
        return {}
    return {"model_type": str(config.get("model_type", ""))}
