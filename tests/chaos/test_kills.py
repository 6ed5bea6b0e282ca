"""Whatever is killed while readers browse: what was answered is counted, once, and nothing else is.

`ADSERVE_CHAOS_RUNS` repeats each scenario (`make chaos`: 10); one run is part of the tests. The choice of
victims and moments comes from a seed, which a failure names.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.service import Crowd, Service, service
from tests.slow import build

RUNS = int(os.environ.get("ADSERVE_CHAOS_RUNS", "1"))
SEED = int(os.environ.get("ADSERVE_CHAOS_SEED", "7"))
BEACONS = 900 if RUNS == 1 else 3000

Disturb = Callable[[Service, random.Random], Coroutine[Any, Any, None]]


def kill(pid: int) -> None:
    if pid > 1:
        os.kill(pid, signal.SIGKILL)


async def workers_and_store(running: Service, chance: random.Random) -> None:
    """A worker or the store, in turn, every half a second."""
    for turn in range(8):
        await asyncio.sleep(chance.uniform(0.2, 0.6))
        if turn % 2:
            kill(running.store_pid())
        elif pids := running.worker_pids():
            kill(chance.choice(pids))


async def workers_and_store_together(running: Service, chance: random.Random) -> None:
    """All workers and the store in the same moment."""
    for _ in range(3):
        await asyncio.sleep(chance.uniform(0.3, 0.9))
        for pid in (*running.worker_pids(), running.store_pid()):
            kill(pid)


async def store_gone(running: Service, chance: random.Random) -> None:
    """The store is stopped as if it hung, and killed at last."""
    await asyncio.sleep(chance.uniform(0.1, 0.3))
    pid = running.store_pid()
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(3 if RUNS == 1 else 30)
    kill(pid)


DISTURBANCES = [workers_and_store, workers_and_store_together, store_gone]


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("disturb", DISTURBANCES, ids=lambda one: one.__name__)
async def test_answered_is_counted(tmp_path: Path, disturb: Disturb, run: int) -> None:
    """Four workers, a store whose every sync takes 400 ms: the impressions of 30 readers, a third sent twice,
    are in the report exactly, with at least as many serves and never more than were made."""
    chance = random.Random(f"{SEED}.{run}")
    with service(tmp_path, workers=4, LD_PRELOAD=str(build(tmp_path))) as running:
        running.world()
        crowd = Crowd(running.origin)
        disturbing = asyncio.create_task(disturb(running, chance))
        shown: list[Any] = []
        answers: list[int] = []

        async def browse(count: int) -> None:
            for _ in range(count):
                one = await crowd.decide()
                assert one["filled"]
                shown.append(one)
                for _ in range(1 + (chance.random() < 0.33)):
                    answers.append((await crowd.get(one["impression_url"])).status_code)

        await asyncio.gather(*(browse(BEACONS // 30) for _ in range(30)))
        await disturbing
        assert set(answers) == {200}
        totals = running.at_rest()
        context = (SEED, run, crowd.unanswered, crowd.refused)
        assert totals["impressions"] == BEACONS == len({one["decision"] for one in shown}), context
        assert BEACONS <= totals["serves"] <= BEACONS + crowd.unanswered, context
        assert totals["requests"] == totals["serves"] + totals["empty"], context
        assert (totals["filtered"], totals["late"]) == (0, 0), context
        assert crowd.refused == 0, context
        verdict = running.audit()
        assert (verdict["agrees"], verdict["pending"]) == (True, 0), verdict["differences"]
        assert sum(row["impressions"] for row in verdict["rows"]) == BEACONS
        assert running.stop() == 0
        await crowd.http.aclose()
