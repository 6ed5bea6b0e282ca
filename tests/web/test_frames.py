"""What stands in a frame: the document of an html creative, and a slot as a whole page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import html5lib
import httpx2
import pytest

from adserve.app import create_app
from adserve.web.frames import filled
from tests.conftest import Api, Clock

MARKUP = '<a href="{click}">Tea {random} {other}</a>'


async def framed(api: Api, markup: str = MARKUP, **more: Any) -> Any:
    """An html creative that serves, in a campaign of its own."""
    await api.make("PUT", "/campaigns/framed", {"advertiser": "acme", "name": "F", "slots": ["news/*"]})
    body = {"kind": "html", "name": "h", "html": markup, "width": 300, "height": 250, "click_url": "https://shop.example/"}
    return await api.make("POST", "/campaigns/framed/creatives?approve=true", body | more)


def path(url: str) -> str:
    return url.partition("localhost:8000")[2]


def element(html: str, name: str) -> Any:
    return html5lib.parseFragment(html, namespaceHTMLElements=False).find(f".//{name}")


async def test_a_snippet_holds_a_frame_and_nothing_of_the_markup(api: Api) -> None:
    """Its document is under the token of the click, whose page the click opens and counts once."""
    await api.world()
    await framed(api)
    decision = await api.decide()
    frame = element(decision["html"], "iframe")
    assert frame.get("src") == decision["click_url"].replace("/c/", "/f/")
    assert (frame.get("width"), frame.get("height"), frame.get("title")) == ("300", "250", "Advertisement")
    assert frame.get("sandbox") == "allow-scripts allow-popups allow-popups-to-escape-sandbox"
    assert "Tea" not in decision["html"]
    document = await api.http.get(path(frame.get("src")))
    link = element(document.text, "a")
    assert link.get("href") == decision["click_url"]
    word, random, other = link.text.split()
    assert (word, other) == ("Tea", "{other}")
    assert len(random) == 16
    for _ in range(2):
        assert (await api.http.get(path(link.get("href")))).headers["location"] == "https://shop.example/"
    totals = await api.totals()
    assert (totals["serves"], totals["impressions"], totals["clicks"]) == (1, 0, 1)


async def test_a_document_says_what_it_may_not(api: Api) -> None:
    """An origin that is nobody's, wherever it is opened; no device, and nothing to keep."""
    await api.world()
    await framed(api)
    for method in ("GET", "HEAD"):
        got = await api.http.request(method, path((await api.decide())["click_url"]).replace("/c/", "/f/"))
        assert got.status_code == 200
        policy = dict(part.partition(" ")[::2] for part in got.headers["content-security-policy"].split("; "))
        assert policy["sandbox"].split() == ["allow-scripts", "allow-popups", "allow-popups-to-escape-sandbox"]
        for name in ("default-src", "form-action", "base-uri", "worker-src"):
            assert policy[name] == "'none'"
        assert "'self'" not in got.headers["content-security-policy"]
        assert "frame-ancestors" not in policy
        for device in ("geolocation", "camera", "microphone", "payment"):
            assert f"{device}=()" in got.headers["permissions-policy"]
        assert (got.headers["cache-control"], got.headers["referrer-policy"]) == ("private, no-store", "no-referrer")
        assert "set-cookie" not in got.headers
        assert bool(got.content) == (method == "GET")


async def test_what_becomes_of_a_creative_becomes_of_its_document(api: Api, clock: Clock) -> None:
    """Paused it goes on, edited it shows what was approved, rejected or late it is gone."""
    await api.world()
    id_ = (await framed(api))["id"]
    url = path((await api.decide())["click_url"]).replace("/c/", "/f/")
    await api.make("PATCH", f"/creatives/{id_}", {"html": "<b>new</b>"})
    assert "Tea" in (await api.http.get(url)).text
    await api.make("POST", f"/creatives/{id_}/approve")
    assert (await api.http.get(url)).text.endswith("<b>new</b>")
    await api.make("POST", f"/creatives/{id_}/pause")
    assert (await api.http.get(url)).status_code == 200
    clock.now += 86_400
    assert (await api.http.get(url)).status_code == 200
    clock.now += 1
    assert (await api.http.get(url)).status_code == 410
    clock.now -= 1
    await api.make("POST", f"/creatives/{id_}/reject", {"reason": "no"})
    assert (await api.http.get(url)).status_code == 410
    assert (await api.http.post(url)).status_code == 405


