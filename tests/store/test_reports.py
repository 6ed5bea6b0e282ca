"""Counters in the real store: read by range, rolled up once, the same report before and after."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from datetime import date
from typing import Any

import msgspec
import pytest

from adserve.core.report_names import Names
from adserve.core.schedule import BUCKET_S, day_bounds, local_day, parse_moment, zone
from adserve.errors import Invalid, NotFound, StoreUnavailable
from adserve.flows.report import make_report, report, roll_up_old
from adserve.store import reports as module
from adserve.store.client import Redis, connect
from adserve.store.embedded import EmbeddedStore
from adserve.store.keys import Keys
from adserve.store.reports import Days, last_day, read_cells, roll_up
from adserve.wiring import Running
from tests.core.report_world import things

NOW = 1_795_500_000
"""2026-11-24 06:00 UTC."""
DAY_S = 86_400
KEEP_S = 35 * DAY_S
KOLKATA = zone("Asia/Kolkata")
NEWS = {"site": "news", "from": "2026-10-01", "to": "2026-11-25"}


@pytest.fixture
async def client(store: EmbeddedStore) -> AsyncIterator[Redis]:
    found = connect(store.url)
    yield found
    await found.aclose()


@pytest.fixture
def keys() -> Keys:
    return Keys(f"t{os.urandom(6).hex()}:")


@pytest.fixture
def names() -> Names:
    return Names(things())


def at(text: str) -> int:
    """The quarter-hour of a local time of Kolkata."""
    return parse_moment(f"{text}:00+05:30", KOLKATA)


async def count(client: Redis, keys: Keys, when: int, cells: Mapping[Any, Any], tag: int = 1) -> None:
    await client.hset(keys.counters(tag, when), mapping=dict(cells))
    await client.zadd(keys.buckets(tag), {str(when): when})


async def ask(
    client: Redis,
    keys: Keys,
    names: Names,
    asked: Mapping[str, str] | None = None,
    *,
    keep_s: int = KEEP_S,
    **more: str,
) -> Any:
    return await make_report(
        client, keys, names, {**(asked or {}), **more}, now=NOW, click_lifetime_s=DAY_S, keep_s=keep_s
    )


def mover(names: Names) -> Any:
    def day_of(slot: int, bucket: int) -> str:
        return local_day(bucket, names.zone_of(slot)).strftime("%Y%m%d")

    return day_of


async def move(client: Redis, keys: Keys, names: Names, keep_s: int = KEEP_S) -> int:
    return await roll_up(client, keys, now=NOW, keep_s=keep_s, day_of=mover(names))


async def fill(client: Redis, keys: Keys) -> None:
    """Two months, also at the edges of local days, in two tags and two sites of different zones."""
    for n, text in enumerate(["2026-10-01T00:00", "2026-10-01T23:45", "2026-10-02T00:00", "2026-10-20T05:15",
                              "2026-10-20T11:15", "2026-10-20T23:45", "2026-11-23T12:00"], 1):  # fmt: skip
        ads = {"1.11.1.1.s": n, "1.11.1.1.i": n + 1, "1.11.1.2.s": 9, "1.11.1.2.i": 2, "1.11.1.1.m.INR": 10 * n}
        await count(client, keys, at(text), {**ads, "1.12.1.1.i": 3, "3.21.1.1.i": 100, "1.11.1.1.fi.bot": 1})
        await count(client, keys, at(text), {"1.0.0.1.q": 30, "1.0.0.1.e.paused": 4, "3.0.0.1.q": 5}, tag=2)


# --------------------------------------------------------------------------------------- reading


async def test_a_report_reads_the_real_store(client: Redis, keys: Keys, names: Names) -> None:
    """The range is half-open, all tags are read, and hours are those of the zone."""
    for tag in range(16):
        await count(client, keys, at("2026-11-23T10:15"), {"1.11.1.1.i": 1}, tag)
    await count(client, keys, at("2026-11-23T12:00"), {"1.11.1.1.i": 50})
    await count(client, keys, at("2026-11-23T09:45"), {"1.11.1.1.i": 50})
    span = {"from": "2026-11-23T10:00:00+05:30", "to": "2026-11-23T12:00:00+05:30"}
    found = await ask(client, keys, names, span, by="hour", site="news")
    assert [(row["hour"], row["impressions"]) for row in found["rows"]] == [("2026-11-23T10:00:00+05:30", 16)]
    assert found["tz"] == "Asia/Kolkata"


async def test_more_hashes_than_one_pipeline_are_all_read(client: Redis, keys: Keys, names: Names) -> None:
    for n in range(3 * module.HASHES_AT_ONCE + 1):
        await count(client, keys, at("2026-11-20T00:00") + n * BUCKET_S, {"1.11.1.1.i": 1})
    found = await ask(client, keys, names, site="news", by="")
    assert found["totals"]["impressions"] == 3 * module.HASHES_AT_ONCE + 1


async def test_strange_things_in_the_store_are_reported(client: Redis, keys: Keys, names: Names) -> None:
    """Text for a count, bytes for a field, a list for a hash, a word in the index, a string for it."""
    when = at("2026-11-23T10:00")
    await count(client, keys, when, {"1.11.1.1.i": 4, "1.11.1.1.s": "abc", b"\xff\xfe": 1, "1.11.1.1.v": b"\xff"})
    await client.rpush(keys.counters(1, when + BUCKET_S), "x")
    await client.zadd(keys.buckets(1), {str(when + BUCKET_S): when + BUCKET_S, "word": when, str(when + 1800): when})
    await client.set(keys.buckets(2), "x")
    await client.set(keys.days(3), "x")
    found = await ask(client, keys, names, site="news", by="day")
    assert found["unreadable"] == 3 + 1 + 1 + 1
    assert found["totals"]["impressions"] == 4
    assert found["notes"]


async def test_a_store_that_is_away_is_unavailable(tmp_path: Any, keys: Keys, names: Names) -> None:
    away = connect(f"unix://{tmp_path}/none.sock")
    with pytest.raises(StoreUnavailable):
        await ask(away, keys, names)
    await away.aclose()


@pytest.mark.parametrize("filters", [{"site": "x"}, {"advertiser": "zeta", "campaign": "c1"}, {"creative": "nope"}])
async def test_a_filter_that_names_nothing_is_not_found(
    client: Redis, keys: Keys, names: Names, filters: dict[str, str]
) -> None:
    """Someone else's campaign and one that is not there are told alike."""
    with pytest.raises(NotFound, match=r"there is no \w+ with this id"):
        await ask(client, keys, names, filters)


