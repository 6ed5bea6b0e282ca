"""Writing records as keys of one prefix, in batches; nothing here is a retry."""

from __future__ import annotations

from typing import Any

from adserve.core.records import Record, entries
from adserve.store.client import Redis
from adserve.store.read import Reader

BATCH_BYTES = 1 << 20
BATCH = 500
_ADD = {"string": "APPEND", "hash": "HSET", "set": "SADD", "list": "RPUSH"}
_GROUP = "adserve-copy"
"""Made and removed again: the only way to an empty stream."""


class Writer:
    """Writes under a prefix that holds nothing. `close` when the last record was put."""

    def __init__(self, client: Redis, prefix: str, now: int) -> None:
        self._client, self._prefix, self._now = client, prefix.encode(), now
        self._commands: list[tuple[Any, ...]] = []
        self._bytes = 0
        self._last: list[tuple[Any, ...]] = []
        """What follows the last part of a stream: its entries have smaller ids than the last one it gave."""
        self.keys = self.expired = 0
        """Keys written, and those left out because they were over."""

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
        key = self._prefix + record.key
        self._commands += _commands(key, record)
        if record.newest:
            self._last = [("XSETID", key, record.newest)]
        if record.part == 0 and record.expires:
            self._commands.append(("EXPIREAT", key, record.expires))
        self._bytes += len(key) + sum(map(len, record.items))
        if self._bytes > BATCH_BYTES or len(self._commands) > BATCH:
            await self._flush()

    async def close(self) -> None:
        self._commands += self._last
        await self._flush()

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
    if record.type != "stream":
        return [(_ADD[record.type], key, *items)] if items != [b""] or record.type != "string" else [("SET", key, b"")]
    found: list[tuple[Any, ...]] = [("XADD", key, id_, *fields) for id_, fields in entries(items)]
    if not found and record.part == 0:
        found = [("XGROUP", "CREATE", key, _GROUP, "$", "MKSTREAM"), ("XGROUP", "DESTROY", key, _GROUP)]
    return found


async def holds(reader: Reader) -> bytes | None:
    """A key that is there already; None when there is none."""
    async for name in reader.scan():
        return name
    return None


async def clear(client: Redis, reader: Reader, prefix: str) -> int:
    """Removes every key; how many."""
    removed = 0
    batch: list[bytes] = []

    async def flush() -> int:
        async with client.pipeline(transaction=False) as pipe:
            for key in batch:
                pipe.execute_command("UNLINK", key)
            return sum(map(int, await pipe.execute()))

    async for name in reader.scan():
        batch.append(prefix.encode() + name)
        if len(batch) >= BATCH:
            removed += await flush()
            batch.clear()
    return removed + await flush() if batch else removed
