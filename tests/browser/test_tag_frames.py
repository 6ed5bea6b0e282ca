"""A creative of somebody else's script on a page with the tag: it stands in a box, and the page does not notice."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.browser.site import PAGE, SANDBOX, Site, events, filled, page_of, slot

HOSTILE = """<!doctype html><body><script>
const tries = {
  "top.location": () => { top.location = 'https://evil.example/' },
  "top.location.href": () => { top.location.href = 'https://evil.example/' },
  "parent.document": () => { parent.document.body.innerHTML = 'mine' },
  "frameElement": () => { frameElement.removeAttribute('sandbox') },
  "cookie": () => { document.cookie = 'a=1' },
  "localStorage": () => { localStorage.a = 1 },
  "sessionStorage": () => { sessionStorage.a = 1 },
  "alert": () => { alert('mine') || (() => { throw Error('nothing came') })() },
  "open top": () => { open('https://evil.example/', '_top').closed },
  "slots": () => { parent.slots.load() },
  "worker": () => { navigator.serviceWorker.register('/w.js') },
  "open parent": () => { open('https://evil.example/', '_parent').closed },
};
const done = Object.keys(tries).filter((name) => { try { tries[name](); return true } catch { return false } });
document.body.insertAdjacentHTML('beforeend', '<form action="https://evil.example/" target=_top method=post></form>');
document.forms[0].submit();
for (let n = 0; n < 500; n++) parent.postMessage({ decision: n, filled: true, html: '<p>mine' }, '*');
parent.postMessage({ done }, '*');
</script>"""


def test_a_hostile_creative_leaves_the_page_as_it_was(browser: Browser) -> None:
    """It gets nowhere: not to the page's address, document, storage or functions, and what it says is not listened to.
    Its impression counts once, by its frame."""
    listens = "<script>addEventListener('message', ({ data }) => { if (data.done) window.done = data.done })</script>"
    site = Site(
        browser,
        {"/": page_of(slot("a"), head=listens)},
        lambda ask, number: filled(ask, number, kind="html"),
    )
    site.frame = HOSTILE
    dialogs: list[str] = []
    page = site.context.new_page()
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.goto(PAGE)
    events(page, 1)
    page.wait_for_function("window.done")
    assert site.settled(page, 1)[0] == "/e/i/a.1"
    reached = set(page.evaluate("done")) - {"top.location", "top.location.href"}  # these are refused without a word
    assert reached == set()
    assert page.url == f"{PAGE}/"
    assert dialogs == []
    assert site.context.cookies() == []
    assert page.evaluate("Object.keys(localStorage).length + Object.keys(sessionStorage).length") == 0
    assert page.locator("[data-slot=a] > .slot-unit > iframe").get_attribute("sandbox") == SANDBOX
    assert [path for path in site.sent if "/i/" in path] == ["/e/i/a.1"]
    assert site.thrown == [] or all("evil.example" in problem for problem in site.thrown)
    site.context.close()


@pytest.mark.parametrize("reload", ["location.reload()", "location = location.pathname + '?again'"])
def test_a_frame_that_goes_on_counts_no_second_impression(browser: Browser, reload: str) -> None:
    """Only its first load is the ad that begins to render."""
    site = Site(browser, {"/": page_of(slot("a"))}, lambda ask, number: filled(ask, number, kind="html"))
    site.frame = f"<script>setTimeout(() => {{ parent.postMessage('again', '*'); {reload} }}, 50)</script>"
    page = site.context.new_page()
    page.add_init_script("window.again = 0; addEventListener('message', () => again++)")
    page.goto(PAGE)
    page.wait_for_function("again >= 3")
    assert [path for path in site.settled(page, 1) if "/i/" in path] == ["/e/i/a.1"]
    site.context.close()
