"""A replica becomes the primary while readers browse: what it did not have yet is lost, and nothing counts twice.

Each test prints what was lost and how long it took until everything was counted again (`pytest -rP`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.chaos.browsing import BEACONS, RUNS, Readers, chance_of
from tests.service import Service, service
from tests.stores import LOGGED, Cluster, Node, cluster, nodes, until, watched

LAG_S = 0.5
"""How long a replica gets nothing before its primary dies."""
TAG = "adserve:{s1}:"
"""What everything of the only campaign begins with."""


def role(node: Node) -> str:
    return str(node.call("ROLE")[0])


def owner(store: Cluster, key: str) -> Node:
    """The primary that has a key."""
    slot = store.nodes[0].call("CLUSTER", "KEYSLOT", key)
    return next(node for node in store.nodes if role(node) == "master" and slot in own_slots(node))


def own_slots(node: Node) -> set[int]:
    mine = node.call("CLUSTER", "MYID")
    spans = next(line.split()[8:] for line in node.text("CLUSTER", "NODES").splitlines() if line.startswith(mine))
    return {slot for span in spans if "[" not in span for slot in _span(span)}


def _span(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


async def wait(holds: Callable[[], object]) -> None:
    await asyncio.to_thread(until, holds)


@contextmanager
def sentinels(folder: Path) -> Iterator[tuple[str, Node, Node]]:
    with watched(folder) as store:
        yield store.url, store.primary, store.replica


@contextmanager
def replicated(folder: Path) -> Iterator[tuple[str, Node, Node]]:
    """Three primaries and their replicas; the pair that has the campaign."""
    with cluster(folder, replicas=True) as store:
        primary = owner(store, TAG)
        replica = store.nodes[3 + store.nodes.index(primary)]
        yield store.url, primary, replica


STORES = {"sentinels": sentinels, "cluster": replicated}


@asynccontextmanager
async def healing(running: Service, what: str) -> AsyncIterator[None]:
    """Prints how long it took from the end of the block until reports are answered and the spool is empty."""
    yield
    begun = time.monotonic()
    await wait(running.answers_reports)
    reports_s = time.monotonic() - begun
    await wait(lambda: not running.spooled())
    print(f"{what}: reports after {reports_s:.1f} s, everything counted after {time.monotonic() - begun:.1f} s")


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("behind", [False, True], ids=["abreast", "behind"])
@pytest.mark.parametrize("kind", STORES)
async def test_a_failover_counts_nothing_twice(tmp_path: Path, kind: str, behind: bool, run: int) -> None:
    """The primary is killed, and comes back as a replica of the other. What the new one does not have counts when it
    is sent again, and all else is a duplicate then."""
    what = f"{kind}, replica {'behind' if behind else 'abreast'}"
    with (
        STORES[kind](tmp_path) as (url, primary, replica),
        service(tmp_path, workers=4, ADSERVE_REDIS_URL=url) as running,
    ):
        running.world()
        readers = Readers(running, chance_of(run))

        async def disturb() -> None:
            await asyncio.sleep(0.5)
            async with healing(running, what):
                if behind:
                    primary.call("ACL", "SETUSER", "default", "-sync", "-psync")
                    primary.call("CLIENT", "KILL", "TYPE", "replica")
                    await asyncio.sleep(LAG_S)
                primary.kill()
            await wait(lambda: role(replica) == "master")
            await asyncio.to_thread(primary.start)
            await wait(lambda: role(primary) == "slave")

        await readers.browse(disturb(), BEACONS // 2)
        answered = len({made["decision"] for made in readers.shown})
        lost = answered - (await readers.figures())["impressions"]
        print(f"{what}: {lost} of {answered} answered impressions were lost")
        assert lost > 0 if behind else lost >= 0
        await readers.again()
        assert (await readers.figures())["impressions"] == answered
        await readers.end()


@pytest.mark.parametrize("run", range(RUNS))
async def test_a_slot_that_moves_while_it_is_counted_loses_nothing(tmp_path: Path, run: int) -> None:
    """The slot of the campaign, and that of the catalog, go to another node a few keys at a time."""
    with cluster(tmp_path) as store, service(tmp_path, workers=4, ADSERVE_REDIS_URL=store.url) as running:
        running.world()
        chance = chance_of(run)
        readers = Readers(running, chance)

        async def disturb() -> None:
            for key in (TAG, "adserve:{cat}:", TAG):
                source = owner(store, key)
                target = chance.choice([node for node in store.nodes if node is not source])
                async with healing(running, f"moved {key}"):
                    for _ in store.move(source.call("CLUSTER", "KEYSLOT", key), source, target):
                        await asyncio.sleep(0.2)
                assert owner(store, key) is target

        await readers.browse(disturb())
        await readers.all_counted()


async def test_an_isolated_primary_counts_nothing_it_could_lose(tmp_path: Path) -> None:
    """With `min-replicas-to-write` a primary without its replica takes no event: all wait in the spool, answered,
    and are counted when the replica is back."""
    with nodes() as members:
        strict = (*LOGGED, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "1")
        primary = Node(tmp_path / "primary", *strict)
        members.append(primary)
        replica = Node(tmp_path / "replica", "--appendonly", "yes", "--replicaof", f"127.0.0.1 {primary.port}")
        members.append(replica)
        until(lambda: "connected_slaves:1" in primary.text("INFO", "replication"))
        until(lambda: primary.call("SET", "probe", "1"))
        with service(tmp_path, workers=2, ADSERVE_REDIS_URL=f"redis://127.0.0.1:{primary.port}") as running:
            running.world()
            readers = Readers(running, chance_of(0))

            async def disturb() -> None:
                await asyncio.sleep(0.5)
                replica.kill()
                await wait(running.spooled)
                async with healing(running, "replica back"):
                    await asyncio.to_thread(replica.start)

            await readers.browse(disturb())
            await readers.all_counted()
