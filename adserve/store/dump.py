"""Every key of one prefix as records, while a service goes on counting.

DESIGN. What belongs together carries one hash tag and is read in one script call, at one moment:

    {sK}   the ledger, the counters of the hours that may still change, how far served counts were
           flushed (f:), the serves proven before their flush (p:), both indexes
    {cat}  the catalog with its version, serials, accounts and check value

Which hours may still change: an event counts in the hour of its serve until the bitmaps of that hour
expire. So every hour that has a bitmap, or is young enough for one (click lifetime + 48 h), is read
with its bitmaps. A flush is of serves just made, or comes from a spool; where it is older than every
bitmap it meets no event any more, and each of its counts is there or is not. A quarter-hour that is
due to be rolled up is read with the days that it may move into. The other counters are at rest and
are read one by one, days first: if a quarter-hour is rolled up all the same (the service has another
setting), it is gone when its turn comes and the reading fails, as `Moved`. Whatever of a tag is not
known here is taken to move.

A script must be told its keys. Those that may come are asked for too: the next hour, and every kind of
event of a space that has one. What came unforeseen (a new worker) is found by another scan, and the
tag is read again; tags of `HELD_BYTES` share a scan. Not chosen: a scan inside of the script, which
would stop the store for as long as the scan takes; a transaction over everything, which would too.

Order: the tags, the catalog, the rest. So no counter names a serial that the catalog has still to
give, and no creative a picture that is not there. The audit stream ends with the last id of the
catalog's moment. Click lists (r:) belong to nothing: each is one key, for a minute.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import NamedTuple

from adserve.core.audit import KINDS, STATES
from adserve.core.records import Record
from adserve.errors import Conflict
from adserve.store.keys import BUCKET_S, HOUR_S, TAGS
from adserve.store.read import Found, Reader

HELD_BYTES = 64_000_000
AT_ONCE = 16
"""Keys outside of the tags that are read together: as many megabytes at most."""
ATTEMPTS = 8
DAY_S = 86_400
_OF_A_TAG = re.compile(rb"\{s(0|[1-9]\d?)\}:(.+)", re.DOTALL)
_SPACE = re.compile(rb"l:[a-z]{2}:([0-9a-f]+):(\d{1,9})")
_OWN = re.compile(rb"[fp]:([0-9a-f]+)")
_COUNTERS = re.compile(rb"c:(\d{1,11})")
_DAY = re.compile(rb"d:(\d{8})")
_STATES = [(kind + state).encode() for kind in KINDS for state in STATES]


class Moved(Conflict):
    code = "moved"


class Times(NamedTuple):
    """In seconds: the clock, how long an hour's ledger is kept, and a quarter-hour before it is rolled up."""

    now: int
    retained_s: int
    keep_s: int


class _Plan(NamedTuple):
    """The names of one tag: to be read at one moment, and one by one."""

    moving: frozenset[bytes]
    still: frozenset[bytes]


