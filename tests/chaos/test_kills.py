"""Whatever is killed while readers browse: what was answered is counted, once, and nothing else is.

Four workers over the embedded store, whose every sync takes 400 ms.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.browsing import RUNS, Readers, chance_of
from tests.service import Service, service, strike
from tests.slow import build

Disturb = Callable[[Service, random.Random], Coroutine[Any, Any, None]]


def kill_a_worker(running: Service, chance: random.Random) -> None:
    if pids := running.worker_pids():
        strike(chance.choice(pids))


async def workers_and_store(running: Service, chance: random.Random) -> None:
    """A worker or the store, in turn, every half a second."""
    for turn in range(8):
        await asyncio.sleep(chance.uniform(0.2, 0.6))
        if turn % 2:
            strike(running.store_pid())
        else:
            kill_a_worker(running, chance)


async def workers_and_store_together(running: Service, chance: random.Random) -> None:
    """All workers and the store in the same moment."""
    for _ in range(3):
        await asyncio.sleep(chance.uniform(0.3, 0.9))
        for pid in (*running.worker_pids(), running.store_pid()):
            strike(pid)


async def store_gone(running: Service, chance: random.Random) -> None:
    """The store is stopped as if it hung, and killed at last."""
    await asyncio.sleep(chance.uniform(0.1, 0.3))
    pid = running.store_pid()
    strike(pid, signal.SIGSTOP)
    await asyncio.sleep(3 if RUNS == 1 else 30)
    strike(pid)


DISTURBANCES = [workers_and_store, workers_and_store_together, store_gone]


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("disturb", DISTURBANCES, ids=lambda one: one.__name__)
async def test_answered_is_counted(tmp_path: Path, disturb: Disturb, run: int) -> None:
    """The impressions of 30 readers, a third sent twice, are in the report exactly, with at least as many serves
    and never more than were made."""
    chance = chance_of(run)
    with service(tmp_path, workers=4, LD_PRELOAD=str(build(tmp_path))) as running:
        running.world()
        readers = Readers(running, chance)
        await readers.browse(disturb(running, chance))
        await readers.all_counted()
