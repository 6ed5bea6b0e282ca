"""Counting: events by group commit, served counts by idempotent flushes.

DESIGN. A serve is one bit: (incarnation of the worker, hash tag, hour, ordinal). `event.lua` sets
it and adds to the counters in one step, only if it was 0, so no race, repeat or retry counts twice.
Beacons that arrive while a batch is in flight wait for the next one (group commit): one batch in
flight per worker, one script call per ledger space and quarter-hour in it, and an event is answered
when the store has committed it. A task of the ledger owns the connection; requests only await
futures, so a client that goes away cannot leave a half-read reply behind.

Served counts are gathered in memory and flushed at least every 50 ms. A flush carries a sequence
per hash tag and is sent again, unchanged, until the store has answered: `serves.lua` applies it once.
It also says how far it reaches in the ledger, so that an event can tell whether its serve is counted:
if not, the event counts it, and the flush leaves it out. So impressions <= serves at every moment,
and a killed worker loses only serves of which nothing else is known either.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from adserve.core.schedule import bucket_of
from adserve.core.token import Serve
from adserve.errors import StoreUnavailable
from adserve.store.client import Redis, Script, end
from adserve.store.keys import HOUR_S, TAGS, Keys, tag_of

FLUSH_S = 0.05
COMMIT_S = 0.25
"""How long an event waits for its commit."""
BATCH = 400
LATE_S = 48 * HOUR_S
FLUSH_MEMORY_S = 72 * HOUR_S


class Spaces:
    """The ordinals of this worker: counted up per (hash tag, hour), granted by nobody."""

    def __init__(self, incarnation: int | None = None) -> None:
        self.incarnation = incarnation if incarnation is not None else secrets.randbits(40)
        self._hours = [-1] * TAGS
        self._next = [0] * TAGS

    def take(self, tag: int, now: int) -> tuple[int, int]:
        """`(moment, ordinal)` for a serve: the moment is `now`, or the start of the newest hour when
        the clock stepped back across it, because no ordinal is given twice in one space."""
        hour = now // HOUR_S
        newest = self._hours[tag]
        if hour > newest:
            self._hours[tag] = hour
            self._next[tag] = 0
        elif hour < newest:
            now = newest * HOUR_S
        ordinal = self._next[tag]
        self._next[tag] = ordinal + 1
        return now, ordinal

    def reached(self, tag: int) -> tuple[int, int]:
        """`(hour, next ordinal)`: every serve given so far lies before it."""
        return self._hours[tag], self._next[tag]


class Flush(NamedTuple):
    """A batch of counts of one tag: all of its serves before the `next` ordinal of `hour`."""

    sequence: int
    hour: int
    next: int
    cells: dict[tuple[int, str], int]


class Event(NamedTuple):
    """One event to count. `verdict`: `count`, `late`, or the reason it is set aside for."""

    kind: str
    serve: Serve
    verdict: str
    cpm: str = ""
    cpc: str = ""
    client: str = ""
    """Keyed hash of client and creative, for the click rate rule; empty: no rule."""


class Ledger:
    """The counting side of one worker. `run` is its task; `close` flushes everything."""

    def __init__(self, client: Redis, keys: Keys, spaces: Spaces, *, click_lifetime_s: int) -> None:
        self._client, self._keys, self.spaces = client, keys, spaces
        self._retain_s = HOUR_S + click_lifetime_s + LATE_S + HOUR_S
        self._event, self._serves = Script("cells", "event"), Script("cells", "serves")
        self._waiting: list[tuple[Event, int, asyncio.Future[str]]] = []
        self._wake = asyncio.Event()
        self._counts: defaultdict[tuple[int, int, str], int] = defaultdict(int)
        self._unsent: dict[int, Flush] = {}
        self._sequence = [0] * TAGS
        self._flushing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self.committed = 0
        self.failures = 0

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._commit_forever()), asyncio.create_task(self._flush_forever())]

    def served(self, serve: Serve) -> None:
        """Counts a serve, with the next flush."""
        self._counts[serve.tag, bucket_of(serve.issued), cell_prefix(serve) + "s"] += 1

    def stayed_empty(self, slot: int, device: int, reason: str, now: int) -> None:
        """Counts a request that stayed empty, with the next flush. `slot` is a serial."""
        self._counts[tag_of(slot), bucket_of(now), f"{slot}.0.0.{device}.e.{reason}"] += 1

    def enqueue(self, event: Event, now: int) -> asyncio.Future[str]:
        """The outcome of an event: `counted`, `duplicate`, `late` or `filtered:<reason>`."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, now, future))
        self._wake.set()
        return future

    async def count(self, event: Event, now: int) -> str:
        """Counts an event and waits for the commit. StoreUnavailable when there is none in time; it
        may have been committed all the same, and sending it again is safe."""
        try:
            return await asyncio.wait_for(asyncio.shield(self.enqueue(event, now)), COMMIT_S)
        except TimeoutError:
            raise StoreUnavailable("the store did not commit in time") from None

    async def _commit_forever(self) -> None:
        while True:
            await self._wake.wait()
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            if not self._waiting:
                self._wake.clear()
            await self._commit(batch)

    async def _commit(self, batch: list[tuple[Event, int, asyncio.Future[str]]]) -> None:
        groups: dict[tuple[int, int, int], list[tuple[Event, int, asyncio.Future[str]]]] = {}
        for item in batch:
            serve = item[0].serve
            groups.setdefault((serve.incarnation, serve.tag, bucket_of(serve.issued)), []).append(item)
        try:
            sha = await self._event.load(self._client)
            pipe = self._client.pipeline(transaction=False)
            for (incarnation, tag, bucket), items in groups.items():
                keys, args = self._call(incarnation, tag, bucket, items)
                pipe.evalsha(sha, len(keys), *keys, *args)
            replies = await pipe.execute(raise_on_error=False)
        except Exception as problem:  # whatever a strange reply raises: this loop must go on
            self._event.sha = None
            replies = [problem] * len(groups)
        for items, reply in zip(groups.values(), replies, strict=True):
            if not isinstance(reply, list) or len(reply) != len(items):
                self.failures += 1
                self._event.sha = None
                failure = StoreUnavailable(type(reply).__name__)
                for _, _, future in items:
                    _refuse(future, failure)
                continue
            self.committed += len(items)
            for (_, _, future), answer in zip(items, reply, strict=True):
                if answer == "failed":
                    self.failures += 1
                    _refuse(future, StoreUnavailable("a key of the ledger is spoilt"))
                elif not future.done():
                    future.set_result(answer)

    def _call(
        self, incarnation: int, tag: int, bucket: int, items: Iterable[tuple[Event, int, asyncio.Future[str]]]
    ) -> tuple[list[str], list[str | int]]:
        hour = bucket // HOUR_S
        keys = [self._keys.ledger(tag, kind + what, incarnation, hour) for kind in "ivc" for what in "vfpl"]
        keys += [self._keys.counters(tag, bucket), self._keys.buckets(tag)]
        keys += [self._keys.flushed(tag, incarnation), self._keys.proven(tag, incarnation)]
        args: list[str | int] = [0, hour * HOUR_S + self._retain_s, bucket]
        for event, now, _ in items:
            args[0] = max(int(args[0]), now)
            place = 0
            if event.client:
                keys.append(self._keys.click_rate(tag, event.client))
                place = len(keys)
            args += [
                event.kind,
                event.serve.ordinal,
                event.verdict,
                cell_prefix(event.serve),
                event.cpm,
                event.cpc,
                place,
            ]
        return keys, args

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            if self._counts or self._unsent:
                await self.flush()

    async def flush(self) -> bool:
        """Sends the gathered counts; False when some have to be sent again. A tag whose last batch
        is not confirmed yet sends that one again first, unchanged."""
        async with self._flushing:
            fresh: set[int] = set()
            for tag, bucket, cell in list(self._counts):
                if tag not in self._unsent:
                    self._sequence[tag] += 1
                    self._unsent[tag] = Flush(self._sequence[tag], *self.spaces.reached(tag), {})
                    fresh.add(tag)
                if tag in fresh:
                    self._unsent[tag].cells[bucket, cell] = self._counts.pop((tag, bucket, cell))
            return await self._send()

    async def _send(self) -> bool:
        own = self.spaces.incarnation
        for tag, batch in list(self._unsent.items()):
            buckets = sorted({bucket for bucket, _ in batch.cells})
            keys = [self._keys.flushed(tag, own), self._keys.proven(tag, own), self._keys.buckets(tag)]
            keys += [self._keys.counters(tag, bucket) for bucket in buckets]
            args: list[str | int] = [batch.sequence, batch.hour, batch.next, FLUSH_MEMORY_S, len(buckets), *buckets]
            for (bucket, cell), count in batch.cells.items():
                args += [buckets.index(bucket) + 1, cell, count]
            try:
                await self._serves.call(self._client, keys, args)
            except Exception:
                self.failures += 1
                self._serves.sha = None
                return False
            del self._unsent[tag]
        return True

    async def close(self, *, within_s: float = 10.0) -> bool:
        """Commits and flushes what is left; False when the store would not take it in time."""
        deadline = asyncio.get_running_loop().time() + within_s
        clean = False
        while asyncio.get_running_loop().time() < deadline:
            waiting = [future for _, _, future in self._waiting]
            if waiting:
                await asyncio.wait(waiting, timeout=1)
            clean = await self.flush() and not self._counts and not self._waiting
            if clean:
                break
            await asyncio.sleep(FLUSH_S)
        await end(self._tasks)
        return clean


def _refuse(future: asyncio.Future[str], failure: StoreUnavailable) -> None:
    if not future.done():
        future.set_exception(failure)
        future.exception()  # a waiter that gave up already must not make asyncio complain


def cell_prefix(serve: Serve) -> str:
    """The cell of a serve, without its metric."""
    return f"{serve.slot}.{serve.revision}.{serve.tier}.{serve.device}."
