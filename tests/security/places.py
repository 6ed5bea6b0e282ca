"""Where something from outside can stand: `everywhere(world, inputs)` walks routes, methods and places."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes

from adserve.web.routes import ROUTES
from tests.security.table import BODIES, FORM, FORMS, Address, addresses
from tests.security.world import Request, World

BOUNDARY = "0123456789boundary"
STEERING = (
    "Host", "Accept", "Cookie", "If-Match", "If-None-Match", "Range", "If-Range", "Content-Type", "Content-Encoding",
    "Sec-Purpose", "Sec-Fetch-Dest", "Sec-CH-UA-Mobile", "Sec-CH-UA-Platform",
)  # fmt: skip
"""Headers that change what an answer is: each gets its own request."""
TELLING = (
    "User-Agent", "Referer", "Origin", "Accept-Language", "Accept-Encoding", "X-Forwarded-For", "X-Forwarded-Host",
    "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-Port", "Forwarded", "X-Real-IP", "X-Original-URL",
    "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "Idempotency-Key", "Purpose",
    "X-Moz", "If-Modified-Since", "X-Request-ID", "Traceparent", "Sec-GPC", "DNT", "Access-Control-Request-Method",
    "Access-Control-Request-Headers", "X-Unknown",
)  # fmt: skip
"""Headers that a service may read or write down: all of them stand in one request together."""
PLACES = ("path", "query", "header", "cookie", "json", "form")


class Probe(NamedTuple):
    """One input in one place of one request."""

    address: Address
    place: str
    """As `path id`, `query limit`, `header Host`, `cookie`, `json /price/amount`, `form alt`."""
    given: Any
    request: Request

    def __str__(self) -> str:
        return f"{self.address.method} {self.address.path}, {self.place}: {str(self.given)[:60]!r}"


def everywhere(
    world: World, inputs: Iterable[Any], *, places: Iterable[str] = PLACES, key: bool = True
) -> Iterator[Probe]:
    """Every input in every place of every method of every route; what is no text stands in JSON alone. `key`: with
    the admin's key, so that what is behind the door hears of it too."""
    wanted = set(places)
    table = list(addresses(world.app))
    for given in inputs:
        for address in table:
            for place, request in _requests(world, address, given, wanted):
                yield Probe(address, place, given, request.with_key() if key and address.managed else request)


def _requests(world: World, address: Address, given: Any, places: set[str]) -> Iterator[tuple[str, Request]]:
    good, where = good_request(world, address), (address.method, address.path)
    if "json" in places:
        for pointer, body in _bodies(BODIES.get(where, {}), given):
            yield f"json {pointer}", good._replace(body=json.dumps(body).encode("ascii"))
    if isinstance(given, str):
        yield from _of_text(world, address, good, given, places)


def _of_text(
    world: World, address: Address, good: Request, text: str, places: set[str]
) -> Iterator[tuple[str, Request]]:
    raw = text.encode("utf-8", "surrogatepass")
    if "path" in places:
        for name in _parameters(address.path):
            yield f"path {name}", good._replace(target=_in_path(world, address, name, text))
    if "query" in places:
        for name in (*address.query, "unknown"):
            yield f"query {name}", good._replace(target=asking(good, f"{name}={quote_from_bytes(raw, safe='')}"))
        yield "query name", good._replace(target=asking(good, f"{quote_from_bytes(raw, safe='')}=1"))
    if not any(byte in raw for byte in b"\r\n\0"):  # these would end the header, and begin another request
        if "header" in places:
            for name in STEERING:
                headers = tuple(pair for pair in good.headers if pair[0] != name)
                yield f"header {name}", good._replace(headers=(*headers, (name, raw)))
            yield "header of any name", good._replace(headers=(*good.headers, *((name, raw) for name in TELLING)))
        if "cookie" in places:
            yield "cookie", good._replace(headers=(*good.headers, ("Cookie", b"session=" + raw + b"; csrf=" + raw)))
    if "form" in places and (address.method, address.path) in FORMS:
        for name in (*FORM, "file", "unknown"):
            yield f"form {name}", form_request(good, {**FORM, name: text}, world.picture)
        for part in ("filename", "type", "name"):
            yield f"form part {part}", form_request(good, FORM, world.picture, **{part: text})


def good_request(world: World, address: Address) -> Request:
    """One that is answered with what the address is for."""
    body = BODIES.get((address.method, address.path))
    if body is None:
        return Request(address.method, world.target(address))
    json_ = (("Content-Type", "application/json"),)
    return Request(address.method, world.target(address), json_, json.dumps(body).encode())


def asking(good: Request, parameter: str) -> str:
    """The target of a request with one more parameter."""
    return f"{good.target!s}{'&' if '?' in str(good.target) else '?'}{parameter}"


def form_request(
    good: Request,
    fields: dict[str, str],
    picture: bytes,
    filename: str = "p.png",
    type: str = "image/png",
    name: str = "file",
) -> Request:
    """An upload. `filename`, `type`, `name`: what its file part says of itself, written as they are."""
    parts = b""
    for field, value in fields.items():
        parts += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n'.encode()
        parts += value.encode("utf-8", "surrogatepass") + b"\r\n"
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
    parts += (head + f"Content-Type: {type}\r\n\r\n").encode("utf-8", "surrogatepass") + picture + b"\r\n"
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return good._replace(headers=(("Content-Type", kind),), body=parts + f"--{BOUNDARY}--\r\n".encode())


def _parameters(path: str) -> list[str]:
    return [piece.partition("}")[0] for piece in path.split("{")[1:]]


def _in_path(world: World, address: Address, name: str, text: str) -> str:
    """The path with the input in place of one parameter, percent-encoded."""
    shape, good = address.path.split("/"), world.target(address).split("/")
    good[shape.index(f"{{{name}}}")] = quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="")
    return "/".join(good)


def _bodies(good: Any, given: Any) -> Iterator[tuple[str, Any]]:
    """The body with the input in place of each of its leaves, as a member's name, and as the whole of it."""
    for path in _leaves(good):
        body = copy.deepcopy(good)
        place = body
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = given
        yield "/" + "/".join(map(str, path)), body
    if good:
        yield "name", {**good, str(given): 1}
        yield "whole", given


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if members is None:
        yield path
    else:
        for name, one in members:
            yield from _leaves(one, (*path, name))


def without_bodies() -> set[tuple[str, str]]:
    """Routes of the management API that may take a body and have no line in BODIES."""
    return {(r.method, r.path) for r in ROUTES if r.method in ("PUT", "PATCH", "POST")} - set(BODIES)
