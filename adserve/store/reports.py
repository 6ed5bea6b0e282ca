"""Reading the counters, and rolling old quarter-hours up to site-local days.

DESIGN. What exists stands in sorted sets, so a report asks for hashes by name: no scan, and a range
costs what it holds. `rollup.lua` moves a quarter-hour in one step. A report that needs a day whose
quarter-hours may still move into it reads all of these at one moment (`counters.lua`); others it
reads in pipelines. Not chosen: one transaction for everything (5 years of days in one reply).
Replies are read as bytes: one strange byte in a counter must not fail the report.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from redis.client import NEVER_DECODE
from redis.exceptions import ResponseError

from adserve.core.report_cells import Batch
from adserve.core.schedule import bucket_of, local_day
from adserve.errors import Conflict
from adserve.store.client import Redis, Script, understood
from adserve.store.keys import TAGS, Keys

HASHES_AT_ONCE = 32
"""Hashes a pipeline asks for: what one turn of the event loop then has to decode."""
FAR = 10**15
"""Beyond every quarter-hour and day."""
ATTEMPTS = 10
"""How often a move starts over because a new slot came into its quarter-hour."""
_SLOT = re.compile(rb"([0-9]+)\.")
_NUMBER = re.compile(rb"[1-9][0-9]{0,14}")
_ROLL_UP, _COUNTERS = Script("cells", "rollup"), Script("counters")


class Days(NamedTuple):
    """Rolled-up days to read: first and last, in the zone of their sites; quarter-hours that begin
    before `moving_before` (epoch seconds) may be rolled up meanwhile."""

    first: date
    last: date
    tz: ZoneInfo
    moving_before: int


async def read_cells(
    client: Redis, keys: Keys, start: int, end: int, *, days: Days | None = None, tags: Sequence[int] = range(TAGS)
) -> AsyncIterator[Batch]:
    """Every counter hash from `start` to `end` (epoch seconds, half-open), in no order, none twice. `tags`: of these
    hash tags alone."""
    wanted: list[tuple[int | date, str]] = []
    if days is not None:
        async for batch in _old(client, keys, start, min(end, days.moving_before), days, tags):
            yield batch
        start = max(start, days.moving_before)
    if start < end:
        found = await _indexes(client, [keys.buckets(tag) for tag in tags], start, end - 1)
        for tag, (buckets, unreadable) in zip(tags, found, strict=True):
            wanted += [(bucket, keys.counters(tag, bucket)) for bucket in buckets]
            if unreadable:
                yield Batch(start, {}, unreadable)
    async for batch in _hashes(client, wanted):
        yield batch


async def _old(
    client: Redis, keys: Keys, start: int, end: int, days: Days, tags: Sequence[int]
) -> AsyncIterator[Batch]:
    """Rolled-up days with the quarter-hours that are not in them yet."""
    # quarter-hours first: one that is gone by now is in a day that the second look finds
    found = await _indexes(client, [keys.buckets(tag) for tag in tags], start, end - 1)
    first, last = (int(day.strftime("%Y%m%d")) for day in (days.first, days.last))
    rolled = await _indexes(client, [keys.days(tag) for tag in tags], first, last)
    settled: list[tuple[int | date, str]] = []
    for at, tag in enumerate(tags):
        (buckets, strange), (numbers, others) = found[at], rolled[at]
        moving: dict[date, list[int]] = {}
        for bucket in buckets:
            moving.setdefault(local_day(bucket, days.tz), []).append(bucket)
        for local, its in moving.items():
            names = [keys.day(tag, local.strftime("%Y%m%d")), *(keys.counters(tag, bucket) for bucket in its)]
            for batch in await _at_once(client, [local, *its], names):
                yield batch
        there = {day: keys.day(tag, str(number)) for number in numbers if (day := _day(number)) is not None}
        settled += [(day, name) for day, name in there.items() if day not in moving]
        unreadable = strange + others + len(numbers) - len(there)
        if unreadable:
            yield Batch(days.first, {}, unreadable)
    async for batch in _hashes(client, settled):
        yield batch


async def every_cell(client: Redis, keys: Keys, add: Callable[[Batch], None], begin_again: Callable[[], None]) -> None:
    """Tells all counter hashes there are, each once; when one was rolled up meanwhile it begins again. Conflict when
    that goes on and on."""
    for _ in range(ATTEMPTS):
        found = await _indexes(client, [keys.buckets(tag) for tag in range(TAGS)], 0, FAR)
        days = await _indexes(client, [keys.days(tag) for tag in range(TAGS)], 0, FAR)
        wanted: list[tuple[int | date, str]] = [
            (day, keys.day(tag, str(number)))
            for tag, (numbers, _) in enumerate(days)
            for number in numbers
            if (day := _day(number)) is not None
        ]
        wanted += [(one, keys.counters(tag, one)) for tag, (buckets, _) in enumerate(found) for one in buckets]
        async for batch in _hashes(client, wanted):
            add(batch)
        after = await _indexes(client, [keys.buckets(tag) for tag in range(TAGS)], 0, FAR)
        if all(set(then[0]) <= set(now[0]) for then, now in zip(found, after, strict=True)):
            return
        begin_again()
    raise Conflict("counters were rolled up while they were read: try again at a quieter time")


@understood
async def last_day(client: Redis, keys: Keys, until: date) -> date | None:
    """The newest rolled-up day of any site, not after `until`; None when there is none."""
    newest = int(until.strftime("%Y%m%d"))
    replies = await _ask(
        client, [("ZREVRANGEBYSCORE", keys.days(tag), newest, 0, "LIMIT", 0, 1) for tag in range(TAGS)]
    )
    found = [_day(int(name)) for reply in replies for name in reply or () if _NUMBER.fullmatch(name)]
    return max((day for day in found if day is not None), default=None)


@understood
async def first_quarter(client: Redis, keys: Keys, start: int) -> int | None:
    """The first quarter-hour from `start` on in which anything was counted; None when there is none."""
    replies = await _ask(
        client, [("ZRANGEBYSCORE", keys.buckets(tag), start, "+inf", "LIMIT", 0, 1) for tag in range(TAGS)]
    )
    return min((int(name) for reply in replies for name in reply or () if _NUMBER.fullmatch(name)), default=None)


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


@understood
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


@understood
async def _indexes(client: Redis, names: list[str], low: int, high: int) -> list[tuple[list[int], int]]:
    """Per sorted set its members from `low` to `high`, and how many are none of ours."""
    found: list[tuple[list[int], int]] = []
    for members in await _ask(client, [("ZRANGEBYSCORE", name, low, high) for name in names]):
        numbers = [int(one) for one in members or () if _NUMBER.fullmatch(one)]
        found.append((numbers, 1 if members is None else len(members) - len(numbers)))
    return found


async def _hashes(client: Redis, wanted: list[tuple[int | date, str]]) -> AsyncIterator[Batch]:
    for at in range(0, len(wanted), HASHES_AT_ONCE):
        for batch in await _some(client, wanted[at : at + HASHES_AT_ONCE]):
            yield batch


@understood
async def _some(client: Redis, wanted: list[tuple[int | date, str]]) -> list[Batch]:
    replies = await _ask(client, [("HGETALL", name) for _, name in wanted])
    return [
        _batch(when, None if cells is None else cells.items()) for (when, _), cells in zip(wanted, replies, strict=True)
    ]


@understood
async def _at_once(client: Redis, whens: list[int | date], names: list[str]) -> list[Batch]:
    arguments = ("EVAL", _COUNTERS.text, len(names), *names)
    replies = await client.execute_command(*arguments, **{NEVER_DECODE: True})  # type: ignore[no-untyped-call]
    return [
        _batch(when, None if flat is None else zip(flat[::2], flat[1::2], strict=True))
        for when, flat in zip(whens, replies, strict=True)
    ]


def _batch(when: int | date, cells: Iterable[tuple[bytes, bytes]] | None) -> Batch:
    """A hash as read; what is no hash counts as one unreadable figure."""
    if cells is None:
        return Batch(when, {}, 1)
    return Batch(when, {_text(field): _text(value) for field, value in cells})


async def _ask(client: Redis, commands: list[tuple[Any, ...]]) -> list[Any]:
    """The replies to one pipeline, in bytes; None where a key holds something of another type. A store that
    refuses (busy, loading, no permission) raises: what it hides must not look like nothing."""
    async with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command, **{NEVER_DECODE: True})
        replies = await pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception) and not _is_of_another_type(reply):
            raise reply
    return [None if isinstance(reply, Exception) else reply for reply in replies]


def _is_of_another_type(reply: Exception) -> bool:
    return isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE")


def _text(raw: bytes) -> str:
    return raw.decode("ascii", "replace")


def _day(number: int) -> date | None:
    try:
        return date(number // 10_000, number // 100 % 100, number % 100)
    except ValueError:
        return None
