"""Whatever the network does between workers and store while readers browse: answered is counted, once."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from adserve.store.embedded import EmbeddedStore
from tests.chaos.browsing import RUNS, Readers, chance_of
from tests.faults import Fault, Proxy, proxy
from tests.service import service_beside

LASTING: tuple[Fault, ...] = ("drop_reply", "delay", "slice", "black_hole", "refuse")


async def disturb(network: list[Proxy], chance: random.Random) -> None:
    """Replies get lost on one connection after the other, between them faults of all connections."""
    for turn in range(40 * min(RUNS, 3)):
        between = chance.choice(network)
        if turn % 4:
            between.set(chance.choice(("drop_reply", "drop_reply", "reset")), once=True)
            await asyncio.sleep(chance.uniform(0.02, 0.1))
        else:
            between.set(chance.choice(LASTING))
            await asyncio.sleep(chance.uniform(0.05, 0.6))
        between.set("pass")


@pytest.mark.parametrize("run", range(RUNS))
async def test_answered_is_counted_whatever_replies_are_lost(tmp_path: Path, run: int) -> None:
    """Four workers, one store."""
    chance = chance_of(run)
    async with AsyncExitStack() as stack:
        store = stack.enter_context(EmbeddedStore.start(tmp_path / "store"))
        between = await stack.enter_async_context(proxy(str(store.socket_path)))
        running = await stack.enter_async_context(service_beside(tmp_path, workers=4, ADSERVE_REDIS_URL=between.url))
        await asyncio.to_thread(running.world)
        readers = Readers(running, chance)
        await readers.browse(disturb([between], chance))
        assert between.dropped >= 3
        await readers.all_counted()
