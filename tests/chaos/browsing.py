"""Readers who browse while something fails, and what the figures have to be afterwards.

`ADSERVE_CHAOS_RUNS` repeats each scenario with more readers (`make chaos`: 10); continuous integration makes one run.
The choice of victims and moments comes from a seed, which a failure names.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Coroutine
from typing import Any

from tests.service import Crowd, Service

RUNS = int(os.environ.get("ADSERVE_CHAOS_RUNS", "1"))
SEED = int(os.environ.get("ADSERVE_CHAOS_SEED", "7"))
READERS = 30
BEACONS = 600 if RUNS == 1 else 3000


def chance_of(run: int) -> random.Random:
    return random.Random(f"{SEED}.{run}")


class Readers:
    """30 browsers over a service. Each asks for a slot, shows what it gets, and sends a third of its impressions
    twice. `may_be_empty`: where every worker is new and the store with the catalog away, slots are."""

    def __init__(self, running: Service, chance: random.Random, *, may_be_empty: bool = False) -> None:
        self.running, self._chance, self._may_be_empty = running, chance, may_be_empty
        self.crowd = Crowd(running.origin)
        self.shown: list[Any] = []
        self.statuses: set[int] = set()

    async def browse(self, during: Coroutine[Any, Any, None], beacons: int = BEACONS) -> None:
        """That many decisions, each shown; and, at leisure, more of them until the disturbance is over."""
        disturbance = asyncio.create_task(during)
        try:
            await asyncio.gather(*(self._one(beacons // READERS, disturbance) for _ in range(READERS)))
            await disturbance
        finally:
            disturbance.cancel()

    async def _one(self, count: int, disturbance: asyncio.Task[None]) -> None:
        while count > 0 or not disturbance.done():
            made = await self.crowd.decide()
            if not made["filled"]:
                assert self._may_be_empty
                await asyncio.sleep(0.1)
                continue
            self.shown.append(made)
            for _ in range(1 + (self._chance.random() < 0.33)):
                await self.show(made)
            count -= 1
            if count < 0:
                await asyncio.sleep(0.15)

    async def show(self, made: Any) -> None:
        self.statuses.add((await self.crowd.get(made["impression_url"])).status_code)

    async def again(self) -> None:
        """Every impression that was answered is sent once more."""
        await asyncio.gather(*(self.show(made) for made in self.shown))

    async def figures(self) -> dict[str, Any]:
        """The totals at rest, in which what holds after every failure does; the audit agrees with them."""
        return await asyncio.to_thread(self._figures)

    def _figures(self) -> dict[str, Any]:
        totals = self.running.at_rest()
        assert self.statuses == {200}, self._context
        assert self.crowd.refused == 0, self._context
        assert totals["impressions"] <= totals["serves"] <= len(self.shown) + self.crowd.unanswered, self._context
        assert totals["requests"] == totals["serves"] + totals["empty"], self._context
        assert (totals["filtered"], totals["late"]) == (0, 0), self._context
        verdict = self.running.audit()
        assert (verdict["agrees"], verdict["pending"]) == (True, 0), verdict["differences"]
        assert sum(row["impressions"] for row in verdict["rows"]) == totals["impressions"], self._context
        return totals

    async def all_counted(self) -> None:
        """What was answered is counted, once, and nothing else is; the service ends in order."""
        totals = await self.figures()
        assert totals["impressions"] == len({made["decision"] for made in self.shown}), self._context
        await self.end()

    async def end(self) -> None:
        assert await asyncio.to_thread(self.running.stop) == 0
        await self.crowd.http.aclose()

    @property
    def _context(self) -> tuple[Any, ...]:
        return (SEED, RUNS, len(self.shown), self.crowd.unanswered, self.crowd.refused, self.statuses)
