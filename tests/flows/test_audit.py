"""The audit agrees after whatever was sent, and finds what was changed behind the ledger's back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adserve.core.schedule import bucket_of
from adserve.flows.audit import audit
from adserve.store.keys import HOUR_S, TAGS, tag_of
from tests.conftest import Api, Clock

BOT = {"User-Agent": "curl/8"}
PREFETCH = {"Sec-Purpose": "prefetch"}


async def verdict(api: Api) -> dict[str, Any]:
    await api.settle()
    return await audit(api.held.services, api.held.settings.data_dir / "spool")


@pytest.fixture
async def browsed(api: Api, clock: Clock) -> Api:
    """Two campaigns, and every kind of event: valid, repeated, set aside, prefetched, late, unseen."""
    await api.world(slots=("top", "side"))
    await api.creative("one")
    await api.creative("two")
    late: list[Any] = []
    first: tuple[dict[str, str], ...] = ({}, BOT, PREFETCH, {}, {})
    for step in range(20):
        page = (await api.http.get("/v1/pages/news")).json()["slots"]
        for one in page.values():
            if step % 5 == 4:
                late.append(one)
                continue
            for headers in (first[step % 5], {}) if step < 15 else (first[step % 5],):
                await api.http.get(one["impression_url"], headers=headers)
            if step % 2:
                await api.http.post(one["view_url"])
            await api.http.get(one["click_url"], headers=BOT if step % 4 == 0 else {})
        clock.now += 400
    clock.now += 601
    for one in late:
        await api.http.get(one["impression_url"])
        await api.http.get(one["view_url"], headers=BOT)
    return api


async def test_figures_and_ledger_agree_after_everything(browsed: Api) -> None:
    """Over hours and campaigns, and the rows are those of the report."""
    found = await verdict(browsed)
    assert (found["agrees"], found["differences"], found["pending"]) == (True, [], 0)
    totals = await browsed.totals()
    for name in ("impressions", "views", "clicks"):
        assert sum(row[name] for row in found["rows"]) == totals[name] > 0
    assert {row["campaign"] for row in found["rows"]} == {"one", "two"}
    assert all(row["agrees"] for row in found["rows"])
    assert found["hours"] > 2


@pytest.mark.parametrize("metric", ["i", "v", "c", "fi.bot", "fi.prefetch", "li", "s"])
@pytest.mark.parametrize("by", [1, -1])
async def test_a_planted_wrong_counter_is_found(browsed: Api, clock: Clock, metric: str, by: int) -> None:
    """With its hour, its figure and its campaign."""
    assert (await verdict(browsed))["agrees"]
    client, keys = browsed.held.services.client, browsed.held.services.keys
    campaign: Any = await browsed.held.services.catalog.get("campaign", "two")
    tag = tag_of(campaign.serial)
    buckets: Any = await client.zrange(keys.buckets(tag), 0, -1)
    for bucket in buckets:
        cells: Any = await client.hgetall(keys.counters(tag, int(bucket)))
        cell = next((one for one in cells if one.endswith(f".{metric}")), None)
        if cell is not None and (metric != "s" or cell[:-1] + "i" in cells):
            break
    else:
        pytest.fail(f"no {metric} was counted")
    if metric == "s":
        await client.hset(keys.counters(tag, int(bucket)), cell, int(cells[cell[:-1] + "i"]) + min(by, 0))
    else:
        await client.hincrby(keys.counters(tag, int(bucket)), cell, by)
    found = await verdict(browsed)
    assert found["agrees"] is (metric == "s" and by > 0)
    if not found["agrees"]:
        assert {tuple(one["campaigns"]) for one in found["differences"]} == {("two",)}
        assert all(abs(one["ledger"] - one["counters"]) == 1 for one in found["differences"])
        assert [row["campaign"] for row in found["rows"] if not row["agrees"]] == ["two"]


async def test_lost_counters_and_planted_bits_are_found(browsed: Api, clock: Clock) -> None:
    """A whole quarter-hour that is gone; a bit that no event has set; a key of another type."""
    client, keys = browsed.held.services.client, browsed.held.services.keys
    tag, hour = 5, int(clock.now) // HOUR_S
    await client.setbit(keys.ledger(tag, "cv", 77, hour), 9, 1)
    await client.rpush(keys.ledger(tag, "vv", 77, hour), "x")
    found = await verdict(browsed)
    assert [(one["figure"], one["ledger"], one["counters"]) for one in found["differences"]] == [
        ("clicks counted", 1, 0),
        ("keys that cannot be read", 0, 1),
    ]
    await client.delete(keys.ledger(tag, "cv", 77, hour), keys.ledger(tag, "vv", 77, hour))
    assert (await verdict(browsed))["agrees"]
    tags = [tag for tag in range(TAGS) if await client.exists(keys.counters(tag, bucket_of(1_800_000_000)))]
    await client.delete(*(keys.counters(tag, bucket_of(1_800_000_000)) for tag in tags))
    assert not (await verdict(browsed))["agrees"]


async def test_the_audit_holds_while_readers_browse(api: Api) -> None:
    """Each hour is read at one moment: no event of the meantime makes a difference."""
    await api.world()
    await api.creative()
    done = asyncio.Event()

    async def browse() -> None:
        while not done.is_set():
            one = await api.decide()
            await api.http.get(one["impression_url"])
            await api.http.post(one["view_url"])

    browsing = [asyncio.create_task(browse()) for _ in range(4)]
    for _ in range(10):
        assert (await audit(api.held.services, api.held.settings.data_dir / "spool"))["differences"] == []
    done.set()
    await asyncio.gather(*browsing)
    assert (await verdict(api))["events"] > 0
