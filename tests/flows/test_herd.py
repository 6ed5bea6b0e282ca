"""Many at once want the same thing: the store is asked for it once a worker, however many they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from adserve import following, wiring
from adserve.core.compile import recompile
from adserve.core.token import Key, Signer
from adserve.flows import load
from adserve.settings import Settings
from adserve.store import accounts
from adserve.store.embedded import EmbeddedStore
from adserve.wiring import Running, running
from tests.conftest import SECRET, Api, Clock
from tests.flows.rest import until

HERD = 200


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that do not look by themselves whether the catalog, the keys or what was learned of the hours have
    changed, and whose events wait for it as long as a busy machine takes: one that gave up is counted without its
    price."""

    async def learns_nothing(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(following, "POLL_S", 3600)
    monkeypatch.setattr(accounts, "POLL_S", 3600)
    monkeypatch.setattr(wiring, "follow_traffic", learns_nothing)
    monkeypatch.setattr(wiring, "CATCH_UP_S", 30)


class Herd:
    """Workers over a store of their own, which tells how often it was asked."""

    def __init__(self, workers: list[Running]) -> None:
        self.workers = workers
        self.apis = [Api(held) for held in workers]

    async def asked(self, *commands: str) -> int:
        """How many of these commands the store has answered."""
        stats: Any = await self.workers[0].services.client.info("commandstats")
        return sum(int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in commands)

    async def at_rest(self, *commands: str) -> int:
        """The same, once what workers look at when they begin (keys of the API, old counters) has been looked at."""
        found, same = await self.asked(*commands), 0
        for _ in range(500):
            await asyncio.sleep(0.01)
            now = await self.asked(*commands)
            found, same = now, same + 1 if now == found else 0
            if same == 20:
                return found
        raise AssertionError("workers that do not come to rest")

    async def close(self) -> None:
        for api in self.apis:
            await api.http.aclose()


@pytest.fixture
async def herd(tmp_path: Path, settings: Settings, clock: Clock) -> AsyncIterator[Herd]:
    """Eight workers that started at once over a stored catalog."""
    with EmbeddedStore.start(tmp_path / "own") as store:
        async with running(settings, store.url, clock=clock) as first:
            api = Api(first)
            await api.world()
            await api.creative()
            await api.settle()
            await api.http.aclose()
        async with AsyncExitStack() as stack:
            workers = await asyncio.gather(
                *(stack.enter_async_context(running(settings, store.url, clock=clock)) for _ in range(8))
            )
            found = Herd(list(workers))
            yield found
            await found.close()


async def test_workers_that_start_at_once_load_once_each(herd: Herd) -> None:
    """And once each what changed; nothing is loaded again while nothing changes."""
    # the first load of each, and that of the worker that made the catalog
    assert await herd.asked("hscan") == 9
    before = await herd.asked("hmget")
    await herd.apis[0].make("PATCH", "/campaigns/one", {"weight": 7})
    version = await herd.workers[0].services.catalog.version()
    await until(lambda: all(held.worker.catalog and held.worker.catalog.version == version for held in herd.workers))
    assert await herd.asked("hmget") - before <= 8 + 2, "one a worker, and what the call itself reads"
    assert await herd.asked("hscan") == 9


async def test_a_herd_for_a_creative_that_another_worker_made_shares_one_look(
    quiet: None, herd: Herd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every one of its events is counted with its price, and the worker has looked once or twice, not for each."""
    maker, other = herd.apis[:2]
    compiled = 0

    def counted(*given: Any) -> Any:
        nonlocal compiled
        compiled += 1
        return recompile(*given)

    monkeypatch.setattr(load, "recompile", counted)
    await maker.make("PATCH", "/campaigns/one", {"state": "paused"})
    await maker.creative("paid", price={"model": "cpm", "amount": "2", "currency": "EUR"})
    made = [await maker.decide() for _ in range(HERD)]
    assert {one["campaign"] for one in made} == {"paid"}
    before, compiled = await herd.at_rest("hmget", "get"), 0
    replies = await asyncio.gather(*(other.http.get(one["impression_url"]) for one in made))
    assert {reply.status_code for reply in replies} == {200}
    assert await herd.asked("hmget", "get") - before <= 6
    assert compiled <= 2
    await maker.settle()
    totals = await other.totals()
    assert (totals["impressions"], totals["revenue"]) == (HERD, "0.40")


async def test_a_herd_for_what_nobody_knows_shares_its_looks(quiet: None, herd: Herd) -> None:
    """Tokens of a creative that is in no catalog (a store of yesterday) do not pass their number on to the store."""
    api = herd.apis[0]
    good = api.held.worker.signer.verify((await api.decide())["click_url"].rpartition("/")[2], "c")
    signer = Signer([Key.derive(SECRET.encode())])
    tokens = [signer.mint(good._replace(revision=4000, ordinal=100 + n))[2] for n in range(HERD)]
    before = await herd.at_rest("get", "hmget", "hscan")
    replies = await asyncio.gather(*(api.http.get(f"/c/{token}") for token in tokens))
    assert {reply.status_code for reply in replies} == {410}
    assert await herd.asked("get", "hmget", "hscan") - before <= 6


async def test_a_herd_for_an_unknown_slot_asks_the_store_nothing(herd: Herd) -> None:
    """Nor leaves anything in it: names of strangers are no keys."""
    api = herd.apis[0]
    asked = ("evalsha", "hmget", "hscan", "hget", "set", "hset", "zadd", "hincrby")
    before, contents = await herd.asked(*asked), await api.contents()
    paths = [f"/v1/slots/news/x{n}" for n in range(HERD)] + [f"/v1/pages/news?slots=y{n}" for n in range(HERD)]
    replies = await asyncio.gather(*(api.http.get(path) for path in (*paths, *["/v1/slots/news/none"] * HERD)))
    assert {reply.status_code for reply in replies} == {200}
    assert await api.held.worker.ledger.counts.flush()
    assert await herd.asked(*asked) - before < HERD  # what workers ask by themselves, several times a second
    assert await api.contents() == contents
