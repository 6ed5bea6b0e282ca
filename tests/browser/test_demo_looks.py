"""How the demo's pages are laid out in a real Chromium, from the narrowest phone to a desktop."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.service import BROWSER

PHONE = BROWSER.replace("X11; Linux x86_64", "Linux; Android 16; Pixel 10").replace("Safari", "Mobile Safari")
PATHS = ("/demo/", "/demo/blogger/")
WIDTHS = (320, 390, 768, 1280)
Opener = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, origin: str) -> Iterator[Opener]:
    """Opens a page of the demo in a window of a given width; up to 600 pixels it is a phone's."""
    contexts: list[BrowserContext] = []

    def open_(path: str, width: int, **options: object) -> Page:
        phone = width <= 600
        context = browser.new_context(
            user_agent=PHONE if phone else BROWSER,
            viewport={"width": width, "height": 900},
            is_mobile=phone,
            has_touch=phone,
            **options,  # type: ignore[arg-type]
        )
        context.set_default_timeout(5000)
        contexts.append(context)
        page = context.new_page()
        page.goto(origin + path)
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", PATHS)
def test_five_slots_fill_at_any_width_and_nothing_is_cut_off(opened: Opener, path: str, width: int) -> None:
    """Each place holds a picture that lies within the window, none is the page's own fallback."""
    page = opened(path, width)
    page.wait_for_function("document.querySelectorAll('.place [data-decision] a img').length === 5")
    edges = page.evaluate(
        "[...document.querySelectorAll('.place a img')].map(e => e.getBoundingClientRect()).map(r => [r.left, r.right])"
    )
    assert all(left >= 0 and right <= width for left, right in edges), edges
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator(".own").count() == 0


@pytest.mark.parametrize("path", PATHS)
def test_a_desktop_shows_no_picture_of_a_phone(opened: Opener, path: str) -> None:
    """Where something large fits, the small strips are not picked."""
    for _ in range(5):
        page = opened(path, 1280)
        page.wait_for_function("document.querySelectorAll('.place [data-decision] a img').length === 5")
        sizes = page.evaluate("[...document.querySelectorAll('.place a img')].map(e => e.height)")
        assert min(sizes) >= 90


def picked(page: Page) -> int:
    """The sum of the column of picks."""
    page.wait_for_selector(".picks")
    cells: list[str] = page.locator(".picks td:nth-child(3)").all_inner_texts()
    return sum(map(int, cells))


def test_the_table_of_picks_counts_the_page_that_shows_it(opened: Opener, origin: str) -> None:
    """Each reload of either page adds its own five picks, no fewer and no others."""
    page = opened(PATHS[0], 1280)
    before = picked(page)
    for n in range(1, 11):
        page.goto(origin + PATHS[n % 2])
        assert picked(page) == before + 5 * n


def test_the_table_of_picks_needs_no_script(opened: Opener) -> None:
    """The server's page has it in its HTML; the tag's page says what is missing."""
    assert picked(opened(PATHS[0], 390, java_script_enabled=False)) >= 5
    assert opened(PATHS[1], 390, java_script_enabled=False).get_by_text("Without scripts").is_visible()


@pytest.mark.parametrize("path", PATHS)
def test_tables_are_whole_on_the_narrowest_phone(opened: Opener, path: str) -> None:
    """No cell is cut off or lies outside of the panel."""
    page = opened(path, 320)
    page.wait_for_selector(".picks td")
    outside = page.evaluate(
        """() => {
            const panel = document.querySelector('.panel').getBoundingClientRect();
            return [...document.querySelectorAll('.panel td, .panel th, .panel pre')].filter((e) => {
                const box = e.getBoundingClientRect();
                return box.right > panel.right || e.scrollWidth > e.clientWidth + 1;
            }).map((e) => e.textContent);
        }"""
    )
    assert outside == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_footer_s_rule_keeps_off_the_text(opened: Opener, width: int) -> None:
    """There is room between the last line above and the rule."""
    gap = opened(PATHS[0], width).evaluate(
        """document.querySelector('.foot .small').getBoundingClientRect().top
           - document.querySelector('.foot .three').getBoundingClientRect().bottom"""
    )
    assert gap >= 16


SHIFTS = """window.shifts = []; new PerformanceObserver((list) => shifts.push(...list.getEntries().map(
  (one) => one.sources.map(({ node }) => node?.outerHTML?.slice(0, 100)))
)).observe({ type: 'layout-shift', buffered: true })"""
"""What moved, by the browser's own account."""
PIECES = """async () => {
  const text = await (await fetch(location.href)).text();
  const passed = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const [first, rest] = [text.slice(0, text.indexOf('class="story"')), text.slice(text.indexOf('class="story"'))];
  await passed();
  shifts.length = 0;
  document.open();
  for (const piece of [...first.split(/(?=<)/), ...rest.split(/(?=<div|<aside|<section|<footer)/)]) {
    document.write(piece);
    await passed();
  }
  document.close();
}"""
"""The same page anew, one element at a time, each shown before the next one comes."""


def moved(browser: Browser, url: str, width: int, *, then: str = "null") -> object:
    """What moves in a page that is opened, and in what runs there then."""
    context = browser.new_context(user_agent=BROWSER, viewport={"width": width, "height": 900})
    context.add_init_script(SHIFTS)
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(".picks")
    page.evaluate(then)
    page.wait_for_load_state("networkidle")
    found = page.evaluate("shifts")
    context.close()
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", PATHS)
def test_nothing_moves_while_a_page_fills(browser: Browser, origin: str, path: str, width: int) -> None:
    """Nothing of what is in sight."""
    assert moved(browser, origin + path, width) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_moves_where_half_a_page_is_shown(browser: Browser, origin: str, width: int) -> None:
    """As on a slow line or device, where what a server filled comes in pieces."""
    assert moved(browser, origin + PATHS[0], width, then=PIECES) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_words_stand_out_from_their_ground(opened: Opener, path: str, scheme: str) -> None:
    """Every piece of text has the contrast of WCAG AA, 4.5 to 1, in both modes."""
    page = opened(path, 1280, color_scheme=scheme)
    page.wait_for_selector(".picks td")
    assert page.evaluate(FAINT) == []


FAINT = """() => {
    const parse = (css) => css.match(/[0-9.]+/g).map(Number);
    const linear = (c) => c <= 10 ? c / 255 / 12.92 : ((c / 255 + .055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
    const over = (top, alpha, ground) => top.slice(0, 3).map((c, n) => c * alpha + ground[n] * (1 - alpha));
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const el = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim();
        if (!text || !el.checkVisibility()) continue;
        let ground = el, alpha = 1;
        for (let e = el; e; e = e.parentElement) alpha *= getComputedStyle(e).opacity;
        while (parse(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
        const under = parse(getComputedStyle(ground).backgroundColor);
        const one = light(over(parse(getComputedStyle(el).color), alpha, under)) + .05, other = light(under) + .05;
        if (Math.max(one / other, other / one) < 4.5) found.push(text.slice(0, 40));
    }
    return found;
}"""
