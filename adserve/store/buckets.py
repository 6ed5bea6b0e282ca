"""Counters out of the store: quarter-hours, and the site-local days that old ones are rolled up to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from adserve.core.figures import Count, parse_cell
from adserve.store.client import Redis, Script
from adserve.store.keys import TAGS, Keys

BATCH = 500
"""Hashes read in one pipeline."""
_roll_up = Script("roll_bucket")


async def read_buckets(client: Redis, keys: Keys, start: int, end: int) -> AsyncIterator[Count]:
    """The counts of the quarter-hours in [start, end)."""
    wanted: list[tuple[int, str]] = []
    for tag in range(TAGS):
        for bucket in await client.zrangebyscore(keys.buckets(tag), start, f"({end}"):
            wanted.append((int(str(bucket)), keys.counters(tag, int(str(bucket)))))
    async for count in _read(client, wanted):
        yield count


async def read_days(client: Redis, keys: Keys, first: str, last: str, at: Callable[[str], int]) -> AsyncIterator[Count]:
    """The counts of rolled-up days from `first` to before `last` (`YYYYMMDD`); `at` gives a day's moment."""
    wanted: list[tuple[int, str]] = []
    for tag in range(TAGS):
        for day in await client.zrangebyscore(keys.days(tag), int(first), f"({int(last)}"):
            wanted.append((at(str(day)), keys.day(tag, str(day))))
    async for count in _read(client, wanted):
        yield count


async def _read(client: Redis, wanted: list[tuple[int, str]]) -> AsyncIterator[Count]:
    for begin in range(0, len(wanted), BATCH):
        batch = wanted[begin : begin + BATCH]
        pipe = client.pipeline(transaction=False)
        for _, key in batch:
            pipe.hgetall(key)
        for (at, _), cells in zip(batch, await pipe.execute(raise_on_error=False), strict=True):
            if isinstance(cells, Exception):
                continue
            for cell, value in cells.items():
                count = parse_cell(at, cell, value)
                if count is not None:
                    yield count


async def roll_up(client: Redis, keys: Keys, before: int, day_of: Callable[[int, int], str]) -> int:
    """Moves the quarter-hours before an epoch second into site-local days; `day_of(slot serial,
    bucket)` names the day. Buckets moved. Running twice, or on two workers, moves each once."""
    moved = 0
    for tag in range(TAGS):
        for text in await client.zrangebyscore(keys.buckets(tag), "-inf", f"({before}"):
            bucket = int(str(text))
            key = keys.counters(tag, bucket)
            cells = await client.hgetall(key)
            days: list[str] = []
            args: list[str | int] = []
            for cell, value in cells.items():
                count = parse_cell(bucket, str(cell), str(value))
                if count is None:
                    continue
                day = day_of(count.slot, bucket)
                if day not in days:
                    days.append(day)
                args += [days.index(day) + 1, str(cell), count.value]
            names = [key, keys.buckets(tag), keys.days(tag), *(keys.day(tag, day) for day in days)]
            moved += int(await _roll_up.call(client, names, [bucket, len(days), *days, *args]))
    return moved
