"""What a slot gets: review, tiers, weights, no-repeat, width, schedules."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conftest import Api, Clock


async def test_an_unreviewed_landing_page_is_never_reached(api: Api) -> None:
    """Tokens of an earlier revision do not lead to an edit that nobody has approved."""
    await api.world()
    id_ = await api.creative()
    click = (await api.decide())["click_url"]
    for move in ("reject", "pause"):
        if move == "pause":
            await api.make("POST", f"/creatives/{id_}/approve", {})
        await api.make("POST", f"/creatives/{id_}/{move}", {"reason": "No"} if move == "reject" else {})
        await api.make("PATCH", f"/creatives/{id_}", {"click_url": f"https://evil.example/{move}"})
        reply = await api.http.get(click)
        assert "evil.example" not in reply.headers.get("location", "")
        assert reply.status_code == 410


async def test_the_live_revision_serves_while_an_edit_waits(api: Api) -> None:
    """An edit returns the creative to pending; approval swaps it in."""
    await api.world()
    id_ = await api.creative()
    edited = await api.make("PATCH", f"/creatives/{id_}", {"title": "Coffee"})
    assert (edited["state"], edited["revision"], edited["live_revision"]) == ("pending", 2, 1)
    assert "Tea" in (await api.decide())["html"]
    await api.make("POST", f"/creatives/{id_}/approve", {})
    assert "Coffee" in (await api.decide())["html"]


async def test_weights_hold_between_campaigns_and_within_them(api: Api) -> None:
    """First the campaign by its weight, then its creative by weight; within six serves each."""
    await api.world()
    one = await api.creative("one", weight=1)
    text = {"kind": "text", "name": "u", "title": "U", "click_url": "https://shop.example/", "weight": 3}
    two = (await api.make("POST", "/campaigns/one/creatives?approve=true", text))["id"]
    await api.make("PUT", "/campaigns/b", {"advertiser": "acme", "name": "b", "slots": ["news/top"], "weight": 4})
    three = (await api.make("POST", "/campaigns/b/creatives?approve=true", {**text, "weight": 9}))["id"]
    shown = Counter([(await api.decide())["creative"] for _ in range(1000)])
    for creative, share in ((one, 0.05), (two, 0.15), (three, 0.8)):
        assert abs(shown[creative] - 1000 * share) <= 12, shown


async def test_tiers_are_strict_and_house_fills_the_rest(api: Api) -> None:
    """A higher tier takes everything; paused, the next one follows."""
    await api.world()
    ids = {tier: await api.creative(tier, tier=tier) for tier in ("house", "remnant", "standard", "sponsor")}
    for tier in ("sponsor", "standard", "remnant", "house"):
        assert {(await api.decide())["creative"] for _ in range(10)} == {ids[tier]}
        await api.make("PATCH", f"/campaigns/{tier}", {"state": "paused"})
    assert not (await api.decide())["filled"]


async def test_no_campaign_twice_on_a_page_save_house(api: Api) -> None:
    """The slots choose in rank order whatever the order asked."""
    await api.world(slots=("a", "b", "c"))
    await api.creative("one")
    await api.creative("two")
    await api.creative("own", tier="house")
    for asked in ("a,b,c", "c,b,a"):
        page = (await api.http.get(f"/v1/pages/news?slots={asked}")).json()["slots"]
        assert list(page) == asked.split(",")
        assert {page["a"]["campaign"], page["b"]["campaign"]} == {"one", "two"}
        assert page["c"]["campaign"] == "own"


async def test_a_page_call_answers_a_hundred_instances_and_counts_that_more_were_asked(api: Api) -> None:
    """What a page cannot show an operator must see; a name that is repeated takes no place twice."""
    await api.world()
    names = [f"top:{n}" for n in range(100)]
    for asked, malformed in ((["top:0", *names], 0), ([*names, "top:100"], 1)):
        page = (await api.http.get("/v1/pages/news", params={"slots": ",".join(asked)})).json()["slots"]
        assert list(page) == names
        assert f"malformed_parameters_total {malformed}.0" in (await api.http.get("/metrics")).text


async def test_an_id_of_dashes_is_an_id(api: Api) -> None:
    """Odd, but within 1 to 64 of a-z, 0-9 and -."""
    await api.make("PUT", "/sites/-", {"name": "Dash"})
    await api.make("PUT", "/sites/-/slots/--", {"sizes": ["300x250"]})
    assert list((await api.http.get("/v1/pages/-")).json()["slots"]) == ["--"]


async def test_windows_are_half_open(api: Api, clock: Clock) -> None:
    """Served from the first second of its start to the last before its end."""
    await api.world()
    await api.creative(starts="2027-01-15T08:00:10Z", ends="2027-01-15T08:00:20Z")
    for second, filled in ((9, False), (10, True), (19, True), (20, False)):
        clock.now = 1_800_000_000 + second
        assert (await api.decide())["filled"] is filled, second


@pytest.mark.parametrize(
    "path", ["/v1/slots/news/nowhere", "/v1/slots/nowhere/top", "/v1/slots/news/top%7D%7Bx", "/v1/slots/x"]
)
async def test_unknown_slots_break_no_page(api: Api, path: str) -> None:
    """An empty 200 for HTML, 404 for JSON, and no new key in the store."""
    await api.world()
    reply = await api.http.get(path)
    assert (reply.status_code, reply.content, reply.headers["adserve-reason"]) == (200, b"", "unknown-slot")
    assert (await api.http.get(path, headers={"Accept": "application/json"})).status_code == 404


async def test_the_html_form_carries_its_own_impression(api: Api) -> None:
    """JSON carries none; the caller fires it."""
    await api.world()
    await api.creative()
    page = await api.http.get("/v1/slots/news/top")
    assert page.text.count("/e/i/") == 1
    assert page.headers["cache-control"] == "private, no-store"
    assert "/e/i/" not in (await api.decide())["html"]


async def test_the_host_header_decides_nothing(api: Api) -> None:
    """Links point to the service, never to a host from outside."""
    await api.world()
    await api.creative()
    for headers in ({"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}):
        reply = await api.http.get("/v1/slots/news/top", headers=headers)
        assert "evil.example" not in reply.text
        assert "/c/" in reply.text


PARAMETERS = ("slots", "labels", "url", "lang", "country", "device", "width", "visitor", "pv", "kv.a", "callback", "x")
MARKUP = ['"><script>xss</script>', "'-alert(1)-'<b>", "top:<img src=x>", "<", "\u2028</script>", "%0a%0dX-Header: <x>"]


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("value", MARKUP)
async def test_no_parameter_comes_back_as_markup(api: Api, name: str, value: str) -> None:
    """Of any delivery call, in HTML and JSON, body and headers; the page is whole."""
    await api.world()
    await api.creative()
    plain = (await api.http.get("/v1/slots/news/top")).text
    for path in ("/v1/slots/news/top", "/v1/slots/news/none", "/v1/pages/news", "/v1/pages/none"):
        for accept in ("text/html", "application/json"):
            reply = await api.http.get(path, params={name: value}, headers={"Accept": accept})
            assert reply.status_code in (200, 404)
            said = reply.text + repr(reply.headers)
            assert said.count("<") <= plain.count("<")
            for piece in ("<script", "<img src=x", "<b>", "<x>", "</script", "alert(1)-'<"):
                assert piece not in said


@pytest.mark.parametrize(
    "name", ["top:", "top::", "top:1:2", "top:-1", "top:\u0661", "top:12345", "top:x", "TOP", "top "]
)
async def test_an_instance_is_a_name_and_a_number(api: Api, name: str) -> None:
    """Anything else is unknown, fails alone, and is counted as malformed."""
    await api.world()
    await api.creative()
    slots = (await api.http.get("/v1/pages/news", params={"slots": f"{name},top:7"})).json()["slots"]
    assert slots[name] == {"slot": name, "filled": False, "error": "unknown_slot"}
    assert slots["top:7"]["filled"]
    assert api.held.worker.malformed == 1
