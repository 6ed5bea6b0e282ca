"""The hot routes ahead of the router: slots, pages, events, clicks.

An answer is made by one function whichever way a request came: straight from the protocol, when our own server
runs it and the request is a plain one, or as ASGI under any server. Both ways give the same bytes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from adserve.core.access import Account
from adserve.core.catalog import Catalog, CompiledSlot
from adserve.core.frequency import Sight
from adserve.flows.frequency import Reading
from adserve.flows.serve import Filled, Reader, serve_page, serve_slot, sight_of
from adserve.flows.worker import Worker
from adserve.web.answers import COMMON, HTML, TEXT, Answer, Head, Waiting, on_the_wire
from adserve.web.client import Ask, reader_of
from adserve.web.events import Events
from adserve.web.parameters import Query, parameters, text
from adserve.web.protocol import FAILED, LATER, Later, Write

MAX_INSTANCES = 100
_INSTANCE = re.compile(r"([a-z0-9-]{1,64})(?::[0-9]{1,4})?")

_FILLED = Head(200, [*HTML, (b"adserve-fill", b"1")])
_EMPTY = Head(200, [*HTML, (b"adserve-fill", b"0")])
_PASSBACK = _EMPTY.also((b"adserve-reason", b"passback"))
_UNKNOWN = _EMPTY.also((b"adserve-reason", b"unknown-slot"))
_JSON = Head(200, [*COMMON, (b"content-type", b"application/json"), (b"vary", b"Accept")])
_NO_JSON = Head(404, [*COMMON, (b"vary", b"Accept"), (b"content-type", b"application/problem+json")])
_encode = msgspec.json.Encoder().encode
SLOTS = b"/v1/slots/"
METHODS = {"s": ("GET",), "p": ("GET",), "i": ("GET", "POST"), "v": ("GET", "POST"), "c": ("GET", "HEAD")}
"""What a route takes: slot, page, impression, view, click."""
_REFUSED: dict[str, Answer] = {
    route: (Head(405, [*TEXT, (b"allow", ", ".join(methods).encode())]), b"method not allowed\n")
    for route, methods in METHODS.items()
}


def route_of(path: str) -> tuple[str, str] | None:
    """`(route, rest of the path)` of a hot route."""
    if path.startswith("/v1/slots/"):
        return "s", path[10:]
    if path.startswith("/e/"):
        return (path[3], path[5:]) if path[:5] in ("/e/i/", "/e/v/") else None
    if path.startswith("/c/"):
        return "c", path[3:]
    if path.startswith("/v1/pages/"):
        return "p", path[10:]
    return None


class Delivery:
    """Answers the delivery routes and hands everything else on. `known` tells whose a key is; what is nobody's is as
    good as none, so delivery needs no `401`."""

    def __init__(self, worker: Worker, app: ASGIApp, known: Callable[[str], Account | None]) -> None:
        self.worker, self.app, self.known = worker, app, known
        self.events = Events(worker)

    def straight(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], peer: str, later: Callable[[], Write]
    ) -> bytes | Literal[Later.LATER] | None:
        """The answer as it goes over the wire, see `web.protocol`."""
        path, _, query = target.partition(b"?")
        if b"%" in path or b"authorization" in headers or not target.isascii() or b"#" in target:
            return None
        answer: Answer | Waiting | None
        if method == b"GET" and path.startswith(SLOTS):
            answer = self.slot(Ask("GET", query, headers, peer), path[len(SLOTS) :].decode())
        else:
            found = route_of(path.decode())
            if found is None or method not in (b"GET", b"POST"):
                return None
            answer = self.answer(Ask(method.decode(), query, headers, peer), *found)
        if isinstance(answer, Waiting):
            future, finish = answer.future, answer.answer
            if not future.done():
                write = later()
                future.add_done_callback(lambda done: write(_finished(finish, done)))
                return LATER
            answer = finish(future)
        return None if answer is None else on_the_wire(answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = route_of(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        ask, (route, rest) = Ask.of(scope, self.known), found
        answer = self.answer(ask, route, rest)
        if answer is None:
            answer = await self.events.unheard(ask, route, rest)
        if isinstance(answer, Waiting):
            future, finish = answer.future, answer.answer
            await asyncio.wait([future])
            head, body = finish(future)
            if ask.caller is not None and answer.outcome and future.exception() is None:
                head = head.also((b"adserve-counted", _said(future.result())))
        else:
            head, body = answer
        headers = head.headers
        if head.status != 204:
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": head.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if ask.method == "HEAD" else body})

    def answer(self, ask: Ask, route: str, rest: str) -> Answer | Waiting | None:
        """The answer of a route, or what it waits for; None for an event of a creative that this worker has not
        heard of (see `web.events`)."""
        if ask.method not in METHODS[route]:
            return _REFUSED[route]
        if route == "s":
            return self.slot(ask, rest)
        if route == "p":
            return self.page(ask, rest)
        return self.events.answer(ask, route, rest)

    def slot(self, ask: Ask, name: str) -> Answer | Waiting:
        """`GET /v1/slots/{site}/{slot}`."""
        offers, figures = self.worker.offers, self.worker.figures
        as_json = b"application/json" in ask.headers.get(b"accept", b"")
        if offers is None:
            figures.slot_no_catalog += 1
            return (_JSON, _encode({"slot": "", "filled": False, "html": ""})) if as_json else (_EMPTY, b"")
        slot = offers.slots.get(name)
        if slot is None:
            figures.slot_unknown += 1
            return _not_found("unknown_slot") if as_json else (_UNKNOWN, b"")
        reader = reader_of(self.worker, ask, parameters(ask.query), clients=slot.site.clients)
        sight = sight_of(self.worker, (slot,), reader)
        if isinstance(sight, Reading):
            return _when_read(sight, lambda seen: self._slot(slot, reader, as_json, seen))
        return self._slot(slot, reader, as_json, sight)

    def _slot(self, slot: CompiledSlot, reader: Reader, as_json: bool, sight: Sight | None) -> Answer:
        figures = self.worker.figures
        made = serve_slot(self.worker, slot, reader, None, sight)
        if isinstance(made, Filled):
            figures.slot_filled += 1
            return (_JSON, _encode(made.as_json())) if as_json else (_FILLED, made.page_html.encode())
        if made.fallback:
            figures.slot_passback += 1
        else:
            figures.slot_empty += 1
        return (_JSON, _encode(made.as_json())) if as_json else (_PASSBACK if made.fallback else _EMPTY, b"")

    def page(self, ask: Ask, site: str) -> Answer | Waiting:
        """`GET /v1/pages/{site}?slots=...`."""
        offers, figures = self.worker.offers, self.worker.figures
        if offers is None:
            figures.page_no_catalog += 1
            return _JSON, _encode({"page_view": "", "slots": {}})
        known = offers.pages.get(site)
        if known is None:
            figures.page_unknown += 1
            return _not_found("unknown_site")
        figures.page_answered += 1
        query = parameters(ask.query)
        reader = reader_of(self.worker, ask, query, clients=known[0].site.clients if known else "browser")
        slots = self._wanted(offers, site, known, query)
        sight = sight_of(self.worker, [slot for _, slot in slots if slot is not None], reader)
        if isinstance(sight, Reading):
            return _when_read(sight, lambda seen: self._page(slots, reader, seen))
        return self._page(slots, reader, sight)

    def _page(self, slots: list[tuple[str, CompiledSlot | None]], reader: Reader, sight: Sight | None) -> Answer:
        body = _encode(serve_page(self.worker, slots, reader, sight))
        if any("<" in name for name, _ in slots):  # a name is the caller's: whatever takes this for HTML sees no tag
            body = body.replace(b"<", b"\\u003c")
        return _JSON, body

    def _wanted(
        self, catalog: Catalog, site: str, known: tuple[CompiledSlot, ...], query: Query
    ) -> list[tuple[str, CompiledSlot | None]]:
        """The requested instances `name` or `name:n`, each once; all of the site without `slots`. Those
        beyond 100 are left out, which counts as one malformed parameter; so does a name that can be none,
        which is unknown."""
        wanted = text(query, b"slots")
        if wanted is None:
            return [(one.slot.name, one) for one in known]
        names = list(dict.fromkeys(name for name in wanted.split(",") if name))
        self.worker.malformed += len(names) > MAX_INSTANCES
        found: list[tuple[str, CompiledSlot | None]] = []
        for name in names[:MAX_INSTANCES]:
            match = _INSTANCE.fullmatch(name)
            self.worker.malformed += match is None
            found.append((name, catalog.slots.get(f"{site}/{match[1]}") if match else None))
        return found


def _when_read(reading: Reading, answer: Callable[[Sight], Answer]) -> Waiting:
    return Waiting(reading.found, lambda found: answer(reading.sight(found.result())), outcome=False)


def _finished(finish: Callable[[asyncio.Future[Any]], Answer], done: asyncio.Future[Any]) -> bytes:
    """The bytes of an answer that waited. A defect is told to whoever waits, and to the log."""
    try:
        return on_the_wire(finish(done))
    except Exception as problem:
        asyncio.get_running_loop().call_exception_handler({"message": "answering failed", "exception": problem})
        return FAILED


def _said(outcome: str) -> bytes:
    """What became of an event, for a caller with a key.

    >>> _said("filtered:bot")
    b'filtered; reason=bot'
    """
    return outcome.replace(":", "; reason=").encode("ascii")


def _not_found(code: str) -> Answer:
    return _NO_JSON, _encode({"type": "about:blank", "title": "Not found", "status": 404, "code": code})
