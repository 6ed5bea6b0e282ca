"""A real store that answers and will not: full, read-only, busy, silenced. Nothing is lost and nothing half done."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from adserve import wiring
from adserve.settings import Settings
from adserve.store.client import connect
from adserve.store.embedded import EmbeddedStore
from adserve.wiring import running
from tests.conftest import ADMIN, Api, Clock
from tests.flows.rest import at_rest, until
from tests.intake.test_images import drawing, saved

Commands = list[str]
WAYS: dict[str, tuple[Commands, Commands]] = {
    "full": (["CONFIG SET maxmemory 1mb"], ["CONFIG SET maxmemory 0"]),
    "a replica": (["REPLICAOF 127.0.0.1 1"], ["REPLICAOF NO ONE"]),
    "without replicas": (["CONFIG SET min-replicas-to-write 1"], ["CONFIG SET min-replicas-to-write 0"]),
    "a replica without its primary": (
        ["CONFIG SET replica-serve-stale-data no", "REPLICAOF 127.0.0.1 1"], ["REPLICAOF NO ONE"],
    ),
    "no permission": (["ACL SETUSER default -@write"], ["ACL SETUSER default +@all"]),
    "no permission for scripts": (["ACL SETUSER default -@scripting"], ["ACL SETUSER default +@all"]),
    "silent": (["STOP"], ["CONT"]),
    "silent for writes": (["CLIENT PAUSE 60000 WRITE"], ["CLIENT UNPAUSE"]),
    "a script that does not end": (["BUSY"], ["SCRIPT KILL"]),
    "no room for snapshots": (["MISCONF"], ["CONFIG SET stop-writes-on-bgsave-error no", "CONFIG SET save"]),
}  # fmt: skip


class Unwilling:
    """A store of this test's own, and who makes it unwilling."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.store = store
        self.client: Any = Redis.from_url(store.url, decode_responses=True, protocol=2)
        self._busy: asyncio.Task[Any] | None = None

    async def do(self, commands: Commands) -> None:
        for command in commands:
            if command == "BUSY":
                await self.be_busy()
            elif command == "MISCONF":
                await self.fail_snapshots()
            elif command in ("STOP", "CONT"):
                os.kill(self.store.pid, signal.SIGSTOP if command == "STOP" else signal.SIGCONT)
            elif command == "CONFIG SET save":
                self.client.config_set("save", "")  # or it would not end without a last one
            else:
                self.client.execute_command(*command.split())

    async def be_busy(self) -> None:
        """Another client's script runs until it is killed."""
        self.client.config_set("lua-time-limit", 10)
        other: Any = AsyncRedis.from_url(self.store.url)

        async def endless() -> None:
            with contextlib.suppress(Exception):
                await other.eval("while true do end", 0)
            await other.aclose()

        self._busy = asyncio.create_task(endless())
        await asyncio.sleep(0.1)

    async def fail_snapshots(self) -> None:
        """As on a disk without room: the store then refuses to write."""
        (self.store.directory / "dump.rdb").mkdir()
        self.client.config_set("save", "3600 1")
        self.client.execute_command("BGSAVE")
        await until(lambda: self.client.info("persistence")["rdb_last_bgsave_status"] == "err")

    def restart(self) -> None:
        """Killed, and back with its data and without its scripts."""
        os.kill(self.store.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while not self.store.restart_if_dead():
            assert time.monotonic() < deadline

    async def close(self) -> None:
        if self._busy is not None:
            await self._busy
        self.client.close()


@pytest.fixture
async def unwilling(
    tmp_path: Path, settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Api, Unwilling]]:
    """A worker over a store of its own. Management is less patient than it is (5 s), so that silence costs less."""
    monkeypatch.setattr(wiring, "connect", lambda url, **given: connect(url, **{"timeout_s": 1.5, **given}))
    with EmbeddedStore.start(tmp_path / "own") as store:
        async with running(settings, store.url, clock=clock) as held:
            api, found = Api(held), Unwilling(store)
            await api.world()
            await api.creative()
            yield api, found
            await found.close()
            await api.http.aclose()


