"""HTTP as bytes on real sockets: what no client library would send, and crowds that cost little."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from adserve.http import Server, http_options, listen

LOCAL = "\r\nhost: localhost:8000\r\n"


@asynccontextmanager
async def serving(app: ASGIApp, **options: Any) -> AsyncIterator[int]:
    """A server with our protocol, on the event loop of the test: its port."""
    plain = listen("127.0.0.1", 0)
    # asyncio asks a socket that names its protocol alone for no delay; else every second write waits 40 ms for an ACK
    sock = socket.socket(plain.family, plain.type, socket.IPPROTO_TCP, fileno=plain.detach())
    given = {**http_options(), "loop": "none", "timeout_graceful_shutdown": 1, "access_log": False, **options}
    server = Server(uvicorn.Config(app, **given))
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        yield int(sock.getsockname()[1])
    finally:
        server.should_exit = True
        await task


async def said(port: int, *pieces: bytes, within_s: float = 10) -> bytes:
    """All that the server says until it ends the connection, whose client sends the pieces and then waits."""
    async with asyncio.timeout(within_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        found = b""
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            while data := await reader.read(65_536):
                found += data
        except ConnectionError:
            pass
        writer.close()
        return found


def request(method: str, target: str, *headers: str) -> bytes:
    """One request that is the last of its connection. Text is sent as Latin-1, whatever it holds."""
    lines = "".join(f"{header}\r\n" for header in (*headers, "connection: close"))
    return f"{method} {target} HTTP/1.1{LOCAL}{lines}\r\n".encode("latin-1")


def status_of(answer: bytes) -> int:
    """0 when there was no answer."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
