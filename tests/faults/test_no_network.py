"""Without this the app could quietly need a network: it starts, reads, embeds and answers where there is no route."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Runs inside the namespace: the app over a new library, one upload, one question, one page.
INSIDE = """
import json, socket, sys, time
import httpx
from pathlib import Path
from tests.browser.app_process import App
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
    raise SystemExit("there is a route")
except OSError as error:
    routed = error.errno
app = App(Path(sys.argv[1]) / "home")
try:
    with httpx.Client(base_url=app.url, timeout=300) as client:
        files = {"file": ("guide.txt", b"The starting dose of zolvarin is 500 mg twice a day, given with meals. " * 8)}
        job = client.post("/api/documents", files=files).json()["files"][0]["job"]
        while client.get(f"/api/jobs/{job}").json()["job"]["state"] in ("queued", "running"):
            time.sleep(0.5)
        body = {"messages": [{"role": "user", "content": "What is the starting dose of zolvarin?"}]}
        for _ in range(120):
            answer = client.post("/v1/chat/completions", json=body).json()
            if answer["vademecum"]["citations"]:
                break
            time.sleep(0.5)
        page = client.get("/").status_code
        similar = client.post("/v1/embeddings", json={"input": "dose"}).status_code
    text = answer["choices"][0]["message"]["content"]
    print(json.dumps({"text": text, "page": page, "embeddings": similar, "errno": routed}))
finally:
    app.stop()
"""


@pytest.mark.fault
@pytest.mark.timeout(900)
def test_all_works_where_there_is_no_route(tmp_path: Path) -> None:
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.fail("This machine allows no network namespace (unshare -rn).")
    command = f'ip link set lo up && exec "{sys.executable}" -c "$INSIDE" "{tmp_path}"'
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-c", command],
        env={"INSIDE": INSIDE, "PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert "500 mg" in found["text"]
    assert (found["page"], found["embeddings"]) == (200, 200)
