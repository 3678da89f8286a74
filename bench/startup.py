"""Start-up times: `python -m bench.startup [--home DIR]`. Medians of five; the app's page must answer and be whole."""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

COMMAND = Path(sys.executable).with_name("vademecum")


def seconds_of(command: list[str]) -> float:
    """Wall seconds of one run."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def seconds_until_page(home: Path) -> float:
    """Wall seconds from starting the app until its page answers."""
    port = free_port()
    started = time.perf_counter()
    app = subprocess.Popen(
        [COMMAND, "serve", "--port", str(port), "--home", str(home)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while time.perf_counter() - started < 120:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                    if page.status == 200 and page.read():
                        return time.perf_counter() - started
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
        raise TimeoutError("the app did not answer within 120 s")
    finally:
        app.terminate()
        try:
            app.wait(10)
        except subprocess.TimeoutExpired:
            app.kill()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vademecum-bench-") as folder:
        home = options.home or Path(folder)
        helps = [seconds_of([str(COMMAND), "--help"]) for _ in range(6)][1:]
        pages = [seconds_until_page(home) for _ in range(4)][1:]
    print("| what | median s | goal s |\n|---|---|---|")
    print(f"| `vademecum --help` | {statistics.median(helps):.2f} | 0.5 |")
    print(f"| app: start to page | {statistics.median(pages):.1f} | 15 |")


if __name__ == "__main__":
    main()