# ------------------------------------------------------------------------------------- rolling up


@pytest.mark.parametrize(
    "by", ["", "day", "week", "month", "day,slot,creative,device", "filter_reason", "empty_reason"]
)
@pytest.mark.parametrize("site", ["news", "blog"])
async def test_days_say_the_same_after_rolling_up(client: Redis, keys: Keys, names: Names, by: str, site: str) -> None:
    """In each site's own zone; serves that only impressions prove keep their number."""
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
    assert (cells["1.11.1.1.i"], cells["1.11.1.1.s"], cells["1.11.1.2.s"]) == ("5", "5", "18")
    assert await client.hget(keys.day(1, "20260930"), "3.21.1.1.i") == "100", "Berlin was a day behind"
    assert await client.zrange(keys.days(1), 0, -1) == ["20260930", "20261001", "20261002", "20261020"]


async def test_racing_workers_roll_up_once(store: EmbeddedStore, client: Redis, keys: Keys, names: Names) -> None:
    """Eight connections at once move each quarter-hour exactly once."""
    for n in range(40):
        await count(client, keys, at("2026-10-01T00:00") + n * BUCKET_S, {"1.11.1.1.i": 1})
    before = await ask(client, keys, names, NEWS)
    clients = [connect(store.url) for _ in range(8)]
    moved = await asyncio.gather(*(move(one, keys, names) for one in clients))
    assert sum(moved) == 40
    assert await ask(client, keys, names, NEWS) == before
    for one in clients:
        await one.aclose()


async def test_a_report_during_rolling_up_misses_and_doubles_nothing(
    store: EmbeddedStore, client: Redis, keys: Keys, names: Names
) -> None:
    """Whatever moves while it reads, the answer is that of before."""
    for n in range(400):
        await count(client, keys, at("2026-10-01T00:00") + n * BUCKET_S, {"1.11.1.1.i": 1})
    other = connect(store.url)
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
    assert (found["totals"]["impressions"], found["totals"]["serves"], found["totals"]["views"]) == (4, 4, 2)
    assert found["unreadable"] == 3 + 1 + 1 + 1, "cells, the spoilt sum, the bad day, the list"


async def test_an_index_entry_without_counters_is_dropped(client: Redis, keys: Keys, names: Names) -> None:
    await client.zadd(keys.buckets(1), {"1790000100": 1790000100})
    assert await move(client, keys, names) == 0
    assert await client.exists(keys.buckets(1)) == 0


# ------------------------------------------------------------------------ questions about old times


