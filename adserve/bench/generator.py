"""The load generator: keep-alive connections that send prepared requests and count answered bytes.

It does as little as possible per answer, because whatever it costs flatters the slower side: it
knows the length of an answer beforehand and only counts. Loopback only, bounded in count.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

CONNECTIONS = 32


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

    def __init__(self, requests: Sequence[bytes], done: asyncio.Future[int]) -> None:
        self._requests = iter(requests)
        self._done = done
        self._left = 0
        self._head = b""
        self._answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not subclasses of it
        self._send()

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            self._done.set_result(self._answered)
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self._left:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._head.startswith(b"HTTP/1.1 2"):
                self._fail(f"the service answered {self._head[:40]!r}")
                return
            at = self._head.find(b"content-length: ")
            self._left = int(self._head[at + 16 : self._head.find(b"\r", at)])
            data, self._head = self._head[end + 4 :], b""
        self._left -= len(data)
        if self._left <= 0:
            self._left = 0
            self._answered += 1
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection was lost")

    def _fail(self, why: str) -> None:
        if not self._done.done():
            self._done.set_exception(RuntimeError(why))
            self._transport.close()


async def drive(port: int, requests: Sequence[bytes]) -> Load:
    """Sends all requests over 32 connections and waits for every answer (200 with a body)."""
    loop = asyncio.get_running_loop()
    futures: list[asyncio.Future[int]] = [loop.create_future() for _ in range(CONNECTIONS)]
    shares = [requests[at::CONNECTIONS] for at in range(CONNECTIONS)]
    began, worked = time.perf_counter(), time.process_time()
    for share, future in zip(shares, futures, strict=True):
        await loop.create_connection(partial(_Connection, share, future), "127.0.0.1", port)
    answered = sum(await asyncio.wait_for(asyncio.gather(*futures), 120))
    seconds = time.perf_counter() - began
    return Load(answered, seconds, (time.process_time() - worked) / seconds)
