"""What a page shows of its own, in a real Chromium: the tag brings it out of its template when nothing fills."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Route

from adserve.web.public import TAG

UNIT = '<div class="slot-unit" data-view="https://serve.example/e/v/x"><a href="#">Tea</a></div>'
EMPTY = {"slot": "top", "filled": False, "decision": "d", "html": "", "page_view": "p"}
PAGE = """<!doctype html><body><div data-slot="top"><template><p id="own">Our letter</p>
<script>window.ran = (window.ran || 0) + 1</script></template></div>
<script>addEventListener('slot:empty', (e) => { window.told = e.detail || {} });
addEventListener('slot:filled', () => { window.told = 'filled' })</script>
<script async src="https://serve.example/slots.js" data-site="news"></script>"""


@pytest.mark.parametrize(
    ("answer", "told", "shown"),
    [
        (EMPTY | {"fallback": True}, True, True),
        (EMPTY, None, True),
        ({"slot": "top", "filled": False, "error": "unknown_slot"}, None, True),
        (None, None, True),
        (EMPTY | {"filled": True, "html": UNIT, "impression_url": "https://serve.example/e/i/x"}, None, False),
    ],
    ids=["passback", "empty", "unknown", "no answer", "filled"],
)
def test_the_page_s_own_fallback_is_shown_when_nothing_fills(
    browser: Browser, answer: Any, told: bool | None, shown: bool
) -> None:
    """With its scripts, once, and only then; the event tells a passback from an empty slot."""
    page = browser.new_page()

    def serve(route: Route) -> None:
        url = route.request.url
        if url.endswith("/slots.js"):
            route.fulfill(body=TAG, content_type="text/javascript")
        elif "/v1/pages/" in url and answer is not None:
            body = json.dumps({"page_view": "p", "slots": {"top": answer}})
            route.fulfill(body=body, content_type="application/json", headers={"Access-Control-Allow-Origin": "*"})
        elif url == "https://news.example/":
            route.fulfill(body=PAGE, content_type="text/html")
        else:
            route.abort()

    page.route("**/*", serve)
    page.goto("https://news.example/")
    page.wait_for_function("window.told")
    assert page.evaluate("[document.querySelectorAll('#own').length, window.ran || 0]") == [int(shown), int(shown)]
    assert page.evaluate("window.told.fallback ?? null") is told
    assert page.locator("template").count() == 0
    page.close()
