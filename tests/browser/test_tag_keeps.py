"""The second file of the tag: a place that is filled again, and what a device keeps where it may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.site import Answers, Site, events, filled, page_of, rest, slot, slots_of

KEPT = """() => Object.fromEntries([['local', localStorage], ['session', sessionStorage]].flatMap(([kind, all]) =>
    Object.entries(all).map(([name, value]) => [`${kind} ${name}`, value])))"""


class Device:
    """A browser with one site; each page load is another page view."""

    def __init__(self, browser: Browser, script: str, answers: Answers, body: str, **context: Any) -> None:
        self.site = Site(browser, {"/": page_of(body, script=script)}, answers, **context)

    def opens(self, count: int = 1) -> Page:
        page = self.site.open()
        events(page, count)
        return page

    def kept(self, page: Page) -> dict[str, str]:
        found: dict[str, str] = page.evaluate(KEPT)
        return found


@pytest.fixture
def devices(browser: Browser) -> Iterator[Any]:
    made: list[Device] = []

    def device(script: str, answers: Answers = filled, body: str = slot("a"), **context: Any) -> Device:
        made.append(Device(browser, script, answers, body, **context))
        return made[-1]

    yield device
    for one in made:
        one.site.context.close()
    assert [problem for one in made for problem in one.site.thrown] == []


def telling(ask: dict[str, str], number: int) -> Any:
    """Answers of a service that knows the device by what it keeps; the tests' text is not signed."""
    answer = filled(ask, number)
    return {**answer, "seen": f"seen.{number}"} if "seen" in ask else answer


def refreshed(page: Page, css: str = "[data-slot=a]") -> bool:
    return bool(page.evaluate(f"slots.refresh(document.querySelector('{css}'))"))


# ---- refresh


def test_a_place_is_filled_again_after_half_a_minute_and_while_it_is_seen(devices: Any) -> None:
    """On the same page view and under its own name, so it takes the place of what it showed."""
    end = '<div style="height:3000px"></div>'
    device = devices("data-more", body=slot("a") + end + slot("b"))
    page = device.site.context.new_page()
    page.clock.install()
    page.goto("https://news.example/")
    events(page, 1)
    page.clock.pause_at(page.evaluate("Date.now()") / 1_000 + 1)
    page.clock.run_for(25_000)
    assert not refreshed(page), "within half a minute"
    assert not refreshed(page, "[data-slot=b]"), "it was never filled"
    page.clock.run_for(6_000)
    page.evaluate("scrollTo(0, 3000)")
    assert not refreshed(page), "nobody looks at it"
    page.evaluate("scrollTo(0, 126)")
    assert not refreshed(page), "less than half of it is in view"
    page.evaluate("scrollTo(0, 125)")
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    assert not refreshed(page), "the tab is in the background"
    page.evaluate("Object.defineProperty(document, 'hidden', { value: false })")
    assert refreshed(page)
    assert not refreshed(page), "it is asked for already"
    page.wait_for_selector("[data-decision='a.3'], [data-decision='a.2']", state="attached")
    assert page.locator("[data-slot=a] .slot-unit").count() == 1
    asks = [(ask["slots"], ask.get("pv")) for ask in device.site.asked]
    assert asks[0] == ("a", None)
    assert asks[-1] == ("a", f"p.{len(asks) - 1}")
    page.clock.run_for(29_000)
    assert not refreshed(page)
    page.clock.run_for(1_100)
    assert refreshed(page)


def test_a_refresh_that_is_not_answered_leaves_what_stands(devices: Any) -> None:
    device = devices("data-more", lambda ask, number: None if number == 2 else filled(ask, number))
    page = device.site.context.new_page()
    page.clock.install()
    page.goto("https://news.example/")
    events(page, 1)
    page.clock.run_for(31_000)
    assert refreshed(page)
    assert slots_of(events(page, 2)[1:], "empty") in (["a"], [])
    assert page.locator("[data-decision='a.1']").count() == 1


# ---- what a device keeps


@pytest.mark.parametrize("script", ["data-more", "data-more data-storage=none", "data-watch", "data-storage=none", ""])
def test_nothing_is_kept_unless_the_page_says_so(devices: Any, script: str) -> None:
    """Nor asked for by what would have been kept."""
    device = devices(script, telling)
    for _ in range(2):
        page = device.opens()
        rest(page)
        assert device.kept(page) == {}
    assert all("seen" not in ask for ask in device.site.asked)


@pytest.mark.parametrize("kind", ["local", "session"])
def test_what_a_device_has_seen_goes_with_its_next_call(devices: Any, kind: str) -> None:
    """Empty at first, which says that it keeps what it is given; the newest after."""
    device = devices(f"data-storage={kind}", telling)
    page = device.opens()
    assert device.kept(page)[f"{kind} slots:news:seen"] == "seen.1"
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<div data-slot=b></div>'); slots.load()")
    events(page, 2)
    page.reload()
    events(page, 1)
    assert [ask["seen"] for ask in device.site.asked] == ["", "seen.1", "seen.2"]


