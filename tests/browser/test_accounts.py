"""Without these an admin is locked out of a new library, a colleague cannot be let in, or one who left stays in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import SCREENS, violations
from tests.browser.app_process import App

Visit = Callable[[], Page]
NEW_PASSWORD = "a sentence of my own"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A new home that demands accounts: its first start makes the admin."""
    running = App(tmp_path_factory.mktemp("accounts") / "home", accounts="true")
    yield running
    running.stop()


@pytest.fixture(params=SCREENS.values(), ids=SCREENS)
def visit(request: pytest.FixtureRequest, browser: Browser, library: App) -> Iterator[Visit]:
    """A page of someone who is not signed in; afterwards nothing may have been asked of another machine."""
    outside: list[str] = []
    contexts = []

    def opened() -> Page:
        context = browser.new_context(**request.param)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda r: outside.append(r.url) if not r.url.startswith((library.url, "blob:")) else None)
        page.goto(library.url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert outside == []


def _sign_in(page: Page, name: str, password: str) -> None:
    page.fill("#name", name)
    page.fill("#password", password)
    page.click("main button")


def _made_up(page: Page) -> str:
    """The password or key that is shown this once."""
    return page.locator("main code").inner_text()


def test_from_the_first_start_to_a_colleague_who_leaves(visit: Visit, library: App) -> None:
    found: dict[str, list[str]] = {}
    password = re.search(r"^ +admin +(\S+)$", library.log, re.MULTILINE)
    assert password, library.log
    admin = visit()
    expect(admin.locator("#password")).to_be_visible()
    found["login"] = violations(admin)
    _sign_in(admin, "admin", "not the password")
    expect(admin.locator("[role=alert]")).to_be_visible()
    found["refused"] = violations(admin)
    _sign_in(admin, "admin", password[1])
    admin.locator(".vm-me a").click()

    admin.fill("#label", "ward system")
    admin.locator("section button").last.click()
    key = {"Authorization": f"Bearer {_made_up(admin)}"}
    assert httpx.get(f"{library.url}v1/models", headers=key).status_code == 200
    found["account"] = violations(admin)
    admin.locator("li button").click()
    expect(admin.locator("li")).to_have_count(0)
    assert httpx.get(f"{library.url}v1/models", headers=key).status_code == 401

    admin.locator("main a[href^='/users']").click()
    name = f"nurse {admin.viewport_size and admin.viewport_size['width']}"
    admin.fill("#name", name)
    admin.locator("main > form button").click()
    made_up = _made_up(admin)
    row = admin.locator(".vm-users > li", has_text=name)
    row.locator("summary").click()
    found["accounts"] = violations(admin)
    assert admin.evaluate("document.documentElement.scrollWidth <= innerWidth")

    nurse = visit()
    _sign_in(nurse, name, made_up)
    expect(nurse.locator(".vm-me")).to_contain_text(name)
    expect(nurse.get_by_role("tab")).to_have_count(2)  # no review, no models
    nurse.goto(f"{library.url}users")
    expect(nurse.locator(".vm-users")).to_have_count(0)
    nurse.goto(f"{library.url}account")
    nurse.fill("#old", made_up)
    nurse.fill("#new", NEW_PASSWORD)
    nurse.locator("main > form button").first.click()
    expect(nurse.locator("[role=status]")).to_be_visible()
    _sign_in(nurse, name, NEW_PASSWORD)
    expect(nurse.locator(".vm-me")).to_contain_text(name)

    row.locator("button").last.click()
    expect(row.locator("summary")).to_be_visible()
    nurse.reload()
    expect(nurse.locator("#password")).to_be_visible()
    _sign_in(nurse, name, NEW_PASSWORD)
    expect(nurse.locator("[role=alert]")).to_be_visible()
    assert {page: rules for page, rules in found.items() if rules} == {}


def test_whoever_is_signed_out_in_mid_work_is_told_and_goes_on(browser: Browser, library: App) -> None:
    """Lost: a question that was typed for minutes vanishes behind a login page."""
    password = re.search(r"^ +admin +(\S+)$", library.log, re.MULTILINE)
    assert password
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(library.url)
    _sign_in(page, "admin", password[1])
    page.locator(".vm-empty").wait_for()
    page.fill("#vm-question textarea", "A long question about a patient")
    cookies: list[Any] = context.cookies()
    context.clear_cookies()
    page.click("#vm-send")
    expect(page.locator(".vm-session-over")).to_contain_text("no longer signed in")
    expect(page.locator("#vm-question textarea")).to_have_value("A long question about a patient")
    context.add_cookies(cookies)
    page.click("#vm-send")
    expect(page.locator(".vm-answer").last).to_be_visible()
    context.close()
