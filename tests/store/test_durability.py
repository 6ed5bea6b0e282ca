"""What a store can lose, found out from real servers with such options."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adserve.store import durability
from adserve.store.client import REPLY_ERRORS, connect
from adserve.store.durability import Durability, examine, is_old, judge
from adserve.store.embedded import EmbeddedStore
from tests.servers import SAFE, client, server
from tests.stores import cluster, watched

GOOD = {"maxmemory": 0, "maxmemory_policy": "noeviction", "aof_enabled": 1, "role": "master"}


async def look(url: str, *, embedded: bool = False) -> Durability:
    asked = connect(url)
    try:
        return await examine(asked, embedded=embedded)
    finally:
        await asked.aclose()


@pytest.mark.parametrize(
    ("options", "unfit", "warning"),
    [
        (SAFE, None, None),
        ((*SAFE, "--maxmemory", "50mb"), None, None),
        ((*SAFE, "--maxmemory-policy", "allkeys-lru"), None, None),
        ((*SAFE, "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"), "maxmemory-policy is allkeys-lru", None),
        (
            (*SAFE, "--maxmemory", "50mb", "--maxmemory-policy", "volatile-ttl"),
            "maxmemory-policy is volatile-ttl",
            None,
        ),
        (("--appendonly", "no"), "appendonly is no", None),
        (("--appendonly", "yes", "--appendfsync", "everysec"), None, "appendfsync is everysec"),
        (("--appendonly", "yes", "--appendfsync", "no"), None, "appendfsync is no"),
        ((*SAFE, "--replicaof", "127.0.0.1 1"), None, "read-only replica"),
        ((*SAFE, "--replicaof", "127.0.0.1 1", "--replica-read-only", "no"), "a replica that takes writes", None),
        ((*SAFE, "--rename-command", "CONFIG", ""), None, "CONFIG GET is refused"),
        ((*SAFE, "--rename-command", "INFO", ""), None, "INFO lacks maxmemory"),
        (("--appendonly", "no", "--rename-command", "CONFIG", ""), "appendonly is no", None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
async def test_what_a_store_can_lose_is_found(options: tuple[str, ...], unfit: str | None, warning: str | None) -> None:
    """Each in one sentence that names the setting to change; nothing about what is well."""
    with server(*options) as url:
        found = await look(url)
    for said, expected in ((found.unfit, unfit), (found.warnings, warning)):
        assert len(said) == (expected is not None)
        assert expected is None or expected in said[0]


async def test_the_embedded_store_passes(store: EmbeddedStore) -> None:
    """Its log is written before every answer, and synced by us, whatever its own setting says."""
    assert await look(store.url, embedded=True) == Durability()


async def test_a_store_that_is_away_is_not_judged() -> None:
    with pytest.raises(REPLY_ERRORS) as raised:
        await look("unix:///nowhere/s")
    assert durability.unreachable(raised.value)


async def test_a_store_that_wants_a_password_is_away_and_one_that_says_no_is_not() -> None:
    """A wrong password is mended like an outage; a refused command is an answer."""
    with server(*SAFE) as url, client(url) as asked:
        with pytest.raises(REPLY_ERRORS) as refused:
            asked.execute_command("NONE")
        asked.config_set("requirepass", "x")
        with pytest.raises(REPLY_ERRORS) as raised:
            await look(url)
    assert durability.unreachable(raised.value)
    assert not durability.unreachable(refused.value)


async def test_every_primary_of_a_cluster_is_looked_at(tmp_path: Path) -> None:
    """One that is unfit is named, and makes the store so. One that is away is a warning, since the others go on;
    a replica may have taken its place, so that the next look asks for the map anew."""
    with cluster(tmp_path, replicas=True) as found:
        names = [f"127.0.0.1:{node.port}" for node in found.nodes[:3]]
        said = await look(found.url)
        assert said.unfit == ()
        assert [", ".join(sorted(names)) in one and "appendfsync is no" in one for one in said.warnings] == [True]
        found.nodes[2].call("CONFIG", "SET", "appendonly", "no")
        found.nodes[5].call("CONFIG", "SET", "appendonly", "no")
        assert [one.partition(": append")[0] for one in (await look(found.url)).unfit] == [names[2]]
        asked = connect(found.url)
        try:
            await examine(asked)
            found.nodes[2].kill()
            said = await examine(asked)
            assert said.unfit == ()
            assert [one.startswith(f"{names[2]}: does not answer") for one in said.warnings if names[2] in one] == [
                True
            ]
            async with asyncio.timeout(30):
                while not (said := await examine(asked)).unfit:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.1)
            assert said.unfit[0].startswith(f"127.0.0.1:{found.nodes[5].port}: appendonly is no")
        finally:
            await asked.aclose()


async def test_what_the_sentinels_name_is_looked_at(tmp_path: Path) -> None:
    with watched(tmp_path) as found:
        found.primary.call("CONFIG", "SET", "appendonly", "no")
        assert ["appendonly is no" in one for one in (await look(found.url)).unfit] == [True]


@pytest.mark.parametrize("url", ["redis+cluster://127.0.0.1:1", "redis+sentinel://127.0.0.1:1/main"])
async def test_stores_of_many_servers_are_away_when_none_answers(url: str) -> None:
    """The client of a Cluster has an exception of its own for that."""
    with pytest.raises(REPLY_ERRORS) as raised:
        await look(url)
    assert durability.unreachable(raised.value)


@pytest.mark.parametrize(("member", "value"), [("aof_last_write_status", "err"), ("role", "slave")])
def test_lesser_faults_are_warnings(member: str, value: Any) -> None:
    found = judge({**GOOD, member: value}, "always")
    assert (found.unfit, len(found.warnings)) == ((), 1)


@pytest.mark.parametrize(
    ("version", "old"),
    [("6.2.0", False), ("6.0.16", True), ("5.0.14", True), ("10.0.1", False), ("", False), ("x.y", False)],
)
def test_the_oldest_version_is_six_two(version: str, old: bool) -> None:
    assert is_old(version) is old
