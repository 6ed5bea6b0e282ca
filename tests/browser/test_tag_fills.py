"""What the tag asks for and when, and what becomes of the page: its room, its policy, its own scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Route

from tests.browser.site import (
    LISTENS,
    OPEN,
    PAGE,
    SERVICE,
    Answers,
    Site,
    decision,
    events,
    filled,
    page_of,
    rest,
    slot,
    slots_of,
    unit,
)
from tests.service import until

SHIFTS = """<script>window.shifts = []; window.long = [];
new PerformanceObserver((list) => shifts.push(...list.getEntries().map((one) => one.value)))
    .observe({ type: 'layout-shift', buffered: true });
new PerformanceObserver((list) => long.push(...list.getEntries().flatMap((frame) => frame.scripts)
    .filter((one) => one.sourceURL.includes('/slots') && one.duration >= 50).map((one) => one.invoker)))
    .observe({ type: 'long-animation-frame', buffered: true });</script>"""
"""What shifts on a page, and which scripts of ours take 50 ms at once."""
GAP = '<div style="height:700px"></div>'


class Visits:
    """Sites that are closed at the end; nothing may have been thrown on them."""

    def __init__(self, browser: Browser) -> None:
        self.browser, self.made = browser, list[Site]()

    def site(self, pages: dict[str, str] | str, answers: Answers = filled, **context: Any) -> Site:
        made = Site(self.browser, {"/": pages} if isinstance(pages, str) else pages, answers, **context)
        self.made.append(made)
        return made


@pytest.fixture
def visits(browser: Browser) -> Iterator[Visits]:
    found = Visits(browser)
    yield found
    for site in found.made:
        site.context.close()
    assert [problem for site in found.made for problem in site.thrown] == []


# ---- which slots are asked for, and when


def test_near_slots_are_one_call_and_the_rest_is_asked_when_it_comes_near(visits: Visits) -> None:
    """Near is less than one more viewport away. The first call says what the page has, later ones go on with it."""
    site = visits.site(page_of(*(slot(name) + GAP for name in "abcd")))
    page = site.open()
    assert sorted(slots_of(events(page, 2), "filled")) == ["a", "b"]
    page.evaluate("document.querySelector('[data-slot=c]').scrollIntoView()")
    assert sorted(slots_of(events(page, 4), "filled")) == ["a", "b", "c", "d"]
    assert [(ask["slots"], ask.get("plan"), ask.get("pv")) for ask in site.asked] == [
        ("a,b", "a,b,c,d", None),
        ("c,d", None, "p.1"),
    ]


def test_what_comes_near_while_a_call_is_on_its_way_waits_for_its_answer(visits: Visits) -> None:
    """So it goes on with that page view, in one call for all of it."""
    site = visits.site(page_of(slot("a")))
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route) if not held else route.fallback()

    site.context.route("**/v1/pages/**", hold)
    page = site.open()
    until(lambda: page.evaluate("1") and held)
    for name in "bc":
        page.evaluate(f"document.body.insertAdjacentHTML('beforeend', '<div data-slot={name}></div>'); slots.load()")
        rest(page)
    assert len(site.asked) == 0
    held[0].fallback()
    events(page, 3)
    assert [(ask["slots"], ask.get("pv")) for ask in site.asked] == [("a", None), ("b,c", "p.1")]


def test_a_service_that_never_answers_is_given_up(visits: Visits) -> None:
    """After nine seconds the page's own is shown."""
    site = visits.site(page_of(slot("a", inner="<template><p id=own>Our letter</template>")))
    held: list[Route] = []
    site.context.route("**/v1/pages/**", lambda route: held.append(route))
    page = site.context.new_page()
    page.clock.install()
    page.goto(PAGE)
    until(lambda: page.evaluate("1") and held)
    page.clock.run_for(8_000)
    rest(page)
    assert page.evaluate("told") == []
    page.clock.run_for(1_100)
    assert slots_of(events(page, 1), "empty") == ["a"]
    assert page.locator("#own").count() == 1


