"""Writing records as keys of one prefix, in batches; nothing here is a retry.

While keys are written the check value of the signing secret says `UNFINISHED`, so no service starts on a
part; the true one is the last thing written. What is found so may be written over without being asked.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from adserve.core.records import Record, Tally, entries
from adserve.errors import Conflict
from adserve.store.client import Redis
from adserve.store.keys import Keys, kind_of
from adserve.store.read import Reader

UNFINISHED = "unfinished"
SECRET = b"{cat}:secret"
BATCH_BYTES = 1 << 20
BATCH = 500
_ADD = {"hash": "HSET", "set": "SADD", "list": "RPUSH"}
_GROUP = "adserve-copy"
"""Made and removed again: the only way to an empty stream."""


class NotEmpty(Conflict):
    code = "not_empty"


class Tallies(defaultdict[str, Tally]):
    """A tally for each kind of key, without what expires until `soon` (it may be gone when it is read again)
    and without the check value of the secret, which is written last."""

    def __init__(self, soon: int) -> None:
        super().__init__(Tally)
        self._soon = soon

    def add(self, record: Record) -> None:
        if (record.expires == 0 or record.expires > self._soon) and record.key != SECRET:
            self[kind_of(record.key)].add(record)


async def tally(client: Redis, prefix: str, soon: int) -> Tallies:
    """Reads a store at rest."""
    found = Tallies(soon)
    async for record in Reader(client, prefix).everything():
        found.add(record)
    return found


class Writer:
    """Writes under a prefix that holds nothing. `close` when the last record was put."""

    def __init__(self, client: Redis, prefix: str, now: int) -> None:
        self._client, self._prefix, self._now = client, prefix.encode(), now
        self._commands: list[tuple[Any, ...]] = []
        self._bytes = 0
        self._last: list[tuple[Any, ...]] = []
        """What follows the last part of a stream: its entries have smaller ids than the last one it gave."""
        self._secret = b""
        self.keys = self.expired = self.bytes = 0
        """Keys written, those left out because they were over, and bytes written."""

    async def begin(self, *, replace: bool) -> int:
        """Sees to it that the store holds nothing; how many keys were removed for that. NotEmpty."""
        key = Keys(self._prefix.decode()).secret
        unfinished = await self._client.get(key) == UNFINISHED.encode()
        if not (replace or unfinished):
            async for name in Reader(self._client, self._prefix.decode()).scan():
                shown = (self._prefix + name).decode("utf-8", "backslashreplace")
                raise NotEmpty(
                    f"the store holds keys with the prefix {self._prefix.decode()} already, as {shown}: nothing was"
                    " changed; --replace removes them first, another ADSERVE_KEY_PREFIX leaves them alone"
                )
        await self._client.set(key, UNFINISHED)
        return await self._clear()

    async def _clear(self) -> int:
        removed = 0
        async for name in Reader(self._client, self._prefix.decode()).scan():
            if name != SECRET:
                self._commands.append(("UNLINK", self._prefix + name))
                removed += 1
            if len(self._commands) >= BATCH:
                await self._flush()
        await self._flush()
        return removed

    async def put(self, record: Record) -> None:
        """Writes a record; those of one key come in their order."""
        over = 0 < record.expires <= self._now
        if record.part == 0:
            self._commands += self._last
            self._last = []
            self.expired += over
            self.keys += not over
        if over:
            return
        if record.key == SECRET:
            self._secret = record.items[0]
            return
        key = self._prefix + record.key
        self._commands += _commands(key, record)
        if record.newest:
            self._last = [("XSETID", key, record.newest)]
        if record.part == 0 and record.expires:
            self._commands.append(("EXPIREAT", key, record.expires))
        self._bytes += len(key) + record.size
        self.bytes += record.size
        if self._bytes > BATCH_BYTES or len(self._commands) > BATCH:
            await self._flush()

    async def close(self) -> None:
        self._commands += self._last
        await self._flush()

    async def finish(self) -> None:
        """Lets a service use the store."""
        key = Keys(self._prefix.decode()).secret
        await (self._client.set(key, self._secret) if self._secret else self._client.delete(key))

    async def _flush(self) -> None:
        if self._commands:
            async with self._client.pipeline(transaction=False) as pipe:
                for command in self._commands:
                    pipe.execute_command(*command)
                await pipe.execute()
        self._commands, self._bytes = [], 0


def _commands(key: bytes, record: Record) -> list[tuple[Any, ...]]:
    items = record.items
    if record.type == "zset":
        return [("ZADD", key, *(one for at in range(0, len(items), 2) for one in (items[at + 1], items[at])))]
    if record.type == "string":
        return [("APPEND" if record.part else "SET", key, *items)]
    if record.type != "stream":
        return [(_ADD[record.type], key, *items)]
    found: list[tuple[Any, ...]] = [("XADD", key, id_, *fields) for id_, fields in entries(items)]
    if not found and record.part == 0:
        found = [("XGROUP", "CREATE", key, _GROUP, "$", "MKSTREAM"), ("XGROUP", "DESTROY", key, _GROUP)]
    return found
