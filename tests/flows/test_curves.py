"""Learning when requests come, from counters in the real store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adserve.core.catalog import Catalog
from adserve.core.curve import UNIT, Learned
from adserve.core.model import Campaign
from adserve.core.schedule import BUCKET_S
from adserve.flows.curves import SETTLE_S, Curves, follow, learn, load
from adserve.store.client import connect
from adserve.store.curves import CurveStore, pack, unpack
from adserve.wiring import Running
from tests.conftest import Api, Clock
from tests.store.counters import count

HOUR = 1_800_000_000
"""Where the frozen clock begins: a Friday, 08:00 UTC, 13:30 in Kolkata."""
QUARTER = 4 * 96 + 54


@pytest.fixture
async def catalog(api: Api, held: Running) -> Catalog:
    """Of two slots of `news`, on a worker whose own task has had its round and rests for some seconds."""
    await api.world(slots=("top", "side"), timezone="Asia/Kolkata")
    store = CurveStore(held.services.client, held.services.keys)
    for _ in range(1_000):
        if await store.folded():
            break
        await asyncio.sleep(0.01)
    assert held.worker.catalog is not None
    return held.worker.catalog


def serial(catalog: Catalog, slot: str = "top") -> int:
    return catalog.slots[f"news/{slot}"].slot.serial


async def put(held: Running, when: int, cells: dict[str, int], tag: int = 0) -> None:
    await count(held.services.client, held.services.keys, when, cells, tag)


async def catch_up(held: Running, catalog: Catalog, rounds: int = 200) -> int:
    """Learns until nothing is left; in how many rounds."""
    for at in range(1, rounds):
        if not await learn(held.services, catalog, "me"):
            return at
    raise AssertionError("it never ends")


async def of(held: Running) -> dict[int, Learned]:
    return await CurveStore(held.services.client, held.services.keys).read()


async def test_a_complete_quarter_hour_is_folded_once(catalog: Catalog, held: Running, clock: Clock) -> None:
    """Serves, passbacks and empty decisions of all tags are requests; events are none. Before its time nothing is."""
    slot = serial(catalog)
    await put(held, HOUR, {f"{slot}.5.1.1.s": 30, f"{slot}.5.1.1.i": 29, f"{slot}.5.1.2.s": 5}, tag=3)
    await put(held, HOUR, {f"{slot}.0.0.1.e.ended": 4, f"{slot}.6.1.1.p": 1, "garbage": 9, "99.5.1.1.s": 7}, tag=9)
    await put(held, HOUR + BUCKET_S, {f"{slot}.5.1.1.s": 1_000}, tag=3)
    clock.now = HOUR + BUCKET_S + SETTLE_S
    assert await catch_up(held, catalog) == 1
    week = (await of(held))[slot]
    assert week.averages[QUARTER] == 40 * UNIT
    assert sum(week.weeks) == 1
    assert set(await of(held)) == {slot}
    assert await catch_up(held, catalog) == 1
    assert (await of(held))[slot] == week
    clock.now += BUCKET_S
    assert await catch_up(held, catalog) == 1
    assert (await of(held))[slot].averages[QUARTER + 1] == 1_000 * UNIT


async def test_what_was_missed_is_caught_up_and_an_outage_says_nothing(
    catalog: Catalog, held: Running, clock: Clock
) -> None:
    """Quarters with counters of anyone tell of slots without requests too; those without any tell nothing, save the
    newest, which this worker saw."""
    slot, other = serial(catalog), serial(catalog, "side")
    first = HOUR - 3 * 86_400
    await held.services.client.delete(held.services.keys.curves_at)
    await put(held, first, {f"{slot}.5.1.1.s": 8})
    await put(held, first + BUCKET_S, {f"{other}.5.1.1.s": 8})
    clock.now = HOUR + BUCKET_S + SETTLE_S
    assert await catch_up(held, catalog) == 2
    at = QUARTER - 3 * 96
    weeks = await of(held)
    assert [weeks[slot].weeks[at], weeks[slot].weeks[at + 1], weeks[slot].weeks[at + 2]] == [1, 1, 0]
    assert weeks[slot].averages[at : at + 2] == (8 * UNIT, 0)
    assert weeks[slot].weeks[QUARTER] == 1
    assert sum(weeks[slot].weeks) == 3
    assert weeks[other].weeks[at] == 0


async def test_two_workers_at_once_learn_the_same_as_one(catalog: Catalog, held: Running, clock: Clock) -> None:
    """Even when the claim of the first has run out while it still works."""
    slot = serial(catalog)
    clock.now = HOUR + SETTLE_S
    await catch_up(held, catalog)
    await put(held, HOUR, {f"{slot}.5.1.1.s": 30})
    clock.now = HOUR + BUCKET_S + SETTLE_S
    claim = held.services.keys.curves_claim
    await held.services.client.set(claim, "another")
    assert not await learn(held.services, catalog, "me")
    assert not await of(held)
    await held.services.client.delete(claim)

    async def without_claim() -> bool:
        await held.services.client.delete(claim)
        return await learn(held.services, catalog, "me")

    await asyncio.gather(*(without_claim() for _ in range(5)))
    week = (await of(held))[slot]
    assert (week.averages[QUARTER], sum(week.weeks)) == (30 * UNIT, 1)
    assert await held.services.client.get(claim) is None


async def test_a_clock_that_was_set_back_learns_nothing_twice(catalog: Catalog, held: Running, clock: Clock) -> None:
    slot = serial(catalog)
    await put(held, HOUR, {f"{slot}.5.1.1.s": 30})
    clock.now = HOUR + BUCKET_S + SETTLE_S
    await catch_up(held, catalog)
    before = await of(held)
    clock.now = HOUR - 86_400
    assert await catch_up(held, catalog) == 1
    assert await of(held) == before


async def test_a_campaign_gets_the_curve_of_all_slots_it_books(catalog: Catalog, held: Running, clock: Clock) -> None:
    """Made once, until something is newly learned."""
    for one in catalog.slots.values():
        await put(held, HOUR, {f"{one.slot.serial}.5.1.1.s": 10})
    whole, single = (
        Campaign(id="a", serial=1, version=1, advertiser="acme", name="A", zone="Asia/Kolkata", slots=(place,))
        for place in ("news/*", "news/top")
    )
    curves = Curves()
    assert curves.of(whole, catalog, HOUR) is None
    clock.now = HOUR + BUCKET_S + SETTLE_S
    await catch_up(held, catalog)
    await load(held.services, curves)
    both, alone = curves.of(whole, catalog, HOUR), curves.of(single, catalog, HOUR)
    assert both is not None
    assert alone is not None
    assert both is curves.of(whole, catalog, HOUR)
    assert both.weights[QUARTER] == 2 * alone.weights[QUARTER]
    version = curves.version
    await load(held.services, curves)
    assert curves.version == version
    assert both is curves.of(whole, catalog, HOUR)


async def test_weeks_that_are_none_are_learned_anew(catalog: Catalog, held: Running, clock: Clock) -> None:
    """What somebody else wrote there, of strange lengths or types, never stops a worker; slots that are gone are
    forgotten."""
    slot = serial(catalog)
    keys, client = held.services.keys, held.services.client
    good = pack(Learned().seen([(1, 5)], HOUR))
    strange: dict[Any, Any] = {str(slot): "!!", "abc": good, "7777": good, "7778": good[:-8]}
    await client.hset(keys.curves, mapping=strange)
    await client.set(keys.curves_at, "soon")
    await put(held, HOUR, {f"{slot}.5.1.1.s": 30})
    clock.now = HOUR + BUCKET_S + SETTLE_S
    await catch_up(held, catalog)
    assert (await of(held))[slot].averages[QUARTER] == 30 * UNIT
    assert set(await of(held)) == {slot}


def test_a_week_comes_back_as_it_was_packed() -> None:
    learned = Learned().seen([(quarter, quarter * 1000) for quarter in range(672)], HOUR)
    assert unpack(pack(learned)) == learned
    assert unpack("") is None
    huge = Learned().seen([(0, 10**12)], HOUR)
    assert unpack(pack(huge)) is not None


async def test_a_worker_follows_what_is_learned(catalog: Catalog, held: Running, clock: Clock) -> None:
    """Also by a store that is away at first."""
    slot = serial(catalog)
    await put(held, HOUR, {f"{slot}.5.1.1.s": 30})
    clock.now = HOUR + BUCKET_S + SETTLE_S
    curves = Curves()
    asked = 0

    def known() -> Catalog | None:
        nonlocal asked
        asked += 1
        return catalog

    task = asyncio.create_task(follow(held.services, curves, known))
    try:
        for _ in range(1_000):
            await asyncio.sleep(0.01)
            if curves.week(slot):
                break
    finally:
        task.cancel()
    assert curves.week(slot)
    away = connect("unix:///nowhere/at/all.sock")
    held.services.client = away
    task = asyncio.create_task(follow(held.services, curves, known))
    before = asked
    for _ in range(100):
        await asyncio.sleep(0.01)
        if asked > before:
            break
    assert asked > before
    assert not task.done()
    task.cancel()