@pytest.mark.parametrize(
    ("params", "pointers"),
    [
        ({"by": "hour"}, ["/by"]),
        ({"by": "day", "tz": "UTC"}, ["/from", "/to", "/tz"]),
        ({"from": "2026-10-01T12:00:00+05:30"}, ["/from"]),
        ({"to": "2026-10-05T12:00:00+05:30"}, ["/to"]),
        ({"by": "hour", "tz": "Europe/Berlin", "to": "2026-11-24"}, ["/by", "/tz"]),
    ],
)
async def test_what_only_quarter_hours_could_answer_is_refused(
    client: Redis, keys: Keys, names: Names, params: dict[str, str], pointers: list[str]
) -> None:
    """Whether or not anything was rolled up yet: the answer must not depend on the hour of upkeep."""
    asked = {**NEWS, **params}
    if params.get("tz") == "UTC":
        asked |= {"from": "2026-10-01T01:00:00Z", "to": "2026-10-05T01:00:00Z"}
    with pytest.raises(Invalid) as caught:
        await ask(client, keys, names, asked)
    assert caught.value.code == "rolled_up"
    assert [problem.pointer for problem in caught.value.problems] == pointers


async def test_old_days_of_sites_in_two_zones_need_a_site(client: Redis, keys: Keys, names: Names) -> None:
    with pytest.raises(Invalid, match="one site"):
        await ask(client, keys, names, {"from": "2026-10-01", "to": "2026-10-05", "tz": "Asia/Kolkata"})
    assert await ask(client, keys, names, {"from": "2026-10-01", "to": "2026-10-05", "slot": "foot"})


async def test_another_name_of_the_same_zone_is_the_same_zone(client: Redis, keys: Keys, names: Names) -> None:
    await fill(client, keys)
    await move(client, keys, names)
    told = [await ask(client, keys, names, NEWS, tz=tz) for tz in ("Asia/Kolkata", "Asia/Calcutta")]
    assert told[0]["rows"] == told[1]["rows"]


async def test_younger_times_answer_by_hour_in_any_zone(client: Redis, keys: Keys, names: Names) -> None:
    """Also the rest of the day that the limit falls into, whose beginning was rolled up."""
    await fill(client, keys)
    await move(client, keys, names)
    start = NOW - KEEP_S - (NOW - KEEP_S) % BUCKET_S
    span = {"from": "2026-10-20T06:00:00Z", "to": "2026-10-22T00:00:00Z"}
    found = await ask(client, keys, names, span, by="hour", tz="America/New_York", site="news")
    assert start == parse_moment(span["from"], KOLKATA)
    assert found["totals"]["impressions"] == 12 - 1 + 1
    assert len(found["rows"]) == 1


async def test_keeping_quarter_hours_longer_loses_no_earlier_days(client: Redis, keys: Keys, names: Names) -> None:
    """Days rolled up under a shorter limit are read under a longer one, and hours of them refused."""
    await fill(client, keys)
    before = await ask(client, keys, names, NEWS, keep_s=60 * DAY_S)
    await move(client, keys, names, keep_s=10 * DAY_S)
    assert await last_day(client, keys, date(2026, 11, 25)) == date(2026, 10, 20)
    assert await ask(client, keys, names, NEWS, keep_s=60 * DAY_S) == before
    with pytest.raises(Invalid, match="2026-10-22"):
        await ask(client, keys, names, {**NEWS, "from": "2026-10-15", "by": "hour"}, keep_s=60 * DAY_S)


async def test_a_range_reads_only_its_days(client: Redis, keys: Keys, names: Names) -> None:
    await fill(client, keys)
    await move(client, keys, names)
    day = date(2026, 10, 1)
    start, end = day_bounds(day, KOLKATA)
    days = Days(day, day, KOLKATA, NOW - KEEP_S)
    kept = [b async for b in read_cells(client, keys, start, end, days=days)]
    assert {batch.when for batch in kept if batch.cells} == {day}


# ------------------------------------------------------------------------------------- the whole flow


async def test_a_report_of_a_running_service(held: Running) -> None:
    """The flow takes names from the stored catalog, in JSON and CSV, and rolls up on the same clock."""
    services = held.services
    for thing in things():
        kind = type(thing).__name__.lower()
        await services.client.hset(services.keys.objects, f"{kind}:{thing.id}", msgspec.json.encode(thing))
    now = int(services.clock())
    await count(services.client, services.keys, now - now % BUCKET_S, {"1.11.1.1.i": 3})
    told = await report(services, {"by": "slot,creative", "site": "news"})
    assert isinstance(told, dict)
    assert [(row["slot_name"], row["creative_name"], row["impressions"]) for row in told["rows"]] == [
        ("Top Post Ad", "K1", 3)
    ]
    text = await report(services, {"by": "slot", "site": "news", "format": "csv"})
    assert isinstance(text, str)
    assert "news/top,Top Post Ad,0,0,3,3," in text
    old = now - now % BUCKET_S - services.keep_buckets_s - BUCKET_S
    await count(services.client, services.keys, old, {"1.11.1.1.i": 3})
    _, catalog = await services.catalog.load_all()
    assert await roll_up_old(services, catalog) == 1
    assert await last_day(services.client, services.keys, date(2100, 1, 1)) == local_day(old, KOLKATA)
