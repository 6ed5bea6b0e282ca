"""What a killed store has answered is there again, while every sync of its log takes 400 ms.

With a fast disk the test would pass in any mode. So each run has its control: the same store with
`appendfsync everysec`, which postpones the write while a sync is slow, has to lose something.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from adserve.store import embedded
from adserve.store.embedded import EmbeddedStore
from tests.slow import build

RUNS = 5
PATIENCE_S = 10.0
"""Who waits longer kills at the first sight of what was answered and is not written."""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preloaded library, built for this machine."""
    return build(tmp_path_factory.mktemp("shim"))


def client(store: EmbeddedStore) -> Any:
    return Redis.from_url(store.url, decode_responses=True, protocol=2, retry=Retry(NoBackoff(), 0))


def lost(store: EmbeddedStore, mode: str, after_s: float) -> int:
    """Acknowledged increments that are gone after a kill -9 at a random moment of a slow sync."""
    answered = 0
    with client(store) as redis:
        redis.config_set("appendfsync", mode)
        before = int(redis.get("n") or 0)
        killer = threading.Timer(after_s, os.kill, (store.pid, signal.SIGKILL))
        killer.start()
        try:
            while True:
                redis.incr("n")
                answered += 1
                if after_s > PATIENCE_S and redis.info("persistence")["aof_buffer_length"] > 0:
                    os.kill(store.pid, signal.SIGKILL)
        except (RedisError, OSError):
            pass
        killer.cancel()
        killer.join()
    until = time.monotonic() + 15
    while not store.restart_if_dead():
        assert time.monotonic() < until, store.last_error
        time.sleep(0.02)
    with client(store) as redis:
        return before + answered - int(redis.get("n") or 0)


def test_a_kill_during_slow_syncs_loses_nothing_that_was_answered(
    shim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our mode loses none in five kills; the control loses some, so the syncs were slow indeed."""
    monkeypatch.setenv("LD_PRELOAD", str(shim))
    chance = random.Random(7)
    with EmbeddedStore.start(tmp_path) as store:
        fast = store.sync

        def slow() -> None:
            time.sleep(0.4)
            fast()

        monkeypatch.setattr(store, "sync", slow)  # this process has no shim
        assert [
            max(0, lost(store, embedded.APPENDFSYNC["second"], 0.6 + chance.random() / 2)) for _ in range(RUNS)
        ] == [0] * RUNS
        # restart_if_dead sets the mode at each start, so the control sets it anew as well
        assert sum(max(0, lost(store, "everysec", PATIENCE_S + 1)) for _ in range(RUNS)) > 0
