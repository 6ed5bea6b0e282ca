"""What the processes of a service hold: memory, files, keys; and whether it grows."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.service import Service

MEMORY_KB = 6_000
MEMORY_KB_PER_HOUR = 10_000
"""What a process may grow by from the middle of a run to its end: so much, and so much an hour."""
FILES = 12
"""Open files that may be there at the end beside those of the start: connections to the store, the spool."""
LASTING = re.compile(r".*(\{cat\}(?!:salt:|:curves:claim)|:media$|:revisions$|:c:|:buckets$|:days$|:d:|\}:t$)")
"""Keys that are kept for ever (`adserve/store/keys.py`)."""


class Process(NamedTuple):
    """Resident memory in KB and open files of a process."""

    pid: int
    rss: int
    files: int


class Sample(NamedTuple):
    at: float
    """Seconds, monotonic."""
    processes: dict[str, Process]
    """`supervisor`, `store`, and `worker`: the eldest one."""
    keys: int
    store_kb: int
    spool_bytes: int


def look(running: Service) -> Sample:
    """Without the figures of a store that does not answer just now."""
    assert running.process is not None
    pids = {"supervisor": running.process.pid, "store": running.store_pid()}
    workers = running.worker_pids()
    if workers:
        pids["worker"] = min(workers, key=lambda pid: (_born(pid), pid))
    found = {name: process for name, pid in pids.items() if (process := _process(pid)) is not None}
    keys = memory = 0
    try:
        with _client(running) as client:
            keys, memory = client.dbsize(), int(client.info("memory")["used_memory"]) // 1000
    except (RedisError, OSError):
        pass
    return Sample(time.monotonic(), found, keys, memory, spooled(running))


def spooled(running: Service) -> int:
    """Bytes in the spool."""
    total = 0
    for path in (running.data / "spool").glob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def _client(running: Service) -> Redis:
    return Redis(
        unix_socket_path=str(running.data / "store" / "store.sock"),
        decode_responses=True, socket_timeout=1, retry=Retry(NoBackoff(), 0),
    )  # fmt: skip


def _process(pid: int) -> Process | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        files = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None
    rss = re.search(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)
    return Process(pid, int(rss[1]), files) if rss else None


def _born(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 1 << 62


class Growth(NamedTuple):
    """Of one process (or of the store's data), in KB: at the start, in the middle, at the end of the run."""

    name: str
    start: float
    middle: float
    end: float
    hours: float
    """From the middle to the end."""

    @property
    def slope(self) -> float:
        """KB an hour, over the second half."""
        return (self.end - self.middle) / self.hours if self.hours else 0.0

    @property
    def too_much(self) -> bool:
        return self.end - self.middle > MEMORY_KB + MEMORY_KB_PER_HOUR * self.hours


def growths(samples: Sequence[Sample]) -> list[Growth]:
    """By process, as far as one and the same lived through the second half; the store's data always."""
    found = []
    middle = (samples[0].at + samples[-1].at) / 2
    for name in samples[-1].processes:
        last = samples[-1].processes[name].pid
        own = [(one.at, one.processes[name]) for one in samples if name in one.processes]
        later = [(at, process.rss) for at, process in own if at >= middle and process.pid == last]
        found.append(_growth(name, own[0][1].rss, later))
    data = [(one.at, one.store_kb) for one in samples if one.store_kb]
    found.append(_growth("store's data", data[0][1], [one for one in data if one[0] >= middle]))
    return found


def _growth(name: str, start: float, later: Sequence[tuple[float, float]]) -> Growth:
    few = max(1, min(3, len(later) // 2))
    first, last = later[:few], later[-few:]
    hours = (mean(at for at, _ in last) - mean(at for at, _ in first)) / 3600
    return Growth(name, start, mean(kb for _, kb in first), mean(kb for _, kb in last), hours)


def leaked_keys(running: Service, lives: int) -> list[str]:
    """Keys that nothing explains: without an expiry and not of those that last, or of more workers than ever lived."""
    problems: list[str] = []
    owners: set[str] = set()
    with _client(running) as client:
        for key in client.scan_iter(count=1000):
            lasting, expires = LASTING.match(key) is not None, client.ttl(key) != -1
            if lasting == expires:
                problems.append(key)
            if match := re.search(r":(?:l:[a-z]{2}|f|p):([0-9a-f]+)(?::[0-9]+)?$", key):
                owners.add(match[1])
    if len(owners) > lives:
        problems.append(f"ledgers of {len(owners)} workers, of {lives} that lived")
    return problems
