"""Without these a program on the machine could read the library's files through the app's own routes."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.browser.app_process import App


def status(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_page_is_for_own_names_only(app: App) -> None:
    assert status(app.url) == 200
    assert status(app.url + "health") == 200
    assert status(app.url, Host="evil.example") == 403
    assert status(app.url + "gradio_api/info", Host="evil.example") == 403


@pytest.mark.parametrize("route", ["gradio_api/file=", "file=", "gradio_api/file/", "gradio_api/stream/"])
def test_no_file_of_the_library_is_served(app: App, route: str) -> None:
    for path in (app.home / "catalog.sqlite", next(p for p in app.home.glob("blobs/*/*")), Path("/etc/passwd")):
        assert status(app.url + route + str(path)) in (403, 404)


def test_page_names_no_outside_host(app: App) -> None:
    for name in ("", "theme.css"):
        with urllib.request.urlopen(app.url + name, timeout=10) as answer:
            text = answer.read().decode().replace("http://www.w3.org/", "").replace(app.url.rstrip("/"), "")
        assert "https://" not in text
        assert "http://" not in text
