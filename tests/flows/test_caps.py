"""Campaigns with goals and caps through the whole of a worker: what is served, what is counted, what is set aside."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adserve.settings import Settings
from adserve.store.keys import tag_of
from adserve.store.spool import Event
from adserve.wiring import running
from tests.conftest import ADMIN, Api, Clock
from tests.faults import Proxy
from tests.flows.rest import until


async def outcome(api: Api, url: str, method: str = "GET") -> str:
    """What an event counts as, which is told to callers with a key."""
    reply = await api.http.request(method, url, headers={"Authorization": f"Bearer {ADMIN}"})
    assert reply.status_code in (200, 204, 302)
    return str(reply.headers["adserve-counted"])


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stalls sends nothing to the spool: what is told of an event is what the ceilings say."""
    monkeypatch.setattr("adserve.store.ledger.COMMIT_S", 10.0)


async def serial_of(api: Api, campaign: str = "one") -> int:
    found: Any = await api.held.services.catalog.get("campaign", campaign)
    return int(found.serial)


async def is_open(api: Api, clock: Clock, *, campaign: str = "one") -> None:
    """Until the worker may serve it, as its time goes on."""
    serial = await serial_of(api, campaign)

    def stands() -> bool:
        clock.now += 0.01
        return api.held.worker.standing.why_closed(serial) is None

    await until(stands)


async def deliver(api: Api, clock: Clock, requests: int) -> tuple[int, int]:
    """Requests that are shown if they are filled, a second apart: how many were filled, how many counted."""
    filled = counted = 0
    for _ in range(requests):
        clock.now += 1
        await asyncio.sleep(0.12)  # a turn of the upkeep, which looks at the time ten times a second
        one = await api.decide()
        if one["filled"]:
            filled += 1
            counted += await outcome(api, one["impression_url"]) == "counted"
    return filled, counted


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"caps": {"total": {"impressions": 4}}}, "cap_total"),
        ({"caps": {"daily": {"impressions": 4}}}, "cap_daily"),
        ({"goal": {"impressions": 4}}, "goal_reached"),
    ],
)
async def test_a_ceiling_is_delivered_and_not_passed(
    api: Api, clock: Clock, limits: dict[str, Any], reason: str
) -> None:
    await api.world()
    await api.creative(**limits)
    await is_open(api, clock)
    assert await deliver(api, clock, 9) == (4, 4)
    totals = await api.totals()
    assert (totals["impressions"], totals["filtered"]) == (4, 0)
    serial = await serial_of(api)
    assert api.held.worker.standing.why_closed(serial) == reason


async def test_a_serve_holds_its_place_until_its_impression_can_come_no_more(api: Api, clock: Clock) -> None:
    """Two of three are never shown; they are served again when allowance and lifetime are over, and not before."""
    await api.world()
    await api.creative(caps={"total": {"impressions": 3}})
    await is_open(api, clock)
    shown: list[Any] = []
    for _ in range(6):
        clock.now += 1
        await asyncio.sleep(0.12)
        shown.append(await api.decide())
    made = [one for one in shown if one["filled"]]
    assert len(made) == 3
    assert await outcome(api, made[0]["impression_url"]) == "counted"
    clock.now += 500
    assert await deliver(api, clock, 3) == (0, 0)
    clock.now += 300
    await is_open(api, clock)
    assert await deliver(api, clock, 5) == (2, 2)


async def test_what_comes_beyond_a_cap_is_set_aside(api: Api, clock: Clock) -> None:
    """Serves of before the cap was there have no allowance: their impressions count as far as it goes. A view whose
    impression would be beyond is set aside with it; its repeats are duplicates; a click is no impression."""
    await api.world()
    await api.creative()
    made = [await api.decide() for _ in range(5)]
    await api.make("PATCH", "/campaigns/one", {"caps": {"total": {"impressions": 2}}})
    await is_open(api, clock)  # the worker has heard of it, and holds one of the two places
    outcomes = [await outcome(api, one["impression_url"]) for one in made[:4]]
    assert outcomes == ["counted", *["filtered; reason=cap"] * 3]
    assert await outcome(api, made[4]["view_url"], "POST") == "filtered; reason=cap"
    assert await outcome(api, made[4]["view_url"], "POST") == "duplicate"
    assert await outcome(api, made[4]["click_url"]) == "counted"
    assert await deliver(api, clock, 3) == (1, 1)
    totals = await api.totals()
    assert (totals["impressions"], totals["views"], totals["filtered"]) == (2, 0, 4)
    assert (totals["clicks"], totals["clicks_unseen"]) == (1, 1)


