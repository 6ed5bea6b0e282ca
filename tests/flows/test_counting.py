"""Every event counts exactly once, in the quarter-hour of its serve, with one outcome."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adserve.core.token import Serve
from adserve.wiring import running
from tests.conftest import Api, Clock

BOT = {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}


def path(url: str) -> str:
    return url.partition("localhost:8000")[2]


@pytest.fixture
async def served(api: Api) -> Any:
    """One decision of a world with one creative."""
    await api.world()
    await api.creative()
    return await api.decide()


async def test_racing_and_repeated_beacons_count_once(api: Api, served: Any) -> None:
    """200 beacons at once and 20 in turn are one impression, and every answer is the same."""
    url = path(served["impression_url"])
    replies = await asyncio.gather(*(api.http.get(url) for _ in range(200)))
    replies += [await api.http.get(url) for _ in range(20)]
    assert {(r.status_code, r.content, tuple(r.headers.items())) for r in replies} == {
        (200, replies[0].content, tuple(replies[0].headers.items()))
    }
    assert len(replies[0].content) == 43
    totals = await api.totals()
    assert (totals["impressions"], totals["duplicates"], totals["serves"], totals["requests"]) == (1, 219, 1, 1)


async def test_a_view_sets_its_missing_impression(api: Api, served: Any) -> None:
    """Views never exceed impressions; the impression that follows is a duplicate."""
    assert (await api.http.post(path(served["view_url"]))).status_code == 204
    assert (await api.http.post(path(served["impression_url"]))).status_code == 204
    totals = await api.totals()
    assert (totals["views"], totals["impressions"], totals["duplicates"]) == (1, 1, 1)


async def test_a_click_without_an_impression_is_unseen_until_it_comes(api: Api, served: Any) -> None:
    """The order of click and impression does not matter in the end."""
    reply = await api.http.get(path(served["click_url"]))
    assert (reply.status_code, reply.headers["location"]) == (302, "https://shop.example/tea")
    totals = await api.totals()
    assert (totals["clicks"], totals["clicks_unseen"], totals["impressions"]) == (1, 1, 0)
    await api.http.get(path(served["impression_url"]))
    totals = await api.totals()
    assert (totals["clicks"], totals["clicks_unseen"], totals["impressions"]) == (1, 0, 1)


@pytest.mark.parametrize(("kind", "after_s"), [("impression_url", 601), ("view_url", 3601)])
async def test_late_events_are_gone_and_counted_late_once(
    api: Api, clock: Clock, served: Any, kind: str, after_s: int
) -> None:
    """In time to the second; then 410, once late, repeats are duplicates."""
    clock.now += after_s
    for _ in range(3):
        assert (await api.http.get(path(served[kind]))).status_code == 410
    totals = await api.totals()
    assert (totals["late"], totals["duplicates"], totals["impressions"], totals["views"]) == (1, 2, 0, 0)


async def test_an_event_in_its_last_second_counts(api: Api, clock: Clock, served: Any) -> None:
    """The lifetime is closed at its end."""
    clock.now += 600
    assert (await api.http.get(path(served["impression_url"]))).status_code == 200
    assert (await api.totals())["impressions"] == 1


async def test_a_late_click_still_redirects(api: Api, clock: Clock, served: Any) -> None:
    """The reader's way is not blocked; the click is late, after 48 hours more it is not even that."""
    clock.now += 86_401
    assert (await api.http.get(path(served["click_url"]))).status_code == 302
    clock.now += 48 * 3600
    assert (await api.http.get(path(served["click_url"]))).status_code == 302
    totals = await api.totals()
    assert (totals["clicks"], totals["late"], totals["duplicates"]) == (0, 1, 0)


async def test_a_duplicate_after_its_lifetime_is_no_late_event(api: Api, clock: Clock, served: Any) -> None:
    """Valid, set aside and late exclude each other. The answer is that of a late one, and 48 hours later the
    repeat counts as nothing."""
    first = await api.http.get(path(served["impression_url"]))
    clock.now += 5000
    repeat = await api.http.get(path(served["impression_url"]))
    clock.now += 48 * 3600
    forgotten = await api.http.get(path(served["impression_url"]))
    assert (first.status_code, repeat.status_code, forgotten.status_code) == (200, 410, 410)
    totals = await api.totals()
    assert (totals["impressions"], totals["late"], totals["duplicates"]) == (1, 0, 1)


