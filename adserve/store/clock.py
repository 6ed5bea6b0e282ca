"""The time by which everything is counted: the store's, so that workers on several hosts agree.

A worker counts on by its own steady clock, and each poll of the catalog says what the store's clock shows.
Not chosen: the host's clock, which a worker's neighbour does not share, and which may be set at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class StoreClock:
    """Epoch seconds. Until the store was heard they are those of this host.

    >>> clock = StoreClock(wall=lambda: 1000.0, steady=lambda: 7.0)
    >>> clock.heard(1060.0, since=6.5)
    >>> clock(), clock.off_s
    (1060.0, 60.0)
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self.steady = wall, steady
        self._ahead = wall() - steady()

    def __call__(self) -> float:
        return self.steady() + self._ahead

    def heard(self, stored: float, since: float) -> None:
        """The store's clock showed `stored` (epoch seconds) at some moment from `since` (by `steady`) until now.
        A clock that may have been right at that moment is left alone: it never trembles with the network, and a
        reading that took long moves it less."""
        least, most = stored - self.steady(), stored - since
        self._ahead = min(max(self._ahead, least), most)

    @property
    def off_s(self) -> float:
        """Seconds by which the store is ahead of this host's clock."""
        return self() - self._wall()
