"""Media, the tag and the answers that pages of others load: headers, ranges, conditions, callbacks, poisoned caches."""

from __future__ import annotations

import re

import pytest

from tests.security.places import asking, everywhere, good_request
from tests.security.promises import check, promises
from tests.security.table import addresses
from tests.security.texts import OWN_TAG
from tests.security.world import Answer, Request, World

RANGES = [
    "bytes=0-0", "bytes=0-", "bytes=-1", "bytes=-999999999999", "bytes=5-1", "bytes=0-18446744073709551616",
    "bytes=1-1,3-3", "bytes=" + "0-0," * 5000, "bytes=" + ",".join(f"{n}-" for n in range(4000)), "bytes=--1",
    "bytes=" + "9" * 5000 + "-", "bytes", "bytes=\u0661-\u0662", "bytes=0x0-0x9", "bytes= 0 - 1 ", "items=0-1",
    "bytes=a-b", "bytes=,", "bytes=-", "=", "", "none",
]  # fmt: skip
CONDITIONS = ["*", '"x"', 'W/"x"', "x", '"', ",", '"x",' * 3000, "Thu, 01 Jan 1970 00:00:00 GMT", "\u00e9", ""]
HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
    "access-control-allow-origin": "*",
}


async def test_media_are_whole_or_refused_and_always_boxed(world: World) -> None:
    """Every range and condition: 200 with all of it, 206 with what was asked, 304 or 416; one part at most; the same
    headers on each, and no file, host or version in any."""
    for path, type_ in ((f"/m/{world.media}", "image/png"), ("/slots.js", "text/javascript; charset=utf-8"),
                        ("/slots-more.js", "text/javascript; charset=utf-8")):  # fmt: skip
        whole = await world.ask(Request("GET", path))
        etag = whole.header("etag") or ""
        every = [Request(method, path, (("Range", value),)) for value in RANGES for method in ("GET", "HEAD")]
        for name in ("If-None-Match", "If-Match", "If-Range", "If-Modified-Since", "If-Unmodified-Since"):
            every += [Request("GET", path, ((name, value), ("Range", "bytes=0-1"))) for value in (*CONDITIONS, etag)]
        async with promises(world):
            for request, answer in zip(every, await world.walk(every), strict=True):
                check(answer, request)
                assert answer.status in (200, 206, 304, 400, 416), request
                for name, value in HEADERS.items():
                    assert answer.header(name) == value, (name, request)
                if answer.status == 200:
                    assert answer.header("content-type") == type_, request
                    assert answer.header("content-length") == str(len(whole.body)), request
                    assert request.method == "HEAD" or answer.body == whole.body, request
                elif answer.status == 206:
                    assert "multipart" not in (answer.header("content-type") or ""), request
                    assert len(answer.body) <= len(whole.body), request
        for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
            again = await world.ask(Request("GET", path, (("If-None-Match", known),)))
            assert (again.status, again.body, again.header("etag")) == (304, b"", etag)


FILES = [
    "..", "../secret", "..%2fsecret", "%2e%2e%2fsecret", "..%5csecret", "%2fetc%2fpasswd", "FILE%00", "FILE%00.html",
    "FILE.html", "FILE/", "FILE%2f", "FILE;x", "FILE?x=.html", "UPPER", ".FILE", "FILE.", "FILE%20", "0", "HASH",
    "HASH.svg", "HASH.png", "HASH0.png", "HASH.html", "HASH.PNG", "HASH.png.png", "%EF%BC%90" * 40 + ".png", "x" * 5000,
    "NAME.gif", "NAME.jpg", "NAME.webp", "NAME.avif",
]  # fmt: skip


async def test_a_file_is_found_by_its_own_name_alone(world: World) -> None:
    """No other spelling, no way out of the cache's folder, nothing with another ending: 404, as boxed as the rest."""
    words = {"FILE": world.media, "UPPER": world.media.upper(), "NAME": world.media[:40], "HASH": "0" * 40}
    named = FILES
    for word, meant in words.items():
        named = [name.replace(word, meant) for name in named]
    every = [Request(method, f"/m/{name}") for name in named for method in ("GET", "HEAD")]
    async with promises(world):
        for request, answer in zip(every, await world.walk(every), strict=True):
            check(answer, request)
            assert answer.status == (200 if "?x=" in str(request.target) else 404), request
            assert answer.header("x-content-type-options") == "nosniff", request
            assert (answer.header("content-security-policy") or "").startswith("default-src 'none'"), request


