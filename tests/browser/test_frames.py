"""Markup of advertisers on a stranger's page, and slots in frames, in a real Chromium against a real service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route

from tests.conftest import BROWSER
from tests.service import Service, service, until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HOST = "https://news.example/"
LANDING = "https://shop.example/landing"
ATTACKS = {
    "top.location": "top.location = 'https://evil.example/top'",
    "top.location.replace": "top.location.replace('https://evil.example/top')",
    "parent.location.href": "parent.location.href = 'https://evil.example/top'",
    "top.location.hash": "top.location.hash = 'x'; throw new Error('no refusal')",
    "parent.document": "parent.document.body.innerHTML = 'gone'",
    "parent.title": "parent.document.title = 'gone'",
    "frameElement": "window.frameElement.remove()",
    "cookie": "document.cookie = 'a=b'",
    "read cookie": "document.cookie",
    "localStorage": "localStorage.setItem('a', 'b')",
    "sessionStorage": "sessionStorage.setItem('a', 'b')",
    "service worker": "navigator.serviceWorker.register('/slots.js')",
    "top.close": "top.close(); throw new Error('no refusal')",
    "history": "top.history.back()",
    "top.open": "top.open('https://evil.example/x', '_self')",
}
"""Each must be refused with an exception, or else change nothing."""
ASYNC = {
    "indexedDB": "new Promise((y, n) => { const r = indexedDB.open('x'); r.onsuccess = y; r.onerror = n })",
    "caches": "caches.open('x')",
    "geolocation": "new Promise((y, n) => navigator.geolocation.getCurrentPosition(y, n))",
    "camera": "navigator.mediaDevices.getUserMedia({ video: true })",
    "fullscreen": "document.documentElement.requestFullscreen()",
    "clipboard": "navigator.clipboard.writeText('x')",
    "worker": "new Promise((y, n) => { const w = new Worker('data:text/javascript,postMessage(1)'); "
    "w.onmessage = y; w.onerror = n })",
    "notification": "Notification.requestPermission().then((p) => p === 'granted' ? 1 : Promise.reject(p))",
    "http": "fetch('http://plain.example/x', { mode: 'no-cors' })",
    "storage access": "document.requestStorageAccess()",
}
"""Each must end in a refusal."""
QUIET = """
<base href="https://evil.example/" target="_top">
<form id=f action="https://evil.example/form" method=post target=_top><input name=p value=1></form>
<a id=t href="https://evil.example/top" target="_top">t</a>
<script>
try { window.opened = window.open('https://evil.example/popup') } catch (e) { window.opened = null }
alert('a'); confirm('b'); prompt('c'); print();
document.getElementById('f').submit();
document.getElementById('t').click();
window.base = new URL('x', document.baseURI).host;
for (let n = 0; n < 20000; n++) parent.postMessage({ n, text: 'x'.repeat(100) }, '*');
</script>
"""


class Host:
    """A foreign page, with whatever other hosts it and its frames ask for answered here."""

    def __init__(self, browser: Browser, origin: str) -> None:
        self.context: BrowserContext = browser.new_context(user_agent=BROWSER, permissions=["geolocation"])
        self.origin, self.asked, self.dialogs, self.body = origin, list[str](), list[str](), ""
        self.context.route(lambda url: not url.startswith(origin), self._serve)
        self.context.on("dialog", self._dialog)
        self.page: Page = self.context.new_page()

    def _serve(self, route: Route) -> None:
        url = route.request.url
        self.asked.append(url)
        if url == HOST:
            route.fulfill(body=self.body, content_type="text/html")
        else:
            route.fulfill(body="<title>elsewhere</title>", content_type="text/html")

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def show(self, snippet: str) -> Page:
        """The page with a snippet in it, loaded with all of its frames."""
        self.body = (
            f"<!doctype html><title>News</title><body><h1>News</h1><div id=slot>{snippet}</div><p id=after>after</p>"
        )
        self.page.goto(HOST)
        return self.page

    def unchanged(self) -> None:
        page = self.page
        assert page.url == HOST
        assert page.title() == "News"
        assert page.locator("#after").text_content() == "after"
        assert page.locator("body > *").count() == 3
        assert page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
        assert self.dialogs == []
        assert self.context.cookies() == []


@pytest.fixture(scope="module")
def shop(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with an advertiser whose creatives are markup."""
    assert browser.is_connected()
    with service(tmp_path_factory.mktemp("service")) as found:
        found.call("PUT", "/sites/news", {"name": "News"})
        for name in ("top", "side"):
            found.call("PUT", f"/sites/news/slots/{name}", {"sizes": ["300x250"]})
        found.call("PUT", "/advertisers/acme", {"name": "Acme"})
        yield found


