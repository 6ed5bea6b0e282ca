"""The store fails under a worker: pages fill, nothing counts twice, nothing answered is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from adserve.settings import Settings
from adserve.store.embedded import EmbeddedStore
from adserve.wiring import running
from tests.conftest import Api, Clock
from tests.faults import Fault, Proxy, proxy


@pytest.fixture
async def faulty(store: EmbeddedStore, settings: Settings, clock: Clock) -> AsyncIterator[tuple[Api, Proxy]]:
    """A worker whose store stands behind the proxy, with one creative that serves."""
    async with proxy(str(store.socket_path)) as between, running(settings, between.url, clock=clock) as held:
        api = Api(held)
        await api.world()
        await api.creative()
        yield api, between
        between.set("pass")
        await api.http.aclose()


async def until_counted(api: Api, path: str) -> int:
    """Sends an impression again until it is answered; how often it was refused before."""
    for refused in range(50):
        status = (await api.http.get(path)).status_code
        if status == 200:
            return refused
        assert status == 503
        await asyncio.sleep(0.02)
    raise AssertionError("never counted")


async def reports(api: Api) -> bool:
    """Whether a report is answered; without the store it says so and why."""
    reply = await api.call("GET", "/report?site=news")
    assert reply.status_code in (200, 503)
    assert reply.status_code == 200 or reply.json()["code"] == "store_unavailable"
    return reply.status_code == 200


@pytest.mark.parametrize("fault", ["drop_reply", "reset"])
async def test_an_event_whose_reply_is_lost_counts_once(faulty: tuple[Api, Proxy], fault: Fault) -> None:
    """Lost once, then on three connections in a row: the reader sends again, the figure is one each."""
    api, between = faulty
    for losses in (1, 3):
        url = (await api.decide())["impression_url"]
        for _ in range(losses):
            between.set(fault, once=True)
            await api.http.get(url)
        between.set("pass")
        await until_counted(api, url)
    assert (await api.totals())["impressions"] == 2
    if fault == "drop_reply":
        assert between.dropped >= 2


@pytest.mark.parametrize("fault", ["drop_reply", "reset", "black_hole", "refuse"])
async def test_pages_fill_and_clicks_go_through_while_the_store_fails(faulty: tuple[Api, Proxy], fault: Fault) -> None:
    """Slots from memory, clicks to their landing page, impressions refused with Retry-After; no 5xx
    on a page. When the store is back, serves that were made meanwhile are in the report, once each."""
    api, between = faulty
    first = await api.decide()
    between.set(fault)
    made = [await api.decide() for _ in range(20)]
    assert all(one["filled"] for one in made)
    reply = await api.http.get(made[0]["impression_url"])
    assert reply.status_code == 503
    assert int(reply.headers["retry-after"]) > 0
    assert (await api.http.get(made[0]["click_url"])).headers["location"] == "https://shop.example/tea"
    between.set("pass")
    for one in (first, *made):
        await until_counted(api, one["impression_url"])
    async with asyncio.timeout(10):
        while not (await api.held.worker.ledger.flush() and await reports(api)):  # noqa: ASYNC110 - a try, not a wait for an event
            await asyncio.sleep(0.02)
    totals = await api.totals()
    assert (totals["serves"], totals["impressions"], totals["requests"]) == (21, 21, 21)


@pytest.mark.parametrize("fault", ["delay", "slice"])
async def test_a_slow_or_sliced_store_gives_no_wrong_answer(faulty: tuple[Api, Proxy], fault: Fault) -> None:
    """Answers belong to their own events, and every one answered is counted."""
    api, between = faulty
    between.set(fault)
    made = [await api.decide() for _ in range(10)]
    replies = await asyncio.gather(*(api.http.get(one["impression_url"]) for one in made))
    assert {reply.status_code for reply in replies} <= {200, 503}
    between.set("pass")
    for one in made:
        await until_counted(api, one["impression_url"])
    assert (await api.totals())["impressions"] == 10


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
            await until_counted(api, served["impression_url"])
            assert (await api.totals())["impressions"] == 1
            await api.http.aclose()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - nothing to wait on: a state of another task
            await asyncio.sleep(0.02)
