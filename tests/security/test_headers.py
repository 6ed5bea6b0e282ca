"""What every answer carries, and that an address with something behind it is another address."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

import httpx2
import pytest

from adserve.app import create_app
from adserve.web.headers import HSTS
from tests.security.places import everywhere, good_request
from tests.security.promises import check, promises
from tests.security.table import addresses
from tests.security.world import Answer, Request, World

SUFFIXES = (
    "/", "//", "/x.css", "/x.js", ".css", "%2ecss", ".json", ";", ";/x.js", ";x.css", "/..;/x.js", "/.css", "%2f",
    "%2fx.css", "%00", "%00.css", "%0a.css", "%3f.css", "%23.css", "/%2e%2e/x.js", "/../x.js", "/.", "%20", "\\x.css",
    "%5cx.css", "&x.css", "~", "/%2e",
)  # fmt: skip
"""What a cache may take for the name of a static file, and a router for something it can leave away."""
PREFIXES = ("/", "/.", "/x/..", "/%2e", "/;x", "/%2f", "/static/..%2f..", "/index.php")


def said_for_one(answer: Answer) -> list[str]:
    """What an answer that is for one caller lacks."""
    wanted = {
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-security-policy": "frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
    }
    return [name for name, part in wanted.items() if part not in (answer.header(name) or "")]


async def test_every_answer_forbids_what_browsers_and_caches_might_do(world: World) -> None:
    """Good and bad, with a key and without, of every method, and where there is nothing: none may be stored,
    guessed at, framed or told on. Media and the tag are for everybody, and say so."""
    paths = sorted({world.target(address) for address in addresses(world.app)})
    nowhere = ("/", "/x", "/api", "/api/v1/x", "/m", "/m/x", "/slots.js.map", "/slots-more.js.map")
    every = [Request(method, path) for path in (*paths, *nowhere)
             for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")]  # fmt: skip
    every += [one.with_key() for one in every if one.method in ("GET", "HEAD", "OPTIONS")]
    async with promises(world):
        for request, answer in zip(every, await world.walk(every), strict=True):
            check(answer, request)
            path, lacks = str(request.target), said_for_one(answer)
            assert answer.header("x-content-type-options") == "nosniff", request
            if path.startswith(("/v1/", "/e/", "/c/", "/f/")):
                assert set(lacks) <= {"content-security-policy"}, request  # snippets go into pages of others
            elif path.startswith(("/m/", "/slots")) and answer.status in (200, 304):
                assert (answer.header("cache-control") or "").startswith("public, max-age="), request
                assert "sandbox" in (answer.header("content-security-policy") or ""), request
            elif path.startswith("/m/") and answer.status == 404:
                assert "default-src 'none'" in (answer.header("content-security-policy") or ""), request
            else:
                assert lacks == [], request
            assert answer.header("strict-transport-security") is None, request


@pytest.mark.parametrize(("public_url", "wanted"), [("https://serve.example", HSTS), ("http://serve.example", None)])
async def test_https_is_remembered_where_it_is_used(world: World, public_url: str, wanted: str | None) -> None:
    world.api.held.settings = replace(world.api.held.settings, public_url=public_url)
    transport = httpx2.ASGITransport(app=create_app(world.api.held), client=("203.0.113.9", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://t") as http:
        for path in ("/api/v1/sites", "/healthz", "/x", f"/m/{world.media}"):
            assert (await http.get(path)).headers.get("strict-transport-security") == wanted


async def test_an_address_with_something_behind_or_before_it_is_another_one(world: World) -> None:
    """404 for whoever holds the key too, so that no cache keeps figures as a style sheet, and never a redirect: not to
    the same path, not to a host that the caller names. A slot of such a name is unknown, a token is none."""
    aimed = [address for address in addresses(world.app) if address.method in ("GET", "HEAD")]
    requests = []
    for address in aimed:
        good = good_request(world, address).with_key()._replace(method=address.method)
        path = str(good.target).partition("?")[0]
        for target in (
            *(f"{path}{more}" for more in SUFFIXES),
            *(f"{more}{good.target!s}" for more in PREFIXES),
        ):
            requests.append(good._replace(target=target, headers=(*good.headers, ("Host", "evil.example"))))
    async with promises(world):
        for request, answer in zip(requests, await world.walk(requests, logged=True), strict=True):
            check(answer, request)
            assert "location" not in dict(answer.headers), request
            assert "evil.example" not in answer.head, request
            if str(request.target).startswith("/v1/slots/") and answer.status == 200:
                assert (answer.body, answer.header("adserve-reason")) == (b"", "unknown-slot"), request
            elif str(request.target).startswith(("/v1/frames/", "/v1/pairs/")) and answer.status == 200:
                assert answer.header("adserve-reason") in ("unknown-slot", "bad-key"), request
                assert answer.header("adserve-fill") == "0", request
            else:
                assert answer.status in (400, 404, 405), request


FOREIGN = (
    "https://evil.example",
    "null",
    "https://localhost:8000.evil.example",
    "http://localhost:8000",
    "file://",
    "*",
    "",
)


async def test_only_delivery_is_for_other_origins(world: World) -> None:
    """No page elsewhere can read the API: no preflight passes, no answer names an origin. Slots, pages, events and
    media are for any origin, and for none with its credentials."""
    requests = []
    for address in addresses(world.app):
        good = good_request(world, address)
        for origin in FOREIGN:
            plain = good._replace(headers=(*good.headers, ("Origin", origin)))
            asked = (("Origin", origin), ("Access-Control-Request-Method", address.method),
                     ("Access-Control-Request-Headers", "authorization, x-odd, content-type"),
                     ("Access-Control-Request-Private-Network", "true"))  # fmt: skip
            requests += [plain.with_key() if address.managed else plain, good._replace(method="OPTIONS", headers=asked)]
    async with promises(world):
        for request, answer in zip(requests, await world.walk(requests), strict=True):
            check(answer, request)
            open_ = str(request.target).startswith(("/v1/", "/e/", "/c/", "/f/", "/m/", "/slots"))
            delivery = str(request.target)[:3] in ("/v1", "/e/", "/c/", "/f/")
            wanted = "*" if open_ and (answer.status < 400 or delivery) else None
            assert answer.header("access-control-allow-origin") == wanted, request
            allowed = [name for name, _ in answer.headers if name.startswith("access-control-")]
            assert set(allowed) <= {"access-control-allow-origin"}, request
            if request.method == "OPTIONS":
                assert answer.status == 405, request


HOSTS = ("evil.example:8000", "localhost:8000@evil.example", "localhost:8000/../evil.example", "//evil.example")


async def test_no_address_of_ours_comes_from_a_header(world: World) -> None:
    """Whatever the request says of host, scheme, port or prefix: nothing in head or body leads there."""
    probes = list(everywhere(world, HOSTS, places=("header",)))
    async with promises(world):
        for probe, answer in zip(probes, await world.walk(probe.request for probe in probes), strict=True):
            check(answer, probe)
            assert b"evil.example" not in answer.head.encode() + answer.body, probe
            location = dict(answer.headers).get("location", "")
            assert urlsplit(location).netloc in ("", "shop.example", "news.example"), probe
