"""The two ways to an answer of delivery: straight from the protocol, and as ASGI. Both say the same."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import pytest
from starlette.types import Receive, Scope, Send

from adserve.app import create_app
from adserve.web.delivery import Delivery
from adserve.web.outbox import Outbox
from adserve.web.protocol import LATER, Later, Write
from tests.conftest import BROWSER, Api
from tests.faults import Proxy
from tests.flows.conftest import faulty as faulty
from tests.flows.rest import at_rest
from tests.wire import said, serving, status_of

AGENT = f"user-agent: {BROWSER}"
UNLIKE = re.compile(rb"[A-Za-z0-9_-]{36,48}|(?<=\?f=)[A-Za-z0-9_-]{28}|\"(decision|page_view)\":\"[A-Za-z0-9._-]+\"")
"""What is of one serve alone."""


def raw(method: str, target: str, *headers: str, version: str = "1.1", last: bool = True) -> bytes:
    lines = [f"{method} {target} HTTP/{version}", "host: localhost:8000", *headers, *(["connection: close"] * last)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@pytest.fixture
async def ports(api: Api) -> AsyncIterator[tuple[int, int]]:
    """Two servers over one worker: one answers straight, of the other only ASGI is used."""
    await api.world(slots=("top", "empty", "capped"))
    await api.creative(slots=["news/top"])
    await api.creative("few", slots=["news/capped"], frequency={"limit": 9, "window": "day"})
    assert api.held.worker.frequencies is not None
    api.held.worker.frequencies.patience_s = 20
    app = create_app(api.held)
    assert isinstance(app, Delivery)

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    async with serving(app) as straight, serving(asgi) as other:
        yield straight, other


JSON = "accept: application/json"
SAME = {
    "a slot": raw("GET", "/v1/slots/news/top", AGENT),
    "with parameters": raw("GET", "/v1/slots/news/top?width=300&device=mobile&pv=abcdefgh&labels=a,b", AGENT),
    "malformed ones": raw("GET", "/v1/slots/news/top?width=x&&=&%ff=1&pv=!", AGENT),
    "as JSON": raw("GET", "/v1/slots/news/top", AGENT, JSON),
    "empty": raw("GET", "/v1/slots/news/empty", AGENT),
    "empty as JSON": raw("GET", "/v1/slots/news/empty", JSON),
    "too narrow": raw("GET", "/v1/slots/news/top?width=1", AGENT),
    "unknown": raw("GET", "/v1/slots/news/none", AGENT),
    "unknown as JSON": raw("GET", "/v1/slots/news/none", JSON),
    "no name": raw("GET", "/v1/slots/", AGENT),
    "a page": raw("GET", "/v1/pages/news", AGENT),
    "instances": raw("GET", "/v1/pages/news?slots=top:1,top:2,%3Cb%3E,empty", AGENT),
    "no page": raw("GET", "/v1/pages/none", AGENT),
    "a visitor": raw("GET", "/v1/slots/news/capped?visitor=reader-1", AGENT),
    "a visitor as JSON": raw("GET", "/v1/slots/news/capped?visitor=reader-1", AGENT, JSON),
    "a visitor of a page": raw("GET", "/v1/pages/news?visitor=reader-1", AGENT),
    "two visitors at once": raw("GET", "/v1/slots/news/capped?visitor=reader-1", AGENT, last=False)
    + raw("GET", "/v1/slots/news/capped?visitor=reader-2", AGENT),
    "a device": raw("GET", "/v1/slots/news/capped?seen=", AGENT, JSON),
    "a device of a page": raw("GET", "/v1/pages/news?seen=x", AGENT),
    "a reader in private": raw("GET", "/v1/slots/news/capped?visitor=reader-1", AGENT, JSON, "sec-gpc: 1"),
    "in private, with space around": raw(
        "GET", "/v1/slots/news/capped?visitor=reader-1", AGENT, JSON, "sec-gpc:\t 1 \t"
    ),
    "an escaped path": raw("GET", "/v1/slots/news/t%6fp", AGENT),
    "a fragment": raw("GET", "/v1/slots/news/top#x", AGENT),
    "an absolute target": raw("GET", "http://localhost:8000/v1/slots/news/top", AGENT),
    "another host": raw("GET", "/v1/slots/news/top", AGENT, "host: evil.example"),
    "HEAD": raw("HEAD", "/v1/slots/news/top", AGENT),
    "POST of a slot": raw("POST", "/v1/slots/news/top", AGENT, "content-length: 0"),
    "POST of a page": raw("POST", "/v1/pages/news", AGENT, "content-length: 0"),
    "PUT": raw("PUT", "/e/i/x", AGENT, "content-length: 0"),
    "a token that is none": raw("GET", "/e/i/abc", AGENT),
    "a beacon that is none": raw("POST", "/e/v/abc", AGENT, "content-length: 0"),
    "a click that is none": raw("GET", "/c/abc", AGENT),
    "no event": raw("GET", "/e/x/abc", AGENT),
    "neither": raw("GET", "/healthz", AGENT),
    "no route": raw("GET", "/nothing", AGENT),
    "HTTP/1.0": raw("GET", "/v1/slots/news/top", AGENT, version="1.0", last=False),
    "HTTP/1.0 that stays": raw("GET", "/v1/slots/news/none", AGENT, "connection: keep-alive", version="1.0", last=False)
    + raw("GET", "/v1/slots/news/none", AGENT, version="1.0"),
    "a body": raw("GET", "/v1/slots/news/top", AGENT, "content-length: 3") + b"abc",
    "chunks": raw("GET", "/v1/slots/news/top", AGENT, "transfer-encoding: chunked") + b"0\r\n\r\n",
    "headers twice": raw("GET", "/v1/slots/news/top", AGENT, "accept: text/html", JSON),
    "a key": raw("GET", "/v1/slots/news/top", AGENT, "authorization: Bearer x"),
    "an upgrade": raw("GET", "/v1/slots/news/top", AGENT, "upgrade: websocket", "connection: upgrade"),
    "two at once": raw("GET", "/v1/slots/news/top", AGENT, last=False) + raw("GET", "/v1/slots/news/none", AGENT),
}


@pytest.mark.parametrize("sent", SAME.values(), ids=SAME)
async def test_both_ways_give_the_same_bytes(ports: tuple[int, int], sent: bytes) -> None:
    """Status, headers in their order, and body, save what is of one serve alone."""
    straight, asgi = [UNLIKE.sub(b"-", await said(port, sent)) for port in ports]
    assert straight == asgi
    assert status_of(straight)


async def test_events_are_answered_alike(api: Api, ports: tuple[int, int]) -> None:
    """Impressions, views and clicks, by GET and POST, the first time and again; each is counted once."""
    made = await api.decide(), await api.decide()
    for kind, method in (("impression", "GET"), ("view", "POST"), ("click", "GET"), ("impression", "POST")):
        answers = []
        for port, decision in zip(ports, made, strict=True):
            target = decision[f"{kind}_url"].removeprefix("http://localhost:8000")
            answers.append([await said(port, raw(method, target, AGENT, "content-length: 0")) for _ in range(2)])
        first, second = answers
        assert first == second
        assert first[0] == first[1], "a repeat is answered like the first"
        assert status_of(first[0]) == (302 if kind == "click" else 204 if method == "POST" else 200)
    found = await at_rest(api)
    assert (found["impressions"], found["views"], found["clicks"]) == (2, 2, 2)


async def test_a_straight_answer_is_taken(ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the comparison above would compare ASGI with itself."""
    taken: list[bytes] = []
    before = Delivery.straight

    def straight(self: Delivery, method: bytes, target: bytes, *given: Any) -> Any:
        answer = before(self, method, target, *given)
        taken.append(target if answer is not None else b"")
        return answer

    monkeypatch.setattr(Delivery, "straight", straight)
    await said(ports[0], SAME["a slot"])
    await said(ports[0], SAME["a token that is none"])
    await said(ports[0], SAME["an escaped path"])
    await said(ports[0], SAME["a visitor"])
    assert taken == [b"/v1/slots/news/top", b"/e/i/abc", b"", b"/v1/slots/news/capped?visitor=reader-1"]


