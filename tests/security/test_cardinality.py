"""What comes from outside becomes no key, no metric, no log line and no lasting memory; numbers and types hold."""

from __future__ import annotations

import gc
import json
import random
import re
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

from adserve.store.catalog import TYPES
from tests.conftest import Api
from tests.security.places import everywhere, good_request
from tests.security.promises import check, declared, promises
from tests.security.table import BODIES, addresses
from tests.security.world import Answer, Request, World

NAMES = [
    "top}{x", "{}", "{s1}:c:900", "*", "[a-z]", "top\r\nFLUSHALL\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "a:b", "top\0",
    "__proto__", "\uff34op", "top ", " top", "TOP", "t\u043ep", "x" * 65, "x" * 5000, "..", "../top", "..\\top", "%s%n",
    "{0.__class__}", "\ud800", "\U0010ffff", "\u00e9", "e\u0301", "\u202e", "",
]  # fmt: skip
"""Names that nothing may have, each for another parser that might stand behind."""


ALWAYS = ("/v1/frames/", "/v1/pairs/")
"""Where there is always something to show."""


async def test_no_name_from_outside_becomes_a_key(world: World) -> None:
    """In every path and query: the store's keys are those of the table, and nothing took the name."""
    probes = [*everywhere(world, NAMES, places=("path",)), *everywhere(world, NAMES[:6], places=("query",))]
    async with promises(world):
        before = await keys_of(world)
        for probe, answer in zip(probes, await world.walk(probe.request for probe in probes), strict=True):
            check(answer, probe)
            if probe.place.startswith("path") and probe.address.path.startswith("/v1/slots/"):
                assert (answer.status, answer.body, answer.header("adserve-fill")) == (200, b"", "0"), probe
            elif probe.place.startswith("path") and answer.status < 400 and probe.address.path.startswith(ALWAYS):
                assert answer.header("adserve-fill") == "0", probe
            elif probe.place.startswith("path") and probe.given:
                assert answer.status in (400, 404, 405, 422), probe
        assert await keys_of(world) == before


async def keys_of(world: World) -> set[str]:
    """The keys of the store, save those that counting makes as time goes by."""
    client, prefix = world.api.held.services.client, world.api.held.settings.key_prefix
    return {key async for key in client.scan_iter(f"{prefix}*") if not re.search(r"\}:([clfpr]:|buckets)", key)}


UNKNOWN = (
    "/v1/slots/news/NAME", "/v1/slots/NAME/top", "/v1/pages/NAME", "/v1/pages/news?slots=NAME", "/c/NAME", "/NAME",
    "/e/i/NAME0123456789abcdef", "/m/NAME01234567.png",
    "/v1/slots/news/top?pv=NAME&visitor=NAME&kv.NAME=1&labels=NAME&device=NAME",
)  # fmt: skip


async def test_a_crowd_of_unknown_names_leaves_nothing_behind(api: Api) -> None:
    """Slots, sites, files and tokens that are none, each from a browser of its own with hints of its own: no key,
    no line in the metrics, no memory that stays."""
    await api.world()
    await api.creative()
    await api.decide()
    await api.settle()
    keys = set(await api.contents())
    series = series_of((await api.http.get("/metrics")).text)
    draw = random.Random(1)

    async def crowd(times: int) -> None:
        for _ in range(times):
            name = f"{draw.getrandbits(128):032x}"
            hints = {
                "User-Agent": f"Mozilla/5.0 {name}" * 20,
                "Sec-CH-UA-Mobile": name * 200,
                "Sec-CH-UA-Platform": name * 200,
            }
            for path in UNKNOWN:
                await straight(api, path.replace("NAME", name), hints)

    await crowd(50)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await crowd(300)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 1_500_000, f"{grown} bytes were kept of what 300 clients sent"
    await api.settle()
    assert {re.sub(r":[0-9a-f]+:", ":x:", key) for key in await api.contents()} <= {
        re.sub(r":[0-9a-f]+:", ":x:", key) for key in keys
    }
    assert series_of((await api.http.get("/metrics")).text) == series


def series_of(text: str) -> set[str]:
    """The names of metrics with their labels."""
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


async def straight(api: Api, path: str, headers: dict[str, str]) -> int:
    """The status of a GET, by the application itself: a client library keeps memory of its own."""
    status = 0
    raw, _, query = path.partition("?")
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "method": "GET", "path": raw, "raw_path": raw.encode(), "query_string": query.encode(),
        "headers": [(b"host", b"localhost:8000"), *pairs], "client": ("203.0.113.9", 1), "scheme": "http",
        "http_version": "1.1", "root_path": "", "server": ("localhost", 8000), "asgi": {"version": "3.0"},
    }  # fmt: skip

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    await api.http._transport.app(scope, receive, send)  # type: ignore[attr-defined]
    return status


