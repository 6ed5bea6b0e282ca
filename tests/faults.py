"""A TCP proxy in front of the store that fails on command: the network's part in every failure test.

Loopback only. A fault is set on the proxy and holds for all its connections until it is changed:

    pass          bytes go through
    delay         each chunk waits `delay_s` in both directions, `jitter_s` more or less
    throttle      replies pass at `bytes_s`
    limit         a connection ends when `limit` bytes of replies went through it since the fault was set
    slice         replies arrive one byte at a time
    drop_reply    requests reach the store, replies do not reach the client, and the connection ends
    reset         the connection is reset as soon as a request comes; the store does not see it
    black_hole    requests are swallowed, nothing ever answers
    refuse        new connections are ended at once, those that stand are reset
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from adserve.store.client import end

Fault = Literal["pass", "delay", "throttle", "limit", "slice", "drop_reply", "reset", "black_hole", "refuse"]


class Proxy:
    """`url` is what clients connect to. `dropped` counts replies that were thrown away."""

    def __init__(self, store: str | int) -> None:
        self._store = store
        self.fault: Fault = "pass"
        self.delay_s, self.jitter_s, self.bytes_s, self.limit = 0.02, 0.0, 10_000, 100
        self._chance = random.Random(7)
        self._passed: dict[asyncio.StreamWriter, int] = {}
        self.once = False
        """Whether the fault turns back to `pass` after it has hit one connection."""
        self.only = b""
        """`drop_reply` and `reset` hit the requests that hold this."""
        self.dropped = 0
        self.port = 0
        self._open: dict[asyncio.StreamWriter, bytes] = {}
        """The last request of each connection."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def set(self, fault: Fault, *, once: bool = False, only: bytes = b"") -> None:
        """From now on. `refuse` also ends the connections that stand."""
        self.fault, self.once, self.only = fault, once, only
        self._passed.clear()
        if fault == "refuse":
            for writer in list(self._open):
                _reset(writer)

    def _hit(self) -> None:
        if self.once:
            self.fault, self.once = "pass", False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fault == "refuse":
            _reset(writer)
            return
        own: asyncio.Task[None] | None = asyncio.current_task()
        assert own is not None
        self._tasks.add(own)
        try:
            if isinstance(self._store, int):
                store_reader, store_writer = await asyncio.open_connection("127.0.0.1", self._store)
            else:
                store_reader, store_writer = await asyncio.open_unix_connection(self._store)
        except OSError:  # the store is down
            _reset(writer)
            self._tasks.discard(own)
            return
        self._open[writer] = b""
        both = [
            asyncio.create_task(self._requests(reader, writer, store_writer)),
            asyncio.create_task(self._replies(store_reader, writer)),
        ]
        try:
            with contextlib.suppress(asyncio.CancelledError):  # asyncio's server complains of a handler that was ended
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            store_writer.close()
            writer.close()
            self._open.pop(writer, None)
            await end(both)
            self._tasks.discard(own)

    async def _passes(self) -> bool:
        """Whether a chunk goes on, after its delay."""
        if self.fault == "delay":
            await asyncio.sleep(self.delay_s + self._chance.uniform(-self.jitter_s, self.jitter_s))
        return self.fault != "black_hole"

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, store: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                self._open[writer] = data
                if self.fault == "reset" and self.only in data:
                    self._hit()
                    _reset(writer)
                    return
                if await self._passes():
                    store.write(data)
                    await store.drain()

    async def _replies(self, store: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await store.read(65_536):
                if self.fault == "drop_reply" and self.only in self._open[writer]:
                    self.dropped += 1
                    self._hit()
                    _reset(writer)
                    return
                if not await self._passes():
                    continue
                if self.fault == "throttle":
                    await asyncio.sleep(len(data) / self.bytes_s)
                if self.fault == "limit":
                    passed = self._passed[writer] = self._passed.get(writer, 0) + len(data)
                    if passed > self.limit:
                        writer.write(data[: max(0, self.limit - passed + len(data))])
                        await writer.drain()
                        writer.close()  # not a reset: that could take back what was written
                        return
                for piece in (data[at : at + 1] for at in range(len(data))) if self.fault == "slice" else (data,):
                    writer.write(piece)
                    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection with RST, as a dying host does, not with an orderly FIN."""
    own: socket.socket | None = writer.get_extra_info("socket")
    if own is not None and own.fileno() >= 0:  # not closed yet
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


@asynccontextmanager
async def proxy(store: str | int) -> AsyncIterator[Proxy]:
    """A proxy before the store on a unix socket or a port of loopback, gone with everything it holds at the end."""
    found = Proxy(store)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for writer in list(found._open):
            _reset(writer)
        await end(found._tasks)
