"""Requests as no client library makes them: odd targets, two lengths, requests within requests, huge pieces."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import uvicorn
import uvloop

from adserve.http import Server, http_options, listen
from adserve.web import protocol
from tests.security.places import everywhere
from tests.security.promises import TELLTALE, check, promises
from tests.security.world import World
from tests.wire import said, serving

LINE, HOST = b"GET /healthz HTTP/1.1\r\n", b"host: localhost:8000\r\n"
TARGETS = [
    b"@evil.example", b"http://evil.example/x", b"http://evil.example/api/v1/sites", b"//evil/%2e%2e", b"/healthz%20",
    b"//evil.example/healthz", b"evil.example:443", b"/%00", b"/\x00", b"/\xff\xfe", b"/a b", b"/a\tb", b"\\\\evil",
    b"*", b"healthz", b"?x", b"#x", b"", b"/healthz\\", b"/%", b"/%zz", b"/%c0%ae%c0%ae/", b"/" + b"../" * 500, b"https://",
    b"/?" + b"a=b&" * 5000, b"/" + b"a/" * 5000, b"/" + b"%25" * 5000, b"http://[::1/", b"http://localhost:99999/",
    b"file:///etc/x", b"/.git/x", b"/.env", b"/static/..%2f..%2fetc/x", b"/api/v1/../../healthz", b"/./healthz",
    b"/HEALTHZ",
]  # fmt: skip
HEADS = {
    "HTTP/0.9": b"GET /healthz\r\n",
    "HTTP/0.9 with a host": b"GET /healthz\r\n" + HOST + b"\r\n",
    "HTTP/1.0": b"GET /healthz HTTP/1.0\r\n\r\n",
    "HTTP/1.9": b"GET /healthz HTTP/1.9\r\n" + HOST + b"\r\n",
    "HTTP/2.0": b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "half a version": b"GET /healthz HTTP\r\n" + HOST + b"\r\n",
    "no host": LINE + b"\r\n",
    "two hosts": LINE + HOST + b"host: evil.example\r\n\r\n",
    "bare line ends": LINE.replace(b"\r", b"") + HOST.replace(b"\r", b"") + b"\n",
    "bare carriage returns": b"GET /healthz HTTP/1.1\rhost: x\r\r",
    "a folded header": LINE + HOST + b"x: a\r\n b\r\n\r\n",
    "a header without a colon": LINE + HOST + b"evil\r\n\r\n",
    "a blank before the colon": LINE + HOST + b"x : y\r\n\r\n",
    "a header without a name": LINE + HOST + b": y\r\n\r\n",
    "a NUL in a value": LINE + HOST + b"x: \x00\r\n\r\n",
    "a NUL in a name": LINE + HOST + b"x\x00: y\r\n\r\n",
    "a header that is no text": LINE + HOST + b"user-agent: \xff\xfe\r\naccept: \xff\r\n\r\n",
    "an expectation": b"POST /healthz HTTP/1.1\r\n" + HOST + b"expect: 100-continue\r\ncontent-length: 1\r\n\r\n",
    "another expectation": LINE + HOST + b"expect: x\r\n\r\n",
    "a method of 5,000": b"A" * 5000 + b" / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "nothing but line ends": b"\r\n" * 100,
    "a command of the store": b"*1\r\n$4\r\nPING\r\n",
    "a line of a proxy": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + LINE + HOST + b"\r\n",
}


async def test_an_odd_target_leads_nowhere(world: World) -> None:
    """400, 401 or 404, one answer, and nothing of the target in it."""
    async with promises(world):
        for target in TARGETS:
            answer = await said(world.port, b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n")
            assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 401", b"HTTP/1.1 404"), (target, answer)
            assert answer.count(b"HTTP/1.1 ") == 1, target
            assert b"evil" not in answer, target
            assert not TELLTALE.search(answer), target


async def test_an_odd_head_gets_one_answer_at_most(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the connection ends, by itself or by a deadline; nothing of the head is in the answer."""
    monkeypatch.setattr(protocol, "HEADER_TIMEOUT_S", 0.3)
    monkeypatch.setattr(protocol, "BODY_SILENCE_S", 0.3)
    async with promises(world), serving(world.app, timeout_keep_alive=0.2) as port:
        answers = await asyncio.gather(*(said(port, head) for head in HEADS.values()))
        for name, answer in zip(HEADS, answers, strict=True):
            final = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert final[9:12] in (b"", b"200", b"400", b"405"), (name, answer)
            assert final.count(b"HTTP/1.1 ") <= 1, name
            assert b"evil" not in answer, name
            assert not TELLTALE.search(answer), name


