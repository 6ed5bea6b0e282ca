"""Every key of one prefix as records, while a service goes on counting.

DESIGN. What has to agree is read in one script call, at one moment, and such a *unit* is never larger than
some hours of one hash tag, so that the store is held up for milliseconds:

    an hour of a tag    its bitmaps, its four counters, and what of p: (serves proven before their flush)
                        belongs to it; for every hour whose ledger can still change
    the newest hours    the same from the hour before to the next, with f: (how far served counts were flushed) and
                        grants; totals too, but they are of all hours: a restore adds them up anew
    what is rolled up   the hours that are due soon, the days that they move into, and both indexes
    {cat}               the catalog with its version, serials, accounts and check value

A tag is kept in memory until it is whole. A script must be told its keys, so the tag's keys are looked up
again after it: when one came that was not asked for (a new worker), or a flush of older hours fell in between
(a spool was replayed), the tag is read anew. Counters that no longer change are read one by one, days first:
if a quarter-hour is rolled up all the same (the service has another setting), it is gone when its turn comes,
and the reading fails as `Moved`. Not chosen: a tag at one moment, or a scan inside of the script; on a large
store each holds it up for a tenth of a second.

Left out is what was kept of visitors, and the salts without which nobody can tell of whom: it is gone
when its time is over, also where backups are kept. A restored store begins every window anew. Nor are sessions and
links in it: who signed out, or used a link, since then would be let in again.

Order: the tags, the catalog, the rest. So no counter names a serial that the catalog has still to give, and no
creative a picture that is not there. The audit stream ends with the last id of the catalog's moment.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta

from adserve.core.audit import KINDS, STATES
from adserve.core.records import Record
from adserve.errors import Conflict
from adserve.store.keys import BUCKET_S, HOUR_S, TAGS
from adserve.store.read import AT_ONCE, Found, Reader

DUE_S = 2 * HOUR_S
"""How long before its time an hour is taken to be rolled up."""
ATTEMPTS = 10
LEFT_OUT = (b"n:", b"salt:", b"session:", b"sessions:", b"link:", b"links:")
_OF_A_TAG = re.compile(rb"\{s\d+\}:(?!r:)")
_SPACE = re.compile(rb"l:[a-z]{2}:([0-9a-f]+):(\d{1,9})")
_OWN = re.compile(rb"[fp]:([0-9a-f]+)")
_COUNTERS = re.compile(rb"c:(\d{1,11})")
_STATES = [(kind + state).encode() for kind in KINDS for state in STATES]


class Moved(Conflict):
    code = "moved"


class Snapshot:
    """`retained_s`: how long the ledger of an hour is kept; `keep_s`: a quarter-hour, before it is rolled up."""

    def __init__(self, reader: Reader, clock: Callable[[], float], *, retained_s: int, keep_s: int) -> None:
        self._reader, self._clock, self._retained_s, self._keep_s = reader, clock, retained_s, keep_s
        self._newest = 0
        """The hour that it is."""
        self._owners: set[bytes] = set()
        """Incarnations of workers, met so far."""

    async def records(self) -> AsyncIterator[Record]:
        """Everything. Conflict for a key of a type that is not known; `Moved` when it has to begin anew."""
        for tag in range(TAGS):
            async for record in self._tag(b"s%d" % tag):
                yield record
        catalog = [b"{cat}:" + name for name in sorted(await self._names(b"cat"))]
        async for record in self._reader.records(await self._reader.at_once(catalog)):
            yield record
        async for record in self._reader.everything(
            lambda name: not name.startswith((b"{cat}:", b"{ask}:")) and not _OF_A_TAG.match(name)
        ):
            yield record

    async def _names(self, tag: bytes) -> set[bytes]:
        """The keys of a tag, without it, and without the click lists, which last a minute and belong to nothing, nor
        what is left out."""
        skip = len(tag) + 3
        names = {name[skip:] async for name in self._reader.scan(tag)}
        return {name for name in names if not name.startswith((b"r:", *LEFT_OUT))}

    async def _tag(self, tag: bytes) -> AsyncIterator[Record]:
        names = await self._names(tag)
        for _ in range(ATTEMPTS):
            units = self._units(names)
            asked = set[bytes]().union(*units)
            read = [await self._read(tag, unit) for unit in units]
            before, names = names, await self._names(tag)
            flushes = [name for name in asked if name.startswith(b"f:")]
            if names <= before | asked and not self._fell_between(read[0], await self._read(tag, flushes)):
                break
        else:
            raise Moved("keys came faster than they could be read: try again at a quieter time")
        async for record in self._reader.records(list(_merged(units, read))):
            yield record
        async for record in self._at_rest(tag, sorted(before - asked)):
            yield record

    async def _read(self, tag: bytes, unit: Iterable[bytes]) -> list[Found]:
        return await self._reader.at_once([b"{%s}:%s" % (tag, name) for name in sorted(unit)])

    def _units(self, names: set[bytes]) -> list[set[bytes]]:
        """The names of each unit: the newest hours first, the indexes last (one that names a quarter-hour too
        many is harmless)."""
        now = int(self._clock())
        self._newest = now // HOUR_S
        young, due = (now - self._retained_s) // HOUR_S - 1, (now - self._keep_s + DUE_S) // HOUR_S
        hours: defaultdict[int, set[bytes]] = defaultdict(set)
        for name in names:
            if space := _SPACE.fullmatch(name):
                hours[int(space[2])].add(space[1])
                self._owners.add(space[1])
            elif own := _OWN.fullmatch(name):
                self._owners.add(own[1])
            elif (counters := _COUNTERS.fullmatch(name)) and not due < int(counters[1]) // HOUR_S < young:
                hours[int(counters[1]) // HOUR_S] |= set()
        newest = [self._newest - 1, self._newest, self._newest + 1]
        units = [set[bytes]().union(*(_hour(hour, self._owners) for hour in newest))]
        units[0] |= {b"f:" + owner for owner in self._owners}
        units[0] |= {name for name in names if name == b"t" or name.startswith((b"y:", b"g:"))}
        last = {b"buckets", b"days"}
        for hour in sorted(hours.keys() - {*newest}):
            if hour > due:
                units.append(_hour(hour, hours[hour]))
            else:
                last |= _hour(hour, hours[hour]) | _days_around(hour)
        return [*units, last]

    def _fell_between(self, first: Iterable[Found], last: Iterable[Found]) -> bool:
        """Whether a flush came that may have been of hours that were read at another moment."""
        then = {one.name: one for one in first}
        changed = (then.get(one.name) for one in last if one != then.get(one.name))
        return any(_reach(one) < self._newest - 1 for one in changed)

    async def _at_rest(self, tag: bytes, names: list[bytes]) -> AsyncIterator[Record]:
        """Days, then quarter-hours, none of which may have become a day meanwhile."""
        counters = [name for name in names if _COUNTERS.fullmatch(name)]
        for group in ([name for name in names if not _COUNTERS.fullmatch(name)], counters):
            for at in range(0, len(group), AT_ONCE):
                some = [b"{%s}:%s" % (tag, name) for name in group[at : at + AT_ONCE]]
                read = await self._reader.each(some)
                if group is counters and len(read) < len(some):
                    raise Moved(
                        "counters were rolled up while they were read: give this command the service's"
                        " ADSERVE_KEEP_QUARTERS_DAYS, and try again"
                    )
                async for record in self._reader.records(read):
                    yield record


def _hour(hour: int, owners: Iterable[bytes]) -> set[bytes]:
    """Every name that the events of an hour may write to."""
    names = {b"c:%d" % (hour * HOUR_S + quarter) for quarter in range(0, HOUR_S, BUCKET_S)}
    for owner in owners:
        names |= {b"l:%s:%s:%d" % (state, owner, hour) for state in _STATES} | {b"p:" + owner}
    return names


def _days_around(hour: int) -> set[bytes]:
    """The days that an hour may be rolled up into, whatever the zones of the sites."""
    moment = datetime.fromtimestamp(hour * HOUR_S, UTC)
    return {f"d:{moment + timedelta(days=days):%Y%m%d}".encode() for days in (-1, 0, 1)}


def _reach(flushed: Found | None) -> int:
    """The hour that a flush reached; 0 before the first one."""
    content = (flushed and flushed.content) or []
    fields = dict(zip(content[::2], content[1::2], strict=False))
    hour = fields.get(b"hour", b"")
    return int(hour) if hour.isdigit() else 0


def _merged(units: list[set[bytes]], read: list[list[Found]]) -> Iterable[Found]:
    """Each key once. Of p:, every hour takes its own fields, HOUR:ORDINAL, from its own unit."""
    proven: dict[bytes, Found] = {}
    for unit, found in zip(units, read, strict=True):
        hours = {b"%d" % (int(name[2:]) // HOUR_S) for name in unit if _COUNTERS.fullmatch(name)}
        for one in found:
            if b"}:p:" not in one.name or one.content is None:
                yield one
                continue
            if one.type != "hash":  # spoilt, and as it is
                proven[one.name] = one
                continue
            own = [one.content[at : at + 2] for at in range(0, len(one.content), 2)]
            fields = [word for pair in own if pair[0].partition(b":")[0] in hours for word in pair]
            before = proven.get(one.name, one._replace(content=[])).content or []
            proven[one.name] = one._replace(content=before + fields)
    yield from (one for one in proven.values() if one.content)
