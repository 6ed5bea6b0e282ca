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
from collections.abc import Sequence
from itertools import repeat
from math import log
from operator import mul, sub, truediv

from adserve.core.pool import Choice, Less, Pool
from adserve.core.recent import Recent

_BITS = (1 << 64) - 1
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
"""Of the mix of SplitMix64."""
_CREATIVES = 0x9E3779B97F4A7C15
"""Makes of a key that of a campaign's creatives, whose chance is another."""
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


def stick(pool: Pool, key: int, stuck: Recent[int], less: Less) -> Choice | None:
    """The pick of a pool for a key, less what a page and a reader leave out; None when nothing is left. `stuck`: places
    in whole pools that were picked of late. What wins of all wins of every part that it is in."""
    name = hash((pool.name, pool.total, key))
    place = stuck.get(name)
    if place is None or place >= len(pool.members):
        place = stuck.put(name, pick(key, pool.serials, weights_of(pool)))
    chosen = pool.left(place, less)
    if chosen is None:
        gone = {place}
        for serial in {*less.shown, *less.out, *less.apart}:
            other = pool.place(serial)
            if other is not None and pool.left(other, less) is None:
                gone.add(other)
        rest = [at for at in range(len(pool.members)) if at not in gone]
        if not rest:
            return None
        weights = weights_of(pool)
        place = rest[pick(key, [pool.serials[at] for at in rest], [weights[at] for at in rest])]
        chosen = pool.left(place, less)
    if chosen is None or isinstance(chosen, Choice):
        return chosen
    choices: tuple[Choice, ...] = chosen[: len(chosen) // 2]
    creatives = [one.entry.creative for one in choices]
    return choices[pick(key ^ _CREATIVES, [one.serial for one in creatives], [one.weight for one in creatives])]


def weights_of(pool: Pool) -> list[int]:
    """What each member of a pool counts for."""
    return list(map(sub, pool.sums, (0, *pool.sums)))
