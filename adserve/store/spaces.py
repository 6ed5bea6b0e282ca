"""The ordinals of a worker's serves.

A worker has two spaces. Serves of the first are counted by its flushes, those of the second by their first event, which
proves them (`event.lua`): so a serve can be given an ordinal before it is known whether it will be one, and what
becomes of none is counted nowhere. The second has the incarnation of the first with the last bit turned.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from adserve.core.token import SKEW_S
from adserve.store.keys import HOUR_S, TAGS

Place = tuple[int, int]
"""An hour (since the epoch; -1 before the first) and an ordinal in it, in the order in which serves are made."""


class Spaces:
    """Ordinals, counted up per (hash tag, hour) of one incarnation, granted by nobody."""

    def __init__(self) -> None:
        self.leaving: Callable[[], None] = lambda: None
        """Called before the incarnation becomes another."""
        self._begin()

    def _begin(self) -> None:
        self.incarnation = secrets.randbits(40)
        self.name = f"{self.incarnation:x}"
        self._hours = [-1] * TAGS
        self._next = [0] * TAGS
        self._proven: list[Place] = [(-1, 0)] * TAGS

    def take(self, tag: int, now: int) -> tuple[int, int]:
        """`(moment, ordinal)` for a serve. No ordinal is given twice in one space: when the clock stepped back
        across an hour, the moment is the start of that hour, or, where a token would then be of a future that nobody
        believes, the incarnation another one."""
        hour = now // HOUR_S
        newest = self._hours[tag]
        if hour > newest:
            self._hours[tag] = hour
            self._next[tag] = 0
        elif newest * HOUR_S - now > SKEW_S // 2:
            self.leaving()
            self._begin()
            return self.take(tag, now)
        elif hour < newest:
            now = newest * HOUR_S
        ordinal = self._next[tag]
        self._next[tag] = ordinal + 1
        return now, ordinal

    def take_proven(self, tag: int, now: int) -> tuple[int, int, int]:
        """`(incarnation, moment, ordinal)` for a serve that may come to nothing, on the same terms."""
        hour = now // HOUR_S
        newest, ordinal = self._proven[tag]
        if hour > newest:
            newest, ordinal = hour, 0
        elif newest * HOUR_S - now > SKEW_S // 2:
            self.leaving()
            self._begin()
            return self.take_proven(tag, now)
        self._proven[tag] = newest, ordinal + 1
        return self.incarnation ^ 1, max(now, newest * HOUR_S), ordinal

    def reached(self, tag: int) -> Place:
        """The place of the next serve in the newest hour: every serve given so far lies before it."""
        return self._hours[tag], self._next[tag]
