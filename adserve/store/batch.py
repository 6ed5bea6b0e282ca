"""Events on their way to the store, gathered into one call of `event.lua`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from adserve.core.token import FLAG_PROVEN
from adserve.store.counts import cell_prefix
from adserve.store.keys import BUCKET_S, Keys
from adserve.store.line import Call, Words
from adserve.store.spool import Event

NO_CEILINGS = "-:-:-:-"
"""Of impressions and clicks, in all and of a day each."""


class Item:
    """An event on its way. `again`: the store may have it already."""

    __slots__ = ("again", "arrival", "event", "future", "since")

    def __init__(self, event: Event, arrival: int, future: asyncio.Future[str], since: float, again: bool) -> None:
        self.event, self.arrival, self.future, self.since, self.again = event, arrival, future, since, again


class Space(NamedTuple):
    """A ledger space and a quarter-hour of it, as `event.lua` takes them: 17 keys and a line."""

    keys: Words
    line: str


class Batch:
    """The events of one call of `event.lua`."""

    __slots__ = ("_groups", "_keys", "_lines", "_names", "_others", "_spaces", "places")

    def __init__(self, keys: Keys) -> None:
        self._names = keys
        self.places: list[int] = []
        self._groups: dict[tuple[int, int, int], int] = {}
        self._keys: list[Words] = []
        self._spaces: list[str] = []
        self._lines: list[str] = []
        self._others: dict[str, int] = {}

    def add(self, place: int, item: Item, space_of: Callable[[int, int, int], Space]) -> None:
        """Takes an event, whose answer belongs to `place`; `space_of` gives that of an incarnation, tag, bucket."""
        kind, serve, verdict, cpm, cpc, client, campaign, day, ceilings, reader, window_s = item.event
        issued, tag = serve.issued, serve.tag
        name = (serve.incarnation, tag, issued - issued % BUCKET_S)
        group = self._groups.get(name)
        if group is None:
            space = space_of(*name)
            self._keys.append(space.keys)
            self._spaces.append(space.line)
            group = self._groups[name] = len(self._groups) + 1
        self.places.append(place)
        names = self._names
        clicks = self._other(names.click_rate(tag, client)) if client else 0
        today = self._other(names.today(tag, day)) if day else 0
        line = (
            f"{group} {kind} {serve.ordinal} {verdict} {cell_prefix(serve)} {cpm or '-'} {cpc or '-'} {clicks} "
            f"{item.arrival} {int(item.again)} {campaign} {day} {today}"
        )
        if not (ceilings or reader):
            self._lines.append(f"{line}\n")
            return
        grants = self._other(names.grants(tag, campaign)) if ceilings else 0
        seen = self._other(names.reader(tag, reader)) if reader and window_s else 0
        taker = serve.incarnation ^ 1 if serve.flags & FLAG_PROVEN else serve.incarnation
        grant = f"{taker:x}:{serve.grant}"
        self._lines.append(f"{line} {grants} {grant} {ceilings or NO_CEILINGS} {seen} {window_s}\n")

    def _other(self, key: str) -> int:
        """The number of a key that lies behind all groups."""
        return self._others.setdefault(key, len(self._others) + 1)

    def call(self, now: int) -> Call:
        """All of it as of `now` (epoch seconds); the script answers with a word for each of `places`."""
        return Call(
            [*self._keys, Words.of(self._others)], Words.of((now, "".join(self._spaces), "".join(self._lines)))
        )