class Slow:
    """Answers `/later/N` when it is told to, `/now/N` at once, and everything else by ASGI."""

    def __init__(self) -> None:
        self.writes: dict[bytes, Write] = {}
        self.came = asyncio.Event()

    def straight(
        self, _: bytes, target: bytes, __: dict[bytes, bytes], ___: str, later: Callable[[], Write]
    ) -> bytes | Literal[Later.LATER] | None:
        if target == b"/fails":
            raise RuntimeError("a defect")
        if target.startswith(b"/now/"):
            return response(target)
        if not target.startswith(b"/later/"):
            return None
        self.writes[target] = later()
        self.came.set()
        return LATER

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = scope["path"].encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    def answer(self, target: bytes) -> None:
        self.writes.pop(target)(response(target))


def response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def test_answers_come_in_the_order_of_their_requests() -> None:
    """Those behind one that waits wait too, go by ASGI, and are answered once each."""
    app = Slow()
    async with serving(app) as port:
        pieces = [raw("GET", f"/{name}", last=name == "end") for name in ("later/1", "asgi", "later/2", "end")]
        saying = asyncio.create_task(said(port, b"".join(pieces)))
        async with asyncio.timeout(10):
            await app.came.wait()
            app.answer(b"/later/1")
            answer = await saying
    bodies = re.findall(rb"\r\n\r\n(/[a-z]+(?:/[0-9])?)", answer)
    assert bodies == [b"/later/1", b"/asgi", b"/later/2", b"/end"]


