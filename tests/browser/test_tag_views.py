"""What a reader saw: a view is half of the pixels for one second without a break, in a visible tab. The clock of the
page stands still until the test moves it; positions are real."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.site import SERVICE, Site, filled, page_of, slot, unit

TOP, HEIGHT = 1_000, 600
"""Where the box begins, and the height of the viewport: less than one of them away, so that it is filled."""

BOX = "(document.querySelector('.slot-unit iframe, .slot-unit img') ?? document.querySelector('.slot-unit'))"
RATIO = f"""() => new Promise((done) => new IntersectionObserver(([entry], eye) => {{
    eye.disconnect();
    done(entry.intersectionRatio);
}}).observe({BOX}))"""


class Reader:
    """One who scrolls a page whose only box is `height` pixels high."""

    def __init__(self, page: Page, height: int) -> None:
        self.page, self.height = page, height

    def shows(self, pixels: int) -> float:
        """Scrolls until so many rows of the box are in view; the part of it that the browser itself finds there. What
        observers of the page were told of is handled when it is back."""
        self.page.evaluate(f"scrollTo(0, {TOP - HEIGHT + pixels})")
        return float(self.page.evaluate(RATIO))

    def waits(self, milliseconds: int) -> None:
        self.page.clock.run_for(milliseconds)

    def hides(self, hidden: bool) -> None:
        """The tab. Headless Chromium shows all of its tabs, so what a page is told of it stands in for it."""
        self.page.evaluate(
            """(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
            document.dispatchEvent(new Event('visibilitychange')) }""",
            hidden,
        )

    @property
    def views(self) -> int:
        return int(self.page.evaluate("told.filter(([type]) => type === 'view').length"))


@pytest.fixture
def sites(browser: Browser) -> Iterator[list[Site]]:
    made: list[Site] = []
    yield made
    for site in made:
        site.context.close()


def opened(browser: Browser, sites: list[Site], width: int = 300, height: int = 250, kind: str = "image") -> Reader:
    """A page with one filled slot below the viewport, and its clock stopped."""
    place = slot("top", f'style="position:absolute;top:{TOP}px;left:0;width:980px;min-height:{height}px"')
    end = '<div style="position:absolute;top:5000px;height:1px;width:1px"></div>'
    site = Site(
        browser, {"/": page_of(place, end)}, lambda ask, number: filled(ask, number, width, height, kind)
    )
    sites.append(site)
    page = site.context.new_page()
    page.clock.install()
    page.goto("https://news.example/")
    page.wait_for_function("told.length === 1", polling=20)
    page.wait_for_function(f"{BOX}.naturalWidth !== 0", polling=20)
    page.clock.pause_at(page.evaluate("Date.now()") / 1_000 + 1)
    return Reader(page, height)


def test_not_quite_half_for_ten_seconds_is_no_view(browser: Browser, sites: list[Site]) -> None:
    reader = opened(browser, sites)
    assert 0.48 < reader.shows(122) < 0.5
    reader.waits(10_000)
    assert reader.views == 0


def test_half_for_not_quite_a_second_is_no_view(browser: Browser, sites: list[Site]) -> None:
    reader = opened(browser, sites)
    assert reader.shows(125) == 0.5
    reader.waits(990)
    reader.shows(0)
    reader.waits(10_000)
    assert reader.views == 0


@pytest.mark.parametrize("kind", ["image", "text", "html"])
def test_half_for_a_second_is_one_view(browser: Browser, sites: list[Site], kind: str) -> None:
    """Of a picture, a text and a frame; once, however long and often it is looked at, and the tag is told to load."""
    reader = opened(browser, sites, kind=kind)
    reader.page.evaluate("slots.load()")
    assert reader.shows(125) == 0.5
    with reader.page.expect_request("**/e/v/*"):
        reader.waits(1_000)
    assert reader.views == 1
    for pixels in (0, 250, 0, 200):
        reader.shows(pixels)
        reader.waits(5_000)
    reader.hides(True)
    reader.hides(False)
    reader.waits(5_000)
    assert reader.views == 1
    (site,) = sites
    assert site.sent == ["/e/i/top.1", "/e/v/top.1"]


def test_a_second_with_a_gap_is_no_view(browser: Browser, sites: list[Site]) -> None:
    """0.6 s and 0.6 s; the next whole second is one."""
    reader = opened(browser, sites)
    for _ in range(2):
        reader.shows(200)
        reader.waits(600)
        reader.shows(0)
        reader.waits(600)
    assert reader.views == 0
    reader.shows(200)
    reader.waits(1_000)
    assert reader.views == 1


def test_a_tab_in_the_background_is_no_view(browser: Browser, sites: list[Site]) -> None:
    """Neither one that was never shown nor one that is left within the second, which begins anew when it is back."""
    reader = opened(browser, sites)
    reader.hides(True)
    reader.shows(250)
    reader.waits(10_000)
    assert reader.views == 0
    reader.hides(False)
    reader.waits(600)
    reader.hides(True)
    reader.waits(10_000)
    reader.hides(False)
    reader.waits(990)
    assert reader.views == 0
    reader.waits(10)
    assert reader.views == 1


@pytest.mark.parametrize(("width", "rows", "views"), [(970, 75, 1), (970, 74, 0), (968, 75, 0)])
def test_of_a_large_one_three_tenths_are_enough(
    browser: Browser, sites: list[Site], width: int, rows: int, views: int
) -> None:
    """970 x 250 are the 242,500 pixels from which one is large."""
    reader = opened(browser, sites, width)
    assert reader.shows(rows) == pytest.approx(rows / 250)
    reader.waits(10_000)
    assert reader.views == views


@pytest.mark.parametrize("what", [BOX, "document.querySelector('[data-slot]')"])
def test_a_node_that_is_removed_is_no_view(browser: Browser, sites: list[Site], what: str) -> None:
    """Nor is one that the browser had no time yet to report as gone."""
    reader = opened(browser, sites)
    assert reader.shows(250) == 1
    reader.waits(990)
    reader.page.evaluate(f"{what}.remove()")
    reader.waits(10_000)
    assert reader.views == 0


def test_what_a_server_rendered_is_adopted(browser: Browser, sites: list[Site]) -> None:
    """It reports its own impression, so only its view is counted; its slot is not asked for again."""
    body = slot("top", inner=unit("theirs")) + slot("side", inner=unit("frame", kind="html"))
    site = Site(browser, {"/": page_of(body)}, lambda ask, number: None)
    sites.append(site)
    page = site.context.new_page()
    page.clock.install()
    page.goto("https://news.example/")
    page.wait_for_function("window.slots?.load && document.querySelector('img').complete", polling=20)
    page.evaluate("slots.load(); slots.load(document.body)")
    page.evaluate(RATIO)
    with page.expect_request("**/e/v/frame"):
        page.clock.run_for(2_000)
    views: list[Any] = page.evaluate("told.map(([type, slot]) => [type, slot])")
    assert sorted(views) == [["view", "side"], ["view", "top"]]
    assert (site.asked, sorted(site.sent)) == ([], ["/e/v/frame", "/e/v/theirs"])
    assert SERVICE in page.content()