async def test_a_token_from_the_future_is_not_counted(api: Api, clock: Clock, served: Any) -> None:
    """Beyond a minute of skew; a click still redirects."""
    clock.now -= 61
    assert (await api.http.get(path(served["impression_url"]))).status_code == 400
    assert (await api.http.get(path(served["click_url"]))).status_code == 302
    assert api.held.worker.clock_skew == 2
    clock.now += 61
    totals = await api.totals()
    assert (totals["impressions"], totals["clicks"]) == (0, 0)


async def test_foreign_and_crossed_tokens_reach_no_store(api: Api, served: Any) -> None:
    """Another purpose, junk, other bytes: 400, and the store hears nothing."""
    committed = api.held.worker.ledger.committed
    click = path(served["click_url"]).rpartition("/")[2]
    for token in (click, "A" * 48, "", "x", "A" * 10_000, "%00" * 16, "é" * 48):
        reply = await api.http.get(f"/e/i/{token}")
        assert reply.status_code in (400, 404), token
    assert api.held.worker.ledger.committed == committed


@pytest.mark.parametrize("kind", ["impression_url", "view_url", "click_url"])
async def test_head_and_other_methods_count_nothing(api: Api, served: Any, kind: str) -> None:
    """HEAD is refused on events and answers a click without counting."""
    for method in ("HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "DISPATCH"):
        reply = await api.http.request(method, path(served[kind]))
        assert reply.status_code == (302 if method == "HEAD" and kind == "click_url" else 405)
    totals = await api.totals()
    assert (totals["impressions"], totals["views"], totals["clicks"], totals["duplicates"]) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (BOT, "bot"),
        ({"User-Agent": ""}, "bot"),
        ({"User-Agent": "Mozilla/5.0"}, "bot"),
        ({"User-Agent": "curl/8.5.0"}, "bot"),
        ({"User-Agent": "python-requests/2.32"}, "bot"),
        ({"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/150.0 Safari/537.36"}, "bot"),
        ({"Sec-Purpose": "prefetch;prerender"}, "prefetch"),
        ({"Purpose": "prefetch"}, "prefetch"),
        ({"X-Moz": "prefetch"}, "prefetch"),
        ({"Sec-Fetch-Dest": "document"}, "prefetch"),
    ],
)
async def test_invalid_traffic_is_served_and_set_aside(
    api: Api, served: Any, headers: dict[str, str], reason: str
) -> None:
    """One reason each, answered like a counted one."""
    reply = await api.http.get(path(served["impression_url"]), headers=headers)
    assert reply.status_code == 200
    totals = await api.totals()
    assert (totals["impressions"], totals["filtered"]) == (0, 1)
    asked = {"from": "2027-01-01", "to": "2027-03-01", "site": "news", "by": "filter_reason"}
    rows = (await api.call("GET", "/report?" + "&".join(f"{k}={v}" for k, v in asked.items()))).json()["rows"]
    assert {row["filter_reason"]: row["filtered"] for row in rows if row["filter_reason"]} == {reason: 1}


async def test_a_valid_event_takes_the_place_of_a_prefetch(api: Api, served: Any) -> None:
    """But not that of a robot: first one wins."""
    await api.http.get(path(served["impression_url"]), headers={"Sec-Purpose": "prefetch"})
    await api.http.get(path(served["impression_url"]))
    totals = await api.totals()
    assert (totals["impressions"], totals["filtered"]) == (1, 0)
    other = await api.decide()
    await api.http.get(path(other["impression_url"]), headers=BOT)
    await api.http.get(path(other["impression_url"]))
    totals = await api.totals()
    assert (totals["impressions"], totals["filtered"], totals["duplicates"]) == (1, 1, 1)


async def test_clicks_beyond_ten_a_minute_are_set_aside(api: Api, clock: Clock, served: Any) -> None:
    """50 clicks of one client on one creative all redirect; 10 count; a minute later one more does."""
    for _ in range(50):
        one = await api.decide()
        assert (await api.http.get(path(one["click_url"]))).status_code == 302
    totals = await api.totals()
    assert (totals["clicks"], totals["filtered"]) == (10, 40)
    clock.now += 60
    await api.http.get(path((await api.decide())["click_url"]))
    assert (await api.totals())["clicks"] == 11


async def test_count_on_serve_makes_the_serve_the_impression(api: Api) -> None:
    """The beacon of such a slot is a duplicate; a robot's serve is set aside."""
    await api.world(count_on="serve")
    await api.creative()
    one = await api.decide()
    await api.http.get(path(one["impression_url"]))
    await api.http.get("/v1/slots/news/top", headers=BOT)
    for _ in range(100):
        totals = await api.totals()
        if totals["filtered"]:
            break
        await asyncio.sleep(0.01)
    assert (totals["impressions"], totals["duplicates"], totals["filtered"], totals["serves"]) == (1, 1, 1, 2)


