"""A page whose slots are filled in groups, in a real Chromium: the tag goes on with its page view."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Route

from adserve.web.public import TAG

PAGE = """<!doctype html><body><div data-slot="top"></div><div data-slot="side"></div><div data-slot="side"></div>
<div id="late"></div><script>let told = 0; addEventListener('slot:empty', () => told++)</script>
<script async src="https://serve.example/slots.js" data-site="news"></script>"""


def test_later_groups_send_the_page_view_of_the_one_before(browser: Browser) -> None:
    """The first says which slots the page has; a call that fails costs the page view nothing."""
    page, asked = browser.new_page(), []

    def serve(route: Route) -> None:
        url = route.request.url
        if url.endswith("/slots.js"):
            route.fulfill(body=TAG, content_type="text/javascript")
        elif "/v1/pages/" in url:
            query: dict[str, Any] = parse_qs(urlsplit(url).query)
            asked.append((query["slots"], query.get("plan"), query.get("pv")))
            if len(asked) == 3:
                route.abort()
                return
            body = json.dumps({"page_view": f"p.{len(asked)}", "slots": {}})
            route.fulfill(body=body, content_type="application/json", headers={"Access-Control-Allow-Origin": "*"})
        elif url == "https://news.example/":
            route.fulfill(body=PAGE, content_type="text/html")
        else:
            route.abort()

    page.route("**/*", serve)
    page.goto("https://news.example/")
    page.wait_for_function("told === 3")
    for n in range(4, 7):
        page.evaluate("document.getElementById('late').innerHTML = '<div data-slot=foot></div>'; slots.load()")
        page.wait_for_function(f"told === {n}")
    page.close()
    whole = ["top,side,side:2"]
    assert asked[0] == (whole, whole, None)
    assert [pv for _, _, pv in asked[1:]] == [["p.1"], ["p.2"], ["p.2"]]
    assert asked[1][0] == ["foot"]
