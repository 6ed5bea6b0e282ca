"""The store fails under a worker: pages fill, nothing counts twice, nothing answered is lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from adserve.settings import Settings
from adserve.store.embedded import EmbeddedStore
from adserve.wiring import running
from tests.conftest import Api, Clock
from tests.faults import Fault, Proxy, proxy
from tests.flows.rest import at_rest, until


@pytest.mark.parametrize("fault", ["drop_reply", "reset"])
async def test_an_event_whose_reply_is_lost_counts_once(faulty: tuple[Api, Proxy], fault: Fault) -> None:
    """Lost once, then on three connections in a row: answered, and the figure is one, without a duplicate."""
    api, between = faulty
    for losses in (1, 3):
        one = await api.decide()
        api.held.worker.ledger.breaker.succeeded()  # or it would be open, and the store not asked at all
        between.set(fault, once=True)
        for _ in range(losses - 1):
            between.set(fault)
        assert (await api.http.get(one["impression_url"])).status_code == 200
        between.set("pass")
    totals = await at_rest(api)
    assert (totals["impressions"], totals["serves"], totals["duplicates"]) == (2, 2, 0)
    if fault == "drop_reply":
        assert between.dropped >= 2


@pytest.mark.parametrize("fault", ["drop_reply", "reset", "black_hole", "refuse"])
async def test_everything_is_answered_while_the_store_fails_and_counted_after(
    faulty: tuple[Api, Proxy], fault: Fault
) -> None:
    """Slots from memory, events by the spool, clicks to their landing page; no 5xx. Repeats during the
    outage are duplicates. When the store is back, everything is in the report, once each."""
    api, between = faulty
    first = await api.decide()
    await api.http.get(first["impression_url"])
    between.set(fault)
    made = [await api.decide() for _ in range(20)]
    assert all(one["filled"] for one in made)
    for one in made:
        replies = [await api.http.get(one["impression_url"]), await api.http.post(one["view_url"])]
        assert [reply.status_code for reply in replies] == [200, 204]
        assert (await api.http.get(one["click_url"])).headers["location"] == "https://shop.example/tea"
    for one in (first, *made[:5]):
        assert (await api.http.get(one["impression_url"])).status_code == 200
    assert api.held.worker.ledger.breaker.state != "closed"
    assert api.spooled()
    between.set("pass")
    totals = await at_rest(api)
    assert (totals["serves"], totals["requests"]) == (21, 21)
    assert (totals["impressions"], totals["views"], totals["duplicates"]) == (21, 20, 6)
    assert (totals["clicks"], totals["filtered"]) == (10, 10), "20 clicks of one client on one creative in a minute"
    assert api.held.worker.ledger.breaker.state == "closed"


async def test_a_full_spool_refuses_and_loses_no_click(store: EmbeddedStore, settings: Settings, clock: Clock) -> None:
    """The one exception: with neither store nor spool an impression is asked to come again, a click goes on
    uncounted, and what was answered before is counted."""
    tight = replace(settings, spool_max_bytes=400)
    async with proxy(str(store.socket_path)) as between, running(tight, between.url, clock=clock) as held:
        api = Api(held)
        await api.world()
        await api.creative()
        made = [await api.decide() for _ in range(5)]
        await held.worker.ledger.counts.flush()
        between.set("refuse")
        statuses = [(await api.http.get(one["impression_url"])).status_code for one in made]
        answered = statuses.count(200)
        assert statuses == [200] * answered + [503] * (5 - answered)
        assert 0 < answered < 5
        reply = await api.http.get(made[4]["impression_url"])
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
        assert (await api.http.get(made[4]["click_url"])).status_code == 302
        assert held.worker.clicks_uncounted == 1
        between.set("pass")
        totals = await at_rest(api)
        assert (totals["impressions"], totals["clicks"], totals["duplicates"]) == (answered, 0, 0)
        assert (await api.http.get(made[4]["impression_url"])).status_code == 200
        await api.http.aclose()


async def test_an_orderly_end_leaves_nothing_in_the_spool_that_the_store_takes(
    store: EmbeddedStore, settings: Settings, clock: Clock
) -> None:
    """A worker that ends right after an outage, which it has noticed, brings what it spooled to the store itself."""
    async with proxy(str(store.socket_path)) as between, running(settings, between.url, clock=clock) as held:
        api = Api(held)
        await api.world()
        await api.creative()
        between.set("refuse")
        made = [await api.decide() for _ in range(5)]
        for one in made:
            assert (await api.http.get(one["impression_url"])).status_code == 200
        assert api.spooled()
        async with asyncio.timeout(10):
            while held.store_up:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        between.set("pass")
        await api.http.aclose()
    assert api.spooled() == []
    async with running(settings, store.url, clock=clock) as held:
        api = Api(held)
        totals = await api.totals()
        assert (totals["impressions"], totals["serves"]) == (5, 5)
        await api.http.aclose()


@pytest.mark.parametrize("hours_later", [4, 80])
async def test_what_a_killed_worker_spooled_is_counted_by_the_next(
    store: EmbeddedStore, settings: Settings, clock: Clock, hours_later: int
) -> None:
    """Events and served counts of an outage, as of their arrival, also hours later; left out when nothing can
    tell any more whether they had been counted."""
    async with proxy(str(store.socket_path)) as between:
        async with running(settings, between.url, clock=clock) as held:
            api = Api(held)
            await api.world()
            await api.creative()
            await api.decide()
            await held.worker.ledger.counts.flush()
            between.set("refuse")
            made = [await api.decide() for _ in range(10)]
            for one in made[:6]:
                assert (await api.http.get(one["impression_url"])).status_code == 200
            await asyncio.sleep(0.25)  # the time after which served counts stand in the spool
            killed = kept(settings.data_dir / "spool")
            await api.http.aclose()
        between.set("pass")
    # as a kill would have left it: what the orderly end wrote is taken back
    for path in (settings.data_dir / "spool").glob("*-*.*"):
        path.unlink()
    for name, content in killed.items():
        (settings.data_dir / "spool" / name).write_bytes(content)
    clock.now += hours_later * 3600
    async with running(settings, store.url, clock=clock) as held:
        api = Api(held)
        totals = await at_rest(api)
        if hours_later == 80:
            assert (totals["serves"], totals["impressions"]) == (1, 0)
            assert held.worker.ledger.spool.expired > 6
            await api.http.aclose()
            return
        assert (totals["serves"], totals["requests"], totals["impressions"], totals["late"]) == (11, 11, 6, 0)
        assert (await api.http.get(made[0]["impression_url"])).status_code == 410
        assert (await api.totals())["duplicates"] == 1
        await api.http.aclose()


def kept(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*-*.*")}


async def test_an_event_of_a_creative_that_cannot_be_looked_up_earns_its_price_later(
    store: EmbeddedStore, settings: Settings, clock: Clock
) -> None:
    """Another worker has made it while this one had no store: its events wait in the spool, and a click, which nobody
    could tell where to, is asked to come again."""
    async with (
        proxy(str(store.socket_path)) as between,
        running(settings, between.url, clock=clock) as cut_off,
        running(settings, store.url, clock=clock) as other,
    ):
        here, there = Api(cut_off), Api(other)
        await there.world()
        await cut_off.services.refresh()
        between.set("black_hole")
        await there.creative("paid", price={"model": "cpm", "amount": "2.50", "currency": "INR"})
        made = [await there.decide() for _ in range(4)]
        for one in made:
            assert (await here.http.get(one["impression_url"])).status_code == 200
        reply = await here.http.get(made[0]["click_url"])
        assert (reply.status_code, "retry-after" in reply.headers) == (503, True)
        assert here.spooled()
        between.set("pass")
        await there.settle()
        totals = await at_rest(here)
        assert (totals["impressions"], totals["revenue"], totals["duplicates"]) == (4, "0.01", 0)
        assert (await here.http.get(made[0]["click_url"])).status_code == 302
        await here.http.aclose()
        await there.http.aclose()


@pytest.mark.parametrize("fault", ["delay", "slice"])
async def test_a_slow_or_sliced_store_gives_no_wrong_answer(faulty: tuple[Api, Proxy], fault: Fault) -> None:
    """Answers belong to their own events, and every one answered is counted."""
    api, between = faulty
    between.set(fault)
    made = [await api.decide() for _ in range(10)]
    replies = await asyncio.gather(*(api.http.get(one["impression_url"]) for one in made))
    assert {reply.status_code for reply in replies} == {200}
    between.set("pass")
    totals = await at_rest(api)
    assert (totals["impressions"], totals["duplicates"]) == (10, 0)


async def test_a_failure_while_connections_are_dropped_ends_nothing(
    faulty: tuple[Api, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog is followed again when the store is back, whatever went wrong at letting go."""
    api, between = faulty
    dropped = 0

    async def disconnect(inuse_connections: bool = True) -> None:
        nonlocal dropped
        dropped += 1
        raise ConnectionResetError

    monkeypatch.setattr(api.held.services.client.connection_pool, "disconnect", disconnect)
    between.set("refuse")
    async with asyncio.timeout(10):
        while dropped < 2:  # noqa: ASYNC110 - what is waited for is in another task, which tells nobody
            await asyncio.sleep(0.02)
    between.set("pass")
    async with asyncio.timeout(10):
        while not api.held.store_up:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.02)