async def test_ordinals_are_never_given_twice_when_the_clock_steps_back(api: Api) -> None:
    """A small step across the hour dates a serve to the newest hour, a large one begins another incarnation."""
    spaces = api.held.worker.ledger.spaces
    seen = set()
    for now in (7200, 7201, 7180, 10_800, 7200, 10_801, 3599, 7200, 7199):
        moment, ordinal = spaces.take(0, now)
        assert now <= moment <= now + 30
        seen.add((spaces.incarnation, moment // 3600, ordinal))
    assert len(seen) == 9
    assert len({incarnation for incarnation, _, _ in seen}) == 3


async def test_money_is_earned_when_the_event_is_counted(api: Api) -> None:
    """A price change later does not touch what was counted."""
    await api.world()
    await api.creative("paid", price={"model": "cpm", "amount": "2.50", "currency": "INR"})
    one = await api.decide()
    await api.http.get(path(one["impression_url"]))
    await api.make("PATCH", "/campaigns/paid", {"price": {"model": "cpc", "amount": "4", "currency": "INR"}})
    await api.http.get(path(one["click_url"]))
    totals = await api.totals()
    assert (totals["revenue"], totals["currency"]) == ("4.0025", "INR")


async def test_every_key_is_declared_and_expires(api: Api, served: Any) -> None:
    """Ledger, flush and rate keys expire; nothing lies outside the prefix."""
    await api.http.get(path(served["impression_url"]))
    await api.http.get(path(served["click_url"]))
    await api.held.worker.ledger.counts.flush()
    client, prefix = api.held.services.client, api.held.settings.key_prefix
    for key in [key async for key in client.scan_iter(f"{prefix}*")]:
        parts = ("{cat}", ":media", ":c:", ":buckets", ":days", ":d:", ":revisions")
        lasting = any(part in key for part in parts) or key.endswith("}:t")
        assert (await client.ttl(key) == -1) == (lasting and ":salt:" not in key), key
    serve: Serve = api.held.worker.signer.verify(path(served["impression_url"])[5:], "i")
    bits = api.held.services.keys.ledger(serve.tag, "iv", serve.incarnation, serve.hour)
    assert await client.bitcount(bits) == 1


async def test_only_the_whole_parameter_asks_not_to_be_counted(api: Api, served: Any) -> None:
    """`internal=1` sets an event aside; a longer name or value that holds it does not."""
    await api.http.get(path(served["impression_url"]) + "?utm_internal=1&internal=10")
    await api.http.get(path((await api.decide())["impression_url"]) + "?internal=1")
    totals = await api.totals()
    assert (totals["impressions"], totals["filtered"]) == (1, 1)


async def test_all_addresses_of_a_call_that_asks_not_to_be_counted_say_so(api: Api, served: Any) -> None:
    """Impression, view and click, in the decision and in the snippet; also beside what counts for a visitor."""
    await api.make("PATCH", "/campaigns/one", {"frequency": {"limit": 9, "window": "day"}})
    for query in ({}, {"visitor": "v1"}):
        one = await api.decide(internal="1", **query)
        assert ("f=" in one["impression_url"]) == bool(query)
        for url in (one["impression_url"], one["view_url"], one["click_url"]):
            assert url.endswith("internal=1")
            await api.http.get(path(url))
        assert one["view_url"] in one["html"]
        assert one["click_url"] in one["html"]
    totals = await api.totals()
    assert (totals["impressions"], totals["views"], totals["clicks"], totals["filtered"]) == (0, 0, 0, 6)
    assert not any("internal" in str(value) for value in (await api.decide()).values())


async def test_a_worker_catches_up_with_what_another_has_served(
    api: Api, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A creative that it has not heard of yet: the click lands, and the impression earns its price."""
    monkeypatch.setattr("adserve.following.POLL_S", 3600)
    async with running(api.held.settings, store_url, clock=api.held.worker.clock) as held:
        other = Api(held)
        await api.world()
        await api.creative("paid", price={"model": "cpm", "amount": "2.50", "currency": "INR"})
        one = await api.decide()
        assert (await other.http.get(path(one["impression_url"]))).status_code == 200
        assert (await other.http.get(path(one["click_url"]))).headers["location"] == "https://shop.example/tea"
        await other.http.aclose()
    assert (await api.totals())["revenue"] == "0.0025"