NOW = raw("GET", "/now/1", last=False)
BEHIND = {
    "others": (raw("GET", "/now/2", last=False) + raw("GET", "/asgi", last=False) + raw("GET", "/now/3"), [200] * 3),
    "the last one": (raw("GET", "/now/2"), [200]),
    "what is no request": (b"garbage\r\n\r\n", [400]),
    "too large a head": (raw("GET", "/now/2", "x: " + "y" * 40_000), [431]),
    "a defect": (raw("GET", "/fails"), [500]),
}


@pytest.mark.parametrize(("sent", "statuses"), BEHIND.values(), ids=BEHIND)
async def test_an_answer_goes_out_before_whatever_comes_behind_it(sent: bytes, statuses: list[int]) -> None:
    """Also when that ends the connection."""
    async with serving(Slow(), log_level="critical") as port:
        answer = await said(port, NOW + sent)
    assert [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3})", answer)] == [200, *statuses]
    bodies = re.findall(rb"\r\n\r\n(/[a-z]+(?:/[0-9])?)", answer)
    assert bodies == [b"/now/1", b"/now/2", b"/asgi", b"/now/3"][: statuses.count(200) + 1]


async def test_what_is_answered_in_one_turn_is_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20 clients whose requests have come, each gets its own answer."""
    together: list[int] = []
    before = Outbox.send

    def send(self: Outbox) -> None:
        together.append(len(self._waiting))
        before(self)

    monkeypatch.setattr(Outbox, "send", send)
    async with serving(Slow()) as port, asyncio.timeout(10):
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        await asyncio.sleep(0.05)
        for n, (_, writer) in enumerate(pairs):
            writer.write(raw("GET", f"/now/{n}", last=False))
        for n, (reader, writer) in enumerate(pairs):
            assert (await reader.readuntil(b"/now/%d" % n)).startswith(b"HTTP/1.1 200")
            writer.close()
    assert together == [20]


async def test_a_client_that_is_gone_before_its_answer_harms_nobody() -> None:
    """The answer is dropped; the connections of others go on."""
    app = Slow()
    async with serving(app) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(raw("GET", "/later/1", last=False))
        await app.came.wait()
        writer.transport.abort()
        await asyncio.sleep(0.05)
        app.answer(b"/later/1")
        assert await reader.read() == b""
        assert status_of(await said(port, raw("GET", "/asgi"))) == 200


async def test_an_answer_that_waits_when_the_server_drains_is_the_last_one() -> None:
    """It is given, and says that the connection ends."""
    app = Slow()
    async with asyncio.timeout(10):
        async with serving(app) as port:
            saying = asyncio.create_task(said(port, raw("GET", "/later/1", last=False)))
            await app.came.wait()
            asyncio.get_running_loop().call_later(0.3, app.answer, b"/later/1")
        answer = await saying
    assert b"\r\nconnection: close\r\n\r\n" in answer
    assert answer.endswith(b"/later/1")


async def test_a_defect_is_a_500_and_a_line_in_the_log() -> None:
    """And the end of that connection alone."""
    logging.getLogger("uvicorn.error").propagate = True
    async with serving(Slow(), log_level="error") as port:
        assert status_of(await said(port, raw("GET", "/fails", last=False))) == 500
        assert status_of(await said(port, raw("GET", "/asgi"))) == 200


async def test_a_store_that_goes_silent_holds_no_beacon(faulty: tuple[Api, Proxy]) -> None:
    """Straight beacons go to the spool after their time like any others."""
    api, between = faulty
    made = await api.decide()
    async with serving(create_app(api.held)) as port:
        between.set("black_hole")
        target = made["impression_url"].removeprefix("http://localhost:8000")
        assert status_of(await said(port, raw("GET", target, AGENT))) == 200
        assert api.held.worker.ledger.spool.events == 1


async def test_a_defect_behind_a_wait_is_a_500(
    api: Api, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is told, and others go on."""

    def fails(*_: Any) -> None:
        raise RuntimeError("a defect")

    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    with monkeypatch.context() as patched:
        patched.setattr("adserve.web.delivery.serve_slot", fails)
        async with asyncio.timeout(10):
            assert status_of(await said(ports[0], SAME["a visitor"])) == 500
    assert [str(one) for one in told] == ["a defect"]
    assert status_of(await said(ports[0], SAME["a visitor"])) == 200


async def test_a_reader_of_a_store_that_goes_silent_does_not_wait(faulty: tuple[Api, Proxy]) -> None:
    """What has a frequency is left out after its time, and the slot is answered straight."""
    api, between = faulty
    await api.creative("few", tier="sponsor", frequency={"limit": 9, "window": "day"})
    async with serving(create_app(api.held)) as port, asyncio.timeout(10):
        between.set("black_hole")
        answer = await said(port, raw("GET", "/v1/slots/news/top?visitor=reader-1", AGENT, JSON))
        assert b'"campaign":"one"' in answer
