"""Every type of key as it was, from any kind of store to any other."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adserve.core.records import PART_BYTES, PART_ITEMS
from adserve.errors import AdserveError, Conflict
from adserve.flows.move import SameStore, copy
from adserve.store.client import Redis, connect
from adserve.store.embedded import EmbeddedStore
from adserve.store.keys import Keys
from adserve.store.load import UNFINISHED, NotEmpty, Writer, tally
from adserve.store.read import Reader
from tests.stores import any_store

PREFIX = "shop:"
RANDOM = random.Random(1)
LATER = int(time.time()) + 90_000
SAMPLES: dict[str, list[tuple[Any, ...]]] = {
    "{s1}:l:iv:a:1": [("SETBIT", 70_000, 1), ("SETBIT", 3, 1), ("EXPIREAT", LATER)],
    "{s2}:l:iv:a:1": [("SETBIT", 7, 0)],
    "{s3}:l:vv:a:1": [("SET", RANDOM.randbytes(3 * PART_BYTES + 5))],
    "{m:x}:media": [("SET", bytes(range(256)))],
    "{cat}:version": [("SET", "17")],
    "{cat}:empty": [("SET", "")],
    "{cat}:objects": [("HSET", b"k\xff\x00", b"\x80\r\n", "plain", "", "", "v"), ("EXPIREAT", LATER + 1)],
    "{s4}:c:900": [("HSET", *(b"%d" % (n // 2) for n in range(at, at + 2000))) for at in range(0, 9000, 2000)],
    "{s5}:small": [("SADD", b"\xfe", "a", "")],
    "{s5}:big": [("SADD", *(b"%d" % n for n in range(at, at + 2000))) for at in range(0, 3 * PART_ITEMS, 2000)],
    "{s5}:numbers": [("SADD", 1, 2, 3)],
    "{s6}:days": [("ZADD", 20260101, 20260101, 0.1, b"\xff", "-inf", "low", "inf", "high", 1e300, "much")],
    "{s6}:buckets": [("ZADD", *(n // 2 if n % 2 else n / 7 for n in range(5000)))],
    "{s7}:r:client": [("RPUSH", "b", "a", b"\xff", "b"), ("EXPIREAT", LATER)],
    "{s7}:r:long": [("RPUSH", *(b"%d" % (n % 7) for n in range(5000)))],
    "{cat}:audit": [("XADD", f"{n}-{n % 3 + 1}", "who", b"\xff", "what", "", "who", "again") for n in range(1, 700)],
    "{cat}:gone": [("XADD", "5-1", "f", "v"), ("XDEL", "5-1")],
    "{cat}:shorter": [("XADD", "5-1", "f", "v"), ("XADD", "9-1", "f", "v"), ("XDEL", "9-1")],
}


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Redis]:
    found = connect(url, decode=False)
    try:
        yield found
    finally:
        await found.aclose()


async def fill(store: Redis, prefix: str = PREFIX) -> None:
    for name, commands in SAMPLES.items():
        for command, *rest in commands:
            await store.execute_command(command, prefix + name, *rest)  # type: ignore[no-untyped-call]
    await store.set(Keys(prefix).secret, "the check value")


async def content(store: Redis, name: str) -> Any:
    """A key as its own commands tell it; the reading of `store.read` has no part in it."""
    any_: Any = store
    key, kind = PREFIX + name, (await any_.type(PREFIX + name)).decode()
    reads = {
        "string": lambda: any_.get(key),
        "hash": lambda: any_.hgetall(key),
        "set": lambda: any_.smembers(key),
        "list": lambda: any_.lrange(key, 0, -1),
        "zset": lambda: any_.zrange(key, 0, -1, withscores=True),
        "stream": lambda: any_.xrange(key),
    }
    stream = (await any_.xinfo_stream(key))["last-generated-id"] if kind == "stream" else None
    value: Any = await reads[kind]() if kind in reads else None
    if kind == "set":
        value = set(value)
    return kind, value, stream, -(-await any_.pttl(key) // 1000) + int(time.time()) if await any_.ttl(key) > 0 else 0


def same(one: Any, other: Any) -> bool:
    return bool(one[:3] == other[:3] and abs(one[3] - other[3]) <= 2)


def silent(what: str, keys: int, size: int) -> None:
    """No terminal here."""


async def move(source: Redis, target: Redis, *, replace: bool = False) -> dict[str, Any]:
    return await copy(source, target, PREFIX, int(time.time()), replace=replace, tell=silent)


@pytest.mark.parametrize(
    "kinds", [("embedded", "redis"), ("embedded", "cluster"), ("cluster", "embedded"), ("redis", "sentinel"),
              ("sentinel", "embedded"), ("cluster", "redis")], ids="-".join,
)  # fmt: skip
async def test_every_type_arrives_as_it_was(kinds: tuple[str, str], tmp_path: Path) -> None:
    """With its bytes, order, scores, ids and expiry, whatever the two stores are; what others keep beside it, or
    under a longer prefix, stays where it is. The same store is refused, and so is one that holds something."""
    one, other = kinds
    with any_store(one, tmp_path / "a") as first, any_store(other, tmp_path / "b") as second:
        async with client(first) as source, client(second) as target:
            await fill(source)
            await source.set("else", "1")
            await source.set("shop:two:{cat}:version", "1")
            await target.set("shop:two:{cat}:version", "2")
            found = await move(source, target)
            assert found["agrees"], found
            assert found["keys"] == len(SAMPLES) + 1
            for name in SAMPLES:
                assert same(await content(target, name), await content(source, name)), name
            assert await target.get(Keys(PREFIX).secret) == b"the check value"
            assert await target.get("else") is None
            assert await target.get("shop:two:{cat}:version") == b"2"
            with pytest.raises(NotEmpty):
                await move(source, target)
            again = await move(source, target, replace=True)
            assert again["agrees"]
            assert again["removed"] == len(SAMPLES)
            with pytest.raises(SameStore):
                await move(source, source, replace=True)
            assert len([name async for name in Reader(source, PREFIX).scan()]) == len(SAMPLES) + 1


@pytest.fixture
async def pair(store: EmbeddedStore, tmp_path: Path) -> AsyncIterator[tuple[Redis, Redis]]:
    """A filled store and an empty one."""
    with EmbeddedStore.start(tmp_path / "other") as second:
        async with client(store.url) as source, client(second.url) as target:
            await fill(source)
            yield source, target
            names = [PREFIX.encode() + name async for name in Reader(source, PREFIX).scan()]
            await source.delete(*names)


@pytest.mark.parametrize(
    "change",
    [
        ("SETBIT", "{s1}:l:iv:a:1", 4, 1),
        ("HSET", "{cat}:objects", "plain", "x"),
        ("SREM", "{s5}:small", "a"),
        ("ZADD", "{s6}:days", 0.2, b"\xff"),
        ("LSET", "{s7}:r:client", 0, "c"),
        ("XDEL", "{cat}:audit", "600-1"),
        ("XSETID", "{cat}:shorter", "9-2"),
        ("PERSIST", "{s1}:l:iv:a:1"),
        ("EXPIREAT", "{s1}:l:iv:a:1", LATER + 1000),
        ("DEL", "{cat}:empty"),
        ("SET", "{s9}:new", "x"),
    ],
    ids=lambda change: change[0],
)
async def test_a_target_that_differs_is_found(pair: tuple[Redis, Redis], change: tuple[Any, ...]) -> None:
    """By its kind, when it is read again; no service starts on it."""
    source, target = pair
    real = Writer.close

    async def close(self: Writer) -> None:
        await real(self)
        await target.execute_command(change[0], PREFIX + change[1], *change[2:])  # type: ignore[no-untyped-call]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "close", close)
        found = await move(source, target)
    assert not found["agrees"]
    assert [one["agrees"] for one in found["kinds"].values()].count(False) == 1
    assert await target.get(Keys(PREFIX).secret) == UNFINISHED.encode()
    assert (await move(source, target))["agrees"]


async def test_a_source_that_goes_on_is_found(pair: tuple[Redis, Redis]) -> None:
    """What a service counts meanwhile is in neither or in one: exit code 1, not a copy that lacks it."""
    source, target = pair
    real = Writer.close

    async def close(self: Writer) -> None:
        await real(self)
        await source.setbit(f"{PREFIX}{{s1}}:l:iv:a:1", 9, 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "close", close)
        found = await move(source, target)
    assert [kind for kind, one in found["kinds"].items() if not one["agrees"]] == ["ledger"]


async def test_one_that_was_stopped_half_way_runs_again(pair: tuple[Redis, Redis]) -> None:
    """Without --replace: nobody else made what it finds, and it says so until all of it is there."""
    source, target = pair

    def stop(what: str, keys: int, size: int) -> None:
        if keys > 10:
            raise AdserveError("stopped")

    with pytest.raises(AdserveError):
        await copy(source, target, PREFIX, int(time.time()), replace=False, tell=stop)
    assert await target.get(Keys(PREFIX).secret) == UNFINISHED.encode()
    found = await move(source, target)
    assert found["agrees"]
    assert await target.get(Keys(PREFIX).secret) == b"the check value"


async def test_what_is_over_is_left_out(pair: tuple[Redis, Redis]) -> None:
    """An expiry is a moment, not a time to live: it does not begin anew."""
    source, target = pair
    found = await copy(source, target, PREFIX, LATER, replace=False, tell=silent)
    assert found["expired"] == 2
    assert await target.exists(f"{PREFIX}{{s1}}:l:iv:a:1") == 0
    assert await target.exists(f"{PREFIX}{{cat}}:objects") == 1


async def test_a_type_of_a_module_is_refused(pair: tuple[Redis, Redis]) -> None:
    """With its name: it is none of ours. A HyperLogLog is a string, and a geo index a sorted set."""
    source, target = pair
    await source.pfadd(f"{PREFIX}{{cat}}:guess", "a", "b")
    await source.geoadd(f"{PREFIX}{{cat}}:places", (13.4, 52.5, "berlin"))
    assert (await move(source, target))["agrees"]
    assert await target.pfcount(f"{PREFIX}{{cat}}:guess") == 2
    with pytest.raises(Conflict, match="vectorset"):
        Reader(source, PREFIX)._found(b"{cat}:v", b"vectorset", 0, None, b"")


async def test_the_tally_of_a_store_is_of_its_kinds(pair: tuple[Redis, Redis]) -> None:
    """Each by its name; what will soon be gone is in none."""
    found = await tally(pair[0], PREFIX, LATER + 10)
    assert {kind: one.keys for kind, one in found.items()} == {
        "ledger": 2, "media": 1, "catalog": 5, "quarter-hours": 1, "indexes": 2, "click lists": 1, "other": 3,
    }  # fmt: skip
