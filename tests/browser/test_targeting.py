"""Labels of a page with the tag, in a real Chromium: what a campaign excludes does not stand there."""

from __future__ import annotations

import json
import unicodedata
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import KEY
from tests.service import BROWSER

PAGE = """<!doctype html><meta charset="utf-8"><body><div data-slot="top" %s style="min-height:90px"></div>
<script async src="/slots.js" data-site="paper" %s></script>"""
EXCLUDED = ["Conflict", "संघर्ष", "E\u0301lections"]


def call(origin: str, method: str, path: str, body: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"{origin}/api/v1{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert reply.status in (200, 201)


@pytest.fixture(scope="module")
def paper(origin: str) -> str:
    """A site with a careful sponsor, and a house campaign for the rest."""
    call(origin, "PUT", "/sites/paper", {"name": "Paper"})
    call(origin, "PUT", "/sites/paper/slots/top", {"sizes": ["728x90"]})
    call(origin, "PUT", "/advertisers/tea", {"name": "Tea"})
    target = {"labels": {"none": EXCLUDED}, "urls": {"none": ["127.0.0.1/paper/live/*"]}}
    for name, tier in (("careful", "sponsor"), ("house", "house")):
        more = {"target": target} if name == "careful" else {}
        body = {"advertiser": "tea", "name": name, "tier": tier, "slots": ["paper/top"], **more}
        call(origin, "PUT", f"/campaigns/{name}", body)
        text = {"kind": "text", "name": name, "title": name, "click_url": "https://shop.example/"}
        call(origin, "POST", f"/campaigns/{name}/creatives?approve=true", text)
    return origin


@pytest.mark.parametrize(
    ("slot", "script", "path", "shown"),
    [
        ("", "", "1", "careful"),
        ("", 'data-labels="world, Asia"', "1", "careful"),
        ("", 'data-labels="world,CONFLICT"', "1", "house"),
        ('data-labels=" conflict "', 'data-labels="world"', "1", "house"),
        (f'data-labels="{unicodedata.normalize("NFD", "संघर्ष")}"', "", "1", "house"),
        ("", f'data-labels="{unicodedata.normalize("NFC", "ÉLECTIONS")}"', "1", "house"),
        ("", "", "live/1?x=1", "house"),
    ],
)
def test_what_is_excluded_does_not_stand_there(
    paper: str, browser: Browser, slot: str, script: str, path: str, shown: str
) -> None:
    """Labels of the script and of the slot, in any script and case; the address of the page is told by the tag."""
    context = browser.new_context(user_agent=BROWSER)
    page = context.new_page()
    page.route("**/paper/**", lambda route: route.fulfill(body=PAGE % (slot, script), content_type="text/html"))
    page.goto(f"{paper}/paper/{path}")
    page.wait_for_selector("[data-decision]")
    assert page.locator("[data-decision] a").first.inner_text().splitlines()[0] == shown
    context.close()