CALLBACKS = [
    "alert", "alert(1)//", "a.b[0]", "x;y", "x" * 300, "CWSMIKI0hCD0Up0IZUnnnnnnnnnnnnnnnnnnnUU5nnnnnn3SUUn", "",
    "||calc||", "\u2028",
]  # fmt: skip


async def test_no_answer_becomes_a_script_a_batch_file_or_an_echo(world: World) -> None:
    """No callback is taken, whatever its parameter's name: type and body are those of the plain answer."""
    probes = [probe for probe in everywhere(world, CALLBACKS, places=("query",)) if probe.address.method == "GET"]
    every: list[Request] = []
    for probe in probes:
        target = str(probe.request.target).partition("?")[0]
        every += [probe.request._replace(target=f"{target}?{name}={query_of(probe.request)}")
                  for name in ("callback", "jsonp", "cb") if probe.place == "query unknown"]  # fmt: skip
    async with promises(world):
        for request, answer in zip(every, await world.walk(every), strict=True):
            check(answer, request)
            type_ = answer.header("content-type") or ""
            assert "script" not in type_ or str(request.target).startswith(("/slots.js", "/slots-more.js")), request
            assert not re.search(rb"alert|CWSMIKI|calc", answer.body), request
            assert "calc" not in answer.head, request


def query_of(request: Request) -> str:
    return str(request.target).rpartition("=")[2]


ONCE = rb'[\w-]{48}|(?<=data-decision=")[^"]*|(?<=data-decision=.")[^"]*|(?<="decision":")[^"]*|(?<="page_view":")[^"]*'
"""What differs from one serve to the next: tokens and ids."""


def plain(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    """An answer without what differs from one serve to the next."""
    body = re.sub(ONCE, b"~", answer.body)
    return answer.status, [pair for pair in answer.headers if pair[0] not in ("etag", "content-length")], body


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_what_a_cache_may_leave_out_of_its_key_changes_nothing(world: World, accept: str) -> None:
    """Unknown parameters, 500 of them, a body with a GET, headers that rewrite addresses or methods, parameters
    hidden in others: the answer is that of the plain request."""
    odd: list[tuple[str, tuple[tuple[str, str], ...], bytes]] = [
        ("?utm_content='/><script>", (), b""), ("?x=1;callback=evil", (), b""), ("?x=top%26slot=evil", (), b""),
        ("?" + "&".join(f"u{n}={n}" for n in range(500)), (), b""), ("?_site=evil&_slot=evil", (), b""),
        ("", (("Content-Type", "application/x-www-form-urlencoded"),), b"slot=sidebar&pv=evil"),
        ("", (("X-Original-URL", "/metrics"), ("X-Rewrite-URL", "/metrics")), b""),
        ("", (("X-HTTP-Method-Override", "DELETE"), ("X-HTTP-Method", "PUT"), ("X-Method-Override", "POST")), b""),
        ("?_method=DELETE", (), b""), ("", (("X-Forwarded-Prefix", "/evil"), ("X-Forwarded-Host", "evil")), b""),
        ("", (("Cookie", "pv=evilevil; visitor=evil"),), b""), ("", (("Forwarded", "host=evil;proto=https"),), b""),
    ]  # fmt: skip
    for address in addresses(world.app):
        if address.method != "GET" or address.path.startswith(("/e/", "/c/", "/metrics")):
            continue
        good = good_request(world, address)
        good = good.with_key() if address.managed else good._replace(headers=(("Accept", accept),))
        wanted = plain(await world.ask(good))
        every = [
            good._replace(target=asking(good, query[1:]) if query else good.target, body=body,
                          headers=(*good.headers, *headers))
            for query, headers, body in odd
        ]  # fmt: skip
        for request, answer in zip(every, await world.walk(every), strict=True):
            check(answer, request)
            refused = address.managed and request.target != good.target  # the API names what it does not know
            if refused:
                assert answer.status == 422, request
            elif "/report" in str(request.target) or "/explain" in str(request.target):
                assert answer.status == 200, request  # it says when it was made, or is by chance
            else:
                assert plain(answer) == wanted, request
            assert b"evil" not in answer.body or refused, request
            assert b"<script" not in OWN_TAG.sub(b"", answer.body), request