@pytest.mark.parametrize("way", WAYS)
async def test_an_unwilling_store_loses_nothing_and_leaves_nothing_half_done(
    unwilling: tuple[Api, Unwilling], way: str
) -> None:
    """Pages fill, events are answered by the spool, an upload or a change is refused whole, whoever signs in is
    known; and when the store takes writes again everything is counted without anybody's help."""
    api, store = unwilling
    first = await api.decide()
    await api.http.get(first["impression_url"])
    await api.settle()
    creatives = (await api.make("GET", "/creatives"))["items"]
    begin, end = WAYS[way]
    await store.do(begin)
    made = [await api.decide() for _ in range(20)]
    unseen = [await api.decide() for _ in range(5)]
    assert all(one["filled"] for one in (*made, *unseen))
    replies = await asyncio.gather(*(api.http.get(one["impression_url"]) for one in made))
    replies += await asyncio.gather(*(api.http.get(one["impression_url"]) for one in (first, *made[:4])))
    assert {reply.status_code for reply in replies} == {200}
    clicks = await asyncio.gather(*(api.http.get(one["click_url"]) for one in made[:5]))
    assert {reply.headers["location"] for reply in clicks} == {"https://shop.example/tea"}
    assert api.spooled()
    assert "adserve_breaker_closed 0.0" in (await api.http.get("/metrics")).text
    text = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/tea"}
    async with asyncio.timeout(40):
        refused = await asyncio.gather(
            api.call("PUT", "/advertisers/late", {"name": "Late"}),
            api.call("POST", "/campaigns/one/creatives", text),
            api.http.post(
                "/api/v1/campaigns/one/creatives", headers={"Authorization": f"Bearer {ADMIN}"},
                data={"name": "p", "alt": "x", "click_url": "https://shop.example/"},
                files={"file": ("p.png", saved(drawing(300, 250), "PNG"))},
            ),
            api.call("POST", "/keys", {"role": "admin", "name": "n"}),
        )  # fmt: skip
        assert [reply.status_code for reply in refused[:3]] == [503] * 3, [reply.text for reply in refused]
        assert refused[3].status_code in ((503, 201) if way == "no permission for scripts" else (503,))
        assert {reply.headers["retry-after"] for reply in refused[:3]} == {"2"}
        read = await asyncio.gather(
            api.call("GET", "/sites/news"), api.call("GET", "/creatives"), api.call("GET", "/report?site=news")
        )
    assert {reply.status_code for reply in read} <= {200, 503}, "known, whatever else"
    await store.do(end)
    totals = await at_rest(api)
    assert (totals["serves"], totals["requests"]) == (26, 26)
    assert (totals["impressions"], totals["duplicates"], totals["clicks"]) == (21, 5, 5)
    assert api.held.worker.ledger.breaker.state == "closed"
    assert (await api.make("GET", "/creatives"))["items"] == creatives
    assert (await api.call("GET", "/advertisers/late")).status_code == 404
    await api.make("PUT", "/advertisers/late", {"name": "Late"})
    assert await api.keys_for_ever() == []


@pytest.mark.parametrize("how", ["flushed", "restarted"])
async def test_forgotten_scripts_are_loaded_again(
    unwilling: tuple[Api, Unwilling], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """In pipelines of many spaces and in single calls, again and again: each event counts once, and changes and
    flushes work. Flushed ones are not even noticed: nothing goes to the spool."""
    api, store = unwilling
    if how == "flushed":
        monkeypatch.setattr("adserve.store.ledger.COMMIT_S", 10.0)  # a machine that stalls is no reason to spool
    for name in ("two", "three"):
        await api.creative(name)
    rounds = 5 if how == "flushed" else 2
    for number in range(rounds):
        made = [await api.decide() for _ in range(30)]
        if how == "restarted":
            store.restart()
        else:
            await store.do(["SCRIPT FLUSH"])
        replies = await asyncio.gather(*(api.http.get(one["impression_url"]) for one in made))
        assert {reply.status_code for reply in replies} == {200}
        if how == "flushed":
            await store.do(["SCRIPT FLUSH"])
            await api.make("PUT", f"/advertisers/a{number}", {"name": "A"})
            await store.do(["SCRIPT FLUSH"])
            assert await api.held.worker.ledger.counts.flush()
    totals = await at_rest(api)
    assert (totals["impressions"], totals["serves"], totals["duplicates"]) == (30 * rounds, 30 * rounds, 0)
    assert how == "restarted" or api.held.worker.ledger.spool.events == 0