async def test_only_the_token_of_a_click_on_markup_opens_a_document(api: Api) -> None:
    await api.world()
    await framed(api)
    decision = await api.decide()
    impression, click = (decision[name].rpartition("/")[2] for name in ("impression_url", "click_url"))
    for token in (impression, click[:-1], click[::-1], f"{click}A", "x", "%00"):
        assert (await api.http.get(f"/f/{token}")).status_code == 400, token
    await api.make("PATCH", "/campaigns/framed", {"state": "paused"})
    await api.creative()
    other = path((await api.decide())["click_url"]).replace("/c/", "/f/")
    assert (await api.http.get(other)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"width": 728, "height": 90}, "/width"),
        ({"html": "x" * 1001}, "/html"),
        ({"html": "\u00e9" * 501}, "/html"),
        ({"html": None}, "/html"),
        ({"html": 1}, "/html"),
        ({"width": None}, "/width"),
        ({"click_url": None}, "/click_url"),
        ({"alt": "x"}, "/alt"),
        ({"title": "x"}, "/title"),
        ({"file": "x"}, "/file"),
        ({"click_url": "javascript:x"}, "/click_url"),
    ],
)
async def test_markup_fits_a_slot_like_a_picture(api: Api, fields: Any, pointer: str) -> None:
    """The problem names the member. What fits when it is made must fit after a change."""
    await api.world(max_kb=1)
    made = await framed(api, "x" * 1000)
    body = {"kind": "html", "name": "h", "html": "x", "width": 300, "height": 250, "click_url": "https://shop.example/"}
    got = await api.call("POST", "/campaigns/framed/creatives", body | fields)
    assert got.status_code == 422
    assert pointer in {one["pointer"] for one in got.json()["errors"]}
    assert (await api.call("PATCH", f"/creatives/{made['id']}", fields)).status_code == 422


async def test_a_slot_that_takes_less_shows_no_heavier_markup(api: Api) -> None:
    await api.world()
    await framed(api, "x" * 1001)
    assert (await api.decide())["filled"]
    await api.make("PATCH", "/sites/news/slots/top", {"max_kb": 1})
    assert not (await api.decide())["filled"]


def test_a_whole_document_stays_as_it_is() -> None:
    """What is none gets a head: no margin, links in new windows."""
    whole = "\n<!DOCTYPE html><title>t</title><p>x"
    assert filled(whole, "c", "t") == whole
    part = filled("<p>{click}{click}{{click}}{CLICK}", "https://s.example/c/t", "t")
    click = "https://s.example/c/t"
    assert part.startswith("<!doctype html>")
    assert part.endswith(f"<p>{click}{click}{{{click}}}{{CLICK}}")
    assert '<base target="_blank">' in part


# ---- a slot as a page


