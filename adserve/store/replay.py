"""From the spool to the store, when that answers again; also what dead workers have left."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable

from adserve.core.terms import Terms
from adserve.core.token import Serve
from adserve.errors import StoreUnavailable
from adserve.store.batch import Item
from adserve.store.client import REPLY_ERRORS
from adserve.store.ledger import BATCH, FAILED, Ledger
from adserve.store.spool import UNPRICED, Event, Flush, Record, Replayable, SpooledEvent, event_of

EVERY_S = 0.5


class Replay:
    """The replaying side of a worker. `run` is its task. `terms`: those of the campaign of a serve; raises
    one of REPLY_ERRORS when they cannot be told yet."""

    def __init__(
        self, ledger: Ledger, prefix: str, clock: Callable[[], float], terms: Callable[[Serve], Awaitable[Terms]]
    ) -> None:
        self._ledger, self._prefix, self._clock, self._terms = ledger, prefix, clock, terms

    async def run(self) -> None:
        spool = self._ledger.spool
        while True:
            await asyncio.sleep(EVERY_S)
            if (copy := spool.unsynced()) is not None:
                # shielded: a thread that never began would never close the copy, and that holds the lock of the file
                await asyncio.shield(asyncio.to_thread(_sync, copy))
            await self.once()

    async def finish(self, within_s: float) -> None:
        """The last try of a worker that ends: until nothing of it is left, or the time is over. What is left then
        is replayed by the next start."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._ledger.spool.holds_files():
                    await self.once()
                    await asyncio.sleep(EVERY_S / 5)

    async def once(self) -> None:
        """Replays what there is, while the store takes it."""
        ledger, spool = self._ledger, self._ledger.spool
        if ledger.breaker.refuses():
            return
        if ledger.counts.settled and (own := spool.rotate()) is not None and not await self._file(own):
            return
        for file in spool.orphans():
            if not await self._file(file):
                return

    async def _file(self, file: Replayable) -> bool:
        try:
            for chunk in _chunks(file.records(self._prefix)):
                if self._ledger.breaker.barred:
                    raise StoreUnavailable("the store is not fit")
                await self._chunk(chunk)
        except REPLY_ERRORS:
            self._ledger.breaker.failed()
            file.leave()  # the next round finds it, and knows that some may have been taken
            return False
        except BaseException:
            file.leave()
            raise
        self._ledger.spool.torn += file.torn
        file.end()
        return True

    async def _chunk(self, records: list[Record]) -> None:
        """Flushes one by one, events together."""
        now = int(self._clock())
        if isinstance(records[0], Flush):
            if self._ledger.counts.forgotten(records[0], now):
                self._ledger.spool.expired += 1
            else:
                await self._ledger.counts.apply(records[0])
            return
        loop, spool = asyncio.get_running_loop(), self._ledger.spool
        events = [one for one in records if isinstance(one, SpooledEvent)]
        priced = [await self._priced(one.event) for one in events]
        items = [
            Item(event, one.arrival, loop.create_future(), 0.0, one.again)
            for event, one in zip(priced, events, strict=True)
        ]
        for record, answer in zip(events, await self._ledger.apply(items, now), strict=True):
            if answer == FAILED:
                spool.refused += 1
                spool.refuse(record, "a key of the ledger is spoilt")
            elif answer == "expired":
                spool.expired += 1
            else:
                spool.replayed += 1
        self._ledger.breaker.succeeded()

    async def _priced(self, event: Event) -> Event:
        if event.cpm != UNPRICED and event.campaign:
            return event
        terms = await self._terms(event.serve)
        if event.cpm != UNPRICED:  # of a version that knew no campaigns: what it earns was told then
            terms = terms._replace(cpm=event.cpm, cpc=event.cpc)
        return event_of(event.kind, event.serve, event.verdict, terms, client=event.client, reader=event.reader)


def _chunks(records: Iterable[Record]) -> Iterable[list[Record]]:
    chunk: list[Record] = []
    for record in records:
        if chunk and (isinstance(record, Flush) or isinstance(chunk[0], Flush) or len(chunk) >= BATCH):
            yield chunk
            chunk = []
        chunk.append(record)
    if chunk:
        yield chunk


def _sync(file: int) -> None:
    try:
        os.fdatasync(file)
    finally:
        os.close(file)
