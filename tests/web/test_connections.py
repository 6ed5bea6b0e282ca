"""What a connection may do: size and patience of heads and bodies, over real sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from adserve.http import Server, http_options, listen
from adserve.web import protocol
from adserve.web.protocol import BoundedProtocol
from tests.wire import said, serving

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 50\r\n\r\n"


async def app(_: Scope, receive: Receive, send: Send) -> None:
    """Answers when the body is whole, or its client is gone."""
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving(app) as found:
        yield found


BIG = {
    "a value, one write": [GET + b"x: " + b"y" * 40_000 + b"\r\n\r\n"],
    "a value, many writes": [GET + b"x: ", *[b"y" * 4_000] * 8, b"y" * 800],
    "many small headers": [GET + b"".join(b"x%d: y\r\n" % n for n in range(101)) + b"\r\n"],
    "a name": [GET + b"x" * 40_000 + b": y\r\n\r\n"],
    "many of middle size": [GET + b"".join(b"x%d: %s\r\n" % (n, b"y" * 900) for n in range(50)) + b"\r\n"],
    "an address": [b"GET /" + b"y" * 40_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n"],
}


@pytest.mark.parametrize("pieces", BIG.values(), ids=BIG)
async def test_a_head_over_its_size_is_refused(port: int, pieces: list[bytes]) -> None:
    """431 and the end of the connection, however it is cut, and the application does not hear of it."""
    answer = await said(port, *pieces)
    assert answer.startswith(b"HTTP/1.1 431")
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_head_that_goes_on_and_on_is_ended(port: int) -> None:
    """A client that does not stop to listen gets no answer through, and no application."""
    for pieces in ([b"y" * 66_000 + b"\r\n\r\n"], [b"y" * 4_000] * 200):
        assert b"HTTP/1.1 200" not in await said(port, GET + b"x: ", *pieces)


async def test_a_later_head_has_the_same_limit(port: int) -> None:
    """On a connection that was kept alive, after an answer."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + b"\r\n")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.write(GET + b"x: " + b"y" * 40_000 + b"\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 431")
        writer.close()


async def test_a_head_within_its_size_is_answered(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred headers of 30 KB in all, and a body far larger than any head."""
    monkeypatch.setattr(protocol, "HEADER_TIMEOUT_S", 0.3)
    large = b"".join(b"x%d: %s\r\n" % (n, b"y" * 290) for n in range(99))
    body = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 200000\r\n\r\n" + b"z" * 200_000
    answer = await said(port, GET + large + b"\r\n", body, GET)  # a third one that never ends, to be let go
    assert answer.count(b"HTTP/1.1 200") == 2


SLOW = {
    "nothing": [],
    "half a line": [b"GET /"],
    "half a head": [GET],
    "half a second head": [GET + b"\r\n" + GET],
    "half a second head, later": [GET + b"\r\n", b"GET"],
    "no body": [POST],
    "half a body": [POST + b"{", b"}"],
}


@pytest.mark.parametrize("pieces", SLOW.values(), ids=SLOW)
async def test_a_silent_client_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]) -> None:
    """In whatever place it falls silent; what was whole before is answered."""
    monkeypatch.setattr(protocol, "HEADER_TIMEOUT_S", 0.2)
    monkeypatch.setattr(protocol, "BODY_SILENCE_S", 0.2)
    answer = await said(port, *pieces)
    assert answer.count(b"HTTP/1.1 200") == b"".join(pieces).count(GET + b"\r\n")


@pytest.mark.parametrize("begun", [GET + b"x: ", POST], ids=["head", "body"])
async def test_a_client_that_drips_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    """A byte now and then does not make a request last for ever."""
    monkeypatch.setattr(protocol, "HEADER_TIMEOUT_S", 0.2)
    monkeypatch.setattr(protocol, "BODY_TIMEOUT_S", 0.2)
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        ended = asyncio.create_task(reader.read())
        try:
            while not ended.done():
                writer.write(b"y")
                await writer.drain()
                await asyncio.wait([ended], timeout=0.02)
            assert b"200" not in await ended
        except ConnectionError:
            pass
        writer.close()


async def test_a_request_that_is_cut_off_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain whose time is over counts what had not finished."""
    begun = asyncio.Event()

    async def endless(_: Scope, __: Receive, ___: Send) -> None:
        begun.set()
        await asyncio.Event().wait()

    sock = listen("127.0.0.1", 0)
    options = {**http_options(), "loop": "none", "timeout_graceful_shutdown": 0.1, "log_level": "critical"}
    server = Server(uvicorn.Config(endless, **options))
    task = asyncio.create_task(server.serve(sockets=[sock]))
    _, writer = await asyncio.open_connection("127.0.0.1", sock.getsockname()[1])
    writer.write(GET + b"\r\n")
    await begun.wait()
    server.should_exit = True
    await task
    assert server.cut_off == 1
    writer.close()


UPGRADE = GET + b"connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"


@pytest.mark.parametrize(
    ("pieces", "answer"),
    [
        ([UPGRADE + b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"], b"HTTP/1.1 200"),
        ([b"garbage\r\n\r\n"], b"HTTP/1.1 400"),
        ([b"\x16\x03\x01\x02\x00"], b"HTTP/1.1 400"),
        (BIG["a value, one write"], b"HTTP/1.1 431"),
    ],
    ids=["an upgrade", "garbage", "a TLS hello", "too large a head"],
)
async def test_strangers_cannot_write_to_the_log(port: int, pieces: list[bytes], answer: bytes) -> None:
    """What anybody may send is answered and leaves no line behind."""
    kept = Kept()
    loggers = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")]
    for logger in loggers:
        logger.addHandler(kept)
    assert (await said(port, *pieces)).startswith(answer)
    for logger in loggers:
        logger.removeHandler(kept)
    assert kept.lines == []


class Kept(logging.Handler):
    """The lines that a logger lets through."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def test_our_protocol_is_the_one_that_serves() -> None:
    """The limits above are those of the service and of the targets it is measured against."""
    assert http_options()["http"] is BoundedProtocol


async def test_a_draining_server_answers_one_more_request_and_says_that_it_is_the_last() -> None:
    """On a connection that was idle when the drain began: no reset for a request on its way. One that stays
    idle is let go, and a new connection is not taken."""
    sock = listen("127.0.0.1", 0)
    port = int(sock.getsockname()[1])
    server = Server(uvicorn.Config(app, **{**http_options(), "loop": "none"}))
    task = asyncio.create_task(server.serve(sockets=[sock]))
    async with asyncio.timeout(10):
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for reader, writer in pairs:
            writer.write(GET + b"\r\n")
            assert b"connection: close" not in await reader.readuntil(b"ok")
        server.should_exit = True
        await asyncio.sleep(0.3)
        (reader, writer), (idle, other) = pairs
        writer.write(GET + b"\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close\r\n" in answer
        assert await idle.read() == b""
        with pytest.raises(OSError, match=r".*"):
            await asyncio.open_connection("127.0.0.1", port)
        await task
    assert server.cut_off == 0
    for one in (writer, other):
        one.close()
