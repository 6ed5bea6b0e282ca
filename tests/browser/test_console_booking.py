"""The pages on which campaigns are booked, in a real Chromium: small and dark, large and light, without script."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.browser.console import follow, signed_in
from tests.e2e.test_process import run
from tests.service import Service, service

PAGES = (
    "sites", "sites/new", "sites/news", "sites/news/edit", "sites/news/slots/new", "sites/news/slots/top",
    "sites/news/slots/top/edit", "sites/news/slots/top/room", "sites/news/slots/top/embed?for=blogger",
    "advertisers", "advertisers/new", "advertisers/acme", "campaigns", "campaigns/new", "campaigns/c0",
    "campaigns/c0/edit", "campaigns/c0/clone", "campaigns/c0/archive", "campaigns/c0/room",
)  # fmt: skip

FULL = {
    "starts": "2026-01-01",
    "ends": "2037-01-01",
    "goal": {"impressions": 5_000_000},
    "caps": {"daily": {"impressions": 50_000}},
    "frequency": {"limit": 3, "window": "day"},
    "target": {"labels": {"none": ["conflict"]}, "kv": {"section": {"any": ["sports"]}}},
    "price": {"model": "cpm", "amount": "2.50", "currency": "INR"},
}


@pytest.fixture(scope="module")
def running(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two campaigns. The browser comes first: without one nothing is started."""
    assert browser.is_connected()
    with service(tmp_path_factory.mktemp("booking")) as found:
        found.world(1, 3)
        found.call("PATCH", "/campaigns/c0", FULL)
        made = run("users", "invite", "boss", "--role", "admin", "--json", ADSERVE_DATA_DIR=str(found.data))
        assert made.returncode == 0, made.stderr
        yield found


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_every_page_is_for_everybody(browser: Browser, running: Service, width: int, scheme: str) -> None:
    """axe finds nothing, with every part of a form open, and no page scrolls sideways."""
    page = signed_in(browser, running)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for path in PAGES:
        reply = page.goto(f"{running.origin}/console/{path}")
        assert reply is not None
        assert reply.status == 200, path
        page.evaluate("document.querySelectorAll('main details').forEach(one => { one.open = true; })")
        found = Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    page.context.close()


def test_a_campaign_is_booked_archived_and_taken_back_without_script(browser: Browser, running: Service) -> None:
    """By plain forms; what is wrong comes back with all that was typed."""
    page = signed_in(browser, running, script=False)
    page.goto(f"{running.origin}/console/campaigns")
    follow(page.locator("text=New campaign"))
    page.fill("#f-name", "Spring sale")
    page.select_option("#f-advertiser", "acme")
    page.check("input[name=slots][value='news/top']")
    page.fill("#f-ends", "2037-02-28")
    page.select_option("#f-goal_kind", "impressions")
    page.fill("#f-goal", "lots")
    follow(page.locator("text=Book the campaign"))
    assert "takes a whole number" in page.inner_text("#wrong-goal")
    assert (page.input_value("#f-name"), page.input_value("#f-goal")) == ("Spring sale", "lots")
    assert page.is_checked("input[name=slots][value='news/top']")
    page.fill("#f-goal", "10,000")
    follow(page.locator("text=Book the campaign"))
    assert page.url == f"{running.origin}/console/campaigns/spring-sale?done=created"
    assert "to the end of 28 February 2037" in page.inner_text("main")
    follow(page.locator("main .head >> text=Archive"))
    follow(page.locator("main form button"))
    assert page.url.endswith("?done=archived&was=active")
    follow(page.locator("text=Undo"))
    assert "In use again." in page.inner_text("main")
    assert page.locator(".head .badge.active").count() == 1
    page.context.close()


def test_the_code_is_copied_as_it_is_shown(browser: Browser, running: Service) -> None:
    """The button puts the text on the clipboard, and says so."""
    page = signed_in(browser, running)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{running.origin}/console/sites/news/slots/top/embed?for=html")
    shown = page.text_content("#code-1")
    page.click("text=Copy")
    page.wait_for_selector("text=Copied")
    assert page.evaluate("navigator.clipboard.readText()") == shown
    assert f'src="{running.origin}/slots.js"' in str(shown)
    page.context.close()
