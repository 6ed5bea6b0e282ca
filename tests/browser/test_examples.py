"""The examples in a real Chromium, over a real service: the plain page, and the theme as a model renders it."""

from __future__ import annotations

import json
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.conftest import KEY
from tests.embed.blogger import render
from tests.embed.places import URL
from tests.embed.test_blogger import THEME, blog, post
from tests.embed.test_examples import example
from tests.service import BROWSER, free_port, until
from tests.wordpress.php import WordPress

SHIFTS = """window.shifted = 0; window.wrong = [];
new PerformanceObserver((list) => { for (const one of list.getEntries()) window.shifted += one.value })
  .observe({ type: 'layout-shift', buffered: true });
addEventListener('error', (event) => wrong.push(String(event.message || event.target)));
addEventListener('unhandledrejection', (event) => wrong.push(String(event.reason)));"""


def wordpress() -> str:
    """A post as a theme of WordPress prints it, with the plugin's five places in it."""
    places = {"header": "header", "above_content": "top", "below_content": "below-post", "footer": "footer"}
    calls = [("action", "wp_head"), ("action", "wp_body_open"), ("content", "<p>Words.</p>"), ("action", "wp_footer")]
    with tempfile.TemporaryDirectory() as folder:
        head, header, content, footer, sidebar = WordPress(Path(folder)).ask(
            *calls, ("shortcode", {"name": "sidebar"}), page="post", post=7,
            options={"slots_places": places}, terms={"category": ["Lake & Hills"], "post_tag": ["Énergie"]},
        )  # fmt: skip
    start = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>T</title><link rel="icon" href="data:,">'
    return f"{start}{head}</head><body>{header}<main>{content}</main><aside>{sidebar}</aside>{footer}</body></html>"


PAGES: dict[str, Callable[[], str]] = {
    "wordpress": wordpress,
    "html": lambda: example("html/page.html"),
    "post": lambda: render(THEME, blog("post", post(1, "Lake & Hills", "Énergie"))),
    "list": lambda: render(THEME, blog("list", post(1, "Lake"), post(2), post(3, "Hills"))),
}
SLOTS = {
    "wordpress": ["header", "top", "below-post", "sidebar", "footer"],
    "html": ["header", "top", "below-post", "sidebar", "footer"],
    "post": ["header", "top", "below-post", "sidebar", "footer"],
    "list": ["header", "below-post", "below-post", "below-post", "sidebar", "footer"],
}


@pytest.fixture(scope="module")
def site() -> Iterator[dict[str, str]]:
    """Pages by path, on an address of their own, which stands under `""`: what is put in is answered."""
    pages: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pages[""] = f"http://127.0.0.1:{server.server_port}"
        yield pages
        server.shutdown()


@pytest.fixture(params=[1280, 360])
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    found = browser.new_context(user_agent=BROWSER, viewport={"width": request.param, "height": 800})
    found.add_init_script(SHIFTS)
    yield found
    found.close()


def open_page(context: BrowserContext, site: dict[str, str], html: str, at: str) -> Page:
    site["/page"] = html.replace(URL, at)
    page = context.new_page()
    page.goto(f"{site['']}/page")
    return page


def impressions(origin: str) -> int:
    request = urllib.request.Request(
        f"{origin}/api/v1/report?site=news&period=today", headers={"Authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        found: int = json.loads(reply.read())["totals"]["impressions"]
        return found


@pytest.mark.parametrize("name", PAGES)
def test_every_slot_fills_in_its_room_and_is_counted_once(
    context: BrowserContext, origin: str, site: dict[str, str], name: str
) -> None:
    """Each place that a reader comes to, wide and narrow; nothing moves, nothing is thrown."""
    before = impressions(origin)
    page = open_page(context, site, PAGES[name](), origin)
    slots = page.locator("[data-slot]")
    assert [one.get_attribute("data-slot") for one in slots.all()] == SLOTS[name]
    for one in slots.all():
        one.scroll_into_view_if_needed()
        one.locator(".slot-unit").wait_for()
    until(lambda: impressions(origin) >= before + len(SLOTS[name]))
    decisions = page.eval_on_selector_all(".slot-unit", "all => all.map((one) => one.dataset.decision)")
    assert len({*decisions}) == len(SLOTS[name])
    assert page.evaluate("[shifted, wrong]") == [0, []]
    page.close()
    assert impressions(origin) == before + len(SLOTS[name])


@pytest.mark.parametrize("name", PAGES)
def test_a_page_stands_as_it_is_when_nobody_answers(
    context: BrowserContext, origin: str, site: dict[str, str], name: str
) -> None:
    """Its rooms stay empty, nothing moves, nothing is thrown."""
    assert origin
    page = open_page(context, site, PAGES[name](), f"http://127.0.0.1:{free_port()}")
    page.wait_for_load_state("networkidle")
    assert page.locator("[data-slot]").count() == len(SLOTS[name])
    assert page.locator(".slot-unit").count() == 0
    shifted, wrong = page.evaluate("[shifted, wrong]")
    assert (shifted, wrong) == (0, [])
    page.close()


def test_the_labels_of_each_post_are_told(browser: Browser, origin: str, site: dict[str, str]) -> None:
    """What the tag asks with holds those of all posts that stand on a list."""
    context = browser.new_context(user_agent=BROWSER, viewport={"width": 1280, "height": 3000})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    site["/page"] = PAGES["list"]().replace(URL, origin)
    page.goto(f"{site['']}/page")
    page.locator(".slot-unit").first.wait_for()
    context.close()
    calls = [url for url in asked if "/v1/pages/news" in url]
    assert calls
    assert all(label in "".join(calls) for label in ("Lake", "Hills"))