def test_a_slot_that_is_not_lazy_is_asked_at_once(visits: Visits) -> None:
    """With the first group: it costs no call of its own."""
    site = visits.site(page_of(slot("a"), GAP * 5, slot("b"), slot("c", 'data-lazy="off"')))
    assert sorted(slots_of(events(site.open(), 2), "filled")) == ["a", "c"]
    assert [ask["slots"] for ask in site.asked] == ["a,c"]


def test_a_slot_that_is_not_displayed_is_not_asked_for(visits: Visits) -> None:
    """A page hides one of two places by its width; it is asked for when it shows."""
    site = visits.site(page_of(slot("a"), slot("b", 'style="display:none"')))
    page = site.open()
    events(page, 1)
    page.evaluate("document.querySelector('[data-slot=b]').style.display = ''")
    assert slots_of(events(page, 2), "filled") == ["a", "b"]
    assert [ask["slots"] for ask in site.asked] == ["a", "b"]


def test_fifty_slots_are_a_handful_of_calls(visits: Visits) -> None:
    """What comes near while a call is on its way waits for it, nothing is asked for twice, nothing shifts."""
    site = visits.site(page_of(*(slot(f"s{n}") for n in range(50)), head=SHIFTS))
    page = site.open()
    events(page, 5)
    page.evaluate("scrollTo(0, 1e6)")
    page.wait_for_function("told.length >= 8")
    for at in range(0, 50, 4):
        page.evaluate(f"document.querySelectorAll('[data-slot]')[{at}].scrollIntoView()")
        page.wait_for_function(f"document.querySelectorAll('[data-slot]')[{at}].querySelector('.slot-unit')")
    assert len(events(page, 50)) == 50
    names = [name for ask in site.asked for name in ask["slots"].split(",")]
    assert sorted(names) == sorted(f"s{n}" for n in range(50))
    assert len(site.asked) <= 20
    assert page.evaluate("shifts") == []


def test_no_task_of_the_tag_is_long(visits: Visits) -> None:
    """None of 50 ms, with fifty slots to fill at once. A busy machine can hold up any script, so one visit of five that
    is free of it is proof."""
    site = visits.site(page_of(*(slot(f"s{n}", 'data-lazy="off"') for n in range(50)), head=SHIFTS, script="data-more"))
    for _ in range(5):
        page = site.open()
        events(page, 50)
        rest(page)
        if not (long := page.evaluate("long")):
            break
    assert long == []


def test_what_anything_on_the_page_is_about_is_told_once(visits: Visits) -> None:
    """With the first call, wherever it stands."""
    teaser = '<i data-labels="lake, hills" hidden></i>'
    far = GAP * 4 + slot("b", 'style="min-height:250px" data-labels="far"')
    site = visits.site(page_of(slot("a", 'data-labels="near"'), teaser * 150, far, script='data-labels="page"'))
    events(site.open(), 1)
    assert sorted(site.asked[0]["labels"].split(",")) == [" hills", "far", "lake", "near", "page"]


def test_one_slot_twice_on_a_page_are_two_instances(visits: Visits) -> None:
    """The second has the number 2, and so has the next one when that was taken away."""
    site = visits.site(page_of(slot("a", ""), slot("a", ""), '<div id="late"></div>'))
    page = site.open()
    events(page, 2)
    page.evaluate("document.querySelectorAll('[data-slot]')[1].remove()")
    page.evaluate("document.getElementById('late').innerHTML = '<div data-slot=a></div>'.repeat(2); slots.load()")
    events(page, 4)
    assert [(ask["slots"], ask.get("pv")) for ask in site.asked] == [("a,a:2", None), ("a:2,a:3", "p.1")]


