"""A store that answers what it is told to: the commands of one kind get these bytes, all others reach the real one.

It speaks RESP 2 as a proxy, because only a network in between can give every error and every torn reply to
every command, in the middle of the real work of a worker.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adserve.store.client import end

PIECE = 65_536


async def frame(reader: asyncio.StreamReader) -> bytes:
    """One value, whole, as it stands on the wire."""
    line = await reader.readuntil(b"\r\n")
    if line[:1] == b"$" and int(line[1:]) >= 0:
        return line + await reader.readexactly(int(line[1:]) + 2)
    if line[:1] == b"*":
        for _ in range(max(0, int(line[1:]))):
            line += await frame(reader)
    return line


def name_of(command: bytes) -> str:
    """`GET` of `*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\nx\\r\\n`."""
    return command.split(b"\r\n", 3)[2].decode("ascii").upper()


class Replies:
    """`answers`: by kind of command, the bytes it gets; `ends`: and then the connection ends. `seen`: every kind
    that came; `given`: how many answers were ours."""

    def __init__(self, socket_path: str) -> None:
        self._store = socket_path
        self.answers: dict[str, bytes] = {}
        self.ends = False
        self.seen: set[str] = set()
        self.given = self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own: asyncio.Task[None] | None = asyncio.current_task()
        assert own is not None
        self._tasks.add(own)
        store_reader, store_writer = await asyncio.open_unix_connection(self._store)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    command = await frame(reader)
                    kind = name_of(command)
                    self.seen.add(kind)
                    if kind in self.answers:
                        self.given += 1
                        if kind == "EXEC":  # it would go on collecting: what comes next would be of another request
                            store_writer.write(b"*1\r\n$7\r\nDISCARD\r\n")
                            await frame(store_reader)
                        writer.write(self.answers[kind])
                        if self.ends:
                            return
                    else:
                        store_writer.write(command)
                        writer.write(await frame(store_reader))
                    await writer.drain()
        finally:
            store_writer.close()
            writer.close()
            self._tasks.discard(own)


@asynccontextmanager
async def replies(socket_path: str) -> AsyncIterator[Replies]:
    """In front of the store on a unix socket, gone with everything it holds at the end."""
    found = Replies(socket_path)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await end(found._tasks)
