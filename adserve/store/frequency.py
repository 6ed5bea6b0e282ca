"""How often visitors have seen campaigns: read together, in at most 10 ms.

DESIGN. The one read of the hot path. What the requests of one turn of the loop ask goes in one script call (on a
Cluster one for each hash tag), on a connection that a task holds; requests only await futures, so one that goes away
leaves no half-read reply behind. One batch is in flight; what comes meanwhile goes with the next. A request that
has no answer in time goes on without: its campaigns are then left out, for showing one too often is worse than showing
another. So a slow store costs each such request 10 ms, and one that is known to be away nothing.

Written is all of it by `event.lua`, with the impression that counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adserve.core.frequency import MAX_CAMPAIGNS, Shown, stored
from adserve.errors import StoreUnavailable
from adserve.store.client import REPLY_ERRORS, Redis, Script, end, recover
from adserve.store.keys import Keys, tag_of
from adserve.store.line import Call, Line, Words
from adserve.store.salts import Salts

PATIENCE_S = 0.010
BRIEF_TIMEOUT_S = 0.25
"""After which a connection that does not answer is given up; nobody waits for it any more."""
SALTS_S = 1.0
MAX_FIELDS = 10_000
"""Fields that are read in one go, so that no batch holds the store up for more than some milliseconds."""
Found = Mapping[int, tuple[Shown | None, ...]]
"""By the serial of a campaign what was shown under each digest. What the store could not tell is missing."""
NOTHING: Found = {}


class _Asked:
    """One request's question."""

    __slots__ = ("digests", "future", "serials", "timer")

    def __init__(self, digests: tuple[str, ...], serials: Sequence[int], future: asyncio.Future[Found]) -> None:
        self.digests, self.serials, self.future = digests, serials, future
        self.timer: asyncio.TimerHandle | None = None

    def answer(self, found: Found) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if not self.future.done():
            self.future.set_result(found)


class Frequencies:
    """The reading side of one worker. `refuses`: whether the store is known to be away, or not to be used."""

    def __init__(
        self, client: Redis, keys: Keys, refuses: Callable[[], bool], clock: Callable[[], float] = time.time
    ) -> None:
        self._client, self._keys, self._refuses, self._clock = client, keys, refuses, clock
        self.salts = Salts(client, keys)
        self._line = Line(client, Script("frequency"))
        self._waiting: deque[_Asked] = deque()
        self._in_flight: list[_Asked] = []
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.patience_s = PATIENCE_S
        self.reads = 0
        """Requests that asked."""
        self.unanswered = 0
        """Those of them that had no answer in time."""

    def start(self) -> None:
        self._tasks = [asyncio.create_task(work) for work in (self._read_forever(), self._follow_salts())]

    async def refresh(self) -> None:
        """Looks which salts are alive. While the store is away those are that were known before."""
        if not self._refuses():
            with contextlib.suppress(*REPLY_ERRORS):
                await self.salts.refresh(int(self._clock()))

    async def _follow_salts(self) -> None:
        while True:
            await asyncio.sleep(SALTS_S)
            await self.refresh()

    def read(self, digests: tuple[str, ...], serials: Sequence[int]) -> asyncio.Future[Found]:
        """What was shown of campaigns under the digests of one visitor: an answer within `patience_s`, which has
        nothing when the store has not answered. Of more than `MAX_CAMPAIGNS` the rest is not asked."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Found] = loop.create_future()
        self.reads += 1
        if not self._tasks or self._refuses() or not digests:
            self.unanswered += 1
            future.set_result(NOTHING)
            return future
        asked = _Asked(digests, serials[:MAX_CAMPAIGNS], future)
        asked.timer = loop.call_later(self.patience_s, self._give_up, asked)
        self._waiting.append(asked)
        self._wake.set()
        return future

    def _give_up(self, asked: _Asked) -> None:
        if not asked.future.done():
            self.unanswered += 1
            asked.answer(NOTHING)

    async def _read_forever(self) -> None:
        with contextlib.suppress(Exception):  # the first reader of a worker need not wait for connection and script
            await self._line.send([])
        while True:
            await self._wake.wait()
            self._wake.clear()
            while batch := self._next():
                self._in_flight = batch
                await self._answer(batch)

    def _next(self) -> list[_Asked]:
        """What goes in the next call; those that have given up are dropped."""
        batch, fields = [], 0
        while self._waiting and fields < MAX_FIELDS:
            asked = self._waiting.popleft()
            if not asked.future.done():
                batch.append(asked)
                fields += len(asked.serials) * len(asked.digests)
        return batch

    async def _answer(self, batch: list[_Asked]) -> None:
        try:
            found = await self._ask(batch)
        except Exception:  # whatever a strange reply raises: the next request may fare better
            await self._line.drop()
            for asked in batch:
                self._give_up(asked)
            await recover(self._client)
            return
        for asked, one in zip(batch, found, strict=True):
            asked.answer(one)

    async def _ask(self, batch: Sequence[_Asked]) -> list[Found]:
        """An answer for each. A tag of a Cluster that does not answer is missing in them."""
        parts: dict[int, _Part] = {}
        for place, asked in enumerate(batch):
            by_tag: dict[int, list[int]] = {}
            for serial in asked.serials:
                by_tag.setdefault(tag_of(serial), []).append(serial)
            for tag, serials in by_tag.items():
                part = parts.setdefault(tag if self._line.is_cluster else 0, _Part())
                for digest in asked.digests:
                    part.add(place, self._keys.reader(tag, digest), serials)
        replies = await self._line.send([part.call() for part in parts.values()])
        values: list[dict[int, list[Shown | None]]] = [{} for _ in batch]
        for part, reply in zip(parts.values(), replies, strict=True):
            if isinstance(reply, Exception):
                continue
            if not isinstance(reply, list) or len(reply) != len(part.lines):
                raise StoreUnavailable("a reply of another shape")
            for (place, serials), line in zip(part.lines, reply, strict=True):
                _take(values[place], serials, line)
        return [
            {serial: tuple(shown) for serial, shown in one.items() if len(shown) == len(asked.digests)}
            for asked, one in zip(batch, values, strict=True)
        ]

    async def close(self) -> None:
        """Whoever waits is answered with nothing."""
        tasks, self._tasks = self._tasks, []
        await end(tasks)
        for asked in (*self._in_flight, *self._waiting):
            self._give_up(asked)
        await self._line.drop()


class _Part:
    """One call of `frequency.lua`; of each of its lines the request and the campaigns."""

    __slots__ = ("_keys", "_text", "lines")

    def __init__(self) -> None:
        self.lines: list[tuple[int, list[int]]] = []
        self._keys: list[str] = []
        self._text: list[str] = []

    def add(self, place: int, key: str, serials: list[int]) -> None:
        self._keys.append(key)
        self._text.append(f"{len(self._keys)} {' '.join(map(str, serials))}\n")
        self.lines.append((place, serials))

    def call(self) -> Call:
        return Call([Words.of(self._keys)], Words.of(("".join(self._text),)))


def _take(values: dict[int, list[Shown | None]], serials: list[int], line: Any) -> None:
    """Notes one line of an answer. What is spoilt is left out, and so is its campaign."""
    if not isinstance(line, list) or len(line) != len(serials):
        return
    for serial, text in zip(serials, line, strict=True):
        try:
            values.setdefault(serial, []).append(None if text is None else stored(text))
        except (TypeError, ValueError):
            continue
