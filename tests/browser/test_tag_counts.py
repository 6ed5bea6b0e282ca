"""What a real service makes of pages with the tag: the report says what readers saw, to the unit."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.browser.site import LISTENS, events, slot
from tests.needs import need
from tests.service import BROWSER, Service, fetch, service, until

PAGE = "https://news.example"
COUNTS = ("requests", "serves", "impressions", "views", "clicks", "filtered")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Slots `top` and `side`, and three campaigns that each may stand once on a page."""
    need("chromium", "chromium-browser", "google-chrome", package="chromium")
    with service(tmp_path_factory.mktemp("service")) as found:
        found.call("PUT", "/sites/news", {"name": "News"})
        for name in ("top", "side"):
            found.call("PUT", f"/sites/news/slots/{name}", {"sizes": ["300x250"]})
        found.world(1, 2, 3)
        yield found


class Visitor:
    """A browser and a page of another origin than the service."""

    def __init__(self, browser: Browser, served: Service, body: str, script: str = "", **context: Any) -> None:
        self.served, self.before = served, self.figures_of(served)
        mine = {"user_agent": BROWSER, "permissions": ["local-network-access"]}  # a public page that asks this machine
        self.context = browser.new_context(**{**mine, **context})
        text = (
            f'<!doctype html><meta charset="utf-8"><body>{LISTENS}{body}'
            f'<script async src="{served.origin}/slots.js" data-site="news" {script}></script>'
        )
        self.context.route(f"{PAGE}/**", lambda route: self._page(route, text))
        self.thrown: list[str] = []
        self.context.on("weberror", lambda problem: self.thrown.append(str(problem.error)))

    def _page(self, route: Route, text: str) -> None:
        route.fulfill(body=text, content_type="text/html")

    def opens(self, count: int) -> Page:
        page = self.context.new_page()
        page.goto(f"{PAGE}/")
        events(page, count)
        return page

    @staticmethod
    def figures_of(served: Service) -> dict[str, int]:
        totals = served.totals("slot")
        return {name: totals[name] or 0 for name in COUNTS}

    def counts(self, **wanted: int) -> None:
        """What has come since the visitor came, once the report says so."""
        found: dict[str, int] = {}

        def agrees() -> bool:
            after = self.figures_of(self.served)
            found.update({name: after[name] - self.before[name] for name in COUNTS})
            return found == {**dict.fromkeys(COUNTS, 0), **wanted}

        try:
            until(agrees, 5)
        except AssertionError:
            assert found == {**dict.fromkeys(COUNTS, 0), **wanted}

    def leaves(self) -> None:
        self.context.close()
        assert self.thrown == []


BOTH = slot("top") + slot("side")


def test_a_page_that_is_read_counts_once(browser: Browser, served: Service) -> None:
    """Filled, shown and seen: a request, a serve, an impression and a view for each slot, however long it is open."""
    visitor = Visitor(browser, served, BOTH)
    page = visitor.opens(4)
    page.evaluate("slots.load(); scrollTo(0, 1e6); scrollTo(0, 0)")
    visitor.counts(requests=2, serves=2, impressions=2, views=2)
    names = page.evaluate("[...document.querySelectorAll('.slot-unit strong')].map((one) => one.textContent)")
    assert len(names) == 2
    visitor.leaves()


class Plain(BaseHTTPRequestHandler):
    """A web server of a page: while the test answers for a site, the browser asks it first, and drops what a page that
    is gone had asked."""

    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.body if self.path == "/" else b"<p>Next")

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_what_is_sent_survives_leaving_the_page(browser: Browser, served: Service) -> None:
    """Also what is sent in the very moment in which the page is left. Then the browser itself speaks, and not the page
    with the user agent that the test gave it, so a browser of its own has a plain one."""
    before = Visitor.figures_of(served)["impressions"]
    decision = json.loads(fetch(f"{served.origin}/v1/slots/news/top", Accept="application/json")[1])
    Plain.body = (
        f"<script>addEventListener('pagehide', () => slots.send('{decision['impression_url']}'))</script>"
        f'<script src="{served.origin}/slots.js" data-site="news"></script>'
    ).encode()
    plain = browser.browser_type.launch(
        executable_path=need("chromium", "chromium-browser", "google-chrome", package="chromium"),
        args=["--no-sandbox", "--disable-gpu", f"--user-agent={BROWSER}"],
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), Plain) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = plain.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.goto(f"http://127.0.0.1:{server.server_port}/next")
        until(lambda: Visitor.figures_of(served)["impressions"] == before + 1, 5)
        server.shutdown()
    plain.close()