async def test_a_slot_is_a_page_for_a_frame(api: Api) -> None:
    """The snippet with its own impression image, and the tag that measures views; from anywhere, kept by nobody."""
    await api.world()
    await api.creative()
    got = await api.http.get("/v1/frames/news/top", headers={"Accept": "application/json, text/html"})
    assert (got.status_code, got.headers["adserve-fill"]) == (200, "1")
    assert got.headers["content-type"] == "text/html; charset=utf-8"
    assert got.headers["cache-control"] == "private, no-store"
    assert "x-frame-options" not in got.headers
    policy = got.headers["content-security-policy"]
    assert "frame-ancestors" not in policy
    for part in ("script-src http://localhost:8000/slots.js", "img-src http://localhost:8000/", "default-src 'none'"):
        assert part in policy
    page: Any = html5lib.parse(got.text, namespaceHTMLElements=False)
    script, unit = page.find(".//script"), page.find(".//div[@class='slot-unit']")
    assert (script.get("src"), script.get("data-site")) == ("http://localhost:8000/slots.js", "news")
    assert unit.get("data-view").startswith("http://localhost:8000/e/v/")
    beacon = next(one.get("src") for one in page.iter("img") if "/e/i/" in one.get("src"))
    assert (await api.http.get(path(beacon))).status_code == 200
    totals = await api.totals()
    assert (totals["serves"], totals["impressions"]) == (1, 1)


async def test_an_empty_slot_is_a_small_page(api: Api) -> None:
    """Unknown, empty or handed back: nothing of the address is in it."""
    await api.world(slots=("top", "side"))
    for name, reason in (("news/top", None), ("news/nope", "unknown-slot"), ("nope/%3Cscript%3E", "unknown-slot")):
        got = await api.http.get(f"/v1/frames/{name}?labels=%3Cscript%3E")
        assert (got.status_code, got.headers["adserve-fill"]) == (200, "0")
        assert got.headers.get("adserve-reason") == reason
        assert "script" not in got.text
        assert len(got.text) < 200
    await api.make("PUT", "/campaigns/own", {"advertiser": "acme", "name": "O", "slots": ["news/side"]})
    await api.make("POST", "/campaigns/own/creatives?approve=true", {"kind": "passback", "name": "own"})
    got = await api.http.get("/v1/frames/news/side")
    assert (got.headers["adserve-fill"], got.headers["adserve-reason"]) == ("0", "passback")
    for method in ("HEAD", "POST"):
        assert (await api.http.request(method, "/v1/frames/news/top")).status_code == 405


async def test_a_frame_asks_like_a_slot_call(api: Api) -> None:
    """Labels, widths, visitors, several ads and instances."""
    await api.world()
    await api.creative(target={"labels": {"any": ["world"]}}, frequency={"limit": 1, "window": "day"})
    fills = []
    for query in ("labels=x", "labels=world", "labels=world&visitor=reader-1", "labels=world&count=2"):
        fills.append((await api.http.get(f"/v1/frames/news/top?{query}")).headers["adserve-fill"])
    assert fills == ["0", "1", "1", "1"]
    assert (await api.http.get("/v1/frames/news/top:2?labels=world")).headers["adserve-fill"] == "1"


async def test_links_of_a_frame_come_from_the_settings(api: Api) -> None:
    """Whatever the request says of its host."""
    await api.world()
    await framed(api)
    app = create_app(replace(api.held, settings=replace(api.held.settings, public_url="https://serve.example/s")))
    api.held.worker.public_url = "https://serve.example/s"
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://evil.example") as http:
        page = await http.get("/v1/frames/news/top", headers={"X-Forwarded-Host": "evil.example"})
        frame = element(page.text, "iframe").get("src")
        assert frame.startswith("https://serve.example/s/f/")
        assert "frame-src https://serve.example/s/f/;" in page.headers["content-security-policy"]
        document = await http.get(frame.removeprefix("https://serve.example/s"))
        assert "https://serve.example/s/c/" in document.text
        for got in (page, document):
            assert "evil.example" not in got.text + str(got.headers)


async def test_a_decision_for_markup_is_explained_like_any(api: Api) -> None:
    """Live, and of the past: made again it comes out the same."""
    await api.world()
    made = await framed(api)
    decision = await api.decide()
    live = await api.make("GET", "/explain?site=news&slot=top")
    past = await api.make("GET", f"/explain/{decision['decision']}")
    assert live["outcome"] == past["outcome"] == made["id"]
    assert past["same"] is True
