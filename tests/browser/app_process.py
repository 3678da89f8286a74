"""The real app in a process of its own, over a small library: for the browser journeys and the screenshots."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from ingest.add import add_paths
from kb.knowledge_base import KnowledgeBase
from kb.settings import Settings

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]


class App:
    """A running app: `url`, `seconds` until it was ready. Stop it."""

    def __init__(self, home: Path, **settings: object) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.home = home
        self.url = f"http://127.0.0.1:{port}/"
        self._log_path = home.parent / f"app-{port}.log"
        self._log = self._log_path.open("wb")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VADEMECUM_")}
        environment |= {f"VADEMECUM_{name.upper()}": str(value) for name, value in settings.items()}
        environment |= {"VADEMECUM_HOME": str(home), "VADEMECUM_PORT": str(port)}
        started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "app.py")],
            cwd=home.parent,
            env=environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._wait(started + 200)
        self.seconds = time.monotonic() - started

    @property
    def log(self) -> str:
        return self._log_path.read_text("utf-8")

    def stop(self) -> tuple[int, float]:
        """Ask it to end; exit code and seconds it took."""
        started = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._log.close()
        return code, time.monotonic() - started

    def _wait(self, deadline: float) -> None:
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(self.url + "health", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise RuntimeError(f"The app did not start:\n{self.log}")


def make_library(home: Path, files: Sequence[Path], *, embed: bool = False) -> None:
    """A home that holds these files; unless `embed`, their vectors are left to the app."""
    with KnowledgeBase.open(Settings(home=home), write=True) as kb:
        failed = [added for added in add_paths(kb, files, embed=embed) if added.status == "failed"]
    if failed:
        raise RuntimeError(f"Not read: {failed}")