def test_consent_begins_and_ends_what_is_kept(devices: Any) -> None:
    """What was kept is deleted, in either storage; what the page keeps itself stays."""
    device = devices("data-more", telling)
    page = device.opens()
    page.evaluate("localStorage.own = 1; slots.consent(true)")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<div data-slot=b></div>'); slots.load()")
    events(page, 2)
    device.site.settled(page, 2)
    assert device.kept(page).keys() == {"local own", "local slots:news:seen", "local slots:news:unsent"}
    page.evaluate("sessionStorage['slots:news:seen'] = 'of an earlier setting'; slots.consent(false)")
    assert device.kept(page) == {"local own": "1"}
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<div data-slot=c></div>'); slots.load()")
    events(page, 3)
    device.site.settled(page, 3)
    assert device.kept(page) == {"local own": "1"}
    assert ["seen" in ask for ask in device.site.asked] == [False, True, False]


@pytest.mark.parametrize("given", ["undefined", "0", "null", "'true'", "1"])
def test_only_true_is_consent(devices: Any, given: str) -> None:
    device = devices("data-more", telling)
    page = device.opens()
    page.evaluate(f"slots.consent({given})")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<div data-slot=b></div>'); slots.load()")
    events(page, 2)
    assert device.kept(page) == {}


def test_the_browser_s_own_wish_goes_before_consent(devices: Any) -> None:
    """With Global Privacy Control nothing is kept, and what was kept before is deleted."""
    device = devices("data-storage=local", telling)
    page = device.opens()
    assert "local slots:news:seen" in device.kept(page)
    device.site.context.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })")
    page.reload()
    events(page, 1)
    page.evaluate("slots.consent(true)")
    assert device.kept(page) == {}
    assert "seen" not in device.site.asked[-1]


def test_a_beacon_that_no_server_answered_is_sent_again(devices: Any) -> None:
    """With the next page, until it is answered; once answered it is forgotten."""
    device = devices("data-storage=local", telling)
    device.site.refuses = 2
    page = device.opens()
    assert device.site.settled(page, 1) == ["/e/i/a.1"]
    assert device.kept(page)["local slots:news:unsent"].splitlines() == ["https://serve.example/e/i/a.1"]
    for number in (2, 3):
        page.reload()
        events(page, 1)
        device.site.settled(page, 2 * number - 1)
    assert device.site.sent.count("/e/i/a.1") == 3
    page.reload()
    events(page, 1)
    device.site.settled(page, 6)
    assert device.site.sent.count("/e/i/a.1") == 3
    assert device.kept(page)["local slots:news:unsent"] == ""


def test_a_storage_that_is_blocked_or_full_hurts_nothing(devices: Any) -> None:
    """The page is filled and counted as without."""
    for block in (
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError') } })",
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }",
        "Object.defineProperty(window, 'localStorage', { value: null })",
    ):
        device = devices("data-storage=local", telling)
        device.site.context.add_init_script(block)
        page = device.opens()
        assert page.locator(".slot-unit").count() == 1
        assert device.site.settled(page, 1) == ["/e/i/a.1"]
        assert page.evaluate("[slots.consent(false), slots.ignore(false)].length") == 2


def test_who_asks_not_to_be_counted_says_so_on_every_page(devices: Any) -> None:
    """Also where the first file is alone; until the wish is taken back."""
    device = devices("data-more")
    device.site.pages["/plain"] = page_of(slot("a"))
    page = device.opens()
    device.site.settled(page, 1)
    assert page.evaluate("slots.ignore(true)") is True
    for number, path in enumerate(("/", "/plain", "/"), 2):
        page.goto(f"https://news.example{path}")
        events(page, 1)
        device.site.settled(page, number)
    assert page.evaluate("slots.ignore(false)") is True
    page.goto("https://news.example/plain")
    events(page, 1)
    sent = device.site.settled(page, 5)
    assert [ask.get("internal") for ask in device.site.asked] == [None, "1", "1", "1", None]
    assert [one for one in sent if "/i/" in one] == [
        "/e/i/a.1",
        *(f"/e/i/a.{number}?internal=1" for number in (2, 3, 4)),
        "/e/i/a.5",
    ]
    assert device.kept(page) == {}


def test_a_second_file_that_does_not_come_is_no_loss(devices: Any) -> None:
    """The page is filled by the first alone."""
    device = devices("data-storage=local data-watch")
    device.site.context.route("**/slots-more.js", lambda route: route.abort())
    page = device.opens()
    assert page.locator(".slot-unit").count() == 1
    assert device.kept(page) == {}
