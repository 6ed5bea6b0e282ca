"""Nodes of a Cluster are killed, or their replies get lost, while readers browse: answered is counted, once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.chaos.browsing import RUNS, Readers, chance_of
from tests.chaos.test_kills import kill_a_worker
from tests.chaos.test_network import disturb
from tests.faults import proxy
from tests.service import service, service_beside
from tests.slow import build
from tests.stores import Cluster, Node, cluster, until


@pytest.mark.parametrize("run", range(RUNS))
async def test_answered_is_counted_on_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: int) -> None:
    """Three nodes without replicas: one of them, or a worker, is killed in turn, the node for up to three seconds."""
    chance = chance_of(run)
    monkeypatch.setenv("LD_PRELOAD", str(build(tmp_path)))
    with cluster(tmp_path) as nodes, service(tmp_path, workers=4, ADSERVE_REDIS_URL=nodes.url) as running:
        running.world()
        readers = Readers(running, chance, may_be_empty=True)

        async def down(node: Node) -> None:
            node.kill()
            await asyncio.sleep(chance.choice((0.1, 0.5, 3)))
            await asyncio.to_thread(node.start)

        async def kill() -> None:
            for _ in range(4):
                await asyncio.sleep(chance.uniform(0.2, 0.6))
                kill_a_worker(running, chance)
                await down(chance.choice(nodes.nodes))

        await readers.browse(kill())
        await readers.all_counted()


def announce(nodes: Cluster, ports: Sequence[int]) -> None:
    """Clients are told these ports, so all they say goes through the network."""
    for node, port in zip(nodes.nodes, ports, strict=True):
        node.call("CONFIG", "SET", "cluster-announce-port", port)
    until(lambda: all(all(str(port) in str(node.call("CLUSTER", "SLOTS")) for port in ports) for node in nodes.nodes))


@pytest.mark.parametrize("run", range(RUNS))
async def test_answered_is_counted_whatever_replies_of_a_cluster_are_lost(tmp_path: Path, run: int) -> None:
    """Four workers, three nodes, each behind a network of its own."""
    chance = chance_of(run)
    async with AsyncExitStack() as stack:
        nodes = stack.enter_context(cluster(tmp_path))
        network = [await stack.enter_async_context(proxy(node.port)) for node in nodes.nodes]
        announce(nodes, [between.port for between in network])
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{between.port}" for between in network)
        running = await stack.enter_async_context(service_beside(tmp_path, workers=4, ADSERVE_REDIS_URL=url))
        await asyncio.to_thread(running.world)
        readers = Readers(running, chance)
        await readers.browse(disturb(network, chance))
        assert sum(between.dropped for between in network) >= 3
        await readers.all_counted()
