"""Quarter-hours are rolled up once, and reports say the same before, after and meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adserve.core.report_names import Names
from adserve.core.schedule import BUCKET_S
from adserve.store import reports as module
from adserve.store.client import Redis, connect
from adserve.store.keys import Keys
from adserve.store.reports import roll_up
from tests.core.report_world import things
from tests.store.counters import KEEP_S, NEWS, NOW, ask, at, count, fill, move


@pytest.fixture
def names() -> Names:
    return Names(things())


@pytest.mark.parametrize(
    "by", ["", "day", "week", "month", "day,slot,creative,device", "filter_reason", "empty_reason"]
)
@pytest.mark.parametrize("site", ["news", "blog"])
async def test_days_say_the_same_after_rolling_up(client: Redis, keys: Keys, names: Names, by: str, site: str) -> None:
    """In each site's own zone."""
    await fill(client, keys)
    asked = {**NEWS, "site": site, "by": by}
    before = await ask(client, keys, names, asked)
    assert await move(client, keys, names) == 10, "5 quarter-hours of 2 tags are older than 35 days"
    assert await ask(client, keys, names, asked) == before
    assert before["totals"]["impressions"] == (70 if site == "news" else 600)


async def test_rolling_up_twice_changes_nothing(client: Redis, keys: Keys, names: Names) -> None:
    await fill(client, keys)
    assert [await move(client, keys, names) for _ in range(2)] == [10, 0]
    cells = await client.hgetall(keys.day(1, "20261001"))
    assert (cells["1.11.1.1.i"], cells["1.11.1.1.s"], cells["1.11.1.2.s"]) == ("5", "3", "18")
    assert await client.hget(keys.day(1, "20260930"), "3.21.1.1.i") == "100", "Berlin was a day behind"
    assert await client.zrange(keys.days(1), 0, -1) == ["20260930", "20261001", "20261002", "20261020"]


async def test_racing_workers_roll_up_once(store_url: str, client: Redis, keys: Keys, names: Names) -> None:
    """Eight connections at once move each quarter-hour exactly once."""
    for n in range(40):
        await count(client, keys, at("2026-10-01T00:00") + n * BUCKET_S, {"1.11.1.1.i": 1})
    before = await ask(client, keys, names, NEWS)
    clients = [connect(store_url) for _ in range(8)]
    moved = await asyncio.gather(*(move(one, keys, names) for one in clients))
    assert sum(moved) == 40
    assert await ask(client, keys, names, NEWS) == before
    for one in clients:
        await one.aclose()


async def test_a_report_during_rolling_up_misses_and_doubles_nothing(
    store_url: str, client: Redis, keys: Keys, names: Names
) -> None:
    """Whatever moves while it reads, the answer is that of before."""
    for n in range(400):
        await count(client, keys, at("2026-10-01T00:00") + n * BUCKET_S, {"1.11.1.1.i": 1})
    other = connect(store_url)
    moving = asyncio.create_task(move(other, keys, names))
    seen = []
    while not moving.done():
        found = await ask(client, keys, names, NEWS)
        seen.append((found["totals"]["impressions"], moving.done()))
    assert await moving == 400
    assert {impressions for impressions, _ in seen} == {400}
    assert not seen[0][1], "at least one report was made while it moved"
    assert (await ask(client, keys, names, NEWS))["totals"]["impressions"] == 400
    await other.aclose()


@pytest.mark.parametrize("after", [0, 1, 2, 3])
async def test_a_move_between_any_two_reads_is_not_seen(
    client: Redis, keys: Keys, names: Names, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Everything moves right after the first, second, third or last reply that a report gets."""
    await fill(client, keys)
    before = await ask(client, keys, names, NEWS)
    replies: list[Any] = []

    def moving(real: Any) -> Any:
        async def ask_then_move(*args: Any) -> Any:
            found = await real(*args)
            replies.append(found)
            if len(replies) == after + 1:
                assert await move(client, keys, names) == 10
            return found

        return ask_then_move

    monkeypatch.setattr(module, "_indexes", moving(module._indexes))
    monkeypatch.setattr(module, "_at_once", moving(module._at_once))
    assert await ask(client, keys, names, NEWS) == before
    assert len(replies) > after


async def test_late_counts_join_the_day_they_belong_to(client: Redis, keys: Keys, names: Names) -> None:
    """What is counted into a quarter-hour after it moved is moved, and added, by the next round."""
    await fill(client, keys)
    await move(client, keys, names)
    await count(client, keys, at("2026-10-01T00:00"), {"1.11.1.1.i": 10, "2.31.1.1.i": 1})
    assert await move(client, keys, names) == 1
    cells = await client.hgetall(keys.day(1, "20261001"))
    assert (cells["1.11.1.1.i"], cells["2.31.1.1.i"]) == ("15", "1")


async def test_a_slot_that_comes_during_the_move_is_asked_for_again(client: Redis, keys: Keys, names: Names) -> None:
    """The script moves nothing until it knows the day of every slot."""
    when = at("2026-10-01T00:00")
    await count(client, keys, when, {"1.11.1.1.i": 1})

    class Late:
        """A day_of that sees a new slot arrive while it is asked."""

        def __init__(self) -> None:
            self.asked: list[int] = []

        def __call__(self, slot: int, bucket: int) -> str:
            self.asked.append(slot)
            return "20261001"

    late = Late()
    names_of = [keys.counters(1, when), keys.buckets(1), keys.days(1), keys.day(1, "20261001")]
    await client.hset(keys.counters(1, when), "2.31.1.1.i", 7)
    assert await module._ROLL_UP.call(client, names_of, [when, 1, "20261001", "1", 1]) == -1
    assert await client.hgetall(keys.counters(1, when)) == {"1.11.1.1.i": "1", "2.31.1.1.i": "7"}
    assert await client.exists(keys.day(1, "20261001")) == 0
    assert await roll_up(client, keys, now=NOW, keep_s=KEEP_S, day_of=late) == 1
    assert sorted(late.asked) == [1, 2]


async def test_unreadable_counters_survive_rolling_up_as_such(client: Redis, keys: Keys, names: Names) -> None:
    """They stop no move, spoil no sum, and are still reported from the day."""
    when = at("2026-10-01T00:00")
    await count(client, keys, when, {"1.11.1.1.i": 4, "1.11.1.1.s": "abc", b"\xff": 1, "9" * 30 + ".1.1.1.i": 1})
    await client.hset(keys.day(1, "20261001"), mapping={"1.11.1.1.i": "spoilt", "1.11.1.1.v": 2})
    await client.zadd(keys.days(1), {"20261001": 20261001, "20261399": 20261002})
    await client.rpush(keys.counters(1, when + BUCKET_S), "x")
    await client.zadd(keys.buckets(1), {str(when + BUCKET_S): when + BUCKET_S})
    assert await move(client, keys, names) == 1
    found = await ask(client, keys, names, {**NEWS, "from": "2026-09-30"})
    assert (found["totals"]["impressions"], found["totals"]["serves"], found["totals"]["views"]) == (4, 0, 2)
    assert found["unreadable"] == 3 + 1 + 1 + 1, "cells, the spoilt sum, the bad day, the list"


async def test_an_index_entry_without_counters_is_dropped(client: Redis, keys: Keys, names: Names) -> None:
    await client.zadd(keys.buckets(1), {"1790000100": 1790000100})
    assert await move(client, keys, names) == 0
    assert await client.exists(keys.buckets(1)) == 0
