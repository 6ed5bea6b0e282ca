"""Draws: which number out of `[0, total)` comes next for an eligible set.

DESIGN. `even` walks the circle of 2**64 points by the golden ratio, whose multiples spread more
evenly than those of any other number, and scales each point to `[0, total)`: every stretch of N
draws gives an interval of weight w close to N * w / total. Each block of eight is shuffled with
chance, from a random start, so that no fixed alternation can be read off or gamed. A sequence
belongs to one eligible set: a sequence shared between sets drifts by hundreds. `random` is an exact
integer draw. Not chosen: floats or a closed range, which give weights 1:1 the shares 2/3 and 1/3;
a whole-number step coprime to the total (measured: off by up to 48, when the step happens to lie
near a simple fraction of the total); error diffusion, which is O(candidates) a pick.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Protocol

BLOCK = 8
"""Draws shuffled together; more would be less predictable and less even."""
_CIRCLE = 1 << 64
_STEP = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio, made odd, so that the walk visits every point."""


class Chance(Protocol):
    """`random.Random` has it."""

    def randrange(self, stop: int, /) -> int: ...


class EvenSequence:
    """The draws of one eligible set of weight `total` (1 to 2**40)."""

    __slots__ = ("_at", "_block", "_chance", "_total")

    def __init__(self, total: int, chance: Chance) -> None:
        self._total = total
        self._at = chance.randrange(_CIRCLE)
        self._chance = chance
        self._block: list[int] = []

    def __next__(self) -> int:
        block = self._block
        if not block:
            for _ in range(BLOCK):
                block.append(self._at * self._total >> 64)
                self._at = (self._at + _STEP) % _CIRCLE
        last = len(block) - 1
        place = self._chance.randrange(last + 1)
        block[place], block[last] = block[last], block[place]
        return block.pop()


class Draws:
    """The chance of one worker: an even sequence for each eligible set in use, least recent out first."""

    def __init__(self, chance: Chance, *, remembered: int = 20_000) -> None:
        self.chance = chance
        self._remembered = remembered
        self._sequences: OrderedDict[Hashable, EvenSequence] = OrderedDict()

    def even(self, eligible: Hashable, total: int) -> int:
        """The next draw of the set named `eligible`, in `[0, total)`."""
        sequence = self._sequences.get(eligible)
        if sequence is None:
            sequence = self._sequences[eligible] = EvenSequence(total, self.chance)
            if len(self._sequences) > self._remembered:
                self._sequences.popitem(last=False)
        else:
            self._sequences.move_to_end(eligible)
        return next(sequence)

    def random(self, _eligible: Hashable, total: int) -> int:
        """An independent draw in `[0, total)`, which advances no sequence."""
        return self.chance.randrange(total)