async def test_clicks_beyond_a_cap_are_redirected_and_set_aside(api: Api, clock: Clock) -> None:
    """And the campaign is closed within a second."""
    await api.world()
    await api.creative(caps={"total": {"clicks": 2}})
    await is_open(api, clock)
    made = [await api.decide() for _ in range(4)]
    outcomes = [await outcome(api, one["click_url"]) for one in made]
    assert outcomes == ["counted", "counted", "filtered; reason=cap", "filtered; reason=cap"]
    clock.now += 1.1
    standing, serial = api.held.worker.standing, await serial_of(api)
    await until(lambda: standing.why_closed(serial) == "cap_total")
    assert not (await api.decide())["filled"]
    assert (await api.totals())["clicks"] == 2


async def test_a_serve_that_is_the_impression_is_held_to_the_cap(api: Api, clock: Clock) -> None:
    await api.world(count_on="serve")
    await api.creative(caps={"total": {"impressions": 3}})
    await is_open(api, clock)
    filled = 0
    for _ in range(8):
        clock.now += 1
        await asyncio.sleep(0.12)
        filled += (await api.decide())["filled"]
    totals = await api.totals()
    assert (filled, totals["impressions"], totals["filtered"]) == (3, 3, 0)


async def test_robots_and_prefetches_take_no_allowance(api: Api, clock: Clock) -> None:
    """They are served while one is in hand, and all of it stays for readers."""
    await api.world()
    await api.creative(caps={"total": {"impressions": 3}})
    await is_open(api, clock)
    for headers in ({"User-Agent": "curl/8"}, {"Sec-Purpose": "prefetch"}):
        for _ in range(10):
            reply = await api.http.get("/v1/slots/news/top", headers={"Accept": "application/json", **headers})
            assert reply.json()["filled"]
            await api.http.get(reply.json()["impression_url"], headers=headers)
    assert await deliver(api, clock, 6) == (3, 3)


async def test_without_the_store_what_is_in_hand_is_used_up(faulty: tuple[Api, Proxy], clock: Clock) -> None:
    """Then the campaign is closed, and its events count once when the store is back."""
    api, between = faulty
    await api.make("PATCH", "/campaigns/one", {"caps": {"total": {"impressions": 10}}})
    await is_open(api, clock)
    between.set("refuse")
    made = [one for one in [await api.decide() for _ in range(20)] if one["filled"]]
    assert 1 <= len(made) <= 10
    for one in made:
        assert (await api.http.get(one["impression_url"])).status_code == 200
    assert not (await api.decide())["filled"]
    between.set("pass")
    await until(lambda: not api.spooled())
    assert (await api.totals())["impressions"] == len(made)
    clock.now += 31
    await is_open(api, clock)
    assert (await deliver(api, clock, 15))[1] == 10 - len(made)
    assert (await api.totals())["impressions"] == 10


async def test_events_of_versions_without_campaigns_count_in_totals_and_for_caps(api: Api, clock: Clock) -> None:
    """Their spool names no campaign; they earn what they said."""
    await api.world()
    await api.creative(price={"model": "cpm", "amount": "5", "currency": "INR"})
    made = [await api.decide() for _ in range(3)]
    await api.make("PATCH", "/campaigns/one", {"caps": {"total": {"impressions": 2}}})
    held, spool = api.held.worker, api.held.worker.ledger.spool
    for one in made:
        token = one["impression_url"].rpartition("/")[2]
        event = Event("i", held.signer.verify(token, "i"), "count", "m.INR:7000", "")
        spool.put_event(event, int(clock.now), again=False)
    await until(lambda: not api.spooled())
    totals = await api.totals()
    assert totals["impressions"] + totals["filtered"] == 3
    assert totals["impressions"] <= 2
    client: Any = api.held.services.client
    serial = await serial_of(api)
    stored = await client.hget(api.held.services.keys.totals(tag_of(serial)), f"{serial}.i")
    assert int(stored or 0) == totals["impressions"]
    assert float(totals["revenue"] or 0) == totals["impressions"] * 0.007


async def test_a_worker_that_ends_leaves_nothing_held(store_url: str, settings: Settings, clock: Clock) -> None:
    """What it had in hand is there at once for the next one."""
    async with running(settings, store_url, clock=clock) as held:
        api = Api(held)
        await api.world()
        await api.creative(caps={"total": {"impressions": 6}})
        await is_open(api, clock)
        assert await deliver(api, clock, 2) == (2, 2)
        await api.http.aclose()
    async with running(settings, store_url, clock=clock) as held:
        api = Api(held)
        await is_open(api, clock)
        assert await deliver(api, clock, 8) == (4, 4)
        assert (await api.totals())["impressions"] == 6
        await api.http.aclose()
