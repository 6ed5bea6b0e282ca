"""Back and forward, in a Chromium that keeps pages in memory as readers' browsers do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.site import PAGE, Site, events, page_of, slot, slots_of
from tests.needs import need

KEEPS_NOTHING = "--disable-back-forward-cache"
"""What Playwright passes to its browsers."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    installed = need("chromium", "chromium-browser", "google-chrome", package="chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=installed, args=flags, ignore_default_args=[KEEPS_NOTHING])
        yield found
        found.close()


def test_a_page_that_comes_back_counts_nothing_again(browser: Browser) -> None:
    """It is the page that it was: nothing is asked for, no impression or view counted twice. What was not seen before
    may be seen still."""
    gap = '<div style="height:500px"></div>'
    site = Site(browser, {"/": page_of(slot("a"), gap, slot("b")), "/next": "<p>Next"})
    page = site.open()
    page.evaluate("addEventListener('pageshow', (event) => { window.restored = event.persisted })")
    assert slots_of(events(page, 3), "view") == ["a"]
    before = site.settled(page, 3)
    for _ in range(2):
        page.goto(f"{PAGE}/next")
        page.go_back(wait_until="commit")
        page.wait_for_function("window.restored === true")
        assert site.settled(page, 3) == before == ["/e/i/a.1", "/e/i/b.1", "/e/v/a.1"]
    page.evaluate("document.querySelector('[data-slot=b]').scrollIntoView()")
    assert slots_of(events(page, 4), "view") == ["a", "b"]
    page.evaluate("scrollTo(0, 0)")
    assert site.settled(page, 4) == [*before, "/e/v/b.1"]
    assert len(site.asked) == 1
    site.context.close()