LENGTHS = {
    "a length and chunks": b"content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": b"transfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\n",
    "two lengths": b"content-length: 0\r\ncontent-length: 500\r\n\r\n",
    "one length twice": b"content-length: 0\r\ncontent-length: 0\r\n\r\n",
    "lengths in one line": b"content-length: 0, 0\r\n\r\n",
    "a length with a sign": b"content-length: +0\r\n\r\n",
    "a negative length": b"content-length: -1\r\n\r\n",
    "a length in hex": b"content-length: 0x0\r\n\r\n",
    "a length of 2^64": b"content-length: 18446744073709551616\r\n\r\n",
    "a length with a blank": b"content-length : 0\r\n\r\n",
    "a length that is empty": b"content-length:\r\n\r\n",
    "chunks of another kind": b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks, then not": b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "not, then chunks": b"transfer-encoding: x\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
    "chunks with a tab": b"transfer-encoding:\tchunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
    "a folded encoding": b"transfer-encoding:\r\n chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
    "a chunk of no number": b"transfer-encoding: chunked\r\n\r\nxyz\r\n\r\n",
    "a negative chunk": b"transfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
    "a chunk of 2^64": b"transfer-encoding: chunked\r\n\r\n10000000000000000\r\n",
    "a chunk in another base": b"transfer-encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "a chunk's bare line end": b"transfer-encoding: chunked\r\n\r\n0\n\n",
    "an extension with a line end": b"transfer-encoding: chunked\r\n\r\n0;a\nb\r\n\r\n",
    "a chunk longer than it says": b"transfer-encoding: chunked\r\n\r\n1\r\nxxxx\r\n0\r\n\r\n",
}
"""Headers of a POST with what follows them, whose end two parsers may see at two places."""


async def test_no_request_hides_in_another(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be a body to a proxy in front of us is no request to us, or the whole is refused; either way the
    connection ends there."""
    monkeypatch.setattr(protocol, "HEADER_TIMEOUT_S", 0.3)
    monkeypatch.setattr(protocol, "BODY_SILENCE_S", 0.3)
    async with promises(world), serving(world.app, timeout_keep_alive=0.2) as port:
        for name, end in LENGTHS.items():
            one = await world.api.decide()
            hidden = (
                b"GET /e/i/" + one["impression_url"].rpartition("/")[2].encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n"
            )
            answer = await said(port, b"POST /healthz HTTP/1.1\r\n" + HOST + end + hidden)
            assert b"GIF89a" not in answer, (name, answer)
            assert answer[:12] in (b"", b"HTTP/1.1 400"), (name, answer)
            assert answer.count(b"HTTP/1.1 ") <= 1, name


async def test_huge_pieces_are_kept_nowhere(world: World) -> None:
    """16 KB in every place: answered or refused, and neither stored nor logged."""
    piece = "zq" * 8_000
    probes = list(everywhere(world, [piece]))
    async with promises(world):
        for probe, answer in zip(probes, await world.walk(probe.request for probe in probes), strict=True):
            check(answer, probe)
        for name, value in (await world.api.contents()).items():
            assert b"zq" * 500 not in value, name
        assert "zq" * 500 not in world.log.getvalue()


def test_a_client_that_never_reads_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the loop that serves: 900 KB wait for it no longer than an idle connection may last, or than it takes none
    of them, however often it has asked."""
    monkeypatch.setattr(protocol, "UNREAD_S", 0.2)
    data = b"x" * 900_000

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"900000")]})
        await send({"type": "http.response.body", "body": data})

    async def main() -> None:
        sock = listen("127.0.0.1", 0)
        server = Server(
            uvicorn.Config(app, **{**http_options(), "timeout_keep_alive": 0.2, "timeout_graceful_shutdown": 1})
        )
        task = asyncio.create_task(server.serve(sockets=[sock]))
        clients = []
        for asked in (1, 1, 2, 5, 50):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(sock.getsockname())
            client.send((LINE + HOST + b"\r\n") * asked)
            clients.append(client)
        async with asyncio.timeout(20):
            while not server.server_state.total_requests >= len(clients):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            while server.server_state.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        server.should_exit = True
        await task
        for client in clients:
            client.close()

    uvloop.run(main())
