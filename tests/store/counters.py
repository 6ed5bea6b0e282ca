"""Builders of the report tests: counters in the real store, and reports over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adserve.core.report_names import Names
from adserve.core.schedule import local_day, parse_moment, zone
from adserve.flows.report import make_report
from adserve.store.client import Redis
from adserve.store.keys import Keys
from adserve.store.reports import roll_up

NOW = 1_795_500_000
"""2026-11-24 06:00 UTC."""
DAY_S = 86_400
KEEP_S = 35 * DAY_S
KOLKATA = zone("Asia/Kolkata")
NEWS = {"site": "news", "from": "2026-10-01", "to": "2026-11-25"}


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
        await count(client, keys, at(text), {"1.0.0.1.e.paused": 4, "3.0.0.1.e.ended": 5}, tag=2)
