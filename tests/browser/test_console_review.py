"""Review by keyboard, previews in their frames, and what a reader of the page with assistive technology meets."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.conftest import KEY
from tests.browser.console import follow
from tests.service import command

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
LANDING = "https://kettle.example/tea"
MARKUP = (
    "<p id=x>still</p><script>document.getElementById('x').textContent = 'moves';"
    "try { top.document.title = 'taken'; parent.document.title = 'taken' } catch { }"
    "try { top.location = 'https://evil.example/' } catch { }</script>"
)
TWICE = """() => {
    let went = 0;
    addEventListener('submit', (event) => { went += !event.defaultPrevented; event.preventDefault(); });
    const button = document.querySelector('.approve button');
    button.form.requestSubmit();
    button.form.requestSubmit();
    return new Promise((done) => setTimeout(() => {
        const stopped = button.disabled;
        dispatchEvent(new Event('pageshow'));
        done([went, stopped, button.disabled]);
    }));
}"""
"""How often a form went off that is sent twice, whether its button stopped, and whether it still does when the page is
shown again."""


class Console:
    """A demo, with calls of its API and a browser that is signed in."""

    def __init__(self, origin: str, page: Page) -> None:
        self.origin, self.page = origin, page

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.origin}/api/v1{path}", data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.loads(reply.read())

    def text(self, name: str) -> str:
        body = {"kind": "text", "name": name, "title": name, "click_url": LANDING}
        return str(self.call("POST", "/campaigns/kettle-first-flush/creatives", body)["id"])

    def go(self, path: str) -> None:
        self.page.goto(f"{self.origin}{path}")

    @property
    def heading(self) -> str:
        return self.page.locator("h1").inner_text()

    def state(self, id_: str) -> str:
        return str(self.call("GET", f"/creatives/{id_}")["state"])


@pytest.fixture(scope="module")
def console(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder: Path = tmp_path_factory.mktemp("console")
    with command(folder, "demo", "--data-dir", str(folder / "data"), ADSERVE_ADMIN_KEY=KEY) as (_, origin):
        found = re.search(r"http://\S+/console/link/\S+", (folder / "stderr").read_text())
        assert found is not None
        context = browser.new_context(user_agent=AGENT, viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto(found[0])
        follow(page.locator("main button"))
        yield Console(origin, page)
        context.close()


def test_the_queue_is_worked_through_by_keyboard(console: Console) -> None:
    """Next and back, approve, reject with a reason, help; letters typed into a field are words and no commands."""
    ids = [console.text(name) for name in ("Alpha", "Beta", "Gamma")]
    page = console.page
    console.go(f"/console/review/{ids[0]}")
    for key, heading in (("j", "Beta"), ("ArrowRight", "Gamma"), ("k", "Beta"), ("ArrowLeft", "Alpha")):
        with page.expect_navigation():
            page.keyboard.press(key)
        assert console.heading == heading
    page.keyboard.press("?")
    assert page.locator(".keys").get_attribute("open") is not None
    with page.expect_navigation():
        page.keyboard.press("a")
    assert console.heading == "Beta"
    assert console.state(ids[0]) == "approved"
    page.keyboard.press("r")
    assert page.evaluate("document.activeElement.id") == "f-chosen"
    page.keyboard.press("Tab")
    page.keyboard.type("a jar of ajar")
    assert (console.heading, console.state(ids[1])) == ("Beta", "pending")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert console.heading == "Gamma"
    assert console.call("GET", f"/creatives/{ids[1]}")["reason"] == "a jar of ajar"


def test_a_key_that_has_a_use_where_the_focus_is_keeps_it(console: Console) -> None:
    """Enter follows the link and opens the part that it is on; arrows move what scrolls sideways, else they lead on."""
    ids = [console.text(name) for name in ("Delta", "Epsilon")]
    page = console.page
    console.go("/console/review")
    menu = page.locator(".menu > summary")
    menu.evaluate("one => { one.style.display = 'block'; one.focus(); }")
    before = page.locator(".menu").get_attribute("open")
    page.keyboard.press("Enter")
    assert page.locator(".menu").get_attribute("open") != before
    page.locator(".menu").evaluate("one => { one.open = true; }")
    page.locator(".menu nav a", has_text="Advertisers").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert console.heading == "Advertisers"
    console.go("/console/review")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "/console/review/" in page.url
    console.go(f"/console/review/{ids[0]}")
    stage = page.locator(".stage").first
    stage.evaluate(
        "one => { one.onscroll = () => { one.dataset.moved = one.scrollLeft; }; one.style.width = '40px'; one.focus() }"
    )
    page.keyboard.press("ArrowRight")
    page.locator(".stage[data-moved]").wait_for()
    assert console.heading == "Delta"
    stage.evaluate("one => { one.style.width = 'auto'; one.querySelector('iframe').width = 10; }")
    with page.expect_navigation():
        page.keyboard.press("ArrowRight")
    assert console.heading == "Epsilon"


def test_a_key_that_is_held_and_a_button_that_is_pressed_twice_decide_once(console: Console) -> None:
    """On each page the key has to go down anew; a form that is on its way is not sent again, until its page is shown
    again."""
    ids = [console.text(name) for name in ("Iota", "Kappa", "Lambda")]
    page = console.page
    console.go(f"/console/review/{ids[0]}")
    page.keyboard.down("a")
    page.wait_for_url("**/review/*done=approved")
    for _ in range(5):
        page.keyboard.down("a")  # held: the browser says it again
    page.evaluate("new Promise(done => setTimeout(done))")
    assert console.heading == "Kappa"
    page.keyboard.up("a")
    assert [console.state(id_) for id_ in ids] == ["approved", "pending", "pending"]
    assert page.evaluate(TWICE) == [1, True, False]


def test_without_script_the_same_is_done_by_buttons(browser: Browser, console: Console) -> None:
    """Approval and rejection are forms."""
    ids = [console.text(name) for name in ("Delta", "Epsilon")]
    context = browser.new_context(
        user_agent=AGENT, java_script_enabled=False, storage_state=console.page.context.storage_state()
    )
    page = context.new_page()
    page.goto(f"{console.origin}/console/review/{ids[0]}")
    follow(page.locator("text=Approve revision 1"))
    page.goto(f"{console.origin}/console/review/{ids[1]}")
    page.select_option("#f-chosen", "legal")
    follow(page.locator("button:text-is('Reject')"))
    assert [console.state(id_) for id_ in ids] == ["approved", "rejected"]
    context.close()


def test_frames_show_pictures_and_running_markup_and_change_nothing_around_them(console: Console) -> None:
    """A picture is loaded although its document is nobody's origin; script runs in the frame of markup and reaches
    neither the page nor the window."""
    body = {"kind": "html", "name": "Markup", "html": MARKUP, "width": 728, "height": 90, "click_url": LANDING}
    html = console.call("POST", "/campaigns/kettle-first-flush/creatives", body)["id"]
    found = console.call("GET", "/creatives?state=approved&campaign=kettle-first-flush")["items"]
    image = next(one["id"] for one in found if one["kind"] == "image")
    page = console.page
    console.go(f"/console/creatives/{image}")
    frame = page.frame_locator(".light iframe").first
    frame.locator("img").wait_for()
    assert frame.locator("img").evaluate("async one => (await one.decode(), one.naturalWidth)") == 728
    console.go(f"/console/review/{html}")
    page.frame_locator(".light iframe").first.frame_locator("iframe").locator("text=moves").wait_for()
    assert page.url.endswith(html)
    assert page.title().startswith("Markup")


def test_a_dark_frame_is_dark_on_a_light_page(console: Console) -> None:
    """What is around says nothing about the slot: the colours of a text are those of its own document."""
    console.go(f"/console/creatives/{console.text('Zeta')}")
    colours = []
    for scheme in ("light", "dark"):
        link = console.page.frame_locator(f".{scheme} iframe").first.locator("a")
        colours.append(link.evaluate("one => getComputedStyle(one).color"))
    assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_are_read_by_everybody(console: Console, width: int, scheme: Any) -> None:
    """Axe finds nothing in them, and nothing lies beside the window."""
    page = console.page
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    one = console.text("Eta")
    edited = console.call("GET", "/creatives?campaign=meridian-phone")["items"][0]["id"]
    console.call("PATCH", f"/creatives/{edited}", {"alt": f"New {scheme} {width}"})
    campaign = "/console/campaigns/kettle-first-flush/creatives/new"
    paths = ["/console/creatives", f"/console/creatives/{one}", f"/console/creatives/{edited}/revisions/1"]
    paths += ["/console/creatives/new", campaign, f"{campaign}?kind=html", f"/console/creatives/{one}/edit"]
    for path in (*paths, "/console/review", f"/console/review/{one}", f"/console/review/{edited}"):
        console.go(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        found = Axe().run(page, options={"iframes": False})
        assert found.violations_count == 0, (path, found.generate_report())
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")


def test_the_page_behind_a_link_needs_no_account_and_runs_nothing(browser: Browser, console: Console) -> None:
    """It shows the creative in its slots, on the demo's page and on that of no paper; no script runs and nothing is
    reported."""
    console.call("PUT", "/sites/blog", {"name": "Blog"})
    console.call("PUT", "/sites/blog/slots/side", {"sizes": ["300x250"]})
    console.call("PUT", "/campaigns/blog", {"advertiser": "kettle", "name": "Blog", "slots": ["blog/*"]})
    body = {"kind": "text", "name": "Theta", "title": "Theta", "click_url": LANDING}
    ids = [console.text("Theta"), str(console.call("POST", "/campaigns/blog/creatives", body)["id"])]
    for id_, words in zip(ids, ("The Neem Street Courier", "A page of news"), strict=True):
        console.go(f"/console/creatives/{id_}")
        link = console.page.locator("#preview-link").inner_text()
        asked = open_link(browser, link, words)
        assert not [url for url in asked if not url.startswith((link, f"{console.origin}/demo/pictures/", "data:"))]


def open_link(browser: Browser, link: str, words: str) -> list[str]:
    """Looks at the page of a link on a phone without an account; the addresses that it asked for."""
    context = browser.new_context(user_agent=AGENT, viewport={"width": 360, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(link)
    assert page.locator(".name").inner_text() == words
    assert page.locator(".preview").is_visible()
    assert page.locator(".slot-unit a").first.get_attribute("href") == LANDING
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()
    return asked