class Dump:
    def __init__(self, reader: Reader, times: Times) -> None:
        self._reader, self._times = reader, times
        self._names: list[set[bytes]] = []
        self._catalog: list[bytes] = []

    async def records(self) -> AsyncIterator[Record]:
        """Everything. Conflict for a key of a type that is not known; `Moved` when it has to begin anew."""
        still: dict[int, frozenset[bytes]] = {}
        async for tag, plan, read in self._tags():
            still[tag] = plan.still
            for found in read:
                async for record in self._reader.records(found):
                    yield record
            del read
        for found in await self._reader.at_once(self._catalog):
            async for record in self._reader.records(found):
                yield record
        for tag, names in sorted(still.items()):
            async for record in self._at_rest(tag, names):
                yield record
        async for record in self._others():
            yield record

    async def _tags(self) -> AsyncIterator[tuple[int, _Plan, list[Found]]]:
        """Each tag as it was at one moment."""
        waiting, fruitless = list(range(TAGS)), 0
        await self._look()
        while waiting:
            held: list[tuple[int, _Plan, list[Found]]] = []
            size = 0
            for tag in waiting:
                plan = self._plan(tag)
                read = await self._reader.at_once([b"{s%d}:%s" % (tag, name) for name in sorted(plan.moving)])
                held.append((tag, plan, read))
                size += sum(found.size for found in read)
                if size > HELD_BYTES:
                    break
            await self._look()
            fruitless += 1
            while held:
                tag, plan, read = held.pop(0)
                if self._names[tag] <= plan.moving | plan.still:
                    waiting.remove(tag)
                    fruitless = 0
                    yield tag, plan, read
            if fruitless >= ATTEMPTS:
                raise Moved("new keys came faster than they could be read: try again at a quieter time")

    async def _look(self) -> None:
        """The names of the tags and the catalog as they are now."""
        self._names = [set() for _ in range(TAGS)]
        catalog: set[bytes] = set()
        async for name in self._reader.scan():
            tag, rest = _split(name)
            if rest is not None and not rest.startswith(b"r:"):
                self._names[tag].add(rest)
            elif name.startswith(b"{cat}:"):
                catalog.add(name)
        self._catalog = sorted(catalog)

    def _plan(self, tag: int) -> _Plan:
        now, retained_s, keep_s = self._times
        names, this_hour = self._names[tag], now // HOUR_S
        spaces = {(m[1], int(m[2])) for one in self._names for name in one if (m := _SPACE.fullmatch(name))}
        owners = {m[1] for one in self._names for name in one if (m := _OWN.fullmatch(name))}
        current = {owner for owner, hour in spaces if hour >= this_hour - 2} | (owners - {owner for owner, _ in spaces})
        spaces |= {(owner, hour) for owner in current for hour in (this_hour, this_hour + 1)}
        hours = {hour for _, hour in spaces} | {this_hour, this_hour + 1}
        young, due = now - retained_s - HOUR_S, now - keep_s + DAY_S

        def moves(bucket: int) -> bool:
            return bucket >= young or bucket < due or bucket // HOUR_S in hours

        moving = {b"buckets", b"days"}
        moving |= {b"l:%s:%s:%d" % (state, owner, hour) for owner, hour in spaces for state in _STATES}
        moving |= {b"%s:%s" % (what, owner) for owner in owners | {one for one, _ in spaces} for what in (b"f", b"p")}
        moving |= {b"c:%d" % (hour * HOUR_S + quarter) for hour in hours for quarter in range(0, HOUR_S, BUCKET_S)}
        buckets = {int(m[1]) for name in names if (m := _COUNTERS.fullmatch(name))}
        rolling = [bucket for bucket in buckets if moves(bucket)]
        first_day = f"{datetime.fromtimestamp(max(0, min(rolling, default=now) - DAY_S), UTC):%Y%m%d}".encode()

        def rests(name: bytes) -> bool:
            if counters := _COUNTERS.fullmatch(name):
                return not moves(int(counters[1]))
            day = _DAY.fullmatch(name)
            return day is not None and day[1] < first_day

        still = set(filter(rests, names))
        return _Plan(frozenset(moving | (names - still)), frozenset(still))

    async def _at_rest(self, tag: int, names: frozenset[bytes]) -> AsyncIterator[Record]:
        """Days, then quarter-hours, none of which may have become a day meanwhile."""
        days = sorted(name for name in names if name.startswith(b"d:"))
        for group in (days, sorted(names - set(days))):
            for at in range(0, len(group), AT_ONCE):
                some = [b"{s%d}:%s" % (tag, name) for name in group[at : at + AT_ONCE]]
                read = await self._reader.at_once(some)
                if group is not days and len(read) < len(some):
                    raise Moved(
                        "counters were rolled up while they were read: give this command the service's"
                        " ADSERVE_KEEP_QUARTERS_DAYS, and try again"
                    )
                for found in read:
                    async for record in self._reader.records(found):
                        yield record

    async def _others(self) -> AsyncIterator[Record]:
        """Pictures, click lists, and whatever else lies under the prefix."""
        seen: set[int] = set()
        batch: list[bytes] = []
        async for name in self._reader.scan():
            _, rest = _split(name)
            if name.startswith(b"{cat}:") or (rest is not None and not rest.startswith(b"r:")) or hash(name) in seen:
                continue
            seen.add(hash(name))
            batch.append(name)
            if len(batch) == AT_ONCE:
                async for record in self._each(batch):
                    yield record
                batch = []
        if batch:
            async for record in self._each(batch):
                yield record

    async def _each(self, names: list[bytes]) -> AsyncIterator[Record]:
        for found in await self._reader.each(names):
            async for record in self._reader.records(found):
                yield record


def _split(name: bytes) -> tuple[int, bytes | None]:
    """`{s3}:c:900` to `(3, b"c:900")`; without a rest when it is of no tag of ours."""
    match = _OF_A_TAG.fullmatch(name)
    return (int(match[1]), match[2]) if match and int(match[1]) < TAGS else (0, None)
