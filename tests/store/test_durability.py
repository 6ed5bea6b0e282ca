"""What a store can lose, found out from real servers with such options."""

from __future__ import annotations

from typing import Any

import pytest

from adserve.store import durability
from adserve.store.client import REPLY_ERRORS, connect
from adserve.store.durability import Durability, examine, is_old, judge
from adserve.store.embedded import EmbeddedStore
from tests.servers import SAFE, client, server

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
