"""Events on their way to the store, gathered into one call of `event.lua`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from adserve.store.counts import cell_prefix
from adserve.store.keys import BUCKET_S, Keys
from adserve.store.line import Call, Words
from adserve.store.spool import Event


class Item:
    """An event on its way. `again`: the store may have it already."""

    __slots__ = ("again", "arrival", "event", "future", "since")

    def __init__(self, event: Event, arrival: int, future: asyncio.Future[str], since: float, again: bool) -> None:
        self.event, self.arrival, self.future, self.since, self.again = event, arrival, future, since, again


class Space(NamedTuple):
    """A ledger space and a quarter-hour of it, as `event.lua` takes them: 16 keys and a line."""

    keys: Words
    line: str


class Batch:
    """The events of one call of `event.lua`."""

    __slots__ = ("_behind", "_groups", "_keys", "_lines", "_spaces", "places")

    def __init__(self) -> None:
        self.places: list[int] = []
        self._groups: dict[tuple[int, int, int], int] = {}
        self._keys: list[Words] = []
        self._spaces: list[str] = []
        self._lines: list[str] = []
        self._behind: list[tuple[bool, int, str]] = []
        """Whether it is a reader's or a click list, its tag and digest."""

    def add(self, place: int, item: Item, space_of: Callable[[int, int, int], Space]) -> None:
        """Takes an event, whose answer belongs to `place`; `space_of` gives that of an incarnation, tag, bucket."""
        kind, serve, verdict, cpm, cpc, client, campaign, _, _, reader, window_s = item.event
        issued = serve.issued
        name = (serve.incarnation, serve.tag, issued - issued % BUCKET_S)
        group = self._groups.get(name)
        if group is None:
            space = space_of(*name)
            self._keys.append(space.keys)
            self._spaces.append(space.line)
            group = self._groups[name] = len(self._groups) + 1
        self.places.append(place)
        if client:
            self._behind.append((False, serve.tag, client))
        list_ = len(self._behind) if client else 0
        whom = "0 0 0"
        if reader and window_s:
            self._behind.append((True, serve.tag, reader))
            whom = f"{len(self._behind)} {campaign} {window_s}"
        self._lines.append(
            f"{group} {kind} {serve.ordinal} {verdict} {cell_prefix(serve)} {cpm or '-'} {cpc or '-'} "
            f"{list_} {item.arrival} {int(item.again)} {whom}\n"
        )

    def call(self, now: int, keys: Keys) -> Call:
        """All of it as of `now` (epoch seconds); the script answers with a word for each of `places`."""
        behind = [
            keys.reader(tag, digest) if of_reader else keys.click_rate(tag, digest)
            for of_reader, tag, digest in self._behind
        ]
        return Call([*self._keys, Words.of(behind)], Words.of((now, "".join(self._spaces), "".join(self._lines))))