def test_loading_the_tag_twice_is_harmless(visits: Visits) -> None:
    """Beside each other and after; one call, one impression."""
    more = f'<script src="{SERVICE}/slots.js" data-site="news"></script>'
    site = visits.site(page_of(slot("a"), more, more))
    page = site.open()
    events(page, 1)
    page.evaluate("window.first = slots")
    page.add_script_tag(url=f"{SERVICE}/slots.js")
    page.evaluate("slots.load()")
    assert page.evaluate("first === slots")
    assert site.settled(page, 1) == ["/e/i/a.1"]
    assert len(site.asked) == 1


# ---- pages that change


def test_a_page_that_changes_calls_load(visits: Visits) -> None:
    """For what is below a root, or for the root itself. A slot whose element was taken away is free again, so a site
    that never reloads runs out of nothing."""
    site = visits.site(page_of(slot("a"), '<main id="main"></main>'))
    page = site.open()
    events(page, 1)
    for n in (2, 3):
        page.evaluate(
            f"""history.pushState(0, '', '/story-{n}');
            document.querySelectorAll('[data-slot]').forEach((one) => one.remove());
            document.getElementById('main').innerHTML = '<div data-slot=a></div><div data-slot=b></div>';
            slots.load(document.querySelector('[data-slot=a]')); slots.load(document.getElementById('main'))"""
        )
        events(page, 2 * n - 1)
    rest(page)
    first, *later = site.asked
    assert (first["slots"], first["url"]) == ("a", f"{PAGE}/")
    assert [(ask["slots"], ask["url"], ask["pv"]) for ask in later] == [
        ("a,b", f"{PAGE}/story-2", "p.1"),
        ("a,b", f"{PAGE}/story-3", "p.2"),
    ]


def test_the_watching_tag_fills_what_is_added(visits: Visits) -> None:
    """Infinite scroll, without a word to the tag."""
    site = visits.site(page_of(slot("a"), '<main id="main"></main>', script="data-watch"))
    page = site.open()
    events(page, 1)
    for n in (2, 3):
        page.evaluate("document.getElementById('main').insertAdjacentHTML('beforeend', '<p><div data-slot=a></div>')")
        events(page, n)
    assert [ask["slots"] for ask in site.asked] == ["a", "a:2", "a:3"]
    assert page.evaluate("Object.keys(localStorage).length + Object.keys(sessionStorage).length") == 0


def test_a_page_that_is_made_ready_asks_for_nothing(visits: Visits) -> None:
    """Neither by itself nor when its own script calls, until somebody is there. Headless Chromium renders no page
    ahead, so what such a page is told stands in for it."""
    early = """<script>Object.defineProperty(document, 'prerendering', { value: true, configurable: true });
    addEventListener('load', () => slots.load())</script>"""
    site = visits.site(page_of(slot("a", 'data-lazy="off"'), head=early))
    page = site.open()
    page.wait_for_function("window.slots")
    page.evaluate("slots.load()")
    rest(page)
    assert site.asked == []
    page.evaluate(
        """Object.defineProperty(document, 'prerendering', { value: false });
        document.dispatchEvent(new Event('prerenderingchange'))"""
    )
    assert site.settled(page, 1) == ["/e/i/a.1"]
    assert len(site.asked) == 1


# ---- room


@pytest.mark.parametrize(
    ("width", "wanted"),
    [(1280, ("970", 108)), (1000, ("970", 108)), (999, ("728", 108)), (760, ("728", 108)), (759, ("320", 68))],
)
def test_the_size_goes_by_the_viewport(visits: Visits, width: int, wanted: tuple[str, int]) -> None:
    """The first whose number it reaches: that much height is kept where the page itself keeps none, and the width is
    no more than that."""
    more = 'data-size="970x90@1000 728x90@760 320x50"'
    body = slot("a", more) + slot("b", f'{more} style="min-height:50px"') + slot("c", 'style="width:300px;height:9px"')
    site = visits.site(page_of(body), lambda *_: None, viewport={"width": width, "height": 600})
    page = site.open()
    events(page, 3)
    heights = page.evaluate("[...document.querySelectorAll('[data-slot]')].map((one) => one.offsetHeight)")
    assert heights == [wanted[1], 50, 9]
    assert site.asked[0]["width"] == f"{wanted[0]},{wanted[0]},300"


