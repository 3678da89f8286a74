"""A model folder's own Python code: run only where the settings name its hash.

Some models bring the classes they are made of. Loading such a folder is running a program, so it is refused until the
machine's admin has put the hash of that very code into the setting `trusted_code`; code that was changed since has
another hash. Nothing here imports the code.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from kb.errors import UsageError
from kb.settings import load_settings

_TOKENIZER = "tokenizer_config.json"


def loading(folder: Path) -> dict[str, Any]:
    """How transformers is to load from this folder: never from elsewhere, its own code only where that is trusted.

    Raises UsageError for a folder that cannot be loaded without code that is not trusted, or whose code is elsewhere.
    """
    return {"local_files_only": True, "trust_remote_code": _may_run(folder)}


def code_hash(folder: Path) -> str:
    """SHA-256 over the folder's Python files and the places at which its configurations name classes of its own.

    '' if it names none. Raises UsageError if a file or a class lies outside the folder.
    """
    named = _classes_named(folder)
    if not named:
        return ""
    digest = hashlib.sha256("\n".join(named).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()) and path.suffix in ("", ".py"):
            raise UsageError(f"The model in {folder} links to {path.name} outside it: copy its code into the folder.")
        if path.suffix == ".py" and path.is_file():
            name, code = str(path.relative_to(folder)).encode(), path.read_bytes()
            digest.update(b"\n%d %d\n" % (len(name), len(code)) + name + code)
    return digest.hexdigest()


def _may_run(folder: Path) -> bool:
    found = code_hash(folder)
    if not found:
        return False
    if found in load_settings().trusted_code:
        return True
    from transformers import CONFIG_MAPPING

    if _read(folder / "config.json").get("model_type") in CONFIG_MAPPING and not _named_in(folder / _TOKENIZER):
        return False  # transformers knows the architecture itself
    raise UsageError(
        f"The model in {folder} brings its own code, without which it cannot be loaded, and which is not run unless an "
        f'admin trusts it. Read its *.py files, then set trusted_code = ["{found}"], or use another model.'
    )


def _classes_named(folder: Path) -> list[str]:
    """Raises UsageError for a class that is not in a file of the folder itself."""
    named = [one for name in ("config.json", _TOKENIZER) for one in _named_in(folder / name)]
    for one in named:
        if not re.fullmatch(r"\w+(\.\w+)+", one):
            raise UsageError(f"The model in {folder} names code outside its folder ({one!r}), which is never run.")
    return named


def _named_in(path: Path) -> list[str]:
    """The references of an `auto_map`: `module.Class`, alone or in lists."""
    found = _read(path).get("auto_map") or {}
    places = found.values() if isinstance(found, dict) else [found]
    return [str(one) for place in places for one in (place if isinstance(place, list) else [place]) if one is not None]


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # who loads it says what is wrong
    return found if isinstance(found, dict) else {}
