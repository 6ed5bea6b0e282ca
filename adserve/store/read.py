"""Keys of any type as records: whole where they are small, else part by part. Needs a client that decodes nothing."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

from adserve.core.records import PART_BYTES, PART_ITEMS, Record, parts, score_text
from adserve.errors import Conflict
from adserve.store.client import Redis, Script
from adserve.store.clock import StoreClock

AT_ONCE = 16
"""Keys that are asked for together: as many times `PART_BYTES` at most."""
_SCANS = {"hash": "HSCAN", "set": "SSCAN", "zset": "ZSCAN"}
_ENTRIES = 200
"""Of a stream, in one record."""


class Found(NamedTuple):
    """A key as `read.lua` gives it; `content` is None when it has to be read part by part."""

    name: bytes
    type: str
    expires: int
    content: list[bytes] | None
    newest: bytes


class Reader:
    """Reads the keys of one prefix; names are without it."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._prefix = client, prefix.encode()
        self._read, self._ask = Script("read").text, Script("ask").text

    async def clock(self) -> StoreClock:
        """The store's, by which everything was counted."""
        found = StoreClock()
        since, execute = found.steady(), self._client.execute_command
        seconds, micros = await execute("EVAL", "return redis.call('TIME')", 1, self._prefix + b"{cat}:version")  # type: ignore[no-untyped-call]
        found.heard(int(seconds) + int(micros) / 1e6, since)
        return found

    async def scan(self, tag: bytes = b"") -> AsyncIterator[bytes]:
        """Every key, or every one of a hash tag; some may come twice. A key of ours has its tag right behind the
        prefix: what else begins like ours is somebody else's."""
        pattern: Any = self._prefix + (b"{%s}:*" % tag if tag else b"{*")
        found: Any = self._client.scan_iter(match=pattern, count=1000)
        async for name in found:
            yield name[len(self._prefix) :]

    async def at_once(self, names: Sequence[bytes]) -> list[Found]:
        """Those of some keys of one hash tag that are there, as they are at one moment."""
        return [one for one in await self._pipe([names], 0, 0) if one] if names else []

    async def each(self, names: Sequence[bytes]) -> list[Found]:
        """Those of some keys that are there, each as it is when its turn comes; large ones without their content."""
        return [one for one in await self._pipe([[name] for name in names], PART_BYTES, PART_ITEMS // 2) if one]

    async def everything(self, wanted: Callable[[bytes], bool] = lambda _: True) -> AsyncIterator[Record]:
        """Every record of a store at rest, or of the keys that are wanted, each key once."""
        seen: set[bytes] = set()
        batch: list[bytes] = []
        async for name in self.scan():
            if name in seen or not wanted(name):
                continue
            seen.add(name)
            batch.append(name)
            if len(batch) == AT_ONCE:
                async for record in self.records(await self.each(batch)):
                    yield record
                batch = []
        async for record in self.records(await self.each(batch)):
            yield record

    async def _pipe(self, groups: Sequence[Sequence[bytes]], string: int, other: int) -> list[Found | None]:
        async with self._client.pipeline(transaction=False) as pipe:
            for names in groups:
                keys = [self._prefix + name for name in names]
                pipe.execute_command("EVAL", self._read, len(keys), *keys, string, other)
            replies: list[Any] = await pipe.execute()
        return [
            self._found(name, *one) if one else None
            for names, reply in zip(groups, replies, strict=True)
            for name, one in zip(names, reply, strict=True)
        ]

    def _found(self, name: bytes, kind: bytes, expires: int, content: Any, newest: bytes) -> Found:
        text = kind.decode("ascii", "replace")
        if content is not None:
            content = [content] if text == "string" else content
            content = _scores(content) if text == "zset" else content
        elif text not in (*_SCANS, "string", "list", "stream"):
            shown = (self._prefix + name).decode("utf-8", "backslashreplace")
            raise Conflict(
                f"{shown} is of the type {text}, which cannot be copied: remove the key, or move it elsewhere"
            )
        return Found(name, text, int(expires), content, newest)

    async def records(self, found: Sequence[Found]) -> AsyncIterator[Record]:
        """The keys as records."""
        for one in found:
            if one.content is not None:
                for record in parts(one.name, one.type, one.expires, one.content):
                    yield record
                continue
            number = 0
            async for items in self._parts(one):
                yield Record(one.name, one.type, one.expires, number, items, one.newest)
                number += 1

    async def _parts(self, found: Found) -> AsyncIterator[list[bytes]]:
        if found.type == "stream":
            async for items in self._entries(found):
                yield items
        elif found.type in _SCANS:
            async for items in self._scanned(found):
                yield items
        else:
            command, step = ("GETRANGE", PART_BYTES) if found.type == "string" else ("LRANGE", PART_ITEMS)
            for at in itertools.count(0, step):
                reply = await self._call(command, found.name, at, at + step - 1)
                if not reply:
                    return
                yield [reply] if found.type == "string" else reply

    async def _scanned(self, found: Found) -> AsyncIterator[list[bytes]]:
        """A scan may give a field or member twice."""
        cursor, seen, width = b"0", set[bytes](), 1 if found.type == "set" else 2
        while True:
            cursor, flat = await self._call(_SCANS[found.type], found.name, cursor, "COUNT", PART_ITEMS // 2)
            flat = _scores(flat) if found.type == "zset" else flat
            fresh: list[bytes] = []
            for at in range(0, len(flat), width):
                if flat[at] not in seen:
                    seen.add(flat[at])
                    fresh += flat[at : at + width]
            if fresh:
                yield fresh
            if cursor == b"0":
                return

    async def _entries(self, found: Found) -> AsyncIterator[list[bytes]]:
        """Up to the last id that was given when the stream was found; one record without items when it is empty."""
        start, empty = b"-", True
        while True:
            entries = await self._call("XRANGE", found.name, start, found.newest, "COUNT", _ENTRIES)
            if entries or empty:
                yield [word for id_, fields in entries for word in (id_, b"%d" % len(fields), *fields)]
            if len(entries) < _ENTRIES:
                return
            start, empty = b"(" + entries[-1][0], False

    async def _call(self, command: str, name: bytes, *args: Any) -> Any:
        """The reply as the server gives it: the client would make a dict of a stream's fields."""
        execute: Any = self._client.execute_command
        return await execute("EVAL", self._ask, 1, self._prefix + name, command, *args)


def _scores(flat: list[bytes]) -> list[bytes]:
    return [score_text(one) if at % 2 else one for at, one in enumerate(flat)]
