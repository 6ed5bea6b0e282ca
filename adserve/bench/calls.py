"""The calls of the delivery routes, each against bare targets with the same bytes: interleaved rounds, medians."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import uvloop

from adserve.bench.browsers import IMAGE, headers, request
from adserve.bench.generator import Load, drive
from adserve.bench.servers import Service, adserve, bare, fetch

Row = dict[str, Any]
Say = Callable[[str], None]
SLOT = "/v1/slots/bench/top"
LABELS = f"{SLOT}?labels=politics,world,conflict&url=https%3A%2F%2Fnews.example%2F2026%2F11%2Fstory-@.html&lang=en-IN"
PAGES = 500
"""The pages that `@` stands for: each is read by many."""
PAGE = "/v1/pages/bench"
TOKEN = 48
RENDER_S = 0.15
"""From a serve to its impression."""
SETTLE_S = 0.3
"""Until the serves of a round are flushed, as they are long before a browser has rendered what it got."""


@dataclass(frozen=True, slots=True)
class Case:
    """A call. `event`: the path of the event that its requests report, of serves that are made before; `pair`: each
    serve is followed by its impression a moment later, and both together are one; `together`: the store shares the
    service's core; `ruled`: the campaigns have targets, goals that are paced, and caps."""

    name: str
    path: str
    media_type: str = "text/html"
    event: str = ""
    pair: bool = False
    together: bool = False
    workers: int = 1
    ruled: bool = False


CASES = (
    Case("slot call", SLOT),
    Case("slot call with labels", LABELS),
    Case("slot call, targets, caps and pacing", LABELS, ruled=True),
    Case("page call, five slots", PAGE, "application/json"),
    Case("impression beacon, after its commit", "/e/i/", "image/gif", event="/e/i/"),
    Case("click, after its commit", "/c/", "text/plain", event="/c/"),
    Case("complete recorded impression", SLOT, pair=True, together=True),
    Case("the same, targets, caps and pacing", LABELS, pair=True, together=True, ruled=True),
)
ON_ALL_CORES = (
    Case("slot call, 1 worker", SLOT),
    Case("slot call, 2 workers", SLOT, workers=2),
    Case("impression beacon, 1 worker", "/e/i/", "image/gif", event="/e/i/"),
    Case("impression beacon, 2 workers", "/e/i/", "image/gif", event="/e/i/", workers=2),
)


@dataclass(frozen=True, slots=True)
class Cores:
    """Where what runs: `server` the service and the bare targets, `other` the generator, and the store unless a case
    has it beside the service."""

    server: set[int]
    other: set[int]

    @classmethod
    def split(cls) -> Cores:
        """One core for the server, another one for the rest."""
        found = sorted(os.sched_getaffinity(0))
        return cls({found[0]}, {found[-1]})

    @classmethod
    def all(cls) -> Cores:
        found = os.sched_getaffinity(0)
        return cls(found, found)


def requests(path: str, port: int, count: int) -> list[bytes]:
    clients = islice(headers(), count)
    return [request(path.replace("@", str(n % PAGES)), port, client) for n, client in enumerate(clients)]


def tokens(service: Service, count: int, event: str) -> list[str]:
    """Paths of an event, of serves that are made now."""
    found: list[str] = []

    def note(body: bytes) -> None:
        at = body.find(event.encode()) + len(event)
        found.append(event + body[at : at + TOKEN].decode())

    uvloop.run(drive(service.port, requests(SLOT, service.port, count), note))
    uvloop.run(asyncio.sleep(SETTLE_S))
    return found


class Readers:
    """Reports the impression of each serve, a moment after it, as browsers do that have something to render."""

    def __init__(self, port: int) -> None:
        self._port, self._clients = port, headers()
        self._rendering: deque[tuple[float, str]] = deque()

    def follow(self, body: bytes) -> bytes | None:
        """The beacon of the eldest serve whose time has come; None: another slot call."""
        now = time.perf_counter()
        at = body.find(b"/e/i/")
        if at > 0:
            self._rendering.append((now, body[at : at + 5 + TOKEN].decode()))
        return self.rest() if self._rendering and now - self._rendering[0][0] >= RENDER_S else None

    def rest(self) -> bytes | None:
        """The beacon of the eldest serve that is not reported yet."""
        if not self._rendering:
            return None
        return request(self._rendering.popleft()[1], self._port, next(self._clients), IMAGE)


def one_round(case: Case, service: Service, count: int) -> Load:
    """What adserve does of a case."""
    port = service.port
    if case.event:
        clients = headers()
        sent = [request(path, port, next(clients), IMAGE) for path in tokens(service, count, case.event)]
    else:
        sent = requests(case.path, port, count)
    if not case.pair:
        return uvloop.run(drive(port, sent))
    readers = Readers(port)
    return uvloop.run(drive(port, sent, readers.follow, readers.rest))


def measure(case: Case, *, cores: Cores, folder: Path, rounds: int, count: int, say: Say) -> Row:
    """One row: adserve, bare Starlette and bare ASGI in turn, each in every round; the first round warms up."""
    speeds: dict[str, list[float]] = {"adserve": [], "starlette": [], "asgi": []}
    busy: list[float] = []
    store = cores.server if case.together else cores.other
    with running(case, cores, store, folder) as (service, ports):
        for turn in range(rounds + 1):
            loads = {"adserve": one_round(case, service, count)}
            for name, port in ports.items():
                loads[name] = uvloop.run(drive(port, requests(case.path + "x" * TOKEN * bool(case.event), port, count)))
            if turn:
                for name, load in loads.items():
                    speeds[name].append(load.per_second)
                    busy.append(load.busy)
            say(f"{case.name}: round {turn} of {rounds}")
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    return {
        "case": case.name,
        **{f"{name}_per_second": round(value) for name, value in medians.items()},
        "ratio_to_starlette": round(medians["adserve"] / medians["starlette"], 3),
        "ratio_to_asgi": round(medians["adserve"] / medians["asgi"], 3),
        "generator_busy": round(max(busy), 2),
    }


@contextmanager
def running(case: Case, cores: Cores, store: set[int], folder: Path) -> Iterator[tuple[Service, dict[str, int]]]:
    """The service of a case, and the ports of what it is compared with."""
    with ExitStack() as stack:
        service = stack.enter_context(adserve(folder, cores.server, store, workers=case.workers, ruled=case.ruled))
        path = tokens(service, 1, case.event)[0] if case.event else case.path
        _, body = fetch(service.port, "GET", path)
        ports = {
            kind: stack.enter_context(bare(folder, kind, body, case.media_type, cores.server, workers=case.workers))
            for kind in ("starlette", "asgi")
        }
        yield service, ports


def bench_calls(cases: Sequence[Case], cores: Cores, *, folder: Path, rounds: int, count: int, say: Say) -> list[Row]:
    """All cases, with this process, the generator, on its core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores.other)
    try:
        return [measure(case, cores=cores, folder=folder, rounds=rounds, count=count, say=say) for case in cases]
    finally:
        os.sched_setaffinity(0, before)
