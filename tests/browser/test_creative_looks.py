"""Texts in every room, and pictures that a browser chooses among: in a real Chromium, in the light and in the dark."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from adserve.core.model import Content, File, Media, Slot
from adserve.snippet import compile_snippet

SIZES = ("728x90", "320x50", "300x250", "300x600", "160x600", "970x250", "468x60", "88x31", "120x90", "")
TEXTS = {
    "short": ("Tea", "", ""),
    "usual": ("First flush, picked before the rain", "Forty grams, delivered by bicycle.", "Shop now"),
    "longest": (("A title of many words " * 6)[:120], ("Words that say it " * 28)[:500], "A button of 25 letters ok"),
    "unbroken": ("x" * 120, "y" * 500, "z" * 25),
    "arabic": ("شاي الربيع قبل المطر", "أربعون غراما تصل بالدراجة في اليوم نفسه إلى بابك", "اشتر الآن"),
}  # fmt: skip
HOST = "http://pictures.example"
LOOK = """() => {
  const link = document.querySelector('a'), box = link.getBoundingClientRect(), texts = [...link.querySelectorAll('[dir]')];
  return {
    link: [box.width, box.height], over: [link.scrollWidth - link.clientWidth, link.scrollHeight - link.clientHeight],
    page: document.documentElement.scrollWidth - innerWidth,
    texts: texts.map((one) => {
      const style = getComputedStyle(one), at = one.getBoundingClientRect();
      return {
        inside: at.left >= box.left && at.right <= box.right + 0.5 && at.top >= box.top && at.bottom <= box.bottom + 0.5,
        lines: one.clientHeight / parseFloat(style.lineHeight),
        cut: one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1,
        ellipsis: style.textOverflow === 'ellipsis' || style.webkitLineClamp !== 'none',
        colour: style.color,
      };
    }),
    colours: [getComputedStyle(document.body).color, getComputedStyle(document.documentElement).backgroundColor],
  };
}"""  # noqa: E501 - a script


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(color_scheme=request.param)
    found = context.new_page()
    found.route(f"{HOST}/**", lambda route: picture(route))
    yield found
    context.close()


def picture(route: Route) -> None:
    """Any file there is, as wide as its name says."""
    wide = int(route.request.url.rpartition("/")[2][30:40])
    high = {728: 90, 729: 90, 1456: 180, 1457: 180, 468: 60, 320: 50}.get(wide, wide)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}"><rect width="9" height="9"/></svg>'
    route.fulfill(body=svg, content_type="image/svg+xml")


def media(name: int) -> Media:
    return Media(f"{name:0>40}.png", "image/png", 1000)


def show(page: Page, kind: str, content: Content, sizes: tuple[str, ...], width: int) -> None:
    slot = Slot(id="news/x", serial=1, version=1, site="news", name="x", sizes=sizes)
    html = compile_snippet(kind, content, slot).fill("d", "about:blank#v", "about:blank#c", HOST)
    page.set_viewport_size({"width": width, "height": 800})
    page.set_content(
        "<!doctype html><meta name=color-scheme content='light dark'><style>:root{background:Canvas;color:CanvasText}"
        f"</style><body style='margin:0'>{html}"
    )


def luminance(colour: str) -> float:
    """Relative, by WCAG 2."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_looks_right_in_every_room(page: Page, size: str, text: str) -> None:
    """It has the room of its size, on narrow screens too, nothing leaves it, no line is cut through, what does not fit
    ends in an ellipsis, and every word is as easy to read as WCAG AA asks."""
    title, body, button = TEXTS[text]
    width, height = map(int, size.split("x")) if size else (0, 250)
    for with_picture, narrow in itertools.product((True, False), (False, True)):
        content = Content(
            revision=1, serial=1, click_url="https://a.example/", title=title, body=body, button=button,
            media=media(100) if with_picture else None, files=(File(media(100), 100, 100),) if with_picture else (),
        )  # fmt: skip
        viewport = 320 if narrow else 1000
        show(page, "text", content, (size,) if size else (), viewport)
        seen: Any = page.evaluate(LOOK)
        assert seen["page"] <= 0
        assert seen["link"][0] == min(width or viewport, viewport)
        assert seen["link"][1] == height if size else seen["link"][1] <= height
        assert seen["over"] == [0, 0], (with_picture, narrow)
        assert seen["texts"], "a title is always there"
        for one in seen["texts"]:
            assert one["inside"], (with_picture, narrow, one)
            assert abs(one["lines"] - round(one["lines"])) < 0.05
            assert one["ellipsis"] or not one["cut"]
            light, dark = sorted((luminance(one["colour"]), luminance(seen["colours"][1])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "density", "chosen"), [
    (1000, 1, {"light": 728, "dark": 729}), (1000, 2, {"light": 1456, "dark": 1457}),
    (727, 1, {"light": 468, "dark": 468}), (467, 2, {"light": 320, "dark": 320}),
])  # fmt: skip
def test_a_browser_takes_the_file_that_is_for_it(
    browser: Browser, scheme: Any, width: int, density: int, chosen: dict[str, int]
) -> None:
    """By the width of the viewport, the density of the screen and the scheme of the reader; it has its size."""
    files = (
        File(media(728), 728, 90), File(media(1456), 1456, 180, 2), File(media(729), 728, 90, 1, "dark"),
        File(media(1457), 1456, 180, 2, "dark"), File(media(320), 320, 50), File(media(468), 468, 60),
    )  # fmt: skip
    content = Content(
        revision=1, serial=1, click_url="https://a.example/", width=728, height=90, alt="Tea",
        media=media(728), files=files,
    )  # fmt: skip
    context = browser.new_context(color_scheme=scheme, device_scale_factor=density)
    page = context.new_page()
    page.route(f"{HOST}/**", lambda route: picture(route))
    show(page, "image", content, ("728x90", "468x60", "320x50"), width)
    page.wait_for_function("document.querySelector('a img').complete")
    taken = page.evaluate("document.querySelector('.slot-unit a img').currentSrc")
    assert int(taken[-14:-4]) == chosen[scheme]
    box = page.locator("a img").bounding_box()
    assert box is not None
    wide = {728: 728, 729: 728, 1456: 728, 1457: 728}.get(chosen[scheme], chosen[scheme])
    assert box["width"] == wide
    assert abs(box["height"] - {728: 90, 468: 60, 320: 50}[wide]) < 1
    context.close()
