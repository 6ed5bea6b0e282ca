"""The load generator: keep-alive connections that send prepared requests and count answers.

It does as little as possible per answer, because whatever it costs flatters the slower side: it reads the length of
an answer and only counts. Loopback only, bounded in count.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

CONNECTIONS = 100
Follow = Callable[[bytes], bytes | None]
"""What is sent next, on the same connection, for the body of an answer."""
Rest = Callable[[], bytes | None]
"""What is sent when all requests were, until it is None."""


@dataclass(frozen=True, slots=True)
class Load:
    """One measured run. `busy` is the share of the time that the generator's own core worked."""

    requests: int
    seconds: float
    busy: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class _Connection(asyncio.Protocol):
    """Sends its requests one after the other, each when the answer before is whole."""

    def __init__(
        self, requests: Sequence[bytes], follow: Follow | None, rest: Rest | None, done: asyncio.Future[None]
    ) -> None:
        self._requests = iter(requests)
        self._follow, self._rest, self._done = follow, rest, done
        self._buffer = b""
        self._needed = 0
        self._body_at = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not subclasses of it
        self._send(None)

    def _send(self, body: bytes | None) -> None:
        request = self._follow(body) if self._follow is not None and body is not None else None
        if request is None:
            request = next(self._requests, None)
        if request is None and self._rest is not None:
            request = self._rest()
        if request is None:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(None)
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._needed:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if self._buffer[9:10] not in b"23":
                self._fail(f"the service answered {self._buffer[:40]!r}")
                return
            at = self._buffer.find(b"content-length: ", 0, end)
            self._body_at = end + 4
            self._needed = end + 4 + int(self._buffer[at + 16 : self._buffer.find(b"\r", at)])
        if len(self._buffer) >= self._needed:
            body = self._buffer[self._body_at :] if self._follow is not None else b""
            self._buffer, self._needed = b"", 0
            self._send(body)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection was lost")

    def _fail(self, why: str) -> None:
        if not self._done.done():
            self._done.set_exception(RuntimeError(why))
            self._transport.close()


async def drive(port: int, requests: Sequence[bytes], follow: Follow | None = None, rest: Rest | None = None) -> Load:
    """Sends all requests over keep-alive connections and waits for every answer (2xx or 3xx, with its length).
    Requests that follow others are sent beside, and not counted."""
    loop = asyncio.get_running_loop()
    futures: list[asyncio.Future[None]] = [loop.create_future() for _ in range(CONNECTIONS)]
    shares = [requests[at::CONNECTIONS] for at in range(CONNECTIONS)]
    began, worked = time.perf_counter(), time.process_time()
    for share, future in zip(shares, futures, strict=True):
        await loop.create_connection(partial(_Connection, share, follow, rest, future), "127.0.0.1", port)
    await asyncio.wait_for(asyncio.gather(*futures), 120)
    seconds = time.perf_counter() - began
    return Load(len(requests), seconds, (time.process_time() - worked) / seconds)
