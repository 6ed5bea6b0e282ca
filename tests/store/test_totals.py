"""Totals of campaigns: filled from the counters of older stores, once, and proven."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from adserve import __version__
from adserve.core.schedule import bucket_of, local_day, zone
from adserve.flows.audit import audit
from adserve.store import schema
from adserve.store.keys import Keys, tag_of
from adserve.store.reports import roll_up
from adserve.store.totals import fill
from tests.conftest import Api

DAY_S = 86_400


async def real_now(api: Api) -> int:
    client: Any = api.held.services.client
    return int((await client.time())[0])


async def planted(api: Api) -> tuple[Keys, Any, int, int]:
    """A campaign with counters of a month: its keys, itself, the serial of its revision, and the present."""
    await api.world()
    await api.creative("one")
    services = api.held.services
    client: Any = services.client
    campaign: Any = await services.catalog.get("campaign", "one")
    _, things = await services.catalog.load_all()
    creative: Any = next(one for name, one in things.items() if name.startswith("creative:"))
    revision, keys, now = creative.revisions[0].serial, services.keys, await real_now(api)
    tag = tag_of(campaign.serial)
    for age_s, count in ((0, 5), (DAY_S, 7), (2 * DAY_S, 1), (30 * DAY_S, 11), (40 * DAY_S, 100)):
        bucket = bucket_of(now - age_s)
        cells = {f"1.{revision}.1.1.i": count, f"1.{revision}.1.1.c": 1, f"1.{revision}.1.1.s": 900, "1.77.1.1.i": 3}
        await client.hset(keys.counters(tag, bucket), mapping=cells)
        await client.zadd(keys.buckets(tag), {str(bucket): bucket})
    moved = await roll_up(
        client, keys, now=now, keep_s=35 * DAY_S, day_of=lambda _, at: f"{datetime.fromtimestamp(at, UTC):%Y%m%d}"
    )
    assert moved == 1
    return keys, campaign, revision, now


async def stood(api: Api, keys: Keys, campaign: Any) -> dict[str, str]:
    client: Any = api.held.services.client
    return dict(await client.hgetall(keys.totals(tag_of(campaign.serial))))


async def test_an_older_store_gets_the_totals_of_its_counters(api: Api) -> None:
    """Of quarter-hours and rolled-up days together; local days of the last ones; once, however often it is run."""
    keys, campaign, _, now = await planted(api)
    client: Any = api.held.services.client
    tag, name = tag_of(campaign.serial), str(campaign.serial)
    await client.set(keys.schema, "1")
    await client.delete(keys.totals(tag))
    await schema.check(client, keys, __version__, settle_s=0)
    assert await client.get(keys.schema) == "2"
    assert await stood(api, keys, campaign) == {f"{name}.i": "124", f"{name}.c": "5", "filled": "1"}
    today = local_day(bucket_of(now), zone(campaign.zone))
    for days, impressions in ((0, "5"), (1, "7"), (2, "1")):
        key = keys.today(tag, (today - timedelta(days)).toordinal())
        assert (await client.hget(key, f"{name}.i"), await client.hget(key, f"{name}.c")) == (impressions, "1")
        assert 0 < await client.ttl(key) <= 4 * DAY_S
    assert not await client.exists(keys.today(tag, (today - timedelta(30)).toordinal()))
    await client.hincrby(keys.totals(tag), f"{name}.i", 1)
    await asyncio.gather(fill(client, keys), fill(client, keys))  # late: what was counted since stays
    assert (await stood(api, keys, campaign))[f"{name}.i"] == "125"
    await fill(client, keys, again=True)
    assert (await stood(api, keys, campaign))[f"{name}.i"] == "124"


async def test_the_audit_proves_totals(api: Api) -> None:
    """Of campaigns without caps too; one too many or too few, and a lost one."""
    await api.world()
    await api.creative("one")
    await api.creative("two")
    for _ in range(6):
        one = await api.decide()
        await api.http.get(one["impression_url"])
        await api.http.get(one["click_url"])
    await api.settle()
    services, folder = api.held.services, api.held.settings.data_dir / "spool"
    client: Any = services.client
    found = await audit(services, folder)
    assert (found["agrees"], found["totals"]) == (True, [])
    campaign: Any = await services.catalog.get("campaign", "two")
    key = services.keys.totals(tag_of(campaign.serial))
    right = int(await client.hget(key, f"{campaign.serial}.i"))
    assert right > 0
    for wrong in (right + 1, right - 1, None):
        if wrong is None:
            await client.hdel(key, f"{campaign.serial}.i")
        else:
            await client.hset(key, f"{campaign.serial}.i", wrong)
        found = await audit(services, folder)
        assert not found["agrees"]
        assert found["totals"] == [
            {"campaign": "two", "figure": "impressions", "totals": wrong or 0, "counters": right}
        ]
    await fill(client, services.keys, again=True)
    assert (await audit(services, folder))["agrees"]


async def test_a_late_filling_takes_nothing_back_where_it_found_nothing(api: Api) -> None:
    """Its campaign was first counted after it had read; and a store without counters gets no keys."""
    await api.world()
    await api.creative("one")
    client: Any = api.held.services.client
    keys = api.held.services.keys
    await fill(client, keys)
    assert [key async for key in client.scan_iter(f"{keys.prefix}{{s*}}:t")] == []
    campaign: Any = await api.held.services.catalog.get("campaign", "one")
    await client.hset(keys.totals(tag_of(campaign.serial)), f"{campaign.serial}.i", 3)
    await fill(client, keys)
    assert (await stood(api, keys, campaign)) == {f"{campaign.serial}.i": "3"}
