"""Grants: what campaigns with goals and caps may have is handed out ahead, and never passed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adserve.core.grants import Ask, Ceilings, Quota
from adserve.core.hands import Taking
from adserve.core.schedule import bucket_of
from adserve.core.terms import Terms
from adserve.core.token import Serve
from adserve.store.batch import Item
from adserve.store.client import Redis
from adserve.store.grants import Grants
from adserve.store.keys import HOUR_S, Keys
from adserve.store.ledger import Ledger
from adserve.store.spaces import Spaces
from adserve.store.spool import Event, Spool

NOW = 1_800_000_000 - 1_800_000_000 % HOUR_S
TAG, CAMPAIGN = 3, 19
DAYS = (700_000, 700_001)


class World:
    """One campaign in the store, and beside it the same as a value."""

    def __init__(self, client: Redis, folder: Path, ceilings: Ceilings) -> None:
        self.keys = Keys(f"t{os.urandom(6).hex()}:")
        self.ceilings = ceilings
        self.grants = Grants(client, self.keys)
        spaces = Spaces()
        self.spaces = spaces
        self.ledger = Ledger(client, self.keys, spaces, Spool(folder, "p:", 1), click_lifetime_s=86_400)
        self.model = Quota()
        self.client: Any = client

    @property
    def limits(self) -> str:
        return ":".join("-" if one is None else str(one) for one in (*self.ceilings, None, None))

    def serve(self, grant: int) -> Serve:
        issued, ordinal = self.spaces.take(TAG, NOW)
        return Serve(self.spaces.incarnation, ordinal, issued, 1, 11, grant, TAG, 1, 1)

    async def event(self, serve: Serve, kind: str, day: int, now: int, verdict: str = "count") -> str:
        event = Event(kind, serve, verdict, campaign=CAMPAIGN, day=day, limits=self.limits)
        item = Item(event, now, asyncio.get_running_loop().create_future(), 0.0, False)
        return (await self.ledger.apply([item], now))[0]

    async def close(self) -> None:
        """Gives its connections back."""
        await self.grants.hang_up()
        await self.ledger.hang_up()

    async def confirmed(self) -> tuple[int, dict[int, int]]:
        total = int(await self.client.hget(self.keys.totals(TAG), f"{CAMPAIGN}.i") or 0)
        days = {}
        for day in DAYS:
            days[day] = int(await self.client.hget(self.keys.today(TAG, day), f"{CAMPAIGN}.i") or 0)
        return total, days


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 3), st.integers(1, 30), st.sampled_from(DAYS), st.integers(-1, 40)),
        st.tuples(st.just("event"), st.integers(0, 12), st.sampled_from(DAYS), st.sampled_from("iv")),
        st.tuples(st.just("back"), st.integers(0, 12), st.integers(0, 30)),
        st.tuples(st.just("wait"), st.integers(1, 200)),
    ),
    max_size=40,
)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(total=st.none() | st.integers(1, 30), daily=st.none() | st.integers(1, 20), steps=STEPS)
async def test_the_scripts_do_what_the_rule_says(
    client: Redis, tmp_path: Path, total: int | None, daily: int | None, steps: list[tuple[Any, ...]]
) -> None:
    """Takes, retries, events in time, late, of foreign and closed grants, things given back, and time: step by step the
    store answers like the value, and neither ever passes a ceiling."""
    world = World(client, tmp_path, Ceilings(total, daily))
    try:
        await _run(world, total, daily, steps)
    finally:
        await world.close()


async def _run(world: World, total: int | None, daily: int | None, steps: list[tuple[Any, ...]]) -> None:
    ceilings = world.ceilings
    now, made = NOW, 0
    names: list[str] = []
    for step in steps:
        match step:
            case ("take", worker, asked, day, plan):
                made += 1
                name = f"{worker}:{made}" if worker < 3 else f"{world.spaces.incarnation:x}:{made}"
                names.append(name)
                ask = Ask(name, asked, day, ceilings, plan if plan >= 0 else None, now + 20, now + 60, 2)
                for _ in range(2):  # the second is a retry
                    (found,) = await world.grants.take([Taking(CAMPAIGN, ask, {})], now)
                    assert found is not None
                    assert found.quoted == world.model.take(ask, now)
            case ("back", which, issued) if names:
                back = {names[which % len(names)]: issued}
                ask = Ask("-", 0, DAYS[0], ceilings, None, 0, 0, 1)
                (found,) = await world.grants.take([Taking(CAMPAIGN, ask, back)], now)
                expected = world.model.take(ask, now, back)
                assert found is not None
                assert found.quoted == expected
            case ("event", which, day, kind):
                number = int(names[which % len(names)].partition(":")[2]) if names else 0
                serve = world.serve(number)
                name = f"{serve.incarnation:x}:{number}"
                counts = world.model.confirm(name, day, now, ceilings)
                outcome = await world.event(serve, kind, day, now)
                assert outcome == ("counted" if counts else "filtered:cap")
                assert await world.event(serve, kind, day, now) == "duplicate"
            case ("wait", seconds):
                now += seconds
        found_total, days = await world.confirmed()
        assert (found_total, days) == (world.model.total, {day: world.model.days.get(day, 0) for day in DAYS})
        assert total is None or found_total <= total
        assert daily is None or max(days.values()) <= daily


async def test_totals_count_every_campaign_once(client: Redis, tmp_path: Path) -> None:
    """Also one without limits, so that a cap that it gets later knows its past; clicks beside impressions."""
    world = World(client, tmp_path, Ceilings(None, None))
    for n in range(5):
        serve = world.serve(0)
        for kind in "ivvc"[: 2 + n % 3]:
            await world.event(serve, kind, DAYS[0], NOW)
    assert await world.confirmed() == (5, {DAYS[0]: 5, DAYS[1]: 0})
    bot = world.serve(0)
    assert await world.event(bot, "i", DAYS[0], NOW, "bot") == "filtered:bot"
    assert (await world.confirmed())[0] == 5
    assert await world.client.ttl(world.keys.totals(TAG)) == -1
    assert 0 < await world.client.ttl(world.keys.today(TAG, DAYS[0])) <= 4 * 86_400


@pytest.mark.parametrize("lowered", [Ceilings(2, None), Ceilings(None, 2)])
async def test_a_ceiling_that_is_lowered_holds_for_open_grants_too(
    client: Redis, tmp_path: Path, lowered: Ceilings
) -> None:
    """What was handed out under a higher one is no right to pass it; the value does the same."""
    world = World(client, tmp_path, Ceilings(10, 10))
    ask = Ask(f"{world.spaces.incarnation:x}:1", 5, DAYS[0], world.ceilings, None, NOW + 20, NOW + 60, 1)
    (taken,) = await world.grants.take([Taking(CAMPAIGN, ask, {})], NOW)
    assert taken is not None
    assert taken.quoted == world.model.take(ask, NOW)
    assert taken.quoted.size == 5
    world.ceilings = lowered
    for _ in range(4):
        counts = world.model.confirm(ask.grant, DAYS[0], NOW, lowered)
        assert await world.event(world.serve(1), "i", DAYS[0], NOW) == ("counted" if counts else "filtered:cap")
    assert (await world.confirmed())[0] == world.model.total == 2


@pytest.mark.parametrize(("day", "passed_s", "counts"), [(0, 59, True), (0, 60, False), (1, 0, False)])
async def test_a_grant_is_for_its_time_and_day(
    client: Redis, tmp_path: Path, day: int, passed_s: int, counts: bool
) -> None:
    """Beyond them a serve has none, and all that is left is held by others; the value says the same."""
    world = World(client, tmp_path, Ceilings(2, None))
    for owner in (f"{world.spaces.incarnation:x}", "1"):
        ask = Ask(f"{owner}:1", 5, DAYS[0], world.ceilings, None, NOW + 20, NOW + 60, 1)
        (taken,) = await world.grants.take([Taking(CAMPAIGN, ask, {})], NOW)
        assert taken is not None
        assert taken.quoted == world.model.take(ask, NOW)
        assert taken.quoted.size == 1
    serve = world.serve(1)
    assert world.model.confirm(f"{serve.incarnation:x}:1", DAYS[day], NOW + passed_s, world.ceilings) is counts
    outcome = await world.event(serve, "i", DAYS[day], NOW + passed_s)
    assert outcome == ("counted" if counts else "filtered:cap")


async def test_a_prefetch_that_becomes_valid_needs_an_allowance_too(client: Redis, tmp_path: Path) -> None:
    """Without one it stays what it was."""
    world = World(client, tmp_path, Ceilings(1, None))
    first, second = world.serve(0), world.serve(0)
    for serve in (first, second):
        assert await world.event(serve, "i", DAYS[0], NOW, "prefetch") == "filtered:prefetch"
    assert await world.event(first, "i", DAYS[0], NOW) == "counted"
    assert await world.event(second, "i", DAYS[0], NOW) == "duplicate"
    assert await world.event(second, "v", DAYS[0], NOW) == "filtered:cap"
    assert (await world.confirmed())[0] == 1


async def test_clicks_beyond_a_ceiling_are_set_aside(client: Redis, tmp_path: Path) -> None:
    """In all and of the day; impressions go on."""
    world = World(client, tmp_path, Ceilings(None, None))

    async def click(limits: str, day: int) -> str:
        serve = world.serve(0)
        event = Event("c", serve, "count", campaign=CAMPAIGN, day=day, limits=limits)
        item = Item(event, NOW, asyncio.get_running_loop().create_future(), 0.0, False)
        assert await world.event(serve, "i", day, NOW) == "counted"
        return (await world.ledger.apply([item], NOW))[0]

    assert [await click("-:-:3:2", DAYS[0]) for _ in range(3)] == ["counted", "counted", "filtered:cap"]
    assert [await click("-:-:3:2", DAYS[1]) for _ in range(2)] == ["counted", "filtered:cap"]


async def test_a_spoilt_key_of_a_campaign_fails_its_events_alone(client: Redis, tmp_path: Path) -> None:
    """Nothing of them is written, and takes say it."""
    world = World(client, tmp_path, Ceilings(10, None))
    await world.client.set(world.keys.grants(TAG, CAMPAIGN), "x")
    serve, other = world.serve(0), world.serve(0)
    assert await world.event(serve, "i", DAYS[0], NOW) == "failed"
    terms = Terms("", "", 35, "", 0, "UTC")
    event = Event("i", other, "count", campaign=terms.campaign, day=DAYS[0])
    item = Item(event, NOW, asyncio.get_running_loop().create_future(), 0.0, False)
    assert await world.ledger.apply([item], NOW) == ["counted"]
    ask = Ask("1:1", 5, DAYS[0], world.ceilings, None, NOW + 20, NOW + 60, 1)
    taken = await world.grants.take([Taking(CAMPAIGN, ask, {}), Taking(35, ask, {})], NOW)
    assert taken[0] is None
    assert taken[1] is not None
    await world.client.delete(world.keys.grants(TAG, CAMPAIGN))
    assert await world.event(serve, "i", DAYS[0], NOW) == "counted"
    assert await world.client.hget(world.keys.counters(TAG, bucket_of(NOW)), "1.11.1.1.i") == "2"
