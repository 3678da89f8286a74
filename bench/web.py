"""What a person at the page waits for: `python -m bench.web [--home DIR] [--offline]`. Medians of five pages.

A real browser on the real app: start, page ready to be asked, first words of an answer, the whole answer; and how many
requests went anywhere else. `--offline` (root, Linux) does it in a network namespace that has no way out, so that app,
worker and browser are shown to need none.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.app_process import CHROMIUM, CHROMIUM_FLAGS, App, make_library

ROOT = Path(__file__).parents[1]
QUESTIONS = (
    "What are the contraindications of metformin?",
    "硝苯地平有哪些不良反应？",
    "How is amoxicillin stored?",
    "无创血糖监测产品的临床评价有哪些要求？",
    "How many adults in the US have chronic kidney disease?",
)

# Milliseconds from the click to the first words of an answer, and to its end.
_ASK = """async (question) => {
  const box = document.querySelector('#vm-question textarea');
  Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set.call(box, question);
  box.dispatchEvent(new Event('input', { bubbles: true }));
  await new Promise((done) => setTimeout(done, 300));
  const started = performance.now();
  const seen = (selector) => new Promise((done) => {
    const now = () => done(performance.now() - started);
    const look = () => (document.querySelector(selector) ? now() : requestAnimationFrame(look));
    look();
  });
  document.querySelector('#vm-send').click();
  return [await seen('.vm-answer .vm-text p'), await seen('.vm-answer[aria-busy="false"] .vm-text p')];
}"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, help="a data home that holds the sample library")
    parser.add_argument("--offline", action="store_true", help="in a network namespace without a route")
    options = parser.parse_args()
    if options.offline:
        again = [sys.executable, "-m", "bench.web", *(["--home", str(options.home)] if options.home else [])]
        os.execvp("unshare", ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *again])
    with tempfile.TemporaryDirectory(prefix="vademecum-bench-") as folder:
        home = options.home or Path(folder) / "home"
        if not options.home:
            make_library(home, [ROOT / "samples" / "documents"], embed=True)
        starts = []
        for _ in range(2):  # the second start finds its files in memory, as after a restart
            app = App(home)
            starts.append(app.seconds)
            app.stop()
        app = App(home)
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
                print_table(starts, *measured(browser, app.url))
                browser.close()
        finally:
            app.stop()


def measured(browser: Browser, url: str) -> tuple[list[float], list[float], list[float], list[str]]:
    """Seconds until a page can be asked, until first words, until the end, for each question; requests elsewhere."""
    ready, first, whole, outside = [], [], [], []
    for question in ("What is a warm-up?", *QUESTIONS):
        page = browser.new_context(locale="en-GB").new_page()
        page.on("request", lambda request: outside.append(request.url) if not request.url.startswith(url) else None)
        page.goto(url)
        page.wait_for_selector(".vm-empty")
        ready.append(page.evaluate("performance.now()") / 1000)
        words, end = page.evaluate(_ASK, question)
        first.append(words / 1000)
        whole.append(end / 1000)
        page.context.close()
    return ready[1:], first[1:], whole[1:], [url for url in outside if not url.startswith(("blob:", "data:"))]


def print_table(
    starts: list[float], ready: list[float], first: list[float], whole: list[float], outside: list[str]
) -> None:
    """Medians and the worst, beside the goals."""
    print("| what | median s | worst s | goal s |\n|---|---|---|---|")
    for what, values, goal in (
        ("start of the app to a page that answers", starts, "15"),
        ("page opened to ready to be asked", ready, "2"),
        ("question to first words (extractive)", first, "0.5"),
        ("question to the whole answer, sources shown", whole, "–"),
    ):
        print(f"| {what} | {statistics.median(values):.2f} | {max(values):.2f} | {goal} |")
    print(f"\nRequests of the page to anywhere else: {len(outside)}.", *outside[:5])


if __name__ == "__main__":
    main()
