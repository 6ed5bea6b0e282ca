"""An account from its first link to its last session, in a real browser, and what assistive technology meets there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from pyotp import TOTP

from tests.browser.console import follow
from tests.service import BROWSER, command

PASSWORD = "a sentence of my own"
LINK = re.compile(r"http://\S+/console/link/\S+")


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A demo: its origin and its link."""
    folder: Path = tmp_path_factory.mktemp("desk")
    with command(folder, "demo", "--data-dir", str(folder / "data")) as (_, origin):
        found = LINK.search((folder / "stderr").read_text())
        assert found is not None
        yield origin, found[0]


def press(page: Page, words: str) -> None:
    """A button of the page's own part, and the page that comes of it."""
    follow(page.locator("main").get_by_role("button", name=words, exact=True))


def looked_at(page: Page) -> None:
    """Axe finds nothing, and nothing is wider than the window."""
    page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished)).then(() => 0)")  # pages fade in
    found = Axe().run(page)
    assert found.violations_count == 0, (page.url, found.generate_report())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


def test_an_account_from_its_first_link_to_the_invitation_of_another(browser: Browser, desk: tuple[str, str]) -> None:
    """By the demo's link to a password, a device and its codes; out, and in again by password and code. The one who is
    invited then comes in without script. No policy of ours stands in the way of a page of ours."""
    origin, link = desk
    said: list[str] = []
    page = browser.new_page(user_agent=BROWSER, viewport={"width": 390, "height": 800})
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda one: said.append(str(one)))
    page.goto(link)
    looked_at(page)
    press(page, "Sign in")
    page.goto(f"{origin}/console/account")
    page.fill("#f-new", PASSWORD)
    page.fill("#f-again", PASSWORD)
    press(page, "Change the password")
    looked_at(page)
    page.goto(f"{origin}/console/account/second-factor")
    looked_at(page)
    assert page.eval_on_selector("main img", "one => one.naturalWidth > 100")
    device = TOTP((page.text_content("#secret") or "").replace(" ", ""))
    page.fill("#f-code", device.now())
    page.fill("#f-password", PASSWORD)
    press(page, "Take it into use")
    looked_at(page)
    codes = (page.text_content("#codes") or "").split()
    assert len(codes) == 10
    page.goto(f"{origin}/console/account")
    looked_at(page)
    follow(page.get_by_role("button", name="Sign out", exact=True))
    looked_at(page)
    page.fill("#f-name", "demo")
    page.fill("#f-password", PASSWORD)
    press(page, "Sign in")
    looked_at(page)
    assert page.evaluate("document.activeElement.id") == "f-code"
    page.fill("#f-code", codes[0])
    press(page, "Sign in")
    for path in ("users", "keys", "keys/new"):
        page.goto(f"{origin}/console/{path}")
        looked_at(page)
    page.goto(f"{origin}/console/users/new")
    page.fill("#f-name", "bea@news.example")
    press(page, "Make the invitation")
    looked_at(page)
    invitation = page.text_content("#link") or ""
    page.goto(f"{origin}/console/users")
    follow(page.locator("text=bea@news.example"))
    looked_at(page)
    page.close()
    assert said == []
    bare = browser.new_context(user_agent=BROWSER, java_script_enabled=False)
    page = bare.new_page()
    page.goto(invitation)
    page.fill("#f-password", PASSWORD)
    page.fill("#f-again", PASSWORD)
    press(page, "Set the password")
    assert page.locator("h1").inner_text() == "Overview"
    assert "bea@news.example" in page.locator(".who").inner_text()
    bare.close()
