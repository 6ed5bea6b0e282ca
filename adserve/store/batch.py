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

    __slots__ = ("_clients", "_groups", "_keys", "_lines", "_spaces", "places")

    def __init__(self) -> None:
        self.places: list[int] = []
        self._groups: dict[tuple[int, int, int], int] = {}
        self._keys: list[Words] = []
        self._spaces: list[str] = []
        self._lines: list[str] = []
        self._clients: list[tuple[int, str]] = []

    def add(self, place: int, item: Item, space_of: Callable[[int, int, int], Space]) -> None:
        """Takes an event, whose answer belongs to `place`; `space_of` gives that of an incarnation, tag, bucket."""
        kind, serve, verdict, cpm, cpc, client = item.event[:6]
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
            self._clients.append((serve.tag, client))
        self._lines.append(
            f"{group} {kind} {serve.ordinal} {verdict} {cell_prefix(serve)} {cpm or '-'} {cpc or '-'} "
            f"{len(self._clients) if client else 0} {item.arrival} {int(item.again)}\n"
        )

    def call(self, now: int, keys: Keys) -> Call:
        """All of it as of `now` (epoch seconds); the script answers with a word for each of `places`."""
        clients = Words.of(keys.click_rate(*one) for one in self._clients)
        return Call([*self._keys, clients], Words.of((now, "".join(self._spaces), "".join(self._lines))))