@pytest.mark.parametrize("kind", ["image", "text", "html"])
def test_a_reserved_slot_shifts_nothing(visits: Visits, kind: str) -> None:
    """The browser's own count of what moves in sight stays nought."""
    body = "".join(f"{slot(name)}<p>Words</p>" for name in ("a", "b"))
    site = visits.site(page_of(body, head=SHIFTS), lambda ask, n: filled(ask, n, kind=kind))
    page = site.open()
    assert site.settled(page, 2) == ["/e/i/a.1", "/e/i/b.1"]
    assert page.evaluate("shifts") == []
    assert page.locator(".slot-unit").count() == 2


def test_an_empty_place_closes_only_where_nothing_in_view_moves(visits: Visits) -> None:
    """Below the viewport, when its slot says so and the page has nothing of its own for it."""
    own = "<template><p>Our letter</template>"
    empty = {"filled": False, "html": ""}
    answers = {key: {**empty, "collapse": True} for key in "abc"} | {"d": empty}
    body = ("<p>Words", slot("a"), '<div style="height:400px"></div>', slot("b"), slot("c", inner=own), slot("d"))
    site = visits.site(page_of(*body, head=SHIFTS), lambda *_: {"slots": answers})
    page = site.open()
    events(page, 4)
    shown = page.evaluate("[...document.querySelectorAll('[data-slot]')].map((one) => one.offsetHeight > 0)")
    assert shown == [True, False, True, True]
    assert page.evaluate("shifts") == []


def test_a_page_of_360_pixels_and_a_dark_one_keep_their_looks(visits: Visits) -> None:
    """Nothing is wider than the page, and a text has the page's own colours."""
    style = """<meta name="viewport" content="width=device-width"><style>:root { color-scheme: light dark }
    @media (prefers-color-scheme: dark) { body { background: #111; color: #eee } }</style>"""
    site = visits.site(
        page_of(slot("a"), slot("b"), head=style),
        lambda ask, n: {
            "slots": {"a": decision("a", unit("a", 300, 250)), "b": decision("b", unit("b", 728, 90, "text"))}
        },
        viewport={"width": 360, "height": 640},
        color_scheme="dark",
    )
    page = site.open()
    events(page, 2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    colour = page.evaluate("getComputedStyle(document.querySelector('[data-slot=b] .slot-unit')).color")
    assert colour == "rgb(238, 238, 238)"


# ---- policies


@pytest.mark.parametrize("scripts", ["'nonce-n0' 'strict-dynamic'", "'nonce-n0'", f"'nonce-n0' {SERVICE}"])
def test_a_page_under_a_strict_policy_is_filled(visits: Visits, scripts: str) -> None:
    """A nonce, no styles in markup, trusted types: the snippet has its looks, nothing is refused, and the second file
    comes with the first."""
    listens = LISTENS.replace("<script>", '<script nonce="n0">')
    refused = """<script nonce="n0">window.refused = [];
    addEventListener('securitypolicyviolation', (event) => refused.push(event.violatedDirective))</script>"""
    page_text = (
        f'<!doctype html><html><head>{refused}<style nonce="n0">[data-slot] {{ min-height: 250px }}</style></head>'
        f'<body>{listens}<div data-slot="a"></div><div data-slot="b"></div>'
        f'<script nonce="n0" async src="{SERVICE}/slots.js" data-site="news" data-more></script></body></html>'
    )

    def answers(ask: dict[str, str], number: int) -> Any:
        made = filled(ask, number)
        made["slots"]["b"] = decision("b", unit("b", kind="html"))
        return made

    site = visits.site(page_text, answers)
    site.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src {scripts}; style-src 'nonce-n0'; "
        f"img-src {SERVICE}; connect-src {SERVICE} 'self'; frame-src {SERVICE}; base-uri 'none'; "
        "require-trusted-types-for 'script'; trusted-types slots"
    )
    page = site.open()
    assert sorted(slots_of(events(page, 2), "filled")) == ["a", "b"]
    assert site.settled(page, 2) == ["/e/i/a.1", "/e/i/b"]
    assert page.evaluate("refused") == []
    assert page.evaluate("typeof slots.refresh") == "function"
    assert page.evaluate("getComputedStyle(document.querySelector('.slot-unit')).maxWidth") == "300px"
    assert page.evaluate("getComputedStyle(document.querySelector('.slot-unit a')).display") == "block"


