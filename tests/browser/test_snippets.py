"""Snippets on a stranger's page: no style but their own, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import structs
from playwright.sync_api import Browser, Dialog, Page

from adserve.core.model import Content, Slot
from adserve.demo.catalog import SLOTS
from adserve.snippet import compile_snippet
from tests.security.texts import TEXTS as TEXTS_OF_ATTACKS

TEXTS = {
    "short": ("Tea", ""),
    "usual": ("First flush, picked before the rain", "Forty grams, delivered by bicycle."),
    "longest": (("A title of many words " * 6)[:120], ("Words that say what there is to buy " * 14)[:500]),
    "unbroken": ("x" * 120, "y" * 500),
}
LABEL_PX = 18
NEWS = Slot(id="news/x", serial=1, version=1, site="news", name="x", sizes=("300x250",), label="Advertisement")


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    found = browser.new_page()
    yield found
    found.close()


def shown(page: Page, slot: Slot, content: Content, kind: str, width: int) -> None:
    """A page of `width` pixels with nothing but the snippet in it."""
    html = compile_snippet(kind, content, slot).fill("d", "about:blank#v", "about:blank#c", "")
    page.set_viewport_size({"width": width, "height": 800})
    page.set_content(f"<!doctype html><body style='margin:0'><div id=slot>{html}</div>")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("data", SLOTS, ids=lambda slot: slot["name"])
def test_a_text_takes_no_more_room_than_the_slot_s_pictures(
    page: Page, data: dict[str, str], width: int, text: str
) -> None:
    """At most as wide as the widest and as high as the tallest, with nothing outside of its box."""
    title, body = TEXTS[text]
    slot = structs.replace(NEWS, sizes=tuple(data["sizes"]))
    shown(
        page,
        slot,
        Content(serial=1, revision=1, click_url="https://shop.example/", title=title, body=body),
        "text",
        width,
    )
    sizes = [tuple(map(int, size.split("x"))) for size in slot.sizes]
    box = page.locator("#slot").bounding_box()
    link = page.locator("a").bounding_box()
    assert box is not None
    assert link is not None
    assert link["width"] <= min(width, max(wide for wide, _ in sizes))
    assert box["height"] <= max(high for _, high in sizes) + LABEL_PX
    assert page.evaluate("document.documentElement.scrollWidth") == width
    inner = page.evaluate(
        "(() => { const r = document.createRange(); r.selectNodeContents(document.querySelector('a strong'));"
        "return r.getBoundingClientRect().right <= document.querySelector('a').getBoundingClientRect().right })()"
    )
    assert inner


def test_the_link_of_a_picture_can_be_seen_to_have_the_focus(page: Page) -> None:
    """The link is as large as its picture, so that the browser's own outline goes around it."""
    shown(
        page,
        NEWS,
        Content(serial=1, revision=1, click_url="https://shop.example/", width=300, height=250, alt="Tea"),
        "image",
        390,
    )
    box = page.locator("a").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (300, 250)


@pytest.mark.parametrize("kind", ["image", "text"])
def test_a_browser_finds_nothing_in_a_text_but_text(page: Page, kind: str) -> None:
    """All hostile texts on one page: nothing runs or asks, and the page around each slot is as it was."""
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", answer)
    parts = []
    for text in TEXTS_OF_ATTACKS:
        url = "https://shop.example/"
        content = Content(serial=1, revision=1, click_url=url, width=300, height=250, alt=text, title=text, body=text)
        html = compile_snippet(kind, content, structs.replace(NEWS, label=text)).fill("d", "about:blank#v", "#c", "")
        parts.append(f"<div class=slot>{html}</div><p class=after>after</p>")
    page.set_content(f"<!doctype html><title>t</title><body>{''.join(parts)}")
    count = len(TEXTS_OF_ATTACKS)
    assert page.evaluate("document.querySelectorAll('body > .slot + p.after').length") == count
    assert page.evaluate("document.querySelectorAll('script, svg, iframe, style, base, form, table, h1').length") == 0
    running = (
        "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => /^on|autofocus/.test(a.name)))"
    )
    assert page.evaluate(f"{running}.length") == 0
    assert page.evaluate("[...document.querySelectorAll('.slot-label')].map(e => e.textContent)") == [*TEXTS_OF_ATTACKS]
    assert asked == []


@pytest.mark.parametrize("kind", ["image", "text"])
def test_the_label_is_as_easy_to_read_as_the_page_s_own_words(page: Page, kind: str) -> None:
    """It takes the page's colour in full: a page whose words are just dark enough stays readable."""
    shown(
        page,
        NEWS,
        Content(serial=1, revision=1, click_url="https://shop.example/", width=300, height=250, title="Tea"),
        kind,
        390,
    )
    style = page.locator(".slot-label").evaluate("e => [getComputedStyle(e).opacity, getComputedStyle(e).color]")
    assert style == ["1", page.evaluate("getComputedStyle(document.body).color")]
