"""Counting events: group commit, answered when the store or the spool has them.

DESIGN. A serve is one bit: (incarnation of the worker, hash tag, hour, ordinal). `event.lua` sets
it and adds to the counters in one step, only if it was 0, so no race, repeat or retry counts twice.
Beacons that arrive while a batch is in flight wait for the next one (group commit): one batch in
flight per worker, one script call in it for all ledger spaces (on a Cluster one for each hash tag), and an event is
answered when the store has committed it. A task of the ledger owns the connection; requests only await
futures, so a client that goes away cannot leave a half-read reply behind.

A batch that fails is sent again. An event that is not committed after 250 ms is written to the spool,
answered, and replayed later as of its arrival; while the breaker is open it goes there at once. If the
store may have had it already, it is marked: its bit is then no duplicate.

An event proves its serve: if the serve is not flushed yet (and may never be), the event counts it,
and the flush leaves it out. So views <= impressions <= serves holds in the store at every moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from redis.exceptions import ResponseError

from adserve.core.schedule import LATE_S
from adserve.errors import StoreUnavailable
from adserve.store.batch import Batch, Item, Space
from adserve.store.breaker import Breaker
from adserve.store.client import Redis, Script, end, recover
from adserve.store.counts import Counts
from adserve.store.keys import HOUR_S, Keys
from adserve.store.line import Line, Words
from adserve.store.spaces import Spaces
from adserve.store.spool import Event, Spool

COMMIT_S = 0.25
"""How long an event waits for its commit before it goes to the spool."""
SWEEP_S = 0.025
RETRY_S = 0.02
BATCH = 400
REMEMBERED = 1_000
"""Ledger spaces whose keys are kept framed."""
WORDS = frozenset({"counted", "duplicate", "late", "failed", "expired"})
FAILED = "failed"
"""The outcome of an event that the store can never take: a key of its ledger holds something else."""
SPOOLED = "spooled"


class Ledger:
    """The counting side of one worker. `start` begins its tasks; `close` leaves nothing uncounted."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        spaces: Spaces,
        spool: Spool,
        *,
        click_lifetime_s: int,
        breaker: Breaker | None = None,
    ) -> None:
        self._client, self._keys, self.spaces, self.spool = client, keys, spaces, spool
        self.breaker = breaker or Breaker()
        self._retain_s = retained_s(click_lifetime_s)
        self.counts = Counts(client, keys, spaces, spool, self.breaker, memory_s=self._retain_s)
        self._line = Line(client, Script("cells", "grants", "event"))
        self._spaces: dict[tuple[int, int, int], Space] = {}
        self._waiting: list[Item] = []
        self._in_flight: list[Item] = []
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.committed = 0
        self.failures = 0

    def start(self) -> None:
        self._tasks = [asyncio.create_task(work) for work in (self._commit_forever(), self._sweep(), self.counts.run())]

    def enqueue(self, event: Event, now: int) -> asyncio.Future[str]:
        """The outcome of an event: `counted`, `duplicate`, `late`, `filtered:<reason>`, or `spooled`,
        which becomes one of the others later. StoreUnavailable when it can be neither counted nor
        spooled: then it may have been counted all the same, and sending it again is safe."""
        loop = self._loop = self._loop or asyncio.get_running_loop()  # which asks the system for the process each time
        item = Item(event, now, loop.create_future(), loop.time(), again=False)
        if self.breaker.refuses():
            self._put_by(item)
        else:
            self._waiting.append(item)
            self._wake.set()
        return item.future

    def defer(self, event: Event, now: int) -> asyncio.Future[str]:
        """The same for an event that is to be counted later: `spooled`, or StoreUnavailable."""
        item = Item(event, now, asyncio.get_running_loop().create_future(), 0.0, again=False)
        self._put_by(item)
        return item.future

    async def apply(self, items: Sequence[Item], now: int) -> list[str]:
        """Counts events as of their arrivals; the outcomes in their order, `FAILED` and `expired` (too
        old to tell whether it was counted) among them. StoreUnavailable when the store did not answer
        for some: send them all again, with `again`."""
        replies = await self._call(items, now)
        for reply in replies:
            if isinstance(reply, Exception):
                raise StoreUnavailable(type(reply).__name__)
        return [str(reply) for reply in replies]

    async def _commit_forever(self) -> None:
        while True:
            await self._wake.wait()
            if not self._waiting:  # all of them were spooled meanwhile
                self._wake.clear()
                continue
            if not self.breaker.allows():
                await asyncio.sleep(RETRY_S)
                continue
            self._in_flight, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            if not self._waiting:
                self._wake.clear()
            again = await self._commit(self._in_flight)
            self._in_flight = []
            if again:
                self._waiting[:0] = again
                self._wake.set()
                await asyncio.sleep(RETRY_S)

    async def _commit(self, items: list[Item]) -> list[Item]:
        """Commits a batch; what has to be sent again."""
        again: list[Item] = []
        begun = asyncio.get_running_loop().time()
        replies = await self._call(items, max(item.arrival for item in items))
        took_s = asyncio.get_running_loop().time() - begun
        for item, reply in zip(items, replies, strict=True):
            if reply == FAILED:
                self.failures += 1
                _refuse(item.future, StoreUnavailable("a key of the ledger is spoilt"))
            elif isinstance(reply, Exception):
                item.again = item.again or not isinstance(reply, ResponseError)  # that one says: not done
                if not item.future.done():
                    again.append(item)
            else:
                self.committed += 1
                if not item.future.done():
                    item.future.set_result(str(reply))
        if again:
            await self._line.drop()
            await recover(self._client)
        if all(isinstance(reply, Exception) for reply in replies):
            self.failures += 1
            self.breaker.failed()
        else:
            self.counts.latency.observe(took_s)
            self.breaker.succeeded()
        return again

    async def _call(self, items: Sequence[Item], now: int) -> list[str | Exception]:
        """A reply for each item. On a Cluster one script call for each hash tag, else one in all."""
        batches: dict[int, Batch] = {}
        for place, item in enumerate(items):
            tag = item.event.serve.tag if self._line.is_cluster else 0
            batch = batches.get(tag)
            if batch is None:
                batch = batches[tag] = Batch(self._keys)
            batch.add(place, item, self._space)
        try:
            replies = await self._line.send([batch.call(now) for batch in batches.values()])
        except Exception as problem:  # whatever a strange reply raises: counting must go on
            replies = [problem] * len(batches)
        found: list[str | Exception] = [""] * len(items)
        for batch, reply in zip(batches.values(), replies, strict=True):
            answers: Sequence[str | Exception]
            if isinstance(reply, list) and len(reply) == len(batch.places) and all(map(_is_outcome, reply)):
                answers = reply
            else:
                failure = reply if isinstance(reply, Exception) else StoreUnavailable("a reply of another shape")
                answers = [failure] * len(batch.places)
            for place, answer in zip(batch.places, answers, strict=True):
                found[place] = answer
        return found

    def _space(self, incarnation: int, tag: int, bucket: int) -> Space:
        """A group of `event.lua`: its keys are framed once."""
        space = self._spaces.get((incarnation, tag, bucket))
        if space is None:
            if len(self._spaces) >= REMEMBERED:
                self._spaces.clear()
            hour = bucket // HOUR_S
            keys = [self._keys.ledger(tag, kind + what, incarnation, hour) for kind in "ivc" for what in "vfpl"]
            keys += [self._keys.counters(tag, bucket), self._keys.buckets(tag)]
            keys += [self._keys.flushed(tag, incarnation), self._keys.proven(tag, incarnation), self._keys.totals(tag)]
            space = Space(Words.of(keys), f"{hour * HOUR_S + self._retain_s} {bucket}\n")
            self._spaces[incarnation, tag, bucket] = space
        return space

    async def _sweep(self) -> None:
        """Sends what has waited for `COMMIT_S` to the spool."""
        while True:
            await asyncio.sleep(SWEEP_S)
            limit = asyncio.get_running_loop().time() - COMMIT_S
            for item in self._in_flight:
                if item.since < limit and not item.future.done():
                    self.breaker.failed(at_once=True)
                    item.again = True
                    self._put_by(item)
            if self._waiting and (self._waiting[0].since < limit or self.breaker.refuses()):
                for item in self._waiting:
                    if item.since < limit or self.breaker.refuses():
                        self._put_by(item)
                self._waiting = [item for item in self._waiting if not item.future.done()]

    def _put_by(self, item: Item) -> None:
        try:
            self.spool.put_event(item.event, item.arrival, again=item.again)
        except StoreUnavailable as problem:
            _refuse(item.future, problem)
        else:
            item.future.set_result(SPOOLED)

    async def close(self, *, within_s: float = 3.0) -> bool:
        """Commits and flushes what is left, or spools it; False when it could do neither."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while loop.time() < deadline:
            waiting = [item.future for item in (*self._waiting, *self._in_flight) if not item.future.done()]
            if waiting:
                await asyncio.wait(waiting, timeout=1)
            if await self.counts.flush() and not self._waiting:
                break
            await asyncio.sleep(RETRY_S)
        await end(self._tasks)
        await self.hang_up()
        clean = self.counts.put_by(0)
        self.spool.close()
        return clean

    async def hang_up(self) -> None:
        """Ends its connections to the store."""
        await self._line.drop()
        await self.counts.hang_up()


def retained_s(click_lifetime_s: int) -> int:
    """How long after the beginning of an hour its ledger is kept."""
    return HOUR_S + click_lifetime_s + LATE_S + HOUR_S


def _is_outcome(word: object) -> bool:
    """Whether `event.lua` can have said this: nothing else may pass for an event that was counted."""
    return isinstance(word, str) and (word in WORDS or word.startswith("filtered:"))


def _refuse(future: asyncio.Future[str], failure: StoreUnavailable) -> None:
    if not future.done():
        future.set_exception(failure)
        future.exception()  # a waiter that gave up already must not make asyncio complain