@pytest.fixture
def host(browser: Browser, shop: Service) -> Iterator[Host]:
    found = Host(browser, shop.origin)
    yield found
    found.context.close()


@pytest.fixture
def fill(shop: Service, host: Host) -> Callable[..., Any]:
    """Puts markup into a slot and gives the decision for it."""

    def filled(markup: str, slot: str = "top") -> Any:
        campaign = f"of-{slot}"
        shop.call("PUT", f"/campaigns/{campaign}", {"advertiser": "acme", "name": "x", "slots": [f"news/{slot}"]})
        for one in shop.call("GET", f"/creatives?campaign={campaign}&state=approved")["items"]:
            shop.call("POST", f"/creatives/{one['id']}/pause")
        body = {"kind": "html", "name": "h", "html": markup, "width": 300, "height": 250, "click_url": LANDING}
        made = shop.call("POST", f"/campaigns/{campaign}/creatives?approve=true", body)
        decided: list[Any] = []

        def shown() -> bool:
            reply = host.context.request.get(
                f"{shop.origin}/v1/slots/news/{slot}", headers={"Accept": "application/json"}
            )
            decided.append(reply.json())
            return bool(decided[-1].get("creative") == made["id"])

        until(shown)
        return decided[-1]

    return filled


def document_of(page: Page, number: int = 0) -> Any:
    """The document of a creative's frame."""
    return page.locator("#slot iframe").nth(number).element_handle().content_frame()


@pytest.mark.parametrize("attack", ATTACKS)
def test_script_of_a_creative_reaches_nothing_of_the_page(host: Host, fill: Callable[..., Any], attack: str) -> None:
    """It is refused, the page stays, and no other address was asked for."""
    run = f"try {{ {ATTACKS[attack]}; window.outcome = 'done' }} catch (e) {{ window.outcome = e.name }}"
    page = host.show(fill(f"<script>{run}</script>")["html"])
    frame = document_of(page)
    until(lambda: frame.evaluate("window.outcome"))
    if attack != "top.open":
        assert frame.evaluate("window.outcome") in ("SecurityError", "TypeError", "Error", "InvalidStateError")
    host.unchanged()
    assert [url for url in host.asked if "evil" in url] == []
    assert frame.evaluate("[origin, top === self]") == ["null", False]


@pytest.mark.parametrize("attack", ASYNC)
def test_what_a_creative_asks_the_browser_for_is_refused(host: Host, fill: Callable[..., Any], attack: str) -> None:
    tried = f"try {{ await {ASYNC[attack]}; window.outcome = 'given' }} catch (e) {{ window.outcome = 'no' }}"
    run = f"(async () => {{ {tried} }})()"
    page = host.show(fill(f"<script>{run}</script>")["html"])
    frame = document_of(page)
    until(lambda: frame.evaluate("window.outcome"))
    assert frame.evaluate("window.outcome") == "no"
    host.unchanged()
    assert "http://plain.example/x" not in host.asked


def test_what_needs_no_answer_does_nothing(host: Host, fill: Callable[..., Any]) -> None:
    """Windows, dialogs, forms, links and bases for the whole tab, and 20,000 messages to it: the page is as it was."""
    page = host.show(fill(QUIET)["html"])
    frame = document_of(page)
    until(lambda: frame.evaluate("window.base"))
    assert frame.evaluate("window.opened") is None
    assert frame.evaluate("window.base") != "evil.example"
    host.unchanged()
    assert len(host.context.pages) == 1
    assert [url for url in host.asked if "evil" in url] == []


def test_a_refresh_moves_the_frame_alone(host: Host, fill: Callable[..., Any]) -> None:
    """And what comes there stands in the sandbox still."""
    page = host.show(fill("<meta http-equiv=refresh content='0;url=https://evil.example/x'>")["html"])
    until(lambda: page.evaluate("1") and any(frame.url == "https://evil.example/x" for frame in page.frames))
    host.unchanged()
    moved = next(frame for frame in page.frames if frame.url == "https://evil.example/x")
    assert moved.evaluate("origin") == "null"


