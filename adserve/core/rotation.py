"""Draws: which point of a circle comes next for an eligible set.

DESIGN. A draw is one of the 2**64 points of a circle, on which each campaign of a set has a stretch as long as its
share, and in it each of its creatives. `even` walks the circle by the golden ratio, whose multiples spread
more evenly than those of any other number: of every N points a stretch gets close to N times its share, so
one walk is even for campaigns and for creatives. Each block of eight is shuffled with chance, from a random start,
so that no fixed alternation can be read off or gamed. A sequence belongs to one eligible set: a sequence shared
between sets drifts by hundreds. All is counted in integers, half-open: a share is exact to one point of 2**64.
Not chosen: floats or a closed range, which give weights 1:1 the shares 2/3 and 1/3; a whole-number step coprime to
the total (measured: off by up to 48, when the step happens to lie near a simple fraction of the total); error
diffusion, which is O(candidates) a pick; a second sequence for the creatives of each campaign (10,000 of them to
remember, and even only among the serves of their own campaign).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from adserve.core.recent import Recent
from adserve.core.shares import Lags, Parts, Share, turn

Turn = tuple[int, Parts]
"""A point, and what of the circle was whose turn."""
BLOCK = 8
"""Points shuffled together; more would be less predictable and less even."""
_SHUFFLE_BITS = 24
_LAST_POINT = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio, made odd, so that the walk visits every point."""


class Chance(Protocol):
    """`random.Random` has it."""

    def getrandbits(self, count: int, /) -> int: ...


class EvenSequence:
    """The points of one eligible set, each in `[0, 2**64)`."""

    __slots__ = ("_at", "_bits", "_block")

    def __init__(self, chance: Chance) -> None:
        self._at = chance.getrandbits(64)
        self._bits = chance.getrandbits
        self._block: list[int] = []

    def __next__(self) -> int:
        block = self._block
        if not block:
            at = self._at
            for _ in range(BLOCK):
                block.append(at)
                at = (at + _STEP) & _LAST_POINT
            self._at = at
        last = len(block) - 1
        place = self._bits(_SHUFFLE_BITS) * (last + 1) >> _SHUFFLE_BITS
        block[place], block[last] = block[last], block[place]
        return block.pop()


class Draws:
    """The chance of one worker: an even sequence for each eligible set in use. Those of whole pools are remembered
    apart from those of pools less what a page shows, of which a large catalog has a new one for nearly every page."""

    def __init__(self, chance: Chance, *, remembered: int = 10_000, stuck: Recent[int] | None = None) -> None:
        self._chance, self._bits = chance, chance.getrandbits
        self._pools, self._rests = Recent[EvenSequence](remembered), Recent[EvenSequence](remembered)
        self._lags = Lags()
        self.stuck: Recent[int] = Recent(remembered) if stuck is None else stuck
        """Picks that stay, of readers and sets that were asked for last."""
        self.point = 0
        """What was drawn last, for a set."""
        self.turns: tuple[Turn, ...] = ()
        """What was drawn for share goals. Whoever begins a decision that may need them empties it."""

    def __len__(self) -> int:
        return len(self._pools) + len(self._rests)

    def even(self, pool: int) -> int:
        """The next point of the set of a name, which is a whole pool."""
        self.point = point = next(self._pools.latest.get(pool) or self._recall(pool))
        return point

    def even_rest(self, rest: int) -> int:
        """The same of a set that is a pool less what a page shows."""
        found = self._pools.get(rest) or self._rests.get(rest)
        self.point = point = next(found or self._rests.put(rest, EvenSequence(self._chance)))
        return point

    def random(self, _name: int) -> int:
        """A point that advances no sequence."""
        self.point = point = self._bits(64)
        return point

    def asked(self, slot: int, shares: Sequence[Share]) -> None:
        """Counts a request of a slot, by its serial, that share goals book."""
        self._lags.asked(slot, shares)

    def share(self, slot: int, shares: Sequence[Share], able: int, *, countable: bool) -> int | None:
        """The place of the share goal whose turn it is, of those in the set `able`."""
        name = hash((slot, len(shares), -1))
        point = next(self._pools.get(name) or self._recall(name)) if countable else self._bits(64)
        parts = self._lags.parts(slot, shares, able, countable=countable)
        self.turns += ((point, parts),)
        return turn(parts, point)

    def shared(self, slot: int, serial: int, *, countable: bool) -> None:
        """Counts a serve of a share goal."""
        if countable:
            self._lags.served(slot, serial)

    def apart(self, slot: int) -> Draws:
        """Draws by the same chance for a decision about a slot, by its serial, that is only tried: nothing here
        moves."""
        found = Draws(self._chance, remembered=2, stuck=self.stuck)
        found._lags = self._lags.apart(slot)
        return found

    def _recall(self, pool: int) -> EvenSequence:
        found = self._pools.get(pool)
        return found or self._pools.put(pool, self._rests.get(pool) or EvenSequence(self._chance))


class Ahead(Draws):
    """The chance of a worker for what a page view plans and nobody has asked for yet: sequences go on, for it will be
    served, but nothing is counted of share goals."""

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws._chance, remembered=2, stuck=draws.stuck)
        self._pools, self._rests, self._lags = draws._pools, draws._rests, draws._lags

    def asked(self, slot: int, shares: Sequence[Share]) -> None:
        """It will be counted when somebody asks."""

    def shared(self, slot: int, serial: int, *, countable: bool) -> None:
        """So will this."""


class Seeded(Draws):
    """Draws for one instance of a slot on the page view of an id: the same wherever and how often they are made, so
    that separate calls for parts of one page agree. Each is a mix (SplitMix64) of `seed` and of how many came before.
    What they pick is even only as far as the ids of page views are."""

    def __init__(self, seed: int, stuck: Recent[int] | None = None) -> None:
        super().__init__(_NOTHING, remembered=2, stuck=stuck)
        self._seed = seed

    def even(self, pool: int) -> int:
        return self._next()

    def even_rest(self, rest: int) -> int:
        return self._next()

    def random(self, _name: int) -> int:
        return self._next()

    def asked(self, slot: int, shares: Sequence[Share]) -> None:
        """How far a share lags behind is another thing on each worker."""

    def share(self, slot: int, shares: Sequence[Share], able: int, *, countable: bool) -> int | None:
        self._seed = (self._seed + _STEP) & _LAST_POINT
        point = mixed(self._seed)
        parts = self._lags.parts(slot, shares, able, countable=False)
        self.turns += ((point, parts),)
        return turn(parts, point)

    def shared(self, slot: int, serial: int, *, countable: bool) -> None:
        """So nothing is made up for."""

    def _next(self) -> int:
        self._seed = (self._seed + _STEP) & _LAST_POINT
        self.point = point = mixed(self._seed)
        return point


def mixed(number: int) -> int:
    """64 bits, each of which depends on each of the 64 of `number` (SplitMix64)."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _LAST_POINT
    number = (number ^ number >> 27) * 0x94D049BB133111EB & _LAST_POINT
    return number ^ number >> 31


class _Nothing:
    def getrandbits(self, count: int, /) -> int:
        raise AssertionError("draws of a seed need no chance")


_NOTHING = _Nothing()
