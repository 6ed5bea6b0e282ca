"""The demo's pages in a real Chromium: filled, and counted to the unit."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Browser, Error

from tests.browser.conftest import KEY
from tests.service import BROWSER


def totals(origin: str) -> dict[str, Any]:
    """Today's figures of the demo's site."""
    url = f"{origin}/api/v1/report?site=news&period=today&by=slot"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        found: dict[str, Any] = json.load(reply)["totals"]
    return found


@pytest.mark.parametrize("path", ["/demo/", "/demo/blogger/"])
def test_twenty_reloads_are_a_hundred_impressions(origin: str, browser: Browser, path: str) -> None:
    """Five slots filled at each load, by the template or by the tag alone; the report agrees to the unit."""
    before = totals(origin)
    context = browser.new_context(user_agent=BROWSER, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda problem: thrown.append(str(problem)))
    for _ in range(20):
        page.goto(origin + path)
        page.wait_for_function("document.querySelectorAll('[data-decision] img').length >= 5")
        page.evaluate("document.querySelectorAll('[data-slot], [data-decision]').forEach(e => e.scrollIntoView())")
        page.wait_for_load_state("networkidle")
    context.close()
    deadline = time.monotonic() + 30
    while True:
        after = totals(origin)
        if after["impressions"] - before["impressions"] == 100 or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert thrown == []
    assert after["impressions"] - before["impressions"] == 100
    assert after["serves"] - before["serves"] == 100
    assert after["requests"] - before["requests"] == 100


@pytest.mark.parametrize("path", ["/demo/", "/demo/blogger/"])
def test_the_console_stays_empty(origin: str, browser: Browser, path: str) -> None:
    """Nothing is missing, refused or complained about, down to the icon that a browser asks for by itself."""
    context = browser.new_context(user_agent=BROWSER)
    page = context.new_page()
    written: list[str] = []
    page.on("console", lambda message: written.append(message.text))
    page.on("pageerror", lambda problem: written.append(str(problem)))
    page.on("response", lambda reply: written.extend([f"{reply.status} {reply.url}"] if reply.status >= 400 else []))
    page.goto(origin + path)
    page.wait_for_function("document.querySelectorAll('[data-decision] img').length >= 5")
    page.evaluate("document.querySelectorAll('[data-slot], [data-decision]').forEach(e => e.scrollIntoView())")
    page.wait_for_load_state("networkidle")
    context.close()
    assert written == []


def test_a_click_opens_the_landing_page_and_counts(origin: str, browser: Browser) -> None:
    """The link of a filled slot is a redirect of ours to the stored address."""
    before = totals(origin)["clicks"]
    context = browser.new_context(user_agent=BROWSER)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{origin}/demo/")
    link = page.locator("[data-decision] a").first
    address = link.get_attribute("href")
    assert address is not None
    assert "/c/" in address
    with pytest.raises(Error, match="ERR_"):  # the shops are invented: their names resolve nowhere
        page.goto(address)
    assert asked[-2] == address
    assert asked[-1].startswith("https://")
    assert asked[-1].split("/")[2].endswith(".example")
    context.close()
    assert totals(origin)["clicks"] == before + 1


def test_a_picture_runs_as_nothing(origin: str, browser: Browser) -> None:
    """Neither as a script nor as a style or a frame with a script in it, whoever names its address."""
    page = browser.new_page(user_agent=BROWSER)
    page.goto(f"{origin}/demo/")
    source = str(page.locator("[data-decision] img").first.get_attribute("src"))
    with pytest.raises(Error):
        page.add_script_tag(url=source)
    with pytest.raises(Error):
        page.add_style_tag(url=source)
    page.goto(source)
    assert page.evaluate("[...document.images].length") == 1
    assert page.evaluate("window.origin") == "null", "its document is in a box"
    page.close()
