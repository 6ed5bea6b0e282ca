"""Served counts: gathered in memory, flushed at least every 50 ms, each batch applied once.

A flush carries a sequence per hash tag and is sent again, unchanged, until the store has answered:
`serves.lua` applies it once. It also says how far it reaches in the ledger, so that an event can tell
whether its serve is counted (see `ledger`).

What the store has not taken after 100 ms is written to the spool too: should this process be killed,
another one sends it, with the same sequence. As long as it lives it sends from memory.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from typing import Any

from adserve.core.figures import Latency
from adserve.core.report_cells import Where
from adserve.core.token import Serve
from adserve.errors import StoreUnavailable
from adserve.store.breaker import Breaker
from adserve.store.client import Redis, Script, end, recover
from adserve.store.keys import BUCKET_S, TAGS, Keys, tag_of
from adserve.store.line import Call, Line, Words
from adserve.store.spaces import Place, Spaces
from adserve.store.spool import Flush, Spool

FLUSH_S = 0.05
SPOOL_S = 0.1
"""How long served counts may stand in memory alone: what a killed worker can lose."""


Cell = tuple[int, int, int, int, int, str]
"""Bucket, serials of slot and revision, tier, device, metric."""


class _Batch:
    """A flush on its way. `sent`: the store may have it, so it is never changed any more."""

    __slots__ = ("flush", "sent", "since", "spooled")

    def __init__(self, flush: Flush, since: float) -> None:
        self.flush, self.since = flush, since
        self.sent = self.spooled = False


class Counts:
    """The served counts of one worker. `run` is its task."""

    def __init__(
        self, client: Redis, keys: Keys, spaces: Spaces, spool: Spool, breaker: Breaker, *, memory_s: int
    ) -> None:
        self._client, self._keys, self._spaces, self._spool, self._breaker = client, keys, spaces, spool, breaker
        self._memory_s = memory_s
        self._line = Line(client, Script("cells", "serves"))
        self._fresh: defaultdict[int, dict[Cell, int]] = defaultdict(dict)
        self._since = 0.0
        self._pending: defaultdict[int, deque[_Batch]] = defaultdict(deque)
        self._begin()
        spaces.leaving = self._leave
        self._lock = asyncio.Lock()
        self._sending: asyncio.Task[Any] | None = None
        self.failures = 0
        self.latency = Latency()
        """Of the batches that the store took."""

    def _begin(self) -> None:
        self._sequence = [0] * TAGS
        self._reached: list[Place] = [(-1, 0)] * TAGS

    def _leave(self) -> None:
        """What was counted belongs to the incarnation that ends."""
        self._gather()
        self._begin()

    def served(self, serve: Serve) -> None:
        """Counts a serve, with the next flush."""
        _, _, issued, slot, revision, _, tag, tier, device, _ = serve
        self._add(tag, (issued - issued % BUCKET_S, slot, revision, tier, device, "s"))

    def stayed_empty(self, slot: int, device: int, reason: str, now: int) -> None:
        """Counts a request that stayed empty, with the next flush. `slot` is a serial."""
        self._add(tag_of(slot), (now - now % BUCKET_S, slot, 0, 0, device, f"e.{reason}"))

    def passed_back(self, campaign: int, where: Where, now: int) -> None:
        """Counts a request that was handed back to the page, with the next flush. `campaign` is a serial."""
        self._add(tag_of(campaign), (now - now % BUCKET_S, *where, "p"))

    def _add(self, tag: int, cell: Cell) -> None:
        cells = self._fresh[tag]
        cells[cell] = cells.get(cell, 0) + 1

    async def run(self) -> None:
        """Flushes for ever. A store that hangs does not keep what comes meanwhile from the spool."""
        try:
            while True:
                await asyncio.sleep(FLUSH_S)
                self._gather()
                self.put_by()
                if self._pending and not self._lock.locked() and not self._breaker.refuses():
                    self._sending = asyncio.create_task(self._send())
        finally:
            if self._sending is not None:
                await end([self._sending])

    async def flush(self) -> bool:
        """Sends everything gathered so far; False when some has to be sent again."""
        self._gather()
        return await self._send()

    @property
    def settled(self) -> bool:
        """Whether nothing stands in the spool that the store does not have yet."""
        return not any(batch.spooled for batches in self._pending.values() for batch in batches)

    def put_by(self, older_s: float = SPOOL_S) -> bool:
        """Writes what has waited too long to the spool; False when that cannot be written."""
        now = asyncio.get_running_loop().time()
        try:
            for batches in self._pending.values():
                for batch in batches:
                    if not batch.spooled and now - batch.since >= older_s:
                        self._spool.put_flush(batch.flush)
                        batch.spooled = True
                _merge(batches)
        except StoreUnavailable:
            return False
        return True

    def _gather(self) -> None:
        now = asyncio.get_running_loop().time()
        for tag, cells in self._fresh.items():
            self._sequence[tag] += 1
            start, self._reached[tag] = self._reached[tag], self._spaces.reached(tag)
            own = (self._spaces.incarnation, tag, self._sequence[tag])
            named = {
                f"{bucket} {slot}.{revision}.{tier}.{device}.{metric}": n
                for (bucket, slot, revision, tier, device, metric), n in cells.items()
            }
            flush = Flush(*own, start, self._reached[tag], named)
            self._pending[tag].append(_Batch(flush, now))
            _merge(self._pending[tag])
        self._fresh.clear()

    async def _send(self) -> bool:
        async with self._lock:
            while self._pending:
                if not self._breaker.allows():
                    return False
                first = [batches[0] for batches in self._pending.values()]
                for batch in first:
                    batch.sent = True
                begun = asyncio.get_running_loop().time()
                try:
                    replies = await self._line.send([self._call(batch.flush) for batch in first])
                except Exception as problem:  # whatever a strange reply raises
                    replies = [problem] * len(first)
                for batch, reply in zip(first, replies, strict=True):
                    if reply in (0, 1):
                        batches = self._pending[batch.flush.tag]
                        batches.popleft()
                        if not batches:
                            del self._pending[batch.flush.tag]
                if not all(reply in (0, 1) for reply in replies):
                    self.failures += 1
                    self._breaker.failed()
                    await self.hang_up()
                    await recover(self._client)
                    return False
                self.latency.observe(asyncio.get_running_loop().time() - begun)
                self._breaker.succeeded()
            return True

    async def hang_up(self) -> None:
        """Ends the connection; the next flush makes another."""
        await self._line.drop()

    def forgotten(self, flush: Flush, now: int) -> bool:
        """Whether the store may have had this flush so long ago that it cannot tell any more."""
        return now >= max(int(field.partition(" ")[0]) for field in flush.cells) + self._memory_s

    async def apply(self, flush: Flush) -> bool:
        """One call of the script; False when the store had this sequence already."""
        (answer,) = await self._line.send([self._call(flush)])
        if isinstance(answer, Exception):
            raise answer
        if answer not in (0, 1):
            raise StoreUnavailable("a reply of another shape")
        return bool(answer)

    def _call(self, flush: Flush) -> Call:
        places: dict[str, int] = {}
        lines = []
        for field, count in flush.cells.items():
            bucket, _, cell = field.partition(" ")
            lines.append(f"{places.setdefault(bucket, len(places) + 1)} {cell} {count}\n")
        own = (flush.tag, flush.incarnation)
        keys = [self._keys.flushed(*own), self._keys.proven(*own), self._keys.buckets(flush.tag)]
        keys += [self._keys.counters(flush.tag, int(bucket)) for bucket in places]
        numbers = map(str, (flush.sequence, *flush.start, *flush.end, self._memory_s))
        return Call([Words.of(keys)], Words.of((*numbers, *places, "".join(lines))))


def _merge(batches: deque[_Batch]) -> None:
    """Makes one of the last batches as long as neither was sent and both are in the same place."""
    while len(batches) > 1:
        before, last = batches[-2], batches[-1]
        if before.sent or before.spooled != last.spooled or before.flush.incarnation != last.flush.incarnation:
            return
        cells = Counter(before.flush.cells)
        cells.update(last.flush.cells)
        batches.pop()
        before.flush = last.flush._replace(start=before.flush.start, cells=dict(cells))


def cell_prefix(serve: Serve) -> str:
    """The cell of a serve, without its metric."""
    return f"{serve.slot}.{serve.revision}.{serve.tier}.{serve.device}."
