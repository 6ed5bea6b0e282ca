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
from msgspec.structs import replace
from starlette.types import ASGIApp, Receive, Scope, Send

from adserve.core.access import Account
from adserve.core.catalog import Catalog
from adserve.core.frequency import Sight
from adserve.core.page import Key, Place
from adserve.core.plan import Plan
from adserve.flows.frequency import NOBODY, Reading
from adserve.flows.page import alone as alone_on
from adserve.flows.page import places_after, serve_page, serve_several
from adserve.flows.serve import Empty, Filled, Reader, serve_slot, sight_of
from adserve.flows.worker import Worker
from adserve.web.answers import COMMON, HTML, TEXT, Answer, Head, Waiting, on_the_wire, send_answer
from adserve.web.client import Ask, path_below, reader_of, widths_of
from adserve.web.events import Events
from adserve.web.parameters import Query, parameters, text
from adserve.web.protocol import FAILED, LATER, Later, Write

MAX_INSTANCES = 100
_INSTANCE = re.compile(r"([a-z0-9-]{1,64})(?::([0-9]{1,4}))?")
_NUMBERED = re.compile(r"([a-z0-9-]{1,64}/[a-z0-9-]{1,64}):([0-9]{1,4})")
_COUNT = re.compile(r"[1-9]|10")
Names = list[tuple[str, Place | None]]
"""Instances of slots as a caller names them; None for one that the site has not."""

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
        found = route_of(path_below(scope)) if scope["type"] == "http" else None
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
        await send_answer(send, ask.method, (head, body))

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
        slot, instance = offers.slots.get(name), 0
        if slot is None and (match := _NUMBERED.fullmatch(name)) is not None:
            slot, instance = offers.slots.get(match[1]), _number(match[2])
        if slot is None:
            figures.slot_unknown += 1
            return _not_found("unknown_slot") if as_json else (_UNKNOWN, b"")
        query = parameters(ask.query)
        reader = reader_of(self.worker, ask, query, clients=slot.site.clients)
        alone = reader.page_view is None and b"count" not in query
        if alone and reader.who is NOBODY and not as_json:  # most calls
            made = serve_slot(self.worker, slot, reader)
            self._counted(made)
            return _html(made)
        place = Place.of(slot, instance)
        if alone:
            sight = sight_of(self.worker, (slot,), reader)
            if isinstance(sight, Reading):
                return _when_read(sight, lambda seen: self._slot(place, reader, as_json, seen))
            return self._slot(place, reader, as_json, sight)
        return self._slots(offers, place, reader, query, as_json=as_json)

    def _slot(self, place: Place, reader: Reader, as_json: bool, sight: Sight | None) -> Answer:
        """One slot that belongs to no page view yet."""
        made = serve_slot(self.worker, place.slot, reader, None, sight)
        self._counted(made)
        if as_json:
            return _JSON, _encode(made.as_json(alone_on(self.worker, place, made, reader)))
        return _html(made)

    def _slots(self, offers: Catalog, place: Place, reader: Reader, query: Query, *, as_json: bool) -> Answer | Waiting:
        """A slot on a page view, or `count` ads for it."""
        asked, site = [place, *places_after(place, self._count(query) - 1)], place.slot.site.id
        page: list[Place] = []
        if isinstance(reader.page_view, str):
            page = self._places(offers, site, query, b"plan")
        sight = sight_of(self.worker, (one.slot for one in (*page, place)), reader)

        def answer(seen: Sight | None) -> Answer:
            served = serve_several(self.worker, offers, asked, page, reader, seen)
            for one in served.made:
                self._counted(one)
            if as_json:
                return _JSON, _encode(served.as_json())
            head = _FILLED if served.filled else _PASSBACK if served.fallback else _EMPTY
            return head, "".join(one.page_html for one in served.filled).encode()

        return _when_read(sight, answer) if isinstance(sight, Reading) else answer(sight)

    def _counted(self, made: Filled | Empty) -> None:
        figures = self.worker.figures
        if isinstance(made, Filled):
            figures.slot_filled += 1
        elif made.fallback:
            figures.slot_passback += 1
        else:
            figures.slot_empty += 1

    def _count(self, query: Query) -> int:
        """How many ads a slot's call asks for."""
        asked = text(query, b"count")
        if asked is not None and _COUNT.fullmatch(asked):
            return int(asked)
        self.worker.malformed += b"count" in query and asked != ""
        return 1

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
        names = self._names(offers, site, query, b"slots")
        widths = widths_of(self.worker, query, [place and place.slot.slot.serial for _, place in names])
        if widths is not None:
            reader = replace(reader, widths=widths)
        page = [] if isinstance(reader.page_view, Plan) else self._places(offers, site, query, b"plan")
        places = (*page, *(one for _, one in names if one is not None))
        sight = sight_of(self.worker, (one.slot for one in places), reader)
        if isinstance(sight, Reading):
            return _when_read(sight, lambda seen: self._page(offers, names, page, reader, seen))
        return self._page(offers, names, page, reader, sight)

    def _page(
        self, offers: Catalog, names: Names, page: list[Place], reader: Reader, sight: Sight | None
    ) -> Answer:
        body = _encode(serve_page(self.worker, offers, names, page, reader, sight))
        if any("<" in name for name, _ in names):  # a name is the caller's: whatever takes this for HTML sees no tag
            body = body.replace(b"<", b"\\u003c")
        return _JSON, body

    def _places(self, offers: Catalog, site: str, query: Query, parameter: bytes) -> list[Place]:
        """What a page has, as far as it is known."""
        return [place for _, place in self._names(offers, site, query, parameter) if place is not None]

    def _names(self, offers: Catalog, site: str, query: Query, parameter: bytes) -> Names:
        """The instances `name` or `name:n` that a parameter lists, each once; all of the site without it. Those beyond
        100 are left out, which counts as one malformed parameter; so does a name that can be none, which is unknown.
        `name` and `name:1` are the same instance, unless both are listed."""
        wanted = text(query, parameter)
        if wanted is None:
            return [(one.slot.name, Place.of(one, 0)) for one in offers.pages[site]]
        names = list(dict.fromkeys(name for name in wanted.split(",") if name))
        self.worker.malformed += len(names) > MAX_INSTANCES
        found: Names = []
        taken: set[Key] = set()
        for name in names[:MAX_INSTANCES]:
            match = _INSTANCE.fullmatch(name)
            self.worker.malformed += match is None
            slot = offers.slots.get(f"{site}/{match[1]}") if match else None
            if match is None or slot is None:
                found.append((name, None))
                continue
            place = Place.of(slot, _number(match[2]))
            while place.key in taken:
                place = Place.of(slot, max(2, place.instance + 1))
            taken.add(place.key)
            found.append((name, place))
        return found


def _number(text: str | None) -> int:
    """Of an instance. The first has none, or says 1."""
    number = int(text or 0)
    return 0 if number == 1 else number


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


def _html(made: Filled | Empty) -> Answer:
    """One slot as HTML."""
    if isinstance(made, Filled):
        return _FILLED, made.page_html.encode()
    return _PASSBACK if made.fallback else _EMPTY, b""


def _not_found(code: str) -> Answer:
    return _NO_JSON, _encode({"type": "about:blank", "title": "Not found", "status": 404, "code": code})