def test_what_a_server_rendered_is_counted_once(browser: Browser, served: Service) -> None:
    """Its own image counts the impression, the tag the view."""
    before = Visitor.figures_of(served)  # the serve may be counted before the visitor comes
    snippet = fetch(f"{served.origin}/v1/slots/news/top")[1].decode()
    visitor = Visitor(browser, served, slot("top", inner=snippet))
    visitor.before = before
    visitor.opens(1)
    visitor.counts(requests=1, serves=1, impressions=1, views=1)
    visitor.leaves()


def test_a_robot_is_served_and_set_aside(browser: Browser, served: Service) -> None:
    """What it would have counted stands under `filtered`."""
    visitor = Visitor(browser, served, slot("top"), user_agent=f"{BROWSER} HeadlessChrome/150.0")
    visitor.opens(2)
    visitor.counts(requests=1, serves=1, filtered=2)
    visitor.leaves()


def test_who_asks_not_to_be_counted_is_not(browser: Browser, served: Service) -> None:
    """Impressions and views are set aside as `internal`, clicks too."""
    visitor = Visitor(browser, served, slot("top"), "data-more")
    page = visitor.opens(2)
    page.evaluate("slots.ignore(true)")
    visitor.counts(requests=1, serves=1, impressions=1, views=1)
    page.goto(f"{PAGE}/")
    events(page, 2)
    with page.expect_popup() as popup:
        page.click(".slot-unit a")
    popup.value.close()
    visitor.counts(requests=2, serves=2, impressions=1, views=1, filtered=3)
    by = {row["filter_reason"]: row["filtered"] for row in served.report("filter_reason")["rows"]}
    assert by["internal"] == 3
    visitor.leaves()


def test_a_device_that_keeps_what_it_saw_is_known(browser: Browser, served: Service) -> None:
    """A campaign with a frequency is shown as often as it may be, and then another; nothing is kept elsewhere."""
    often = {"advertiser": "acme", "name": "Once", "slots": ["news/side"], "tier": "sponsor",
             "frequency": {"limit": 1, "window": "week", "unknown": "serve"}}  # fmt: skip
    served.call("PUT", "/campaigns/once", often)
    text = {"kind": "text", "name": "t", "title": "Once", "click_url": "https://shop.example/tea"}
    served.call("POST", "/campaigns/once/creatives?approve=true", text)
    until(lambda: b'"once"' in fetch(f"{served.origin}/v1/pages/news?slots=side")[1])
    for script, wanted in (("data-storage=local", ["Once", "Tea", "Tea"]), ("", ["Once", "Once", "Once"])):
        visitor = Visitor(browser, served, slot("side"), script)
        shown = []
        for _ in wanted:
            page = visitor.opens(1)
            shown.append(page.inner_text(".slot-unit strong"))
        assert shown == wanted
        visitor.leaves()
    served.call("PATCH", "/campaigns/once", {"state": "paused"})


def test_a_service_that_stops_hurts_no_open_page(browser: Browser, tmp_path: Path) -> None:
    """What was filled stays; what comes later shows the page's own, and nothing is thrown."""
    with service(tmp_path) as found:
        found.world(1)
        own = "<template><p id=own>Our letter</template>"
        visitor = Visitor(browser, found, slot("top"))
        page = visitor.opens(2)
        assert found.stop() == 0
        page.evaluate(f"document.body.insertAdjacentHTML('beforeend', '{slot('late', '', own)}'); slots.load()")
        events(page, 3)
        assert page.locator("#own").count() == 1
        assert page.locator(".slot-unit").count() == 1
        visitor.leaves()