VALUES: list[Any] = [
    1e308, -1, -(2**63), 2**63, 10**30, 0.1, 1.0, True, False, None, "10", "\uff11", "", [], {}, [1], {"a": 1}, [[[]]],
    0, "NaN", float("nan"), float("inf"), "\0", ["x"] * 1000, {str(n): n for n in range(1000)},
]  # fmt: skip


async def test_no_number_and_no_type_is_taken_for_another(world: World) -> None:
    """In every member of every body: what is stored afterwards can be read by everybody, and a whole number is one."""
    probes = list(everywhere(world, VALUES, places=("json",)))
    async with promises(world):
        for probe, answer in zip(probes, await world.walk(probe.request for probe in probes), strict=True):
            check(answer, probe)
            if probe.place in whole_numbers(probe.address.method, probe.address.path):
                fine = probe.given is None or (type(probe.given) is int and probe.given == 0)
                assert fine or answer.status in (400, 422), (probe, answer)
            if probe.given != probe.given and probe.place != "json name":  # a NaN, which is no JSON
                assert answer.status == 400, probe
        things = await readable(world)
        assert things > 8


def whole_numbers(method: str, path: str) -> set[str]:
    """The places of whole numbers in a good body."""
    return {f"json /{name}" for name, value in BODIES.get((method, path), {}).items() if type(value) is int}


async def readable(world: World) -> int:
    """How many stored objects there are; every one of them is read as what it is, by workers and by the API."""
    stored: Any = await world.api.held.services.client.hgetall(world.api.held.services.keys.objects)
    shown = 0
    for kind in TYPES:
        path = "/sites/news/slots" if kind == "slot" else f"/{kind}s"
        shown += len((await world.api.make("GET", path))["items"])
    catalog = world.api.held.worker.catalog
    assert catalog is not None
    assert len(catalog.bad) == 0, stored
    return shown


OTHERS = {
    "string": ("SET", "x"), "list": ("RPUSH", "x"), "hash": ("HSET", "x", "y"), "zset": ("ZADD", "1", "x"),
    "set": ("SADD", "x"), "stream": ("XADD", "*", "x", "y"),
}  # fmt: skip
"""A key of each type: the command and its arguments behind the key."""


async def spoilt(world: World) -> AsyncIterator[tuple[str, str]]:
    """One key after the other, replaced by one of each other type and put back: its name without prefix, the type."""
    client, prefix = world.api.held.services.client, world.api.held.settings.key_prefix
    execute: Any = client.execute_command
    for name, dump in sorted((await world.api.contents()).items()):
        line = next(one for one in declared() if one.shape.fullmatch(name.removeprefix(prefix)))
        left_s = await client.pttl(name)
        for type_, (command, *rest) in OTHERS.items():
            if type_ == line.type:
                continue
            async with client.pipeline(transaction=True) as pipe:  # the worker goes on writing to it
                pipe.delete(name)
                pipe.execute_command(command, name, *rest)
                await pipe.execute()
            yield name.removeprefix(prefix), type_
        await execute("RESTORE", name, max(left_s, 0), dump, "REPLACE")


async def test_a_key_of_another_type_fails_no_other_and_nobody(world: World) -> None:
    """Every key that there is, of every other type: each call is answered, at worst as one that cannot be served
    now and says when to come back; slots go on being filled, and afterwards all is as before."""
    fresh = Request("GET", "/v1/slots/news/top", (("Accept", "application/json"),))
    every = [good_request(world, one).with_key() for one in addresses(world.app) if one.method == "GET"]
    async for name, type_ in spoilt(world):
        for request, answer in zip(every, await world.walk(every), strict=True):
            told(answer, (name, type_, request))
        decision = json.loads((await world.ask(fresh)).body)
        if name not in ("{cat}:version",):  # a version that is none is followed again when it is right
            assert decision["filled"], (name, type_)
        event = Request("GET", "/e/i/" + str(decision.get("impression_url", "")).rpartition("/")[2])
        told(await world.ask(event), (name, type_, event))
    for request, answer in zip(every, await world.walk(every), strict=True):
        assert answer.status < 400, (request, answer)


def told(answer: Answer, who: object) -> None:
    """Answered, or refused for now."""
    if answer.status == 503:
        assert answer.header("retry-after"), who
        check(answer._replace(status=200), who)
    else:
        check(answer, who)
