"""The hot routes ahead of the router: slots, pages, events, clicks.

An answer is made by one function whichever way a request came: straight from the protocol, when our own server
runs it and the request is a plain one, or as ASGI under any server. Both ways give the same bytes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from adserve.core.access import Account
from adserve.core.catalog import Catalog, CompiledSlot
from adserve.core.figures import Answers
from adserve.errors import BadToken, StoreUnavailable
from adserve.flows import track
from adserve.flows.serve import Filled, serve_page, serve_slot
from adserve.flows.worker import Worker
from adserve.web.answers import Answer, Head, Headers, on_the_wire
from adserve.web.client import Ask, Query, agent_of, client_of, parameters, reader_of, text, verdict_of
from adserve.web.protocol import LATER, Later, Write

GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
"""A transparent pixel: 43 bytes."""
MAX_INSTANCES = 100
_INSTANCE = re.compile(r"([a-z0-9-]{1,64})(?::[0-9]{1,4})?")

_COMMON: Headers = [
    (b"cache-control", b"private, no-store"),
    (b"access-control-allow-origin", b"*"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
_HTML: Headers = [*_COMMON, (b"content-type", b"text/html; charset=utf-8"), (b"vary", b"Accept")]
_TEXT: Headers = [*_COMMON, (b"content-type", b"text/plain; charset=utf-8")]
_FILLED = Head(200, [*_HTML, (b"adserve-fill", b"1")])
_EMPTY = Head(200, [*_HTML, (b"adserve-fill", b"0")])
_PASSBACK = _EMPTY.also((b"adserve-reason", b"passback"))
_UNKNOWN = _EMPTY.also((b"adserve-reason", b"unknown-slot"))
_JSON = Head(200, [*_COMMON, (b"content-type", b"application/json"), (b"vary", b"Accept")])
_NO_JSON = Head(404, [*_COMMON, (b"vary", b"Accept"), (b"content-type", b"application/problem+json")])
_PIXEL: Answer = (Head(200, [*_COMMON, (b"content-type", b"image/gif")]), GIF)
_TAKEN: Answer = (Head(204, _COMMON), b"")
_NOT_OURS: Answer = (Head(400, _TEXT), b"not a token of ours\n")
_LATE: Answer = (Head(410, _TEXT), b"too late\n")
_NOT_NOW: Answer = (Head(503, [*_TEXT, (b"retry-after", b"2")]), b"cannot answer now\n")
_ON = Head(302, _TEXT)
_GONE: Answer = (
    Head(410, _HTML),
    b"<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    b"<title>Gone</title><p>This offer is no longer available.",
)
_encode = msgspec.json.Encoder().encode
SLOTS = b"/v1/slots/"
METHODS = {"s": ("GET",), "p": ("GET",), "i": ("GET", "POST"), "v": ("GET", "POST"), "c": ("GET", "HEAD")}
"""What a route takes: slot, page, impression, view, click."""
_REFUSED: dict[str, Answer] = {
    route: (Head(405, [*_TEXT, (b"allow", ", ".join(methods).encode())]), b"method not allowed\n")
    for route, methods in METHODS.items()
}


class Waiting(Struct, frozen=True):
    """An answer that waits for a commit: `answer` makes it of the outcome that `future` will have."""

    future: asyncio.Future[str]
    answer: Callable[[asyncio.Future[str]], Answer]


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
            return on_the_wire(answer)
        found = route_of(path.decode())
        if found is None or method not in (b"GET", b"POST"):
            return None
        answer = self.answer(Ask(method.decode(), query, headers, peer), *found)
        if isinstance(answer, Waiting):
            future, finish = answer.future, answer.answer
            if not future.done():
                write = later()
                future.add_done_callback(lambda outcome: write(on_the_wire(finish(outcome))))
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
            answer = await self.unheard(ask, route, rest)
        if isinstance(answer, Waiting):
            future, finish = answer.future, answer.answer
            await asyncio.wait([future])
            head, body = finish(future)
            if ask.caller is not None and future.exception() is None:
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
        heard of (see `unheard`)."""
        if ask.method not in METHODS[route]:
            return _REFUSED[route]
        if route == "s":
            return self.slot(ask, rest)
        if route == "p":
            return self.page(ask, rest)
        return self.event(ask, route, rest)

    def slot(self, ask: Ask, name: str) -> Answer:
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
        made = serve_slot(self.worker, slot, reader)
        if isinstance(made, Filled):
            figures.slot_filled += 1
            return (_JSON, _encode(made.as_json())) if as_json else (_FILLED, made.page_html.encode())
        if made.fallback:
            figures.slot_passback += 1
        else:
            figures.slot_empty += 1
        return (_JSON, _encode(made.as_json())) if as_json else (_PASSBACK if made.fallback else _EMPTY, b"")

    def page(self, ask: Ask, site: str) -> Answer:
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
        body = _encode(serve_page(self.worker, slots, reader))
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

    def event(self, ask: Ask, kind: str, token: str, *, heard: bool = False) -> Answer | Waiting | None:
        """`GET|POST /e/i/{token}` and `/e/v/{token}`, and `GET /c/{token}`: a click goes to the stored landing URL
        only, never to anything from the request. None when nobody has asked yet for a creative that is not known
        here."""
        worker, answers = self.worker, self.worker.figures.events[kind]
        try:
            seen = track.inspect(worker, token, kind)
        except BadToken:
            answers.bad_token += ask.method != "HEAD"
            return _NOT_OURS
        if not (heard or track.is_known(worker, seen)) and (seen.countable or kind == "c"):
            return None
        verdict = self._verdict(ask, seen, kind)
        if kind == "c":
            return self._click(ask, seen, token, verdict)
        if not seen.countable:
            answers.late += 1
            return _LATE
        return _tracked(ask, seen, track.count(worker, seen, kind, verdict), answers)

    def _click(self, ask: Ask, seen: track.Seen, token: str, verdict: str | None) -> Answer | Waiting:
        worker = self.worker
        counts = ask.method == "GET" and seen.countable
        way = track.click(worker, seen, token, verdict, (lambda: client_of(worker, ask)) if counts else None)
        answers = worker.figures.events["c"]
        if way.url is None:
            answers.gone += ask.method == "GET"
            return _GONE
        on: Answer = (_ON.also((b"location", way.url.encode("ascii"))), b"")
        if way.outcome is None:
            answers.late += ask.method == "GET" and seen.late
            return on

        def sent_on(outcome: asyncio.Future[str]) -> Answer:
            if outcome.exception() is None:
                answers.add(outcome.result())
            else:
                worker.clicks_uncounted += 1
            return on

        return Waiting(way.outcome, sent_on)

    async def unheard(self, ask: Ask, kind: str, token: str) -> Answer | Waiting:
        """An event of a creative that this worker had not heard of: another one may have served it a moment ago."""
        worker, answers = self.worker, self.worker.figures.events[kind]
        seen = track.inspect(worker, token, kind)
        try:
            await track.hear_of(worker, seen.serve)
        except StoreUnavailable as problem:
            if kind != "c" and isinstance(problem, track.StillUnknown):
                return _tracked(ask, seen, track.put_by(worker, seen, kind, self._verdict(ask, seen, kind)), answers)
            answers.refused += ask.method != "HEAD"
            return _NOT_NOW
        answer = self.event(ask, kind, token, heard=True)
        return _NOT_NOW if answer is None else answer

    def _verdict(self, ask: Ask, seen: track.Seen, kind: str) -> str | None:
        worker = self.worker
        if kind == "i" and ask.headers.get(b"sec-fetch-dest") == b"document":
            return "prefetch"  # somebody opened the beacon's address: nothing was rendered
        slot = worker.catalog.slot_serials.get(seen.serve.slot) if worker.catalog else None
        clients = slot.site.clients if slot else "browser"
        return verdict_of(worker, ask, agent_of(worker, ask), parameters(ask.query), clients=clients)


def _tracked(ask: Ask, seen: track.Seen, counting: asyncio.Future[str], answers: Answers) -> Waiting:
    answer = _LATE if seen.late else _TAKEN if ask.method == "POST" else _PIXEL

    def answered(outcome: asyncio.Future[str]) -> Answer:
        if outcome.exception() is not None:
            answers.refused += 1
            return _NOT_NOW
        answers.add(outcome.result())
        return answer

    return Waiting(counting, answered)


def _said(outcome: str) -> bytes:
    """What became of an event, for a caller with a key.

    >>> _said("filtered:bot")
    b'filtered; reason=bot'
    """
    return outcome.replace(":", "; reason=").encode("ascii")


def _not_found(code: str) -> Answer:
    return _NO_JSON, _encode({"type": "about:blank", "title": "Not found", "status": 404, "code": code})
