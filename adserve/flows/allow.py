"""Keeping a worker's allowances: what is due goes to the store, what comes back opens and closes campaigns."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from adserve.core.allowance import Allowances
from adserve.store.client import REPLY_ERRORS
from adserve.store.grants import Grants

TICK_S = 0.1
AT_ONCE = 64
"""Campaigns of one call: a millisecond or two of the event loop, for what is asked and for what comes back."""
NEEDS_S = 1.0
GIVE_BACK_S = 1.0
"""How long the end of a worker waits for what it gives back."""


class Allowing:
    """The upkeep of one worker. `run` is its task; `refuses`: whether the store is known to be away, or not to be
    counted on, so that nothing more is taken."""

    def __init__(
        self, allowances: Allowances, grants: Grants, clock: Callable[[], float], refuses: Callable[[], bool]
    ) -> None:
        self._allowances, self._grants, self._clock, self._refuses = allowances, grants, clock, refuses
        self._wake = asyncio.Event()
        self._renewed = 0.0
        allowances.wake = self._wake.set

    async def run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TICK_S)
            self._wake.clear()
            if not self._refuses():
                await self.once()

    async def once(self) -> None:
        """Sends what is due, part by part."""
        while takings := self._allowances.due(self._clock(), AT_ONCE):
            try:
                taken = await self._grants.take(takings, int(self._clock()))
            except REPLY_ERRORS:
                self._allowances.lost(takings, self._clock())
                return
            except BaseException:
                self._allowances.lost(takings, self._clock())
                raise
            now = self._clock()
            for taking, one in zip(takings, taken, strict=True):
                self._allowances.took(taking, one, now)
        self._renew()

    def _renew(self) -> None:
        loop_s = asyncio.get_running_loop().time()
        if loop_s - self._renewed >= NEEDS_S:
            self._renewed = loop_s
            self._allowances.renew_needs()

    async def close(self) -> None:
        """Gives everything back, if the store takes it in a moment: else it comes back when the grants are closed."""
        with contextlib.suppress(*REPLY_ERRORS):
            takings = self._allowances.all_back(int(self._clock()))
            if takings and not self._refuses():
                await asyncio.wait_for(self._grants.take(takings, int(self._clock())), GIVE_BACK_S)
        await self._grants.hang_up()