def test_a_click_opens_the_landing_page_and_counts_once(
    shop: Service, host: Host, fill: Callable[..., Any]
) -> None:
    """By a plain link and by a script that opens a window for a reader's click; the page stays where it is."""
    for markup in ("<a id=go href='{click}'>go</a>", "<button id=go onclick=\"window.open('{click}')\">go</button>"):
        before = shop.totals()["clicks"]
        page = host.show(fill(markup)["html"])
        with host.context.expect_page() as opened:
            document_of(page).locator("#go").click()
        opened.value.wait_for_url(LANDING)
        assert opened.value.evaluate("origin") == "https://shop.example"
        host.unchanged()
        until(lambda before=before: shop.totals()["clicks"] == before + 1)  # type: ignore[misc]


SPY = """<script>
const found = [];
const note = (what, run) => { try { run(); found.push(what) } catch (e) {} };
note('storage', () => localStorage.setItem('secret', 'NAME'));
for (let n = 0; n < parent.frames.length; n++) {
  if (parent.frames[n] === self) continue;
  note('document', () => parent.frames[n].document.body.innerHTML);
  note('name', () => parent.frames[n].secret.length);
  note('location', () => parent.frames[n].location.href);
}
window.secret = 'NAME';
const channel = new BroadcastChannel('c');
channel.onmessage = () => found.push('channel');
channel.postMessage('NAME');
window.look = () => { channel.postMessage('NAME'); return found };
</script>"""


def test_two_creatives_read_nothing_of_each_other(host: Host, fill: Callable[..., Any]) -> None:
    """Of one host and in one page, by storage, window or channel."""
    both = fill(SPY.replace("NAME", "one"))["html"] + fill(SPY.replace("NAME", "two"), "side")["html"]
    page = host.show(both)
    first, second = document_of(page, 0), document_of(page, 1)
    for _ in range(2):
        assert first.evaluate("window.look()") == []
        assert second.evaluate("window.look()") == []
    host.unchanged()


def test_a_document_opened_by_itself_is_nobody_s_too(host: Host, shop: Service, fill: Callable[..., Any]) -> None:
    """It reads no cookie of the service's host, keeps nothing, and stands in the sandbox of its header."""
    url = fill("<script>try { localStorage.a = 1 } catch (e) { window.outcome = e.name }</script>")["click_url"]
    host.context.add_cookies([{"name": "own", "value": "1", "url": shop.origin}])
    host.page.goto(url.replace("/c/", "/f/"))
    assert host.page.evaluate("[origin, window.outcome]") == ["null", "SecurityError"]
    read = "(() => { try { return document.cookie } catch (e) { return e.name } })()"
    assert host.page.evaluate(read) == "SecurityError"


# ---- slots in frames


def example(name: str, origin: str) -> str:
    return (EXAMPLES / name).read_text("utf-8").replace("https://HOST", origin)


@pytest.fixture
def text(shop: Service) -> None:
    """A text in both slots, and nothing else."""
    for campaign in ("of-top", "of-side"):
        shop.call("PUT", f"/campaigns/{campaign}", {"advertiser": "acme", "name": "x", "state": "paused"})
    shop.call("PUT", "/campaigns/words", {"advertiser": "acme", "name": "W", "slots": ["news/*"]})
    body = {"kind": "text", "name": "t", "title": "Tea", "click_url": LANDING}
    if not shop.call("GET", "/creatives?campaign=words")["items"]:
        shop.call("POST", "/campaigns/words/creatives?approve=true", body)


@pytest.mark.usefixtures("text")
@pytest.mark.parametrize("script", [True, False])
def test_the_example_fills_its_frames_and_counts_each_once(browser: Browser, shop: Service, script: bool) -> None:
    """With script the frame and the tag's slot, and views of both; without it the frame and the one of `noscript`."""
    host = shop.origin

    def slot_fills() -> bool:
        return "Tea" in context.request.get(f"{host}/v1/slots/news/top").text()

    context = browser.new_context(user_agent=BROWSER, java_script_enabled=script)
    until(slot_fills)
    before = shop.at_rest()
    context.route(HOST, lambda route: route.fulfill(body=example("frame/page.html", host), content_type="text/html"))
    page = context.new_page()
    page.goto(HOST)
    wanted = {"serves": 2, "impressions": 2, "views": 2 if script else 0}

    def counted() -> dict[str, int]:
        after = shop.totals()
        return {name: after[name] - before[name] for name in wanted}

    until(lambda: counted() == wanted)
    frames = [frame for frame in page.frames if "/v1/frames/" in frame.url]
    assert len(frames) == (1 if script else 2)
    for frame in frames:
        assert frame.locator(".slot-unit strong").text_content() == "Tea"
    context.close()
    assert counted() == wanted
