"""Data in the store that we did not write, or that was spoilt: the rest goes on, nothing answers 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from adserve.core.schedule import bucket_of
from adserve.store.keys import TAGS
from tests.conftest import Api, Clock


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await holds():  # noqa: ASYNC110 - nothing to wait on: a state behind HTTP
            await asyncio.sleep(0.05)


async def spoil(api: Api, name: str, **members: Any) -> None:
    """Writes members of a stored object behind the API's back, as a change that workers see."""
    client, keys = api.held.services.client, api.held.services.keys
    stored: Any = json.loads(str(await client.hget(keys.objects, name)))
    await client.hset(keys.objects, name, json.dumps({**stored, **members}))
    version = await client.incr(keys.version)
    await client.zadd(keys.changed, {name: version})


SPOILT: list[dict[str, Any]] = [
    {"weight": -3},
    {"weight": 10**12},
    {"weight": "1"},
    {"weight": 0.5},
    {"campaign": "none"},
    {"kind": "exe"},
    {"content": None},
]


@pytest.mark.parametrize("members", SPOILT, ids=str)
async def test_a_spoilt_creative_is_skipped_and_the_others_serve(api: Api, members: dict[str, Any]) -> None:
    """Whatever a member became: only that creative is off the page, and the metrics say so."""
    await api.world()
    spoilt, good = await api.creative("one"), await api.creative("two")
    await spoil(api, f"creative:{spoilt}", **members)
    await until(lambda: _reads(api, "adserve_bad_creatives", 1))
    assert {(await api.decide())["creative"] for _ in range(20)} == {good}
    assert (await api.http.get("/v1/pages/news")).json()["slots"]["top"]["creative"] == good


@pytest.mark.parametrize(
    "landing", ["javascript:alert(1)", "http://127.0.0.1/", "//evil.example", "", "https://a\r\nb"]
)
async def test_a_spoilt_landing_page_is_neither_served_nor_followed(api: Api, landing: str) -> None:
    """Checked again when loaded: the creative is off the page and its old tokens answer 410."""
    await api.world()
    creative = await api.creative()
    served = await api.decide()
    stored: Any = json.loads(
        str(await api.held.services.client.hget(api.held.services.keys.objects, f"creative:{creative}"))
    )
    await spoil(api, f"creative:{creative}", live={**stored["live"], "click_url": landing})
    await until(lambda: _reads(api, "adserve_bad_creatives", 1))
    assert not (await api.decide())["filled"]
    reply = await api.http.get(served["click_url"])
    assert (reply.status_code, "location" in reply.headers) == (410, False)


async def test_a_spoilt_version_stops_no_worker(api: Api) -> None:
    """It serves its copy, and follows again when the key is right again."""
    await api.world()
    creative = await api.creative()
    client, keys = api.held.services.client, api.held.services.keys
    right = int(await client.get(keys.version) or 0)
    await client.set(keys.version, "abc")
    await asyncio.sleep(0.3)
    assert (await api.decide())["creative"] == creative
    await client.set(keys.version, right)
    other = await api.creative("two")
    await until(lambda: _serves(api, other))


async def test_a_counter_of_another_type_stops_only_its_own(api: Api, clock: Clock) -> None:
    """Events of that quarter-hour are refused, not lost in silence; the next one counts, and a report
    says that something could not be read."""
    await api.world()
    await api.creative()
    client, keys = api.held.services.client, api.held.services.keys
    for tag in range(TAGS):
        await client.rpush(keys.counters(tag, bucket_of(int(clock.now))), "x")
        await client.zadd(keys.buckets(tag), {str(bucket_of(int(clock.now))): bucket_of(int(clock.now))})
    one = await api.decide()
    assert (await api.http.get(one["impression_url"])).status_code == 503
    clock.now += 900
    later = await api.decide()
    assert (await api.http.get(later["impression_url"])).status_code == 200
    reply = await api.call("GET", "/report?from=2027-01-01&to=2027-03-01&site=news&by=site")
    assert (reply.status_code, reply.json()["unreadable"]) == (200, TAGS)
    assert reply.json()["totals"]["impressions"] == 1
    for tag in range(TAGS):
        await client.delete(keys.counters(tag, bucket_of(int(clock.now) - 900)))
    assert (await api.http.get(one["impression_url"])).status_code == 410


async def _reads(api: Api, metric: str, value: float) -> bool:
    return f"{metric} {value:.1f}" in (await api.http.get("/metrics")).text


async def _serves(api: Api, creative: str) -> bool:
    return bool((await api.decide())["creative"] == creative)
