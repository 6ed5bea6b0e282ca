"""Pages that change by themselves, in a real Chromium: what two workers decide shows up; without script by a reload."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.console import follow, signed_in
from tests.e2e.test_process import run
from tests.service import BROWSER, Service, fetch, service


@pytest.fixture(scope="module")
def running(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of two workers with two campaigns. The browser comes first: without one nothing is started."""
    assert browser.is_connected()
    with service(tmp_path_factory.mktemp("live"), workers=2) as found:
        found.world(1, 3)
        made = run("users", "invite", "boss", "--role", "admin", "--json", ADSERVE_DATA_DIR=str(found.data))
        assert made.returncode == 0, made.stderr
        yield found


def decide(running: Service) -> str:
    """A decision of whichever worker; its id."""
    asked = {"Accept": "application/json", "User-Agent": BROWSER}
    _, body = fetch(f"{running.origin}/v1/slots/news/top", **asked)
    return str(json.loads(body)["decision"])


PART = operator.itemgetter(slice(3, 20))
"""Worker, ordinal and moment of a decision's id, without the key that signed it."""


def test_the_live_view_shows_what_is_decided_while_one_looks(browser: Browser, running: Service) -> None:
    """Of both workers, without a reload, the newest first; paused it stays as it is."""
    page = signed_in(browser, running)
    page.goto(f"{running.origin}/console/live")
    made = [decide(running) for _ in range(12)]
    page.wait_for_function("at => document.querySelectorAll('#live tbody tr').length === at", arg=len(made))
    told = page.evaluate("[...document.querySelectorAll('#live a [title]')].map(one => one.title)")
    assert {PART(one) for one in made} <= {PART(one) for one in told}
    page.click("text=Pause")
    page.wait_for_selector("text=Paused at")
    assert page.locator("#live[hx-get]").count() == 0
    page.context.close()


def test_it_waits_while_the_focus_is_in_it(browser: Browser, running: Service) -> None:
    """Whoever tabs through the decisions keeps the place; it goes on when the focus leaves."""
    page = signed_in(browser, running)
    decide(running)
    page.clock.install()
    asked: list[str] = []
    page.goto(f"{running.origin}/console/live")
    page.on("request", lambda request: asked.append(request.url))
    page.focus("#live tbody a")
    page.clock.run_for(10_000)
    assert page.evaluate("document.querySelector('#live').contains(document.activeElement)")
    assert asked == []
    page.focus("#f-place")
    with page.expect_request("**/console/live*"):
        page.clock.run_for(2_100)
    page.context.close()


def test_without_script_a_reload_does_the_same(browser: Browser, running: Service) -> None:
    """And filters, reports and explanations are plain forms."""
    page = signed_in(browser, running, script=False)
    decide(running)
    page.goto(f"{running.origin}/console/live")
    before = page.locator("#live tbody tr").count()
    decide(running)
    page.reload()
    assert page.locator("#live tbody tr").count() == before + 1
    follow(page.locator("#live tbody tr:first-child a:has-text('why?')"))
    assert "showed" in page.inner_text("main")
    page.goto(f"{running.origin}/console/reports")
    page.select_option("#f-by", "campaign")
    follow(page.locator("main form button"))
    assert "by=campaign" in page.url
    assert page.locator("svg.plot").count() == 1
    page.context.close()


def test_a_shared_report_is_read_by_somebody_without_an_account(browser: Browser, running: Service) -> None:
    """The link that a page shows once opens in another browser, on a phone, and nothing of it goes elsewhere."""
    owner = signed_in(browser, running)
    owner.goto(f"{running.origin}/console/campaigns/c0/report")
    follow(owner.locator("text=Make a link"))
    link = owner.inner_text("#made")
    owner.context.close()
    context = browser.new_context(user_agent=BROWSER, viewport={"width": 360, "height": 800})
    page, asked, said = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(link)
    assert "so far; it has no goal." in page.inner_text("main")
    assert page.locator("svg.plot").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator("a[href*='/console']").count() == 0
    assert all(url.startswith((running.origin, "data:")) for url in asked)
    assert context.cookies() == []
    assert said == []
    context.close()