def test_a_page_that_allows_no_policy_of_ours_shows_its_own(visits: Visits) -> None:
    """Nothing is thrown at it."""
    site = visits.site(page_of(slot("a", inner="<template><p id=own>Our letter</template>")))
    site.headers["Content-Security-Policy"] = "require-trusted-types-for 'script'; trusted-types other"
    page = site.open()
    assert slots_of(events(page, 1), "empty") == ["a"]
    assert page.locator("#own").count() == 1
    assert site.sent == []


def test_a_service_that_is_gone_is_met_with_silence(visits: Visits) -> None:
    """Its own is shown; when the service is back, what comes near later is filled."""
    body = slot("a", inner="<template><p id=own>Our letter</template>") + slot("b") + GAP * 3 + slot("c")
    site = visits.site(page_of(body), lambda ask, number: None if number == 1 else filled(ask, number))
    page = site.open()
    assert sorted(slots_of(events(page, 2), "empty")) == ["a", "b"]
    assert page.locator("#own").count() == 1
    page.evaluate("document.querySelector('[data-slot=c]').scrollIntoView()")
    assert slots_of(events(page, 3), "filled") == ["c"]


@pytest.mark.parametrize(
    "answer",
    [
        *("", "null", "[]", "{", '"x"', "<html>"),
        *('{"slots":null}', '{"slots":{"a":null}}', '{"slots":{"a":{"filled":true}}}'),
    ],
)
def test_a_bad_answer_is_no_answer(visits: Visits, answer: str) -> None:
    """Whatever stands between page and service."""
    site = visits.site(page_of(slot("a", inner="<template><p id=own>Our letter</template>")))
    site.context.route("**/v1/pages/**", lambda route: route.fulfill(body=answer, headers=OPEN))
    page = site.open()
    assert slots_of(events(page, 1), "empty") == ["a"]
    assert page.locator("#own").count() == 1


def test_nothing_is_kept_by_default(visits: Visits) -> None:
    """No cookie, no storage, whatever the service sets."""
    site = visits.site(page_of(slot("a")))
    page = site.open()
    assert site.settled(page, 1) == ["/e/i/a.1"]
    assert site.context.cookies() == []
    assert page.evaluate("Object.keys(localStorage).length + Object.keys(sessionStorage).length") == 0
    assert page.evaluate("indexedDB.databases().then((all) => all.length)") == 0


def test_what_is_sent_outlives_the_page_and_carries_no_cookie(visits: Visits) -> None:
    """Whatever a cookie of the service's address says, and wherever the reader goes on to."""
    watches = """<script>window.sent = []; const real = fetch; window.fetch = (url, init) => {
    sent.push([new URL(url).pathname.slice(0, 4), init.method, init.keepalive, init.credentials]);
    return real(url, init) }</script>"""
    site = visits.site(page_of(slot("a"), head=watches))
    page = site.open()
    events(page, 2)
    assert page.evaluate("sent") == [
        ["/v1/", None, True, "omit"],
        ["/e/i", "POST", True, "omit"],
        ["/e/v", "POST", True, "omit"],
    ]


def test_the_impression_waits_for_the_picture(visits: Visits) -> None:
    """One that never comes, or is no picture, was not shown: nothing is counted, and nothing later is a view."""
    site = visits.site(page_of(slot("a")))
    site.context.route("**/m/**", lambda route: route.fulfill(body="no picture", content_type="image/png"))
    page = site.open()
    events(page, 1)
    page.wait_for_function("document.querySelector('.slot-unit img').complete")
    rest(page)
    assert site.sent == []
