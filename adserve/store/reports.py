"""Reading the counters, and rolling old quarter-hours up to site-local days.

DESIGN. What exists stands in sorted sets, so a report asks for hashes by name: no scan, and a range
costs what it holds. `rollup.lua` moves a quarter-hour in one step; a report that reads days and the
quarter-hours that may still move into them looks at the index again afterwards and starts over when
something moved in between. Not chosen: one transaction for all of it (5 years of days in one reply).
Replies are read as bytes: one strange byte in a counter must not fail the report.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any

from redis.client import NEVER_DECODE
from redis.exceptions import ResponseError

from adserve.core.report_cells import Batch
from adserve.core.schedule import bucket_of
from adserve.errors import StoreUnavailable
from adserve.store.client import Redis, Script
from adserve.store.keys import TAGS, Keys

HASHES_AT_ONCE = 32
"""Hashes a pipeline asks for: what one turn of the event loop then has to decode."""
ATTEMPTS = 10
_SLOT = re.compile(rb"([0-9]+)\.")
_NUMBER = re.compile(rb"[1-9][0-9]{0,14}")
_ROLL_UP = Script("rollup")


async def read_cells(
    client: Redis, keys: Keys, start: int, end: int, *, days: tuple[date, date] | None = None, moving_before: int = 0
) -> AsyncIterator[Batch]:
    """Every counter hash from `start` to `end` (epoch seconds, half-open), quarter-hours unsorted.

    With `days` (first and last, inclusive) also the rolled-up days; quarter-hours that begin before
    `moving_before` may be rolled up while this reads. StoreUnavailable when they do not settle.
    """
    if days is not None:
        for tag in range(TAGS):
            for batch in await _read_settled(client, keys, tag, start, min(end, moving_before), days):
                yield batch
        start = max(start, moving_before)
    if start >= end:
        return
    found = await _indexes(client, [keys.buckets(tag) for tag in range(TAGS)], start, end - 1)
    wanted: list[tuple[int | date, str]] = []
    for tag, (buckets, unreadable) in enumerate(found):
        wanted += [(bucket, keys.counters(tag, bucket)) for bucket in buckets]
        if unreadable:
            yield Batch(start, {}, unreadable)
    for at in range(0, len(wanted), HASHES_AT_ONCE):
        for batch in await _hashes(client, wanted[at : at + HASHES_AT_ONCE]):
            yield batch


async def last_day(client: Redis, keys: Keys, until: date) -> date | None:
    """The newest rolled-up day of any site, not after `until`; None when there is none."""
    newest = int(until.strftime("%Y%m%d"))
    replies = await _ask(
        client, [("ZREVRANGEBYSCORE", keys.days(tag), newest, 0, "LIMIT", 0, 1) for tag in range(TAGS)]
    )
    found = [_day(int(name)) for reply in replies for name in reply or () if _NUMBER.fullmatch(name)]
    return max((day for day in found if day is not None), default=None)


async def roll_up(client: Redis, keys: Keys, *, now: int, keep_s: int, day_of: Callable[[int, int], str]) -> int:
    """Moves quarter-hours older than `keep_s` into days; how many this call moved. `day_of(slot
    serial, bucket)` is the `YYYYMMDD` of the slot's site. May run in many workers at once."""
    newest = bucket_of(now - keep_s) - 1
    moved = 0
    found = await _indexes(client, [keys.buckets(tag) for tag in range(TAGS)], 0, newest)
    for tag, (buckets, _) in enumerate(found):
        for bucket in buckets:
            moved += await _move(client, keys, tag, bucket, day_of)
    return moved


async def _move(client: Redis, keys: Keys, tag: int, bucket: int, day_of: Callable[[int, int], str]) -> bool:
    for _ in range(ATTEMPTS):
        (fields,) = await _ask(client, [("HKEYS", keys.counters(tag, bucket))])
        if fields is None:  # no hash: left where it is, and reports count it as unreadable
            return False
        slots = {match[1]: int(match[1]) for match in map(_SLOT.match, fields) if match}
        day_by_slot = {text: day_of(serial, bucket) for text, serial in slots.items()}
        days = sorted(set(day_by_slot.values())) or [day_of(0, bucket)]
        args: list[Any] = [bucket, len(days), *days]
        for text, day in day_by_slot.items():
            args += [text, days.index(day) + 1]
        names = [keys.counters(tag, bucket), keys.buckets(tag), keys.days(tag)]
        answer = await _ROLL_UP.call(client, [*names, *(keys.day(tag, day) for day in days)], args)
        if int(answer) >= 0:
            return bool(int(answer))
    return False  # new slots kept coming: the next round has it


async def _read_settled(
    client: Redis, keys: Keys, tag: int, start: int, end: int, days: tuple[date, date]
) -> list[Batch]:
    """The days of a tag with the quarter-hours that are not in them yet, none twice and none missed."""
    first, last = (int(day.strftime("%Y%m%d")) for day in days)
    for _ in range(ATTEMPTS):
        before = await _indexes(client, [keys.buckets(tag)], start, end - 1)
        buckets, unreadable = before[0]
        numbers, strange = (await _indexes(client, [keys.days(tag)], first, last))[0]
        wanted: list[tuple[int | date, str]] = [(bucket, keys.counters(tag, bucket)) for bucket in buckets]
        for number in numbers:
            day = _day(number)
            strange += day is None
            if day is not None:
                wanted.append((day, keys.day(tag, str(number))))
        batches = [Batch(days[0], {}, strange + unreadable)]
        for at in range(0, len(wanted), HASHES_AT_ONCE):
            batches += await _hashes(client, wanted[at : at + HASHES_AT_ONCE])
        if await _indexes(client, [keys.buckets(tag)], start, end - 1) == before:
            return batches
    raise StoreUnavailable("old counters are being rolled up just now: ask again")


async def _indexes(client: Redis, names: list[str], low: int, high: int) -> list[tuple[list[int], int]]:
    """Per sorted set its members from `low` to `high`, and how many are none of ours."""
    found: list[tuple[list[int], int]] = []
    for members in await _ask(client, [("ZRANGEBYSCORE", name, low, high) for name in names]):
        numbers = [int(one) for one in members or () if _NUMBER.fullmatch(one)]
        found.append((numbers, 1 if members is None else len(members) - len(numbers)))
    return found


async def _hashes(client: Redis, wanted: list[tuple[int | date, str]]) -> list[Batch]:
    replies = await _ask(client, [("HGETALL", name) for _, name in wanted])
    return [
        Batch(when, {}, 1)
        if cells is None
        else Batch(when, {_text(field): _text(value) for field, value in cells.items()})
        for (when, _), cells in zip(wanted, replies, strict=True)
    ]


async def _ask(client: Redis, commands: list[tuple[Any, ...]]) -> list[Any]:
    """The replies to one pipeline, in bytes; None where a key holds something of another type."""
    async with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command, **{NEVER_DECODE: True})
        replies = await pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
            raise reply
    return [None if isinstance(reply, ResponseError) else reply for reply in replies]


def _text(raw: bytes) -> str:
    return raw.decode("ascii", "replace")


def _day(number: int) -> date | None:
    try:
        return date(number // 10_000, number // 100 % 100, number % 100)
    except ValueError:
        return None
