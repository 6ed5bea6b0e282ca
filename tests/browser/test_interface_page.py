"""The page that describes the interface, as a browser shows it: without scripts, without a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from adserve.web.api.documents import render
from adserve.web.api.openapi import document
from adserve.web.routes import ROUTES

CONTRAST = """() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const linear = c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = colour => parts(colour).slice(0, 3).reduce(
    (sum, c, at) => sum + linear(c / 255) * [.2126, .7152, .0722][at], 0);
  const behind = one => { for (; one; one = one.parentElement) {
    const colour = getComputedStyle(one).backgroundColor; if (parts(colour)[3] !== 0) return colour; } };
  const low = [...document.querySelectorAll("body *")].filter(one => one.firstChild?.nodeType === 3).map(one => {
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))];
    return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), one.outerHTML.slice(0, 80)]; });
  return low.filter(([ratio]) => ratio < 4.5);
}"""
"""Elements with text whose contrast is under 4.5, what WCAG wants of plain text."""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("page") / "docs.html"
    found.write_text(render(document(ROUTES)), encoding="utf-8")
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_is_read_at_any_width_in_light_and_dark(browser: Browser, page_file: Path, width: int, scheme: Any) -> None:
    """Nothing lies beside the window and every word has its contrast; nothing is asked of anybody."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    try:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CONTRAST) == []
        assert asked == [page_file.as_uri()]
    finally:
        context.close()


def test_it_is_read_by_keyboard_without_scripts(browser: Browser, page_file: Path) -> None:
    """The first key leads past the list of calls, and a body opens by the key that opens anything."""
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(page_file.as_uri())
        page.keyboard.press("Tab")
        assert page.locator(":focus").get_attribute("href") == "#calls"
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("#calls$"))
        body = page.locator("#create_or_replace_a_slot details")
        body.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(body.locator("table")).to_be_visible()
    finally:
        context.close()
