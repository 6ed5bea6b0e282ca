"""Draws that were made before, for a decision that is made again."""

from __future__ import annotations

from collections.abc import Sequence

from adserve.core.rotation import Draws, Turn
from adserve.core.shares import Share, turn


class _Nothing:
    """No chance at all."""

    def getrandbits(self, count: int, /) -> int:
        raise AssertionError("a decision that is made again draws nothing new")


class Recorded(Draws):
    """The draws of one decision: its `point`, and the turns of its share goals."""

    def __init__(self, point: int, turns: Sequence[Turn]) -> None:
        super().__init__(_Nothing(), remembered=2)
        self.point = point
        self._left = list(reversed(turns))

    def even(self, pool: int) -> int:
        return self.point

    def even_rest(self, rest: int) -> int:
        return self.point

    def random(self, _name: int) -> int:
        return self.point

    def share(self, slot: int, shares: Sequence[Share], able: int, *, countable: bool) -> int | None:
        point, parts = self._left.pop()
        return turn(parts, point)

    def shared(self, slot: int, serial: int, *, countable: bool) -> None:
        """It was counted then."""

    def asked(self, slot: int, shares: Sequence[Share]) -> None:
        """So was this."""
