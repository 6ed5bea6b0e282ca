"""`rotation: sticky`: the same reader gets the same creative, and each creative its share of the readers.

DESIGN. A weighted rendezvous hash. Each member of a set has a number u in (0, 1] for a key, mixed out of key and
serial, and the one with the greatest ln(u) / weight wins: that is a race of exponential clocks, in which each
wins by its weight exactly. What one member has for a key depends on no other, so raising a weight moves readers to
that member alone, and only as many as it gains; a member that goes leaves the readers of all others alone.
The key is hashed once, members are mixed in with two multiplications; the same on every worker and every host.
A pick looks at every member: 3 us at 10, 30 us at 100, 3 ms at 10,000, so the latest picks are remembered.
Not chosen: a stretch of a circle for each member (raising one weight moves all that lie behind it); a hash
with all places of a table (1,000,000 of them would be needed for the least weight).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from itertools import repeat
from math import log
from operator import mul, truediv
from typing import Generic, TypeVar

T = TypeVar("T")
_BITS = (1 << 64) - 1
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
"""Of the mix of SplitMix64."""
_CREATIVES = 0x9E3779B97F4A7C15
_PERSON = b"adserve-sticky"


def key_of(text: str) -> int:
    """64 bits for the id of a visitor or a page view; the id itself is kept nowhere."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, person=_PERSON).digest(), "big")


def pick(key: int, serials: Sequence[int], weights: Sequence[int]) -> int:
    """The place of the winner, of one member at least. Weights are at least 1."""
    if len(serials) == 1:
        return 0
    mixed = [((x := (key ^ serial) * _FIRST & _BITS) ^ x >> 32) * _SECOND & _BITS | 1 for serial in serials]
    scores = list(map(truediv, map(log, map(mul, mixed, repeat(2.0**-64))), weights))
    return scores.index(max(scores))


def of_creatives(key: int) -> int:
    """The key for the creatives of the campaign that won, whose chance is another."""
    return key ^ _CREATIVES


class Recent(Generic[T]):
    """Picks by what they were made for, `limit` at most: whenever half as many are new, those go that were not
    asked for since the time before."""

    def __init__(self, limit: int = 10_000) -> None:
        self._half = limit // 2
        self._latest: dict[Hashable, T] = {}
        self._earlier: dict[Hashable, T] = {}

    def __len__(self) -> int:
        return len(self._latest) + len(self._earlier)

    def get(self, name: Hashable, make: Callable[[], T]) -> T:
        """The pick of a name, made when it is not remembered."""
        found = self._latest.get(name)
        if found is not None:
            return found
        found = self._earlier.pop(name, None)
        if found is None:
            found = make()
        if len(self._latest) >= self._half:
            self._earlier, self._latest = self._latest, {}
        self._latest[name] = found
        return found