async def test_a_stale_catalog_fills_no_slot_and_every_click_until_the_store_is_back(
    store: EmbeddedStore, settings: Settings, clock: Clock
) -> None:
    """Past its limit a worker's copy is not chosen from; clicks still land, and slots fill again after."""
    limit = replace(settings, stale_limit_s=0)
    async with proxy(str(store.socket_path)) as between, running(limit, between.url, clock=clock) as held:
        api = Api(held)
        await api.world()
        await api.creative()
        served = await api.decide()
        between.set("refuse")
        await until(lambda: held.worker.stale)
        reply = await api.http.get("/v1/slots/news/top")
        assert (reply.status_code, reply.content, reply.headers["adserve-fill"]) == (200, b"", "0")
        assert not (await api.decide())["filled"]
        assert (await api.http.get("/v1/pages/news")).json() == {"page_view": "", "slots": {}}
        assert (await api.http.get(served["click_url"])).headers["location"] == "https://shop.example/tea"
        between.set("pass")
        await until(lambda: not held.worker.stale)
        assert (await api.decide())["filled"]
        await api.http.aclose()


async def test_a_worker_that_starts_without_the_store_waits_for_it(
    store: EmbeddedStore, settings: Settings, clock: Clock
) -> None:
    """Pages stay whole, events and clicks are asked to come again, and all works when the store is there."""
    async with running(settings, store.url, clock=clock) as first:
        api = Api(first)
        await api.world()
        await api.creative()
        served = await api.decide()
        await api.http.aclose()
    async with proxy(str(store.socket_path)) as between:
        between.set("refuse")
        async with running(settings, between.url, clock=clock) as held:
            api = Api(held)
            assert (await api.http.get("/v1/slots/news/top")).content == b""
            assert (await api.http.get("/readyz")).status_code == 503
            for kind in ("impression_url", "click_url"):
                reply = await api.http.get(served[kind])
                assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
            between.set("pass")
            await until(lambda: held.worker.catalog is not None)
            assert (await api.decide())["filled"]
            assert (await api.http.get(served["click_url"])).status_code == 302
            assert (await api.http.get(served["impression_url"])).status_code == 200
            assert (await at_rest(api))["impressions"] == 1
            await api.http.aclose()
