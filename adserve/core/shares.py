"""Goals of a share of a slot's requests: whose turn it is.

DESIGN. How far a share lags behind is counted, in hundredths of a serve: each request of the slot adds its percentage,
each serve takes 100. A share serves with a probability of its percentage and an eighth of its lag on top, by draws that
are spread evenly. So it is right on the whole when every request can show it; one that targets half of the requests
gets a higher part of these, and nothing runs in a fixed alternation. The lag is bounded: what could not be served for
long is not made up for in a rush.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

EIGHTHS = 8
WHOLE = 100 * EIGHTHS
Parts = tuple[tuple[int, int], ...]
MOST_LAG = 800
"""Eight serves, ahead or behind."""
REMEMBERED = 10_000


class Share(NamedTuple):
    """A goal of a percentage of the slot's requests, at its place in its tier."""

    place: int
    serial: int
    percent: int


class Lags:
    """How far each share goal of each slot lags behind; of one worker."""

    def __init__(self) -> None:
        self._lags: dict[tuple[int, int], int] = {}

    def asked(self, slot: int, shares: Iterable[Share]) -> None:
        """Counts a request of a slot, by its serial, for all share goals that book it."""
        if len(self._lags) > REMEMBERED:
            self._lags.clear()
        for _, serial, percent in shares:
            key = (slot, serial)
            self._lags[key] = min(self._lags.get(key, 0) + percent, MOST_LAG)

    def served(self, slot: int, serial: int) -> None:
        """Counts a serve of a share goal."""
        key = (slot, serial)
        self._lags[key] = max(self._lags.get(key, 0) - 100, -MOST_LAG)

    def apart(self, slot: int) -> Lags:
        """The lags of a slot as they are now, to go on with by themselves."""
        found = Lags()
        found._lags = {key: lag for key, lag in self._lags.items() if key[0] == slot}
        return found

    def parts(self, slot: int, shares: Iterable[Share], able: int, *, countable: bool) -> Parts:
        """How many of 800 parts of the slot's requests go to each share goal of the set `able`, by its place. What is
        not countable goes by the percentage alone."""
        can = [share for share in shares if able >> share.place & 1]
        lags = countable and sum(share.percent for share in can) < 100  # else all of them lag behind for ever
        parts = []
        for place, serial, percent in can:
            lag = self._lags.get((slot, serial), 0) if lags else 0
            parts.append((place, min(max(percent * EIGHTHS + lag, 0), WHOLE)))
        return tuple(parts)


def turn(parts: Parts, point: int) -> int | None:
    """The place of the share whose turn it is at a point of `[0, 2**64)`; None when it is none's."""
    number = point * whole(parts) >> 64
    for place, part in parts:
        if number < part:
            return place
        number -= part
    return None


def whole(parts: Parts) -> int:
    """What the parts are of."""
    return max(WHOLE, sum(part for _, part in parts))
