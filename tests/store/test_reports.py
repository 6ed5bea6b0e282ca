"""Counters in the real store: read by range, and questions about old times."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from adserve.core.access import OPERATOR
from adserve.core.report_names import Names
from adserve.core.schedule import BUCKET_S, day_bounds, local_day, parse_moment
from adserve.errors import Invalid, NotFound, StoreUnavailable
from adserve.flows.report import report, roll_up_old
from adserve.store import reports as module
from adserve.store.client import Redis, connect
from adserve.store.keys import Keys
from adserve.store.reports import Days, last_day, read_cells
from adserve.wiring import Running
from tests.core.report_world import things
from tests.store.counters import DAY_S, KEEP_S, KOLKATA, NEWS, NOW, ask, at, count, fill, move


@pytest.fixture
def names() -> Names:
    return Names(things())


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


async def test_old_days_of_a_campaign_are_those_of_the_sites_with_its_figures(
    client: Redis, keys: Keys, names: Names
) -> None:
    """Not of those that it books without any. Whether they were rolled up yet makes no difference."""
    await count(client, keys, at("2026-10-02T10:00"), {"1.11.1.1.i": 4, "1.21.1.1.i": 2}, tag=1)
    await count(client, keys, at("2026-10-03T10:00"), {"1.31.1.1.i": 1, "3.31.1.1.i": 1}, tag=2)
    asked = {"from": "2026-10-01", "to": "2026-10-05", "tz": "Asia/Kolkata"}
    for _ in range(2):
        for filters, told in (({"campaign": "c1"}, 6), ({"advertiser": "acme"}, 6), ({"creative": "k2"}, 2)):
            found = await ask(client, keys, names, {**asked, **filters})
            assert [(row["day"], row["impressions"]) for row in found["rows"]] == [("2026-10-02", told)]
        for filters in ({"campaign": "c2"}, {"creative": "k3"}, {"campaign": "c1", "tz": "UTC"}):
            with pytest.raises(Invalid, match="one site") as caught:
                await ask(client, keys, names, {**asked, **filters})
            assert caught.value.code == "rolled_up"
        assert (await ask(client, keys, names, {**asked, "campaign": "c2", "site": "news"}))["totals"][
            "impressions"
        ] == 1
        await move(client, keys, names)


async def test_a_report_of_a_campaign_reads_its_hash_tag_alone(client: Redis, keys: Keys, names: Names) -> None:
    """Whatever lies under others, also what cannot be read there, is not looked at."""
    await count(client, keys, at("2026-11-23T10:00"), {"1.11.1.1.i": 4, "1.21.1.1.i": 2}, tag=1)
    for tag in (0, *range(2, 16)):
        await client.set(keys.buckets(tag), "x")
    for filters, told in (({"campaign": "c1"}, 6), ({"creative": "k1"}, 4), ({"advertiser": "acme"}, 6)):
        found = await ask(client, keys, names, filters)
        assert (found["totals"]["impressions"], found["unreadable"]) == (told, 0)
    assert (await ask(client, keys, names))["unreadable"] == 15


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


async def test_a_report_of_a_running_service(held: Running) -> None:
    """The flow takes names from the stored catalog, in JSON and CSV, and rolls up on the same clock."""
    services = held.services
    for thing in things():
        name = f"{type(thing).__name__.lower()}:{thing.id}"
        await services.client.hset(services.keys.objects, name, msgspec.json.encode(thing))
        await services.client.zadd(services.keys.changed, {name: await services.client.incr(services.keys.version)})
    now = int(services.clock())
    await count(services.client, services.keys, now - now % BUCKET_S, {"1.11.1.1.s": 3, "1.11.1.1.i": 3})
    told = await report(services, {"by": "slot,creative", "site": "news"}, OPERATOR)
    assert isinstance(told, dict)
    assert [(row["slot_name"], row["creative_name"], row["impressions"]) for row in told["rows"]] == [
        ("Top Post Ad", "K1", 3)
    ]
    text = await report(services, {"by": "slot", "site": "news", "format": "csv"}, OPERATOR)
    assert isinstance(text, str)
    assert "news/top,Top Post Ad,3,0,3,3," in text
    old = now - now % BUCKET_S - services.keep_buckets_s - BUCKET_S
    await count(services.client, services.keys, old, {"1.11.1.1.i": 3})
    _, catalog = await services.catalog.load_all()
    assert await roll_up_old(services, catalog) == 1
    assert await last_day(services.client, services.keys, date(2100, 1, 1)) == local_day(old, KOLKATA)
